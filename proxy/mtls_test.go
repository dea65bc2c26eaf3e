package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/capture/hostpattern"
	"eaves/proxy/upstream"
)

// issuer issues certificates in tests.
type issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &issuer{t: t, key: key}
	a.cert = a.issue(name, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }).Leaf
	return a
}

func (a *issuer) issue(name string, edit func(*x509.Certificate)) *tls.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
	if edit != nil {
		edit(c)
	}
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, a.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key, Leaf: leaf}
}

func (a *issuer) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *issuer) identity(name, rule string) upstream.Identity {
	return upstream.Identity{ID: name + " " + rule, Rule: rule, Certificate: a.issue(name, nil)}
}

// wallet is what a registry gives the proxy: identities by host pattern.
type wallet struct {
	mu    sync.Mutex
	rules []upstream.Identity
	asked []upstream.Server
}

func (w *wallet) identities(s upstream.Server) []upstream.Identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, s)
	var found []upstream.Identity
	for _, id := range w.rules {
		p, err := hostpattern.Parse(id.Rule)
		if err == nil && !s.Proxy && p.MatchDefault(s.Host, s.Port, 443) {
			id.Specificity = p.Specificity()
			found = append(found, id)
		}
	}
	slices.SortStableFunc(found, func(a, b upstream.Identity) int { return b.Specificity - a.Specificity })
	return found
}

