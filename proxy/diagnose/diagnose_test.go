package diagnose

import (
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
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/hostpattern"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"https://A.test./x?q#f":   "https a.test 443 /x?q",
		"a.test":                  "https a.test 443 /",
		"a.test:8443/p":           "https a.test 8443 /p",
		"http://[::1]:80":         "http ::1 80 /",
		"wss://a.test/chat":       "https a.test 443 /chat",
		"ws://u:p@a.test":         "http a.test 80 /",
		"https://bücher.test/":    "https xn--bcher-kva.test 443 /",
		"https://192.0.2.1:8443/": "https 192.0.2.1 8443 /",
	} {
		got, err := ParseTarget(in)
		if s := fmt.Sprintf("%s %s %d %s", got.Scheme, got.Host, got.Port, got.RequestTarget); err != nil || s != want {
			t.Errorf("%s: %q %v, want %q", in, s, err, want)
		}
		if strings.Contains(got.URL, "u:p") {
			t.Errorf("%s: the URL keeps the password", in)
		}
	}
	for _, in := range []string{"", "ftp://a.test/", "https://", "https://a.test:0/", "https://a.test:99999/", "http://a b/"} {
		if got, err := ParseTarget(in); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("https://a.test:1/x")
	f.Add("://")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTarget(s)
		if err != nil {
			return
		}
		if got.Host == "" || got.Port < 1 || got.Port > 65535 || !strings.HasPrefix(got.RequestTarget, "/") && got.RequestTarget != "*" && !strings.HasPrefix(got.RequestTarget, "?") {
			t.Errorf("%q: %+v", s, got)
		}
	})
}

func identity(n int64, rule string, leaf *x509.Certificate) upstream.Identity {
	p, err := hostpattern.Parse(rule)
	if err != nil {
		panic(err)
	}
	return upstream.Identity{ID: fmt.Sprint(n), Number: n, Rule: rule, Specificity: p.Specificity(), Certificate: &tls.Certificate{Leaf: leaf}}
}

