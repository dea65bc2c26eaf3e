package keyfile

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Pair is a private key with the certificate that belongs to it.
type Pair struct {
	// Chain is what is sent: the leaf, then the path to its issuer as far as the file goes, without self-signed roots.
	Chain []*x509.Certificate
	// Roots are the self-signed certificates that the file holds beside the leaf.
	Roots []*x509.Certificate
	Key   crypto.Signer
}

// ReadPEM reads a certificate, with those of its issuers, and its private key: PEM or DER in any order. A nil key means
// that it stands in the certificate's file.
func ReadPEM(cert, key, passphrase []byte) (*Pair, error) {
	certFile, keyFile := "the file", "the file"
	if key != nil {
		certFile, keyFile = "the certificate file", "the key file"
	}
	c, err := scan(cert)
	if err != nil {
		return nil, within(certFile, err)
	}
	keys := c.keys
	if key != nil {
		k, err := scan(key)
		if err != nil {
			return nil, within(keyFile, err)
		}
		// Somebody's key file may hold the chain, and both names may stand for the same file, or the wrong way round.
		c.certs = append(c.certs, k.certs...)
		if len(k.keys) > 0 {
			keys = k.keys
		}
		if len(keys) == 0 {
			return nil, noKey(keyFile, k)
		}
	}
	if len(keys) == 0 {
		e := noKey(certFile, c)
		e.Hint = "give the key's file too (--key FILE)"
		return nil, e
	}
	if len(c.certs) == 0 {
		if c.bad != nil {
			return nil, within(certFile, c.bad)
		}
		return nil, noCertificate(certFile, c)
	}
	if len(keys) > maxKeys {
		return nil, tooManyKeys("it")
	}
	w := newWork()
	var signers []crypto.Signer
	for _, k := range keys {
		s, err := k.decode("the key", passphrase, w)
		if err != nil {
			return nil, within("the key", err)
		}
		signers = append(signers, s)
	}
	return newPair(c, signers)
}

// within says of which file an error speaks that says “it”.
func within(file string, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	renamed := *e
	if rest, ok := strings.CutPrefix(e.What, "it "); ok {
		renamed.What = file + " " + rest
	} else if rest, ok := strings.CutPrefix(e.What, "its "); ok {
		renamed.What = file + "'s " + rest
	}
	return &renamed
}

func noKey(file string, c *content) *Error {
	e := &Error{What: file + " holds no private key", Kind: NoKey, Hint: "give the file that holds it"}
	switch {
	case c.instead != "":
		e.What += " but " + c.instead
	case len(c.certs) > 0:
		e.What += " but certificates only"
	}
	return e
}

// Limits on what a file may have us compare and verify.
const (
	maxKeys       = 64
	maxChain      = 32
	maxSignatures = 64
)

func tooManyKeys(file string) *Error {
	return unsupported("give a file with the one key that is needed", "%s holds more than %d private keys", file, maxKeys)
}

// newPair finds the certificate that belongs to a key, and its chain.
func newPair(c *content, keys []crypto.Signer) (*Pair, error) {
	certs := unique(c.certs)
	var leaf *x509.Certificate
	var key crypto.Signer
	for _, k := range keys {
		for _, cert := range certs {
			if !fits(k, cert) {
				continue
			}
			switch {
			case leaf == nil:
				leaf, key = cert, k
			case !fits(k, leaf):
				return nil, unsupported("split it, one file for each: openssl pkcs12 -in FILE -nodes, or keytool -importkeystore -srcalias NAME",
					"it holds two identities, %s and %s, and one is needed", Name(leaf), Name(cert))
			case cert.NotAfter.After(leaf.NotAfter): // renewed for the same key: the newer one counts
				leaf = cert
			}
		}
	}
	if leaf == nil {
		if c.bad != nil {
			return nil, c.bad
		}
		return nil, mismatch(certs, keys)
	}
	p := &Pair{Key: key}
	p.Chain, p.Roots = Path(leaf, certs)
	return p, nil
}