// seen says whom the origin sees.
func seen(w http.ResponseWriter, r *http.Request) {
	who := "nobody"
	if len(r.TLS.PeerCertificates) > 0 {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	io.WriteString(w, who)
}

// mtls is a proxy and an origin behind it that asks for client certificates.
type mtls struct {
	*rig
	port    int
	wallet  *wallet
	clients *issuer
}

func newMTLS(t *testing.T, origin *tls.Config, h http.HandlerFunc, edit func(*Config)) *mtls {
	t.Helper()
	servers, clients := newIssuer(t, "Servers CA"), newIssuer(t, "Clients CA")
	origin.Certificates = []tls.Certificate{*servers.issue("origin", func(c *x509.Certificate) {
		c.DNSNames = []string{"*.localhost", "*.bank.localhost", "*.api.bank.localhost", "*.bank.localhost.evil.localhost", "bank.localhost", "xn--bcher-kva.localhost"}
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	})}
	origin.ClientCAs = clients.pool()
	if origin.NextProtos == nil {
		origin.NextProtos = []string{"h2", "http/1.1"}
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", origin)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	m := &mtls{wallet: &wallet{}, clients: clients, port: l.Addr().(*net.TCPAddr).Port}
	if l6, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", m.port)); err == nil {
		go srv.Serve(tls.NewListener(l6, origin))
	}
	m.rig = start(t, func(c *Config) {
		c.Trust = func(upstream.Server) upstream.Trust {
			return upstream.Trust{ID: "test", Roots: servers.pool()}
		}
		c.Identities = m.wallet.identities
		if edit != nil {
			edit(c)
		}
	})
	return m
}

// ask sends a request through a tunnel to target, and returns the answer's status and body. name is the client's server
// name, host its Host field.
func (m *mtls) ask(target, name, host, path string) (int, string) {
	m.t.Helper()
	c := m.dial()
	br := bufio.NewReader(c)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		m.t.Fatalf("CONNECT %s: %v %v", target, resp, err)
	}
	tc := tls.Client(c, &tls.Config{ServerName: name, RootCAs: m.leaves, InsecureSkipVerify: true})
	fmt.Fprintf(tc, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host)
	resp, err := http.ReadResponse(bufio.NewReader(tc), nil)
	if err != nil {
		m.t.Fatalf("%s: %v", target, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatalf("%s: %v", target, err)
	}
	return resp.StatusCode, string(b)
}

// An identity is shown to the hosts of its rule and to no other, however they are written.
func TestIdentitiesByHost(t *testing.T) {
	m := newMTLS(t, &tls.Config{ClientAuth: tls.RequestClientCert}, seen, nil)
	add := func(rule string) {
		m.wallet.rules = append(m.wallet.rules, m.clients.identity("for "+rule, strings.ReplaceAll(rule, "PORT", fmt.Sprint(m.port))))
	}
	for _, rule := range []string{"*.bank.localhost:PORT", "api.bank.localhost:PORT", "other.localhost", "bücher.localhost:*", "127.0.0.1:PORT", "[::1]:PORT"} {
		add(rule)
	}
	six := true
	if c, err := net.Dial("tcp", fmt.Sprintf("[::1]:%d", m.port)); err != nil {
		six = false
	} else {
		c.Close()
	}
	for _, tt := range []struct{ target, name, host, want string }{
		{"a.bank.localhost", "", "", "for *.bank.localhost:PORT"},
		{"a.b.bank.localhost", "a.bank.localhost", "", "for *.bank.localhost:PORT"},
		{"api.bank.localhost", "", "", "for api.bank.localhost:PORT"}, // the more specific one
		{"API.Bank.LOCALHOST", "", "", "for api.bank.localhost:PORT"},
		{"api.bank.localhost.", "api.bank.localhost", "", "for api.bank.localhost:PORT"},
		{"bank.localhost", "", "", "nobody"},
		{"xbank.localhost", "", "", "nobody"},
		{"api.bank.localhost.evil.localhost", "", "", "nobody"},
		{"evil.localhost", "", "api.bank.localhost", "nobody"},        // by its Host field only
		{"evil.localhost", "api.bank.localhost", "", "nobody"},        // by its server name only
		{"other.localhost", "", "", "nobody"},                         // on port 443 only
		{"xn--bcher-kva.localhost", "", "", "for bücher.localhost:*"}, // IDN
		{"XN--BCHER-KVA.localhost", "", "", "for bücher.localhost:*"}, //
		{"127.0.0.1", "", "", "for 127.0.0.1:PORT"},
		{"127.0.0.1", "api.bank.localhost", "", "for 127.0.0.1:PORT"}, // the address has a rule of its own
		{"[::1]", "", "", "for [::1]:PORT"},
	} {
		if tt.target[0] == '[' && !six {
			continue
		}
		target := fmt.Sprintf("%s:%d", tt.target, m.port)
		host := tt.host
		if host == "" {
			host = target
		}
		if status, who := m.ask(target, tt.name, host, "/?x=.bank.localhost"); status != 200 || who != tt.want {
			t.Errorf("%s (server name %q, Host %s): the origin saw %d %q, want %q", target, tt.name, host, status, who, tt.want)
		}
	}
	for _, s := range m.wallet.asked {
		if s.Proxy || s.Port != m.port {
			t.Errorf("asked for %+v", s)
		}
	}
}

// Two identities for one host take turns, live and replayed, with resumption on; the origin's view is what counts.
func TestIdentitiesTakeTurns(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", tls.VersionName(version), h2), func(t *testing.T) {
				m := newMTLS(t, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: version}, seen, nil)
				rule := fmt.Sprintf("m.localhost:%d", m.port)
				alice, bob := m.clients.identity("alice", rule), m.clients.identity("bob", rule)
				m.wallet.rules = []upstream.Identity{alice}
				url := fmt.Sprintf("https://m.localhost:%d/", m.port)
				client := m.client(h2)
				n := 0
				var want []string
				for range 4 {
					resp, err := client.Get(url)
					if err != nil {
						t.Fatal(err)
					}
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(b) != "alice" {
						t.Fatalf("the origin saw %q", b)
					}
					want = append(want, "alice")
					for _, choice := range []struct {
						ids []upstream.Identity
						who string
					}{{[]upstream.Identity{bob}, "bob"}, {nil, "alice"}, {[]upstream.Identity{}, ""}} {
						req := ReplayRequest{Method: "GET", URL: url, HTTPVersion: resp.Proto, Length: -1, Choice: upstream.Choice{Identities: choice.ids}}
						done := make(chan struct{})
						if _, err := m.p.Replay(context.Background(), req, func() { close(done) }); err != nil {
							t.Fatal(err)
						}
						within(t, done, "the replay")
						want = append(want, choice.who)
					}
					n += 4
				}
				for i, k := range m.mem.finished(t, n) {
					if want[i] == "" {
						cc := k.x.TLS.ClientCertificate
						if k.x.State != capture.StateFailed || cc.Verdict != "no-rule" || cc.Sent != nil || cc.Alert == "" {
							t.Errorf("exchange %d without a certificate: %+v %+v", i, k.x.Error, cc)
						}
						continue
					}
					if string(k.resp) != want[i] {
						t.Errorf("exchange %d: the origin saw %q, want %q", i, k.resp, want[i])
					}
					cc := k.x.TLS.ClientCertificate
					if cc.Sent == nil || cc.Sent.Subject != "CN="+want[i] || cc.Verdict != "accepted" || cc.Rule != rule || k.x.TLS.Version != tls.VersionName(version) {
						t.Errorf("exchange %d: recorded %+v", i, cc)
					}
				}
			})
		}
	}
}

