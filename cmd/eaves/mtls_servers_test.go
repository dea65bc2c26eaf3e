package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// counterparts are the servers that a user may meet, started once for all modes.
type counterparts struct {
	*pki
	// at is the port of each.
	at map[string]int
}

// port reserves a free port for a server that is started by number. Those that the system gives away by itself are left
// to it.
func (c *counterparts) port(name string) int {
	c.t.Helper()
	for range 1000 {
		n := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		if err != nil {
			continue
		}
		l.Close()
		taken := false
		for _, other := range c.at {
			taken = taken || other == n
		}
		if !taken {
			c.at[name] = n
			return n
		}
	}
	c.t.Fatal("no port is free")
	return 0
}

// run starts a program, and ends it with the test.
func (c *counterparts) run(cmd *exec.Cmd) *bytes.Buffer {
	c.t.Helper()
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = 5 * time.Second // its children may outlive it by a moment
	c.check(cmd.Start())
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
		if c.t.Failed() && said.Len() > 0 {
			c.t.Logf("%s said:\n%.2000s", filepath.Base(cmd.Path), said)
		}
	})
	return said
}

// await waits until somebody listens under each name.
func (c *counterparts) await(names ...string) {
	c.t.Helper()
	for _, name := range names {
		for limit := time.Now().Add(deadline); ; <-time.After(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.at[name]))
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(limit) {
				c.t.Fatalf("%s does not listen: %v", name, err)
			}
		}
	}
}

// startCounterparts starts them all.
func startCounterparts(t *testing.T) *counterparts {
	t.Helper()
	c := &counterparts{pki: newPKI(t), at: map[string]int{}}
	var wait []string
	wait = append(wait, c.nginx()...)
	wait = append(wait, c.openssl()...)
	wait = append(wait, c.haproxy()...)
	wait = append(wait, c.apache()...)
	wait = append(wait, c.gnutls()...)
	c.goServers()
	c.raw()
	c.await(wait...)
	return c
}

// nginx never sends an alert about a client certificate: it answers 400.
func (c *counterparts) nginx() []string {
	program := need(c.t, "nginx")
	const both = "ssl_protocols TLSv1.2 TLSv1.3;"
	asks := "ssl_client_certificate root.pem; ssl_verify_depth 3; ssl_verify_client "
	servers := []struct{ name, cert, conf string }{
		{"nginx", "server", both + asks + "on;"},
		{"nginx12", "server", "ssl_protocols TLSv1.2;" + asks + "on;"},
		{"nginx13", "server", "ssl_protocols TLSv1.3;" + asks + "on;"},
		{"nginx-optional", "server", both + asks + "optional;"},
		{"nginx-any", "server", both + asks + "optional_no_ca;"},
		{"nginx-crl", "server", both + asks + "on; ssl_crl crl.pem;"},
		{"nginx-depth", "server", both + "ssl_client_certificate root.pem; ssl_verify_depth 1; ssl_verify_client on;"},
		{"nginx-resumes", "server", "ssl_protocols TLSv1.2; keepalive_timeout 0; ssl_session_tickets on;" + asks + "on;"},
		{"nginx-asks-not", "server", both},
		{"nginx-12only", "server", "ssl_protocols TLSv1.2;"},
		{"nginx-13only", "server", "ssl_protocols TLSv1.3;"},
		{"nginx-10", "rsa", "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;"},
		{"nginx-11", "rsa", "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"},
		{"nginx-rsa", "rsa", "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA;"},
		{"nginx-short", "short", both + "ssl_ciphers ALL:@SECLEVEL=0;"},
		{"nginx-sha1", "sha1", both + "ssl_ciphers ALL:@SECLEVEL=0;"},
	}
	for _, cert := range []string{"expired", "early", "wronghost", "cnonly", "forclients", "unknownca", "unknownandwrong", "incomplete", "selfsigned", "oldca", "limited", "bynoca"} {
		servers = append(servers, struct{ name, cert, conf string }{"nginx-" + cert, cert, both})
	}
	var b strings.Builder
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // it reads keys in a directory of ours
	}
	fmt.Fprintf(&b, `daemon off; master_process off; worker_processes 1; %s pid nginx.pid; error_log nginx.log warn;
events { worker_connections 512; }
http { access_log off; default_type text/plain;
client_body_temp_path tmp1; proxy_temp_path tmp2; fastcgi_temp_path tmp3; uwsgi_temp_path tmp4; scgi_temp_path tmp5;
ssl_session_tickets off;
`, user)
	var names []string
	for _, s := range servers {
		port := c.port(s.name)
		names = append(names, s.name)
		fmt.Fprintf(&b, `server { listen 127.0.0.1:%d ssl; listen 127.0.0.2:%d ssl; ssl_certificate %s.pem; ssl_certificate_key %s.key; %s
location / { return 200 "verify=$ssl_client_verify dn=$ssl_client_s_dn"; }
location /secret { return 403 "no entry"; }
location /squid { add_header X-Squid-Error "ERR_ACCESS_DENIED 0" always; return 403 "squid"; } }
`, port, port, s.cert, s.cert, s.conf)
	}
	b.WriteString("}\n")
	c.write("nginx.conf", []byte(b.String()))
	c.run(exec.Command(program, "-p", c.dir, "-c", "nginx.conf"))
	return names
}

