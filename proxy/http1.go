package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// serve speaks with a client until it leaves.
func (c *clientConn) serve() {
	b, err := c.br.Peek(1)
	if err != nil {
		return
	}
	if b[0] == socksVersion {
		c.setBusy(time.Now())
		t, err := c.socks()
		if err != nil {
			return
		}
		c.tunnel(t)
		return
	}
	if r := c.serveHTTP1(); r != nil {
		host, port, err := splitAuthority(r.URL.Host, 443)
		if err != nil {
			return
		}
		c.tunnel(&target{host: host, port: port, via: r.Proto})
	}
}

// serveHTTP1 serves requests one after the other until the connection ends, which it closes properly, or until one is a
// CONNECT, which it returns.
func (c *clientConn) serveHTTP1() (connect *http.Request) {
	for {
		if c.p.draining.Load() {
			return nil
		}
		if _, err := c.br.Peek(1); err != nil {
			return nil
		}
		start := time.Now()
		c.setBusy(start)
		again := c.serveOne(start)
		if c.connect != nil {
			r := c.connect
			c.connect = nil
			return r
		}
		if !again {
			return nil
		}
		c.setIdle()
	}
}

// headTimeout is how long a client may take for the head of a request it has begun.
const headTimeout = 60 * time.Second

// serveOne serves one request and says whether the connection can take another.
func (c *clientConn) serveOne(start time.Time) (again bool) {
	whole := c.br.Buffered() > 0 && headBuffered(c.br)
	if !whole {
		c.Conn.SetReadDeadline(start.Add(headTimeout))
	}
	head, err := wire.ReadRequestHead(c.br, wire.Limits{})
	if !whole {
		c.Conn.SetReadDeadline(time.Time{})
	}
	if err == nil {
		var framing wire.Framing
		if framing, err = head.Framing(); err == nil {
			if via, yes := c.p.looped(head.Fields); yes {
				c.refuseLoop(head, via, start)
				return false
			}
			return c.serveRequest(head, framing, start)
		}
	}
	c.refuse(head, err, start)
	return false
}

var headEnd = []byte("\r\n\r\n")

// headBuffered says whether a whole head is already in the buffer, as it nearly always is.
func headBuffered(br *bufio.Reader) bool {
	b, _ := br.Peek(br.Buffered())
	return bytes.Contains(b, headEnd)
}

// refuse answers a request that cannot be understood in exactly one way, and records it: a proxy that guessed could be
// used to smuggle a second request past whoever reads it differently (RFC 9112, 11.2).
func (c *clientConn) refuse(head *wire.RequestHead, err error, start time.Time) {
	var pe *wire.ParseError
	if !errors.As(err, &pe) {
		return // the client left or was too slow
	}
	status := pe.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	f := c.flow(head, start)
	if f.method == "" {
		f.method = "-"
	}
	if f.url == "" {
		f.url = c.urlOf(f.target)
	}
	f.decide()
	f.begin(f.exchange(f.fields))
	f.failure = &capture.Error{Stage: capture.StageClient, Message: "the request was refused: " + pe.Error(),
		Hint: "a request that two readers can take in different ways is not sent on (RFC 9112, 11.2)"}
	if len(pe.Head) > 0 {
		// Not as a body, which it is not: a body is exported with its secrets, and sent again.
		f.rec.Update(func(x *capture.Exchange) { x.Request.HeadersSize = int64(len(pe.Head)) })
	}
	w := &response1{c: c, f: f, closing: true}
	f.client = w
	write(w, f.own(status, f.failure))
	w.finish()
	f.finish()
	c.linger()
}