// Upgraded connections and tunnels with TLS show the same identity; what is passed through shows none.
func TestIdentitiesInTunnels(t *testing.T) {
	upgraded := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			seen(w, r)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: who\r\n\r\n%s", r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	f, err := filter.Parse("host:passed.localhost")
	if err != nil {
		t.Fatal(err)
	}
	servers := newIssuer(t, "Other Servers CA")
	m := newMTLS(t, &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}, upgraded, func(c *Config) {
		others := c.Trust
		c.Trust = func(s upstream.Server) upstream.Trust {
			if s.Host == "t.localhost" {
				return upstream.Trust{ID: "t", Roots: servers.pool()}
			}
			return others(s)
		}
		c.Rules = func() []Rule { return []Rule{{Name: "rule 1", Filter: f, Action: ActionPassthrough}} }
	})
	m.wallet.rules = []upstream.Identity{m.clients.identity("alice", "*:*")}
	tunnel := func(host string, port int) net.Conn {
		c := m.dial()
		fmt.Fprintf(c, "CONNECT %s:%d HTTP/1.1\r\nHost: x\r\n\r\n", host, port)
		if resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v %v", resp, err)
		}
		return tls.Client(c, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	}
	c := tunnel("u.localhost", m.port)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: u.localhost:%d\r\nConnection: upgrade\r\nUpgrade: who\r\n\r\n", m.port)
	br := bufio.NewReader(c)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v %v", resp, err)
	}
	if b, _ := io.ReadAll(br); string(b) != "alice" {
		t.Errorf("behind the upgrade the origin saw %q", b)
	}
	c.Close()
	if x := m.mem.finished(t, 1)[0].x; x.TLS.ClientCertificate.Verdict != "accepted" {
		t.Errorf("recorded %+v", x.TLS.ClientCertificate)
	}

	c = tunnel("passed.localhost", m.port)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: passed.localhost\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "nobody" {
		t.Errorf("passed through, the origin saw %q", b)
	}
	c.Close()
	m.mem.finished(t, 2)

	// Bytes that are no HTTP, within TLS.
	for i, required := range []*x509.CertPool{m.clients.pool(), newIssuer(t, "Another CA").pool()} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*servers.issue("t", func(c *x509.Certificate) { c.DNSNames = []string{"t.localhost"} })},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: required})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			b := make([]byte, 4)
			if _, err := io.ReadFull(c, b); err == nil {
				fmt.Fprintf(c, "%x %s", b, c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName)
			}
		}()
		c = tunnel("t.localhost", l.Addr().(*net.TCPAddr).Port)
		c.Write([]byte{0, 1, 2, 3})
		b, _ := io.ReadAll(c)
		c.Close()
		k := m.mem.finished(t, 3+i)[2+i]
		cc := k.x.TLS.ClientCertificate
		if i == 0 && (string(b) != "00010203 alice" || cc.Verdict != "accepted" || cc.Sent == nil) {
			t.Errorf("in the tunnel the origin saw %q, recorded %+v", b, cc)
		}
		if i == 1 && (cc.Verdict != "rejected" || k.x.Error == nil || k.x.Error.Stage != capture.StageTLS || !strings.Contains(cc.Explanation, `"Another CA"`)) {
			t.Errorf("recorded %+v %+v", k.x.Error, cc)
		}
	}
}

