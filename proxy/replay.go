package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/wire"
)

// ReplayRequest is a request that is sent again, or composed.
type ReplayRequest struct {
	Method string
	// URL is absolute: http or https.
	URL string
	// Target is the request-target where it cannot be told from URL: "*".
	Target string
	// ServerName is what the origin's TLS is asked for, where that is not URL's host.
	ServerName string
	// Header is sent as it is, in order, hop-by-hop fields aside. A Host field names another host than URL's.
	Header capture.Header
	// HTTPVersion is what the request was sent with: "HTTP/2" offers HTTP/2 to the origin.
	HTTPVersion string
	// Body is sent whole; nil means none. Length is -1 where it is not known. Replay closes Body when the exchange ends.
	Body   io.ReadCloser
	Length int64
	// Trailer follows a chunked body.
	Trailer capture.Header
	// Conversation gives what the client of a WebSocket said, line by line until io.EOF; nil: nothing is said. Timed says
	// that it is to be said with the pauses it had, else each line once the origin has said as much as it had before.
	Conversation func() (Line, error)
	Timed        bool
	// ReplayOf is the exchange that is sent again; 0: composed.
	ReplayOf int64
	// Choice is what this request does otherwise than the configuration says: another client certificate, say.
	Choice upstream.Choice
}

// ErrStopped is the error of a replay on a proxy that is shutting down.
var ErrStopped = errors.New("the proxy is shutting down")

// Replay sends a request through the very same pipeline as live traffic, and returns the id of its exchange as soon as
// there is one. done, where it is not nil, is called when the exchange has ended. The replay goes on when ctx ends.
func (p *Proxy) Replay(ctx context.Context, req ReplayRequest, done func()) (int64, error) {
	closeBody := func() {
		if req.Body != nil {
			req.Body.Close()
		}
	}
	f, err := p.replayFlow(req)
	if err != nil {
		closeBody()
		return 0, err
	}
	p.mu.Lock()
	if p.draining.Load() {
		p.mu.Unlock()
		f.cancel()
		closeBody()
		return 0, ErrStopped
	}
	p.flows.Add(1)
	p.mu.Unlock()
	id := make(chan int64, 1)
	f.onBegin = func(n int64) { id <- n }
	go func() {
		defer p.flows.Done()
		defer close(id)
		defer closeBody()
		if err := f.serveThrough(&discardResponse{}); err != nil {
			p.cfg.Log(fmt.Sprintf("replaying exchange %d: %v", f.replayOf, err))
		}
		f.finish()
		if done != nil {
			done()
		}
	}()
	select {
	case n, ok := <-id:
		if !ok {
			return 0, errors.New("the request was for eaves itself and was not recorded")
		}
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// replayFlow makes a flow of a request that no connection brought.
func (p *Proxy) replayFlow(req ReplayRequest) (*flow, error) {
	scheme, authority, ok := urlAuthority(req.URL)
	if !ok {
		return nil, fmt.Errorf("the URL %q has no host, or something that no request line can have", req.URL)
	}
	def := 80
	switch scheme {
	case "http":
	case "https":
		def = 443
	default:
		return nil, fmt.Errorf("the URL %q is neither http nor https", req.URL)
	}
	host, port, err := splitAuthority(authority, def)
	if err != nil {
		return nil, fmt.Errorf("the URL %q: %w", req.URL, err)
	}
	f := p.newFlow(p.quit)
	f.source, f.replayOf, f.choice = capture.SourceReplay, req.ReplayOf, req.Choice
	if req.ReplayOf == 0 {
		f.source = capture.SourceCompose
	}
	f.client = discardClient{}
	f.method, f.scheme, f.host, f.port = req.Method, scheme, host, port
	f.authority, f.name = authority, req.ServerName
	f.target = rawTarget(req.URL)
	if req.Target == "*" {
		f.target = req.Target
	}
	f.url = req.URL
	f.proto = "HTTP/1.1"
	if req.HTTPVersion == "HTTP/2" || req.HTTPVersion == "HTTP/2.0" {
		f.proto, f.http2 = "HTTP/2", true
	}
	fields, err := replayFields(req.Header)
	if err != nil {
		f.cancel()
		return nil, err
	}
	if h := fields.Get("Host"); h != "" {
		f.authority = h
	} else {
		fields = append(wire.Fields{{Name: "Host", Value: f.authority}}, fields...)
	}
	f.fields = fields
	if up := fields.Get("Upgrade"); up != "" && fields.HasToken("Connection", "upgrade") {
		f.upgrading, f.http2, f.proto = up, false, "HTTP/1.1"
		f.client = discardClient{webSocket: isWebSocket(up)}
		if isWebSocket(up) && req.Conversation != nil {
			f.script = newScript(req.Conversation, req.Timed)
			f.client = talkingClient{script: f.script}
		}
	}
	f.local, f.keepBody = true, func(body io.Reader) { _, _ = io.Copy(io.Discard, body) }
	switch {
	case req.Body == nil && fields.Get("Content-Length") == "0":
		f.framing = wire.Framing{Kind: wire.Length}
	case req.Body == nil:
	case req.Length >= 0 && !fields.HasToken("Transfer-Encoding", "chunked"):
		f.framing, f.body = wire.Framing{Kind: wire.Length, Length: req.Length}, req.Body
	default:
		f.framing, f.body = wire.Framing{Kind: wire.Chunked}, req.Body
		if len(req.Trailer) > 0 {
			trailer, err := replayFields(req.Trailer)
			if err != nil {
				f.cancel()
				return nil, err
			}
			f.trailer = func() wire.Fields { return trailer }
		}
	}
	if !validMethod(f.method) {
		f.cancel()
		return nil, fmt.Errorf("%q is no method", f.method)
	}
	return f, nil
}

// urlAuthority takes the scheme, in lower case, and the authority without userinfo from an absolute URL. The rest is not
// looked at: what a client sent as it is, broken escapes included, is sent again as it was.
func urlAuthority(s string) (scheme, authority string, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	control := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
	return strings.ToLower(scheme), rest, ok && rest != "" && !control && !strings.Contains(rest, " ")
}

// rawTarget is the part of an absolute URL that is sent as request-target: as it was written, but for the fragment.
func rawTarget(s string) string {
	_, rest, _ := strings.Cut(s, "://")
	rest, _, _ = strings.Cut(rest, "#")
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		return "/"
	}
	rest = strings.ReplaceAll(rest[i:], " ", "%20")
	if rest[0] == '?' {
		return "/" + rest
	}
	return rest
}

// replayFields are header fields as they will be written. What could break out of its line is refused.
func replayFields(h capture.Header) (wire.Fields, error) {
	fields := make(wire.Fields, 0, len(h))
	for _, fl := range h {
		if !validMethod(fl.Name) { // a field name is a token, too
			return nil, fmt.Errorf("%q is no header field name", fl.Name)
		}
		if strings.ContainsAny(fl.Value, "\r\n\x00") {
			return nil, fmt.Errorf("the value of header field %s has a line end or NUL in it", fl.Name)
		}
		fields = append(fields, wire.Field{Name: fl.Name, Value: fl.Value})
	}
	return fields, nil
}

func validMethod(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}
