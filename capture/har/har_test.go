package har

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"eaves/capture"
	"eaves/capture/content"
	"eaves/capture/internal/sample"
)

func write(t testing.TB, s *sample.Source) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, s, "1.2.3")
	for _, x := range s.Exchanges {
		if err := w.Write(context.Background(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	in := sample.Exchanges()
	before, err := json.Marshal(in.Exchanges)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, in)
	if after, _ := json.Marshal(in.Exchanges); !bytes.Equal(before, after) {
		t.Fatal("writing changed an exchange")
	}
	var out sample.Recorder
	n, err := Read(context.Background(), bytes.NewReader(file), &out)
	if err != nil || n != int64(len(in.Exchanges)) {
		t.Fatalf("read %d: %v", n, err)
	}
	for i, want := range in.Exchanges {
		got := *out.Exchanges[i]
		expected := *want
		expected.Seq, expected.Source = 0, capture.SourceImport
		if expected.State == capture.StateOpen {
			expected.State = capture.StateFailed
			expected.Error = got.Error
			if got.Error == nil {
				t.Error("an exchange that was open has no error")
			}
		}
		a, _ := json.Marshal(&expected)
		b, _ := json.Marshal(&got)
		if !bytes.Equal(a, b) {
			t.Errorf("exchange %d:\nwas %s\nis  %s", want.ID, a, b)
		}
	}
	if len(out.Bodies) == 0 {
		t.Error("no bodies")
	}
	for key, want := range in.Bodies {
		if got := out.Bodies[key]; !bytes.Equal(got, want) {
			t.Errorf("body %v: got %q, want %q", key, got, want)
		}
	}
	for id, want := range in.Conversation {
		got := out.Conversation[id]
		if len(got) != len(want) {
			t.Errorf("exchange %d has %d messages, had %d", id, len(got), len(want))
			continue
		}
		for i := range want {
			if !got[i].Time.Equal(want[i].Time) {
				t.Errorf("message %d/%d: time %v, was %v", id, i, got[i].Time, want[i].Time)
			}
			got[i].Time = want[i].Time
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("message %d/%d: got %+v, want %+v", id, i, got[i], want[i])
			}
		}
	}
}

// check holds a file against the standard's list of members. A type ends in ? where the member is optional.
type schemaOf map[string]any

func check(path string, schema, v any) error {
	switch schema := schema.(type) {
	case schemaOf:
		o, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", path)
		}
		for name, want := range schema {
			key, optional := strings.CutSuffix(name, "?")
			member, ok := o[key]
			if !ok {
				if optional {
					continue
				}
				return fmt.Errorf("%s.%s is missing", path, key)
			}
			if err := check(path+"."+key, want, member); err != nil {
				return err
			}
		}
		for name := range o {
			if _, ok := schema[name]; ok || strings.HasPrefix(name, "_") {
				continue
			}
			if _, ok := schema[name+"?"]; !ok {
				return fmt.Errorf("%s.%s is not in the standard", path, name)
			}
		}
	case []any:
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is no array", path)
		}
		for i, member := range list {
			if err := check(fmt.Sprintf("%s[%d]", path, i), schema[0], member); err != nil {
				return err
			}
		}
	case string:
		var ok bool
		switch schema {
		case "string":
			_, ok = v.(string)
		case "bool":
			_, ok = v.(bool)
		case "number":
			_, ok = v.(float64)
		case "time":
			s, _ := v.(string)
			_, err := time.Parse(time.RFC3339, s)
			ok = err == nil
		case "phase": // never -1
			n, is := v.(float64)
			ok = is && n >= 0
		case "integer":
			n, is := v.(float64)
			ok = is && n == float64(int64(n)) && n >= -1
		case "signed":
			n, is := v.(float64)
			ok = is && n == float64(int64(n))
		}
		if !ok {
			return fmt.Errorf("%s: %v is no %s", path, v, schema)
		}
	}
	return nil
}