// openssl's s_server sends the alerts that most servers send, as OpenSSL is what most of them are made with.
func (c *counterparts) openssl() []string {
	program := need(c.t, "openssl")
	const asks = " -Verify 3 -verify_return_error -CAfile root.pem"
	var names []string
	for _, s := range []struct{ name, args string }{
		{"openssl12", "-tls1_2" + asks},
		{"openssl13", "-tls1_3" + asks},
		{"openssl12-crl", "-tls1_2 -Verify 3 -verify_return_error -crl_check -CAfile root-crl.pem"},
		{"openssl13-crl", "-tls1_3 -Verify 3 -verify_return_error -crl_check -CAfile root-crl.pem"},
		{"openssl-depth", "-tls1_3 -Verify 3 -verify_depth 1 -verify_return_error -CAfile root.pem"},
		{"openssl-schemes", "-tls1_3 -client_sigalgs rsa_pss_rsae_sha256" + asks},
		{"openssl-dhe", "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256 -cert rsa.pem -key rsa.key"},
		{"openssl-camellia", "-tls1_2 -cipher ECDHE-RSA-CAMELLIA128-SHA256 -cert rsa.pem -key rsa.key"},
		{"openssl-ccm", "-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256"},
		{"openssl-groups", "-tls1_3 -groups X448:ffdhe2048"},
		{"openssl-name", "-servername somebody.test -servername_fatal -cert2 server.pem -key2 server.key"},
		{"openssl-alpn", "-alpn foo/1"},
	} {
		if !strings.Contains(s.args, "-cert ") {
			s.args += " -cert server.pem -key server.key"
		}
		cmd := exec.Command(program, strings.Fields("s_server -www -quiet -accept 127.0.0.1:"+strconv.Itoa(c.port(s.name))+" "+s.args)...)
		cmd.Dir = c.dir
		c.run(cmd)
		names = append(names, s.name)
	}
	return names
}

// haproxy stands before many an origin.
func (c *counterparts) haproxy() []string {
	program := need(c.t, "haproxy")
	var b strings.Builder
	b.WriteString("global\n maxconn 200\ndefaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n timeout http-request 20s\n")
	var names []string
	for _, s := range []struct{ name, bind string }{
		{"haproxy12", "ssl-max-ver TLSv1.2 verify required ca-file root.pem"},
		{"haproxy13", "ssl-min-ver TLSv1.3 verify required ca-file root.pem"},
		{"haproxy-crl", "ssl-min-ver TLSv1.3 verify required ca-file root.pem crl-file crl.pem"},
	} {
		fmt.Fprintf(&b, "frontend %s\n bind 127.0.0.1:%d ssl crt server.both alpn h2,http/1.1 %s\n", s.name, c.port(s.name), s.bind)
		b.WriteString(" http-request return status 200 content-type text/plain lf-string dn=%[ssl_c_s_dn(CN)]\n")
		names = append(names, s.name)
	}
	c.write("haproxy.cfg", []byte(b.String()))
	cmd := exec.Command(program, "-db", "-f", "haproxy.cfg")
	cmd.Dir = c.dir
	c.run(cmd)
	return names
}

