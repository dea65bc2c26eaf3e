package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream/hop"
	"eaves/proxy/wire"
)

// Plain http goes to a parent proxy in absolute form (RFC 9112, 3.2.2), and what the proxy wants to know it is told with
// each request, or, by NTLM and Negotiate, once for a connection. A request is sent with its body at once where that can
// be sent again, should the proxy ask who we are; a large one only once the proxy has been asked for nothing, by OPTIONS
// with Max-Forwards: 0, which it must answer itself (RFC 9110, 7.6.2).

// drainLimit bounds what is read of a proxy's 407, so that its connection can be used on.
const drainLimit = 256 << 10

// passage is a call on its way through a proxy that is asked in absolute form.
type passage struct {
	h      *host
	call   *Call
	hop    hop.Hop
	auth   *hop.Auth
	target string
	body   *replay // nil where there is none that may have to be sent again
	sents  []<-chan struct{}

	hc     *h1conn
	reused bool
	fresh  bool // the next connection is to be a new one
}

// throughProxy carries a call.
func (h *host) throughProxy(ctx context.Context, call *Call) (*Response, *Error) {
	p := &passage{h: h, call: call, hop: h.way.last(), target: call.absolute()}
	p.auth = h.client.hops.Auth(p.hop)
	if call.hasBody() && p.hop.Credentials != nil {
		p.body = &replay{src: call.Body}
	}
	resp, e := p.run(ctx)
	call.sent = merged(p.sents)
	return resp, e
}

func (p *passage) run(ctx context.Context) (*Response, *Error) {
	const tries = 3
	value := ""
	for try := 1; ; {
		if p.hc == nil {
			value = ""
			if e := p.connect(ctx); e != nil {
				return nil, e
			}
			if !p.hc.known && p.asksFirst() {
				if e := p.introduce(ctx); e != nil {
					return nil, e
				}
			}
		}
		if value == "" && !p.hc.known {
			var err error
			if value, err = p.auth.First(ctx, p.call.Method, p.target, p.call.hasBody()); err != nil {
				p.hc.free()
				return nil, p.failed(err)
			}
		}
		sub := *p.call
		sub.Target, sub.Fields, sub.toProxy = p.target, p.fields(), p.told(value)
		var v *view
		if p.body != nil {
			v = &view{r: p.body}
			sub.Body = v
		}
		resp, e := p.hc.roundTrip(ctx, &sub, p.reused)
		p.sents = append(p.sents, sub.Sent())
		if e != nil {
			p.hc.free()
			if !e.unsent || try == tries || ctx.Err() != nil || !e.again && (!p.reused || p.fresh) || p.body != nil && !p.body.again() {
				return nil, p.broken(e)
			}
			try++
			p.hc, p.fresh, p.auth = nil, true, p.h.client.hops.Auth(p.hop)
			continue
		}
		if !p.asks(resp) {
			p.accepted()
			p.note(resp)
			p.hc.free()
			return resp, nil
		}
		usable := p.drain(resp, &sub, v)
		var err error
		value, err = p.next(ctx, resp, usable, p.call.Method, p.target, p.call.hasBody())
		if err != nil {
			return nil, p.failed(err)
		}
		if p.body != nil && !p.body.again() {
			if p.hc != nil {
				p.hc.free()
			}
			return nil, fail(capture.StageProxy, nil, "%s asked for authentication when more of the request's body was sent than is kept, so that it cannot be sent again", p.hop).
				hint("send the request again: what the proxy wants is known now")
		}
	}
}

// asks says whether an answer is the proxy's question who we are. Some say 401 where they do not take what they were shown.
func (p *passage) asks(resp *Response) bool {
	return resp.Status == http.StatusProxyAuthRequired ||
		resp.Status == http.StatusUnauthorized && p.auth.Scheme() != "none" && p.h.whose(resp) == capture.AnsweredByProxy
}