// write sends a whole answer.
func write(w http.ResponseWriter, resp *http.Response) {
	for k, vs := range resp.Header {
		w.Header()[k] = vs
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
	resp.Body.Close()
}

// flow begins a flow from a head, which may be incomplete or nil where the request was refused.
func (c *clientConn) flow(head *wire.RequestHead, start time.Time) *flow {
	f := c.p.newFlow(c.ctx)
	f.start, f.remote, f.from, f.clientTLS = start, c.remote, c.from, c.tls
	f.proto = "HTTP/1.1"
	if c.target != nil {
		f.scheme, f.host, f.port, f.name = c.target.scheme, c.target.host, c.target.port, c.target.serverName
		f.straight = true
	}
	if head == nil {
		return f
	}
	f.method, f.target, f.fields, f.headSize = head.Method, head.Target, head.Fields, head.Size
	if head.Proto != "" {
		f.proto = head.Proto
	}
	f.authority = head.Host
	return f
}

// urlOf is what is recorded as URL for a target inside the tunnel, or of the proxy itself.
func (c *clientConn) urlOf(target string) string {
	if !strings.HasPrefix(target, "/") && strings.Contains(target, "://") {
		if c.target == nil {
			return target
		}
		target = rawTarget(target) // in a tunnel it goes to the tunnel's end, whatever it names
	}
	if c.target == nil {
		return "http://" + c.tcp.LocalAddr().String() + target
	}
	if !strings.HasPrefix(target, "/") {
		target = "/"
	}
	return c.target.scheme + "://" + c.target.authority() + target
}

// serveRequest sends one understood request through the pipeline.
func (c *clientConn) serveRequest(head *wire.RequestHead, framing wire.Framing, start time.Time) (again bool) {
	f := c.flow(head, start)
	f.framing = framing
	w := &response1{c: c, f: f, http10: head.Minor == 0, closing: !head.KeepAlive()}
	f.client = w
	if c.target == nil && head.Form != wire.AuthorityForm && head.Form != wire.AbsoluteForm {
		// A request to the proxy as to a web server.
		f.scheme, f.host, f.url = "http", "", c.urlOf(head.Target)
	} else if err := f.locate(head, c); err != nil {
		f.cancel() // refuse begins a flow of its own
		c.refuse(head, &wire.ParseError{Status: http.StatusBadRequest, Reason: err.Error()}, start)
		return false
	}
	var body *watched
	if framing.Kind != wire.None && head.Method != http.MethodConnect {
		b := wire.NewBody(c.br, framing, wire.Limits{})
		body = &watched{body: b, c: c, f: f}
		w.request = b
		if w.waiting = head.ExpectsContinue(); !w.waiting {
			f.keepBody = c.keepBody
		}
		f.body, f.trailer = body, b.Trailer
	}
	if body == nil || framing.Kind == wire.Length && framing.Length == 0 {
		c.watch.allow(f.cancel)
	}
	failed := f.serveThrough(w)
	if c.connect != nil {
		// What happens in the tunnel is recorded, not the CONNECT.
		c.watch.stop(c)
		f.cancel()
		return false
	}
	c.watch.stop(c)
	whole := body == nil || body.stop()
	ok := w.finish()
	f.finish()
	if f.upgraded || failed != nil {
		return false
	}
	if !whole {
		// The client is still sending what nobody will read.
		if ok {
			c.linger()
		}
		return false
	}
	if !ok {
		return false
	}
	if w.closing {
		c.linger()
		return false
	}
	return true
}

// keepTime and keepBytes bound what is read of a body that no origin took.
const (
	keepTime  = time.Second
	keepBytes = 1 << 20
)

// keepBody reads the rest of a request's body, as far as it comes soon.
func (c *clientConn) keepBody(body io.Reader) {
	c.Conn.SetReadDeadline(time.Now().Add(keepTime))
	_, _ = io.CopyN(io.Discard, body, keepBytes+1) // one more, to see the end
	c.Conn.SetReadDeadline(time.Time{})
}

// serveThrough sends the flow through goproxy, which decides between CONNECT, requests to origins and those to the proxy
// itself. Inside a tunnel there is nothing to decide, and the maps that its hooks would be shown cost a tenth of an
// exchange. What panics fails its own exchange only.
func (f *flow) serveThrough(w http.ResponseWriter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				f.p.cfg.Log(fmt.Sprintf("serving a %s to %s: %v", f.method, f.host, v)) // no URL: it may hold secrets
			}
			f.noteCut(capture.StageHTTP, "eaves failed while it served this request")
			err = fmt.Errorf("a hook failed: %v", v)
		}
	}()
	if f.host != "" && f.method != http.MethodConnect && f.p.serveOwn(w, f) {
		return nil
	}
	if f.straight && f.method != http.MethodConnect {
		f.serveStraight(w)
		return nil
	}
	r := f.request()
	if f.method == http.MethodConnect {
		r.URL.Scheme, r.URL.Host, r.URL.Path = "", f.target, ""
	} else if f.host == "" { // for the proxy itself
		r.URL.Scheme, r.URL.Host = "", ""
		r.RequestURI = f.target
	}
	f.p.gp.ServeHTTP(w, r)
	return nil
}

