package trustanchor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/certs/mistake"
)

// ca makes a self-signed certificate.
func ca(t *testing.T, name string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path string, certs ...*x509.Certificate) {
	t.Helper()
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// trusted says whether a server with the certificate would be trusted.
func trusted(c *x509.Certificate, roots *x509.CertPool) bool {
	if roots == nil {
		roots = x509.NewCertPool()
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: roots})
	return err == nil
}

func TestAnchorsAddToTheMachinesRoots(t *testing.T) {
	dir := t.TempDir()
	machine, global, bank := ca(t, "machine", nil), ca(t, "global", nil), ca(t, "bank", nil)
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("global.pem"), global)
	write(t, path("bank.pem"), bank)
	r := New(nil)
	r.Set([]Entry{
		{ID: 1, Enabled: true, File: path("global.pem")}, {ID: 2, Enabled: true, Host: "*.bank.test", File: path("bank.pem")},
		{ID: 3, Enabled: false, Host: "off.test", File: path("bank.pem")}, {ID: 4, Enabled: true, Host: "*.bank.test", File: path("missing.pem")},
	})
	for _, c := range []struct {
		host string
		want []int64
	}{{"a.test", []int64{1}}, {"api.bank.test", []int64{1, 2}}, {"api.bank.test.evil.test", []int64{1}}, {"off.test", []int64{1}}} {
		trust := r.For(c.host, 8443)
		var got []int64
		for _, s := range trust.Added {
			got = append(got, s.Entry.ID)
		}
		if !slices.Equal(got, c.want) || trusted(bank, trust.Roots) != slices.Contains(c.want, 2) || !trusted(global, trust.Roots) || trusted(machine, trust.Roots) {
			t.Errorf("%s: got %v", c.host, got)
		}
	}
	if a, b := r.For("a.test", 443), r.For("b.test", 443); a.ID != b.ID || a.Roots != b.Roots || a.ID == r.For("x.bank.test", 443).ID {
		t.Error("what is trusted alike has one id and one pool")
	}
	states := r.States()
	var m *mistake.Error
	if len(states) != 4 || !errors.As(states[3].Err, &m) || m.Field != "file" || len(states[1].Certificates) != 1 {
		t.Fatalf("got %+v", states)
	}
	// A new file is trusted; a broken one leaves what was.
	before, second := r.For("a.test", 443), ca(t, "second", nil)
	write(t, path("global.pem"), global, second)
	r.States()
	if now := r.For("a.test", 443); now.ID == before.ID || !trusted(second, now.Roots) {
		t.Error("the new file is not read")
	}
	write(t, path("global.pem"))
	if states := r.States(); states[0].Err == nil || len(states[0].Certificates) != 2 {
		t.Errorf("got %+v", states[0])
	}
	if now := r.For("a.test", 443); !trusted(second, now.Roots) {
		t.Error("a broken file takes trust away")
	}
	r.Set(nil)
	if now := r.For("a.test", 443); now.ID != "" || now.Roots != nil {
		t.Errorf("got %+v", now)
	}
}

func TestWarnings(t *testing.T) {
	now := time.Now()
	for want, c := range map[string]*x509.Certificate{
		"":              ca(t, "fine", nil),
		"expired":       ca(t, "old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }),
		"not-yet-valid": ca(t, "new", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }),
		"expires-soon":  ca(t, "soon", func(c *x509.Certificate) { c.NotAfter = now.Add(time.Hour) }),
		"no-ca":         ca(t, "server", func(c *x509.Certificate) { c.IsCA = false }),
	} {
		var codes []string
		for _, w := range Check([]*x509.Certificate{c}, now) {
			codes = append(codes, w.Code)
			if !strings.Contains(w.Message, c.Subject.CommonName) {
				t.Errorf("%s: %s", want, w.Message)
			}
		}
		if strings.Join(codes, " ") != want {
			t.Errorf("%q: got %v", want, codes)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, e := range map[string]Entry{"host": {Host: "a b", File: "/x"}, "file": {}, "absolute": {File: "x.pem"}} {
		var m *mistake.Error
		if err := e.Validate(); !errors.As(err, &m) || m.Field == "" || want == "host" && m.Field != "host" {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