// Path returns what is to be sent for leaf: itself and the way to its issuer as far as the certificates in among go; and
// the self-signed ones of these, which are not sent.
func Path(leaf *x509.Certificate, among []*x509.Certificate) (chain, roots []*x509.Certificate) {
	chain = []*x509.Certificate{leaf}
	var others []*x509.Certificate
	for _, cert := range among {
		switch {
		case cert.Equal(leaf):
		case selfSigned(cert):
			roots = append(roots, cert)
		default:
			others = append(others, cert)
		}
	}
	signatures := maxSignatures
	for last := leaf; !selfSigned(last) && len(chain) < maxChain; {
		i := issuerOf(last, others, &signatures)
		if i < 0 {
			break
		}
		last = others[i]
		chain = append(chain, last)
		others = slices.Delete(others, i, i+1)
	}
	return chain, roots
}

func mismatch(certs []*x509.Certificate, keys []crypto.Signer) error {
	key, cert := KeyName(keys[0].Public()), certs[0]
	for _, c := range certs {
		if !c.IsCA { // more likely to be the one that was meant
			cert = c
			break
		}
	}
	e := &Error{Kind: Mismatch, Hint: "find the key that the certificate was made for; for a pair these print the same: openssl x509 -in CERT -noout -pubkey, openssl pkey -in KEY -pubout"}
	if of := KeyName(cert.PublicKey); of != key {
		e.What = fmt.Sprintf("the key does not fit the certificate: the key is %s, the certificate %s is for %s", key, Name(cert), of)
	} else {
		e.What = fmt.Sprintf("the key does not fit the certificate: the certificate %s is for another key of the kind %s", Name(cert), of)
	}
	return e
}

func unique(certs []*x509.Certificate) []*x509.Certificate {
	seen := make(map[string]bool)
	var all []*x509.Certificate
	for _, c := range certs {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			all = append(all, c)
		}
	}
	return all
}

// fits says whether key is the one of cert.
func fits(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// selfSigned goes by names and key identifiers; whether the signature holds is for who trusts it to see.
func selfSigned(c *x509.Certificate) bool { return named(c, c) }

// named says whether parent is by its name and key identifier the issuer of child.
func named(parent, child *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, child.RawIssuer) &&
		(len(parent.SubjectKeyId) == 0 || len(child.AuthorityKeyId) == 0 || bytes.Equal(parent.SubjectKeyId, child.AuthorityKeyId))
}

// issuerOf returns the place of the issuer of c, or -1. Where several have its name, as after an authority made itself a
// new key, the one whose key signed c counts, as far as there are signatures left to verify.
func issuerOf(c *x509.Certificate, among []*x509.Certificate, signatures *int) int {
	found := -1
	for i, parent := range among {
		if !named(parent, c) {
			continue
		}
		if *signatures > 0 {
			if *signatures--; signed(parent, c) {
				return i
			}
		}
		if found < 0 {
			found = i // by name, where the signature is of a kind that Go no longer verifies, such as SHA-1
		}
	}
	return found
}

func signed(parent, child *x509.Certificate) bool {
	if k, ok := parent.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > 16384 {
		return false // takes too long, and nobody has one
	}
	return child.CheckSignatureFrom(parent) == nil
}

// TLS returns the pair for use in a handshake.
func (p *Pair) TLS() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: p.Key, Leaf: p.Chain[0]}
	for _, cert := range p.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// KeyName names the kind and size of the key: RSA 2048, ECDSA P-256, Ed25519.
func (p *Pair) KeyName() string { return KeyName(p.Key.Public()) }

// Name is how a certificate is called in a sentence: its common name, else its whole subject or its first name.
func Name(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return fmt.Sprintf("%q", c.Subject.CommonName)
	case len(c.RawSubject) > 2:
		return fmt.Sprintf("%q", c.Subject.String())
	case len(c.DNSNames) > 0:
		return fmt.Sprintf("%q", c.DNSNames[0])
	case len(c.EmailAddresses) > 0:
		return fmt.Sprintf("%q", c.EmailAddresses[0])
	}
	return "with serial number " + c.SerialNumber.Text(16)
}
