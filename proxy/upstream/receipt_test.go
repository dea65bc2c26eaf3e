package upstream

import (
	"bufio"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// brokenKey is a key whose token was removed.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token was removed")
}

// What a server made of a client certificate is told in one sentence, whatever the version of TLS and of HTTP.
func TestReceiptOfClientCertificates(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	clients, stranger := issue(t, nil, ca("Clients CA")), issue(t, nil, ca("Other CA"))
	inter := issue(t, clients, ca("Clients Intermediate"))
	one := func(leaf *issued, above ...*issued) []Identity {
		return []Identity{identityOf("*.localhost:443", leaf, above...)}
	}
	alice := one(issue(t, clients, clientCert("alice")))
	noted := one(issue(t, clients, clientCert("alice")))
	noted[0].Note = "the new file cannot be read, so the old one is used"
	expired := one(issue(t, clients, func(c *x509.Certificate) {
		clientCert("old")(c)
		c.NotBefore, c.NotAfter = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	}))
	early := one(issue(t, clients, func(c *x509.Certificate) {
		clientCert("new")(c)
		c.NotBefore, c.NotAfter = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}))
	server := one(issue(t, clients, func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = "server", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}))
	other := one(issue(t, stranger, clientCert("mallory")))
	noChain, whole := one(issue(t, inter, clientCert("carol"))), one(issue(t, inter, clientCert("carol")), inter)
	self := one(issue(t, nil, clientCert("self")))
	broken := one(issue(t, clients, clientCert("alice")))
	broken[0].Certificate.PrivateKey = brokenKey{ecKey()}

	verify := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients)}
	request := &tls.Config{ClientAuth: tls.RequestClientCert, ClientCAs: poolOf(clients)}
	silent := &tls.Config{ClientAuth: tls.RequireAnyClientCert, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { return errors.New("no") }}
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	nginx := func(title string) http.HandlerFunc {
		return answer(400, "<html>\r\n<head><title>400 "+title+"</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n")
	}
	none := []Identity{}
	for _, tt := range []struct {
		name       string
		server     *tls.Config
		handler    http.HandlerFunc
		configured []Identity
		chosen     []Identity // nil: those configured
		method     string     // "": GET
		verdict    string
		alert      bool
		status     int // 0: the call fails
		words      []string
		hint       string
		note       string
	}{
		{name: "accepted", server: verify, configured: alice, verdict: "accepted", status: 200, words: []string{`was sent "alice" (rule *.localhost:443), and accepted it`}},
		{name: "accepted by an intermediate", server: verify, configured: whole, verdict: "accepted", status: 200},
		{name: "noted", server: verify, configured: noted, verdict: "accepted", status: 200, note: "the new file cannot be read"},
		{name: "asked, but no rule", server: verify, verdict: "no-rule", alert: true, words: []string{"none is configured for m.localhost:PORT, and it refused the connection", "To add one: eaves cert add m.localhost:PORT --cert FILE --key FILE"},
			hint: "eaves cert add m.localhost:PORT --cert FILE --key FILE"},
		{name: "asked, no rule, not needed", server: request, verdict: "no-rule", status: 200, words: []string{"none is configured for m.localhost:PORT, so none was sent. To add one: eaves cert add m.localhost:PORT"}},
		{name: "asked, no rule, forbidden", server: request, handler: answer(403, "no"), verdict: "no-rule", status: 403, words: []string{"so none was sent, and it answered 403. To add one: eaves cert add"}},
		{name: "none by choice", server: verify, configured: alice, chosen: none, verdict: "no-rule", alert: true, words: []string{"this request was to send none"}},
		{name: "another by choice", server: verify, configured: other, chosen: alice, verdict: "accepted", status: 200, words: []string{`was sent "alice"`}},
		{name: "issuer unknown", server: verify, configured: other, verdict: "rejected", alert: true, words: []string{`its issuer "Other CA" is not among the CAs the server accepts ("Clients CA")`}, hint: "a CA that the server accepts",
			note: `its issuer "Other CA" is not among the CAs the server accepts ("Clients CA")`},
		{name: "issuer unknown, not needed", server: request, configured: other, verdict: "accepted", status: 200, note: `its issuer "Other CA" is not among the CAs`},
		{name: "self-signed", server: verify, configured: self, verdict: "rejected", alert: true, words: []string{`its issuer "self" is not among the CAs`}},
		{name: "chain incomplete", server: verify, configured: noChain, verdict: "rejected", alert: true, words: []string{`its issuer "Clients Intermediate" is not among the CAs`, `the chain sent ends at "Clients Intermediate"`, "missing from the file"},
			hint: "intermediate certificates in the same file"},
		{name: "expired", server: verify, configured: expired, verdict: "rejected", alert: true, words: []string{"it expired on 2021-01-01"}, hint: "valid now", note: "it expired on 2021-01-01"},
		{name: "not yet valid", server: verify, configured: early, verdict: "rejected", alert: true, words: []string{"it is not valid before 2099-01-01"}},
		{name: "wrong usage", server: verify, configured: server, verdict: "rejected", alert: true, words: []string{"it is not meant for clients"}, hint: "client authentication"},
		{name: "rejected without a reason", server: silent, configured: alice, verdict: "rejected", alert: true, words: []string{`the server does not say why; dates and usage are right, its issuer is "Clients CA"`}},
		{name: "unusable key", server: verify, configured: broken, verdict: "unknown", words: []string{`"alice" (rule *.localhost:443) could not be used: signing with its key failed: the token was removed`}},
		{name: "never asked", server: &tls.Config{}, configured: alice, verdict: "not-requested", status: 200, words: []string{`never asked for a client certificate, so "alice" (rule *.localhost:443) was not sent.`, "load balancer"}},
		{name: "never asked, forbidden", server: &tls.Config{}, handler: answer(403, "no"), configured: alice, method: "PATCH", verdict: "not-requested", status: 403, words: []string{`was not sent, and it answered 403.`}},
		{name: "not asked", server: &tls.Config{}, verdict: "not-requested", status: 200, words: []string{"The server did not ask for a client certificate."}},
		{name: "accepted by TLS, refused by the application", server: verify, handler: answer(403, "no"), configured: alice, verdict: "accepted", status: 403, words: []string{"TLS accepted it, and the application refused the request (403)"}},
		{name: "nginx got none", server: request, handler: nginx("No required SSL certificate was sent"), verdict: "no-rule", status: 400, words: []string{`none is configured for m.localhost:PORT, and it answered 400 "No required SSL certificate was sent". To add one: eaves cert add`}},
		{name: "nginx got another's", server: request, handler: nginx("The SSL certificate error"), configured: other, verdict: "rejected", status: 400, words: []string{`rejected it with the answer 400 "The SSL certificate error": its issuer "Other CA" is not among`}},
		{name: "nginx got an expired one", server: request, handler: nginx("The SSL certificate error"), configured: expired, verdict: "rejected", status: 400, words: []string{"it expired on 2021-01-01"}},
		{name: "an application's own 400", server: verify, handler: answer(400, "bad"), configured: alice, verdict: "accepted", status: 400, words: []string{"accepted it"}},
		{name: "a proxy in between", server: request, handler: answer(407, "no"), configured: alice, verdict: "unknown", status: 407, words: []string{"A proxy in between answered (407), not the origin."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for _, http2 := range []bool{false, true} {
					cfg := tt.server.Clone()
					cfg.Certificates, cfg.MinVersion, cfg.MaxVersion = []tls.Certificate{chainOf(issue(t, root, leafFor("m.localhost")))}, version, version
					cfg.NextProtos = []string{"http/1.1"}
					if http2 {
						cfg.NextProtos = []string{"h2"}
					}
					port := whoServer(t, cfg, tt.handler)
					c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(s Server) []Identity {
						if s != (Server{Host: "m.localhost", Port: port}) {
							t.Errorf("asked for %+v", s)
						}
						return tt.configured
					}})
					call := &Call{Scheme: "https", Host: "m.localhost", Port: port, Method: tt.method, Target: "/", HTTP2: http2, Receipt: new(Receipt), Choice: Choice{Identities: tt.chosen}}
					if call.Method == "" {
						call.Method = "GET"
					}
					at := func(s string) string { return strings.ReplaceAll(s, "PORT", fmt.Sprint(port)) }
					where := fmt.Sprintf("%s, HTTP/2 %v", tls.VersionName(version), http2)
					if tt.status == 0 {
						e := mustFail(t, c, call)
						wantError(t, e, capture.StageTLS, 502)
						if !strings.Contains(e.Hint, at(tt.hint)) {
							t.Errorf("%s: hint %q, want %q", where, e.Hint, at(tt.hint))
						}
					} else if resp, _ := mustDo(t, c, call); resp.Status != tt.status {
						t.Errorf("%s: got %d", where, resp.Status)
					}
					cc := call.Receipt.Snapshot().TLS.ClientCertificate
					t.Logf("%s: %s [%s] %s", where, cc.Verdict, cc.Alert, cc.Explanation)
					used := tt.configured
					if tt.chosen != nil {
						used = tt.chosen
					}
					requested := tt.server.ClientAuth != tls.NoClientCert
					if cc.Verdict != tt.verdict || cc.Requested != requested || tt.alert != (cc.Alert != "") || (cc.Sent != nil) != (requested && len(used) > 0) || (cc.Rule != "") != (len(used) > 0) {
						t.Errorf("%s: got %+v", where, cc)
					}
					if requested && (len(cc.SignatureSchemes) == 0 || cc.SignatureSchemes[0] != "rsa_pss_rsae_sha256") {
						t.Errorf("%s: signature schemes %v", where, cc.SignatureSchemes)
					}
					if tt.server.ClientCAs != nil && (len(cc.AcceptableCAs) != 1 || cc.AcceptableCAs[0] != "CN=Clients CA") {
						t.Errorf("%s: acceptable CAs %v", where, cc.AcceptableCAs)
					}
					for _, w := range tt.words {
						if !strings.Contains(cc.Explanation, at(w)) {
							t.Errorf("%s: %q is not in %q", where, at(w), cc.Explanation)
						}
					}
					if tt.note == "" && tt.verdict == "accepted" && cc.Note != "" || !strings.Contains(cc.Note, tt.note) {
						t.Errorf("%s: note %q", where, cc.Note)
					}
				}
			}
		})
	}
}

