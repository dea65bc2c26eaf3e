package upstream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream/hop"
	"eaves/proxy/wire"
)

// Config says how origins are reached. The zero value will do.
type Config struct {
	// Identities gives the client certificates that may be shown to a server, those first whose host pattern is the most
	// specific. May be nil: none.
	Identities func(Server) []Identity
	// Trust says by whom a server's certificate may be signed, and whether it is verified: when a connection is made. With
	// verification off its receipt says all the same what would have failed. May be nil: the system's CAs, verified.
	Trust func(Server) Trust
	// Policy says how TLS is spoken with a server. May be nil: eaves' own choice.
	//
	// The three are asked for each call. Connections and TLS sessions are shared by calls for which they gave the same IDs.
	Policy func(Server) Policy
	// Forbidden is asked before an address is dialled, whatever name led there. An error forbids it. May be nil.
	Forbidden func(netip.AddrPort) error
	// Route gives the way to an origin. May be nil: direct.
	Route func(context.Context, Target) (Route, error)
	// Pseudonym is the client's: see Client.Pseudonym. "" makes one up that nobody else has.
	Pseudonym string
	// Resolver and Dial replace the system's in tests.
	Resolver Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	// DialTimeout bounds looking up and connecting, TLSTimeout the handshake; both default to 10 s.
	DialTimeout, TLSTimeout time.Duration
	// ResponseTimeout bounds the wait for an answer's head behind the request's end; 0: no bound.
	ResponseTimeout time.Duration
	// IdleTimeout is how long a connection is kept unused; default 90 s.
	IdleTimeout time.Duration
	// MaxIdlePerHost bounds how many connections are kept unused for one host; default 512.
	MaxIdlePerHost int
	// Limits bound the heads of answers.
	Limits wire.Limits
	// KeyLog receives TLS secrets in NSS key log format. May be nil.
	KeyLog io.Writer
}

// Client carries calls to origins. It is safe for concurrent use.
type Client struct {
	cfg         Config
	boot        string // makes connection ids unique beyond this process
	connections atomic.Int64
	suites      []uint16 // of TLS up to 1.2
	// pingAfter is how long nothing may have come over an HTTP/2 connection before it is asked whether it is alive,
	// together with the next call; pingTimeout is how long it has to answer.
	pingAfter, pingTimeout time.Duration
	// settingsTimeout is how long a server is waited for to say how many streams it takes. SETTINGS are the first that it
	// sends (RFC 9113, 3.4); one that does not send them shall not hold up for ever what comes behind the first call.
	settingsTimeout time.Duration

	hops *hop.Dialer
	dead dead

	mu     sync.RWMutex
	hosts  map[key]*host
	timer  *time.Timer
	closed bool
}

// New makes a client. It starts nothing.
func New(cfg Config) *Client {
	if cfg.Identities == nil {
		cfg.Identities = func(Server) []Identity { return nil }
	}
	if cfg.Trust == nil {
		cfg.Trust = func(Server) Trust { return Trust{} }
	}
	if cfg.Policy == nil {
		cfg.Policy = func(Server) Policy { return Policy{} }
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 10 * time.Second
	}
	if cfg.TLSTimeout <= 0 {
		cfg.TLSTimeout = 10 * time.Second
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 90 * time.Second
	}
	if cfg.MaxIdlePerHost <= 0 {
		cfg.MaxIdlePerHost = 512
	}
	c := &Client{
		cfg: cfg, boot: bootName(), hosts: make(map[key]*host),
		suites: cipherSuites(), pingAfter: 10 * time.Second, pingTimeout: 5 * time.Second, settingsTimeout: time.Second,
	}
	if c.cfg.Pseudonym == "" {
		c.cfg.Pseudonym = "eaves-" + c.boot
	}
	c.hops = hop.New(hop.Config{Dial: c.dialProxy, TLS: c.secureProxy, Timeout: cfg.DialTimeout, Via: "1.1 " + c.Pseudonym()})
	return c
}

