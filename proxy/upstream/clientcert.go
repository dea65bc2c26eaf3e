package upstream

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"eaves/capture"
)

// authentication is how we were asked who we are on one connection, and what we said.
type authentication struct {
	terms *terms
	// bounded says that no newer version than TLS 1.2 was offered, so that the server can ask after the request.
	bounded bool

	mu    sync.Mutex
	times int // how often we were asked
	proof
}

// proof is what is known of a client authentication.
type proof struct {
	asked bool
	// late says that it was asked for after the handshake, by renegotiation.
	late     bool
	settled  bool // the first handshake is over
	version  uint16
	cas      [][]byte // distinguished names that the server accepts
	schemes  []tls.SignatureScheme
	sent     *Identity
	misfits  []misfit // what a server may dislike about it
	signing  error    // why its key could not be used
	receipts struct { // of what is above, made when they were first needed
		names, schemes []string
		sent           *capture.Certificate
	}
}

// misfit is something that a server may dislike about a client certificate.
type misfit struct {
	kind  misfitKind
	words string
}

type misfitKind uint8

const (
	misfitDates misfitKind = iota
	misfitUsage
	misfitIssuer
	misfitScheme
)

// certificate answers a server's request. What is configured is always sent: it is for the server to say no.
func (a *authentication) certificate(i *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proof = proof{asked: true, late: a.settled, settled: a.settled, version: i.Version, cas: i.AcceptableCAs, schemes: i.SignatureSchemes}
	a.times++
	a.receipts.names, a.receipts.schemes = make([]string, len(i.AcceptableCAs)), make([]string, len(i.SignatureSchemes))
	for n, der := range i.AcceptableCAs {
		a.receipts.names[n] = distinguishedName(der)
	}
	for n, s := range i.SignatureSchemes {
		a.receipts.schemes[n] = schemeName(s)
	}
	if len(a.terms.identities) == 0 {
		return &tls.Certificate{}, nil // nil would be an error
	}
	a.sent = choose(a.terms.identities, i)
	leaf := Certificate(a.sent.Certificate.Leaf)
	a.receipts.sent = &leaf
	a.misfits = misfits(a.sent.Certificate, i, time.Now())
	key, ok := a.sent.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return a.sent.Certificate, nil
	}
	c := *a.sent.Certificate
	c.PrivateKey = witness{key, a}
	return &c, nil
}

// witness is a key that tells why it could not sign: crypto/tls does not say whose error it hands on.
type witness struct {
	crypto.Signer
	a *authentication
}

func (w witness) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	b, err := w.Signer.Sign(rand, digest, opts)
	if err != nil {
		w.a.mu.Lock()
		w.a.signing = err
		w.a.mu.Unlock()
	}
	return b, err
}

// finish notes that the first handshake is over. Where it resumed a session, what was settled then holds.
func (a *authentication) finish(resumed bool, m *memory) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if resumed {
		if p, ok := m.recall(); ok {
			a.proof = p
		}
		return
	}
	a.settled = true
	m.remember(a.proof)
}

// seen returns what is known, and how often we were asked.
func (a *authentication) seen() (proof, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proof, a.times
}

// choose takes the identity that suits a server best, of those that are as specific as the first. Of two that suit it as
// well the one that comes first is taken.
func choose(ids []Identity, i *tls.CertificateRequestInfo) *Identity {
	best, rank := 0, 3
	for n := range ids {
		if ids[n].Specificity != ids[0].Specificity {
			break
		}
		r := 2
		switch {
		case i.SupportsCertificate(ids[n].Certificate) == nil:
			r = 0
		case acceptable(ids[n].Certificate, i.AcceptableCAs):
			r = 1
		}
		if r < rank {
			best, rank = n, r
		}
	}
	return &ids[best]
}

// acceptable says whether a chain leads to one of the CAs that a server accepts. One that names none accepts any, as far
// as it says (RFC 8446, 4.2.4).
func acceptable(c *tls.Certificate, cas [][]byte) bool {
	if len(cas) == 0 {
		return true
	}
	for _, cert := range chain(c) {
		for _, ca := range cas {
			if bytes.Equal(cert.RawIssuer, ca) {
				return true
			}
		}
	}
	return false
}

// chain is what is sent of a certificate and those above it, as far as it can be read.
func chain(c *tls.Certificate) []*x509.Certificate {
	certs := []*x509.Certificate{c.Leaf}
	for _, der := range c.Certificate[min(1, len(c.Certificate)):] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}

