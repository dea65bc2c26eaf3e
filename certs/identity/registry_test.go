package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs/keyfile"
	"eaves/certs/mistake"
)

// pair makes a self-signed client certificate with its key, as PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "alice"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// write puts content in a file's place by rename.
func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// files makes a certificate file with its key in it, and returns its path.
func files(t *testing.T, serial int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alice.pem")
	cert, key := pair(t, serial)
	write(t, path, slices.Concat(cert, key))
	return path
}

func entry(id int64, host, file string) Entry {
	return Entry{ID: id, Enabled: true, Host: host, For: ForOrigin, CertificateFile: file}
}

// log collects lines.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) say(s string) { l.mu.Lock(); l.lines = append(l.lines, s); l.mu.Unlock() }
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func numbers(list []Identity) []int64 {
	var n []int64
	for _, i := range list {
		if i.Loaded != nil {
			n = append(n, i.Number)
		}
	}
	return n
}

func TestWhoIsShownWhat(t *testing.T) {
	file := files(t, 1)
	r := New(Sources{}, nil)
	disabled, forProxy := entry(9, "*:*", file), entry(10, "*:*", file)
	disabled.Enabled, forProxy.For = false, ForProxy
	r.Set([]Entry{
		entry(1, "*.bank.test", file), entry(2, "api.bank.test", file), entry(3, "api.bank.test:*", file), entry(4, "*.bank.test:8443", file),
		entry(5, "api.bank.test", file), entry(6, "10.0.0.0/8", file), entry(7, "[2001:db8::1]", file), entry(8, "bücher.test", file), disabled, forProxy,
	})
	for _, c := range []struct {
		host  string
		port  int
		proxy bool
		want  []int64
	}{
		{"api.bank.test", 443, false, []int64{5, 2, 3, 1}},
		{"API.Bank.Test.", 443, false, []int64{5, 2, 3, 1}},
		{"api.bank.test", 8443, false, []int64{3, 4}},
		{"api.bank.test", 80, false, []int64{3}},
		{"x.bank.test", 443, false, []int64{1}},
		{"bank.test", 443, false, nil},
		{"notbank.test", 443, false, nil},
		{"api.bank.test.evil.test", 443, false, nil},
		{"evil.test/?x=.bank.test", 443, false, nil},
		{"evil.test?api.bank.test", 443, false, nil},
		{"evil.test#.bank.test", 443, false, nil},
		{"api.bank.test@evil.test", 443, false, nil},
		{"10.1.2.3", 443, false, []int64{6}},
		{"10.1.2.3.evil.test", 443, false, nil},
		{"2001:DB8:0::1", 443, false, []int64{7}},
		{"xn--bcher-kva.test", 443, false, []int64{8}},
		{"", 443, false, nil},
		{"api.bank.test", 443, true, []int64{10}},
	} {
		if got := numbers(r.Matching(c.host, c.port, c.proxy)); !slices.Equal(got, c.want) {
			t.Errorf("%s:%d (proxy: %v): got %v, want %v", c.host, c.port, c.proxy, got, c.want)
		}
	}
	got := r.Matching("api.bank.test", 443, false)
	for i, want := range []string{"api.bank.test:443", "api.bank.test:443", "api.bank.test:*", "*.bank.test:443"} {
		if got[i].Rule != want {
			t.Errorf("rule %q, want %q", got[i].Rule, want)
		}
	}
	if got[0].Specificity != got[1].Specificity || got[1].Specificity <= got[2].Specificity {
		t.Errorf("specificity: %+v", got)
	}
	// Who names one gets it, wherever it is meant for.
	if i, ok, err := r.Get(9); !ok || err != nil || i.Number != 9 {
		t.Errorf("got %+v, %v, %v", i, ok, err)
	}
	if _, ok, _ := r.Get(77); ok {
		t.Error("there is no 77")
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	cert, key := pair(t, 0xa)
	write(t, certFile, cert)
	write(t, keyFile, key)
	said := &log{}
	r := New(Sources{}, said.say)
	e := entry(1, "a.test", certFile)
	e.KeyFile = keyFile
	r.Set([]Entry{e})
	now := func() Identity {
		t.Helper()
		r.States() // looks now
		got := r.Matching("a.test", 443, false)
		if len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		return got[0]
	}
	first := now()
	if serial(first.Loaded) != "a" || first.Note != "" {
		t.Fatalf("got %+v", first)
	}
	// Half of the new pair is there: the old one stays, and it is said why.
	cert, key = pair(t, 0xb)
	write(t, certFile, cert)
	half := now()
	if half.ID != first.ID || !strings.Contains(half.Note, "serial a, stays in use") || !strings.Contains(said.String(), "warning: client certificate 1 (a.test:443): its files have changed and cannot be used") {
		t.Fatalf("got note %q, log %q", half.Note, said)
	}
	write(t, keyFile, key)
	second := now()
	if second.ID == first.ID || serial(second.Loaded) != "b" || second.Note != "" || !strings.Contains(said.String(), "serial b takes the place of a") {
		t.Fatalf("got %+v, log %q", second, said)
	}
	// A rename in the settings reads nothing anew and keeps the identity.
	e.Name, e.Host = "Alice", "b.test"
	r.Set([]Entry{e})
	if got := r.Matching("b.test", 443, false); len(got) != 1 || got[0].Loaded != second.Loaded {
		t.Fatalf("got %+v", got)
	}
}

func TestWhatNeverCouldBeLoadedIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	missing, wrong := filepath.Join(dir, "missing.pem"), filepath.Join(dir, "wrong.pem")
	write(t, wrong, []byte("nonsense"))
	r := New(Sources{}, nil)
	r.Set([]Entry{entry(1, "*.a.test", files(t, 1)), entry(2, "x.a.test", missing), entry(3, "x.a.test", wrong)})
	if got := numbers(r.Matching("x.a.test", 443, false)); !slices.Equal(got, []int64{1}) {
		t.Fatalf("got %v", got)
	}
	all := r.Matching("x.a.test", 443, false)
	if len(all) != 3 || all[0].Number != 3 || all[1].Number != 2 || all[1].Loaded != nil || !strings.Contains(all[1].Note, missing) {
		t.Fatalf("got %+v", all)
	}
	states := r.States()
	var m *mistake.Error
	if !errors.As(states[1].Err, &m) || m.Field != "certificateFile" || m.Next == "" {
		t.Fatalf("got %#v", states[1].Err)
	}
	if len(states) != 3 || states[0].Loaded == nil || states[1].Err == nil || states[1].Loaded != nil {
		t.Fatalf("got %+v", states)
	}
	if _, ok, err := r.Get(2); !ok || err == nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	// Once its file is there it is used.
	cert, key := pair(t, 2)
	write(t, missing, slices.Concat(cert, key))
	r.States()
	if got := numbers(r.Matching("x.a.test", 443, false)); !slices.Equal(got, []int64{2, 1}) {
		t.Fatalf("got %v", got)
	}
}