// Pseudonym is what this client calls itself in the Via field of what it asks of parent proxies. Who receives a request
// with it has sent it.
func (c *Client) Pseudonym() string { return c.cfg.Pseudonym }

// bootName is unique to a client, beyond this process.
func bootName() string {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return strconv.FormatInt(time.Now().UnixMilli(), 36) + hex.EncodeToString(b[:])
}

// Do sends a call and returns its answer as soon as the head of it is there. The error is an *Error.
func (c *Client) Do(ctx context.Context, call *Call) (*Response, error) {
	resp, e := c.do(ctx, call)
	if e != nil {
		return nil, e
	}
	return resp, nil
}

func (c *Client) do(ctx context.Context, call *Call) (*Response, *Error) {
	k, t, e := c.key(call)
	if e != nil {
		return nil, e
	}
	if e := cancelled(ctx, "calling "+call.Host); e != nil {
		return nil, e
	}
	begun := time.Now()
	route := &direct
	switch {
	case call.Choice.Route != nil:
		route = call.Choice.Route
	case c.cfg.Route != nil:
		if route, e = c.routeTo(ctx, call.where()); e != nil {
			return nil, e
		}
	}
	if len(route.Hops) == 0 && route.Else == nil {
		return c.over(ctx, call, k, &t, route, begun)
	}
	return c.overAny(ctx, call, k, t, route, begun)
}

// overAny carries a call on the first way of a route that leads anywhere.
func (c *Client) overAny(ctx context.Context, call *Call, k key, t terms, route *Route, begun time.Time) (resp *Response, e *Error) {
	e = c.along(route, func(w *Route) (e *Error) {
		resp, e = c.over(ctx, call, k, &t, w, begun)
		return e
	})
	return resp, e
}

// over carries a call on one way.
func (c *Client) over(ctx context.Context, call *Call, k key, t *terms, w *Route, begun time.Time) (*Response, *Error) {
	call.Receipt.decided(w)
	k.route = c.routeKey(w)
	if call.Scheme == "http" && call.Upgrade == "" && len(w.Hops) > 0 && w.last().SpeaksHTTP() {
		last := w.last()
		k.host, k.port, k.proxied = last.Host, last.Port, true
	}
	h := c.host(k, t, w)
	if h == nil {
		return nil, fail(capture.StageRoute, net.ErrClosed, "eaves is stopping")
	}
	defer c.leave(h)
	if k.proxied {
		return h.throughProxy(ctx, call)
	}
	const tries = 3
	fresh := false
	for try := 1; ; try++ {
		conn, reused, e := h.get(ctx, call, fresh, begun)
		if e != nil {
			return nil, e
		}
		resp, e := conn.roundTrip(ctx, call, reused)
		if e == nil {
			conn.answered(call.Receipt, resp)
			if s := conn.security(); h.mayAskLate(call, s, resp) {
				if second, e := h.askLate(ctx, call, s); second != nil || e != nil {
					resp.Body.Close()
					return second, e
				}
			}
			return resp, nil
		}
		// Only what the origin cannot have acted upon goes out again, because the connection was old or the server said so.
		if !e.unsent || try == tries || ctx.Err() != nil || !e.again && (!reused || fresh) {
			conn.left(call.Receipt, e)
			return nil, e
		}
		fresh = true
	}
}

