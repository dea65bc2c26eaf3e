package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// clientCA signs client certificates.
type clientCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newClientCA(t *testing.T) *clientCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &clientCA{cert, key}
}

// issue puts a certificate and its key into the files' place, the key first, each by rename.
func (ca *clientCA) issue(t *testing.T, name string, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	replace(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// mutual starts an origin that demands a certificate of the CA and answers with its serial number.
func (ca *clientCA) mutual(t *testing.T, version uint16) *httptest.Server {
	t.Helper()
	s, err := serveTLS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "serial %x", r.TLS.PeerCertificates[0].SerialNumber)
	}))
	if err != nil {
		t.Fatal(err)
	}
	s.TLS.MaxVersion = version
	s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	s.TLS.ClientCAs.AddCert(ca.cert)
	t.Cleanup(s.Close)
	return s
}

// eaves runs a command on the data directory of a running one, and returns what it printed.
func (i *instance) eaves(t *testing.T, args ...string) (string, error) {
	t.Helper()
	self, err := exec.LookPath("eaves")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append(args, "--data", i.run.Data)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("eaves %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

func (i *instance) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := i.eaves(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// last is the newest exchange, whole.
func (i *instance) last(t *testing.T) *capture.Exchange {
	t.Helper()
	var page struct {
		Exchanges []*capture.Exchange `json:"exchanges"`
	}
	if err := apiGet(i.run, "/exchanges?limit=1", &page); err != nil || len(page.Exchanges) != 1 {
		t.Fatalf("%v, %d exchanges", err, len(page.Exchanges))
	}
	x := &capture.Exchange{}
	if err := json.Unmarshal([]byte(i.must(t, "show", fmt.Sprint(page.Exchanges[0].ID), "--json")), x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestClientCertificates is the way of a user with curl: without a certificate, with one, with a new one in its files, with a
// broken one, with another one in a replay, and without again.
func TestClientCertificates(t *testing.T) {
	curl := need(t, "curl")
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			ca := newClientCA(t)
			origin := ca.mutual(t, version)
			i := running(t, certPEM(origin.Certificate()))
			dir := t.TempDir()
			certFile, keyFile := filepath.Join(dir, "alice.pem"), filepath.Join(dir, "alice.key")
			ca.issue(t, "alice", 0xa1, certFile, keyFile)
			exchanges := int64(0)
			get := func() string {
				t.Helper()
				out, err := exec.Command(curl, "--silent", "--show-error", "--max-time", "20", "--proxy", i.run.Proxy, "--cacert", i.run.CA, origin.URL+"/").CombinedOutput()
				if err != nil {
					t.Fatalf("curl: %v: %s", err, out)
				}
				exchanges++
				if err := settled(i.run, exchanges); err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			host := strings.TrimPrefix(origin.URL, "https://")

			if got := get(); strings.Contains(got, "serial") {
				t.Fatalf("without a certificate: %s", got)
			}
			if cc := i.last(t).TLS.ClientCertificate; !cc.Requested || cc.Verdict != "no-rule" || cc.Sent != nil {
				t.Fatalf("receipt: %+v", cc)
			}

			// A pattern without a port is for port 443: this origin is not there.
			i.must(t, "cert", "add", "127.0.0.1", "--cert", certFile, "--key", keyFile)
			if got := get(); strings.Contains(got, "serial") {
				t.Fatalf("with a certificate for port 443: %s", got)
			}
			if id := i.must(t, "cert", "add", host, "--cert", certFile, "--key", keyFile); id != "2" {
				t.Fatalf("added as %q", id)
			}
			if got := get(); got != "serial a1" {
				t.Fatalf("with a certificate: %s", got)
			}
			first := i.last(t)
			if cc := first.TLS.ClientCertificate; !cc.Requested || cc.Verdict != "accepted" || cc.Rule != host || cc.Sent == nil || cc.Sent.Serial != "a1" || cc.Sent.Subject != "CN=alice" {
				t.Fatalf("receipt: %+v", cc)
			}
			if out := i.must(t, "cert", "show", "2"); !strings.Contains(out, "accepted") || !strings.Contains(out, fmt.Sprintf("in exchange %d", first.ID)) {
				t.Errorf("cert show:\n%s", out)
			}

			// Rotation: it takes a moment until the files are looked at, and no exchange fails meanwhile.
			ca.issue(t, "alice", 0xa2, certFile, keyFile)
			for limit := time.Now().Add(deadline); ; {
				got := get()
				if got == "serial a2" {
					break
				}
				if got != "serial a1" || time.Now().After(limit) {
					t.Fatalf("after the rotation: %s", got)
				}
			}
			if cc := i.last(t).TLS.ClientCertificate; cc.Sent == nil || cc.Sent.Serial != "a2" || cc.Note != "" {
				t.Fatalf("receipt: %+v", cc)
			}
			replace(t, certFile, []byte("not a certificate"))
			if out := i.must(t, "cert", "list"); !strings.Contains(out, "cannot be used") || !strings.Contains(out, "stays in use") {
				t.Errorf("cert list:\n%s", out)
			}
			if got := get(); got != "serial a2" {
				t.Fatalf("with a broken file: %s", got)
			}
			if cc := i.last(t).TLS.ClientCertificate; cc.Sent == nil || cc.Sent.Serial != "a2" {
				t.Fatalf("receipt: %+v", cc)
			}

			// Another identity, and none, for a replay.
			bobCert, bobKey := filepath.Join(dir, "bob.pem"), filepath.Join(dir, "bob.key")
			ca.issue(t, "bob", 0xb1, bobCert, bobKey)
			if id := i.must(t, "cert", "add", "elsewhere.test", "--cert", bobCert, "--key", bobKey); id != "3" {
				t.Fatalf("added as %q", id)
			}
			i.must(t, "replay", fmt.Sprint(first.ID), "--cert", "3")
			exchanges++
			if cc := i.last(t).TLS.ClientCertificate; cc.Sent == nil || cc.Sent.Serial != "b1" || cc.Verdict != "accepted" {
				t.Fatalf("receipt: %+v", cc)
			}
			if _, err := i.eaves(t, "replay", fmt.Sprint(first.ID), "--cert", "none"); err == nil {
				t.Fatal("a replay without a certificate succeeds")
			}
			exchanges++
			if cc := i.last(t).TLS.ClientCertificate; !cc.Requested || cc.Sent != nil {
				t.Fatalf("receipt: %+v", cc)
			}
			if _, err := i.eaves(t, "replay", fmt.Sprint(first.ID), "--cert", "9"); err == nil || !strings.Contains(err.Error(), "there is no client certificate 9") {
				t.Fatalf("got %v", err)
			}
			if got := get(); got != "serial a2" {
				t.Fatalf("after the replays: %s", got)
			}

			i.must(t, "cert", "disable", "2")
			if got := get(); strings.Contains(got, "serial") {
				t.Fatalf("with a disabled certificate: %s", got)
			}
			if cc := i.last(t).TLS.ClientCertificate; !cc.Requested || cc.Verdict != "no-rule" || cc.Sent != nil {
				t.Fatalf("receipt: %+v", cc)
			}
		})
	}
}
