package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elazarl/goproxy"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/wire"
)

// client is the side of a flow that asked and gets the answer.
type client interface {
	http.Flusher
	// informational passes on a 1xx answer other than 101.
	informational(status int, reason string, f wire.Fields) error
	// upgrade passes on a 101 answer and hands over the connection; what was buffered is kept.
	upgrade(status int, reason string, f wire.Fields) (io.ReadWriteCloser, error)
}

// flow is one request on its way through the pipeline, whether a client sent it just now or it is sent again. It is the
// request's context, so that the hooks it goes through lead back to it.
type flow struct {
	context.Context
	cancel context.CancelFunc
	p      *Proxy
	client client
	start  time.Time

	// The request as the client sent it.
	method    string
	target    string // the request-target to send on
	scheme    string
	host      string // where to connect: lower case, no brackets
	port      int
	name      string // the TLS server name the client asked for, "" for host
	authority string // the Host field, or :authority
	url       string // as recorded
	proto     string
	http2     bool
	fields    wire.Fields
	original  wire.Fields // fields as they came, where the Host has been replaced since
	headSize  int
	framing   wire.Framing
	body      io.Reader // nil: none
	trailer   func() wire.Fields
	// keepBody reads what the client has sent of a body that no origin took, so that it is recorded and can be sent again.
	// May be nil.
	keepBody  func(io.Reader)
	local     bool    // the body is at hand, no client has to send it
	upgrading string  // the protocol the client wants to change to
	script    *script // says what the client of a replayed conversation said; nil: nobody does

	source     capture.Source
	choice     upstream.Choice
	replayOf   int64
	remote     string
	from       *guest // nil for a replay
	clientTLS  *capture.ClientTLS
	rule       *Rule // the rule that decided, if any
	unrecorded bool  // a rule or the recording switch says so
	straight   bool  // goproxy does not see it

	rec     capture.Recording
	receipt *upstream.Receipt
	begun   bool
	asked   *asked         // the request's body; nil: none
	onBegin func(id int64) // may be nil

	// What became of it; written by the goroutine that serves the flow.
	resp     *upstream.Response
	headAt   time.Time // when the answer's head was there
	failure  *capture.Error
	taps     taps
	upgraded bool

	mu   sync.Mutex
	tail *capture.Error // why the exchange was cut after its head, for the record: first cause wins
}

// flowKey is the key under which a context leads to its flow.
type flowKey struct{}

// Value leads hooks that hold the request back to the flow.
func (f *flow) Value(key any) any {
	if key == (flowKey{}) {
		return f
	}
	return f.Context.Value(key)
}

// newFlow begins a flow whose context ends with the proxy.
func (p *Proxy) newFlow(parent context.Context) *flow {
	ctx, cancel := context.WithCancel(parent)
	return &flow{Context: ctx, cancel: cancel, p: p, start: time.Now(), source: capture.SourceProxy, receipt: new(upstream.Receipt)}
}

// request is the flow as goproxy's hooks see it.
func (f *flow) request() *http.Request {
	r := (&http.Request{
		Method: f.method, Proto: f.proto, Host: f.authority, RemoteAddr: f.remote,
		URL: f.parsedURL(), Header: f.fields.Map(), Body: http.NoBody,
	}).WithContext(f)
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(f.proto)
	return r
}

// parsedURL is the URL for hooks. A target that is no URL is shown as it is: what is sent is f.target in any case.
func (f *flow) parsedURL() *url.URL {
	u := &url.URL{Scheme: f.scheme, Host: authority(f.scheme, f.host, f.port)}
	path, query, has := strings.Cut(f.target, "?")
	u.RawQuery, u.ForceQuery = query, has && query == ""
	if p, err := url.PathUnescape(path); err == nil {
		u.Path = p
		if u.EscapedPath() != path {
			u.RawPath = path
		}
	} else {
		u.Path = path
	}
	return u
}