// Of alerts that crypto/tls's servers do not send, what they say is told and no more.
func TestCauseOfRejection(t *testing.T) {
	clients := issue(t, nil, ca("Clients CA"))
	named := [][]byte{clients.cert.RawSubject}
	for _, tt := range []struct {
		alert   uint8
		cas     [][]byte
		verdict string
		words   string
	}{
		{44, named, "rejected", "certificate_revoked: the server says that it is revoked."},
		{45, named, "rejected", "the server takes it for expired, though it is valid from"},
		{48, named, "rejected", `the server does not trust it, though it names its issuer among the CAs it accepts ("Clients CA")`},
		{48, nil, "rejected", `the server does not know its issuer "Clients CA", and names no CAs that it accepts`},
		{49, named, "rejected", "denies it access"},
		{51, named, "rejected", "could not verify what was signed"},
		{116, named, "rejected", "the server says that it got none"},
		{42, named, "rejected", `the server does not say why; dates, usage and issuer ("Clients CA") are right`},
		{80, named, "unknown", "internal_error (an error within the server), which need not be about the certificate"},
	} {
		a := &authentication{terms: &terms{server: Server{Host: "a.test", Port: 443}, identities: []Identity{identityOf("a.test:443", issue(t, clients, clientCert("alice")))}}}
		if _, err := a.certificate(&tls.CertificateRequestInfo{AcceptableCAs: tt.cas, Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}); err != nil {
			t.Fatal(err)
		}
		a.finish(false, nil)
		cc := a.receipt(outcome{kind: alerted, alert: tt.alert})
		if cc.Verdict != tt.verdict || !strings.Contains(cc.Explanation, tt.words) || cc.Alert != alertName(tt.alert) {
			t.Errorf("alert %d: got %+v", tt.alert, cc)
		}
	}
}

