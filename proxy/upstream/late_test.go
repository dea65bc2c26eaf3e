package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"eaves/capture"
)

// A server that asks for a certificate over TLS 1.2 only, as those do that ask after the request, gets it there.
func TestAskedOverTLS12Only(t *testing.T) {
	root, clients := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA"))
	alice := identityOf("*:443", issue(t, clients, clientCert("alice")))
	for _, http2 := range []bool{false, true} {
		var asked atomic.Int32
		old := &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("l.localhost")))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(clients),
			MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		cfg := &tls.Config{Certificates: old.Certificates, NextProtos: []string{"h2", "http/1.1"}, GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			if i.SupportedVersions[0] != tls.VersionTLS13 {
				return old, nil
			}
			return nil, nil
		}}
		port := whoServer(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if len(r.TLS.PeerCertificates) == 0 && r.URL.Path != "/open" {
				w.WriteHeader(403)
				return
			}
			fmt.Fprintf(w, "%s %d", r.Proto, len(r.TLS.PeerCertificates))
		})
		c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return []Identity{alice} }})
		call := func(method, target string) *Call {
			return &Call{Scheme: "https", Host: "l.localhost", Port: port, Method: method, Target: target, HTTP2: http2, Receipt: new(Receipt)}
		}
		post := call("POST", "/secure")
		if resp, _ := mustDo(t, c, post); resp.Status != 403 || asked.Load() != 1 {
			t.Errorf("a POST got %d, and was sent %d times", resp.Status, asked.Load())
		}
		get := call("GET", "/secure?x")
		if resp, body := mustDo(t, c, get); resp.Status != 200 || body != "HTTP/1.1 1" {
			t.Errorf("got %d %q", resp.Status, body)
		}
		f := get.Receipt.Snapshot()
		if cc := f.TLS.ClientCertificate; f.TLS.Version != "TLS 1.2" || cc.Verdict != "accepted" || !strings.Contains(cc.Note, "TLS 1.2 and HTTP/1.1 are used with this server") {
			t.Errorf("got %+v %+v", f.TLS, cc)
		}
		post = call("POST", "/secure").withBody("hello")
		if resp, _ := mustDo(t, c, post); resp.Status != 200 || post.Receipt.Snapshot().TLS.Version != "TLS 1.2" {
			t.Errorf("got %d", resp.Status)
		}
		if n := asked.Load(); n != 4 {
			t.Errorf("the server was asked %d times", n)
		}
	}
}

// Where TLS 1.2 does not help, a path is tried once and the first answer stands.
func TestForbiddenAllTheSame(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	alice := identityOf("*:443", issue(t, nil, clientCert("alice")))
	for _, only13 := range []bool{false, true} {
		var asked atomic.Int32
		cfg := &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("l.localhost")))}}
		words := "did not ask there either"
		each := int32(2)
		if only13 {
			cfg.MinVersion, words, each = tls.VersionTLS13, "which it does not speak", 1
		}
		port := whoServer(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.WriteHeader(403)
			io.WriteString(w, "no")
		})
		c := testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return []Identity{alice} }})
		for i, target := range []string{"/a?1", "/a?2", "/b"} {
			call := &Call{Scheme: "https", Host: "l.localhost", Port: port, Method: "GET", Target: target, Receipt: new(Receipt)}
			before := asked.Load()
			resp, _ := mustDo(t, c, call)
			f := call.Receipt.Snapshot()
			want := each
			if i == 1 {
				want = 1
			}
			if n := asked.Load() - before; n != want || resp.Status != 403 || f.TLS.Version != "TLS 1.3" {
				t.Errorf("%s: got %d over %s, asked %d times, want %d", target, resp.Status, f.TLS.Version, n, want)
			}
			if cc := f.TLS.ClientCertificate; cc.Verdict != "not-requested" || (i != 1) != strings.Contains(cc.Explanation, words) {
				t.Errorf("%s: got %+v", target, cc)
			}
		}
	}
}

