package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"time"

	"eaves/capture"
)

// hello is one TLS handshake with a server.
type hello struct {
	where      string // how errors name the server
	serverName string // sent, and verified
	protos     []string
	terms      *terms
	max        uint16 // the highest version offered, where the policy does not want a lower one; 0: no bound
	timeout    time.Duration
	auth       *authentication

	// What is seen on the way.
	state        tls.ConnectionState // as of verification, or of the handshake's end
	verification verification
}

// cipherSuites are what is offered up to TLS 1.2: besides Go's own choice what browsers and curl still take, so that an
// origin that they reach can be reached through eaves. The receipt says which one it was.
func cipherSuites() []uint16 {
	ids := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
	for _, s := range tls.CipherSuites() {
		ids = append(ids, s.ID)
	}
	return ids
}

// memory is what is kept between handshakes of one pool key, and never beyond it.
type memory struct {
	sessions tls.ClientSessionCache

	mu    sync.Mutex
	known bool
	proof proof // of the last full handshake
}

func newMemory() *memory { return &memory{sessions: tls.NewLRUClientSessionCache(sessionsPerHost)} }

// remember keeps how a full handshake settled who we are: a server cannot ask again in one that resumes its session.
func (m *memory) remember(p proof) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.proof = true, p
}

// recall is what was settled when a session was begun.
func (m *memory) recall() (p proof, ok bool) {
	if m == nil {
		return p, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proof, m.known
}

// secured is a connection with TLS, and what is told of it.
type secured struct {
	*tls.Conn
	where  string
	auth   *authentication
	base   *capture.TLS // but for the client certificate
	memory *memory      // may be nil

	mu      sync.Mutex
	outcome outcome // as it stands
	times   int     // how often we had been asked when receipts were made
	made    map[outcome]*capture.TLS
}

// tlsToProxy does TLS with a parent proxy on raw, on the terms that hold for that proxy: what is meant for origins is not
// shown to it. The receipt is there also when it fails. raw is closed on failure.
func (c *Client) tlsToProxy(ctx context.Context, raw net.Conn, t *terms, where string, protos []string) (*secured, *capture.TLS, *Error) {
	name := t.policy.ServerName
	if name == "" {
		name = t.server.Host
	}
	ascii, err := asciiHost(name)
	if err != nil {
		raw.Close()
		return nil, nil, fail(capture.StageDNS, err, "%q is not a host name", name)
	}
	if len(t.policy.ALPN) > 0 {
		protos = t.policy.ALPN
	}
	return c.handshake(ctx, &hello{where: where, serverName: ascii, protos: protos, terms: t}, raw, nil)
}

// handshake does TLS on raw. The receipt is there also when it fails, as far as it got. raw is closed on failure.
func (c *Client) handshake(ctx context.Context, h *hello, raw net.Conn, m *memory) (*secured, *capture.TLS, *Error) {
	h.auth, h.timeout = &authentication{terms: h.terms, bounded: h.max != 0}, c.cfg.TLSTimeout
	host := strings.TrimSuffix(h.serverName, ".")
	policy := &h.terms.policy
	cfg := &tls.Config{
		ServerName:         h.serverName,
		NextProtos:         h.protos,
		MinVersion:         policy.Min,
		MaxVersion:         policy.Max,
		Renegotiation:      policy.renegotiation(len(h.terms.identities) > 0),
		InsecureSkipVerify: true, // VerifyConnection does it, so that what would have failed is known
		// It is called before a client certificate is asked for: one is shown only to a server that is who it should be.
		VerifyConnection: func(cs tls.ConnectionState) error {
			h.state = cs
			h.verification = verify(cs.PeerCertificates, host, h.terms.server.rule(), h.terms.trust.Roots, time.Now())
			if h.terms.trust.Insecure {
				return nil
			}
			return h.verification.err
		},
		GetClientCertificate: h.auth.certificate,
		CipherSuites:         c.suites,
		KeyLogWriter:         c.cfg.KeyLog,
	}
	if h.max != 0 && (cfg.MaxVersion == 0 || h.max < cfg.MaxVersion) {
		cfg.MaxVersion = h.max
	}
	if len(policy.Ciphers) > 0 {
		cfg.CipherSuites = policy.Ciphers
	}
	if m != nil {
		cfg.ClientSessionCache = m.sessions
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		e := h.explain(ctx, err)
		return nil, h.receipt(h.failed(ctx, err)), e
	}
	h.state = conn.ConnectionState()
	s := &secured{Conn: conn, where: h.where, auth: h.auth, memory: m, base: h.base(), made: make(map[outcome]*capture.TLS, 2)}
	s.outcome = outcome{kind: ready, resumed: h.state.DidResume}
	h.auth.finish(h.state.DidResume, m)
	s.times = h.auth.times
	return s, s.receipt(), nil
}

// base is what the handshake came to, but for the client certificate.
func (h *hello) base() *capture.TLS {
	cs := h.state
	t := &capture.TLS{
		ALPN: cs.NegotiatedProtocol, ServerName: h.serverName, Resumed: cs.DidResume,
		Verified: len(cs.PeerCertificates) > 0 && h.verification.err == nil, VerifyError: h.verification.message,
		PeerCertificates: make([]capture.Certificate, len(cs.PeerCertificates)),
		Policy:           h.terms.policy.Rule, Trust: h.terms.trust.Reason,
	}
	if cs.Version != 0 {
		t.Version, t.CipherSuite = tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite)
	}
	for i, c := range cs.PeerCertificates {
		t.PeerCertificates[i] = Certificate(c)
	}
	return t
}