// apache asks for a certificate when it has seen the path, as IIS does: by renegotiation, or, in TLS 1.3, by
// authentication after the handshake.
func (c *counterparts) apache() []string {
	program := need(c.t, "apache2")
	const modules = "/usr/lib/apache2/modules"
	if _, err := os.Stat(filepath.Join(modules, "mod_ssl.so")); err != nil {
		missing(c.t, "apache2's mod_ssl is not installed")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ServerRoot %s\nServerName localhost\nPidFile %s\nDefaultRuntimeDir %s\nMutex file:%s default\nErrorLog %s\n",
		c.dir, c.file("apache.pid"), c.dir, c.dir, c.file("apache.log"))
	for _, m := range []string{"mpm_event", "authz_core", "dir", "mime", "headers", "ssl", "http2"} {
		fmt.Fprintf(&b, "LoadModule %s_module %s/mod_%s.so\n", m, modules, m)
	}
	c.check(os.MkdirAll(c.file("www"), 0o700))
	c.check(os.WriteFile(c.file("www/index.html"), []byte("welcome\n"), 0o600))
	c.write("mime.types", []byte("text/html html\n"))
	if os.Geteuid() == 0 {
		for _, name := range []string{c.dir, c.file("www"), filepath.Dir(c.dir)} {
			c.check(os.Chmod(name, 0o755)) // its children are not root
		}
		c.check(os.Chmod(c.file("www/index.html"), 0o644))
		b.WriteString("User nobody\nGroup nogroup\n")
	}
	fmt.Fprintf(&b, "TypesConfig %s\nDocumentRoot %s\nDirectoryIndex index.html\nSSLSessionCache none\nStartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n",
		c.file("mime.types"), c.file("www"))
	var names []string
	for _, s := range []struct{ name, protocols, ssl string }{
		{"apache12", "http/1.1", "TLSv1.2"},
		{"apache13", "http/1.1", "TLSv1.2 +TLSv1.3"},
		{"apache13only", "http/1.1", "-all +TLSv1.3"},
		{"apache-h2", "h2 http/1.1", "TLSv1.2"},
	} {
		port := c.port(s.name)
		fmt.Fprintf(&b, `Listen 127.0.0.1:%d
<VirtualHost 127.0.0.1:%d>
SSLEngine on
Protocols %s
SSLProtocol %s
SSLCertificateFile %s
SSLCertificateKeyFile %s
SSLCACertificateFile %s
SSLVerifyDepth 3
AliasMatch "^/secure" %s
<Location /secure>
SSLVerifyClient require
SSLOptions +StdEnvVars
Header set X-Client "%%{SSL_CLIENT_S_DN_CN}s"
</Location>
</VirtualHost>
`, port, port, s.protocols, s.ssl, c.file("server.pem"), c.file("server.key"), c.file("root.pem"), c.file("www/index.html"))
		names = append(names, s.name)
	}
	conf := strings.Replace(b.String(), "LoadModule dir_module", "LoadModule alias_module "+modules+"/mod_alias.so\nLoadModule dir_module", 1)
	c.write("apache.conf", []byte(conf))
	c.run(exec.Command(program, "-f", c.file("apache.conf"), "-DFOREGROUND"))
	return names
}

// gnutls still has what OpenSSL has thrown out.
func (c *counterparts) gnutls() []string {
	program := need(c.t, "gnutls-serv")
	var names []string
	for _, s := range []struct{ name, priority, args string }{
		{"gnutls-3des", "NONE:+VERS-TLS1.2:+3DES-CBC:+RSA:+SHA1:+COMP-NULL:+SIGN-ALL:+CTYPE-ALL", "--x509certfile rsa.pem --x509keyfile rsa.key --disable-client-cert"},
		{"gnutls13", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "--x509certfile server.pem --x509keyfile server.key --require-client-cert --verify-client-cert --x509cafile root.pem"},
	} {
		args := append(strings.Fields("--quiet --http --port "+strconv.Itoa(c.port(s.name))+" "+s.args), "--priority", s.priority)
		cmd := exec.Command(program, args...)
		cmd.Dir = c.dir
		c.run(cmd)
		names = append(names, s.name)
	}
	return names
}

// goServers are written in Go, as more and more servers are.
func (c *counterparts) goServers() {
	cert, err := tls.LoadX509KeyPair(c.file("server.pem"), c.file("server.key"))
	c.check(err)
	pool := x509.NewCertPool()
	pool.AddCert(c.root.Certificate)
	for name, version := range map[string]uint16{"go12": tls.VersionTLS12, "go13": tls.VersionTLS13} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: version, MaxVersion: version}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		c.t.Cleanup(s.Close)
		c.at[name] = s.Listener.Addr().(*net.TCPAddr).Port
	}
	// One that closes the connection when it does not like a certificate, and never says so.
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequestClientCert}
	c.accept("mute", func(conn net.Conn) {
		s := tls.Server(conn, conf)
		if s.Handshake() == nil {
			_, _ = http.ReadRequest(bufio.NewReader(s))
		}
	})
}

// accept serves connections by serve, which may end as it likes: the connection is closed then.
func (c *counterparts) accept(name string, serve func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	c.t.Cleanup(func() { l.Close() })
	c.at[name] = l.Addr().(*net.TCPAddr).Port
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
}

// raw are those that do not speak TLS at all.
func (c *counterparts) raw() {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") }))
	c.t.Cleanup(plain.Close)
	c.at["plain"] = plain.Listener.Addr().(*net.TCPAddr).Port
	c.accept("ssh", func(conn net.Conn) {
		fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.2\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	hello := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 16<<10)) }
	c.accept("closes", hello)
	c.accept("resets", func(conn net.Conn) {
		hello(conn)
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	done := make(chan struct{})
	c.t.Cleanup(func() { close(done) })
	c.accept("silent", func(net.Conn) { <-done })
	c.port("nobody")
}