// Apache asks for a certificate by location: by renegotiation, and not at all where that does not exist.
func TestApacheAsksByLocation(t *testing.T) {
	root, clients, stranger := issue(t, nil, ca("Test Root")), issue(t, nil, ca("Clients CA")), issue(t, nil, ca("Other CA"))
	alice, mallory := identityOf("*:443", issue(t, clients, clientCert("alice"))), identityOf("*:443", issue(t, stranger, clientCert("mallory")))
	server := issue(t, root, leafFor("a.localhost"))
	port := func(versions, protocols string) int { return apache(t, server, clients, versions, protocols) }
	old, new13, both := port("TLSv1.2", "http/1.1"), port("TLSv1.3", "http/1.1"), port("TLSv1.2 +TLSv1.3", "h2 http/1.1")
	client := func(ids ...Identity) *Client {
		return testClient(t, Config{Trust: trusting(poolOf(root)), Identities: func(Server) []Identity { return ids }})
	}
	call := func(port int, target string) *Call {
		return &Call{Scheme: "https", Host: "a.localhost", Port: port, Method: "GET", Target: target, HTTP2: true, Receipt: new(Receipt)}
	}
	t.Run("renegotiation", func(t *testing.T) {
		c := client(alice)
		open := call(old, "/open")
		mustDo(t, c, open)
		if cc := open.Receipt.Snapshot().TLS.ClientCertificate; cc.Verdict != "not-requested" || !strings.Contains(cc.Explanation, "never asked") {
			t.Errorf("got %+v", cc)
		}
		for range 2 {
			secure := call(old, "/secure")
			resp, _ := mustDo(t, c, secure)
			f := secure.Receipt.Snapshot()
			cc := f.TLS.ClientCertificate
			if resp.Status != 200 || resp.Fields.Get("X-Client") != "alice" || !f.Reused {
				t.Errorf("got %d %v", resp.Status, resp.Fields)
			}
			if cc.Verdict != "accepted" || !cc.Requested || cc.Sent == nil || !strings.Contains(cc.Explanation, "after the request (by renegotiation)") {
				t.Errorf("got %+v", cc)
			}
		}
	})
	t.Run("rejected", func(t *testing.T) {
		secure := call(old, "/secure")
		e := mustFail(t, client(mallory), secure)
		wantError(t, e, capture.StageTLS, 502, `does not accept "mallory"`, `its issuer "Other CA" is not among`)
		if cc := secure.Receipt.Snapshot().TLS.ClientCertificate; cc.Verdict != "rejected" || cc.Alert == "" {
			t.Errorf("got %+v", cc)
		}
	})
	t.Run("no rule", func(t *testing.T) {
		secure := call(old, "/secure")
		e := mustFail(t, client(), secure)
		wantError(t, e, capture.StageTLS, 502, "wanted to renegotiate after the request", fmt.Sprintf("eaves cert add a.localhost:%d", old))
		if cc := secure.Receipt.Snapshot().TLS.ClientCertificate; !strings.Contains(cc.Explanation, "eaves cert add") {
			t.Errorf("got %+v", cc)
		}
	})
	t.Run("TLS 1.3 only", func(t *testing.T) {
		secure := call(new13, "/secure")
		resp, _ := mustDo(t, client(alice), secure)
		cc := secure.Receipt.Snapshot().TLS.ClientCertificate
		if resp.Status != 403 || cc.Verdict != "not-requested" || !strings.Contains(cc.Explanation, "works up to TLS 1.2 here, which it does not speak") {
			t.Errorf("got %d %+v", resp.Status, cc)
		}
	})
	t.Run("HTTP/2 and TLS 1.3", func(t *testing.T) {
		c := client(alice)
		for i := range 3 {
			secure := call(both, "/secure")
			resp, _ := mustDo(t, c, secure)
			f := secure.Receipt.Snapshot()
			if cc := f.TLS.ClientCertificate; resp.Status != 200 || resp.Fields.Get("X-Client") != "alice" || cc.Verdict != "accepted" || f.TLS.Version != "TLS 1.2" || f.Reused != (i > 0) {
				t.Errorf("call %d: got %d over %s %+v", i, resp.Status, f.TLS.Version, cc)
			}
		}
	})
}

// apache runs Apache with a location /secure that wants a certificate of clients, and returns its port.
func apache(t *testing.T, server, clients *issued, versions, protocols string) int {
	t.Helper()
	program, err := exec.LookPath("apache2")
	if err != nil {
		t.Skip("apache2 is not installed")
	}
	dir, err := os.MkdirTemp("", "apache")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(c *issued) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
	}
	user := ""
	if os.Getuid() == 0 {
		user = "User www-data\nGroup www-data\n"
	}
	conf := user + strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(port), "VERSIONS", versions, "PROTOCOLS", protocols).Replace(`
ServerRoot /etc/apache2
ServerName localhost
PidFile DIR/pid
DefaultRuntimeDir DIR
Mutex file:DIR default
ErrorLog DIR/error.log
LogLevel warn
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
StartServers 1
ServerLimit 1
ThreadsPerChild 10
ThreadLimit 10
MaxRequestWorkers 10
DocumentRoot DIR/www
SSLSessionCache none
Listen 127.0.0.1:PORT
<VirtualHost 127.0.0.1:PORT>
 SSLEngine on
 Protocols PROTOCOLS
 SSLProtocol -all +VERSIONS
 SSLCertificateFile DIR/server.pem
 SSLCertificateKeyFile DIR/server.key
 SSLCACertificateFile DIR/clients.pem
 <Location /secure>
  SSLVerifyClient require
  SSLOptions +StdEnvVars
  Header set X-Client "%{SSL_CLIENT_S_DN_CN}s"
 </Location>
</VirtualHost>
`)
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"httpd.conf": []byte(conf), "server.pem": certificate(server), "server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"clients.pem": certificate(clients), "www/secure": []byte("secure"), "www/open": []byte("open")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd := exec.Command(program, "-f", filepath.Join(dir, "httpd.conf"), "-DFOREGROUND")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			c.Close()
			return port
		}
		select {
		case <-exited:
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("apache2 ended: %s%s", out.String(), log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("apache2 does not listen: %v", err)
		}
	}
}