// exchange is what is known of the flow before anything is sent.
func (f *flow) exchange(fields wire.Fields) *capture.Exchange {
	x := &capture.Exchange{
		Kind: capture.KindHTTP, State: capture.StateOpen, Started: f.start, Time: -1, Source: f.source, ReplayOf: f.replayOf,
		Client: capture.Client{Address: f.remote, HTTPVersion: f.proto},
		Request: capture.Request{
			Method: f.method, URL: f.url, HTTPVersion: f.proto, Header: header(fields), Trailer: capture.Header{},
			HeadersSize: int64(f.headSize), BodySize: 0,
		},
		Timings: capture.NoTimings(), ClientTLS: f.clientTLS,
	}
	if f.target == "*" || f.target == "" {
		x.Request.Target = f.target
	}
	return x
}

// header is fields in the vocabulary of captures.
func header(f wire.Fields) capture.Header {
	h := make(capture.Header, len(f))
	for i := range f {
		h[i] = capture.Field{Name: f[i].Name, Value: f[i].Value}
	}
	return h
}

// noteCut keeps the first cause of an exchange that was cut after its head.
func (f *flow) noteCut(side capture.Stage, why string) {
	f.noteCause(&capture.Error{Stage: side, Message: why})
}

func (f *flow) noteCause(e *capture.Error) {
	f.mu.Lock()
	if f.tail == nil {
		f.tail = e
	}
	f.mu.Unlock()
}

// cut says why the exchange was cut after its head, and by whom; nil where it was not.
func (f *flow) cut() *capture.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tail
}

// RoundTrip is what goproxy sends a request with, once its hooks have seen it.
func (f *flow) RoundTrip(r *http.Request, _ *goproxy.ProxyCtx) (*http.Response, error) {
	if _, ok := r.Header["Connection"]; !ok && f.fields.Has("Connection") {
		r.Header["Connection"] = f.fields.Values("Connection") // goproxy takes it away, and what it names would go on
	}
	if own := f.send(r.Method, wire.Merge(f.fields, nil, r.Header)); own != nil {
		own.Request = r
		return own, nil
	}
	resp := f.resp
	return &http.Response{
		Status: strconv.Itoa(resp.Status) + " " + resp.Reason, StatusCode: resp.Status,
		Proto: resp.Proto, ProtoMajor: resp.Major, ProtoMinor: resp.Minor,
		Header: resp.Fields.Map(), Body: &answer{f: f, r: resp.Body}, ContentLength: -1, Request: r,
	}, nil
}

// serveStraight sends the request and passes the answer on.
func (f *flow) serveStraight(w http.ResponseWriter) {
	f.decide()
	if own := f.send(f.method, f.fields); own != nil {
		write(w, own)
		return
	}
	body := answer{f: f, r: f.resp.Body}
	defer body.Close()
	w.WriteHeader(f.resp.Status)
	_, _ = body.WriteTo(w) // what goes wrong is noted there
}

// answered are the fields of the origin's answer, with what hooks have made of them.
func (f *flow) answered(edited http.Header) wire.Fields {
	if f.straight {
		return f.resp.Fields
	}
	return wire.Merge(f.resp.Fields, nil, edited)
}

// send sends the request to the origin and records what happens. It is the only place where exchanges begin. The origin's
// answer is f.resp; it returns another where there is none, or where the connection has been upgraded and used up.
func (f *flow) send(method string, fields wire.Fields) *http.Response {
	keep := wire.KeepTrailers
	if f.upgrading != "" {
		keep |= wire.KeepUpgrade
	}
	kept := wire.NormaliseRequest(fields, f.framing, "", keep)
	x := f.exchange(kept)
	if f.original != nil || !slices.Equal(kept, f.fields) {
		x.Client.Request = f.clientRequest()
	}
	f.begin(x)
	if f.body != nil {
		f.asked = &asked{f: f, r: f.body, tap: requestTap(f, kept)}
	}
	if f.rule != nil && f.rule.Action == ActionBlock {
		f.keepRest()
		return f.blocked()
	}
	call := &upstream.Call{
		Scheme: f.scheme, Host: f.host, Port: f.port, ServerName: f.name,
		Method: method, Target: f.target, Authority: f.authority, Fields: kept, Framing: f.framing, HTTP2: f.http2,
		Upgrade: f.upgrading, Receipt: f.receipt, Trailer: f.trailer,
		Informational: f.gotInformational, Choice: f.choice,
	}
	if f.asked != nil {
		call.Body = f.asked
	}
	resp, err := f.p.upstream.Do(f, call)
	f.headAt = time.Now()
	if err != nil {
		if f.givenUp(call) {
			f.keepRest()
		}
		return f.failed(err)
	}
	f.resp = resp
	f.rec.Update(f.describe)
	if resp.Status == http.StatusSwitchingProtocols {
		return f.switchProtocols(resp)
	}
	f.taps = tapsFor(f, resp)
	return nil
}