// Among identities that are as specific the server's CAs decide, then what it can verify, then the order; a more specific
// one is taken in any case.
func TestChoiceOfIdentity(t *testing.T) {
	clients, other := issue(t, nil, ca("Clients CA")), issue(t, nil, ca("Other CA"))
	a, b := identityOf("a", issue(t, clients, clientCert("a"))), identityOf("b", issue(t, other, clientCert("b")))
	rsa := identityOf("rsa", issueKey(t, other, rsaKey(), clientCert("rsa")))
	narrow := identityOf("narrow", issue(t, other, clientCert("narrow")))
	narrow.Specificity = 1
	ecdsa := []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}
	for _, tt := range []struct {
		ids     []Identity
		cas     [][]byte
		schemes []tls.SignatureScheme
		want    string
	}{
		{[]Identity{a, b}, nil, ecdsa, "a"},
		{[]Identity{b, a}, nil, ecdsa, "b"},
		{[]Identity{b, a}, [][]byte{clients.cert.RawSubject}, ecdsa, "a"},
		{[]Identity{a, b}, [][]byte{other.cert.RawSubject}, ecdsa, "b"},
		{[]Identity{rsa, b}, [][]byte{other.cert.RawSubject}, ecdsa, "b"},
		{[]Identity{a, rsa}, [][]byte{other.cert.RawSubject}, ecdsa, "rsa"}, // of the right CA at least
		{[]Identity{narrow, a}, [][]byte{clients.cert.RawSubject}, ecdsa, "narrow"},
		{[]Identity{b}, [][]byte{clients.cert.RawSubject}, ecdsa, "b"}, // always sent
	} {
		if got := choose(tt.ids, &tls.CertificateRequestInfo{AcceptableCAs: tt.cas, Version: tls.VersionTLS13, SignatureSchemes: tt.schemes}); got.Rule != tt.want {
			t.Errorf("got %s, want %s", got.Rule, tt.want)
		}
	}
}