var (
	pairSchema   = schemaOf{"name": "string", "value": "string", "comment?": "string"}
	cookieSchema = schemaOf{"name": "string", "value": "string", "path?": "string", "domain?": "string", "expires?": "time", "httpOnly?": "bool", "secure?": "bool", "comment?": "string"}
	harSchema    = schemaOf{"log": schemaOf{"version": "string", "creator": schemaOf{"name": "string", "version": "string", "comment?": "string"}, "browser?": schemaOf{"name": "string", "version": "string"}, "pages?": []any{schemaOf{}}, "comment?": "string",
		"entries": []any{schemaOf{"pageref?": "string", "startedDateTime": "time", "time": "phase", "cache": schemaOf{}, "serverIPAddress?": "string", "connection?": "string", "comment?": "string",
			"request": schemaOf{"method": "string", "url": "string", "httpVersion": "string", "cookies": []any{cookieSchema}, "headers": []any{pairSchema}, "queryString": []any{pairSchema},
				"postData?": schemaOf{"mimeType": "string", "params?": []any{schemaOf{"name": "string"}}, "text?": "string", "comment?": "string"}, "headersSize": "integer", "bodySize": "integer", "comment?": "string"},
			"response": schemaOf{"status": "integer", "statusText": "string", "httpVersion": "string", "cookies": []any{cookieSchema}, "headers": []any{pairSchema},
				"content":     schemaOf{"size": "integer", "compression?": "signed", "mimeType": "string", "text?": "string", "encoding?": "string", "comment?": "string"},
				"redirectURL": "string", "headersSize": "integer", "bodySize": "integer", "comment?": "string"},
			"timings": schemaOf{"blocked?": "number", "dns?": "number", "connect?": "number", "ssl?": "number", "send": "phase", "wait": "phase", "receive": "phase", "comment?": "string"}}}}}
)

func TestStandard(t *testing.T) {
	var v any
	if err := json.Unmarshal(write(t, sample.Exchanges()), &v); err != nil {
		t.Fatal(err)
	}
	if err := check("", harSchema, v); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(write(t, &sample.Source{}), &v); err != nil {
		t.Fatal(err)
	}
	if err := check("", harSchema, v); err != nil {
		t.Error(err)
	}
}

func TestWhatOtherToolsSee(t *testing.T) {
	var v struct {
		Log struct {
			Entries []struct {
				Request struct {
					Cookies     []cookie
					QueryString []pair
					PostData    map[string]any
				}
				Response struct {
					Cookies     []cookie
					RedirectURL string
					Content     map[string]any
				}
				Frames []frame `json:"_webSocketMessages"`
			}
		}
	}
	if err := json.Unmarshal(write(t, sample.Exchanges()), &v); err != nil {
		t.Fatal(err)
	}
	e := v.Log.Entries
	if got := e[0].Request.QueryString; !reflect.DeepEqual(got, []pair{{"x", "1"}, {"y", "&"}, {"x", "2"}}) {
		t.Errorf("query: %v", got)
	}
	if got := e[0].Request.Cookies; !reflect.DeepEqual(got, []cookie{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}) {
		t.Errorf("cookies: %v", got)
	}
	if got := e[0].Response.Cookies; !reflect.DeepEqual(got, []cookie{{Name: "s", Value: "1", Path: "/", HTTPOnly: true, Secure: true}, {Name: "t", Value: "2", Expires: "2026-10-21T07:28:00Z"}}) {
		t.Errorf("cookies: %v", got)
	}
	if got := e[0].Response.Content["text"]; got != `{"name":"Grün"}` {
		t.Errorf("text: %v", got)
	}
	if got := e[1].Response.Content; got["text"] != strings.Repeat("<p>Grün</p>\n", 5000) || got["size"] != float64(len(strings.Repeat("<p>Grün</p>\n", 5000))) || got["encoding"] != nil {
		t.Errorf("decoded content: size %v, encoding %v", got["size"], got["encoding"])
	}
	if got := e[1].Request.PostData["text"]; got != "a=1&b=it's%0A" || e[1].Response.RedirectURL != "/there" {
		t.Errorf("form: %v", got)
	}
	if got := e[2].Response.Content; got["encoding"] != "base64" || got["text"] != "//4AAQ==" {
		t.Errorf("bytes: %v", got)
	}
	if got := e[4].Frames; len(got) != 6 || got[0] != (frame{Type: "send", Time: float64(sample.Now.UnixMilli()+5001) / 1e3, Opcode: 1, Data: "hällo"}) || got[1].Opcode != 2 || got[1].Data != "AP8=" {
		t.Errorf("frames: %+v", got)
	}
}

