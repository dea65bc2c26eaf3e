// Package hoptest starts the parent proxies that tests go through: squid, tinyproxy, dante, a Kerberos realm, and a peer
// that verifies NTLMv2. Each is a program of this machine with a configuration of its own in a temporary folder, listening
// on loopback; a test is skipped where the program is missing.
//
// A test package that uses Squid with NTLM calls Main from its TestMain: the test binary is then squid's helper too.
package hoptest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// User and Password are what every proxy here takes; Domain is theirs for NTLM.
const (
	User     = "alice"
	Password = "alice's pass:word"
	Domain   = "STUDY"
)

// helperVariable makes a test binary squid's NTLM helper.
const helperVariable = "EAVES_HOPTEST_HELPER"

// Main is to be called first thing in TestMain.
func Main() {
	if os.Getenv(helperVariable) != "" {
		ntlmHelper(os.Stdin, os.Stdout)
		os.Exit(0)
	}
}

// Proxy is one that runs.
type Proxy struct {
	Host string // 127.0.0.1
	Port int
	dir  string
	out  *output
	stop func()
}

// Address is its host and port.
func (p *Proxy) Address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// Stop ends it now, and not when the test does.
func (p *Proxy) Stop() { p.stop() }

// Log is what it has logged.
func (p *Proxy) Log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "access.log"))
	return string(b) + p.out.String()
}

// Dir is a folder that others may read, gone with the test: the programs here may run as other users.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hoptest")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FreePort is a port of loopback that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// program finds a program, or skips the test. Those of the system are not on everybody's path.
func program(t testing.TB, name string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if p := filepath.Join(dir, name); executable(p) {
			return p
		}
	}
	t.Skip("needs " + name)
	return ""
}

func executable(p string) bool {
	i, err := os.Stat(p)
	return err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0
}

// write writes a file that others may read.
func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// give makes a user of the system the owner of a folder, where this process may.
func give(t testing.TB, dir, name string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("the user %s: %v", name, err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	err = filepath.Walk(dir, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// output keeps what a program prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startLimit bounds the wait for a program to listen.
const startLimit = 60 * time.Second

// start runs a program in the foreground until the test ends, and returns once it listens on the port.
func start(t testing.TB, dir string, port int, env []string, name string, args ...string) *Proxy {
	t.Helper()
	p := &Proxy{Host: "127.0.0.1", Port: port, dir: dir, out: new(output)}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), p.Log())
		}
	})
	await(t, p.Address(), ended, func() string { return filepath.Base(name) + " said:\n" + p.Log() })
	return p
}

// await waits until something listens at an address.
func await(t testing.TB, address string, ended <-chan struct{}, said func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("it ended before it listened on %s; %s", address, said())
		case <-ctx.Done():
			t.Fatalf("nothing listens on %s; %s", address, said())
		}
	}
}

// Tinyproxy starts a tinyproxy that wants Basic authentication; with open it wants none.
func Tinyproxy(t testing.TB, open bool) *Proxy {
	t.Helper()
	name := program(t, "tinyproxy")
	dir, port := Dir(t), FreePort(t)
	conf := fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 50\n", port)
	if !open {
		// Its configuration takes no spaces in a password.
		conf += "BasicAuth " + User + " " + TinyproxyPassword + "\n"
	}
	return start(t, dir, port, nil, name, "-d", "-c", write(t, filepath.Join(dir, "tinyproxy.conf"), conf))
}

// TinyproxyPassword is what Tinyproxy takes.
const TinyproxyPassword = "alicepw"

// Dante starts a SOCKS server, for SOCKS4 and SOCKS5, that wants no authentication.
func Dante(t testing.TB) *Proxy {
	t.Helper()
	name := program(t, "danted")
	dir, port := Dir(t), FreePort(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(danteConf, port, "none", me.Username, me.Username)
	return start(t, dir, port, nil, name, "-N", "1", "-f", write(t, filepath.Join(dir, "danted.conf"), conf), "-p", filepath.Join(dir, "danted.pid"))
}

// copyTo copies a file so that others may run it.
func copyTo(t testing.TB, dst, src string) {
	t.Helper()
	in, err := os.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(bufio.NewWriterSize(out, 1<<20), in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dst, 0o755); err != nil {
		t.Fatal(err)
	}
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// Login is a proxy with a user of its own.
type Login struct {
	*Proxy
	User, Password string
}

// DanteWithPassword starts a SOCKS5 server that wants the password of a user of this system, who is made for the test. It
// takes a superuser to do that.
func DanteWithPassword(t testing.TB) *Login {
	t.Helper()
	name, add, del, set := program(t, "danted"), program(t, "useradd"), program(t, "userdel"), program(t, "chpasswd")
	if os.Getuid() != 0 {
		t.Skip("needs a superuser, who makes a user for danted to know")
	}
	dir, port := Dir(t), FreePort(t)
	l := &Login{User: fmt.Sprintf("hop%d", port), Password: "sockspw"}
	if out, err := exec.Command(add, "-M", "-s", "/usr/sbin/nologin", l.User).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command(del, l.User).Run() })
	cmd := exec.Command(set)
	cmd.Stdin = strings.NewReader(l.User + ":" + l.Password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chpasswd: %v\n%s", err, out)
	}
	conf := fmt.Sprintf(danteConf, port, "username", "root", "nobody")
	l.Proxy = start(t, dir, port, nil, name, "-N", "1", "-f", write(t, filepath.Join(dir, "danted.conf"), conf), "-p", filepath.Join(dir, "danted.pid"))
	return l
}

const danteConf = `logoutput: stderr
internal: 127.0.0.1 port = %d
external: lo
socksmethod: %s
clientmethod: none
user.privileged: %s
user.unprivileged: %s
client pass {
	from: 127.0.0.0/8 to: 0.0.0.0/0
}
socks pass {
	from: 127.0.0.0/8 to: 0.0.0.0/0
	protocol: tcp
}
`

// Files writes a certificate with its key as files of PEM.
func Files(t testing.TB, c tls.Certificate) (certificate, key string) {
	t.Helper()
	dir := Dir(t)
	var b bytes.Buffer
	for _, der := range c.Certificate {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(dir, "certificate.pem"), b.String()),
		write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}