// A certificate is shown only to a server that is who it should be, and never over plain HTTP.
func TestNothingIsShownToStrangers(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	alice := identityOf("*", issue(t, nil, clientCert("alice")))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		shown := make(chan string, 1)
		port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, nil, leafFor("x.localhost")))}, MaxVersion: version, ClientAuth: tls.RequestClientCert,
			VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
				if len(raw) > 0 {
					shown <- "shown"
				}
				return nil
			}}, nil)
		c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return []Identity{alice} }})
		call := &Call{Scheme: "https", Host: "x.localhost", Port: port, Method: "GET", Target: "/", Receipt: new(Receipt)}
		wantError(t, mustFail(t, c, call), capture.StageTLS, 502, "self-signed")
		if cc := call.Receipt.Snapshot().TLS.ClientCertificate; cc.Sent != nil || cc.Verdict != verdictUnknown {
			t.Errorf("got %+v", cc)
		}
		select {
		case <-shown:
			t.Error("the certificate was shown to a server that is not trusted")
		default:
		}
	}
	plain := callTo(t, "GET", rawURLServer(t))
	c := testClient(t, Config{Identities: func(Server) []Identity { t.Error("asked for plain HTTP"); return nil }})
	mustDo(t, c, plain)
}

// A client may have looked up the name itself: the identity for the name is shown, if the server proves that it has it.
func TestIdentityByServerName(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	alice := identityOf("api.bank.test:443", issue(t, nil, clientCert("alice")))
	port := whoServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("api.bank.test", "evil.test")))}, ClientAuth: tls.RequestClientCert}, nil)
	insecure, proves := false, ""
	c := testClient(t, Config{
		Trust:  func(Server) Trust { return Trust{Roots: poolOf(root), Insecure: insecure} },
		Policy: func(Server) Policy { return Policy{ID: proves, ServerName: proves} },
		Identities: func(s Server) []Identity {
			if s.Host == "api.bank.test" {
				return []Identity{alice}
			}
			return nil
		}})
	for _, tt := range []struct {
		host, name string
		insecure   bool
		proves     string
		want       string
	}{
		{"127.0.0.1", "api.bank.test", false, "", "alice"},
		{"127.0.0.1", "evil.test", false, "", "nobody"},
		{"127.0.0.1", "api.bank.test", true, "", "nobody"},
		{"127.0.0.1", "api.bank.test", false, "evil.test", "nobody"},
		{"127.0.0.1", "api.bank.test", false, "api.bank.test", "alice"},
		{"sub.localhost", "api.bank.test", false, "", "nobody"},
	} {
		insecure, proves = tt.insecure, tt.proves
		_, body := mustDo(t, c, &Call{Scheme: "https", Host: tt.host, Port: port, ServerName: tt.name, Method: "GET", Target: "/"})
		if !strings.HasPrefix(body, tt.want+" ") {
			t.Errorf("%+v: the server saw %q", tt, body)
		}
	}
}