func pattern(t *testing.T, s string) hostpattern.Pattern {
	t.Helper()
	p, err := hostpattern.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestExplain: what would be sent and why, and why what nearly fits would not.
func TestExplain(t *testing.T) {
	leaf := func(name string) *x509.Certificate { return &x509.Certificate{Subject: pkix.Name{CommonName: name}} }
	c := Config{
		Upstream: upstream.Config{
			Identities: func(s upstream.Server) []upstream.Identity {
				switch {
				case s.Proxy:
					return []upstream.Identity{identity(9, "*", leaf("proxy"))}
				case s.Host == "api.bank.test" && s.Port == 443:
					return []upstream.Identity{identity(2, "api.bank.test:443", leaf("bob")), identity(1, "*.bank.test:443", leaf("alice"))}
				case s.Host == "broken.test":
					return []upstream.Identity{{Number: 11, Rule: "broken.test:443", Note: "its file is gone"}}
				case s.Host == "two.bank.test" && s.Port == 443:
					return []upstream.Identity{identity(4, "two.bank.test:443", leaf("dora")), identity(3, "two.bank.test:443", leaf("carl"))}
				case strings.HasSuffix(s.Host, "gone.test"):
					gone := identity(7, "*.gone.test:443", nil)
					gone.Certificate, gone.Note = nil, "its file is gone"
					if s.Host == "a.gone.test" {
						return []upstream.Identity{gone}
					}
					return []upstream.Identity{gone, identity(8, "*:443", leaf("frank"))}
				}
				return nil
			},
			Trust: func(s upstream.Server) upstream.Trust {
				return upstream.Trust{Insecure: s.Host == "loose.test", Reason: "TLS policy for loose.test"}
			},
			Policy: func(s upstream.Server) upstream.Policy {
				if s.Host == "old.test" {
					return upstream.Policy{Rule: "old.test", Min: tls.VersionTLS10, Max: tls.VersionTLS11, Ciphers: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}, ServerName: "inner.test"}
				}
				return upstream.Policy{}
			},
			Route: func(_ context.Context, t upstream.Target) (upstream.Route, error) {
				if t.Host == "far.test" {
					return upstream.Route{Source: "pac", Reason: "proxy.pac", Hops: []hop.Hop{{Kind: hop.HTTP, Host: "p1.test", Port: 3128, Credentials: &hop.Credentials{User: "alice"}}, {Kind: hop.SOCKS5, Host: "p2.test", Port: 1080}},
						Else: &upstream.Route{Source: "pac"}}, nil
				}
				if t.Host == "lost.test" {
					return upstream.Route{}, fmt.Errorf("the PAC file cannot be read")
				}
				return upstream.Route{Source: "direct"}, nil
			},
		},
		Certificates: func() []Certificate {
			return []Certificate{
				{ID: 1, Pattern: pattern(t, "*.bank.test"), Enabled: true, Subject: "CN=alice"},
				{ID: 2, Pattern: pattern(t, "api.bank.test"), Enabled: true, Subject: "CN=bob"},
				{ID: 5, Pattern: pattern(t, "api.bank.test:8443"), Enabled: true, Subject: "CN=eve"},
				{ID: 6, Pattern: pattern(t, "api.bank.test"), Subject: "CN=off"},
				{ID: 7, Pattern: pattern(t, "api.bank.test"), Enabled: true, Problem: "its file is gone"},
				{ID: 8, Pattern: pattern(t, "api.bank.test.evil.test"), Enabled: true},
				{ID: 9, Pattern: pattern(t, "*"), Enabled: true, Proxy: true},
			}
		},
		Anchors: func(s upstream.Server) []capture.Anchor {
			if s.Host == "api.bank.test" {
				return []capture.Anchor{{ID: 1, Subject: "CN=corp"}}
			}
			return nil
		},
	}
	explain := func(u string, choice upstream.Choice) *capture.Explanation {
		t.Helper()
		target, err := ParseTarget(u)
		if err != nil {
			t.Fatal(err)
		}
		x, err := Explain(t.Context(), c, target, choice)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	says := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%q lacks %q", text, w)
			}
		}
	}
	x := explain("https://api.bank.test/", upstream.Choice{})
	says(x.ClientCertificate.Explanation, "certificate 2", "CN=bob", "api.bank.test:443")
	reasons := map[int64]string{}
	for _, cand := range x.ClientCertificate.Candidates {
		reasons[cand.ID] = cand.Reason
	}
	says(reasons[1], "api.bank.test:443 is more specific")
	says(reasons[5], "port 8443 only")
	says(reasons[6], "switched off")
	says(reasons[7], "its file is gone")
	says(reasons[9], "parent proxies only")
	if _, ok := reasons[8]; ok {
		t.Error("a certificate for another host is a candidate")
	}
	says(x.Trust.Explanation, "one of 1 added", "api.bank.test")
	says(strings.Join(x.Why, " "), "straight to api.bank.test:443")

	// One that cannot be used is not said to be sent.
	says(explain("https://a.gone.test/", upstream.Choice{}).ClientCertificate.Explanation, "none is sent", "certificate 7", "its file is gone")
	if r := explain("https://b.gone.test/", upstream.Choice{}).ClientCertificate; r.ID != 8 {
		t.Errorf("got %+v", r)
	} else {
		says(r.Explanation, "certificate 8 (CN=frank) is sent", "Certificate 7 (rule *.gone.test:443) cannot be sent in its place: its file is gone")
	}

	x = explain("https://api.bank.test:9443/", upstream.Choice{})
	says(x.ClientCertificate.Explanation, "No client certificate is configured for api.bank.test:9443")
	for _, cand := range x.ClientCertificate.Candidates {
		if cand.ID == 2 {
			says(cand.Reason, "port 443 only", "api.bank.test:*")
		}
	}
	says(explain("https://two.bank.test/", upstream.Choice{}).ClientCertificate.Explanation, "the CAs that it names decide among 2", "CN=dora")
	says(explain("https://two.bank.test/", upstream.Choice{Identities: []upstream.Identity{}}).ClientCertificate.Explanation, "chosen to send no client certificate")
	x = explain("https://broken.test/", upstream.Choice{})
	says(x.ClientCertificate.Explanation, "certificate 11 is configured", "its file is gone", "none is sent")
	if len(x.ClientCertificate.Candidates) == 0 || !x.ClientCertificate.Candidates[0].Matches {
		t.Errorf("got %+v", x.ClientCertificate)
	}
	x = explain("https://loose.test/", upstream.Choice{})
	says(x.Trust.Explanation, "not verified", "TLS policy for loose.test")
	on := false
	if x := explain("https://loose.test/", upstream.Choice{Insecure: &on}); !x.Trust.Verify {
		t.Errorf("got %+v", x.Trust)
	}
	x = explain("https://old.test/", upstream.Choice{})
	if x.TLS.Min != "1.0" || x.TLS.Max != "1.1" || x.TLS.ServerName != "inner.test" || !slices.Equal(x.TLS.Ciphers, []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}) {
		t.Errorf("got %+v", x.TLS)
	}
	x = explain("https://far.test/", upstream.Choice{})
	says(strings.Join(x.Why, " "), "The PAC file decides (proxy.pac)", "http://p1.test:3128, then socks5://p2.test:1080", "by a SOCKS connection to far.test:443", "If the first of these cannot be reached: straight", "those of alice are shown to it")
	if len(x.Route.Hops) != 3 || x.Route.Hops[2].Kind != "origin" {
		t.Errorf("got %+v", x.Route)
	}
	says(explain("http://far.test/", upstream.Choice{Route: &upstream.Route{Source: "custom", Hops: []hop.Hop{{Kind: hop.HTTP, Host: "p", Port: 1}}}}).Why[0], "asked for the whole URL")
	says(explain("http://api.bank.test/", upstream.Choice{}).ClientCertificate.Explanation, "The URL is http")
	lost, _ := ParseTarget("https://lost.test/")
	if _, err := Explain(t.Context(), c, lost, upstream.Choice{}); err == nil || !strings.Contains(err.Error(), "PAC file cannot be read") {
		t.Errorf("got %v", err)
	}
}

