package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"eaves/capture"
)

// link is a connection to an origin with its receipts.
type link struct {
	net.Conn // TLS, or the sock itself
	sock     *sock
	id       string
	where    string // how errors name the origin
	ip       string
	protocol string   // what ALPN chose, "" without
	secured  *secured // nil without TLS
	bounded  bool     // a lower version of TLS was offered than could have been
	route    *capture.Route

	dns, connect, ssl time.Duration // negative: did not happen
}

// CloseWrite ends the writing side.
func (l *link) CloseWrite() error {
	if c, ok := l.Conn.(*tls.Conn); ok {
		return c.CloseWrite()
	}
	return l.sock.CloseWrite()
}

// security is its TLS, nil where it has none.
func (l *link) security() *secured { return l.secured }

// abort ends the connection at once.
func (l *link) abort() { l.sock.Conn.Close() }

// note writes what is known of the connection into a receipt.
func (l *link) note(f *Facts, reused bool) {
	f.ServerIP, f.Connection, f.Reused, f.Route = l.ip, l.id, reused, l.route
	if l.secured != nil {
		f.TLS = l.secured.receipt()
	}
	if reused {
		return
	}
	if l.dns >= 0 {
		f.Timings.DNS = capture.Milliseconds(l.dns)
	}
	f.Timings.Connect = capture.Milliseconds(l.connect)
	if l.ssl >= 0 {
		f.Timings.SSL = capture.Milliseconds(l.ssl)
		f.Timings.Connect += f.Timings.SSL
	}
}

// connect makes a connection to an origin, with TLS on these terms where protos says which protocols to offer, up to the
// newest version (0: no bound). The receipt is filled as it goes.
func (c *Client) connect(ctx context.Context, k *key, t *terms, protos []string, newest uint16, m *memory, r *Receipt) (*link, *Error) {
	origin := joinHostPort(k.host, k.port)
	route := direct
	if c.cfg.Route != nil {
		var err error
		if route, err = c.cfg.Route(ctx, Target{Scheme: k.scheme, Host: k.host, Port: k.port}); err != nil {
			return nil, fail(capture.StageRoute, err, "finding the route to %s: %v", origin, err)
		}
	}
	l := &link{where: origin, route: route.receipt(origin), ssl: -1, dns: -1}
	r.update(func(f *Facts) { f.Route = l.route })
	if len(route.Hops) > 0 {
		return nil, fail(capture.StageRoute, nil, "the route to %s leads through %s %s: only direct routes can be taken", origin, route.Hops[0].Kind,
			joinHostPort(route.Hops[0].Host, route.Hops[0].Port)).hint("route this host directly")
	}
	begin := time.Now()
	d, e := c.dial(ctx, k.host, k.port)
	if e != nil && outOfFiles(e) {
		c.dropIdle() // idle connections are worth less than a call
		d, e = c.dial(ctx, k.host, k.port)
	}
	if e != nil {
		took := since(begin)
		r.update(func(f *Facts) {
			switch {
			case e.Stage == capture.StageDNS:
				f.Timings.DNS = took
			case e.Stage != capture.StageRoute:
				f.Timings.Connect = took
			}
			if e.Stage == capture.StageProxy && protos != nil {
				f.TLS = unreached(k.serverName, t)
			}
		})
		return nil, e
	}
	l.dns, l.connect = d.dns, d.connect
	l.sock = newSock(d.conn)
	l.Conn = l.sock
	l.id = c.boot + "-" + strconv.FormatInt(c.connections.Add(1), 10)
	if d.address.IsValid() {
		l.ip = d.address.Addr().String()
		l.where = named(k.host, d.address)
	}
	hop := &l.route.Hops[len(l.route.Hops)-1]
	hop.Connect = capture.Milliseconds(d.connect)
	if d.dns >= 0 {
		hop.DNS = capture.Milliseconds(d.dns)
	}
	if protos == nil {
		r.update(func(f *Facts) { l.note(f, false) })
		return l, nil
	}
	r.update(func(f *Facts) { l.note(f, false) })
	begin = time.Now()
	h := &hello{where: l.where, serverName: k.serverName, protos: protos, terms: t, max: newest}
	conn, receipt, e := c.handshake(ctx, h, l.sock, m)
	l.ssl = time.Since(begin)
	if e != nil {
		r.update(func(f *Facts) { l.note(f, false); f.TLS = receipt })
		c.lookCloser(ctx, d.address.String(), h, e)
		return nil, e
	}
	l.secured, l.bounded = conn, newest != 0
	r.update(func(f *Facts) { l.note(f, false) })
	l.Conn, l.protocol = conn.Conn, receipt.ALPN
	return l, nil
}

// outOfFiles says whether a call failed because this process may not open more files.
func outOfFiles(e *Error) bool {
	// The resolver hands on only the words.
	return errors.Is(e.Cause, syscall.EMFILE) || errors.Is(e.Cause, syscall.ENFILE) || e.Cause != nil && strings.Contains(e.Cause.Error(), "too many open files")
}
