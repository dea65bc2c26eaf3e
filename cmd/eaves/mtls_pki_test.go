package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/cmd/eaves/internal/lab"
)

// pki is what the counterparts are made with: each name is a file NAME.pem with certificate and chain, and one NAME.key.
type pki struct {
	t   *testing.T
	dir string
	// root is the CA that everything good comes from, sub the one that issues, deep one below that; other is a CA that
	// nobody knows.
	root, sub, deep, other *lab.Authority
}

// The names of the CAs, as explanations have them.
const (
	rootName  = "Test Root"
	subName   = "Test Issuing CA"
	otherName = "Unrelated CA"
)

func (p *pki) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name string, b []byte) {
	p.t.Helper()
	p.check(os.WriteFile(p.file(name), b, 0o600))
}

// newPKI makes all certificates.
func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	var errs [4]error
	p.root, errs[0] = lab.NewRoot(rootName, nil)
	p.other, errs[1] = lab.NewRoot(otherName, nil)
	p.check(errors.Join(errs[:]...))
	p.sub, errs[0] = p.root.Sub(subName, nil)
	p.check(errs[0])
	p.deep, errs[0] = p.sub.Sub("Test Deep CA", nil)
	p.check(errs[0])
	p.write("root.pem", lab.PEM(p.root.Certificate))
	p.clients()
	p.servers()
	return p
}

// silent issues as a does, and its own certificate does not go with what it issues.
func silent(a *lab.Authority) *lab.Authority {
	return &lab.Authority{Certificate: a.Certificate, Key: a.Key}
}

// alone is an authority that is a certificate's own.
func alone(edit func(*x509.Certificate)) func(p *pki, name string) (*lab.Identity, error) {
	return func(_ *pki, name string) (*lab.Identity, error) {
		a, err := lab.NewRoot(name, func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage, c.NotAfter = false, x509.KeyUsageDigitalSignature, time.Now().Add(200*24*time.Hour)
			edit(c)
		})
		if err != nil {
			return nil, err
		}
		return &lab.Identity{Certificate: a.Certificate, Key: a.Key}, nil
	}
}

// issue makes a certificate and writes it.
func (p *pki) issue(a *lab.Authority, name string, edits ...func(*x509.Certificate)) *lab.Identity {
	p.t.Helper()
	i, err := a.Issue(name, func(c *x509.Certificate) {
		for _, edit := range edits {
			edit(c)
		}
	})
	p.check(err)
	p.save(name, i)
	return i
}

func (p *pki) save(name string, i *lab.Identity) {
	p.t.Helper()
	key, err := i.KeyPEM()
	p.check(err)
	p.write(name+".pem", i.PEM())
	p.write(name+".key", key)
	p.write(name+".both", slices.Concat(i.PEM(), key))
}

// from makes a certificate valid from so many days ago, for so many days.
func from(ago, days int) func(*x509.Certificate) {
	day := 24 * time.Hour
	return func(c *x509.Certificate) {
		c.NotBefore = time.Now().Add(-time.Duration(ago) * day)
		c.NotAfter = c.NotBefore.Add(time.Duration(days) * day)
	}
}

func (p *pki) clients() {
	withdrawn := p.issue(p.sub, "withdrawn", lab.ForClients)
	p.issue(p.sub, "alice", lab.ForClients)
	p.issue(silent(p.sub), "nochain", lab.ForClients)
	p.issue(p.sub, "outdated", lab.ForClients, from(30, 29))
	p.issue(p.sub, "future", lab.ForClients, from(-30, 60))
	p.issue(p.sub, "usage", lab.ForServers)
	p.issue(p.other, "foreign", lab.ForClients)
	p.issue(p.deep, "deep", lab.ForClients)
	self, err := alone(lab.ForClients)(p, "selfissued")
	p.check(err)
	p.save("selfissued", self)
	var lists []byte
	for _, ca := range []*lab.Authority{p.root, p.sub} {
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}
		if ca == p.sub {
			list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: withdrawn.Certificate.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)}}
		}
		der, err := x509.CreateRevocationList(rand.Reader, list, ca.Certificate, ca.Key)
		p.check(err)
		lists = append(lists, pemBlock("X509 CRL", der)...)
	}
	p.write("crl.pem", lists)
	p.write("root-crl.pem", slices.Concat(lab.PEM(p.root.Certificate), lists))
}

