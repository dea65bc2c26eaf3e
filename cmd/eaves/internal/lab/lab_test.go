package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal collects what the origin has seen.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// await waits for a line with all of these words.
func (j *journal) await(t *testing.T, words ...string) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		j.mu.Lock()
		all := strings.Join(j.lines, "\n")
		j.mu.Unlock()
		for line := range strings.Lines(all) {
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("no line with %q among\n%s", words, all)
		}
	}
}

// serve runs an origin until the test ends.
func serve(t *testing.T, cfg Config) (*Lab, *journal) {
	t.Helper()
	j := &journal{}
	cfg.Listen, cfg.Seen = "127.0.0.1:0", j.add
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "lab")
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l, j
}

// client shows the certificate of a file, none where it is empty.
func client(t *testing.T, l *Lab, f File, h2 bool) *http.Client {
	t.Helper()
	b, err := os.ReadFile(l.Files.CA)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(b)
	if f != (File{}) {
		pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: h2, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.listener.Addr().String()) // names below localhost are not in DNS
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func ask(c *http.Client, url, accept string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestAnswers(t *testing.T) {
	l, j := serve(t, Config{})
	for _, c := range []struct {
		name   string
		file   File
		path   string
		status int
		words  string
	}{
		{"none", File{}, "/", 403, "You sent no client certificate"},
		{"none where none is needed", File{}, "/optional", 200, "this page needs none"},
		{"none for admin", File{}, "/admin", 403, "that of admin"},
		{"good", l.Files.Client, "/any/path", 200, "accepted"},
		{"good where none is needed", l.Files.Client, "/optional", 200, "would need none"},
		{"good but not admin", l.Files.Client, "/admin", 403, "that of alice"},
		{"admin", l.Files.Admin, "/admin", 200, "welcome, admin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, h2 := range []bool{false, true} {
				client := client(t, l, c.file, h2)
				url := "https://" + l.at("") + c.path
				status, body, err := ask(client, url, "*/*")
				if err != nil || status != c.status {
					t.Fatalf("%d, %v: %s", status, err, body)
				}
				var a answer
				if err := json.Unmarshal([]byte(body), &a); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(a.Message, c.words) || a.TLS.Version != "TLS 1.3" || a.TLS.ServerName != "localhost" || a.Request.Path != c.path || a.Request.Headers < 2 {
					t.Errorf("%s", body)
				}
				if (a.TLS.ALPN == "h2") != h2 || (a.Request.Protocol == "HTTP/2.0") != h2 {
					t.Errorf("HTTP/2: %v, and it saw %s, %s", h2, a.TLS.ALPN, a.Request.Protocol)
				}
				if c.file != (File{}) {
					want, err := c.file.load()
					if err != nil {
						t.Fatal(err)
					}
					if a.Client == nil || a.Client.Serial != want.Certificate.SerialNumber.Text(16) || !a.Client.Verified || len(a.Client.Path) != 3 || len(a.Client.Chain) != 1 {
						t.Errorf("it saw %+v", a.Client)
					}
				} else if a.Client != nil {
					t.Errorf("it saw %+v", a.Client)
				}
				status, text, err := ask(client, url, "text/html,text/plain;q=0.9")
				if err != nil || status != c.status || !strings.HasPrefix(text, a.Message+"\n") || !strings.Contains(text, a.TLS.CipherSuite) {
					t.Errorf("%d, %v: %s", status, err, text)
				}
			}
		})
	}
	j.await(t, "GET /any/path 200", "CN=alice")
	j.await(t, "GET / 403", "no certificate")
}

// TestRefuses: what is wrong on purpose is wrong, and in the way that is said. With TLS 1.2 the alert comes within the
// handshake.
func TestRefuses(t *testing.T) {
	l, j := serve(t, Config{TLS12: true})
	alerts := map[string]string{"expired": "expired", "early": "expired", "foreign": "unknown certificate authority", "usage": "bad certificate", "incomplete": "unknown certificate authority"}
	saw := map[string]string{"expired": "is after", "early": "is before", "foreign": "unknown authority", "usage": "key usage", "incomplete": "unknown authority"}
	if len(l.Files.Failing) != len(alerts) {
		t.Fatalf("%d certificates fail", len(l.Files.Failing))
	}
	for _, f := range l.Files.Failing {
		_, _, err := ask(client(t, l, f.File, false), "https://"+l.at(f.Label)+"/", "*/*")
		if err == nil || !strings.Contains(err.Error(), alerts[f.Label]) {
			t.Errorf("%s: %v", f.Label, err)
		}
		j.await(t, "refused in the handshake", saw[f.Label])
	}
	status, body, err := ask(client(t, l, l.Files.Client, true), "https://"+l.at("")+"/", "*/*")
	if err != nil || status != 200 || !strings.Contains(body, `"TLS 1.2"`) {
		t.Errorf("%d, %v: %s", status, err, body)
	}
}

