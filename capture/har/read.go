package har

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/content"
)

// Read records the exchanges of a HAR file and returns how many it recorded, also when it fails: what came before the
// failure is recorded. It stops when ctx ends.
func Read(ctx context.Context, from io.Reader, to capture.Recorder) (int64, error) {
	in := &reader{ctx: ctx, to: to, ids: map[int64]int64{}, spool: newSpooler(skipMark(from))}
	defer in.spool.Close()
	err := in.file(json.NewDecoder(in.spool))
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("not a HAR file eaves can read: %w", err)
	}
	return in.count, err
}

// skipMark skips a byte order mark, which some tools write.
func skipMark(r io.Reader) io.Reader {
	var head [3]byte
	n, err := io.ReadFull(r, head[:])
	if n == 3 && string(head[:]) == "\xef\xbb\xbf" {
		return r
	}
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return io.MultiReader(bytes.NewReader(head[:n]), failing{err})
	}
	return io.MultiReader(bytes.NewReader(head[:n]), r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type reader struct {
	ctx   context.Context
	to    capture.Recorder
	count int64
	ids   map[int64]int64 // of the file, to those given here
	spool *spooler
}

func (in *reader) file(d *json.Decoder) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	found := false
	err := object(d, func(name string) error {
		if name != "log" {
			return skip(d)
		}
		found = true
		if err := delimiter(d, '{'); err != nil {
			return err
		}
		return object(d, func(name string) error {
			if name != "entries" {
				return skip(d)
			}
			return in.entries(d)
		})
	})
	if err == nil && !found {
		return errors.New("it has no log")
	}
	return err
}

func (in *reader) entries(d *json.Decoder) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := in.ctx.Err(); err != nil {
			return err
		}
		var e entry
		err := d.Decode(&e)
		if err == nil {
			err = in.record(&e)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", in.count+1, ended(err))
		}
		in.count++
	}
	return delimiter(d, ']')
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends in the middle")
	}
	return err
}

func delimiter(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return ended(err)
	}
	if t != want {
		return fmt.Errorf("%v where %v was expected, at byte %d", t, want, d.InputOffset())
	}
	return nil
}

// object calls f for each member of an object whose brace has been read.
func object(d *json.Decoder, f func(name string) error) error {
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return ended(err)
		}
		name, _ := t.(string)
		if err := f(name); err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

// skip reads past a value.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return ended(err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// number takes what tools write for one: a number, one in quotes, or nothing.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		v = -1
	}
	*n = number(v)
	return nil
}

func (n *number) float() float64 {
	if n == nil || *n < 0 {
		return -1
	}
	return float64(*n)
}

func (n *number) int() int64 {
	if f := n.float(); f < 1<<53 {
		return int64(f)
	}
	return -1
}