// locate finds where the request goes and what it is called: in a tunnel the tunnel's end, whatever the Host field says;
// else what the absolute URL names.
func (f *flow) locate(head *wire.RequestHead, c *clientConn) error {
	switch {
	case head.Form == wire.AuthorityForm:
		if c.target != nil {
			return errors.New("a CONNECT inside a tunnel is not served")
		}
		var err error
		f.host, f.port, err = splitAuthority(head.Authority, 0)
		f.url = "tcp://" + head.Target
		return err
	case c.target != nil:
		f.url = c.urlOf(head.Target)
	default:
		scheme := strings.ToLower(head.Scheme)
		def := 80
		switch scheme {
		case "http", "ws":
			f.scheme = "http"
		case "https", "wss":
			// Asked in clear for what is to be sent over TLS: eaves does what the URL says.
			f.scheme, def = "https", 443
		default:
			return fmt.Errorf("the URL scheme %q is not proxied", head.Scheme)
		}
		authority := head.Authority
		if i := strings.LastIndexByte(authority, '@'); i >= 0 {
			authority = authority[i+1:]
		}
		var err error
		if f.host, f.port, err = splitAuthority(authority, def); err != nil {
			return err
		}
		f.url, f.target = head.Target, head.Path
		// A proxy replaces the Host field with what the URL names (RFC 9112, 3.2.2).
		if f.authority != authority && head.Fields.Has("Host") {
			f.fields, f.original = head.Fields.Set("Host", authority), head.Fields
		}
		f.authority = authority
	}
	if head.Fields.HasToken("Connection", "upgrade") {
		// An upgrade to h2c is between client and proxy, and is not taken up (RFC 9113, 3.1 has retired it).
		if up := head.Fields.Get("Upgrade"); up != "" && !head.Fields.HasToken("Upgrade", "h2c") && head.Minor > 0 {
			f.upgrading = up
		}
	}
	return nil
}

// watched is a request's body on the client's connection; when it has been read whole, the connection may be watched for
// a client that leaves.
type watched struct {
	body *wire.Body
	c    *clientConn
	f    *flow

	mu   sync.Mutex // held while the connection is read
	done bool
	over bool
}

// errOver is what reading the body gives when its exchange has ended.
var errOver = errors.New("the exchange is over")

func (b *watched) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, errOver
	}
	n, err := b.body.Read(p)
	if !b.done && (err == io.EOF || b.body.Complete()) {
		b.done = true
		b.c.watch.allow(b.f.cancel)
	}
	return n, err
}

// Buffered says how much can be read without waiting, at least.
func (b *watched) Buffered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0
	}
	return b.body.Buffered()
}

// stop ends the reading, also one under way on behalf of an origin that answered without waiting for the whole body. It
// says whether the body has been read whole.
func (b *watched) stop() bool {
	if b.body.Complete() {
		return true
	}
	b.c.Conn.SetReadDeadline(time.Unix(1, 0))
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.c.Conn.SetReadDeadline(time.Time{})
	return b.body.Complete()
}