// issue makes a certificate, signed by parent or by itself.
func issue(t *testing.T, name string, parent *tls.Certificate, usage x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signer, by := any(key), template
	if parent != nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
		signer, by = parent.PrivateKey, parent.Leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// mtls is an origin that demands a client certificate of ca.
func mtls(t *testing.T, ca *tls.Certificate, version uint16) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{*issue(t, "origin", ca, x509.ExtKeyUsageServerAuth)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: version, MaxVersion: version}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// examine collects the stages.
func examine(t *testing.T, c Config, u string, choice upstream.Choice) (stages []capture.DoctorStage, ok bool) {
	t.Helper()
	target, err := ParseTarget(u)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ok = Examine(ctx, c, target, choice, func(s capture.DoctorStage) { stages = append(stages, s) })
	return stages, ok
}

func outline(stages []capture.DoctorStage) string {
	var words []string
	for _, s := range stages {
		words = append(words, s.Stage+" "+string(s.Status))
	}
	return strings.Join(words, ", ")
}

// TestExamineMutualTLS: each stage in order, with and without the certificate, when the server refuses at once (TLS 1.2)
// and when it does so after the handshake (TLS 1.3).
func TestExamineMutualTLS(t *testing.T) {
	ca := issue(t, "ca", nil, x509.ExtKeyUsageClientAuth)
	alice := issue(t, "alice", ca, x509.ExtKeyUsageClientAuth)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			u := mtls(t, ca, version)
			var shown []upstream.Identity
			c := Config{Upstream: upstream.Config{
				Trust:      func(upstream.Server) upstream.Trust { return upstream.Trust{ID: "pool", Roots: pool} },
				Identities: func(upstream.Server) []upstream.Identity { return shown },
			}}
			stages, ok := examine(t, c, u, upstream.Choice{})
			last := stages[len(stages)-1]
			if ok || last.Stage != capture.DoctorResult || last.Status != capture.DoctorFailed || !strings.Contains(last.Message, "client certificate") || last.Hint == "" {
				t.Errorf("without: %s\n%+v", outline(stages), last)
			}
			if !slices.ContainsFunc(stages, func(s capture.DoctorStage) bool { return s.Stage == capture.DoctorRequest && s.Message == "Yes." }) {
				t.Errorf("without: %s", outline(stages))
			}
			none := func(choice upstream.Choice, want string) {
				t.Helper()
				stages, _ := examine(t, c, u, choice)
				if !slices.ContainsFunc(stages, func(s capture.DoctorStage) bool {
					return s.Stage == capture.DoctorClientCertificate && s.Message == want
				}) {
					t.Errorf("no stage says %q: %+v", want, stages)
				}
			}
			none(upstream.Choice{}, "None: no rule is for this host and port.")
			none(upstream.Choice{Identities: []upstream.Identity{}}, "None, as was chosen.")
			shown = []upstream.Identity{{Number: 1, Rule: "127.0.0.1:*", Note: "its file is gone"}}
			none(upstream.Choice{}, "None: the one of the rule for 127.0.0.1:* cannot be used.")
			shown = []upstream.Identity{{ID: "alice", Number: 1, Rule: "127.0.0.1:*", Certificate: alice}}
			stages, ok = examine(t, c, u, upstream.Choice{})
			if got, want := outline(stages), "route ok, tcp ok, tls ok, request-certificate info, client-certificate ok, response ok, verdict ok, result ok"; !ok || got != want {
				t.Errorf("with: %s, want %s\n%+v", got, want, stages[len(stages)-1])
			}
		})
	}
}

