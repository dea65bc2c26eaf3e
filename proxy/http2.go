package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/http2"

	"eaves/capture"
	"eaves/proxy/h2"
	"eaves/proxy/wire"
)

// serveHTTP2 serves an HTTP/2 connection until it ends.
func (c *clientConn) serveHTTP2(nc net.Conn) {
	hc := h2.NewConn(nc, h2.Config{Handler: c.serveStream, Malformed: c.refuseStream})
	c.h2.Store(hc)
	if c.p.draining.Load() {
		hc.Shutdown()
	}
	hc.Serve(c.p.quit)
}

// streamFlow begins a flow from a stream's head.
func (c *clientConn) streamFlow(s *h2.Stream) *flow {
	f := c.p.newFlow(c.ctx)
	f.remote, f.from, f.clientTLS = c.remote, c.from, c.tls
	f.proto, f.http2, f.straight = "HTTP/2", true, true
	f.scheme, f.host, f.port, f.name = c.target.scheme, c.target.host, c.target.port, c.target.serverName
	f.method, f.target, f.authority = s.Method, s.Path, s.Authority
	f.headSize = s.HeadSize
	f.fields = joinCookies(s.Fields)
	if s.Authority != "" && !s.Fields.Has("host") {
		f.fields = append(wire.Fields{{Name: "host", Value: s.Authority}}, f.fields...)
	}
	f.url = c.urlOf(f.target)
	return f
}

// joinCookies puts the crumbs of a cookie together, as whoever is behind HTTP/1 expects them (RFC 9113, 8.2.3).
func joinCookies(fields wire.Fields) wire.Fields {
	crumbs := fields.Values("cookie")
	if len(crumbs) < 2 {
		return fields
	}
	return fields.Set("cookie", strings.Join(crumbs, "; "))
}

// refuseStream records a request that HTTP/2 does not allow.
func (c *clientConn) refuseStream(s *h2.Stream, why string) {
	f := c.streamFlow(s)
	defer f.finish()
	if f.method == "" {
		f.method = "-"
	}
	f.client = discardClient{}
	f.decide()
	f.begin(f.exchange(f.fields))
	f.failure = &capture.Error{Stage: capture.StageClient, Message: "the request was refused: " + why}
}

// serveStream serves one request of an HTTP/2 connection.
func (c *clientConn) serveStream(s *h2.Stream) {
	f := c.streamFlow(s)
	stop := context.AfterFunc(s.Context(), f.cancel)
	defer stop()
	w := &response2{s: s, f: f}
	f.client = w
	switch {
	case s.Bodiless && s.Length == 0:
		f.framing = wire.Framing{Kind: wire.Length}
	case s.Bodiless:
	case s.Length >= 0:
		f.framing = wire.Framing{Kind: wire.Length, Length: s.Length}
	default:
		f.framing = wire.Framing{Kind: wire.Chunked}
	}
	if !s.Bodiless {
		f.body, f.trailer = s, s.Trailer
		f.keepBody = func(body io.Reader) {
			defer s.StopReading(keepTime)()
			_, _ = io.CopyN(io.Discard, body, keepBytes+1)
		}
	}
	var err error
	if f.method == http.MethodConnect {
		// Inside the tunnel that the client already has, there is no other to open.
		http.Error(w, "eaves: a CONNECT inside a tunnel is not served", http.StatusBadRequest)
	} else {
		err = f.serveThrough(w)
	}
	if !w.finish() || err != nil {
		s.Reset(http2.ErrCodeInternal) // a cut answer must not look whole
	}
	f.finish()
}

// response2 writes one answer to an HTTP/2 client.
type response2 struct {
	s *h2.Stream
	f *flow
	lazyHeader
	began    bool
	bodiless bool
	over     bool // the answer has ended
	err      error
}