// key says which connections a call may use, and on what terms they are made.
func (c *Client) key(call *Call) (key, terms, *Error) {
	k := key{scheme: call.Scheme, host: call.Host, port: call.Port}
	var t terms
	switch call.Scheme {
	case "http":
	case "https":
		t = c.terms(Server{Host: call.Host, Port: call.Port}, call.ServerName, &call.Choice)
		k.identities, k.trust, k.insecure, k.policy = t.identityKey(), t.trust.ID, t.trust.Insecure, t.policy.ID
		k.serverName = t.policy.ServerName
		if k.serverName == "" {
			k.serverName = call.ServerName
		}
		if k.serverName == "" {
			k.serverName = call.Host
		}
		ascii, err := asciiHost(k.serverName)
		if err != nil {
			return k, t, fail(capture.StageDNS, err, "%q is not a host name", k.serverName)
		}
		k.serverName = ascii
	default:
		return k, t, fail(capture.StageRoute, nil, "scheme %q: only http and https can be asked", call.Scheme)
	}
	if k.host == "" {
		return k, t, fail(capture.StageRoute, nil, "the request names no host")
	}
	return k, t, nil
}

// Close closes connections that nobody uses, and lets no further call begin. Those in flight end by themselves, and
// their connections are closed then.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	for _, h := range c.all() {
		h.close()
	}
}

// CloseIdle closes connections that nobody uses, and forgets TLS sessions: after a change of trust, for instance.
func (c *Client) CloseIdle() {
	for _, h := range c.dropIdle() {
		h.forget()
	}
}

// dropIdle closes connections that nobody uses, and returns the hosts.
func (c *Client) dropIdle() []*host {
	hosts := c.all()
	for _, h := range hosts {
		h.sweep(time.Now(), 0)
	}
	return hosts
}

// all returns the hosts there are.
func (c *Client) all() []*host {
	c.mu.Lock()
	defer c.mu.Unlock()
	hosts := make([]*host, 0, len(c.hosts))
	for _, h := range c.hosts {
		hosts = append(hosts, h)
	}
	return hosts
}

// Tunnel connects to host:port for bytes that nobody looks at.
func (c *Client) Tunnel(ctx context.Context, hostname string, port int, r *Receipt) (net.Conn, error) {
	k := &key{scheme: "tcp", host: hostname, port: port}
	l, e := c.tunnel(ctx, k, nil, nil, r)
	if e != nil {
		return nil, e
	}
	return l.sock.Conn, nil
}

// TLSTunnel connects to host:port and does TLS there, offering protos by ALPN. serverName "" means the host. The receipt
// goes on being filled: a server may refuse a client certificate as late as with the first bytes. The connection has a
// method CloseWrite.
func (c *Client) TLSTunnel(ctx context.Context, hostname string, port int, serverName string, protos []string, r *Receipt) (net.Conn, error) {
	k, t, e := c.key(&Call{Scheme: "https", Host: hostname, Port: port, ServerName: serverName})
	if e != nil {
		return nil, e
	}
	if protos == nil {
		protos = []string{}
	}
	l, e := c.tunnel(ctx, &k, &t, protos, r)
	if e != nil {
		return nil, e
	}
	return &tlsTunnel{link: l, receipt: r}, nil
}

// tunnel connects on the way that is decided for a target.
func (c *Client) tunnel(ctx context.Context, k *key, t *terms, protos []string, r *Receipt) (*link, *Error) {
	route, e := c.routeTo(ctx, Target{Scheme: k.scheme, Host: k.host, Port: k.port})
	if e != nil {
		return nil, e
	}
	var l *link
	e = c.along(route, func(w *Route) (e *Error) {
		l, e = c.connect(ctx, k, w, t, protos, 0, nil, r)
		return e
	})
	return l, e
}

// tlsTunnel is a connection with TLS for bytes that nobody looks at.
type tlsTunnel struct {
	*link
	receipt *Receipt
	heard   bool // read by one goroutine
}

func (t *tlsTunnel) Read(p []byte) (int, error) {
	n, err := t.link.Read(p)
	if n > 0 && !t.heard {
		t.heard = true
		told := t.secured.became(answered, 0)
		t.receipt.update(func(f *Facts) { f.TLS = told })
	}
	if err != nil {
		if e := t.alerted(t.receipt, err); e != nil {
			return n, e
		}
	}
	return n, err
}
