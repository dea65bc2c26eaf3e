package har

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/internal/bodyjson"
)

// Source gives what an exchange does not hold itself.
type Source interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
	Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error)
}

// Writer writes a HAR file, one exchange after the other.
type Writer struct {
	w       *bufio.Writer
	source  Source
	version string
	entries int64
	begun   bool
}

// NewWriter returns a writer to w; version is that of eaves.
func NewWriter(w io.Writer, source Source, version string) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), source: source, version: version}
}

// Write appends an exchange.
func (h *Writer) Write(ctx context.Context, x *capture.Exchange) error {
	if err := h.begin(); err != nil {
		return err
	}
	if h.entries++; h.entries > 1 {
		h.w.WriteByte(',')
	}
	h.w.WriteByte('\n')
	return h.entry(ctx, x)
}

// Close ends the file. It does not close the writer below.
func (h *Writer) Close() error {
	if err := h.begin(); err != nil {
		return err
	}
	h.w.WriteString("\n]}}\n")
	return h.w.Flush()
}

func (h *Writer) begin() error {
	if h.begun {
		return nil
	}
	h.begun = true
	h.w.WriteString(`{"log":{"version":"1.2","creator":`)
	if err := h.value(creator{Name: creatorName, Version: h.version}); err != nil {
		return err
	}
	_, err := h.w.WriteString(`,"entries":[`)
	return err
}

// value writes a small value.
func (h *Writer) value(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = h.w.Write(b)
	return err
}

// open writes an object without its closing brace, so that what streams can follow in it.
func (h *Writer) open(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = h.w.Write(b[:len(b)-1])
	return err
}

func (h *Writer) entry(ctx context.Context, x *capture.Exchange) error {
	if err := h.open(entryHead{Started: x.Started.UTC().Format(capture.TimeFormat), Time: max(x.Time, 0)}); err != nil {
		return err
	}
	h.w.WriteString(`,"request":`)
	if err := h.request(ctx, x); err != nil {
		return err
	}
	h.w.WriteString(`,"response":`)
	if err := h.response(ctx, x); err != nil {
		return err
	}
	rest := entryRest{Timings: timingsOf(x.Timings), ServerIPAddress: x.ServerIPAddress, Connection: x.Connection, Comment: x.Comment, Own: own(x)}
	if x.Kind == capture.KindWebSocket {
		rest.ResourceType = resourceWebSocket
	}
	if x.Error != nil {
		rest.Error = x.Error.Error()
	}
	h.w.WriteByte(',')
	b, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	h.w.Write(b[1 : len(b)-1])
	if x.Messages > 0 || x.Kind == capture.KindWebSocket {
		if err := h.messages(ctx, x); err != nil {
			return err
		}
	}
	return h.w.WriteByte('}')
}

// own is what the standard's members do not say.
func own(x *capture.Exchange) *capture.Exchange {
	o := *x
	o.Request.Method, o.Request.URL, o.Request.HTTPVersion, o.Request.Header, o.Comment = "", "", "", nil, ""
	if x.Response != nil {
		r := *x.Response
		r.Header, r.Content.MimeType = nil, ""
		o.Response = &r
	}
	return &o
}

func (h *Writer) request(ctx context.Context, x *capture.Exchange) error {
	q := &x.Request
	head := request{Method: q.Method, URL: q.URL, HTTPVersion: q.HTTPVersion, Headers: headersOf(q.Header), Cookies: requestCookies(q.Header),
		QueryString: query(q.URL), HeadersSize: q.HeadersSize, BodySize: q.BodySize}
	if err := h.open(head); err != nil {
		return err
	}
	b, err := bodyjson.Open(ctx, h.source, x.ID, capture.SideRequest, q.Header)
	if err != nil {
		return err
	}
	if b != nil {
		defer b.Close()
		h.w.WriteString(`,"postData":`)
		if err := h.open(postHead{MimeType: q.Header.Get("Content-Type")}); err != nil {
			return err
		}
		if b.Text {
			h.w.WriteString(`,"text":`)
			if err := b.WriteText(h.w); err != nil {
				return err
			}
		} else {
			// The standard has no way to say that text is base64 here.
			h.w.WriteString(`,"params":[]`)
		}
		if b.Coded || !b.Text {
			h.w.WriteString(`,"_data":`)
			if err := b.WriteKept(h.w); err != nil {
				return err
			}
		}
		h.w.WriteByte('}')
	}
	return h.w.WriteByte('}')
}

