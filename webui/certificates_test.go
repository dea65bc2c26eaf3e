package webui

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/capture"
)

// fakeCollection keeps items that it makes of what comes in.
type fakeCollection[T, In any] struct {
	mu    sync.Mutex
	make  func(id int64, in In) (T, error)
	id    func(T) int64
	items []T
	next  int64
	got   In
}

func (f *fakeCollection[T, In]) List(context.Context) ([]T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.items), nil
}

func (f *fakeCollection[T, In]) Add(_ context.Context, in In) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = in
	item, err := f.make(f.next+1, in)
	if err == nil {
		f.next++
		f.items = append(f.items, item)
	}
	return item, err
}

func (f *fakeCollection[T, In]) at(id int64) int {
	return slices.IndexFunc(f.items, func(t T) bool { return f.id(t) == id })
}

func (f *fakeCollection[T, In]) Replace(_ context.Context, id int64, in In) (item T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = in
	i := f.at(id)
	if i < 0 {
		return item, ErrNoItem
	}
	if item, err = f.make(id, in); err == nil {
		f.items[i] = item
	}
	return item, err
}

func (f *fakeCollection[T, In]) Remove(_ context.Context, id int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.at(id)
	if i < 0 {
		return ErrNoItem
	}
	f.items = slices.Delete(f.items, i, i+1)
	return nil
}

type fakeSecrets struct{ list []Secret }