// connect gets a connection to the proxy, for this call alone.
func (p *passage) connect(ctx context.Context) *Error {
	hc, reused, e := p.h.getH1(ctx, p.call, p.fresh)
	if e != nil {
		return e
	}
	hc.hold()
	p.hc, p.reused = hc, reused
	return nil
}

// next takes a 407. Where authentication goes on on a new connection there is none afterwards.
func (p *passage) next(ctx context.Context, resp *Response, usable bool, method, target string, body bool) (value string, err error) {
	p.hc.known = false
	shown := p.auth.Scheme()
	value, fresh, err := p.auth.Next(ctx, resp.Status, resp.Fields, !usable, method, target, body)
	switch {
	case err != nil:
		p.refused(resp, shown, err)
		p.hc.free()
	case fresh:
		p.hc.abort() // the proxy may keep the beginning of a handshake for it
		p.hc.free()
		p.hc, p.fresh, value = nil, true, ""
	}
	return value, err
}

// accepted notes that the proxy is content.
func (p *passage) accepted() {
	p.auth.Done()
	if p.auth.Bound() {
		p.hc.known, p.hc.scheme = true, p.auth.Scheme()
	}
}

// asksFirst says whether the proxy is to be convinced before it is sent the request: its body could not be sent again, or
// it would be sent in vain.
func (p *passage) asksFirst() bool {
	if p.body == nil {
		return false
	}
	scheme, bound := p.h.client.hops.Expects(p.hop)
	large := p.call.Framing.Kind != wire.Length || p.call.Framing.Length > replayLimit
	return bound || large && scheme != "basic"
}

// introduce convinces the proxy by requests that ask for nothing.
func (p *passage) introduce(ctx context.Context) *Error {
	ctx, cancel := context.WithTimeout(ctx, p.h.client.cfg.DialTimeout)
	defer cancel()
	target := "http://" + p.call.authority()
	value := ""
	for {
		if p.hc == nil {
			if e := p.connect(ctx); e != nil {
				return e
			}
		}
		if value == "" {
			var err error
			if value, err = p.auth.First(ctx, http.MethodOptions, target, false); err != nil {
				p.hc.free()
				return p.failed(err)
			}
		}
		ask := &Call{Scheme: "http", Host: p.call.Host, Port: p.call.Port, Method: http.MethodOptions, Target: target, toProxy: p.told(value),
			Fields: wire.Fields{{Name: "Host", Value: p.call.authority()}, {Name: "Max-Forwards", Value: "0"}}}
		resp, e := p.hc.roundTrip(ctx, ask, p.reused)
		if e != nil {
			p.hc.free()
			if p.reused && e.unsent && ctx.Err() == nil { // it was closed while it was idle
				p.hc, p.fresh, value, p.auth = nil, true, "", p.h.client.hops.Auth(p.hop)
				continue
			}
			return p.broken(e)
		}
		usable := p.drain(resp, ask, nil)
		if resp.Status != http.StatusProxyAuthRequired {
			p.accepted()
			if p.auth.Scheme() == "none" {
				p.hc.known = true
			}
			if !usable {
				p.hc.free()
				p.hc = nil
				p.fresh = true
				if e := p.connect(ctx); e != nil {
					return e
				}
			}
			p.auth = p.h.client.hops.Auth(p.hop)
			return nil
		}
		var err error
		if value, err = p.next(ctx, resp, usable, http.MethodOptions, target, false); err != nil {
			return p.failed(err)
		}
	}
}

// drain reads an answer to its end, and says whether its connection can be used on.
func (p *passage) drain(resp *Response, sub *Call, v *view) (usable bool) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, drainLimit))
	select {
	case <-sub.Sent():
	default: // the body is still being sent, and the proxy does not want it
		if v != nil {
			v.leave()
		}
		p.hc.abort()
	}
	resp.Body.Close()
	return p.hc.rests()
}