// forLocalhost makes a template that of a server here.
func forLocalhost(c *x509.Certificate) {
	lab.ForServers(c)
	c.DNSNames, c.IPAddresses = []string{"localhost", "*.localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
}

func (p *pki) servers() {
	p.issue(p.root, "server", forLocalhost)
	p.issue(p.root, "expired", forLocalhost, from(30, 29))
	p.issue(p.root, "early", forLocalhost, from(-30, 60))
	p.issue(p.root, "wronghost", forLocalhost, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.test"}, nil })
	p.issue(p.root, "cnonly", forLocalhost, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames, c.IPAddresses = "localhost", nil, nil
	})
	p.issue(p.root, "forclients", forLocalhost, lab.ForClients)
	p.issue(p.other, "unknownca", forLocalhost)
	p.issue(p.other, "unknownandwrong", forLocalhost, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.test"}, nil })
	p.issue(silent(p.sub), "incomplete", forLocalhost)
	self, err := alone(forLocalhost)(p, "selfsigned")
	p.check(err)
	p.save("selfsigned", self)
	old, err := p.root.Sub("Outdated CA", from(30, 29))
	p.check(err)
	p.issue(old, "oldca", forLocalhost)
	limited, err := p.root.Sub("Limited CA", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"corp.test"}, true
	})
	p.check(err)
	p.issue(limited, "limited", forLocalhost)
	leaf := p.issue(p.root, "noca", forLocalhost)
	p.issue(&lab.Authority{Certificate: leaf.Certificate, Key: leaf.Key, Above: []*x509.Certificate{leaf.Certificate}}, "bynoca", forLocalhost)
	// RSA keys: for the suites that need one, and one too short for anybody's taste.
	p.rsa("rsa", 2048)
	p.rsa("short", 1024)
	p.sha1("sha1")
}

// rsa is a server's certificate with a key of its own kind.
func (p *pki) rsa(name string, bits int) {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	p.check(err)
	p.save(name, p.sign(name, key))
}

// sign makes a server's certificate for a key.
func (p *pki) sign(name string, key crypto.Signer) *lab.Identity {
	p.t.Helper()
	i, err := p.root.Issue(name, func(c *x509.Certificate) {
		forLocalhost(c)
		c.KeyUsage |= x509.KeyUsageKeyEncipherment
	})
	p.check(err)
	der, err := x509.CreateCertificate(rand.Reader, i.Certificate, p.root.Certificate, key.Public(), p.root.Key)
	p.check(err)
	c, err := x509.ParseCertificate(der)
	p.check(err)
	return &lab.Identity{Certificate: c, Key: key}
}

// sha1 is a server's certificate signed with SHA-1, which only openssl still makes.
func (p *pki) sha1(name string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.check(err)
	p.save(name, p.sign(name, key))
	rootKey, err := (&lab.Identity{Key: p.root.Key}).KeyPEM()
	p.check(err)
	p.write("root.key", rootKey)
	p.write(name+".ext", []byte("subjectAltName=DNS:localhost,DNS:*.localhost\nextendedKeyUsage=serverAuth\n"))
	for _, line := range []string{
		"req -new -key " + name + ".key -subj /CN=localhost -out " + name + ".csr",
		"x509 -req -sha1 -in " + name + ".csr -CA root.pem -CAkey root.key -set_serial 77 -days 100 -extfile " + name + ".ext -out " + name + ".pem",
	} {
		cmd := exec.Command(need(p.t, "openssl"), strings.Fields(line)...)
		cmd.Dir = p.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			p.t.Fatalf("openssl %s: %v\n%s", line, err, out)
		}
	}
}
