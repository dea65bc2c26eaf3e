package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/proxy/upstream"
	"eaves/webui"
)

// alice makes a certificate, its key, and its key under the passphrase hush, as PEM.
func alice(t *testing.T, serial int64) (cert, key, sealed []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "alice"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100*24*time.Hour + time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 users have such keys
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", ec, []byte("hush"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}), pem.EncodeToMemory(block)
}

// stopped reaches the API of a data directory on which nothing runs.
func stopped(t *testing.T) (*client.Client, *config.Config) {
	t.Helper()
	cfg := testConfig(t)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	c, done, err := Connect(ctx, cfg, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	})
	return c, cfg
}

// do asks, and wants it to work.
func do(t *testing.T, c *client.Client, method, path string, in, out any) {
	t.Helper()
	if err := c.Do(t.Context(), method, path, nil, in, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// refused asks, and wants a refusal of the named field.
func refused(t *testing.T, c *client.Client, method, path string, in any, field, want string) {
	t.Helper()
	err := c.Do(t.Context(), method, path, nil, in, nil)
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != 400 || p.Parameter != field || !strings.Contains(p.Detail, want) {
		t.Errorf("%s %s: got %+v, want %s: %s", method, path, err, field, want)
	}
}

// copies are the files that are kept of uploads.
func copies(t *testing.T, cfg *config.Config) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(cfg.Data, "certificates", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if info, err := os.Stat(f); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	return all
}

func secretNames(t *testing.T, c *client.Client) []string {
	t.Helper()
	var list struct{ Secrets []webui.Secret }
	do(t, c, http.MethodGet, "/secrets", nil, &list)
	var names []string
	for _, s := range list.Secrets {
		names = append(names, s.Name)
	}
	return names
}

func TestUploadedCertificates(t *testing.T) {
	c, cfg := stopped(t)
	cert, _, sealed := alice(t, 1)
	type body = map[string]any
	// What is refused leaves nothing behind, and names the field as it came.
	post := func(b body, field, want string) {
		t.Helper()
		refused(t, c, http.MethodPost, "/client-certificates", b, field, want)
		if got := copies(t, cfg); len(got) != 0 {
			t.Errorf("copies %v", got)
		}
		if got := secretNames(t, c); len(got) != 0 {
			t.Errorf("secrets %v", got)
		}
	}
	post(body{"host": "a.test", "certificateData": cert, "keyData": sealed}, "passphrase", "no passphrase was given")
	post(body{"host": "a.test", "certificateData": cert, "keyData": sealed, "secret": "dunno"}, "secret", "passphrase is not")
	post(body{"host": "a.test", "certificateData": cert, "keyData": sealed, "passphrase": "hush"}, "passphrase", "")
	post(body{"host": "a.test", "certificateData": cert, "keyData": sealed, "passphrase": "env:X", "secret": "x"}, "secret", "exclude")
	post(body{"host": "a.test", "certificateData": []byte("nonsense"), "secret": "x"}, "certificateData", "")
	post(body{"host": "a.test", "pfxData": []byte("nonsense"), "secret": "x"}, "pfxData", "")
	post(body{"host": "a b", "certificateData": cert, "keyData": sealed, "secret": "hush"}, "host", "host pattern")
	post(body{"host": "a.test"}, "certificateFile", "where the certificate comes from")
	other, otherKey, _ := alice(t, 2)
	post(body{"host": "a.test", "certificateData": cert, "keyData": otherKey}, "keyData", "")

	var got webui.ClientCertificate
	do(t, c, http.MethodPost, "/client-certificates", body{"host": "*.a.test", "certificateData": cert, "keyData": sealed, "secret": "hush"}, &got)
	if !got.Uploaded || !got.Enabled || got.Certificate == nil || got.Certificate.Serial != "1" || got.Key != "ECDSA P-256" || got.Problem != "" || *got.ExpiresInDays != 100 || got.For != "origin" ||
		!strings.HasPrefix(got.Passphrase, "vault:client-certificate-") {
		t.Fatalf("got %+v", got)
	}
	if len(copies(t, cfg)) != 2 || len(secretNames(t, c)) != 1 {
		t.Fatalf("copies %v, secrets %v", copies(t, cfg), secretNames(t, c))
	}
	for _, name := range []string{"settings.json", "vault.json"} {
		if b, err := os.ReadFile(filepath.Join(cfg.Data, name)); err == nil && strings.Contains(string(b), "hush") {
			t.Errorf("%s holds the passphrase in clear", name)
		}
	}
	// What is left out of a change stays.
	do(t, c, http.MethodPut, "/client-certificates/1", body{"enabled": false, "name": "A"}, &got)
	if got.Enabled || got.Name != "A" || got.Host != "*.a.test" || len(copies(t, cfg)) != 2 {
		t.Fatalf("got %+v", got)
	}
	refused(t, c, http.MethodPut, "/client-certificates/1", body{"keyData": otherKey, "certificateData": cert}, "keyData", "")
	// Another certificate takes the place of the first, with its key in the same upload: nothing is left of the first.
	do(t, c, http.MethodPut, "/client-certificates/1", body{"certificateData": append(append([]byte{}, other...), otherKey...), "secret": ""}, &got)
	if got.Certificate.Serial != "2" || got.KeyFile != "" || got.Passphrase != "" || got.Enabled || len(copies(t, cfg)) != 1 || len(secretNames(t, c)) != 0 {
		t.Fatalf("got %+v, copies %v, secrets %v", got, copies(t, cfg), secretNames(t, c))
	}
	do(t, c, http.MethodDelete, "/client-certificates/1", nil, nil)
	if len(copies(t, cfg)) != 0 {
		t.Fatalf("copies %v", copies(t, cfg))
	}
	var p *client.Problem
	if err := c.Do(t.Context(), http.MethodPut, "/client-certificates/1", nil, body{}, nil); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("got %v", err)
	}
}

// TestRemovingAnEntryLeavesItsFiles: what the user named by path is the user's.
func TestRemovingAnEntryLeavesItsFiles(t *testing.T) {
	c, _ := stopped(t)
	cert, key, _ := alice(t, 1)
	path := filepath.Join(t.TempDir(), "alice.pem")
	if err := os.WriteFile(path, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, c, http.MethodPost, "/secrets", map[string]string{"name": "mine", "value": "x"}, nil)
	refused(t, c, http.MethodPost, "/secrets", map[string]string{"name": "large", "value": strings.Repeat("x", 300<<10)}, "value", "larger than 256 KiB")
	do(t, c, http.MethodPost, "/client-certificates", map[string]any{"host": "a.test", "certificateFile": path, "passphrase": "vault:mine"}, nil)
	do(t, c, http.MethodPost, "/trust", map[string]any{"file": path}, nil)
	do(t, c, http.MethodDelete, "/client-certificates/1", nil, nil)
	do(t, c, http.MethodDelete, "/trust/1", nil, nil)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if got := secretNames(t, c); len(got) != 1 {
		t.Errorf("secrets %v", got)
	}
}

// TestRemovingAnEntryTakesNothingElse: a path that leads out of the copies' directory is none of a copy, and what another
// entry refers to as well stays.
func TestRemovingAnEntryTakesNothingElse(t *testing.T) {
	c, cfg := stopped(t)
	ca := filepath.Join(cfg.Data, "ca.pem")
	cert, _, sealed := alice(t, 1)
	var first, second webui.ClientCertificate
	do(t, c, http.MethodPost, "/client-certificates", map[string]any{"host": "a.test", "certificateData": cert, "keyData": sealed, "secret": "hush"}, &first)
	do(t, c, http.MethodPost, "/client-certificates", map[string]any{"host": "b.test", "certificateFile": first.CertificateFile, "keyFile": first.KeyFile, "passphrase": first.Passphrase}, &second)
	do(t, c, http.MethodPost, "/trust", map[string]any{"file": cfg.Data + "/certificates/../ca.pem"}, nil)
	do(t, c, http.MethodDelete, "/trust/1", nil, nil)
	if _, err := os.Stat(ca); err != nil {
		t.Errorf("the CA is gone: %v", err)
	}
	do(t, c, http.MethodDelete, "/client-certificates/1", nil, nil)
	if got := copies(t, cfg); len(got) != 2 || len(secretNames(t, c)) != 1 {
		t.Errorf("copies %v, secrets %v", got, secretNames(t, c))
	}
	do(t, c, http.MethodDelete, "/client-certificates/2", nil, nil)
	if got := copies(t, cfg); len(got) != 0 || len(secretNames(t, c)) != 0 {
		t.Errorf("copies %v, secrets %v", got, secretNames(t, c))
	}
}

// TestWhoGoesAwayLeavesTheCertificate: who does not wait for the answer has added the certificate all the same.
func TestWhoGoesAwayLeavesTheCertificate(t *testing.T) {
	cfg := testConfig(t)
	dir, err := datadir.Open(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCore(t.Context(), cfg, dir, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	cert, key, _ := alice(t, 1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	host := "a.test"
	_, _ = certificateKeeper{c}.Add(gone, webui.ClientCertificateInput{Host: &host, CertificateData: cert, KeyData: key})
	for _, e := range c.settings.Get().ClientCertificates {
		for _, file := range []string{e.CertificateFile, e.KeyFile} {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
	}
	if got := c.settings.Get().ClientCertificates; len(got) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestTrustAndPoliciesThroughTheAPI(t *testing.T) {
	c, cfg := stopped(t)
	cert, key, _ := alice(t, 1)
	type body = map[string]any
	refused(t, c, http.MethodPost, "/trust", body{"data": string(key)}, "data", "")
	refused(t, c, http.MethodPost, "/trust", body{"file": filepath.Join(cfg.Data, "nowhere.pem")}, "file", "no such file")
	refused(t, c, http.MethodPost, "/trust", body{"file": "x.pem", "data": string(cert)}, "data", "exclude")
	refused(t, c, http.MethodPost, "/trust", body{}, "file", "which CAs")
	if got := copies(t, cfg); len(got) != 0 {
		t.Fatalf("copies %v", got)
	}
	var anchor webui.TrustAnchor
	do(t, c, http.MethodPost, "/trust", body{"data": string(cert), "host": "*.a.test"}, &anchor)
	if !anchor.Uploaded || len(anchor.Certificates) != 1 || anchor.Certificates[0].Subject != "CN=alice" || anchor.Problem != "" || len(copies(t, cfg)) != 1 {
		t.Fatalf("got %+v", anchor)
	}
	do(t, c, http.MethodPut, "/trust/1", body{"enabled": false, "host": ""}, &anchor)
	if anchor.Enabled || anchor.Host != "" || len(copies(t, cfg)) != 1 {
		t.Fatalf("got %+v", anchor)
	}
	do(t, c, http.MethodDelete, "/trust/1", nil, nil)
	if got := copies(t, cfg); len(got) != 0 {
		t.Fatalf("copies %v", got)
	}

	var policy webui.TLSPolicy
	do(t, c, http.MethodPost, "/tls-policies", body{"host": "*.Old.test", "min": "1.0", "ciphers": []string{"AES128-SHA"}}, &policy)
	if policy.ID != 1 || policy.Ciphers[0] != "TLS_RSA_WITH_AES_128_CBC_SHA" || policy.Verify != nil {
		t.Fatalf("got %+v", policy)
	}
	do(t, c, http.MethodPost, "/tls-policies", body{"host": "*.old.test", "verify": false}, &policy)
	if policy.ID != 1 || policy.Min != "" || policy.Verify == nil || *policy.Verify {
		t.Fatalf("the same pattern again: %+v", policy)
	}
	do(t, c, http.MethodPut, "/tls-policies/1", body{"max": "1.2"}, &policy)
	if policy.Verify == nil || policy.Max != "1.2" {
		t.Fatalf("got %+v", policy)
	}
	do(t, c, http.MethodPut, "/tls-policies/1", json.RawMessage(`{"verify":null}`), &policy)
	if policy.Verify != nil {
		t.Fatalf("got %+v", policy)
	}
	refused(t, c, http.MethodPut, "/tls-policies/1", body{"max": ""}, "", "says nothing")
	refused(t, c, http.MethodPost, "/tls-policies", body{"host": "a.test", "ciphers": []string{"NULL-MD5"}}, "ciphers", "no cipher suite")
}

// TestWhoIsVerified: the policy for a host speaks of fewer hosts than --insecure, so it decides.
func TestWhoIsVerified(t *testing.T) {
	on, off := true, false
	c := &core{anchors: trustanchor.New(nil)}
	c.setPolicies([]tlspolicy.Entry{
		{ID: 1, Enabled: true, Host: "on.test", Verify: &on}, {ID: 2, Enabled: true, Host: "off.test", Verify: &off}, {ID: 3, Enabled: true, Host: "*.test", Min: "1.2"},
	})
	for _, c.insecure = range []bool{true, false} {
		for host, want := range map[string]string{"on.test": "", "off.test": "the TLS policy for off.test", "other.test": map[bool]string{true: "--insecure"}[c.insecure]} {
			got := c.trustFor(upstream.Server{Host: host, Port: 443})
			if got.Insecure != (want != "") || got.Reason != want || got.Insecure != (got.ID != "") {
				t.Errorf("--insecure %v, %s: got %+v", c.insecure, host, got)
			}
			// --insecure speaks of origins: a parent proxy is shown credentials.
			if got := c.trustFor(upstream.Server{Host: host, Port: 443, Proxy: true}); got.Insecure != (host == "off.test") {
				t.Errorf("--insecure %v, the proxy %s: got %+v", c.insecure, host, got)
			}
		}
	}
	if p := c.policyFor(upstream.Server{Host: "other.test", Port: 8443}); p.Rule != "*.test" || p.Min != tls.VersionTLS12 || p.ID == "" {
		t.Errorf("got %+v", p)
	}
	if p := c.policyFor(upstream.Server{Host: "elsewhere.invalid", Port: 8443}); p.ID != "" {
		t.Errorf("got %+v", p)
	}
}
