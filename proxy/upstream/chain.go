package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream/hop"
)

// open connects on a way: to the origin, or, where its last proxy is asked in absolute form, to that. It fills the link,
// and its route also on failure; what is in a receipt already is not written to. address is the origin's, where that was
// dialled.
func (c *Client) open(ctx context.Context, k *key, w *Route, l *link) (address string, e *Error) {
	if len(w.Hops) == 0 {
		d, e := c.dial(ctx, k.host, k.port)
		if e != nil {
			return "", e
		}
		l.dns, l.connect = d.dns, d.connect
		l.sock = newSock(d.conn)
		l.Conn = l.sock
		route := w.receipt(joinHostPort(k.host, k.port))
		origin := &route.Hops[0]
		origin.Connect = capture.Milliseconds(d.connect)
		if d.dns >= 0 {
			origin.DNS = capture.Milliseconds(d.dns)
		}
		l.route = route
		if d.address.IsValid() {
			l.ip = d.address.Addr().String()
			l.where = named(k.host, d.address)
			return d.address.String(), nil
		}
		return "", nil
	}
	host, err := asciiHost(k.host)
	if err != nil {
		return "", fail(capture.StageDNS, err, "%q is not a host name", k.host)
	}
	begin := time.Now()
	seen := new(handshakes)
	ctx = context.WithValue(ctx, handshakesKey{}, seen)
	var conn net.Conn
	var hops []capture.Hop
	if k.proxied {
		conn, hops, err = c.hops.Reach(ctx, w.Hops)
		hops = append(hops, capture.Hop{Kind: kindOrigin, DNS: -1, Connect: -1})
	} else {
		conn, hops, err = c.hops.Dial(ctx, w.Hops, host, k.port)
		hops[len(hops)-1].Address = joinHostPort(k.host, k.port)
	}
	l.route = &capture.Route{Source: w.Source, Reason: w.Reason, Hops: hops}
	if err != nil {
		return "", c.chainError(ctx, w, k.host, err)
	}
	seen.settle(hops)
	if hops[0].DNS >= 0 {
		l.dns = time.Duration(hops[0].DNS * float64(time.Millisecond))
	}
	l.connect = time.Since(begin) - max(l.dns, 0)
	l.sock = newSock(conn)
	l.Conn = l.sock
	if l.where = w.last().String(); !k.proxied {
		l.where = joinHostPort(k.host, k.port) + " (through " + w.last().String() + ")"
	}
	return "", nil
}

// chainError is the error of a way to host that ended at a proxy.
func (c *Client) chainError(ctx context.Context, w *Route, host string, err error) *Error {
	if e := cancelled(ctx, "connecting through "+w.Hops[0].String()); e != nil {
		return e
	}
	var he *hop.Error
	if !errors.As(err, &he) {
		return fail(capture.StageProxy, err, "%v", err)
	}
	e := fail(he.Stage, he, "%s", he.Message)
	e.Hint, e.unreachable, e.answered = w.mend(he, host), he.Unreachable, he.Answered
	if he.Stage == capture.StageRoute {
		e.Status = http.StatusForbidden
		e.Hint = "this route would lead back to where it begins: eaves route list says why it is taken"
	}
	return e
}

// dialProxy connects to the first proxy of a chain.
func (c *Client) dialProxy(ctx context.Context, host string, port int) (net.Conn, time.Duration, time.Duration, error) {
	d, e := c.dial(ctx, host, port)
	if e != nil {
		return nil, 0, 0, e
	}
	return d.conn, d.dns, d.connect, nil
}

// handshakesKey is the key of a context under which the handshakes with https proxies are collected.
type handshakesKey struct{}

// handshakes are those with the https proxies of a chain, in order.
type handshakes struct {
	done []*secured
	raw  []*capture.TLS
}

// settle writes into receipts how the proxies took it who we are: they have answered since.
func (h *handshakes) settle(hops []capture.Hop) {
	for i := range hops {
		if j := slices.Index(h.raw, hops[i].TLS); hops[i].TLS != nil && j >= 0 {
			hops[i].TLS = h.done[j].became(answered, 0)
		}
	}
}

// proxyServer is a proxy as one that TLS is spoken with.
func proxyServer(h hop.Hop) Server { return Server{Host: h.Host, Port: h.Port, Proxy: true} }

// secureProxy does TLS with an https proxy, on the terms that hold for proxies. It speaks HTTP/1.1 with us.
func (c *Client) secureProxy(ctx context.Context, h hop.Hop, conn net.Conn) (net.Conn, *capture.TLS, error) {
	t := c.terms(proxyServer(h), "", nil)
	s, receipt, e := c.tlsToProxy(ctx, conn, &t, h.Address(), []string{"http/1.1"})
	if e != nil {
		return nil, receipt, e
	}
	if seen, ok := ctx.Value(handshakesKey{}).(*handshakes); ok {
		seen.done, seen.raw = append(seen.done, s), append(seen.raw, receipt)
	}
	return s.Conn, receipt, nil
}

// reusedRoute is the receipt of a route whose connections were there already.
func reusedRoute(r *capture.Route) *capture.Route {
	c := *r
	c.Hops = slices.Clone(r.Hops)
	for i := range c.Hops {
		h := &c.Hops[i]
		h.Reused, h.DNS, h.Connect, h.Time = true, -1, -1, 0 // these were another exchange's
	}
	return &c
}