func (h *Writer) response(ctx context.Context, x *capture.Exchange) error {
	p := x.Response
	if p == nil {
		// As browsers write an answer that never came.
		p = &capture.Response{HeadersSize: -1, BodySize: -1}
	}
	head := response{Status: p.Status, StatusText: p.StatusText, HTTPVersion: p.HTTPVersion, Headers: headersOf(p.Header), Cookies: responseCookies(p.Header),
		RedirectURL: p.Header.Get("Location"), HeadersSize: p.HeadersSize, BodySize: p.BodySize}
	if err := h.open(head); err != nil {
		return err
	}
	h.w.WriteString(`,"content":`)
	b, err := bodyjson.Open(ctx, h.source, x.ID, capture.SideResponse, p.Header)
	if err != nil {
		return err
	}
	content := contentHead{MimeType: mimeType(p)}
	if b != nil {
		defer b.Close()
		content.Size = b.Size
		if b.Coded {
			saved := b.Size - b.Kept
			content.Compression = &saved
		}
		if !b.Text {
			content.Encoding = "base64"
		}
	}
	if err := h.open(content); err != nil {
		return err
	}
	if b != nil {
		h.w.WriteString(`,"text":`)
		if b.Text {
			err = b.WriteText(h.w)
		} else {
			err = b.WriteBase64(h.w)
		}
		if err == nil && b.Coded {
			h.w.WriteString(`,"_data":`)
			err = b.WriteKept(h.w)
		}
		if err != nil {
			return err
		}
	}
	_, err = h.w.WriteString(`}}`)
	return err
}

// mimeType is the content's type; the standard wants one.
func mimeType(p *capture.Response) string {
	if t := p.Header.Get("Content-Type"); t != "" {
		return t
	}
	if p.Content.MimeType != "" {
		return p.Content.MimeType
	}
	return "x-unknown"
}

// page is how many messages are asked for at a time.
const page = 200

// messages writes a WebSocket's messages as Chromium does, and all others in the API's form.
func (h *Writer) messages(ctx context.Context, x *capture.Exchange) error {
	webSocket := x.Kind == capture.KindWebSocket
	name := `,"_messages":[`
	if webSocket {
		name = `,"_webSocketMessages":[`
	}
	h.w.WriteString(name)
	for after, first := int64(0), true; ; {
		ms, err := h.source.Messages(ctx, x.ID, after, page)
		if errors.Is(err, capture.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		for i := range ms {
			if !first {
				h.w.WriteByte(',')
			}
			first = false
			var v any = ms[i]
			if webSocket {
				v = frameOf(&ms[i])
			}
			if err := h.value(v); err != nil {
				return err
			}
			after = ms[i].N
		}
		if len(ms) == 0 {
			break
		}
	}
	return h.w.WriteByte(']')
}

func headersOf(h capture.Header) []header {
	hs := make([]header, len(h))
	for i, f := range h {
		hs[i] = headerOf(f)
	}
	return hs
}

// query takes the URL's query apart. What does not decode stays as it is.
func query(rawURL string) []pair {
	pairs := []pair{}
	rawURL, _, _ = strings.Cut(rawURL, "#")
	_, query, _ := strings.Cut(rawURL, "?")
	for _, part := range strings.Split(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{Name: unescape(name), Value: unescape(value)})
	}
	return pairs
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	return s
}

func requestCookies(h capture.Header) []cookie {
	cookies := []cookie{}
	for _, line := range h.Values("Cookie") {
		for _, part := range strings.Split(line, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
			if ok {
				cookies = append(cookies, cookie{Name: name, Value: value})
			}
		}
	}
	return cookies
}

func responseCookies(h capture.Header) []cookie {
	cookies := []cookie{}
	for _, line := range h.Values("Set-Cookie") {
		parsed, err := http.ParseSetCookie(line)
		if err != nil {
			continue // it is among the headers
		}
		c := cookie{Name: parsed.Name, Value: parsed.Value, Path: parsed.Path, Domain: parsed.Domain, HTTPOnly: parsed.HttpOnly, Secure: parsed.Secure}
		if !parsed.Expires.IsZero() {
			c.Expires = parsed.Expires.UTC().Format(time.RFC3339)
		}
		cookies = append(cookies, c)
	}
	return cookies
}