// entry is a HAR entry as it is read.
type entry struct {
	Started string  `json:"startedDateTime"`
	Time    *number `json:"time"`
	Request struct {
		Method      string   `json:"method"`
		URL         string   `json:"url"`
		HTTPVersion string   `json:"httpVersion"`
		Headers     []header `json:"headers"`
		HeadersSize *number  `json:"headersSize"`
		BodySize    *number  `json:"bodySize"`
		PostData    *struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
			Params   []pair `json:"params"`
			Data     string `json:"_data"`
			Encoding string `json:"encoding"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status      *number  `json:"status"`
		StatusText  string   `json:"statusText"`
		HTTPVersion string   `json:"httpVersion"`
		Headers     []header `json:"headers"`
		HeadersSize *number  `json:"headersSize"`
		BodySize    *number  `json:"bodySize"`
		Error       string   `json:"_error"`
		Content     struct {
			Size     *number `json:"size"`
			MimeType string  `json:"mimeType"`
			Text     string  `json:"text"`
			Encoding string  `json:"encoding"`
			Data     string  `json:"_data"`
		} `json:"content"`
	} `json:"response"`
	Timings struct {
		Blocked *number `json:"blocked"`
		DNS     *number `json:"dns"`
		Connect *number `json:"connect"`
		SSL     *number `json:"ssl"`
		Send    *number `json:"send"`
		Wait    *number `json:"wait"`
		Receive *number `json:"receive"`
	} `json:"timings"`
	ServerIPAddress string            `json:"serverIPAddress"`
	Connection      json.RawMessage   `json:"connection"`
	Comment         string            `json:"comment"`
	ResourceType    string            `json:"_resourceType"`
	Error           json.RawMessage   `json:"_error"`
	Frames          []frame           `json:"_webSocketMessages"`
	Messages        []capture.Message `json:"_messages"`
	Own             *capture.Exchange `json:"_eaves"`
}

func (in *reader) record(e *entry) error {
	started, err := parseTime(e.Started)
	if err != nil {
		return err
	}
	if e.Request.Method == "" || e.Request.URL == "" {
		return errors.New("its request has no method or no url")
	}
	x := e.exchange()
	x.Started = started
	requestBody, responseBody := e.requestBody(in.spool), e.responseBody(in.spool)
	defer requestBody.remove()
	defer responseBody.remove()
	// What is wrong with a body is found before the exchange begins.
	if err := requestBody.check(); err != nil {
		return err
	}
	if err := responseBody.check(); err != nil {
		return err
	}
	coded := false
	if p := x.Response; p != nil && e.Own == nil {
		// Many tools leave bodies out.
		p.Truncated = responseBody.empty() && e.Response.Content.Size.int() > 0
		coded = !responseBody.empty()
	}
	id := x.ID
	x.ReplayOf = in.ids[x.ReplayOf]
	x.ID, x.Seq, x.Source, x.Messages = 0, 0, capture.SourceImport, 0
	state, failure := x.State, x.Error
	recording := in.to.Begin(x)
	if id != 0 {
		in.ids[id] = recording.ID()
	}
	failed := in.body(recording, capture.SideRequest, requestBody, nil)
	var head capture.Header
	if coded {
		head = x.Response.Header
	}
	failed = errors.Join(failed, in.body(recording, capture.SideResponse, responseBody, head))
	for i := range e.Frames {
		recording.Message(e.Frames[i].message(e.Own != nil))
	}
	for _, m := range e.Messages {
		data, err := in.message(m.Data)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		m.Data = data
		recording.Message(m)
	}
	recording.Finish(func(x *capture.Exchange) { x.State, x.Error = state, failure })
	return failed
}

// body records a body, with the codings of head.
func (in *reader) body(to capture.Recording, side capture.Side, t text, head capture.Header) error {
	if t.empty() {
		return nil
	}
	return encode(recorder{in.ctx, to, side}, head, t.open)
}

// message returns the data of a message that may have been put aside.
func (in *reader) message(data []byte) ([]byte, error) {
	t := text{from: in.spool, s: string(data)}
	defer t.remove()
	r, err := t.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// recorder writes a body.
type recorder struct {
	ctx  context.Context
	to   capture.Recording
	side capture.Side
}

func (r recorder) Write(p []byte) (int, error) {
	r.to.Body(r.side, p)
	return len(p), r.ctx.Err()
}

// exchange is the entry without its bodies.
func (e *entry) exchange() *capture.Exchange {
	x := e.Own
	if x == nil {
		x = &capture.Exchange{Kind: e.kind(), Time: e.Time.float(), State: capture.StateDone}
		t := &e.Timings
		x.Timings = capture.Timings{Blocked: t.Blocked.float(), DNS: t.DNS.float(), Connect: t.Connect.float(), SSL: t.SSL.float(),
			Send: t.Send.float(), Wait: t.Wait.float(), Receive: t.Receive.float()}
		x.Request.HeadersSize, x.Request.BodySize = e.Request.HeadersSize.int(), e.Request.BodySize.int()
		x.Connection = strings.Trim(string(e.Connection), `"`)
		x.ServerIPAddress = strings.Trim(e.ServerIPAddress, "[]")
		if status := e.Response.Status.int(); status > 0 {
			x.Response = &capture.Response{HeadersSize: e.Response.HeadersSize.int(), BodySize: e.Response.BodySize.int()}
			x.AnsweredBy = capture.AnsweredByOrigin
		} else {
			x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageHTTP, Message: e.failure()}
		}
	}
	switch x.Kind {
	case capture.KindHTTP, capture.KindWebSocket, capture.KindTunnel:
	default:
		x.Kind = e.kind()
	}
	switch x.State {
	case capture.StateDone, capture.StateFailed:
	default:
		x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageHTTP, Message: "the exchange was still running when it was exported"}
	}
	q := &x.Request
	q.Method, q.URL, q.HTTPVersion, q.Header = e.Request.Method, e.Request.URL, protocol(e.Request.HTTPVersion), fieldsOf(e.Request.Headers)
	if p := x.Response; p != nil {
		p.Status, p.StatusText, p.HTTPVersion, p.Header = int(max(e.Response.Status.int(), 0)), e.Response.StatusText, protocol(e.Response.HTTPVersion), fieldsOf(e.Response.Headers)
		if p.Content.MimeType = p.Header.Get("Content-Type"); p.Content.MimeType == "" && e.Response.Content.MimeType != "x-unknown" {
			p.Content.MimeType = e.Response.Content.MimeType
		}
	}
	x.Comment = e.Comment
	return x
}