// givenUp says whether nobody reads the body of a call that failed any more. Whoever reads one that is at hand does not
// wait for a client, and is done with it soon.
func (f *flow) givenUp(call *upstream.Call) bool {
	if call.Body == nil {
		return false
	}
	if f.local {
		select {
		case <-call.Sent():
		case <-time.After(keepTime):
		}
	}
	select {
	case <-call.Sent():
		return true
	default:
		return false
	}
}

// keepRest records what is left of a body that no origin takes.
func (f *flow) keepRest() {
	if f.asked == nil || f.keepBody == nil {
		return
	}
	f.asked.untaken = true
	f.keepBody(f.asked)
}

// clientRequest is the request as the client sent it.
func (f *flow) clientRequest() *capture.Request {
	fields := f.fields
	if f.original != nil {
		fields = f.original
	}
	return &capture.Request{
		Method: f.method, URL: f.url, HTTPVersion: f.proto, Header: header(fields), HeadersSize: int64(f.headSize), BodySize: -1,
	}
}

// begin hands the exchange to the recorder, if it is to be recorded.
func (f *flow) begin(x *capture.Exchange) {
	recorder := f.p.cfg.Recorder
	if f.unrecorded {
		recorder = capture.Discard
	}
	f.rec = recorder.Begin(x)
	f.begun = true
	if f.unrecorded {
		f.from.came(f.start)
	} else {
		f.from.recorded(f.start)
	}
	if f.onBegin != nil {
		f.onBegin(f.rec.ID())
	}
}

// describe writes what is known after the head of the answer into the exchange.
func (f *flow) describe(x *capture.Exchange) {
	facts := f.receipt.Snapshot()
	x.Timings = facts.Timings
	x.ServerIPAddress, x.Connection, x.Reused = facts.ServerIP, facts.Connection, facts.Reused
	x.TLS, x.Route = facts.TLS, facts.Route
	if s := facts.Sent; s != nil {
		x.Request.HTTPVersion = s.Proto
		x.Request.HeadersSize = int64(s.HeadSize)
		if s.Fields != nil {
			x.Request.Header = header(s.Fields)
			if x.Client.Request == nil && f.source == capture.SourceProxy && !f.http2 && len(s.Fields) != len(f.fields) {
				x.Client.Request = f.clientRequest() // a Host was added, as HTTP/1.0 clients leave it out
			}
		}
	}
	if f.resp == nil {
		return
	}
	x.AnsweredBy = facts.AnsweredBy
	resp := x.Response
	if resp == nil {
		resp = &capture.Response{}
		x.Response = resp
	}
	resp.Status, resp.StatusText, resp.HTTPVersion = f.resp.Status, f.resp.Reason, f.resp.Proto
	resp.Header, resp.HeadersSize = header(f.resp.Fields), int64(f.resp.HeadSize)
	resp.Content.MimeType = resp.Header.Get("Content-Type")
	if resp.Trailer == nil {
		resp.Trailer = capture.Header{}
	}
}

// gotInformational records a 1xx answer and passes it on.
func (f *flow) gotInformational(status int, reason string, fields wire.Fields) error {
	f.rec.Update(func(x *capture.Exchange) {
		if x.Response == nil {
			x.Response = &capture.Response{HTTPVersion: "HTTP/1.1", Header: capture.Header{}, Trailer: capture.Header{}}
		}
		x.Response.Informational = append(x.Response.Informational, capture.Informational{Status: status, StatusText: reason, Header: header(fields)})
	})
	return f.client.informational(status, reason, fields)
}