// misfits are all that a server may dislike about a certificate, as far as can be told from here.
func misfits(c *tls.Certificate, i *tls.CertificateRequestInfo, now time.Time) []misfit {
	var found []misfit
	add := func(kind misfitKind, format string, a ...any) {
		found = append(found, misfit{kind, fmt.Sprintf(format, a...)})
	}
	leaf := c.Leaf
	switch {
	case now.After(leaf.NotAfter):
		add(misfitDates, "it expired on %s", date(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		add(misfitDates, "it is not valid before %s", date(leaf.NotBefore))
	}
	for _, above := range chain(c)[1:] {
		if now.After(above.NotAfter) {
			add(misfitDates, "the CA certificate %s sent with it expired on %s", name(above), date(above.NotAfter))
		}
	}
	if !forClients(leaf) {
		add(misfitUsage, "it is not meant for clients (its extended key usage lacks clientAuth)")
	}
	if !acceptable(c, i.AcceptableCAs) {
		certs := chain(c)
		top := certs[len(certs)-1]
		which := "its issuer " + issuer(top)
		if len(certs) > 1 {
			which = fmt.Sprintf("its chain ends at %s, which", issuer(top))
		}
		add(misfitIssuer, "%s is not among the CAs the server accepts (%s)", which, someNames(i.AcceptableCAs))
	}
	bare := *i
	bare.AcceptableCAs = nil
	if err := bare.SupportsCertificate(c); err != nil {
		add(misfitScheme, "its key (%s) makes no signature that the server takes in %s", keyName(leaf), tls.VersionName(i.Version))
	}
	return found
}

// forClients says whether a certificate may be used by clients (RFC 5280, 4.2.1.12).
func forClients(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageClientAuth || u == x509.ExtKeyUsageAny {
			return true
		}
	}
	return false
}

// complete says whether a chain is known to lead to a root: then nothing is missing from it.
func complete(certs []*x509.Certificate, roots *x509.CertPool) bool {
	if selfSigned(certs[len(certs)-1]) {
		return true
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	// Its dates are not in question here.
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: certs[0].NotBefore.Add(time.Second)})
	return err == nil
}

// someNames writes the names of CAs, as many as one wants to read.
func someNames(ders [][]byte) string {
	const enough = 3
	var words []string
	for n, der := range ders {
		if n == enough {
			return fmt.Sprintf("%s and %d more", strings.Join(words, ", "), len(ders)-n)
		}
		words = append(words, fmt.Sprintf("%q", shortName(der)))
	}
	return strings.Join(words, ", ")
}

// readName reads a distinguished name.
func readName(der []byte) (pkix.RDNSequence, error) {
	var rdn pkix.RDNSequence
	rest, err := asn1.Unmarshal(der, &rdn)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes behind it")
	}
	return rdn, err
}

// distinguishedName writes a name as a server lists it among the CAs it accepts.
func distinguishedName(der []byte) string {
	rdn, err := readName(der)
	if err != nil {
		return "unreadable name " + hex.EncodeToString(der)
	}
	return rdn.String()
}

// shortName is the common name of a CA, or the whole where it has none.
func shortName(der []byte) string {
	rdn, err := readName(der)
	if err != nil {
		return distinguishedName(der)
	}
	var n pkix.Name
	n.FillFromRDNSequence(&rdn)
	if n.CommonName != "" {
		return n.CommonName
	}
	return rdn.String()
}

func keyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// schemeName is the name of a signature scheme in IANA's registry.
func schemeName(s tls.SignatureScheme) string {
	names := [...]struct {
		scheme tls.SignatureScheme
		name   string
	}{
		{tls.PKCS1WithSHA1, "rsa_pkcs1_sha1"}, {tls.PKCS1WithSHA256, "rsa_pkcs1_sha256"}, {tls.PKCS1WithSHA384, "rsa_pkcs1_sha384"},
		{tls.PKCS1WithSHA512, "rsa_pkcs1_sha512"}, {tls.PSSWithSHA256, "rsa_pss_rsae_sha256"}, {tls.PSSWithSHA384, "rsa_pss_rsae_sha384"},
		{tls.PSSWithSHA512, "rsa_pss_rsae_sha512"}, {tls.ECDSAWithSHA1, "ecdsa_sha1"}, {tls.ECDSAWithP256AndSHA256, "ecdsa_secp256r1_sha256"},
		{tls.ECDSAWithP384AndSHA384, "ecdsa_secp384r1_sha384"}, {tls.ECDSAWithP521AndSHA512, "ecdsa_secp521r1_sha512"}, {tls.Ed25519, "ed25519"},
		{0x0808, "ed448"}, {0x0809, "rsa_pss_pss_sha256"}, {0x080a, "rsa_pss_pss_sha384"}, {0x080b, "rsa_pss_pss_sha512"},
		{0x0301, "rsa_pkcs1_sha224"}, {0x0303, "ecdsa_sha224"},
	}
	for _, n := range names {
		if n.scheme == s {
			return n.name
		}
	}
	return fmt.Sprintf("0x%04x", uint16(s))
}
