// Package proxy is the intercepting proxy: it takes clients in, decides what their bytes are, ends their TLS, runs every
// request through one pipeline of rules, sends it to the origin and records what happened on the way.
//
// # One door
//
// A listener takes absolute-form HTTP, CONNECT and SOCKS5. What comes out of a tunnel is looked at: TLS is ended with a
// leaf for the name the client asked for, HTTP/1 and HTTP/2 are served, anything else is passed through untouched.
// Every request, live or replayed, takes the same way: a flow is sent from one place, which records it. There, and nowhere
// else, is where exchanges begin and end. What comes to the proxy's own port is routed by goproxy (CONNECT, requests to
// origins, requests to the proxy itself) and goes through its hooks; what comes out of a tunnel has its destination, and
// goes straight.
//
// # Guarantees
//
// What the client sent is what the origin gets, and the other way round, hop-by-hop fields aside; bodies are forwarded as
// they come; a body that was cut arrives cut; a failure is an exchange and an answer that says what failed. The package
// never dials its own listeners or the console.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/elazarl/goproxy"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/proxy/upstream"
)

// Host is the name under which clients of the proxy find the onboarding page.
const Host = "eaves.test"

// Leaves gives a certificate, with its key, of a kind that the client can use, for a host that it asked for.
type Leaves interface {
	LeafFor(hello *tls.ClientHelloInfo, host string) (*tls.Certificate, error)
}

// Action is what a rule does with the requests that its filter matches.
type Action string

// The actions of a rule.
const (
	// ActionIgnore passes traffic on without recording it.
	ActionIgnore Action = "ignore"
	// ActionBlock answers 403 instead of asking the origin.
	ActionBlock Action = "block"
	// ActionPassthrough leaves a host's tunnels alone: no interception. Its filter sees the tunnel, not a request.
	ActionPassthrough Action = "passthrough"
)

// Rule is one rule of the pipeline. The first that matches decides.
type Rule struct {
	// Name is how the rule is named in answers and records, such as "rule 3".
	Name   string
	Filter *filter.Filter
	Action Action
}

// Config is what a Proxy needs. All functions are called often and from many goroutines.
type Config struct {
	// Recorder takes what happens. Required.
	Recorder capture.Recorder
	// Leaves ends clients' TLS. Required.
	Leaves Leaves
	// Rules gives the rules in force, in order; an exchange keeps those it began with. May be nil.
	Rules func() []Rule
	// Recording says whether live traffic is recorded; replays always are. May be nil: yes.
	Recording func() bool
	// Identities gives the client certificates that may be shown to a server, those first whose host pattern is the most
	// specific. May be nil: none.
	Identities func(upstream.Server) []upstream.Identity
	// Trust says by whom a server's certificate may be signed, and whether it is verified. May be nil: the system's CAs.
	Trust func(upstream.Server) upstream.Trust
	// Policy says how TLS is spoken with a server. May be nil: eaves' own choice.
	Policy func(upstream.Server) upstream.Policy
	// Route gives the way to a target, through parent proxies or none. May be nil: direct. Exchanges in flight keep the way
	// they began on.
	Route func(context.Context, upstream.Target) (upstream.Route, error)
	// KeyLog receives the TLS secrets of both sides in NSS key log format. May be nil.
	KeyLog io.Writer
	// Onboarding answers http://eaves.test/ and whoever talks to the proxy as to a web server. May be nil.
	Onboarding http.Handler
	// Own are further listeners of eaves that must never be dialled, such as the console. May be nil.
	Own func() []netip.AddrPort
	// PrivateOnly refuses clients whose address is not private, link-local or loopback.
	PrivateOnly bool
	// Log is told of what no exchange can tell, one line each. May be nil.
	Log func(string)
	// Dial replaces the way to dial origins in tests. May be nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Proxy is an intercepting proxy. Its methods are safe for concurrent use.
type Proxy struct {
	cfg                 Config
	upstream            *upstream.Client
	gp                  *goproxy.ProxyHttpServer
	serverTLS, localTLS *tls.Config
	pins                pins
	clients             clients

	// quit is done when Shutdown has given up waiting, stopping when it begins to wait.
	quit, stopping context.Context
	kill, stop     context.CancelFunc
	draining       atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]netip.AddrPort
	conns     map[*clientConn]struct{}
	// conversations are the open WebSockets, by the ids of their exchanges.
	conversations map[int64]*conversation
	flows         sync.WaitGroup // connections and replays
}