// secrets resolves vault:x to what it holds.
type secrets struct {
	mu     sync.Mutex
	value  string
	asked  int
	failed error
}

func (s *secrets) Resolve(context.Context, string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return []byte(s.value), s.failed
}

func (s *secrets) set(value string, err error) {
	s.mu.Lock()
	s.value, s.failed = value, err
	s.mu.Unlock()
}

func TestASecretThatIsMendedIsTriedAgain(t *testing.T) {
	s := &secrets{failed: errors.New("no such secret")}
	r := New(Sources{Secrets: s}, nil)
	e := entry(1, "a.test", files(t, 1))
	e.Passphrase = "vault:x"
	r.Set([]Entry{e})
	if got := numbers(r.Matching("a.test", 443, false)); got != nil {
		t.Fatalf("got %v", got)
	}
	var m *mistake.Error
	if st := r.States(); !errors.As(st[0].Err, &m) || m.Field != "passphrase" || !strings.Contains(m.What, "no such secret") {
		t.Fatalf("got %+v", st[0].Err)
	}
	s.set("secret", nil)
	if got := numbers(r.Matching("a.test", 443, false)); got != nil {
		t.Fatal("nobody said that it was mended")
	}
	r.Retry()
	if got := numbers(r.Matching("a.test", 443, false)); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
}

// fakeToken is a token that counts how often it is opened.
type fakeToken struct {
	cert   *tls.Certificate
	closed bool
}

func (f *fakeToken) Certificate() *tls.Certificate { return f.cert }
func (f *fakeToken) Close() error                  { f.closed = true; return nil }

func TestATokenIsOpenedOnce(t *testing.T) {
	cert, key := pair(t, 7)
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	token, opened := &fakeToken{cert: &c}, 0
	var fail error
	r := New(Sources{Secrets: &secrets{value: "1234"}, Tokens: func(uri string, pin []byte) (Token, error) {
		opened++
		if uri != "pkcs11:token=t" || string(pin) != "1234" {
			t.Errorf("opened %s with %q", uri, pin)
		}
		return token, fail
	}}, nil)
	e := Entry{ID: 1, Enabled: true, Host: "a.test", For: ForOrigin, Token: "pkcs11:token=t", Passphrase: "vault:pin"}
	r.Set([]Entry{e})
	for range 3 {
		if got := r.Matching("a.test", 443, false); len(got) != 1 || serial(got[0].Loaded) != "7" || got[0].Key != "ECDSA P-256" {
			t.Fatalf("got %+v", got)
		}
	}
	if err := r.Close(); err != nil || !token.closed || opened != 1 {
		t.Fatalf("opened %d times, closed: %v, %v", opened, token.closed, err)
	}
	// A PIN that is wrong is not tried again by itself: that might lock the token.
	fail, opened = error(&keyfile.Error{What: "the PIN is not right", Kind: keyfile.WrongPassphrase}), 0
	r.Set([]Entry{e})
	for range 3 {
		r.Matching("a.test", 443, false)
		r.States()
	}
	if opened != 1 {
		t.Fatalf("a token with a wrong PIN was opened %d times", opened)
	}
	if !lasting(r.States()[0].Err) {
		t.Fatal("a wrong PIN may be tried again")
	}
}