// WriteHeader writes the head as the origin gave it, without fields that only HTTP/1 has (RFC 9113, 8.2.2).
func (w *response2) WriteHeader(status int) {
	if w.began {
		return
	}
	w.began = true
	origin := w.f.resp != nil && w.f.failure == nil
	var fields wire.Fields
	if origin {
		fields = w.f.answered(w.header)
	} else {
		fields = wire.FromMap(w.header)
	}
	w.bodiless = w.f.method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	framing := wire.Framing{Kind: wire.None}
	if origin && !w.bodiless {
		framing = w.f.resp.Framing
	}
	var keep wire.Keep
	if status == http.StatusProxyAuthRequired {
		keep = wire.KeepProxyAuth
	}
	if origin && w.f.resp.Major == 1 {
		// What HTTP/1 says about the body is checked, and said once.
		fields = wire.NormaliseResponse(fields, status, framing, keep)
	}
	kept, _ := wire.HopByHop(fields, keep)
	w.fail(w.s.WriteHead(status, lower(kept), w.bodiless))
	w.over = w.bodiless
}

// lower gives fields the names HTTP/2 has. Those that it cannot have (RFC 9113, 8.2.1) are left out: a client would
// refuse the answer for them.
func lower(fields wire.Fields) wire.Fields {
	out := make(wire.Fields, 0, len(fields))
	for i := range fields {
		if fields[i].Valid() {
			out = append(out, wire.Field{Name: strings.ToLower(fields[i].Name), Value: fields[i].Value})
		}
	}
	return out
}

func (w *response2) Write(p []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.bodiless || len(p) == 0 {
		return len(p), nil
	}
	n, err := w.s.Write(p)
	w.fail(err)
	return n, err
}

// Flush sends what has been written.
func (w *response2) Flush() {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	w.fail(w.s.Flush())
}

func (w *response2) fail(err error) {
	if err != nil && w.err == nil {
		w.err = err
		w.f.noteCut(capture.StageClient, "the client closed the connection before the answer was complete")
		w.f.cancel()
	}
}

// finish ends the answer and says whether it is whole.
func (w *response2) finish() bool {
	if w.f.cut() != nil || w.err != nil {
		return false
	}
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.over {
		return w.err == nil
	}
	var trailer wire.Fields
	if w.f.resp != nil && w.f.failure == nil && w.f.resp.Trailer != nil {
		kept, _ := wire.HopByHop(w.f.resp.Trailer())
		trailer = lower(kept)
	}
	w.fail(w.s.Close(trailer))
	return w.err == nil
}

func (w *response2) informational(status int, _ string, f wire.Fields) error {
	if w.began {
		return nil
	}
	kept, _ := wire.HopByHop(wire.NormaliseResponse(f, status, wire.Framing{}))
	if err := w.s.WriteHead(status, lower(kept), false); err != nil {
		return err
	}
	return w.s.Flush()
}

func (w *response2) upgrade(int, string, wire.Fields) (io.ReadWriteCloser, error) {
	return nil, errors.New("HTTP/2 has no upgrades (RFC 9113, 8.6)")
}

var (
	_ client = (*response1)(nil)
	_ client = (*response2)(nil)
	_ client = discardClient{}
)

// discardClient is the client of a replay: nobody.
type discardClient struct{ webSocket bool }

func (discardClient) Flush() {}

func (discardClient) informational(int, string, wire.Fields) error { return nil }

func (c discardClient) upgrade(int, string, wire.Fields) (io.ReadWriteCloser, error) {
	if c.webSocket {
		return leaving{r: bytes.NewReader(goodbye)}, nil
	}
	return leaving{r: bytes.NewReader(nil)}, nil
}

// goodbye is a WebSocket's closing frame with status 1000, masked (with zeros) as a client has to (RFC 6455, 5.5.1).
var goodbye = []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}

// leaving is the client of a replayed conversation: it has nothing to say but that it ends.
type leaving struct{ r *bytes.Reader }

func (l leaving) Read(p []byte) (int, error)  { return l.r.Read(p) }
func (l leaving) Write(p []byte) (int, error) { return len(p), nil }
func (l leaving) Close() error                { return nil }

// discardResponse takes the answer to a replay.
type discardResponse struct{ lazyHeader }

func (w *discardResponse) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardResponse) WriteHeader(int)             {}
