package pcap

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"

	"eaves/capture"
	"eaves/capture/internal/sample"
)

func write(t testing.TB, w io.Writer, s Source, exchanges ...*capture.Exchange) {
	t.Helper()
	p := NewWriter(w, s)
	for _, x := range exchanges {
		if err := p.Write(context.Background(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, s Source, exchanges ...*capture.Exchange) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write(t, f, s, exchanges...)
	return name
}

// tshark returns the given fields of the packets that match.
func tshark(t *testing.T, file, filter string, fields ...string) [][]string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := []string{"-r", file, "-2", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	c := exec.CommandContext(ctx, "tshark", args...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var rows [][]string
	for _, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if line != "" {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// expect compares rows.
func expect(t *testing.T, file, filter string, fields []string, want ...[]string) {
	t.Helper()
	got := tshark(t, file, filter, fields...)
	if len(got) != len(want) {
		t.Errorf("%s: got %d rows, want %d: %q", filter, len(got), len(want), got)
		return
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("%s: got %q, want %q", filter, got[i], want[i])
		}
	}
}

func TestTsharkReadsTheSamples(t *testing.T) {
	s := sample.Exchanges()
	file := save(t, s, s.Exchanges...)
	expect(t, file, "http.request", []string{"frame.comment", "tcp.stream", "http.request.method", "http.request.uri", "http.host"},
		[]string{"eaves exchange 1", "0", "GET", "/v1/a%20b?x=1&y=%26&x=2", "api.bank.test"},
		[]string{"eaves exchange 2", "1", "POST", "/form", "a.test"},
		[]string{"eaves exchange 4", "3", "GET", "/", "nowhere.test"},
		[]string{"eaves exchange 5", "4", "GET", "/ws", "a.test"},
		[]string{"eaves exchange 6", "5", "CONNECT", "a.test:22", "a.test:22"},
		[]string{"eaves exchange 7", "6", "GET", "/slow", "[2001:db8::1]:8080"},
		[]string{"eaves exchange 9", "8", "HEAD", "/", "a.test"},
	)
	expect(t, file, "http.response", []string{"frame.comment", "http.response.code", "http.response.phrase"},
		[]string{"eaves exchange 1", "103", ""},
		[]string{"eaves exchange 1", "200", "Fine"},
		[]string{"eaves exchange 2", "302", "Found"},
		[]string{"eaves exchange 5", "101", "Switching Protocols"},
		[]string{"eaves exchange 6", "200", "Connection established"},
		[]string{"eaves exchange 9", "200", "OK"},
	)
	expect(t, file, "json", []string{"frame.comment", "json.value.string"}, []string{"eaves exchange 1", "Grün"})
	expect(t, file, "urlencoded-form", []string{"frame.comment", "urlencoded-form.value"}, []string{"eaves exchange 2", "1|it's\\n"})
	rows := tshark(t, file, "http.response.code == 302", "http.file_data")
	if len(rows) != 1 || !strings.Contains(rows[0][0], "Gr") || len(rows[0][0]) < 50_000 {
		t.Errorf("the compressed body is not undone: %.200q", rows)
	}
	expect(t, file, "http2.header && tcp.stream == 2", []string{"frame.comment", "http2.headers.method", "http2.headers.path", "http2.headers.authority", "http2.headers.status", "http2.header.name"},
		[]string{"eaves exchange 3", "PUT", "/up", "a.test:8443", "", ":method|:scheme|:authority|:path|content-type|content-length|x-sum"},
		[]string{"eaves exchange 3", "", "", "", "200", ":status|content-type|grpc-status"},
	)
	rows = tshark(t, file, "http2.data.data && tcp.stream == 2", "http2.data.data")
	if len(rows) != 2 || !strings.HasPrefix(rows[0][0], hex.EncodeToString(s.Bodies[sample.Key{ID: 3, Side: capture.SideRequest}])) || !strings.HasPrefix(rows[1][0], "fffe0001") {
		t.Errorf("DATA: %q", rows)
	}
	expect(t, file, "websocket", []string{"frame.comment", "websocket.opcode", "websocket.mask", "websocket.payload.text"},
		[]string{"eaves exchange 5", "1", "1", "hällo"},
		[]string{"eaves exchange 5", "2", "0", ""},
		[]string{"eaves exchange 5", "9", "1", ""},
		[]string{"eaves exchange 5", "10", "0", ""},
		[]string{"eaves exchange 5", "1", "0", strings.Repeat("long ", 20_000)},
		[]string{"eaves exchange 5", "8", "1", ""},
	)
	expect(t, file, "tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.stream in {0, 6}", []string{"ip.src", "ip.dst", "tcp.dstport"}, []string{"127.0.0.1", "192.0.2.9", "80"}, []string{"127.0.0.1", "192.0.2.9", "8080"})
	if got := tshark(t, file, "tcp.flags.reset == 1", "frame.comment"); len(got) != 1 || got[0][0] != "eaves exchange 4" {
		t.Errorf("resets: %q", got)
	}
	sound(t, file)
	rows = tshark(t, file, "frame", "frame.comment")
	for _, row := range rows {
		if !strings.HasPrefix(row[0], "eaves exchange ") {
			t.Fatalf("a packet without a comment: %q", row)
		}
	}
}

// sound checks that tshark finds nothing wrong with a file.
func sound(t *testing.T, file string) {
	t.Helper()
	if got := tshark(t, file, "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.flags || _ws.expert.severity >= 6291456", "frame.number", "tcp.stream", "_ws.expert.message"); len(got) != 0 {
		for _, row := range got {
			if !strings.Contains(row[2], "Connection reset (RST)") {
				t.Errorf("tshark complains: %q", row)
			}
		}
	}
}

// https URLs and odd ports are dissected as HTTP without any preference.
func TestEveryPortIsHTTP(t *testing.T) {
	var exchanges []*capture.Exchange
	for i, url := range []string{"https://a.test/", "https://a.test:443/", "https://a.test:22/", "http://a.test:5432/", "http://a.test:8080/", "https://[2001:db8::2]:53/", "http://10.0.0.1:9/"} {
		for j, v := range []string{"HTTP/1.1", "HTTP/2"} {
			exchanges = append(exchanges, &capture.Exchange{ID: int64(10*i + j), State: capture.StateDone, Started: sample.Now, Request: capture.Request{Method: "GET", URL: url, HTTPVersion: v, Header: capture.Header{{Name: "Host", Value: "a.test"}}},
				Response: &capture.Response{Status: 204, StatusText: "No Content", HTTPVersion: v}})
		}
	}
	file := save(t, &sample.Source{}, exchanges...)
	for _, filter := range []string{"http.request.method == GET", "http.response.code == 204", "http2.headers.method == GET", "http2.headers.status == 204"} {
		if got := tshark(t, file, filter, "frame.comment"); len(got) != len(exchanges)/2 {
			t.Errorf("%s: %q", filter, got)
		}
	}
	if got := tshark(t, file, "ipv6.dst == 2001:db8::2 && tcp.dstport == 80 && http.request", "frame.comment"); len(got) != 1 {
		t.Errorf("IPv6: %q", got)
	}
	sound(t, file)
}

func TestChunksAndTrailers(t *testing.T) {
	body := strings.Repeat("0123456789", 10_000)
	h := capture.Header{{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Content-Type", Value: "text/plain"}}
	x := &capture.Exchange{ID: 1, State: capture.StateDone, Started: sample.Now, Request: capture.Request{Method: "POST", URL: "http://a.test/", HTTPVersion: "HTTP/1.1", Header: h},
		Response: &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", Header: h, Trailer: capture.Header{{Name: "X-Sum", Value: "7"}}}}
	s := &sample.Source{Bodies: map[sample.Key][]byte{{ID: 1, Side: capture.SideRequest}: []byte(body), {ID: 1, Side: capture.SideResponse}: []byte(body)}}
	file := save(t, s, x)
	for _, filter := range []string{"http.request", "http.response"} {
		rows := tshark(t, file, filter, "http.file_data")
		if len(rows) != 1 || rows[0][0] != body && rows[0][0] != hex.EncodeToString([]byte(body)) {
			t.Errorf("%s: %.100q", filter, rows)
		}
	}
	var raw bytes.Buffer
	write(t, &raw, s, x)
	if !bytes.Contains(raw.Bytes(), []byte("0\r\nX-Sum: 7\r\n\r\n")) {
		t.Error("the trailer is missing")
	}
	sound(t, file)
}

// A header section that needs CONTINUATION, and a WebSocket over HTTP/2.
func TestHTTP2Corners(t *testing.T) {
	h := capture.Header{{Name: "X-Long", Value: strings.Repeat("\x7fé~", 20_000)}, {Name: "Connection", Value: "close"}}
	x := &capture.Exchange{ID: 1, State: capture.StateDone, Started: sample.Now, Request: capture.Request{Method: "GET", URL: "https://u:p@a.test?q", HTTPVersion: "HTTP/3", Header: h}, Response: &capture.Response{Status: 200, Header: h, Informational: []capture.Informational{{Status: 103}}}}
	y := &capture.Exchange{ID: 2, Kind: capture.KindWebSocket, State: capture.StateDone, Started: sample.Now, Request: capture.Request{Method: "CONNECT", URL: "wss://a.test/ws", HTTPVersion: "HTTP/2"}, Response: &capture.Response{Status: 200}}
	s := sample.Exchanges()
	s.Conversation[2] = s.Conversation[5]
	file := save(t, s, x, y)
	if got := tshark(t, file, "http2.type == 9", "frame.comment"); len(got) < 2 {
		t.Errorf("CONTINUATION: %q", got)
	}
	expect(t, file, "http2.headers.method", []string{"http2.headers.method", "http2.headers.path", "http2.headers.authority"}, []string{"GET", "/?q", "a.test"}, []string{"CONNECT", "/ws", "a.test"})
	expect(t, file, "http2.headers.status", []string{"http2.headers.status"}, []string{"103"}, []string{"200"}, []string{"200"})
	if got := tshark(t, file, "http2.type == 0 && tcp.stream == 1", "frame.number"); len(got) < 6 {
		t.Errorf("frames over HTTP/2: %q", got)
	}
}

// endless is a body that is made while it is read.
type endless struct{ n, at int64 }

func (b *endless) Size() int64  { return b.n }
func (b *endless) Close() error { return nil }
func (b *endless) Read(p []byte) (int, error) {
	n, err := b.ReadAt(p, b.at)
	b.at += int64(n)
	return n, err
}
func (b *endless) Seek(at int64, _ int) (int64, error) { b.at = at; return at, nil }
func (b *endless) ReadAt(p []byte, at int64) (int, error) {
	if at >= b.n {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), b.n-at))
	for i := range n {
		p[i] = byte(at + int64(i))
	}
	return n, nil
}

type largeSource struct{ size int64 }

func (s largeSource) Body(_ context.Context, _ int64, side capture.Side) (capture.Body, error) {
	if side == capture.SideRequest {
		return nil, capture.ErrNotFound
	}
	return &endless{n: s.size}, nil
}

func (largeSource) Messages(context.Context, int64, int64, int) ([]capture.Message, error) {
	return nil, capture.ErrNotFound
}

func large(version string, size int64) *capture.Exchange {
	return &capture.Exchange{ID: 1, State: capture.StateDone, Started: sample.Now, Request: capture.Request{Method: "GET", URL: "https://a.test/", HTTPVersion: version},
		Response: &capture.Response{Status: 200, StatusText: "OK", Header: capture.Header{{Name: "Content-Length", Value: fmt.Sprint(size)}}}}
}

func TestLargeBodies(t *testing.T) {
	const size = 3 << 20
	for _, v := range []string{"HTTP/1.1", "HTTP/2"} {
		file := save(t, largeSource{size}, large(v, size))
		rows := tshark(t, file, "tcp.srcport == 80 && tcp.len > 0", "tcp.len", "tcp.seq")
		sum, next := 0, 1
		for _, row := range rows {
			var n, seq int
			fmt.Sscan(row[0], &n)
			fmt.Sscan(row[1], &seq)
			if n > mss || seq != next {
				t.Fatalf("%s: segment of %d at %d, want at %d", v, n, seq, next)
			}
			sum, next = sum+n, next+n
		}
		if sum < size || sum > size+size/100+1000 {
			t.Errorf("%s: %d bytes", v, sum)
		}
		sound(t, file)
	}
}

func TestMemoryDoesNotGrow(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	write(t, io.Discard, largeSource{48 << 20}, large("HTTP/1.1", 48<<20))
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("%d MiB for a body of 48", grown>>20)
	}
}

func TestGopacketReadsIt(t *testing.T) {
	s := sample.Exchanges()
	var out bytes.Buffer
	write(t, &out, s, s.Exchanges...)
	r, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		_, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n++; info.Timestamp.Before(sample.Now) || info.Timestamp.After(sample.Now.Add(time.Hour)) {
			t.Fatalf("packet %d at %v", n, info.Timestamp)
		}
	}
	if n < 100 {
		t.Errorf("%d packets", n)
	}
	if r.SectionInfo().Application != "eaves" {
		t.Errorf("%+v", r.SectionInfo())
	}
}

func TestPhasesHaveTheirTime(t *testing.T) {
	s := sample.Exchanges()
	file := save(t, s, s.Exchanges[1])
	rows := tshark(t, file, "http.response.code == 302", "frame.time_relative", "http.time")
	var at, took float64
	if len(rows) != 1 {
		t.Fatalf("%q", rows)
	}
	fmt.Sscan(rows[0][0], &at)
	fmt.Sscan(rows[0][1], &took)
	// 21.5 ms to connect, 30.5 to wait.
	if at < 0.0520 || at > 0.0522 || took < 0.0304 || took > 0.0306 {
		t.Errorf("the answer came after %v s, %v s behind the request", at, took)
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("GET", "http://a.test/", "HTTP/1.1", "X", "1", []byte("body"), 200)
	f.Add("GET", "https://[::1]:1/", "HTTP/2", "host", "\x00", []byte{}, 101)
	f.Fuzz(func(t *testing.T, method, url, version, name, value string, body []byte, status int) {
		h := capture.Header{{Name: name, Value: value}}
		x := &capture.Exchange{ID: 1, Kind: capture.KindWebSocket, Started: sample.Now, State: capture.StateDone, Client: capture.Client{Address: value}, ServerIPAddress: name,
			Request: capture.Request{Method: method, URL: url, HTTPVersion: version, Header: h, Trailer: h}, Response: &capture.Response{Status: status, StatusText: value, Header: h, Trailer: h}}
		s := sample.Exchanges()
		s.Bodies = map[sample.Key][]byte{{ID: 1, Side: capture.SideRequest}: body, {ID: 1, Side: capture.SideResponse}: body}
		s.Conversation[1] = []capture.Message{{N: 1, Kind: name, Data: body}}
		var out bytes.Buffer
		write(t, &out, s, x)
		r, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, _, err := r.ReadPacketData(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A body that was not kept whole does not hide its head.
func TestCutBodiesAreDissected(t *testing.T) {
	var exchanges []*capture.Exchange
	s := &sample.Source{Bodies: map[sample.Key][]byte{}}
	for i, length := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		name, value, _ := strings.Cut(length, ": ")
		h := capture.Header{{Name: name, Value: value}, {Name: "Content-Type", Value: "text/plain"}}
		for j, v := range []string{"HTTP/1.1", "HTTP/2"} {
			for k, state := range []capture.State{capture.StateDone, capture.StateFailed} {
				x := &capture.Exchange{ID: int64(100*i + 10*j + k + 1), State: state, Started: sample.Now, Request: capture.Request{Method: "POST", URL: "http://a.test/", HTTPVersion: v, Header: h, Truncated: true},
					Response: &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: v, Header: h, Truncated: true}}
				exchanges = append(exchanges, x)
				if i == 0 {
					s.Bodies[sample.Key{ID: x.ID, Side: capture.SideRequest}] = []byte(strings.Repeat("cut ", 1000))
					s.Bodies[sample.Key{ID: x.ID, Side: capture.SideResponse}] = []byte(strings.Repeat("cut ", 1000))
				}
			}
		}
	}
	file := save(t, s, exchanges...)
	for _, filter := range []string{"http.request.method == POST", "http.response.code == 200", "http2.headers.method == POST", "http2.headers.status == 200"} {
		if got := tshark(t, file, filter, "frame.comment"); len(got) != len(exchanges)/2 {
			t.Errorf("%s: %q", filter, got)
		}
	}
}
