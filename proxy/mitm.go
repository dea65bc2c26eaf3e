package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"eaves/capture"
)

// clientHandshakeTimeout is how long a client may take for its TLS handshake.
const clientHandshakeTimeout = 15 * time.Second

// hello is a client's connection during its TLS handshake: what it sends is kept until it is clear that eaves will end
// its TLS, so that it can be passed through as if nobody had looked.
type hello struct {
	net.Conn
	r     *bufio.Reader // nil: Conn itself is read
	alone bool          // nobody else reads from r
	c     *clientConn
	kept  []byte
	keep  bool
	muted bool
	leaf  error // why there is no leaf
	// alerts is nil once the handshake is over.
	alerts *alerts
}

func (h *hello) Read(p []byte) (int, error) {
	if h.alone && h.r.Buffered() == 0 {
		h.alone = false
		h.r.Reset(nil)
		readers.Put(h.r)
		h.r = nil
	}
	if h.r == nil {
		return h.Conn.Read(p)
	}
	n, err := h.r.Read(p)
	if h.keep {
		h.kept = append(h.kept, p[:n]...)
	}
	if h.alerts != nil {
		h.alerts.watch(p[:n])
	}
	return n, err
}

func (h *hello) Write(p []byte) (int, error) {
	if h.muted {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

// CloseWrite ends the sending side of the TCP connection.
func (h *hello) CloseWrite() error {
	if cw, ok := h.Conn.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// errNotHTTP ends a handshake whose client speaks neither HTTP/1.1 nor HTTP/2 inside.
var errNotHTTP = errors.New("the client does not speak HTTP in TLS")

// localGroups are the key exchanges with clients on this machine. What never leaves it needs no protection from whoever
// keeps it for a quantum computer, and ML-KEM takes a tenth of all that a new connection costs.
var localGroups = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// tlsConfigs are the TLS servers for clients, from anywhere and from this machine. They are made once, so that clients
// can resume their sessions.
func (p *Proxy) tlsConfigs() (anywhere, local *tls.Config) {
	anywhere = p.tlsConfig()
	local = anywhere.Clone()
	local.CurvePreferences = localGroups
	return anywhere, local
}

func (p *Proxy) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS10, // old devices are what one debugs
		// Small records at first are for slow links; here each of them is a system call.
		DynamicRecordSizingDisabled: true,
		NextProtos:                  []string{"h2", "http/1.1"},
		KeyLogWriter:                p.cfg.KeyLog,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			h := info.Conn.(*hello)
			h.keep = false
			if a := info.SupportedProtos; len(a) > 0 && !slices.Contains(a, "h2") && !slices.Contains(a, "http/1.1") {
				h.muted = true
				return nil, errNotHTTP
			}
			h.kept = nil
			return nil, nil
		},
		GetCertificate: func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
			h := info.Conn.(*hello)
			h.c.target.serverName = strings.ToLower(strings.TrimSuffix(info.ServerName, "."))
			name := h.c.target.serverName
			if name == "" {
				name = h.c.target.host
			}
			leaf, err := p.cfg.Leaves.LeafFor(info, name)
			h.leaf = err
			return leaf, err
		},
	}
}

// serveTLS ends the client's TLS and serves what is inside.
func (c *clientConn) serveTLS(t *target, start time.Time) {
	h := &hello{Conn: c.Conn, r: c.br, c: c, keep: true, alerts: &alerts{}}
	config := c.p.serverTLS
	if a, ok := c.tcp.RemoteAddr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
		config = c.p.localTLS
	}
	tc := &firstUse{Conn: tls.Server(h, config)}
	ctx, cancel := context.WithTimeout(c.p.quit, clientHandshakeTimeout)
	err := tc.HandshakeContext(ctx)
	cancel()
	if err != nil {
		if h.muted {
			c.pass(t, start, false, false, nil, h.kept)
			return
		}
		c.p.handshakeFailed(c, t, h, h.alerts.instead(err), start)
		return
	}
	h.alerts = nil
	s := tc.ConnectionState()
	tc.since = time.Now()
	tc.used = func() {
		c.p.pins.succeeded(t.host)
		c.from.trusts()
	}
	tc.unused = func() {
		if !c.p.pins.known(t.host) {
			c.p.handshakeFailed(c, t, h, errUnused, start)
		}
	}
	t.scheme = "https"
	// A session that is resumed asks for no certificate, which is where the name is noted otherwise.
	t.serverName = strings.ToLower(strings.TrimSuffix(s.ServerName, "."))
	c.tls = &capture.ClientTLS{Version: tls.VersionName(s.Version), CipherSuite: tls.CipherSuiteName(s.CipherSuite),
		ALPN: s.NegotiatedProtocol, ServerName: s.ServerName}
	if s.NegotiatedProtocol == "h2" {
		c.serveHTTP2(tc)
		return
	}
	// The reader below holds what the client sent behind its hello; tc reads through it, and nobody else.
	c.layer(tc)
	h.alone = true
	p := speaksHTTP1
	if s.NegotiatedProtocol == "" {
		var ok bool
		if p, ok = c.listen(t, start, true); !ok {
			return
		}
	}
	switch p {
	case speaksHTTP1:
		c.serveHTTP1()
		tc.SetWriteDeadline(time.Now().Add(lingerTime))
		_ = tc.CloseWrite()
	case speaksHTTP2:
		c.serveHTTP2(&rest{Conn: tc, r: c.br})
	case speaksOther, speaksTLS:
		c.pass(t, start, true, false, nil, nil)
	}
}