func TestReadsWhatOthersWrite(t *testing.T) {
	file := "\xef\xbb\xbf" + `{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"537.36"},"pages":[{"id":"page_1","x":[1,{"y":"]"}]}],"entries":[
	{"startedDateTime":"2026-01-31T10:00:00.000Z","time":12.5,"_resourceType":"fetch","connection":"443",
	 "request":{"method":"POST","url":"https://a.test/x","httpVersion":"h2","headers":[{"name":":path","value":"/x"},{"name":"a","value":"b"}],"cookies":[],"queryString":[],"headersSize":-1,"bodySize":3,
	            "postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"1&2"},{"name":"c","value":""}]}},
	 "response":{"status":200,"statusText":"","httpVersion":"h2","headers":[{"name":"content-encoding","value":"br"},{"name":"set-cookie","value":"a=1\nb=2"}],"cookies":[],"content":{"size":5,"mimeType":"text/plain","text":"hello"},"redirectURL":"","headersSize":-1,"bodySize":-1,"_transferSize":99},
	 "cache":{},"timings":{"blocked":1,"dns":-1,"send":0.1,"wait":10,"receive":1,"ssl":-1,"connect":-1}},
	{"startedDateTime":"2026-01-31T11:00:00.000+0100","time":null,
	 "request":{"method":"GET","url":"wss://a.test/","httpVersion":"HTTP/1.1","headers":[],"bodySize":"0"},
	 "response":{"status":101,"statusText":"Switching Protocols","httpVersion":"http/1.1","headers":[],"content":{"size":0,"mimeType":"x-unknown"}},
	 "_webSocketMessages":[{"type":"send","time":1769853600.5,"opcode":1,"data":"hi"},{"type":"receive","time":1769853601,"opcode":2,"data":"AP8="}]},
	{"startedDateTime":"2026-01-31T10:00:00","request":{"method":"GET","url":"https://b.test/"},"response":{"status":0,"_error":"net::ERR_NAME_NOT_RESOLVED","content":{}}},
	{"startedDateTime":"2026-01-31T10:00:00Z","request":{"method":"GET","url":"https://b.test/"},"response":{"status":200,"headers":[{"name":"Content-Encoding","value":"gzip"}],"content":{"size":400,"text":"`
	packed := sample.Gzip("already")
	enc, _ := json.Marshal(packed)
	file += strings.Trim(string(enc), `"`) + `","encoding":"base64"}}},
	{"startedDateTime":"2026-01-31T10:00:00Z","request":{"method":"GET","url":"https://b.test/"},"response":{"status":200,"content":{"size":400}}}
	]}}`
	var out sample.Recorder
	n, err := Read(context.Background(), strings.NewReader(file), &out)
	if err != nil || n != 5 {
		t.Fatalf("read %d: %v", n, err)
	}
	x := out.Exchanges
	if x[0].Request.HTTPVersion != "HTTP/2" || len(x[0].Request.Header) != 1 || len(x[0].Response.Header.Values("Set-Cookie")) != 2 || x[0].Connection != "443" || x[0].Timings.DNS != -1 || x[0].Timings.Wait != 10 {
		t.Errorf("%+v", x[0])
	}
	if got := string(out.Bodies[sample.Key{ID: 1, Side: capture.SideRequest}]); got != "a+b=1%262&c=" {
		t.Errorf("form: %q", got)
	}
	r, err := content.Decode(x[0].Response.Header, bytes.NewReader(out.Bodies[sample.Key{ID: 1, Side: capture.SideResponse}]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
		t.Errorf("coded anew: %q, %v", got, err)
	}
	if x[1].Kind != capture.KindWebSocket || x[1].Time != -1 || !x[1].Started.Equal(sample.Now.Truncate(time.Second)) || len(out.Conversation[2]) != 2 || string(out.Conversation[2][1].Data) != "\x00\xff" {
		t.Errorf("%+v %+v", x[1], out.Conversation[2])
	}
	if x[2].State != capture.StateFailed || x[2].Response != nil || x[2].Error.Message != "net::ERR_NAME_NOT_RESOLVED" {
		t.Errorf("%+v", x[2])
	}
	if !bytes.Equal(out.Bodies[sample.Key{ID: 4, Side: capture.SideResponse}], packed) {
		t.Error("a body that had its coding was coded twice")
	}
	if !x[4].Response.Truncated {
		t.Error("a body that was left out counts as kept")
	}
}

func TestCodingsAreGivenBack(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, br", "zap", "identity"} {
		h := capture.Header{{Name: "Content-Encoding", Value: coding}}
		var out bytes.Buffer
		if err := encode(&out, h, text{s: "some text"}.open); err != nil {
			t.Fatal(err)
		}
		coded := out.Bytes()
		if coding == "zap" {
			if string(coded) != "some text" {
				t.Errorf("%s: %q", coding, coded)
			}
			continue
		}
		r, err := content.Decode(h, bytes.NewReader(coded))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "some text" {
			t.Errorf("%s: %q, %v", coding, got, err)
		}
	}
}

