package upstream

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/capture"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var ecKey = sync.OnceValue(func() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

var rsaKey = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// issue makes a certificate; by nil means self-signed.
func issue(t testing.TB, by *issued, edit func(*x509.Certificate)) *issued {
	t.Helper()
	return issueKey(t, by, ecKey(), edit)
}

func issueKey(t testing.TB, by *issued, key crypto.Signer, edit func(*x509.Certificate)) *issued {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "leaf"}}
	edit(c)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

func ca(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage = name, true, x509.KeyUsageCertSign
	}
}

func leafFor(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// chainOf is what a server sends.
func chainOf(leaf *issued, above ...*issued) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}
	for _, a := range above {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	return c
}

// tlsServer answers HTTP behind TLS, and returns its port.
func tlsServer(t testing.TB, cfg *tls.Config) int {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func portOf(t testing.TB, url string) int {
	return callTo(t, "GET", url).Port
}

// TestBadTLSOrigins goes after the list of badssl.com and beyond.
func TestBadTLSOrigins(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	inter := issue(t, root, ca("Test Intermediate"))
	good := chainOf(issue(t, inter, leafFor("bad.localhost")), inter)
	stranger := issue(t, nil, ca("Stranger Root"))
	serve := func(c tls.Certificate) func(*testing.T) int {
		return func(t *testing.T) int { return tlsServer(t, &tls.Config{Certificates: []tls.Certificate{c}}) }
	}
	with := func(cfg *tls.Config) func(*testing.T) int {
		cfg.Certificates = []tls.Certificate{good}
		return func(t *testing.T) int { return tlsServer(t, cfg) }
	}
	goodRSA := chainOf(issueKey(t, inter, rsaKey(), leafFor("bad.localhost")), inter)
	suite := func(id uint16) func(*testing.T) int {
		return func(t *testing.T) int {
			return tlsServer(t, &tls.Config{Certificates: []tls.Certificate{goodRSA}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{id}})
		}
	}
	raw := func(f func(net.Conn, *bufio.Reader)) func(*testing.T) int {
		return func(t *testing.T) int { return portOf(t, rawServer(t, f)) }
	}
	alert := func(code byte) func(*testing.T) int {
		return raw(func(c net.Conn, br *bufio.Reader) {
			br.Peek(100)
			c.Write([]byte{0x15, 3, 3, 0, 2, 2, code})
			io.Copy(io.Discard, br)
		})
	}
	in := func(by *issued, edit func(*x509.Certificate)) func(*testing.T) int {
		c := issue(t, by, func(c *x509.Certificate) { leafFor("bad.localhost")(c); edit(c) })
		if by == inter {
			return serve(chainOf(c, inter))
		}
		return serve(chainOf(c))
	}
	expiredInter := issue(t, root, func(c *x509.Certificate) {
		ca("Old Intermediate")(c)
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	noCA := issue(t, root, func(c *x509.Certificate) { c.Subject.CommonName = "Not A CA" })
	narrow := issue(t, root, func(c *x509.Certificate) {
		ca("Narrow CA")(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"only.test"}
	})
	rsaRoot := issueKey(t, root, rsaKey(), ca("RSA Intermediate"))
	sha1 := issueKey(t, rsaRoot, ecKey(), func(c *x509.Certificate) {
		leafFor("bad.localhost")(c)
		c.SignatureAlgorithm = x509.SHA1WithRSA
	})
	ok := []string(nil)
	for _, tt := range []struct {
		name  string
		serve func(*testing.T) int
		stage capture.Stage // "" where it works
		words []string
	}{
		{"good", serve(good), "", ok},
		{"root sent too", serve(chainOf(issue(t, inter, leafFor("bad.localhost")), inter, root)), "", ok},
		{"wildcard", serve(chainOf(issue(t, root, leafFor("*.localhost")))), "", ok},
		{"TLS 1.2 only", with(&tls.Config{MaxVersion: tls.VersionTLS12}), "", ok},
		{"RSA key exchange", suite(tls.TLS_RSA_WITH_AES_128_GCM_SHA256), "", ok},
		{"CBC", suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256), "", ok},
		{"TLS 1.3 only", with(&tls.Config{MinVersion: tls.VersionTLS13}), "", ok},
		{"client certificate optional", with(&tls.Config{ClientAuth: tls.RequestClientCert}), "", ok},
		{"many names", serve(chainOf(issue(t, root, leafFor(append(strings.Split(strings.Repeat("n.test ", 900), " ")[:900], "bad.localhost")...)))), "", ok},
		{"expired", in(inter, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Date(2015, 4, 9, 0, 0, 0, 0, time.UTC), time.Date(2015, 4, 12, 23, 59, 59, 0, time.UTC)
		}), capture.StageTLS, []string{"certificate expired on 2015-04-12 23:59 UTC", "days ago", "eaves tls set bad.localhost --verify off"}},
		{"not yet valid", in(inter, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(72*time.Hour), time.Now().Add(96*time.Hour)
		}), capture.StageTLS, []string{"is not valid before", "clock"}},
		{"wrong host", in(inter, leafFor("a.test", "b.test")), capture.StageTLS, []string{"issued for a.test, b.test, not for bad.localhost"}},
		{"wrong host and expired", in(inter, func(c *x509.Certificate) {
			c.DNSNames, c.NotBefore, c.NotAfter = []string{"a.test"}, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		}), capture.StageTLS, []string{"expired on", "and the certificate is issued for a.test"}},
		{"self-signed", in(nil, func(*x509.Certificate) {}), capture.StageTLS, []string{`self-signed (by "leaf")`, "eaves trust add FILE --host bad.localhost"}},
		{"untrusted root", serve(chainOf(issue(t, stranger, leafFor("bad.localhost")), stranger)), capture.StageTLS, []string{`root CA "Stranger Root" is not trusted`}},
		{"untrusted root, not sent", in(stranger, func(*x509.Certificate) {}), capture.StageTLS, []string{`unknown authority "Stranger Root"`}},
		{"incomplete chain", serve(chainOf(issue(t, inter, leafFor("bad.localhost")))), capture.StageTLS, []string{`unknown authority "Test Intermediate"`, "incomplete"}},
		{"wrong intermediate", serve(chainOf(issue(t, inter, leafFor("bad.localhost")), issue(t, stranger, ca("Other Intermediate")))), capture.StageTLS, []string{`unknown authority "Stranger Root"`}},
		{"expired intermediate", serve(chainOf(issue(t, expiredInter, leafFor("bad.localhost")), expiredInter)), capture.StageTLS, []string{`CA certificate "Old Intermediate" expired on`}},
		{"issuer is no CA", serve(chainOf(issue(t, noCA, leafFor("bad.localhost")), noCA)), capture.StageTLS, []string{`"Not A CA"`}},
		{"name constraints", serve(chainOf(issue(t, narrow, leafFor("bad.localhost")), narrow)), capture.StageTLS, []string{"may not sign for this name"}},
		{"SHA-1", serve(chainOf(sha1, rsaRoot)), capture.StageTLS, []string{"SHA1-RSA", "no longer accepted"}},
		{"no SAN", in(inter, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "bad.localhost" }), capture.StageTLS, []string{"common name only"}},
		{"no name", in(inter, func(c *x509.Certificate) { c.DNSNames, c.Subject = nil, pkix.Name{Organization: []string{"X"}} }), capture.StageTLS, []string{"no name at all"}},
		{"for clients only", in(inter, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), capture.StageTLS, []string{"not meant for servers"}},
		{"unknown critical extension", in(inter, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), capture.StageTLS, []string{"critical extension"}},
		{"TLS 1.0 only", with(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}), capture.StageTLS, []string{"protocol_version", "neither TLS 1.2 nor 1.3", "it speaks TLS 1.0 at best"}},
		{"TLS 1.1 only", with(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), capture.StageTLS, []string{"protocol_version", "neither TLS 1.2 nor 1.3", "it speaks TLS 1.1 at best"}},
		{"old ServerHello", raw(func(c net.Conn, br *bufio.Reader) { // SSL 3.0, as some servers answer whatever is offered
			br.Peek(100)
			c.Write(append([]byte{0x16, 3, 0, 0, 42, 2, 0, 0, 38, 3, 0}, make([]byte, 36)...))
			io.Copy(io.Discard, br)
		}), capture.StageTLS, []string{"SSL 3.0", "TLS 1.2"}},
		{"RC4 only", suite(tls.TLS_RSA_WITH_RC4_128_SHA), capture.StageTLS, []string{"handshake_failure", "RC4"}},
		{"3DES only", suite(tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA), capture.StageTLS, []string{"handshake_failure", "3DES"}},
		{"DHE only", alert(40), capture.StageTLS, []string{"handshake_failure", "DHE"}},
		{"insufficient security", alert(71), capture.StageTLS, []string{"insufficient_security"}},
		{"unknown name", alert(112), capture.StageTLS, []string{"unrecognized_name", "bad.localhost"}},
		{"internal error", alert(80), capture.StageTLS, []string{"internal_error"}},
		{"alert without a name", alert(199), capture.StageTLS, []string{"199"}},
		{"client certificate required, TLS 1.3", with(&tls.Config{ClientAuth: tls.RequireAnyClientCert}), capture.StageTLS, []string{"certificate_required", "asked for a client certificate"}},
		{"client certificate required, TLS 1.2", with(&tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}), capture.StageTLS, []string{"asked for a client certificate"}},
		{"plain HTTP on the port", raw(func(c net.Conn, br *bufio.Reader) {
			br.Peek(1)
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), capture.StageTLS, []string{"plain HTTP", "http://"}},
		{"SSH on the port", raw(func(c net.Conn, br *bufio.Reader) { io.WriteString(c, "SSH-2.0-OpenSSH_9\r\n"); br.Peek(1) }), capture.StageTLS, []string{"SSH-2", "does not speak TLS"}},
		{"binary garbage", raw(func(c net.Conn, br *bufio.Reader) { br.Peek(1); c.Write([]byte{1, 2, 3, 4, 5, 6, 7, 8}) }), capture.StageTLS, []string{"01 02 03 04 05"}},
		{"closes", raw(func(c net.Conn, br *bufio.Reader) { br.Peek(100); io.CopyN(io.Discard, br, int64(br.Buffered())) }), capture.StageTLS, []string{"closed the connection during the handshake"}},
		{"resets", raw(func(c net.Conn, br *bufio.Reader) { br.Peek(1); c.(*net.TCPConn).SetLinger(0) }), capture.StageTLS, []string{"reset the connection during the handshake"}},
		{"silent", raw(func(c net.Conn, br *bufio.Reader) { io.Copy(io.Discard, br) }), capture.StageTimeout, []string{"did not finish the handshake within 500 ms"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool := x509.NewCertPool()
			pool.AddCert(root.cert)
			timeout := limit / 2
			if tt.stage == capture.StageTimeout {
				timeout = 500 * time.Millisecond
			}
			c := testClient(t, Config{Trust: trusting(pool), TLSTimeout: timeout})
			for _, http2 := range []bool{false, true} {
				call := &Call{Scheme: "https", Host: "bad.localhost", Port: 1, Method: "GET", Target: "/", HTTP2: http2, Receipt: new(Receipt)}
				call.Port = tt.serve(t)
				begun := time.Now()
				if tt.stage == "" {
					if resp, _ := mustDo(t, c, call); resp.Status != 200 {
						t.Errorf("got %d", resp.Status)
					}
					if f := call.Receipt.Snapshot(); !f.TLS.Verified || f.TLS.VerifyError != "" || len(f.TLS.PeerCertificates) == 0 {
						t.Errorf("got %+v", f.TLS)
					}
					continue
				}
				status := 502
				if tt.stage == capture.StageTimeout {
					status = 504
				}
				e := mustFail(t, c, call)
				t.Logf("%s\n\thint: %s", e.Message, e.Hint)
				wantError(t, e, tt.stage, status, append(tt.words, "bad.localhost:")...)
				for _, bare := range []string{"x509:", "tls:", "remote error", "EOF"} {
					if strings.Contains(e.Message, bare) {
						t.Errorf("the words of a library: %s", e.Message)
					}
				}
				if took := time.Since(begun); took > limit/2 {
					t.Errorf("took %v", took)
				}
				if f := call.Receipt.Snapshot(); f.TLS == nil || f.Timings.SSL <= 0 || f.ServerIP == "" {
					t.Errorf("got %+v", f)
				}
			}
		})
	}
}