// A server that closes the connection without a word, after it has got a certificate or none, is not said to have meant
// it; nor is one that was content before.
func TestServerHangsUp(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	alice := []Identity{identityOf("*:443", issue(t, nil, clientCert("alice")))}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, http2 := range []bool{false, true} {
			for _, ids := range [][]Identity{alice, nil} {
				cfg := &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("h.localhost")))}, ClientAuth: tls.RequestClientCert, MaxVersion: version, NextProtos: []string{"http/1.1"}}
				if http2 {
					cfg.NextProtos = []string{"h2"}
				}
				port := portOf(t, rawServer(t, func(c net.Conn, _ *bufio.Reader) {
					tc := tls.Server(c, cfg)
					if tc.Handshake() == nil {
						_, _ = tc.Read(make([]byte, 1)) // the request is on its way
					}
					c.Close()
				}))
				c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return ids }})
				call := &Call{Scheme: "https", Host: "h.localhost", Port: port, Method: "POST", Target: "/", HTTP2: http2, Receipt: new(Receipt)}
				e := mustFail(t, c, call)
				cc := call.Receipt.Snapshot().TLS.ClientCertificate
				words, verdict, hint := "closed the connection without an answer or alert, as some do", verdictUnknown, "some servers do so when they do not accept a certificate"
				if ids == nil {
					words, verdict, hint = "and it closed the connection without an answer. To add one: eaves cert add", verdictNoRule, "eaves cert add h.localhost"
				}
				if !strings.Contains(cc.Explanation, words) || cc.Verdict != verdict || cc.Alert != "" || !strings.Contains(e.Hint, hint) || !strings.Contains(e.Message, "it had asked for a client certificate") {
					t.Errorf("%s, HTTP/2 %v: got %v (%s) %+v", tls.VersionName(version), http2, e, e.Hint, cc)
				}
			}
		}
	}
}

// Where a parent proxy did not let the connection through, nothing is said about the origin.
func TestReceiptOfAnUnreachedOrigin(t *testing.T) {
	alice := identityOf("*:443", issue(t, nil, clientCert("alice")))
	cc := unreached("a.test", &terms{server: Server{Host: "a.test", Port: 443}, identities: []Identity{alice}}).ClientCertificate
	if cc.Requested || cc.Verdict != verdictUnknown || cc.Rule != "*:443" || !strings.HasPrefix(cc.Explanation, "A proxy in between answered, not the origin") {
		t.Errorf("got %+v", cc)
	}
}

// A name that nobody can read is shown all the same.
func TestNamesOfCAs(t *testing.T) {
	if s := distinguishedName([]byte{1, 2}); s != "unreadable name 0102" {
		t.Errorf("got %q", s)
	}
	org := issue(t, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"Bank"}} })
	bank := org.cert.RawSubject
	if s := someNames([][]byte{bank, bank, {1}, bank, bank}); s != `"O=Bank", "O=Bank", "unreadable name 01" and 2 more` {
		t.Errorf("got %s", s)
	}
}