func TestStrict(t *testing.T) {
	l, j := serve(t, Config{Strict: true, TLS12: true})
	if _, _, err := ask(client(t, l, File{}, false), "https://"+l.at("")+"/", "*/*"); err == nil || !strings.Contains(err.Error(), "handshake failure") && !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("without a certificate: %v", err)
	}
	j.await(t, "refused in the handshake", "didn't provide a certificate")
	if status, _, err := ask(client(t, l, l.Files.Client, false), "https://"+l.at("")+"/", "*/*"); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
	if c := l.Commands("127.0.0.1:1", "/x/ca.pem"); !strings.Contains(c, "refuses the connection") {
		t.Errorf("%s", c)
	}
}

// TestKept: certificates that rules name stay the same ones.
func TestKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	now := time.Now()
	read := func() map[string]string {
		all := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] = string(b)
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		return all
	}
	changed := func(now time.Time) int {
		t.Helper()
		before := map[string]string{}
		if _, err := os.Stat(dir); err == nil {
			before = read()
		}
		if _, _, err := prepare(dir, now); err != nil {
			t.Fatal(err)
		}
		n := 0
		for name, b := range read() {
			if before[name] != b {
				n++
			}
		}
		return n
	}
	all := changed(now)
	if all != 17 {
		t.Errorf("%d files", all)
	}
	if n := changed(now); n != 0 {
		t.Errorf("%d files changed at the second start", n)
	}
	if n := changed(now.Add(360 * day)); n != all {
		t.Errorf("%d files changed when they were about to expire", n)
	}
	if err := os.Remove(filepath.Join(dir, "foreign.key")); err != nil {
		t.Fatal(err)
	}
	if n := changed(now); n != all {
		t.Errorf("%d files changed when one was missing", n)
	}
}

// TestLeavesOthersFilesAlone: a file of the user's that has the name of one of ours is not written over, be the directory
// a lab's or not yet.
func TestLeavesOthersFilesAlone(t *testing.T) {
	for _, name := range []string{"client.key", "client.pem", "client.p12", "ca.pem", "ca.key", "usage.key"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Listen: "127.0.0.1:0", Dir: dir}); err == nil || !strings.Contains(err.Error(), "name another directory") {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	// One that was cut off while it was made is made anew.
	dir := t.TempDir()
	if _, _, err := prepare(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.pem", "ca.key", "usage.key"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := prepare(dir, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestLeavesOthersAlone: a directory with somebody's CA in it, that of eaves perhaps, is not written to.
func TestLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	other, err := NewRoot("my CA", func(c *x509.Certificate) { c.Subject.Organization = nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := place(dir).root.write(&Identity{Certificate: other.Certificate, Key: other.Key}); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Listen: "127.0.0.1:0", Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "name another directory") {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestNamed: the certificate covers the name that is given, and the names below it.
func TestNamed(t *testing.T) {
	for name, want := range map[string][]string{
		"lab.test": {"lab.test", "expired.lab.test", "localhost", "127.0.0.1"},
		"::1":      {"::1", "expired.localhost"},
		"":         {"localhost", "expired.localhost", "127.0.0.1"},
	} {
		l, _ := serve(t, Config{Name: name})
		for _, host := range want {
			if err := l.server.TLSConfig.Certificates[0].Leaf.VerifyHostname(host); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		if c := l.Commands("127.0.0.1:1", "/my files/ca.pem"); !strings.Contains(c, "https://"+l.at("expired")+"/") || !strings.Contains(c, "'/my files/ca.pem'") {
			t.Errorf("%s", c)
		}
	}
}