// TestATokenOpenedAnewIsAnother: its signer is bound to a session, so that connections of the one before are not its.
func TestATokenOpenedAnewIsAnother(t *testing.T) {
	cert, key := pair(t, 7)
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	from := Sources{Tokens: func(string, []byte) (Token, error) { return &fakeToken{cert: &c}, nil }}
	e := Entry{ID: 1, Enabled: true, Host: "a.test", For: ForOrigin, Token: "pkcs11:token=t"}
	first, err := Load(t.Context(), e, from)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(t.Context(), e, from)
	if err != nil {
		t.Fatal(err)
	}
	if first.ID == second.ID {
		t.Error("two sessions have one ID")
	}
}

// TestThePassphrasesFileIsWatched also where it is named from the home directory.
func TestThePassphrasesFileIsWatched(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	e := entry(1, "a.test", files(t, 1))
	e.Passphrase = "file:~/pass.txt"
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := e.paths(); !slices.Contains(got, filepath.Join(home, "pass.txt")) {
		t.Errorf("got %v", got)
	}
}

func TestValidate(t *testing.T) {
	abs := filepath.Join(t.TempDir(), "f")
	for name, c := range map[string]struct {
		change func(*Entry)
		field  string
	}{
		"host":          {func(e *Entry) { e.Host = "https://a.test/" }, "host"},
		"for":           {func(e *Entry) { e.For = "everybody" }, "for"},
		"nothing":       {func(e *Entry) { e.CertificateFile = "" }, "certificateFile"},
		"key alone":     {func(e *Entry) { e.CertificateFile, e.KeyFile = "", abs }, "certificateFile"},
		"two sources":   {func(e *Entry) { e.PFXFile = abs }, "certificateFile"},
		"pfx and key":   {func(e *Entry) { e.CertificateFile, e.PFXFile, e.KeyFile = "", abs, abs }, "keyFile"},
		"relative":      {func(e *Entry) { e.CertificateFile = "c.pem" }, "certificateFile"},
		"token":         {func(e *Entry) { e.CertificateFile, e.Token = "", "softhsm" }, "token"},
		"relative file": {func(e *Entry) { e.Passphrase = "file:pass.txt" }, "passphrase"},
		"no such thing": {func(e *Entry) { e.Host = "" }, "host"},
	} {
		e := entry(1, "a.test", abs)
		c.change(&e)
		var m *mistake.Error
		if err := e.Validate(); !errors.As(err, &m) || m.Field != c.field {
			t.Errorf("%s: got %#v", name, err)
		}
	}
}

func TestManyUseItWhileItChanges(t *testing.T) {
	path := files(t, 1)
	r := New(Sources{}, nil)
	r.Set([]Entry{entry(1, "a.test", path)})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := r.Matching("a.test", 443, false)
				if len(got) != 1 || got[0].Certificate.Leaf == nil {
					t.Errorf("got %+v", got)
					return
				}
			}
		}()
	}
	for serial := int64(2); serial < 30; serial++ {
		cert, key := pair(t, serial)
		write(t, path, slices.Concat(cert, key))
		r.States()
		r.Set([]Entry{entry(1, "a.test", path), entry(serial, "b.test", path)})
	}
	close(stop)
	wg.Wait()
	if got := r.Matching("a.test", 443, false); serial(got[0].Loaded) != "1d" {
		t.Fatalf("got serial %s", serial(got[0].Loaded))
	}
}

func TestEveryKindOfMistakeNamesItsField(t *testing.T) {
	for kind, want := range map[keyfile.Kind]string{
		keyfile.WrongPassphrase: "passphrase", keyfile.NeedsPassphrase: "passphrase", keyfile.Mismatch: "keyFile", keyfile.NoCertificate: "certificateFile", keyfile.NoKey: "keyFile",
	} {
		var m *mistake.Error
		if !errors.As(explain("keyFile", &keyfile.Error{What: "x.", Hint: "y", Kind: kind}), &m) || m.Field != want || m.What != "x" || m.Next != "y" {
			t.Errorf("kind %v: got %+v", kind, m)
		}
	}
}