// New makes a proxy. It starts nothing.
func New(cfg Config) *Proxy {
	if cfg.Rules == nil {
		cfg.Rules = func() []Rule { return nil }
	}
	if cfg.Recording == nil {
		cfg.Recording = func() bool { return true }
	}
	if cfg.Onboarding == nil {
		cfg.Onboarding = http.NotFoundHandler()
	}
	if cfg.Own == nil {
		cfg.Own = func() []netip.AddrPort { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	p := &Proxy{
		cfg:           cfg,
		listeners:     make(map[net.Listener]netip.AddrPort),
		conns:         make(map[*clientConn]struct{}),
		conversations: make(map[int64]*conversation),
	}
	p.quit, p.kill = context.WithCancel(context.Background())
	p.stopping, p.stop = context.WithCancel(p.quit)
	p.upstream = upstream.New(p.Upstream())
	p.gp = p.router()
	p.serverTLS, p.localTLS = p.tlsConfigs()
	return p
}

// Upstream says how the proxy reaches origins, for whoever wants to know what it would do. Whoever asks by it what leads back
// to the proxy is recognised as the proxy itself is.
func (p *Proxy) Upstream() upstream.Config {
	pseudonym := ""
	if p.upstream != nil {
		pseudonym = p.upstream.Pseudonym()
	}
	return upstream.Config{
		Pseudonym:  pseudonym,
		Identities: p.cfg.Identities,
		Trust:      p.cfg.Trust,
		Policy:     p.cfg.Policy,
		Route:      p.cfg.Route,
		KeyLog:     p.cfg.KeyLog,
		Forbidden:  p.forbidden,
		Dial:       p.cfg.Dial,
	}
}

// logWriter passes what libraries log on to Config.Log.
type logWriter struct{ log func(string) }

func (w logWriter) Write(b []byte) (int, error) { w.log(string(b)); return len(b), nil }

func (p *Proxy) logger() *log.Logger { return log.New(logWriter{p.cfg.Log}, "", 0) }

// acceptDelay is how long Serve waits after a failure to accept that will pass, such as too many open files.
const acceptDelay = 20 * time.Millisecond

// Serve takes clients from l until Shutdown, or until ctx is done. It closes l. It returns nil after Shutdown.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	own, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return fmt.Errorf("serving on %v: not a TCP address: %w", l.Addr(), err)
	}
	p.mu.Lock()
	if p.draining.Load() {
		p.mu.Unlock()
		l.Close()
		return nil
	}
	p.listeners[l] = own
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	sweeping, stopSweeping := context.WithCancel(ctx)
	defer stopSweeping()
	go p.sweep(sweeping)
	var complained time.Time
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || p.draining.Load() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				p.shed()
			}
			if time.Since(complained) > 10*time.Second {
				complained = time.Now()
				p.cfg.Log(fmt.Sprintf("accepting clients on %v: %v", l.Addr(), err))
			}
			select {
			case <-time.After(acceptDelay):
			case <-ctx.Done():
			}
			continue
		}
		p.take(c)
	}
}

// shed closes what nobody uses at the moment, so that there are descriptors for those who come.
func (p *Proxy) shed() {
	p.upstream.CloseIdle()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.h2.Load() == nil && c.busy.Load() == 0 {
			c.Close()
		}
	}
}

// take begins to serve one client connection in a goroutine of its own.
func (p *Proxy) take(nc net.Conn) {
	if p.cfg.PrivateOnly && !private(nc.RemoteAddr()) {
		nc.Close()
		return
	}
	c := newClientConn(p, nc)
	p.mu.Lock()
	if p.draining.Load() {
		p.mu.Unlock()
		nc.Close()
		c.release()
		return
	}
	p.conns[c] = struct{}{}
	p.flows.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.flows.Done()
		defer func() {
			p.mu.Lock()
			delete(p.conns, c)
			p.mu.Unlock()
			c.Close()
			c.release()
		}()
		c.serve()
	}()
}

// private says whether a client address belongs to this machine or its own network (RFC 1918, RFC 4193, link-local).
func private(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return false
	}
	ip := ap.Addr().Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}

// Shutdown stops accepting, closes idle connections and conversations that have no end of their own (tunnels, upgraded
// connections), and waits for what is under way until ctx is done; then it cuts what is left. Everything that was begun has been finished at the recorder when it returns.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.draining.Store(true)
	p.stop()
	for l := range p.listeners {
		l.Close()
	}
	for c := range p.conns {
		c.closeIfIdle()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.flows.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.kill()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	<-done
	p.upstream.Close()
	return err
}

// sweepInterval is how often connections are looked over for clients that left and for idleness.
const sweepInterval = 100 * time.Millisecond

// idleTimeout is how long a client connection may stay without a request.
const idleTimeout = 10 * time.Minute

// sweep looks after all connections from one goroutine, so that no request pays for a timer or a watcher of its own.
func (p *Proxy) sweep(ctx context.Context) {
	t := time.NewTicker(sweepInterval)
	defer t.Stop()
	var conns []*clientConn
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.quit.Done():
			return
		case now := <-t.C:
			conns = conns[:0]
			p.mu.Lock()
			for c := range p.conns {
				conns = append(conns, c)
			}
			p.mu.Unlock()
			for i, c := range conns {
				c.look(now)
				conns[i] = nil
			}
		}
	}
}

// isOwn says whether an address is one of eaves' own listeners. A listener on an unspecified address is reached by every
// address of this machine.
func (p *Proxy) isOwn(a netip.AddrPort) bool {
	a = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	p.mu.Lock()
	var own []netip.AddrPort
	for _, o := range p.listeners {
		own = append(own, o)
	}
	p.mu.Unlock()
	for _, o := range append(own, p.cfg.Own()...) {
		if o.Port() != a.Port() {
			continue
		}
		oa := o.Addr().Unmap().WithZone("")
		switch {
		case oa == a.Addr(), a.Addr().IsUnspecified():
			return true
		case oa.IsUnspecified() && local(a.Addr()):
			return true
		}
	}
	return false
}

// local says whether an address is one of this machine's.
func local(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if own, ok := netip.AddrFromSlice(n.IP); ok && own.Unmap().WithZone("") == ip {
				return true
			}
		}
	}
	return false
}

// forbidden keeps eaves from dialling itself: a loop through the proxy, or the console with its captures.
func (p *Proxy) forbidden(a netip.AddrPort) error {
	if p.isOwn(a) {
		return fmt.Errorf("%v is eaves itself: it does not proxy to its own listeners", a)
	}
	return nil
}