// failed turns a failure on the way to the origin into the client's answer.
func (f *flow) failed(err error) *http.Response {
	var ue *upstream.Error
	if !errors.As(err, &ue) {
		ue = &upstream.Error{Stage: capture.StageHTTP, Message: err.Error(), Status: http.StatusBadGateway}
	}
	if f.Err() != nil {
		// The client left, so nobody reads the answer; the record says who ended it.
		f.failure = &capture.Error{Stage: capture.StageClient, Message: "the client closed the connection before the answer came"}
		if f.p.quit.Err() != nil {
			f.failure.Message = "eaves was stopped before the answer came"
		}
		return f.own(http.StatusBadGateway, f.failure)
	}
	f.failure = ue.Capture()
	status := ue.Status
	switch {
	case ue.Stage == capture.StageClient:
		status = http.StatusBadRequest
	case status == 0:
		status = http.StatusBadGateway
	}
	return f.own(status, f.failure)
}

// blocked answers for a rule.
func (f *flow) blocked() *http.Response {
	return f.own(http.StatusForbidden, f.rule.blocked())
}

// own is an answer that eaves gives itself: a short body naming stage and cause.
func (f *flow) own(status int, e *capture.Error) *http.Response {
	body := fmt.Sprintf("eaves: %s %s: %s: %s\n", f.method, shortened(f.url), e.Stage, e.Message)
	if e.Hint != "" {
		body += "hint: " + e.Hint + "\n"
	}
	h := http.Header{
		"Content-Type":   {"text/plain; charset=utf-8"},
		"Content-Length": {strconv.Itoa(len(body))},
		// RFC 9209: which proxy failed, and how.
		"Proxy-Status": {`eaves; error=` + proxyStatus(e.Stage) + `; details="` + quoted(e.Message) + `"`},
	}
	fields := wire.FromMap(h)
	f.rec.Update(func(x *capture.Exchange) {
		f.describe(x)
		// A parent proxy that refused to pass the request on has answered, though its words are told by eaves.
		if x.AnsweredBy = capture.AnsweredByEaves; f.receipt.Snapshot().AnsweredBy == capture.AnsweredByProxy {
			x.AnsweredBy = capture.AnsweredByProxy
		}
		var informational []capture.Informational
		if x.Response != nil {
			informational = x.Response.Informational
		}
		x.Response = &capture.Response{Status: status, StatusText: http.StatusText(status), HTTPVersion: "HTTP/1.1",
			Header: header(fields), Trailer: capture.Header{}, Informational: informational, HeadersSize: -1,
			Content: capture.Content{MimeType: "text/plain; charset=utf-8"}}
	})
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: &answer{f: f, r: io.NopCloser(strings.NewReader(body))}, ContentLength: int64(len(body)),
	}
}

// shortened is as much of a URL as one wants to read.
func shortened(s string) string {
	const enough = 200
	if len(s) > enough {
		return s[:enough] + "..."
	}
	return s
}

// proxyStatus is the error type of RFC 9209, 2.3 for a stage.
func proxyStatus(s capture.Stage) string {
	switch s {
	case capture.StageDNS:
		return "dns_error"
	case capture.StageConnect:
		return "destination_unavailable"
	case capture.StageProxy:
		return "destination_unavailable"
	case capture.StageTLS:
		return "tls_protocol_error"
	case capture.StageTimeout:
		return "connection_timeout"
	case capture.StageRoute:
		return "http_request_denied"
	case capture.StageHTTP:
		return "http_protocol_error"
	case capture.StageClient:
		return "http_request_error"
	}
	return "proxy_internal_error"
}

// quoted makes a string fit between the quotes of a structured field's string (RFC 8941, 3.3.3).
func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// finish ends the exchange. It is called once, when nothing more will be sent to the client.
func (f *flow) finish() {
	f.cancel()
	if !f.begun {
		return
	}
	end := time.Now()
	f.taps.close()
	tail := f.cut()
	f.rec.Finish(func(x *capture.Exchange) {
		facts := f.receipt.Snapshot()
		x.Timings.Send, x.Timings.Wait = facts.Timings.Send, facts.Timings.Wait
		x.TLS = facts.TLS // a verdict may come as late as in the answer's body
		x.Time = capture.Milliseconds(end.Sub(f.start))
		x.State = capture.StateDone
		if f.asked != nil && !f.asked.whole() {
			x.Request.Truncated = true // what is recorded must not be sent again as if it were all
		}
		if f.trailer != nil {
			if t := f.trailer(); len(t) > 0 {
				x.Request.Trailer = header(t)
			}
		}
		if f.resp != nil {
			x.Timings.Receive = capture.Milliseconds(end.Sub(f.headAt))
			if f.resp.Trailer != nil && x.Response != nil {
				if t := f.resp.Trailer(); len(t) > 0 {
					x.Response.Trailer = header(t)
				}
			}
		}
		switch {
		case f.failure != nil:
			x.State, x.Error = capture.StateFailed, f.failure
		case tail != nil:
			x.State, x.Error = capture.StateFailed, tail
			if x.Response != nil {
				x.Response.Truncated = true
			}
		}
	})
}