// TestExamineFailures: the stage that failed is named, with what to do, and nothing behind it.
func TestExamineFailures(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	t.Cleanup(plain.Close)
	u, _ := url.Parse(plain.URL)
	unknown := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS()
	t.Cleanup(unknown.Close)
	for _, c := range []struct{ url, outline, message string }{
		{"https://" + nobody + "/", "route ok, tcp failed, result failed", "refused"},
		{"https://" + u.Host + "/", "route ok, tcp ok, tls failed, result failed", "does not speak TLS"},
		{"http://" + u.Host + "/", "route ok, tcp ok, response warning, result ok", "503"},
		{unknown.URL, "route ok, tcp ok, tls failed, result failed", "not trusted"},
		{"https://nowhere.invalid/", "route ok, dns failed, result failed", "nowhere.invalid"},
	} {
		stages, _ := examine(t, Config{}, c.url, upstream.Choice{})
		last := stages[len(stages)-1]
		if got := outline(stages); got != c.outline || !strings.Contains(last.Message, c.message) {
			t.Errorf("%s: %s, want %s\n%+v", c.url, got, c.outline, last)
		}
	}
	lost := Config{Upstream: upstream.Config{Route: func(context.Context, upstream.Target) (upstream.Route, error) {
		return upstream.Route{}, fmt.Errorf("the PAC file cannot be read")
	}}}
	if stages, ok := examine(t, lost, "https://a.test/", upstream.Choice{}); ok || outline(stages) != "route failed, result failed" {
		t.Errorf("got %s", outline(stages))
	}
}

// TestExamineUnverified: with verification off the examination goes on, and says what would have failed.
func TestExamineUnverified(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	off := true
	stages, ok := examine(t, Config{}, srv.URL, upstream.Choice{Insecure: &off})
	if !ok || !strings.Contains(outline(stages), "tls warning") {
		t.Errorf("got %s", outline(stages))
	}
}
