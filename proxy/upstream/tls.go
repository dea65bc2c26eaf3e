package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"

	"eaves/capture"
)

// The verdicts on client certificates that this package gives.
const (
	verdictNotRequested = "not-requested"
	verdictNoRule       = "no-rule"
	verdictUnknown      = "unknown"
)

// hello is one TLS handshake with a server.
type hello struct {
	host, where string // the name verified, and how errors name the server
	serverName  string
	protos      []string
	insecure    bool
	roots       *x509.CertPool
	timeout     time.Duration

	// What is seen on the way.
	asked        bool
	acceptable   []string
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
	asked *capture.ClientCertificate // how the last full handshake settled it
}

func newMemory() *memory { return &memory{sessions: tls.NewLRUClientSessionCache(sessionsPerHost)} }

// remember says of a resumed session what the handshake that began it had settled: a server cannot ask again then.
func (m *memory) remember(t *capture.TLS) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !t.Resumed {
		m.asked = t.ClientCertificate
		return
	}
	if m.asked != nil {
		cc := *m.asked
		cc.Explanation = "The session was resumed. In the handshake before: " + cc.Explanation
		t.ClientCertificate = &cc
	}
}

// handshake does TLS on raw. The receipt is there also when it fails, as far as it got. raw is closed on failure.
func (c *Client) handshake(ctx context.Context, h *hello, raw net.Conn, m *memory) (*tls.Conn, *capture.TLS, *Error) {
	cfg := &tls.Config{
		ServerName:         h.serverName,
		NextProtos:         h.protos,
		InsecureSkipVerify: true, // VerifyConnection does it, so that what would have failed is known
		VerifyConnection: func(cs tls.ConnectionState) error {
			h.state = cs
			h.verification = verify(cs.PeerCertificates, h.host, h.roots, time.Now())
			if h.insecure {
				return nil
			}
			return h.verification.err
		},
		GetClientCertificate: func(i *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			h.asked = true
			for _, der := range i.AcceptableCAs {
				h.acceptable = append(h.acceptable, distinguishedName(der))
			}
			return &tls.Certificate{}, nil
		},
		CipherSuites: c.suites,
		KeyLogWriter: c.cfg.KeyLog,
	}
	if m != nil {
		cfg.ClientSessionCache = m.sessions
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		receipt := h.receipt()
		if code, remote, ok := alertOf(err); ok && remote {
			receipt = refused(receipt, code)
		}
		return nil, receipt, h.explain(ctx, err)
	}
	h.state = conn.ConnectionState()
	receipt := h.receipt()
	if m != nil {
		m.remember(receipt)
	}
	return conn, receipt, nil
}

// receipt is what the handshake came to.
func (h *hello) receipt() *capture.TLS {
	cs := h.state
	t := &capture.TLS{
		ALPN: cs.NegotiatedProtocol, ServerName: h.serverName, Resumed: cs.DidResume,
		Verified: len(cs.PeerCertificates) > 0 && h.verification.err == nil, VerifyError: h.verification.message,
		PeerCertificates:  make([]capture.Certificate, len(cs.PeerCertificates)),
		ClientCertificate: &capture.ClientCertificate{Requested: h.asked, AcceptableCAs: h.acceptable},
	}
	if cs.Version != 0 {
		t.Version, t.CipherSuite = tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite)
	}
	for i, c := range cs.PeerCertificates {
		t.PeerCertificates[i] = certificate(c)
	}
	cc := t.ClientCertificate
	if cc.AcceptableCAs == nil {
		cc.AcceptableCAs = []string{}
	}
	switch {
	case h.asked:
		cc.Verdict = verdictNoRule
		cc.Explanation = fmt.Sprintf("The server asked for a client certificate; none is configured for %s, so none was sent.", h.host)
	case cs.DidResume:
		cc.Verdict = verdictUnknown
		cc.Explanation = "The session was resumed: whether a client certificate is wanted was settled in an earlier handshake."
	case cs.HandshakeComplete:
		cc.Verdict = verdictNotRequested
		cc.Explanation = "The server did not ask for a client certificate."
	default:
		cc.Verdict = verdictUnknown
		cc.Explanation = "The handshake failed before it was known whether the server asks for a client certificate."
	}
	return t
}

// refused returns the receipt of a connection that the server refused by a TLS alert, in the handshake or after it, as
// TLS 1.3 servers do when a client certificate does not please them (RFC 8446, 4.4.2.4).
func refused(t *capture.TLS, alert uint8) *capture.TLS {
	if t == nil {
		return nil
	}
	late := *t
	if t.ClientCertificate != nil {
		cc := *t.ClientCertificate
		cc.Alert = alertName(alert)
		if cc.Requested {
			cc.Explanation = fmt.Sprintf("The server asked for a client certificate, none is configured, and it refused the connection (%s).", cc.Alert)
		}
		late.ClientCertificate = &cc
	}
	return &late
}

func certificate(c *x509.Certificate) capture.Certificate {
	sum := sha256.Sum256(c.Raw)
	names := c.DNSNames
	if names == nil {
		names = []string{}
	}
	return capture.Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), DNSNames: names, SHA256: hex.EncodeToString(sum[:]),
	}
}

// distinguishedName writes a name as a server lists it among the CAs it accepts.
func distinguishedName(der []byte) string {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdn); err != nil || len(rest) > 0 {
		return "unreadable name " + hex.EncodeToString(der)
	}
	return rdn.String()
}

// lateAlert is the error of a TLS alert that came after the handshake, nil where err is none.
func lateAlert(where string, t *capture.TLS, err error) *Error {
	code, remote, ok := alertOf(err)
	if !ok || !remote {
		return nil
	}
	e := fail(capture.StageTLS, err, "TLS with %s: the server ended the connection after the handshake with the alert %s", where, alertWords(code))
	if t != nil && t.ClientCertificate != nil && t.ClientCertificate.Requested && aboutCertificate(code) {
		e.Message += ": it asked for a client certificate, and none is configured for it"
	}
	return e
}

// alerted is the error of a TLS alert that came after the handshake, nil where err is none. The receipt is told.
func (l *link) alerted(r *Receipt, err error) *Error {
	e := lateAlert(l.where, l.tls, err)
	if e == nil {
		return nil
	}
	code, _, _ := alertOf(err)
	late := refused(l.tls, code)
	r.update(func(f *Facts) {
		l.note(f, f.Reused)
		f.TLS = late
	})
	return e
}