// Long bodies go through files, which are gone afterwards.
func TestLongBodies(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	long := strings.Repeat("zażółć \"gęślą\" \\ jaźń \u2028\n", spooled/20)
	octets := make([]byte, 3*spooled)
	for i := range octets {
		octets[i] = byte(i * i)
	}
	in := sample.Exchanges()
	in.Exchanges = in.Exchanges[:4]
	in.Bodies = map[sample.Key][]byte{
		{ID: 1, Side: capture.SideRequest}: []byte(long), {ID: 1, Side: capture.SideResponse}: []byte(long + "x"),
		{ID: 2, Side: capture.SideRequest}: octets, {ID: 2, Side: capture.SideResponse}: sample.Gzip(string(octets) + long),
		{ID: 3, Side: capture.SideRequest}: []byte("short"), {ID: 3, Side: capture.SideResponse}: octets[:spooled],
	}
	in.Exchanges[2].Messages = 1
	in.Conversation = map[int64][]capture.Message{3: {{N: 1, Direction: "received", Kind: "event", Time: sample.Now, Data: []byte(long), Size: int64(len(long))}}}
	file := write(t, in)
	for name, from := range map[string]io.Reader{"at once": bytes.NewReader(file), "in pieces": iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(file)))} {
		var out sample.Recorder
		if _, err := Read(context.Background(), from, &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, want := range in.Bodies {
			if got := out.Bodies[key]; !bytes.Equal(got, want) {
				t.Errorf("%s: body %v: got %d bytes, want %d", name, key, len(got), len(want))
			}
		}
		if m := out.Conversation[3]; len(m) != 1 || string(m[0].Data) != long {
			t.Errorf("%s: message", name)
		}
	}
	// A file that ends in a long body leaves nothing behind either.
	if _, err := Read(context.Background(), bytes.NewReader(file[:len(file)/2]), capture.Discard); err == nil {
		t.Error("half a file was taken")
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// nowhere records nothing but counts.
type nowhere struct {
	capture.Recording
	n int64
}

func (n *nowhere) Begin(*capture.Exchange) capture.Recording { return n }
func (n *nowhere) ID() int64                                 { return 1 }
func (n *nowhere) Body(_ capture.Side, p []byte)             { n.n += int64(len(p)) }
func (n *nowhere) Finish(f func(*capture.Exchange))          { f(new(capture.Exchange)) }

func TestMemoryDoesNotGrowWithABody(t *testing.T) {
	const size = 48 << 20
	head := `{"log":{"entries":[{"startedDateTime":"2026-01-31T10:00:00Z","request":{"method":"GET","url":"http://a.test/"},"response":{"status":200,"headers":[{"name":"Content-Encoding","value":"gzip"}],"content":{"text":"`
	file := io.MultiReader(strings.NewReader(head), io.LimitReader(letters{}, size), strings.NewReader(`"}}}]}}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	to := new(nowhere)
	if _, err := Read(context.Background(), file, to); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 24<<20 || to.n == 0 {
		t.Errorf("%d MiB for a body of %d, %d bytes recorded", grown>>20, size>>20, to.n)
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func FuzzSpooler(f *testing.F) {
	f.Add([]byte(`{"text":"a\"b\\","_data":[":"],"x":{"text" : "\u00e9\ud83d\ude00"}}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := newSpooler(iotest.OneByteReader(bytes.NewReader(p)))
		defer s.Close()
		got, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, p) {
			t.Fatalf("%q came through as %q", p, got)
		}
		// Undoing escapes agrees with encoding/json.
		var want string
		quoted := append(append([]byte{'"'}, p...), '"')
		if json.Unmarshal(quoted, &want) != nil || !utf8.Valid(p) {
			return
		}
		plain, err := io.ReadAll(iotest.OneByteReader(&unescaper{r: bufio.NewReaderSize(bytes.NewReader(p), 16)}))
		if err != nil || string(plain) != want {
			t.Fatalf("%q is %q, want %q (%v)", p, plain, want, err)
		}
	})
}

func TestReadSaysWhere(t *testing.T) {
	ok := `{"startedDateTime":"2026-01-31T10:00:00Z","request":{"method":"GET","url":"http://a.test/"},"response":{"status":200}}`
	for file, want := range map[string]string{
		``:                                     "the file ends in the middle",
		`[]`:                                   "[ where { was expected",
		`{}`:                                   "it has no log",
		`{"log":{"entries":[` + ok + `,{`:      "entry 2: the file ends in the middle",
		`{"log":{"entries":[` + ok + `,{"a":}`: "entry 2: invalid character '}'",
		`{"log":{"entries":[{"request":{}}]}}`: `entry 1: startedDateTime "" is no time`,
		`{"log":{"entries":[` + ok + `]`:       "the file ends in the middle",
		`{"log":{"entries":{}}}`:               "{ where [ was expected",
		`<html>`:                               "invalid character '<'",
		`{"log":{"entries":[{"request":"GET"}]}}`: "entry 1: json: cannot unmarshal",
	} {
		_, err := Read(context.Background(), strings.NewReader(file), capture.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", file, err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Read(ctx, strings.NewReader(`{"log":{"entries":[`+ok+`]}}`), capture.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, sample.Exchanges()))
	f.Add([]byte(`{"log":{"entries":[{"startedDateTime":"2026-01-31T10:00:00Z","request":{"method":"GET","url":"http://a.test/"},"response":{"status":"200"}}]}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		var out sample.Recorder
		if _, err := Read(context.Background(), bytes.NewReader(file), &out); err != nil {
			return
		}
		// What was read can be written and read again.
		var again sample.Recorder
		n, err := Read(context.Background(), bytes.NewReader(write(t, &out.Source)), &again)
		if err != nil || n != int64(len(out.Exchanges)) {
			t.Fatalf("read %d of %d again: %v", n, len(out.Exchanges), err)
		}
	})
}