// unreached is the receipt of TLS with an origin that never began, since a parent proxy did not let it.
func unreached(serverName string, t *terms) *capture.TLS {
	h := hello{serverName: serverName, terms: t, auth: &authentication{terms: t}}
	return h.receipt(outcome{kind: inBetween})
}

// receipt is that of a handshake that failed.
func (h *hello) receipt(o outcome) *capture.TLS {
	t := h.base()
	t.ClientCertificate = h.auth.receipt(o)
	return t
}

// receipt is what is told of the connection as it stands.
func (s *secured) receipt() *capture.TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tell(s.outcome)
}

// tell makes the receipt for an outcome, once for each: exchanges over one connection share them. s.mu is held.
func (s *secured) tell(o outcome) *capture.TLS {
	if p, times := s.auth.seen(); times != s.times { // by renegotiation
		s.times = times
		clear(s.made)
		s.memory.remember(p)
	}
	t, ok := s.made[o]
	if !ok {
		told := *s.base
		told.ClientCertificate = s.auth.receipt(o)
		t = &told
		s.made[o] = t
	}
	return t
}

// became notes an outcome and returns the receipt of the exchange that had it. What the exchanges after it are told is
// only that the server answers.
func (s *secured) became(kind outcomeKind, status int) *capture.TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := outcome{kind: kind, status: status, resumed: s.outcome.resumed}
	if kind == answered {
		s.outcome = outcome{kind: answered, resumed: o.resumed}
	}
	return s.tell(o)
}

// triedLate is the receipt of an exchange that was forbidden, and for which TLS 1.2 did not help.
func (s *secured) triedLate(why again) *capture.TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tell(outcome{kind: answered, status: 403, resumed: s.outcome.resumed, again: why})
}

// hungUp is the receipt of an exchange whose server closed the connection without an answer.
func (s *secured) hungUp() *capture.TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outcome.kind == answered {
		return s.tell(s.outcome) // it had been content
	}
	return s.tell(outcome{kind: hungUp, resumed: s.outcome.resumed})
}

// refusal is the error and the receipt of an alert that came after the handshake, as TLS 1.3 servers send it when a
// client certificate does not please them (RFC 8446, 4.4.2.4); nil where err is no alert.
func (s *secured) refusal(err error) (*capture.TLS, *Error) {
	code, remote, ok := alertOf(err)
	if !ok || !remote && code != alertNoRenegotiation {
		return nil, nil
	}
	s.mu.Lock()
	told := s.tell(outcome{kind: alerted, alert: code, resumed: s.outcome.resumed})
	s.mu.Unlock()
	if !remote {
		e := s.auth.renegotiation(s.where, err)
		e.Late = true
		return told, e
	}
	e := fail(capture.StageTLS, err, "TLS with %s: the server ended the connection after the handshake with the alert %s", s.where, alertWords(code))
	if words, next := s.auth.blame(code); words != "" {
		e = fail(capture.StageTLS, err, "TLS with %s: %s; it ended the connection after the handshake with the alert %s", s.where, words, alertWords(code)).hint("%s", next)
	}
	e.Late = true
	return told, e
}

// Certificate is a certificate as exchanges have it.
func Certificate(c *x509.Certificate) capture.Certificate {
	sum := sha256.Sum256(c.Raw)
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return capture.Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), DNSNames: names, SHA256: hex.EncodeToString(sum[:]),
	}
}

// alerted is the error of a TLS alert that came after the handshake, nil where err is none. The receipt is told.
func (l *link) alerted(r *Receipt, err error) *Error {
	if l.secured == nil {
		return nil
	}
	told, e := l.secured.refusal(err)
	if e == nil {
		return nil
	}
	r.update(func(f *Facts) {
		l.note(f, f.Reused)
		f.TLS = told
	})
	return e
}