// With verification off the exchange says what would have failed, and what turned it off; a replay may turn it on again.
func TestVerificationOff(t *testing.T) {
	m := newMTLS(t, &tls.Config{}, seen, func(c *Config) {
		c.Trust = func(s upstream.Server) upstream.Trust {
			return upstream.Trust{ID: "1", Roots: x509.NewCertPool(), Insecure: s.Host == "off.localhost", Reason: "policy for off.localhost"}
		}
	})
	url := fmt.Sprintf("https://off.localhost:%d/", m.port)
	on, off := false, true
	for i, tt := range []struct {
		host   string
		choice *bool
		ok     bool
		trust  string
	}{
		{"off.localhost", nil, true, "policy for off.localhost"},
		{"off.localhost", &on, false, "this request alone"},
		{"off.localhost", &off, true, "policy for off.localhost"},
		{"on.localhost", nil, false, ""},
		{"on.localhost", &off, true, "this request alone"},
	} {
		done := make(chan struct{})
		req := ReplayRequest{Method: "GET", URL: strings.Replace(url, "off.localhost", tt.host, 1), Length: -1, Choice: upstream.Choice{Insecure: tt.choice}}
		if _, err := m.p.Replay(context.Background(), req, func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		within(t, done, "the replay")
		x := m.mem.finished(t, i+1)[i].x
		if (x.Error == nil) != tt.ok || x.TLS.Verified || !strings.Contains(x.TLS.VerifyError, "unknown authority") || tt.trust != "" && x.TLS.Trust != tt.trust {
			t.Errorf("%+v: recorded %+v %+v", tt, x.Error, x.TLS)
		}
	}
}

// nginx says in its answer what others say by an alert; the verdict is recorded when the body has passed.
func TestVerdictInTheBody(t *testing.T) {
	m := newMTLS(t, &tls.Config{ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, "<html>\r\n<head><title>400 The SSL certificate error</title></head>\r\n")
	}, nil)
	m.wallet.rules = []upstream.Identity{newIssuer(t, "Other CA").identity("mallory", "*:*")}
	if status, body := m.ask(fmt.Sprintf("n.localhost:%d", m.port), "n.localhost", "n.localhost", "/"); status != 400 || !strings.Contains(body, "SSL certificate error") {
		t.Errorf("got %d %q", status, body)
	}
	x := m.mem.finished(t, 1)[0].x
	if cc := x.TLS.ClientCertificate; cc.Verdict != "rejected" || !strings.Contains(cc.Explanation, `"Other CA" is not among the CAs the server accepts ("Clients CA")`) {
		t.Errorf("recorded %+v", cc)
	}
}

// guarded is a buffer for many writers.
type guarded struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *guarded) lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Split(strings.TrimSpace(g.b.String()), "\n")
}

// The key log has the secrets of both sides.
func TestKeyLog(t *testing.T) {
	ours, client, origin := &guarded{}, &guarded{}, &guarded{}
	m := newMTLS(t, &tls.Config{KeyLogWriter: origin}, seen, func(c *Config) { c.KeyLog = ours })
	hc := m.client(false)
	hc.Transport.(*http.Transport).TLSClientConfig.KeyLogWriter = client
	resp, err := hc.Get(fmt.Sprintf("https://k.localhost:%d/", m.port))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	m.mem.finished(t, 1)
	log := ours.lines()
	for side, lines := range map[string][]string{"client": client.lines(), "origin": origin.lines()} {
		if len(lines) < 4 {
			t.Errorf("%s: %d lines", side, len(lines))
		}
		for _, l := range lines {
			if !slices.Contains(log, l) {
				t.Errorf("the log lacks the %s's %s", side, l)
			}
		}
	}
}
