package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"eaves/cmd/eaves/internal/datadir"
)

// deadline is how long anything in a script may take.
const deadline = 30 * time.Second

// instance is an eaves run in a process of its own.
type instance struct {
	cmd  *exec.Cmd
	err  *bytes.Buffer
	done chan error
	run  datadir.Run
}

// start starts eaves run in dir, on free ports, and waits until it is ready. What it prints goes to dir/eaves.out, its
// ready file is dir/ready.json.
func start(dir string, env []string, args ...string) (*instance, error) {
	ready := filepath.Join(dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	self, err := exec.LookPath("eaves")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{"run", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--ready-file", ready}, args...)...)
	cmd.Dir, cmd.Env = dir, env
	out, err := os.Create(filepath.Join(dir, "eaves.out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	i := &instance{cmd: cmd, err: &bytes.Buffer{}, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = out, i.err
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { i.done <- cmd.Wait() }()
	limit := time.Now().Add(deadline)
	for {
		select {
		case err := <-i.done:
			return nil, fmt.Errorf("eaves ended: %v\n%s", err, i.err)
		case <-time.After(10 * time.Millisecond):
		}
		if b, err := os.ReadFile(ready); err == nil {
			return i, json.Unmarshal(b, &i.run)
		}
		if time.Now().After(limit) {
			i.kill()
			return nil, fmt.Errorf("not ready in time\n%s", i.err)
		}
	}
}

func (i *instance) kill() {
	_ = i.cmd.Process.Kill()
	<-i.done
}

// stop sends a signal and waits for the end.
func (i *instance) stop(sig os.Signal) (time.Duration, error) {
	began := time.Now()
	if err := i.cmd.Process.Signal(sig); err != nil {
		return 0, err
	}
	select {
	case err := <-i.done:
		return time.Since(began), err
	case <-time.After(deadline):
		i.kill()
		return time.Since(began), errors.New("it did not stop")
	}
}

// running starts an eaves for a test, which trusts the given origins, and stops it in the end.
func running(t *testing.T, roots []byte, args ...string) *instance {
	t.Helper()
	dir := t.TempDir()
	trusted := filepath.Join(dir, "origins.pem")
	if err := os.WriteFile(trusted, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=", "EAVES_DATA="+filepath.Join(dir, "data"), "SSL_CERT_FILE="+trusted)
	i, err := start(dir, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if took, err := i.stop(syscall.SIGTERM); err != nil || took > busy {
			t.Errorf("stopping took %s and gave %v\n%s", took, err, i.err)
		}
	})
	return i
}

// serveTLS starts a server that speaks HTTP/1.1 and HTTP/2 under the names localhost and 127.0.0.1.
func serveTLS(h http.Handler) (*httptest.Server, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up in the handshake are part of the tests
	s.StartTLS()
	return s, nil
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// proxied is a client whose requests go through an eaves and that trusts its CA.
func proxied(run datadir.Run, h2 bool) (*http.Client, error) {
	b, err := os.ReadFile(run.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, errors.New("no certificate in " + run.CA)
	}
	return &http.Client{Timeout: deadline, Transport: &http.Transport{
		Proxy:              http.ProxyURL(&url.URL{Scheme: "http", Host: run.Proxy}),
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:  h2,
		DisableCompression: true,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// settled waits until n exchanges, or more, have ended and are committed.
func settled(run datadir.Run, n int64) error {
	limit := time.Now().Add(deadline)
	for {
		var st struct {
			Exchanges, Open, QueueDepth int64
		}
		if err := apiGet(run, "/status", &st); err != nil {
			return err
		}
		if st.Exchanges >= n && st.Open == 0 && st.QueueDepth == 0 {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("waiting for %d exchanges: there are %+v", n, st)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// apiGet asks a running eaves.
func apiGet(run datadir.Run, path string, out any) error {
	req, err := http.NewRequest(http.MethodGet, run.Console+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+run.Token)
	resp, err := (&http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, b)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
