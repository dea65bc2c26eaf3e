package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// Server is whom a TLS connection is made to: an origin, or a parent proxy.
type Server struct {
	Host string // lower case, without brackets
	Port int
	// Proxy says that it is a parent proxy. An identity for origins is never shown to one, nor the other way round.
	Proxy bool
}

// rule is the host pattern that names it, on every port.
func (s Server) rule() string {
	if strings.Contains(s.Host, ":") {
		return "[" + s.Host + "]"
	}
	return s.Host
}

// Identity is a client certificate that may be shown to a server.
type Identity struct {
	// ID changes with certificate and key: connections and TLS sessions are never shared between two.
	ID string
	// Number is what users call it, Rule the host pattern it is configured for, with its port: *.bank.test:443.
	Number int64
	Rule   string
	// Specificity orders rules; where several are as specific, the server's acceptable CAs decide, then the order given.
	Specificity int
	// Certificate has its Leaf set. Without one the identity cannot be used, and Note says why: it is not shown, and told of.
	Certificate *tls.Certificate
	// Note says what is wrong with it or its files, such as a new file that cannot be read so that the old one is used.
	Note string
}

// Trust says by whom a server's certificate may be signed, and whether it is verified.
type Trust struct {
	// ID changes with everything else here.
	ID string
	// Roots are the CAs; nil: the system's.
	Roots *x509.CertPool
	// Insecure turns verification off, Reason says what did: --insecure, or the policy for a pattern.
	Insecure bool
	Reason   string
}

// Policy is how TLS is spoken with a server.
type Policy struct {
	// ID changes with everything else here. The zero Policy is eaves' own choice.
	ID string
	// Rule is the host pattern it is configured for.
	Rule string
	// Min and Max are TLS versions as crypto/tls has them; 0: no bound of ours.
	Min, Max uint16
	// Ciphers are the suites offered up to TLS 1.2; empty: eaves' own choice.
	Ciphers []uint16
	// ALPN are the protocols offered; empty: as the client's protocol has it.
	ALPN []string
	// ServerName is sent and verified in place of the host; "": the host.
	ServerName string
	// Renegotiation is what a server up to TLS 1.2 may ask for after the handshake. The zero value means never, but once
	// where a client certificate is configured.
	Renegotiation tls.RenegotiationSupport
	// NoRenegotiation means never, also where a client certificate is configured.
	NoRenegotiation bool
}

// renegotiation is what a server may ask for, to which there are client certificates to show or not.
func (p *Policy) renegotiation(certificates bool) tls.RenegotiationSupport {
	if p.Renegotiation == tls.RenegotiateNever && certificates && !p.NoRenegotiation {
		return tls.RenegotiateOnceAsClient // servers ask so that want a certificate for some paths only
	}
	return p.Renegotiation
}
