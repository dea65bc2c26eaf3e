package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
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
	once     sync.Once
	again    *capture.Route // route, for those who find the connection there; made by once

	dns, connect, ssl time.Duration // negative: did not happen
}

// CloseWrite ends the writing side.
func (l *link) CloseWrite() error {
	if c, ok := l.Conn.(*tls.Conn); ok {
		return c.CloseWrite()
	}
	return l.sock.CloseWrite()
}

// whereCut is what to do about an answer that broke off.
func (l *link) whereCut() string {
	if n := len(l.route.Hops); n > 1 {
		return "what came is incomplete: the log of the proxy " + l.route.Hops[n-2].Address + ", or the origin's, may say why; eaves replay ID --via direct leaves the proxy out"
	}
	return "what came is incomplete: the server's log may say why"
}

// security is its TLS, nil where it has none.
func (l *link) security() *secured { return l.secured }

// abort ends the connection at once.
func (l *link) abort() { l.sock.Conn.Close() }

// note writes what is known of the connection into a receipt.
func (l *link) note(f *Facts, reused bool) {
	f.ServerIP, f.Connection, f.Reused, f.Route = l.ip, l.id, reused, l.route
	if reused {
		l.once.Do(func() { l.again = reusedRoute(l.route) })
		f.Route = l.again
	}
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

// connect makes a connection to an origin on a way, with TLS on these terms where protos says which protocols to offer, up
// to the newest version (0: no bound). The receipt is filled as it goes.
func (c *Client) connect(ctx context.Context, k *key, w *Route, t *terms, protos []string, newest uint16, m *memory, r *Receipt) (*link, *Error) {
	l := &link{where: joinHostPort(k.host, k.port), ssl: -1, dns: -1}
	l.route = w.receipt(l.where)
	r.update(func(f *Facts) { f.Route = l.route })
	begin := time.Now()
	address, e := c.open(ctx, k, w, l)
	if e != nil && outOfFiles(e) {
		c.dropIdle() // idle connections are worth less than a call
		address, e = c.open(ctx, k, w, l)
	}
	if e != nil {
		took := since(begin)
		r.update(func(f *Facts) {
			f.Route = l.route
			switch {
			case e.Stage == capture.StageDNS:
				f.Timings.DNS = took
			case e.Stage != capture.StageRoute:
				f.Timings.Connect = took
			}
			if e.Stage == capture.StageProxy && protos != nil {
				f.TLS = unreached(k.serverName, t)
			}
			if e.answered {
				f.AnsweredBy = capture.AnsweredByProxy
			}
		})
		return nil, e
	}
	l.id = c.boot + "-" + strconv.FormatInt(c.connections.Add(1), 10)
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
		if address != "" {
			c.lookCloser(ctx, address, h, e)
		}
		if len(w.Hops) > 0 && e.Stage == capture.StageTLS {
			if e.Hint != "" {
				e.Hint += "; "
			}
			e.Hint += "and what answers there may be the proxy, such as with a page that says why not: behind CONNECT that cannot be told"
		}
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