// lazyHeader is made when it is asked for: an answer that nobody edits has no use for it.
type lazyHeader struct{ header http.Header }

func (h *lazyHeader) Header() http.Header {
	if h.header == nil {
		h.header = make(http.Header)
	}
	return h.header
}

// response1 writes one answer to an HTTP/1 client as the origin gave it.
type response1 struct {
	c *clientConn
	f *flow
	lazyHeader
	http10   bool
	closing  bool // the connection ends with this answer
	began    bool // the head has been written
	bodiless bool
	request  *wire.Body // the request's body, nil: there is none
	waiting  bool       // the client keeps the body back until it gets a 100
	body     *wire.BodyWriter
	framing  wire.Framing
	taken    bool // hijacked or upgraded
	err      error
}

// Hijack gives goproxy the connection for a CONNECT.
func (w *response1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.taken = true
	return w.c, nil, nil
}

// WriteHeader writes the head: the origin's lines as they were, hop-by-hop fields aside, and what a hook changed.
func (w *response1) WriteHeader(status int) {
	if w.began || w.taken {
		return
	}
	w.began = true
	var fields wire.Fields
	reason := http.StatusText(status)
	origin := w.f.resp != nil && w.f.failure == nil
	if origin {
		fields = w.f.answered(w.header)
		if w.f.resp.Status == status {
			reason = w.f.resp.Reason
			if reason == "" && w.f.resp.Major == 2 { // HTTP/2 has none
				reason = http.StatusText(status)
			}
		}
	} else {
		fields = wire.FromMap(w.header)
		if w.f.failure != nil && w.f.failure.Stage == capture.StageClient {
			w.closing = true // nobody knows where the client's next request begins
		}
	}
	fields = w.frame(fields, status, origin)
	if origin && (status != w.f.resp.Status || !wire.SameEndToEnd(fields, w.f.resp.Fields)) {
		w.f.rec.Update(func(x *capture.Exchange) {
			x.Client.Response = &capture.Response{Status: status, StatusText: reason, HTTPVersion: "HTTP/1.1",
				Header: header(fields), Trailer: capture.Header{}, HeadersSize: -1, BodySize: -1}
		})
	}
	if err := wire.WriteResponseHead(w.c.bw, "HTTP/1.1", status, reason, fields); err != nil {
		w.fail(err)
		return
	}
	if !w.bodiless {
		w.body = wire.NewBodyWriter(w.c.bw, w.framing)
	}
}

// frame decides how the body is sent (RFC 9112, 6) and makes the fields say so.
func (w *response1) frame(fields wire.Fields, status int, origin bool) wire.Fields {
	var keep wire.Keep
	switch status {
	case http.StatusProxyAuthRequired:
		keep |= wire.KeepProxyAuth // an origin that answers 407 is strange, but the client should see what it said
	case http.StatusUpgradeRequired:
		keep |= wire.KeepUpgrade
	}
	length, known := w.length(fields, origin)
	switch {
	case w.f.method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified:
		w.bodiless = true
	case known:
		w.framing = wire.Framing{Kind: wire.Length, Length: length}
	case w.http10 || origin && w.f.resp.Framing.Kind == wire.UntilClose:
		w.framing = wire.Framing{Kind: wire.UntilClose}
		w.closing = true
	default:
		w.framing = wire.Framing{Kind: wire.Chunked}
	}
	// An answer that does not wait for the request's body ends the connection: eaves' own, and a final one instead of the
	// 100 that the client waits for, since nobody knows whether it sends its body now (RFC 9110, 10.1.1).
	early := w.request != nil && !w.request.Complete() && (!origin || w.waiting && w.request.Count() == 0)
	if early || w.c.p.draining.Load() {
		w.closing = true
	}
	if w.closing {
		keep |= wire.Closing
	}
	fields = wire.NormaliseResponse(fields, status, w.framing, keep)
	if w.http10 && !w.closing {
		fields = append(fields, wire.Field{Name: "Connection", Value: "keep-alive"})
	}
	return fields
}

