package upstream

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// identityOf is a client certificate for a rule, with the CA certificates that are sent with it.
func identityOf(rule string, leaf *issued, above ...*issued) Identity {
	c := chainOf(leaf, above...)
	c.Leaf = leaf.cert
	return Identity{ID: fmt.Sprintf("%s %x", rule, leaf.cert.SerialNumber), Number: 1, Rule: rule, Certificate: &c}
}

func clientCert(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = name, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
}

func poolOf(certs ...*issued) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.cert)
	}
	return p
}

// whoServer answers with whom it sees: the common name of the client's certificate, and whether the session was resumed.
func whoServer(t testing.TB, cfg *tls.Config, handler http.HandlerFunc) int {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) {
			who := "nobody"
			if len(r.TLS.PeerCertificates) > 0 {
				who = r.TLS.PeerCertificates[0].Subject.CommonName
			}
			fmt.Fprintf(w, "%s resumed=%v", who, r.TLS.DidResume)
		}
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: quiet, Handler: handler}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// Two identities that take turns, with resumption on: the server never sees one for the other.
func TestIdentitiesShareNothing(t *testing.T) {
	root, clients := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA"))
	ids := []Identity{identityOf("*", issue(t, clients, clientCert("alice"))), identityOf("*", issue(t, clients, clientCert("bob")))}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", tls.VersionName(version), http2), func(t *testing.T) {
				port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("i.localhost")))}, MaxVersion: version,
					ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients), NextProtos: []string{"h2", "http/1.1"}}, nil)
				c := testClient(t, Config{Trust: trusting(poolOf(root))})
				resumed := 0
				connections := map[string]string{}
				for round := range 6 {
					for i, who := range []string{"alice", "bob"} {
						call := &Call{Scheme: "https", Host: "i.localhost", Port: port, Method: "GET", Target: "/", HTTP2: http2, Receipt: new(Receipt), Choice: Choice{Identities: ids[i : i+1]}}
						_, body := mustDo(t, c, call)
						f := call.Receipt.Snapshot()
						if want := fmt.Sprintf("%s resumed=%v", who, f.TLS.Resumed); body != want {
							t.Errorf("round %d: the server saw %q, want %q", round, body, want)
						}
						cc := f.TLS.ClientCertificate
						if cc.Sent == nil || cc.Sent.Subject != "CN="+who || cc.Verdict != verdictAccepted || !cc.Requested {
							t.Errorf("round %d, %s: got %+v", round, who, cc)
						}
						if f.TLS.Resumed != strings.HasPrefix(cc.Explanation, "The session was resumed: what the full handshake before it settled holds. The server asked") {
							t.Errorf("round %d, %s, resumed %v: %s", round, who, f.TLS.Resumed, cc.Explanation)
						}
						if f.TLS.Resumed && !f.Reused {
							resumed++
						}
						if other, ok := connections[f.Connection]; ok && other != who {
							t.Errorf("%s and %s share a connection", who, other)
						}
						connections[f.Connection] = who
					}
					if round%2 == 1 { // connections are closed, sessions stay
						for _, h := range c.all() {
							h.sweep(testLater, 0)
						}
					}
				}
				if resumed == 0 {
					t.Error("no session was resumed: nothing is proven")
				}
			})
		}
	}
}

// testLater is when every idle connection was idle for too long.
var testLater = time.Now().Add(time.Hour)

// rawURLServer answers plain HTTP once for each connection.
func rawURLServer(t testing.TB) string {
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
}