// errUnused is what becomes of a handshake after which the client hangs up at once.
var errUnused = errors.New("the client closed the connection right after its TLS handshake")

// hangUpTime is how soon after its handshake a client that does not trust the certificate has gone. GnuTLS (wget, git)
// ends the handshake first and looks at the certificate then, so there is no alert; a browser's idle connection lasts
// longer.
const hangUpTime = time.Second

// firstUse tells whether a client that has finished its handshake goes on to say something.
type firstUse struct {
	*tls.Conn
	since        time.Time
	used, unused func() // either is called once, with the first read
}

func (f *firstUse) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.used != nil && (n > 0 || err != nil) {
		if n > 0 {
			f.used()
		} else if isEOF(err) && time.Since(f.since) < hangUpTime {
			f.unused()
		}
		f.used, f.unused = nil, nil
	}
	return n, err
}

// handshakeFailed records a client that did not get through its handshake, and what that means.
func (p *Proxy) handshakeFailed(c *clientConn, t *target, h *hello, err error, start time.Time) {
	if t.host == Host || p.quit.Err() != nil {
		return // the onboarding page asks clients that do not trust the CA yet, on purpose
	}
	x := tunnelExchange(t, c.remote, start)
	x.ClientTLS = &capture.ClientTLS{ServerName: t.serverName}
	message, hint := explainHandshake(t, h, err, p.pins.failed(t.host))
	if hint != "" { // there is one for who does not trust the CA
		c.from.distrusts()
	}
	rec := p.tunnelRecorder(x).Begin(x)
	rec.Finish(func(x *capture.Exchange) {
		x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageClient, Message: message, Hint: hint}
		x.Time = capture.Milliseconds(time.Since(start))
	})
}

// explainHandshake says in words why a client broke off, and what to do. failures is how often in a row it, or another
// client, did so for this host.
func explainHandshake(t *target, h *hello, err error, failures int) (message, hint string) {
	host := t.host
	if t.serverName != "" {
		host = t.serverName
	}
	distrust := false
	text := err.Error()
	switch {
	case h.leaf != nil:
		return fmt.Sprintf("no certificate could be made for %s: %v", host, h.leaf), ""
	case strings.Contains(text, "unknown certificate authority"), strings.Contains(text, "bad certificate"),
		strings.Contains(text, "certificate unknown"), strings.Contains(text, "unknown certificate"):
		distrust = true
		message = fmt.Sprintf("the client does not trust eaves' certificate for %s (%s)", host, strings.TrimPrefix(text, "remote error: "))
	case strings.Contains(text, "expired certificate"):
		message = fmt.Sprintf("the client takes eaves' certificate for %s for expired: is its clock right?", host)
	case errors.Is(err, errUnused):
		distrust = true
		message = fmt.Sprintf("the client closed the connection right after its TLS handshake for %s: wget, git and others do so when they do not trust a certificate", host)
	case isEOF(err) || errors.Is(err, net.ErrClosed) || strings.Contains(text, "connection reset"):
		distrust = true
		message = fmt.Sprintf("the client broke off its TLS handshake for %s without saying why: many do so when they do not trust a certificate", host)
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return fmt.Sprintf("the client did not finish its TLS handshake for %s within %v", host, clientHandshakeTimeout), ""
	case strings.Contains(text, "signature algorithms"):
		return fmt.Sprintf("the client takes RSA certificates only, and eaves makes ECDSA ones (for %s): %s", host, text), ""
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "no cipher suite"), strings.Contains(text, "protocol version"):
		return fmt.Sprintf("client and eaves have no TLS version or cipher suite in common for %s: %s", host, text), ""
	default:
		message = fmt.Sprintf("the client's TLS handshake for %s failed: %s", host, text)
	}
	if distrust || strings.HasPrefix(text, "remote error") {
		hint = "install the CA in the client: `eaves ca install` here, http://" + Host + "/ on other devices"
		if failures >= 2 {
			hint = fmt.Sprintf("the client may pin its certificates: `eaves rule add passthrough %s` passes it through without interception", t.host)
		}
	}
	return message, hint
}

// maxPins bounds how many hosts pins remembers.
const maxPins = 1024

// pins counts handshakes that failed in a row, by host; 0 is a host whose last one went well.
type pins struct {
	mu    sync.Mutex
	count map[string]int
}

func (p *pins) failed(host string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == nil || len(p.count) >= maxPins {
		p.count = make(map[string]int)
	}
	p.count[host]++
	return p.count[host]
}

func (p *pins) succeeded(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.count[host]; p.count == nil || !ok && len(p.count) >= maxPins {
		p.count = make(map[string]int)
	}
	p.count[host] = 0
}

// known says whether the last client to ask for the host went on to use its connection.
func (p *pins) known(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.count[host]
	return ok && n == 0
}