func TestInsecureSaysWhatWouldHaveFailed(t *testing.T) {
	leaf := issue(t, nil, func(c *x509.Certificate) { c.DNSNames, c.NotAfter = []string{"a.test"}, time.Now().Add(-time.Minute) })
	port := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(leaf)}, NextProtos: []string{"h2", "http/1.1"}})
	c := testClient(t, Config{Trust: func(s Server) Trust {
		return Trust{Insecure: s == Server{Host: "x.localhost", Port: port}, Reason: "--insecure"}
	}})
	for range 2 { // the second session may be resumed, and is judged all the same
		for _, http2 := range []bool{false, true} {
			call := &Call{Scheme: "https", Host: "x.localhost", Port: port, Method: "GET", Target: "/", HTTP2: http2, Receipt: new(Receipt)}
			mustDo(t, c, call)
			f := call.Receipt.Snapshot()
			if f.TLS.Verified || !strings.Contains(f.TLS.VerifyError, "expired") || !strings.Contains(f.TLS.VerifyError, "a.test") || !strings.Contains(f.TLS.VerifyError, "self-signed") || f.TLS.Trust != "--insecure" {
				t.Errorf("got %+v", f.TLS)
			}
		}
		c.mu.Lock()
		for _, h := range c.hosts {
			h.sweep(time.Now(), 0)
		}
		c.mu.Unlock()
	}
	c.cfg.Trust = func(Server) Trust { return Trust{} }
	wantError(t, mustFail(t, c, &Call{Scheme: "https", Host: "x.localhost", Port: port, Method: "GET", Target: "/"}), capture.StageTLS, 502, "expired")
}