func (f *fakeSecrets) List() []Secret { return f.list }
func (f *fakeSecrets) Set(name string, _ []byte) error {
	if name == "" {
		return &Refusal{Parameter: "name", Detail: "a secret needs a name"}
	}
	f.list = append(f.list, Secret{Name: name, Created: time.Unix(0, 0).UTC()})
	return nil
}
func (f *fakeSecrets) Remove(name string) error {
	i := slices.IndexFunc(f.list, func(s Secret) bool { return s.Name == name })
	if i < 0 {
		return ErrNoItem
	}
	f.list = slices.Delete(f.list, i, i+1)
	return nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// withCertificates gives the console fakes of everything about TLS with servers.
func withCertificates(c *Config) {
	cert := capture.Certificate{Subject: "CN=alice", Issuer: "CN=ca", Serial: "a", SHA256: "ab", DNSNames: []string{}}
	c.ClientCertificates = &fakeCollection[ClientCertificate, ClientCertificateInput]{
		make: func(id int64, in ClientCertificateInput) (ClientCertificate, error) {
			if deref(in.Host) == "" {
				return ClientCertificate{}, &Refusal{Parameter: "host", Detail: "name a host", Hint: "such as a.test"}
			}
			days := 12
			return ClientCertificate{ID: id, Enabled: in.Enabled == nil || *in.Enabled, Host: *in.Host, For: "origin", Certificate: &cert, Chain: []capture.Certificate{cert}, Key: "RSA 2048",
				Warnings: []Warning{{Code: "expires-soon", Message: "it expires"}}, ExpiresInDays: &days,
				LastRejected: &capture.CertificateUse{Exchange: 1, Time: time.Unix(1, 0).UTC(), Host: "a.test:443", Alert: "unknown_ca"}}, nil
		},
		id: func(c ClientCertificate) int64 { return c.ID },
	}
	c.Trust = &fakeCollection[TrustAnchor, TrustAnchorInput]{
		make: func(id int64, in TrustAnchorInput) (TrustAnchor, error) {
			return TrustAnchor{ID: id, Enabled: true, Host: deref(in.Host), File: deref(in.File), Certificates: []capture.Certificate{cert}, Warnings: []Warning{}}, nil
		},
		id: func(t TrustAnchor) int64 { return t.ID },
	}
	c.TLSPolicies = &fakeCollection[TLSPolicy, TLSPolicyInput]{
		make: func(id int64, in TLSPolicyInput) (TLSPolicy, error) {
			return TLSPolicy{ID: id, Enabled: true, Host: deref(in.Host), Min: deref(in.Min), Ciphers: append([]string{}, deref(in.Ciphers)...), ALPN: []string{}, Verify: in.Verify.On}, nil
		},
		id: func(p TLSPolicy) int64 { return p.ID },
	}
	c.Secrets = &fakeSecrets{}
}

// certificateCalls are the calls of TestAnswersAreAsDescribed to these operations.
func certificateCalls() []call {
	return []call{
		{"POST", "/client-certificates", "", `{"host":"*.bank.test","certificateFile":"/c.pem","keyFile":"/k.pem","passphrase":"env:X"}`, 201},
		{"POST", "/client-certificates", "", `{"host":"a.test","enabled":false,"for":"proxy","name":"A","pfxData":"AAEC","secret":"s"}`, 201},
		{"POST", "/client-certificates", "", `{"host":""}`, 400},
		{"POST", "/client-certificates", "", `{"host":"a.test","pfxData":"!"}`, 400},
		{"POST", "/client-certificates", "", `{"host":1}`, 400},
		{"POST", "/client-certificates", "", `{"certificate":"x"}`, 400},
		{"GET", "/client-certificates", "", "", 200},
		{"PUT", "/client-certificates/{id}", "/client-certificates/1", `{"host":"b.test","enabled":false}`, 200},
		{"PUT", "/client-certificates/{id}", "/client-certificates/77", `{"host":"b.test"}`, 404},
		{"PUT", "/client-certificates/{id}", "/client-certificates/x", `{}`, 404},
		{"DELETE", "/client-certificates/{id}", "/client-certificates/1", "", 204},
		{"DELETE", "/client-certificates/{id}", "/client-certificates/1", "", 404},
		{"POST", "/trust", "", `{"host":"*.bank.test","file":"/ca.pem"}`, 201},
		{"POST", "/trust", "", `{"data":"-----BEGIN CERTIFICATE-----\n"}`, 201},
		{"POST", "/trust", "", `{"data":"!"}`, 400},
		{"POST", "/trust", "", `{"data":1}`, 400},
		{"GET", "/trust", "", "", 200},
		{"PUT", "/trust/{id}", "/trust/1", `{"enabled":true}`, 200},
		{"DELETE", "/trust/{id}", "/trust/1", "", 204},
		{"DELETE", "/trust/{id}", "/trust/1", "", 404},
		{"POST", "/tls-policies", "", `{"host":"*.old.test","min":"1.0","ciphers":["TLS_RSA_WITH_AES_128_CBC_SHA"],"verify":false,"alpn":["http/1.1"]}`, 201},
		{"POST", "/tls-policies", "", `{"host":"*.old.test","verify":"no"}`, 400},
		{"GET", "/tls-policies", "", "", 200},
		{"PUT", "/tls-policies/{id}", "/tls-policies/1", `{"verify":null}`, 200},
		{"DELETE", "/tls-policies/{id}", "/tls-policies/1", "", 204},
		{"POST", "/secrets", "", `{"name":"bank","value":"s"}`, 201},
		{"POST", "/secrets", "", `{"name":"","value":"s"}`, 400},
		{"POST", "/secrets", "", `{"name":"bank"}`, 400},
		{"GET", "/secrets", "", "", 200},
		{"DELETE", "/secrets/{name}", "/secrets/bank", "", 204},
		{"DELETE", "/secrets/{name}", "/secrets/bank", "", 404},
		{"POST", "/secrets", "", `{"name":"team/bank","value":"s"}`, 201},
		{"DELETE", "/secrets/{name}", "/secrets/team%2Fbank", "", 204},
		{"POST", "/requests", "", `{"url":"https://a.test/","certificate":"3","verify":false}`, 202},
		{"POST", "/requests", "", `{"url":"https://a.test/","certificate":"all"}`, 400},
		{"POST", "/requests", "", `{"url":"https://a.test/","certificate":"0"}`, 400},
	}
}

func TestUploadsAndSwitchesComeInAsTheyAre(t *testing.T) {
	var trust *fakeCollection[TrustAnchor, TrustAnchorInput]
	var policies *fakeCollection[TLSPolicy, TLSPolicyInput]
	var certificates *fakeCollection[ClientCertificate, ClientCertificateInput]
	l := newLab(t, withCertificates, func(c *Config) {
		trust = c.Trust.(*fakeCollection[TrustAnchor, TrustAnchorInput])
		policies = c.TLSPolicies.(*fakeCollection[TLSPolicy, TLSPolicyInput])
		certificates = c.ClientCertificates.(*fakeCollection[ClientCertificate, ClientCertificateInput])
	})
	l.ask("POST", base+"/trust", `{"data":"`+base64.StdEncoding.EncodeToString([]byte{0x30, 0})+`"}`)
	if got := *trust.got.Data; string(got) != "0\x00" {
		t.Errorf("got %q", got)
	}
	l.ask("POST", base+"/trust", `{"data":"-----BEGIN CERTIFICATE-----\nMAA=\n"}`)
	if got := *trust.got.Data; !strings.HasPrefix(string(got), "-----BEGIN CERTIFICATE-----\nMAA=") {
		t.Errorf("got %q", got)
	}
	for body, want := range map[string]Switch{`{}`: {}, `{"verify":null}`: {Given: true}, `{"verify":false}`: {Given: true, On: new(bool)}} {
		l.ask("POST", base+"/tls-policies", body)
		if got := policies.got.Verify; got.Given != want.Given || (got.On == nil) != (want.On == nil) || got.On != nil && *got.On {
			t.Errorf("%s: got %+v", body, got)
		}
	}
	a := l.ask("POST", base+"/client-certificates", `{"host":"a.test","secret":"hush","certificateData":"AAEC"}`)
	if certificates.got.Secret == nil || *certificates.got.Secret != "hush" || len(certificates.got.CertificateData) != 3 || certificates.got.Enabled != nil {
		t.Errorf("got %+v", certificates.got)
	}
	if a.Header.Get("Location") != base+"/client-certificates/1" || strings.Contains(string(a.body), "hush") {
		t.Errorf("Location %q, body %s", a.Header.Get("Location"), a.body)
	}
	// A mistake says which field, and what to do.
	if p := l.ask("POST", base+"/client-certificates", `{}`).problem(t, 400); p.Parameter != "host" || p.Hint != "such as a.test" {
		t.Errorf("got %+v", p)
	}
}

func TestAConsoleWithoutThemHasNone(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Rules = nil })
	for path, want := range map[string]string{
		"/client-certificates": `{"clientCertificates":[]}`, "/trust": `{"trust":[]}`, "/tls-policies": `{"tlsPolicies":[]}`, "/secrets": `{"secrets":[]}`, "/rules": `{"rules":[]}`,
	} {
		if a := l.ask("GET", base+path, ""); strings.TrimSpace(string(a.body)) != want {
			t.Errorf("%s: %s", path, a.body)
		}
		body := `{}`
		switch path {
		case "/secrets":
			body = `{"name":"a","value":"b"}`
		case "/rules":
			body = `{"filter":"","action":"block"}`
		}
		l.ask("POST", base+path, body).problem(t, 503)
		l.ask("DELETE", base+path+"/1", "").problem(t, 503)
	}
}

func TestWhatIsSentCarriesItsChoice(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	l.ask("POST", base+"/exchanges/1/replay", `{"certificate":"none","verify":false}`)
	if o := l.sender.got; o.Certificate != "none" || o.Verify == nil || *o.Verify {
		t.Errorf("got %+v", o)
	}
	l.ask("POST", base+"/exchanges/1/replay", "")
	if o := l.sender.got; o.Certificate != "" || o.Verify != nil {
		t.Errorf("got %+v", o)
	}
	l.sender.err = &Refusal{Parameter: "certificate", Detail: "there is no client certificate 9", Hint: "eaves cert list"}
	if p := l.ask("POST", base+"/exchanges/1/replay", `{"certificate":"9"}`).problem(t, 400); p.Parameter != "certificate" {
		t.Errorf("got %+v", p)
	}
}