// asked is a request's body on its way to the origin: recorded as it is read.
type asked struct {
	f   *flow
	r   io.Reader
	tap tap // may be nil
	// untaken says that no origin takes what is still read: how it ends does not cut the exchange.
	untaken bool
	passed  atomic.Int64
	ended   atomic.Bool
}

// whole says whether the body has been read to its end.
func (b *asked) whole() bool {
	fr := b.f.framing
	return b.ended.Load() || fr.Kind == wire.Length && b.passed.Load() >= fr.Length
}

func (b *asked) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.passed.Add(int64(n))
		b.f.rec.Body(capture.SideRequest, p[:n])
		if b.tap != nil {
			b.tap.pass(p[:n])
		}
	}
	if err == io.EOF {
		b.ended.Store(true)
	}
	if err != nil && err != io.EOF && err != errOver && !b.untaken && b.f.Err() == nil {
		b.f.noteCut(capture.StageClient, "the client's body was cut short: "+err.Error())
	}
	return n, err
}

// Buffered says how much can be read without waiting, at least.
func (b *asked) Buffered() int {
	if r, ok := b.r.(interface{ Buffered() int }); ok {
		return r.Buffered()
	}
	return 0
}

// answer is a response's body on its way to the client: recorded as it is read.
type answer struct {
	f *flow
	r io.ReadCloser
}

var pieces = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (b *answer) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.f.rec.Body(capture.SideResponse, p[:n])
		b.f.taps.response(p[:n])
	}
	if err != nil && err != io.EOF {
		b.f.cutAnswer(err)
	}
	return n, err
}

// cutAnswer notes why an answer ended before its end.
func (f *flow) cutAnswer(err error) {
	switch {
	case f.p.quit.Err() != nil:
		f.noteCut(capture.StageHTTP, "eaves was stopped before the answer was complete")
	case f.Err() != nil:
		f.noteCut(capture.StageClient, "the client closed the connection before the answer was complete")
	default:
		var ue *upstream.Error
		if errors.As(err, &ue) {
			f.noteCause(ue.Capture())
			return
		}
		f.noteCut(capture.StageHTTP, "the origin's answer was cut short: "+err.Error())
	}
}

// WriteTo forwards the body piece by piece as it comes. What has come, be it the head alone, is passed on before more is
// waited for.
func (b *answer) WriteTo(w io.Writer) (n int64, err error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for {
		if !b.atHand(n) {
			b.f.client.Flush() // not w's: goproxy wraps w where it thinks it must flush itself
		}
		m, err := b.Read(*buf)
		if m > 0 {
			k, werr := w.Write((*buf)[:m])
			n += int64(k)
			if werr != nil {
				b.f.noteCut(capture.StageClient, "the client closed the connection before the answer was complete")
				b.f.cancel()
				return n, werr
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// atHand says whether reading on will not have to wait, n bytes into the body.
func (b *answer) atHand(n int64) bool {
	if r, ok := b.r.(interface{ Buffered() int }); ok && r.Buffered() > 0 {
		return true
	}
	if b.f.resp == nil {
		return true // eaves' own answer
	}
	switch f := b.f.resp.Framing; f.Kind {
	case wire.None:
		return true
	case wire.Length:
		return n >= f.Length
	}
	return false
}

func (b *answer) Close() error { return b.r.Close() }

// splitAuthority takes an authority apart. The port is def where it is missing.
func splitAuthority(s string, def int) (host string, port int, err error) {
	host, p, ok := wire.SplitAuthority(s)
	if !ok {
		return "", 0, fmt.Errorf("%q is no host and port", s)
	}
	port = def
	if p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return "", 0, fmt.Errorf("%q is no port", p)
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" {
		return "", 0, fmt.Errorf("%q is no host", s)
	}
	return host, port, nil
}
