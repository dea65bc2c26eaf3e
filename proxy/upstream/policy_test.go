package upstream

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// What a policy says is what is offered, and what failed is told by it.
func TestPolicies(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	leaf := chainOf(issueKey(t, root, rsaKey(), leafFor("p.localhost", "other.test")))
	v10, v11, v12, v13 := uint16(tls.VersionTLS10), uint16(tls.VersionTLS11), uint16(tls.VersionTLS12), uint16(tls.VersionTLS13)
	both := []string{"h2", "http/1.1"}
	for _, tt := range []struct {
		name    string
		server  *tls.Config
		policy  Policy
		h2      bool
		upgrade bool
		want    string // version, protocol and name that the server saw; "": it fails
		words   []string
	}{
		{name: "TLS 1.0 wanted", server: &tls.Config{MinVersion: v10, MaxVersion: v10}, policy: Policy{Min: v10}, want: "TLS 1.0 HTTP/1.1 p.localhost"},
		{name: "TLS 1.1 at best", server: &tls.Config{MinVersion: v10, MaxVersion: v11}, policy: Policy{Min: v10, Max: v12}, want: "TLS 1.1 HTTP/1.1 p.localhost"},
		{name: "no more than 1.2", server: &tls.Config{}, policy: Policy{Max: v12}, want: "TLS 1.2 HTTP/1.1 p.localhost"},
		{name: "nothing but 1.3", server: &tls.Config{MaxVersion: v12}, policy: Policy{Min: v13}, words: []string{"it speaks no TLS 1.3, and other versions are not offered", "it speaks TLS 1.2 at best", "eaves tls set p.localhost --min 1.2"}},
		{name: "too old", server: &tls.Config{MinVersion: v13}, policy: Policy{Min: v10, Max: v11}, words: []string{"it speaks none of TLS 1.0 to TLS 1.1, which are offered", "it speaks TLS 1.3", "eaves tls set p.localhost --max 1.3"}},
		{name: "3DES", server: &tls.Config{MaxVersion: v12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, policy: Policy{Ciphers: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, want: "TLS 1.2 HTTP/1.1 p.localhost"},
		{name: "no suite in common", server: &tls.Config{MaxVersion: v12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, policy: Policy{Ciphers: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
			words: []string{"handshake_failure", "eaves tls set p.localhost --ciphers TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}},
		{name: "HTTP/1.1 only", server: &tls.Config{NextProtos: both}, policy: Policy{ALPN: []string{"http/1.1"}}, h2: true, want: "TLS 1.3 HTTP/1.1 p.localhost"},
		{name: "HTTP/2 only", server: &tls.Config{NextProtos: both}, policy: Policy{ALPN: []string{"h2"}}, want: "TLS 1.3 HTTP/2.0 p.localhost"},
		{name: "HTTP/2 for any client", server: &tls.Config{NextProtos: both}, policy: Policy{ALPN: both}, want: "TLS 1.3 HTTP/2.0 p.localhost"},
		{name: "HTTP/2, and there is none", server: &tls.Config{NextProtos: both[1:]}, policy: Policy{ALPN: both}, want: "TLS 1.3 HTTP/1.1 p.localhost"},
		{name: "an upgrade in spite of it", server: &tls.Config{NextProtos: both}, policy: Policy{ALPN: []string{"h2"}}, upgrade: true, want: "TLS 1.3 HTTP/1.1 p.localhost"},
		{name: "another name", server: &tls.Config{}, policy: Policy{ServerName: "other.test"}, want: "TLS 1.3 HTTP/1.1 other.test"},
		{name: "a name it has not", server: &tls.Config{}, policy: Policy{ServerName: "wrong.test"}, words: []string{"not for wrong.test"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.server.Clone()
			cfg.Certificates = []tls.Certificate{leaf}
			port := whoServer(t, cfg, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s %s %s", tls.VersionName(r.TLS.Version), r.Proto, r.TLS.ServerName)
			})
			policy := tt.policy
			policy.ID, policy.Rule = "1", "*.localhost"
			c := testClient(t, Config{Trust: trusting(poolOf(root)), Policy: func(s Server) Policy {
				if s != (Server{Host: "p.localhost", Port: port}) {
					t.Errorf("asked for %+v", s)
				}
				return policy
			}})
			for range 2 {
				call := &Call{Scheme: "https", Host: "p.localhost", Port: port, Method: "GET", Target: "/", HTTP2: tt.h2, Receipt: new(Receipt)}
				if tt.upgrade {
					call.Upgrade = "websocket"
				}
				if tt.want == "" {
					e := mustFail(t, c, call)
					wantError(t, e, capture.StageTLS, 502, tt.words...)
				} else if _, body := mustDo(t, c, call); body != tt.want {
					t.Errorf("the server saw %q, want %q", body, tt.want)
				}
				if got := call.Receipt.Snapshot().TLS; got.Policy != "*.localhost" {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

// What holds when a call begins is what it gets: a change of settings makes new connections, and breaks none in use.
func TestChangeOfSettings(t *testing.T) {
	root, clients := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA"))
	for _, http2 := range []bool{false, true} {
		ids := map[string]Identity{"alice": identityOf("*", issue(t, clients, clientCert("alice"))), "bob": identityOf("*", issue(t, clients, clientCert("bob")))}
		release := make(chan struct{})
		port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("c.localhost")))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients), NextProtos: []string{"h2", "http/1.1"}},
			func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
				if r.URL.Path == "/slow" {
					w.(http.Flusher).Flush()
					<-release
					fmt.Fprint(w, ", still")
				}
			})
		who, trust, policy := "alice", Trust{ID: "1", Roots: poolOf(root)}, Policy{}
		c := testClient(t, Config{Trust: func(Server) Trust { return trust }, Policy: func(Server) Policy { return policy }, Identities: func(Server) []Identity { return []Identity{ids[who]} }})
		call := func(target string) *Call {
			return &Call{Scheme: "https", Host: "c.localhost", Port: port, Method: "GET", Target: target, HTTP2: http2, Receipt: new(Receipt)}
		}
		slow, err := c.Do(testContext(t), call("/slow"))
		if err != nil {
			t.Fatal(err)
		}
		connections := map[string]bool{}
		for _, change := range []func(){func() { who = "bob" }, func() { noted := ids["bob"]; noted.Note = "n"; ids["bob"] = noted }, func() { trust.ID = "2" }, func() { policy = Policy{ID: "3", Max: tls.VersionTLS12} }, func() { trust.Insecure = true }} {
			change()
			q := call("/")
			if _, body := mustDo(t, c, q); body != "bob" {
				t.Errorf("the server saw %q", body)
			}
			f := q.Receipt.Snapshot()
			if f.Reused || f.TLS.Resumed || connections[f.Connection] {
				t.Errorf("a change of settings kept a connection or session: %+v", f)
			}
			connections[f.Connection] = true
		}
		close(release)
		b := make([]byte, 20)
		n := 0
		for n < len("alice, still") && err == nil {
			var m int
			m, err = slow.Body.Read(b[n:])
			n += m
		}
		slow.Body.Close()
		if string(b[:n]) != "alice, still" {
			t.Errorf("the exchange under way got %q %v", b[:n], err)
		}
		for _, h := range c.all() { // what nobody uses goes with time
			for begun := time.Now(); !h.sweep(testLater, 0); runtime.Gosched() { // whoever reads a connection notes its end by himself
				if time.Since(begun) > 10*time.Second {
					t.Fatalf("%+v keeps connections", h.key)
				}
			}
		}
	}
}

// A refusal that comes while the request is still being written is told as what it is, also when the write fails first.
func TestLateRefusalOfUpload(t *testing.T) {
	root, clients := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA"))
	mallory := identityOf("*", issue(t, nil, clientCert("mallory")))
	port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("u.localhost")))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients), NextProtos: []string{"h2", "http/1.1"}}, nil)
	body := strings.Repeat("x", 3<<20)
	for i := range 40 {
		ids := []Identity{mallory}
		want := verdictRejected
		if i%4 > 1 {
			ids, want = nil, verdictNoRule
		}
		c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return ids }})
		call := (&Call{Scheme: "https", Host: "u.localhost", Port: port, Method: "POST", Target: "/", HTTP2: i%2 == 1, Receipt: new(Receipt)}).withBody(body)
		e := mustFail(t, c, call)
		cc := call.Receipt.Snapshot().TLS.ClientCertificate
		if e.Stage != capture.StageTLS || cc.Verdict != want || cc.Alert == "" {
			t.Fatalf("try %d: got %v, %+v", i, e, cc)
		}
	}
}