func TestClientCertificateReceipt(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	clients := x509.NewCertPool()
	clients.AddCert(issue(t, nil, func(c *x509.Certificate) { ca("Clients CA")(c); c.Subject.Organization = []string{"Bank"} }).cert)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, http2 := range []bool{false, true} {
			port := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("m.localhost")))}, ClientAuth: tls.RequireAndVerifyClientCert,
				ClientCAs: clients, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
			c := testClient(t, Config{Trust: trusting(pool)})
			call := &Call{Scheme: "https", Host: "m.localhost", Port: port, Method: "GET", Target: "/", HTTP2: http2, Receipt: new(Receipt)}
			wantError(t, mustFail(t, c, call), capture.StageTLS, 502, "asked for a client certificate")
			cc := call.Receipt.Snapshot().TLS.ClientCertificate
			if !cc.Requested || cc.Verdict != "no-rule" || len(cc.AcceptableCAs) != 1 || cc.AcceptableCAs[0] != "CN=Clients CA,O=Bank" || cc.Alert == "" || !strings.Contains(cc.Explanation, "refused") {
				t.Errorf("version %x, HTTP/2 %v: got %+v", version, http2, cc)
			}
		}
	}
}

// A pooled TLS connection that the server has closed in order is not used again, without anybody waiting on it.
func TestStaleTLSConnections(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("s.localhost")))}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closeNow, closed := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				readHead(bufio.NewReader(c))
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				<-closeNow
				c.Close()
				closed <- struct{}{}
			}()
		}
	}()
	c := testClient(t, Config{Trust: trusting(pool)})
	for i := range 3 {
		call := &Call{Scheme: "https", Host: "s.localhost", Port: l.Addr().(*net.TCPAddr).Port, Method: "POST", Target: "/", Receipt: new(Receipt)}
		mustDo(t, c, call)
		f := call.Receipt.Snapshot()
		if f.Reused || f.TLS.Resumed != (i > 0) || !f.TLS.Verified || f.TLS.ClientCertificate.Verdict != verdictNotRequested {
			t.Errorf("call %d: got %+v", i, f)
		}
		closeNow <- struct{}{}
		<-closed
	}
}

