package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http2"

	"eaves/proxy/wire"
)

// serveHTTP2 serves an HTTP/2 connection until it ends. nc is *tls.Conn inside TLS.
func (c *clientConn) serveHTTP2(nc net.Conn) {
	c.p.h2.ServeConn(nc, &http2.ServeConnOpts{
		Context:    c.p.quit,
		BaseConfig: c.p.hs,
		Handler:    http.HandlerFunc(c.serveStream),
	})
}

// serveStream serves one request of an HTTP/2 connection.
func (c *clientConn) serveStream(w http.ResponseWriter, r *http.Request) {
	f := c.p.newFlow(r.Context())
	f.remote, f.clientTLS = c.remote, c.tls
	f.proto, f.http2 = "HTTP/2", true
	f.scheme, f.host, f.port, f.name = c.target.scheme, c.target.host, c.target.port, c.target.serverName
	f.method, f.target, f.authority = r.Method, r.RequestURI, r.Host
	f.fields = h2Fields(r)
	f.url = c.urlOf(f.target)
	out := &response2{w: w, f: f}
	f.client = out
	switch {
	case r.ContentLength > 0:
		f.framing = wire.Framing{Kind: wire.Length, Length: r.ContentLength}
	case r.ContentLength < 0:
		f.framing = wire.Framing{Kind: wire.Chunked}
	case r.Header.Get("Content-Length") != "":
		f.framing = wire.Framing{Kind: wire.Length}
	}
	if f.framing.Kind != wire.None {
		f.body = r.Body
		f.trailer = func() wire.Fields { return wire.FromMap(r.Trailer) }
	}
	var err error
	if f.method == http.MethodConnect {
		// Inside the tunnel that the client already has, there is no other to open.
		http.Error(out, "eaves: a CONNECT inside a tunnel is not served", http.StatusBadRequest)
	} else {
		err = f.serveThrough(out)
	}
	whole := out.finish() && err == nil
	f.finish()
	if !whole {
		panic(http.ErrAbortHandler) // RST_STREAM: a cut answer must not look whole
	}
}

// h2Fields are the fields of an HTTP/2 request. Their order is not known any more.
func h2Fields(r *http.Request) wire.Fields {
	fields := wire.FromMap(r.Header)
	out := make(wire.Fields, 0, len(fields)+2)
	if r.Host != "" {
		out = append(out, wire.Field{Name: "Host", Value: r.Host})
	}
	out = append(out, fields...)
	if len(r.Trailer) > 0 { // the library has taken the announcement out of the header
		names := slices.Sorted(maps.Keys(r.Trailer))
		out = append(out, wire.Field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	return out
}

// response2 writes one answer to an HTTP/2 client.
type response2 struct {
	w      http.ResponseWriter
	f      *flow
	header http.Header
	began  bool
	sized  bool
	err    error
}

func (w *response2) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader writes the head without fields that only HTTP/1 has (RFC 9113, 8.2.2), adding none.
func (w *response2) WriteHeader(status int) {
	if w.began {
		return
	}
	w.began = true
	h := w.w.Header()
	var fields wire.Fields
	if w.f.resp != nil && w.f.failure == nil {
		fields = wire.Merge(w.f.resp.Fields, nil, w.header)
	} else {
		fields = wire.FromMap(w.header)
	}
	var keep wire.Keep
	if status == http.StatusProxyAuthRequired {
		keep = wire.KeepProxyAuth
	}
	kept, _ := wire.HopByHop(fields, keep)
	for _, fl := range kept {
		key := http.CanonicalHeaderKey(fl.Name)
		if key == "Content-Length" {
			// Said once, and only where it is true: the chunks of an HTTP/1 answer win over it.
			if h[key] != nil || w.f.resp != nil && w.f.resp.Framing.Kind == wire.Chunked {
				continue
			}
			w.sized = true
		}
		h[key] = append(h[key], fl.Value)
	}
	// The server library invents these where they are missing.
	for _, key := range []string{"Date", "Content-Type"} {
		if _, ok := h[key]; !ok {
			h[key] = nil
		}
	}
	w.w.WriteHeader(status)
	if !w.sized {
		w.Flush() // else the library would say a Content-Length that nobody gave
	}
}

func (w *response2) Write(p []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.w.Write(p)
	if err == http.ErrBodyNotAllowed {
		return len(p), nil
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// Flush sends what has been written.
func (w *response2) Flush() {
	if err := http.NewResponseController(w.w).Flush(); err != nil && w.err == nil {
		w.err = err
	}
}

// finish ends the answer and says whether it is whole.
func (w *response2) finish() bool {
	if cut, _ := w.f.cut(); cut != "" || w.err != nil {
		return false
	}
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.f.resp != nil && w.f.failure == nil && w.f.resp.Trailer != nil {
		h := w.w.Header()
		for _, t := range w.f.resp.Trailer() {
			h[http.TrailerPrefix+http.CanonicalHeaderKey(t.Name)] = append(h[http.TrailerPrefix+http.CanonicalHeaderKey(t.Name)], t.Value)
		}
	}
	return true
}

func (w *response2) informational(status int, _ string, f wire.Fields) error {
	if w.began || status == http.StatusContinue { // the library says 100 itself, when the body is read
		return nil
	}
	h := w.w.Header()
	kept, _ := wire.HopByHop(f)
	for _, fl := range kept {
		h.Add(fl.Name, fl.Value)
	}
	w.w.WriteHeader(status)
	clear(h)
	return nil
}

func (w *response2) upgrade(int, string, wire.Fields) (io.ReadWriteCloser, error) {
	return nil, errors.New("HTTP/2 has no upgrades (RFC 9113, 8.6)")
}

var (
	_ client          = (*response1)(nil)
	_ client          = (*response2)(nil)
	_ client          = discardClient{}
	_ context.Context = (*flow)(nil)
)

// discardClient is the client of a replay: nobody.
type discardClient struct{}

func (discardClient) Flush() {}

func (discardClient) informational(int, string, wire.Fields) error { return nil }

func (discardClient) upgrade(int, string, wire.Fields) (io.ReadWriteCloser, error) {
	return &silence{closed: make(chan struct{})}, nil
}

// silence is a peer that says nothing until it is closed.
type silence struct {
	once   sync.Once
	closed chan struct{}
}

func (s *silence) Read([]byte) (int, error)    { <-s.closed; return 0, io.EOF }
func (s *silence) Write(p []byte) (int, error) { return len(p), nil }
func (s *silence) Close() error                { s.once.Do(func() { close(s.closed) }); return nil }

// discardResponse takes the answer to a replay.
type discardResponse struct{ header http.Header }

func (w *discardResponse) Header() http.Header         { return w.header }
func (w *discardResponse) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardResponse) WriteHeader(int)             {}
