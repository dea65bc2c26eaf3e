package certs

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"
)

const (
	// leafLife: Chromium caps server certificates at 200 days (the CA/Browser Forum's ballot SC-081, from March 2026),
	// Apple at 825 for roots that a user added. With clockSkew it stays below each.
	leafLife = 197 * 24 * time.Hour
	// leafCacheSize is how many leaves are kept: at about 5 KiB each some 5 MiB, and more hosts than a browser talks to in
	// a day. What falls out is made again in a fraction of a millisecond.
	leafCacheSize = 1024
	// unnamed is what a certificate is made out to when the client named no host that a certificate can hold. The top level
	// domain never exists (RFC 6761, section 6.4).
	unnamed = "unnamed.invalid"
)

// minter holds the one key that all leaves of a kind and process share: making a key for each would cost as much again
// as the signature, and guards nothing, since they would all lie in the same memory.
type minter struct {
	make func() (crypto.Signer, error)
	once sync.Once
	key  crypto.Signer
	id   []byte
	err  error
}

func (m *minter) init() error {
	m.once.Do(func() {
		if m.key, m.err = m.make(); m.err == nil {
			m.id, m.err = keyID(m.key.Public())
		}
	})
	return m.err
}

func newLeafKey() (crypto.Signer, error) { return newKey() }

// newRSAKey makes the key of leaves for old clients. It is made when the first of them comes, since it takes a while.
func newRSAKey() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// Leaf returns a certificate for host: a name or an IP address, in any case, with or without brackets, port and
// trailing dot. The same name gets the same certificate until it is due for renewal or has fallen out of the cache;
// callers that ask for one at the same time share the work.
//
// The chain holds the authority too. Clients that trust it do not need it (RFC 8446, 4.4.2), but Chromium's list of
// accepted keys is held against the certificates it was sent, and one who looks at an untrusted chain sees whose it is.
func (c *CA) Leaf(ctx context.Context, host string) (*tls.Certificate, error) {
	return c.leaf(ctx, host, &c.ecdsa, "")
}

// LeafFor returns what Leaf does, except to a client that can use no ECDSA certificate (an old device, a list of cipher
// suites that names RSA only): that gets one with an RSA key, if it can use that.
func (c *CA) LeafFor(hello *tls.ClientHelloInfo, host string) (*tls.Certificate, error) {
	cert, err := c.Leaf(hello.Context(), host)
	if err != nil {
		return nil, err
	}
	// Whether the name fits is for the client to say.
	unnamed := *hello
	unnamed.ServerName = ""
	if unnamed.SupportsCertificate(cert) == nil {
		return cert, nil
	}
	// A space stands in no name.
	if old, err := c.leaf(hello.Context(), host, &c.rsa, " rsa"); err == nil && unnamed.SupportsCertificate(old) == nil {
		return old, nil
	}
	return cert, nil
}

// leaf returns a certificate with a minter's key; suffix tells its leaves from another's in the cache.
func (c *CA) leaf(ctx context.Context, host string, m *minter, suffix string) (*tls.Certificate, error) {
	if !c.CanSign() {
		return nil, fmt.Errorf("minting a certificate for %q: %w", host, ErrNoKey)
	}
	name := normalize(host)
	return c.cache.get(ctx, name+suffix, c.now, func() (*tls.Certificate, error) {
		if err := c.validNow(); err != nil {
			return nil, err
		}
		cert, err := c.mint(name, m)
		if err != nil {
			return nil, fmt.Errorf("minting a certificate for %q: %w", name, err)
		}
		return cert, nil
	})
}

// mint signs a certificate for a normalized name.
func (c *CA) mint(name string, m *minter) (*tls.Certificate, error) {
	if err := m.init(); err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := c.now()
	template := &x509.Certificate{
		SerialNumber: serial,
		// The name stands in the subject for people who look at it; clients read the alternative names. One that is longer
		// than a common name may be (RFC 5280, appendix A.1) is left out; the organization keeps the subject from being empty.
		Subject:        pkix.Name{Organization: []string{"eaves"}},
		SubjectKeyId:   m.id,
		AuthorityKeyId: c.cert.SubjectKeyId,
		// Not outside the authority's own time: some clients want the periods nested.
		NotBefore: later(now.Add(-clockSkew), c.cert.NotBefore).UTC().Truncate(time.Second),
		NotAfter:  earlier(now.Add(leafLife), c.cert.NotAfter).UTC().Truncate(time.Second),
		// The key signs the handshake (RFC 8446, 4.4.2.2).
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// States that it is no authority.
		BasicConstraintsValid: true,
	}
	if _, ok := m.key.(*rsa.PrivateKey); ok {
		// Before TLS 1.3 an RSA key may also be what the client encrypts the session's secret to (RFC 5246, 7.4.2).
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if len(name) <= 64 {
		template.Subject.CommonName = name
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = []net.IP{ip.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, m.key.Public(), c.key)
	if err != nil {
		return nil, err
	}
	// Leaf is set, or each handshake would parse the certificate again.
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, c.cert.Raw}, PrivateKey: m.key, Leaf: leaf}, nil
}

// normalize returns the name to put into a certificate for host: an IP address in its canonical form, or a name in
// lower case and ASCII; for what no certificate can hold, unnamed.
func normalize(host string) string {
	if h, port, err := net.SplitHostPort(host); err == nil && isPort(port) {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(host); err == nil {
		// A zone is of no meaning outside this machine, and a mapped address is compared as the IPv4 address it stands for.
		return ip.WithZone("").Unmap().String()
	}
	// A client compares without the dot of a fully qualified name (RFC 6066, section 3: the SNI has none).
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !isASCII(host) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return unnamed
		}
		host = ascii
	}
	if !isName(host) {
		return unnamed
	}
	return host
}

// isName says whether s can stand in a certificate as a DNS name. It is laxer than RFC 1034, as real hosts are
// (underscores, labels that begin with a hyphen): whether such a name is acceptable is for the client to say.
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			switch b := label[i]; {
			case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '_', b == '*':
			default:
				return false
			}
		}
	}
	return true
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// publicKeyBits returns the subjectPublicKey of a SubjectPublicKeyInfo.
func publicKeyBits(spki []byte) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return nil, err
	}
	return info.PublicKey.Bytes, nil
}