// A parent proxy is shown what is meant for it, and nothing that is meant for an origin; and the other way round.
func TestTLSToProxy(t *testing.T) {
	root, clients := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA"))
	forOrigins, forProxies := identityOf("*:443", issue(t, clients, clientCert("origin"))), identityOf("*:3128", issue(t, clients, clientCert("proxy")))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("p.localhost")))}, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients)}, nil)
		ids := map[bool][]Identity{true: {forProxies}, false: {forOrigins}}
		c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(s Server) []Identity { return ids[s.Proxy] }})
		_, body := mustDo(t, c, &Call{Scheme: "https", Host: "p.localhost", Port: port, Method: "GET", Target: "/"})
		if !strings.HasPrefix(body, "origin ") {
			t.Errorf("as an origin it saw %q", body)
		}
		server := Server{Host: "p.localhost", Port: port, Proxy: true}
		ask := func() (*secured, *capture.TLS, *Error, string, error) {
			raw, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { raw.Close() })
			own := c.terms(server, "", nil)
			s, receipt, e := c.tlsToProxy(testContext(t), raw, &own, "the proxy", []string{"http/1.1"})
			if e != nil {
				return nil, receipt, e, "", nil
			}
			io.WriteString(s, "GET / HTTP/1.0\r\nHost: p\r\n\r\n")
			b, err := io.ReadAll(s)
			return s, receipt, nil, string(b), err
		}
		s, _, e, answer, err := ask()
		if e != nil || err != nil || !strings.Contains(answer, "\r\n\r\nproxy ") {
			t.Fatalf("got %v %v %q", e, err, answer)
		}
		if cc := s.became(answered, 0).ClientCertificate; cc.Verdict != verdictAccepted || cc.Rule != "*:3128" {
			t.Errorf("got %+v", cc)
		}
		ids[true] = nil
		s, receipt, e, answer, err := ask()
		if e == nil { // TLS 1.3 says it with the first read
			receipt, e = s.refusal(err)
		}
		if e == nil || !strings.Contains(e.Hint, fmt.Sprintf("eaves cert add p.localhost:%d --for proxy", port)) || receipt.ClientCertificate.Verdict != verdictNoRule || answer != "" {
			t.Errorf("got %v %+v %q", e, receipt, answer)
		}
	}
}

func TestRenegotiation(t *testing.T) {
	for _, c := range []struct {
		policy       Policy
		certificates bool
		want         tls.RenegotiationSupport
	}{
		{Policy{}, false, tls.RenegotiateNever},
		{Policy{}, true, tls.RenegotiateOnceAsClient},
		{Policy{NoRenegotiation: true}, true, tls.RenegotiateNever},
		{Policy{Renegotiation: tls.RenegotiateFreelyAsClient}, true, tls.RenegotiateFreelyAsClient},
		{Policy{Renegotiation: tls.RenegotiateOnceAsClient}, false, tls.RenegotiateOnceAsClient},
	} {
		if got := c.policy.renegotiation(c.certificates); got != c.want {
			t.Errorf("%+v, certificates %v: got %v, want %v", c.policy, c.certificates, got, c.want)
		}
	}
}

// What is configured and cannot be used is not shown, and it is said why instead of that nothing is configured.
func TestAnIdentityThatCannotBeUsed(t *testing.T) {
	broken := Identity{Number: 3, Rule: "a.test:443", Specificity: 9, Note: "/c.pem: no such file or directory"}
	usable := identityOf("*.test:443", issue(t, nil, clientCert("alice")))
	for _, tt := range []struct {
		all  []Identity
		sent bool
	}{{[]Identity{broken}, false}, {[]Identity{broken, usable}, true}} {
		c := New(Config{Identities: func(Server) []Identity { return tt.all }})
		without := New(Config{})
		server := Server{Host: "a.test", Port: 443}
		terms, none := c.terms(server, "", nil), without.terms(server, "", nil)
		if terms.identityKey() == none.identityKey() {
			t.Error("a connection that tells of it is shared with one that does not")
		}
		a := &authentication{terms: &terms}
		if _, err := a.certificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}); err != nil {
			t.Fatal(err)
		}
		cc := a.receipt(outcome{kind: answered, status: 200})
		if (cc.Sent != nil) != tt.sent {
			t.Fatalf("got %+v", cc)
		}
		if tt.sent {
			if want := "client certificate 3 (rule a.test:443) cannot be sent in its place: /c.pem: no such file or directory"; !strings.Contains(cc.Note, want) {
				t.Errorf("the note %q does not say why another one was sent", cc.Note)
			}
			continue
		}
		want := "the one configured for it (client certificate 3, rule a.test:443) cannot be used: /c.pem: no such file or directory"
		if cc.Verdict != verdictNoRule || cc.Rule != "a.test:443" || !strings.Contains(cc.Explanation, want) || a.add() != "eaves cert show 3" {
			t.Fatalf("got %+v, hint %q", cc, a.add())
		}
	}
}
