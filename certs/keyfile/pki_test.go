package keyfile_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs/keyfile"
)

// person is a certificate with its key, made by this test.
type person struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (p person) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
}

func (p person) keyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// issue makes a certificate for key; change may alter it before it is signed. A nil issuer means itself.
func issue(name string, key crypto.Signer, issuer *person, change func(*x509.Certificate)) person {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return person{cert, key}
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
}

func ecKey() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// pki is a root, an intermediate, and one person for each kind of key.
type pki struct{ root, middle, rsa, ec, ed person }

var testPKI = sync.OnceValue(func() *pki {
	p := new(pki)
	p.root = issue("Keyfile Root", ecKey(), nil, authority)
	p.middle = issue("Keyfile Intermediate", ecKey(), &p.root, authority)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	p.rsa = issue("alice", rsaKey, &p.middle, nil)
	p.ec = issue("bob", ecKey(), &p.middle, nil)
	p.ed = issue("carol", edKey, &p.middle, nil)
	return p
})

// folder is a directory in which programs make files.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) write(name string, parts ...[]byte) string {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), bytes.Join(parts, nil), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return name
}

func (f folder) read(name string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// run runs a program in the folder.
func (f folder) run(name string, args ...string) string {
	f.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		f.t.Skip("needs " + name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = f.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wantPair asserts who a pair is, and what it would send.
func wantPair(t *testing.T, p *keyfile.Pair, err error, who person, chain ...person) {
	t.Helper()
	if err != nil {
		t.Fatalf("error: %v", err)
	}
	if !p.Chain[0].Equal(who.cert) {
		t.Fatalf("leaf is %v, want %v", p.Chain[0].Subject, who.cert.Subject)
	}
	if pub := p.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !pub.Equal(who.key.Public()) {
		t.Fatal("it is another key")
	}
	if len(p.Chain) != 1+len(chain) {
		t.Fatalf("chain has %d certificates, want %d", len(p.Chain), 1+len(chain))
	}
	for i, c := range chain {
		if !p.Chain[i+1].Equal(c.cert) {
			t.Errorf("certificate %d of the chain is %v, want %v", i+1, p.Chain[i+1].Subject, c.cert.Subject)
		}
	}
}

// wantError asserts the kind of an error, some of its words, and that no passphrase stands in it.
func wantError(t *testing.T, err error, kind keyfile.Kind, words string, secrets ...string) *keyfile.Error {
	t.Helper()
	var e *keyfile.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *keyfile.Error", err)
	}
	if e.Kind != kind || !strings.Contains(e.What, words) {
		t.Errorf("error is %q (%s), want %q (%s)", e.What, e.Kind, words, kind)
	}
	for _, s := range secrets {
		if s != "" && (strings.Contains(e.What, s) || strings.Contains(e.Hint, s)) {
			t.Errorf("the passphrase stands in the error: %q, hint %q", e.What, e.Hint)
		}
	}
	return e
}