// What ends with a TLS connection is whole only if the server says so in TLS (RFC 9112, 9.8).
func TestAnswerThatEndsWithTLS(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	for _, inOrder := range []bool{true, false} {
		for _, writeTo := range []bool{true, false} {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("e.localhost")))}})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				readHead(bufio.NewReader(c))
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
				if inOrder {
					c.Close()
				} else {
					c.(*tls.Conn).NetConn().Close()
				}
			}()
			c := testClient(t, Config{Trust: trusting(pool)})
			resp, err := c.Do(testContext(t), &Call{Scheme: "https", Host: "e.localhost", Port: l.Addr().(*net.TCPAddr).Port, Method: "GET", Target: "/"})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if writeTo {
				_, err = resp.Body.(io.WriterTo).WriteTo(&b)
			} else {
				_, err = io.Copy(&b, struct{ io.Reader }{resp.Body})
			}
			var e *Error
			if b.String() != "hello" || inOrder != (err == nil) || !inOrder && (!errors.As(err, &e) || !strings.Contains(e.Message, "may have been cut")) {
				t.Errorf("in order %v, WriteTo %v: got %q %v", inOrder, writeTo, b.String(), err)
			}
			resp.Body.Close()
			l.Close()
		}
	}
}

// A certificate's receipt has all its names, those that are IP addresses too.
func TestCertificateNames(t *testing.T) {
	leaf := issue(t, nil, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"a.test"}, []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP("2001:db8::1")}
	})
	if got, want := Certificate(leaf.cert).DNSNames, []string{"a.test", "127.0.0.1", "2001:db8::1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Certificate(issue(t, nil, ca("root")).cert).DNSNames; got == nil || len(got) != 0 {
		t.Errorf("without names: %#v", got)
	}
}