func (e *entry) kind() capture.Kind {
	switch {
	case e.ResourceType == resourceWebSocket, e.Frames != nil:
		return capture.KindWebSocket
	case e.Request.Method == "CONNECT":
		return capture.KindTunnel
	}
	return capture.KindHTTP
}

// failure is what the tool says of an answer that never came.
func (e *entry) failure() string {
	var said string
	if json.Unmarshal(e.Error, &said); said == "" {
		said = e.Response.Error
	}
	if said == "" {
		return "no answer was recorded"
	}
	return said
}

// protocol brings the names that tools use to those of the wire.
func protocol(s string) string {
	switch low := strings.ToLower(s); low {
	case "h2", "http/2.0", "http/2":
		return "HTTP/2"
	case "h3", "http/3.0", "http/3":
		return "HTTP/3"
	case "http/1.0", "http/1.1":
		return strings.ToUpper(low)
	}
	return s
}

func fieldsOf(hs []header) capture.Header {
	fields := make(capture.Header, 0, len(hs))
	for _, h := range hs {
		if strings.HasPrefix(h.Name, ":") {
			continue // HTTP/2's pseudo-header fields, which browsers list with the others
		}
		if h.Raw != nil {
			fields = append(fields, capture.Field{Name: h.Name, Value: string(h.Raw)})
			continue
		}
		// Chromium joins fields of one name with a line feed, which no value can have.
		for _, value := range strings.Split(h.Value, "\n") {
			fields = append(fields, capture.Field{Name: h.Name, Value: value})
		}
	}
	return fields
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("startedDateTime %q is no time", s)
}

func (e *entry) requestBody(from *spooler) text {
	p := e.Request.PostData
	switch {
	case p == nil:
		return text{}
	case p.Data != "":
		return text{from, p.Data, true}
	case p.Encoding == "base64": // as some tools have it, though the standard has not
		return text{from, p.Text, true}
	case p.Text != "" || len(p.Params) == 0 || content.MediaType(p.MimeType) != "application/x-www-form-urlencoded":
		return text{from, p.Text, false}
	}
	parts := make([]string, len(p.Params))
	for i, param := range p.Params {
		parts[i] = url.QueryEscape(param.Name) + "=" + url.QueryEscape(param.Value)
	}
	return text{s: strings.Join(parts, "&")}
}

func (e *entry) responseBody(from *spooler) text {
	c := &e.Response.Content
	if c.Data != "" {
		return text{from, c.Data, true}
	}
	return text{from, c.Text, c.Encoding == "base64"}
}
