package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// lifetime is how long what the lab issues is valid. Browsers take server certificates of up to 398 days.
const lifetime = 365 * day

// Authority is a CA.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Above goes with what it issues: its own certificate and those of the CAs above it, but for the root's.
	Above []*x509.Certificate
}

// Identity is a certificate with its key.
type Identity struct {
	Certificate *x509.Certificate
	// Chain are the CAs above that go with it, the issuer first.
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// NewRoot makes a CA that signs itself. edit may change the certificate before it is signed.
func NewRoot(name string, edit func(*x509.Certificate)) (*Authority, error) {
	i, err := issue(nil, name, nil, forAuthorities, edit)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: i.Certificate, Key: i.Key}, nil
}

// Sub makes a CA below this one.
func (a *Authority) Sub(name string, edit func(*x509.Certificate)) (*Authority, error) {
	i, err := issue(a, name, nil, forAuthorities, edit)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: i.Certificate, Key: i.Key, Above: append([]*x509.Certificate{i.Certificate}, a.Above...)}, nil
}

// Issue makes a certificate with a key of its own. edit says what it is for.
func (a *Authority) Issue(name string, edit func(*x509.Certificate)) (*Identity, error) {
	return issue(a, name, nil, edit)
}

// ForClients makes a template that of a client.
func ForClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

// ForServers makes a template that of a server.
func ForServers(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }

func forAuthorities(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.NotAfter = c.NotBefore.Add(10 * lifetime)
}

// issue signs a certificate; where a is nil it signs itself.
func issue(a *Authority, name string, key crypto.Signer, edits ...func(*x509.Certificate)) (*Identity, error) {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{organization}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	for _, edit := range edits {
		if edit != nil {
			edit(template)
		}
	}
	parent, signer := template, key
	i := &Identity{Key: key}
	if a != nil {
		parent, signer = a.Certificate, a.Key
		i.Chain = slices.Clone(a.Above)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	if i.Certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return i, nil
}

// fromTLS is the identity of a pair that crypto/tls has read.
func fromTLS(pair tls.Certificate) (*Identity, error) {
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", pair.PrivateKey)
	}
	i := &Identity{Key: key}
	for n, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			i.Certificate = c
		} else {
			i.Chain = append(i.Chain, c)
		}
	}
	return i, nil
}

// TLS is the identity as crypto/tls has it.
func (i *Identity) TLS() tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.Certificate.Raw}, PrivateKey: i.Key, Leaf: i.Certificate}
	for _, above := range i.Chain {
		c.Certificate = append(c.Certificate, above.Raw)
	}
	return c
}

// PEM is the certificate with its chain below it.
func (i *Identity) PEM() []byte {
	return PEM(append([]*x509.Certificate{i.Certificate}, i.Chain...)...)
}

// KeyPEM is the key, in PKCS#8.
func (i *Identity) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// PEM writes certificates one below the other.
func PEM(certificates ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certificates {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}