// length is the length of the body, where it is known: as the origin framed it, or as a hook has set it.
func (w *response1) length(fields wire.Fields, origin bool) (int64, bool) {
	if origin && w.f.resp.Framing.Kind == wire.Length && fields.Has("Content-Length") && w.f.resp.Fields.Get("Content-Length") == fields.Get("Content-Length") {
		return w.f.resp.Framing.Length, true
	}
	if origin && w.f.resp.Framing.Kind != wire.Length && w.f.resp.Major == 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(fields.Get("Content-Length"), 10, 64)
	return n, err == nil && n >= 0
}

func (w *response1) Write(p []byte) (int, error) {
	if w.taken {
		return len(p), nil
	}
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.bodiless {
		return len(p), nil
	}
	n, err := w.body.Write(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// Flush sends what has been written. A body whose last byte has been written waits for its end, which is sent with it.
func (w *response1) Flush() {
	if w.taken || w.err != nil {
		return
	}
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if err := w.c.bw.Flush(); err != nil {
		w.fail(err)
	}
}

func (w *response1) fail(err error) {
	if w.err == nil {
		w.err = err
		w.f.noteCut(capture.StageClient, "the client closed the connection before the answer was complete")
		w.f.cancel()
	}
}

// finish ends the answer, and says whether it went out whole. One that did not must not look as if it had: the
// connection is cut.
func (w *response1) finish() bool {
	if w.taken {
		return true
	}
	cut := w.f.cut()
	if cut != nil && cut.Stage != capture.StageClient {
		_ = w.c.bw.Flush() // what came before the cut is the client's
		w.reset()
		return false
	}
	if !w.began && w.err == nil && cut == nil {
		w.WriteHeader(http.StatusOK)
	}
	if w.err == nil && w.body != nil {
		var trailer wire.Fields
		if w.f.resp != nil && w.f.failure == nil && w.f.resp.Trailer != nil {
			trailer = w.f.resp.Trailer()
		}
		if err := w.body.Close(trailer); err != nil {
			w.err = err
		}
	}
	if w.err == nil {
		if err := w.c.bw.Flush(); err != nil {
			w.fail(err)
		}
	}
	if w.err != nil {
		w.reset()
		return false
	}
	return true
}

// reset makes a cut visible where the end of the connection would else look like the end of the body. So it does in TLS
// as well: many clients, curl among them, do not mind a missing close_notify.
func (w *response1) reset() {
	if w.framing.Kind == wire.UntilClose {
		if t, ok := w.c.tcp.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	}
	w.c.Close()
}

func (w *response1) informational(status int, reason string, f wire.Fields) error {
	if w.http10 || w.began { // RFC 9110, 15.2: never to an HTTP/1.0 client
		return nil
	}
	if status == http.StatusContinue {
		w.waiting = false
	}
	kept := wire.NormaliseResponse(f, status, wire.Framing{})
	if err := wire.WriteResponseHead(w.c.bw, "HTTP/1.1", status, reason, kept); err != nil {
		return err
	}
	return w.c.bw.Flush()
}

func (w *response1) upgrade(status int, reason string, f wire.Fields) (io.ReadWriteCloser, error) {
	w.taken, w.began = true, true
	w.c.watch.stop(w.c)
	if err := wire.WriteResponseHead(w.c.bw, "HTTP/1.1", status, reason, f); err != nil {
		return nil, err
	}
	if err := w.c.bw.Flush(); err != nil {
		return nil, err
	}
	return &rest{Conn: w.c.Conn, r: w.c.br}, nil
}

// rest is a connection whose first bytes are in a buffer.
type rest struct {
	net.Conn
	r io.Reader
}

func (c *rest) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite ends the sending side, if the connection can.
func (c *rest) CloseWrite() error {
	if cw, ok := c.Conn.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}
