package hop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"eaves/capture"
)

// Config says how a Dialer does what is not about proxies.
type Config struct {
	// Dial connects to the first proxy of a chain. dns is negative where nothing was looked up. An error that has a method
	// Capture() *capture.Error says its stage and hint by it.
	Dial func(ctx context.Context, host string, port int) (conn net.Conn, dns, connect time.Duration, err error)
	// TLS does the handshake with an https proxy. It closes conn where that fails; the receipt may be there all the same.
	TLS func(ctx context.Context, h Hop, conn net.Conn) (net.Conn, *capture.TLS, error)
	// Timeout bounds each round trip with each proxy; default 10 s.
	Timeout time.Duration
	// Via is the Via field of what is asked of HTTP proxies, by which one's own request is known when it comes back. "": none.
	Via string
	// Tickets makes Kerberos tokens; nil: by the files that Credentials name.
	Tickets Tickets
}

// Dialer makes connections through chains of proxies, and remembers which authentication worked. It is safe for
// concurrent use.
type Dialer struct {
	cfg    Config
	memory memory
}

// New makes a dialer. It starts nothing.
func New(cfg Config) *Dialer {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Tickets == nil {
		cfg.Tickets = newKerberos()
	}
	return &Dialer{cfg: cfg, memory: memory{known: make(map[place]remembered)}}
}

// kindOrigin is the kind of a chain's last station in a receipt.
const kindOrigin = "origin"

// Dial connects to host:port through hops. The receipts are those of hops and of the target; on failure they say how far
// it got. The error is an *Error.
func (d *Dialer) Dial(ctx context.Context, hops []Hop, host string, port int) (net.Conn, []capture.Hop, error) {
	target := &station{address: net.JoinHostPort(host, strconv.Itoa(port)), host: host, port: port}
	return d.chain(ctx, hops, target)
}

// Reach connects to the last of hops, through those before it. What is asked of the last is the caller's.
func (d *Dialer) Reach(ctx context.Context, hops []Hop) (net.Conn, []capture.Hop, error) {
	return d.chain(ctx, hops, nil)
}

// station is what a proxy is asked to connect to.
type station struct {
	address, host string
	port          int
	next          *Hop // the proxy that it is, nil for the target
}

// what names a station in an error: a proxy as such.
func (s *station) what() string {
	if s.next != nil {
		return "the next proxy, " + s.address
	}
	return s.address
}

// errFresh says that a proxy's authentication goes on, on a new connection.
var errFresh = errors.New("authentication goes on on a new connection")