// failed is the error of authentication that came to nothing.
func (p *passage) failed(err error) *Error {
	var he *hop.Error
	if !errors.As(err, &he) {
		return fail(capture.StageProxy, err, "%s: %v", p.hop, err)
	}
	e := fail(he.Stage, he, "%s%s", p.place(), he.Message)
	he.Index = len(p.h.way.Hops) - 1
	e.Hint, e.answered = p.h.way.mend(he, p.call.Host), true
	return e
}

// place says which of several proxies this is: the last.
func (p *passage) place() string {
	if n := len(p.h.way.Hops); n > 1 {
		return fmt.Sprintf("proxy %d of %[1]d, ", n)
	}
	return ""
}

// broken is the error of a proxy that did not answer a request. It is noted in the receipt.
func (p *passage) broken(e *Error) *Error {
	switch e.Stage {
	case capture.StageHTTP:
		e.Stage = capture.StageProxy
	case capture.StageTimeout, capture.StageProxy:
	default:
		return e
	}
	e.Message = p.place() + e.Message
	var op *net.OpError
	if e.Cause != nil && (hungUpOn(e.Cause) || errors.As(e.Cause, &op) && op.Op == "remote error") {
		e.Hint = p.hop.WhereItHangsUp()
	}
	p.call.Receipt.update(func(f *Facts) {
		f.Route = p.route(func(h *capture.Hop) { h.Error = e.Message })
	})
	return e
}

// refused notes in the receipt that the proxy's own 407, on what it was shown last, is the end of it.
func (p *passage) refused(resp *Response, shown string, err error) {
	p.call.Receipt.update(func(f *Facts) {
		f.AnsweredBy = capture.AnsweredByProxy
		f.Route = p.route(func(h *capture.Hop) {
			h.Status, h.StatusText, h.ResponseHeader, h.Authentication = resp.Status, resp.Reason, hop.Header(resp.Fields), shown
			var he *hop.Error
			if errors.As(err, &he) {
				h.Error = p.place() + he.Message
			}
		})
	})
}

// note notes in the receipt whose the answer is.
func (p *passage) note(resp *Response) {
	by := p.h.whose(resp)
	p.call.Receipt.update(func(f *Facts) {
		f.AnsweredBy = by
		f.Route = p.route(func(h *capture.Hop) {
			if by == capture.AnsweredByProxy {
				h.Status, h.StatusText = resp.Status, resp.Reason
			}
		})
	})
}

// route is the receipt of the way, with this call's origin at its end.
func (p *passage) route(last func(*capture.Hop)) *capture.Route {
	r := *p.hc.route
	r.Hops = make([]capture.Hop, len(p.hc.route.Hops))
	for i, h := range p.hc.route.Hops {
		h.Reused = p.reused && h.Kind != kindOrigin
		r.Hops[i] = h
	}
	r.Hops[len(r.Hops)-1].Address = joinHostPort(p.call.Host, p.call.Port)
	proxy := &r.Hops[len(r.Hops)-2]
	if proxy.Authentication = p.auth.Scheme(); p.hc.known && p.hc.scheme != "" {
		proxy.Authentication = p.hc.scheme
	}
	last(proxy)
	return &r
}

// fields are the call's, without what its own client would tell a proxy.
func (p *passage) fields() wire.Fields {
	return p.call.Fields.Del("Proxy-Authorization").Del("Proxy-Connection")
}

// told is what we tell the proxy ourselves. Via (RFC 9110, 7.6.3) tells us when the way leads back to us.
func (p *passage) told(authorization string) wire.Fields {
	f := wire.Fields{{Name: "Via", Value: "1.1 " + p.h.client.Pseudonym()}}
	if authorization != "" {
		f = append(f, wire.Field{Name: "Proxy-Authorization", Value: authorization})
	}
	return f
}

// where is the target of the call, as a route is asked for.
func (c *Call) where() Target {
	t := Target{Scheme: c.Scheme, Host: c.Host, Port: c.Port}
	t.URL = c.Scheme + "://" + c.hostPort()
	if strings.HasPrefix(c.Target, "/") {
		t.URL += c.Target
	}
	return t
}

// absolute is the request-target in absolute form.
func (c *Call) absolute() string {
	authority := c.hostPort()
	if h := c.Fields.Get("Host"); strings.EqualFold(h, authority) || strings.EqualFold(h, joinHostPort(c.Host, c.Port)) {
		authority = h // as the client wrote it
	}
	if c.Target == "*" {
		return c.Scheme + "://" + authority // RFC 9112, 3.2.4
	}
	return c.Scheme + "://" + authority + c.Target
}

// replayLimit bounds what is kept of a body, in case it has to be sent again.
const replayLimit = 1 << 20

var (
	errLeft    = errors.New("the proxy asked for something else first")
	errNotKept = errors.New("the body was too large to be kept")
)

// replay keeps the beginning of a body, so that it can be read more than once. It is read by one view at a time; one that
// was left may still wait for the client.
type replay struct {
	mu    sync.Mutex // held while src is read
	src   io.Reader
	kept  []byte
	total int64
	err   error // src's last
}

// again says whether the body can be read from its beginning, as far as is known.
func (r *replay) again() bool {
	if !r.mu.TryLock() {
		return true // whoever reads it will tell
	}
	defer r.mu.Unlock()
	return r.total == int64(len(r.kept))
}

// view reads a body from its beginning.
type view struct {
	r  *replay
	at int64

	mu   sync.Mutex
	left bool
}

// leave lets nothing more be read by this view. What it is waiting for is kept for others.
func (v *view) leave() {
	v.mu.Lock()
	v.left = true
	v.mu.Unlock()
}

func (v *view) isLeft() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.left
}

func (v *view) Read(p []byte) (int, error) {
	r := v.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case v.isLeft():
		return 0, errLeft
	case v.at < int64(len(r.kept)):
		n := copy(p, r.kept[v.at:])
		v.at += int64(n)
		return n, nil
	case v.at < r.total:
		return 0, errNotKept
	case r.err != nil:
		return 0, r.err
	}
	n, err := r.src.Read(p)
	if r.total == int64(len(r.kept)) && len(r.kept)+n <= replayLimit {
		r.kept = append(r.kept, p[:n]...)
	} else if n > 0 {
		r.kept = nil
	}
	r.total, r.err = r.total+int64(n), err
	if v.isLeft() {
		return 0, errLeft
	}
	v.at += int64(n)
	return n, err
}

// Buffered says how much can be read without waiting, at least.
func (v *view) Buffered() int {
	r := v.r
	if !r.mu.TryLock() {
		return 0
	}
	defer r.mu.Unlock()
	n := max(0, int(int64(len(r.kept))-v.at))
	if b, ok := r.src.(interface{ Buffered() int }); ok && r.err == nil {
		n += b.Buffered()
	}
	return n
}

// merged is closed once all are.
func merged(sents []<-chan struct{}) chan struct{} {
	open := sents[:0]
	for _, s := range sents {
		select {
		case <-s:
		default:
			open = append(open, s)
		}
	}
	if len(open) == 0 {
		return nil
	}
	all := make(chan struct{})
	go func() {
		for _, s := range open {
			<-s
		}
		close(all)
	}()
	return all
}

// hold keeps a connection from going back to the pool between the requests of one call.
func (hc *h1conn) hold() {
	hc.mu.Lock()
	hc.held, hc.resting = true, false
	hc.mu.Unlock()
}

// rests says whether a connection that is held can be used for the next request, and begins that.
func (hc *h1conn) rests() bool {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	was := hc.resting
	hc.resting = false
	return was
}

// free lets a connection that was held go: into the pool, where its last exchange has left it fit for that.
func (hc *h1conn) free() {
	hc.mu.Lock()
	resting := hc.resting
	hc.held, hc.resting = false, false
	hc.mu.Unlock()
	if resting {
		hc.idleSince = time.Now()
		hc.host.put(hc)
	}
}

// park says whether a connection is held, and then that its exchange has ended well.
func (hc *h1conn) park() bool {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	if hc.held {
		hc.resting = true
	}
	return hc.held
}