func (d *Dialer) chain(ctx context.Context, hops []Hop, target *station) (net.Conn, []capture.Hop, error) {
	if len(hops) == 0 {
		return nil, nil, errors.New("a chain has at least one proxy")
	}
	auths := make([]*Auth, len(hops))
	for {
		conn, receipts, at, err := d.attempt(ctx, hops, target, auths)
		if err == nil {
			return conn, receipts, nil
		}
		if errors.Is(err, errFresh) {
			// The proxies before it are asked anew; they know us, and the number of rounds of each is limited.
			for i := range auths {
				if i != at && auths[i] != nil {
					auths[i] = auths[i].again()
				}
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			e = fail(hops[at], err, "%v", err)
		}
		e.Index = at
		if len(hops) > 1 {
			e.Message = fmt.Sprintf("proxy %d of %d, %s", at+1, len(hops), e.Message)
		}
		receipts[at].Error = e.Message
		return nil, receipts, e
	}
}

// attempt goes through the chain once. at is how far it came.
func (d *Dialer) attempt(ctx context.Context, hops []Hop, target *station, auths []*Auth) (conn net.Conn, receipts []capture.Hop, at int, err error) {
	receipts = Receipts(hops)
	if target != nil {
		receipts = append(receipts, capture.Hop{Kind: kindOrigin, Address: target.address, DNS: -1, Connect: -1})
	}
	begin := time.Now()
	raw, dns, connect, err := d.cfg.Dial(ctx, hops[0].Host, hops[0].Port)
	if err != nil {
		return nil, receipts, 0, unreachable(hops[0], err)
	}
	if dns >= 0 {
		receipts[0].DNS = capture.Milliseconds(dns)
	}
	receipts[0].Connect = capture.Milliseconds(connect)
	conn = raw
	defer func() {
		if err != nil {
			raw.Close()
		}
	}()
	for i := range hops {
		h, r := hops[i], &receipts[i]
		if h.Kind == HTTPS {
			secured, receipt, err := d.cfg.TLS(ctx, h, conn)
			r.TLS = receipt
			if err != nil {
				return nil, receipts, i, tlsFailed(h, err)
			}
			conn = secured
		}
		to := target
		if i+1 < len(hops) {
			to = &station{address: hops[i+1].Address(), host: hops[i+1].Host, port: hops[i+1].Port, next: &hops[i+1]}
		}
		if to == nil {
			r.Time = capture.Milliseconds(time.Since(begin))
			break
		}
		s := &stream{Conn: conn, r: bufio.NewReader(conn)}
		asked := time.Now()
		err := d.through(ctx, s, h, &auths[i], to, r)
		if err != nil {
			return nil, receipts, i, err
		}
		r.Time = capture.Milliseconds(time.Since(begin))
		begin = time.Now()
		receipts[i+1].Connect = capture.Milliseconds(time.Since(asked))
		conn = s.settled()
	}
	return conn, receipts, len(hops) - 1, nil
}

// Receipts are those of proxies before anything has happened.
func Receipts(hops []Hop) []capture.Hop {
	receipts := make([]capture.Hop, len(hops), len(hops)+1)
	for i, h := range hops {
		receipts[i] = capture.Hop{Kind: string(h.Kind), Address: h.Address(), DNS: -1, Connect: -1}
	}
	return receipts
}

// through asks a proxy for a connection to a station.
func (d *Dialer) through(ctx context.Context, s *stream, h Hop, auth **Auth, to *station, r *capture.Hop) error {
	switch h.Kind {
	case HTTP, HTTPS:
		if *auth == nil {
			*auth = d.Auth(h)
		}
		return d.connect(ctx, s, h, *auth, to, r)
	case SOCKS4:
		return d.bounded(ctx, s, h, "asking it for a connection to "+to.address, func() error { return socks4(s, h, to, r) })
	case SOCKS5:
		return d.socks5(ctx, s, h, to, r)
	}
	return fail(h, nil, "a parent proxy of kind %q is not known", h.Kind).hint("the kinds are http, https, socks4a and socks5")
}

// bounded does one round trip within the limit of time.
func (d *Dialer) bounded(ctx context.Context, s *stream, h Hop, doing string, trip func() error) error {
	_ = s.SetDeadline(time.Now().Add(d.cfg.Timeout))
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	err := trip()
	if !stop() || ctx.Err() != nil {
		e := fail(h, context.Cause(ctx), "given up while %s", doing)
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return e.late()
		}
		e.Stage = capture.StageClient
		return e
	}
	_ = s.SetDeadline(time.Time{})
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return d.broken(h, err, doing)
}

// unreachable says that the first proxy cannot be connected to.
func unreachable(h Hop, err error) *Error {
	e := fail(h, err, "%v", err)
	var known interface{ Capture() *capture.Error }
	if errors.As(err, &known) {
		c := known.Capture()
		e = fail(h, err, "%s", c.Message)
		e.Hint = c.Hint
		if c.Stage == capture.StageTimeout || c.Stage == capture.StageClient || c.Stage == capture.StageRoute {
			e.Stage = c.Stage
		}
	}
	e.Unreachable = e.Stage == capture.StageProxy || e.Stage == capture.StageTimeout
	if e.Unreachable {
		e.Message = h.String() + " cannot be reached: " + e.Message[len(h.String()+": "):]
		e.Hint, e.Mend = "start the proxy or correct its address; eaves route list says why it is used", MendDetour
	}
	return e
}

// tlsFailed says that TLS with a proxy failed.
func tlsFailed(h Hop, err error) *Error {
	e := fail(h, err, "%v", err)
	var known interface{ Capture() *capture.Error }
	if errors.As(err, &known) {
		c := known.Capture()
		e = fail(h, err, "%s", c.Message)
		e.Hint = c.Hint
		if c.Stage == capture.StageTimeout || c.Stage == capture.StageClient {
			e.Stage = c.Stage
		}
	}
	return e
}

// stream is a connection with what has been read ahead of it.
type stream struct {
	net.Conn
	r *bufio.Reader
}

func (s *stream) Read(p []byte) (int, error) { return s.r.Read(p) }

// CloseWrite ends the writing side.
func (s *stream) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// settled is the connection itself where nothing has been read ahead.
func (s *stream) settled() net.Conn {
	if s.r.Buffered() == 0 {
		return s.Conn
	}
	return s
}
