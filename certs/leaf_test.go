package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func leafOf(t testing.TB, c *CA, host string) *x509.Certificate {
	t.Helper()
	cert, err := c.Leaf(context.Background(), host)
	if err != nil {
		t.Fatalf("leaf of %q: %v", host, err)
	}
	return cert.Leaf
}

func pool(c *CA) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.Certificate())
	return p
}

func TestLeafIsWhatClientsAccept(t *testing.T) {
	c := newTestCA(t)
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".example.com"
	for _, tc := range []struct{ host, verify string }{
		{"example.com", "example.com"},
		{"EXAMPLE.com", "example.com"},
		{"example.com.", "example.com"},
		{"example.com:8443", "example.com"},
		{"localhost", "localhost"},
		{"my_host.example.com", "my_host.example.com"},
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:443", "192.0.2.1"},
		{"::1", "::1"},
		{"[::1]", "::1"},
		{"[2001:DB8::0:1]:443", "2001:db8::1"},
		{"[fe80::1%25eth0]", "fe80::1"},
		{"fe80::1%eth0", "fe80::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.example.", "xn--bcher-kva.example"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{long, long},
	} {
		leaf := leafOf(t, c, tc.host)
		if err := leaf.VerifyHostname(strings.TrimSuffix(tc.verify, ".")); err != nil {
			t.Errorf("%q: %v", tc.host, err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(c), DNSName: tc.verify}); err != nil {
			t.Errorf("%q: %v", tc.host, err)
		}
	}
	leaf := leafOf(t, c, "example.com")
	if days := leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24; days > 199 {
		t.Errorf("valid for %.1f days, Chromium takes 200", days)
	}
	if leaf.NotBefore.Before(c.Certificate().NotBefore) || leaf.NotAfter.After(c.Certificate().NotAfter) {
		t.Error("valid outside the time of its authority")
	}
	if string(leaf.AuthorityKeyId) != string(c.Certificate().SubjectKeyId) || len(leaf.SubjectKeyId) != 20 {
		t.Errorf("key ids %x, %x", leaf.AuthorityKeyId, leaf.SubjectKeyId)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("authority %v, usage %b", leaf.IsCA, leaf.KeyUsage)
	}
	if leafOf(t, c, long).Subject.CommonName != "" {
		t.Error("a name longer than 64 characters stands in the common name")
	}
	if a, b := leafOf(t, c, "a.example"), leafOf(t, c, "b.example"); a.SerialNumber.Cmp(b.SerialNumber) == 0 {
		t.Error("two leaves have one serial number")
	}
}

func TestNonsenseGetsACertificateToo(t *testing.T) {
	c := newTestCA(t)
	for _, host := range []string{
		"", ".", "..", "a..b", " ", "a b", "\x00", "a\nb", "[", "]", "[]", ":", ":443", "%", "/etc/passwd", "ex\xffample.com",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 200) + "com", strings.Repeat("ü", 300), "-.-", "🙂", "a@b", "::::", "[::1", "::1]:443x",
	} {
		leaf := leafOf(t, c, host)
		if len(leaf.DNSNames)+len(leaf.IPAddresses) != 1 {
			t.Errorf("%q: names %q, %v", host, leaf.DNSNames, leaf.IPAddresses)
		}
	}
	if got := leafOf(t, c, "a b").DNSNames[0]; got != unnamed {
		t.Errorf("made out to %q", got)
	}
}

func TestLeavesAreSharedAndMadeOnce(t *testing.T) {
	c := newTestCA(t)
	first, err := c.Leaf(context.Background(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			if cert, err := c.Leaf(context.Background(), "Example.COM."); err != nil || cert != first {
				t.Errorf("another certificate (error %v)", err)
			}
		}()
		go func() {
			defer wg.Done()
			if _, err := c.Leaf(context.Background(), "other.example"); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

func TestOnlyOneMintsWhileOthersWait(t *testing.T) {
	var l leafCache
	l.init(4)
	cert, err := newTestCA(t).Leaf(context.Background(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	done := make(chan *tls.Certificate)
	go func() {
		got, _ := l.get(context.Background(), "x", time.Now, func() (*tls.Certificate, error) {
			close(started)
			<-release
			return cert, nil
		})
		done <- got
	}()
	<-started
	never := func() (*tls.Certificate, error) {
		t.Error("minted twice")
		return nil, errors.New("twice")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.get(gone, "x", time.Now, never); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
	go func() {
		got, _ := l.get(context.Background(), "x", time.Now, never)
		done <- got
	}()
	close(release)
	for range 2 {
		if <-done != cert {
			t.Error("another certificate")
		}
	}
}

func TestFailureIsNotKept(t *testing.T) {
	var l leafCache
	l.init(4)
	failure := errors.New("no luck")
	if _, err := l.get(context.Background(), "x", time.Now, func() (*tls.Certificate, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	c := newTestCA(t)
	if _, err := l.get(context.Background(), "x", time.Now, func() (*tls.Certificate, error) { return c.mint("x", &c.ecdsa) }); err != nil {
		t.Errorf("the failure was kept: %v", err)
	}
}

func TestLeavesAreRenewedInTime(t *testing.T) {
	c := newTestCA(t)
	now := time.Now()
	c.now = func() time.Time { return now }
	first := leafOf(t, c, "example.com")

	now = now.Add(160 * 24 * time.Hour)
	if leafOf(t, c, "example.com") != first {
		t.Error("renewed after 160 days")
	}
	now = now.Add(10 * 24 * time.Hour)
	second := leafOf(t, c, "example.com")
	if second == first || !second.NotAfter.After(first.NotAfter) {
		t.Error("not renewed after 170 days")
	}
	now = now.Add(-360 * 24 * time.Hour)
	c.cert.NotBefore = now.Add(-time.Hour)
	if third := leafOf(t, c, "example.com"); third == second || third.NotBefore.After(now) {
		t.Error("not renewed when the clock went back")
	}
	now = c.cert.NotAfter.Add(-time.Hour)
	last := leafOf(t, c, "example.com")
	if last.NotAfter.After(c.cert.NotAfter) {
		t.Error("outlives its authority")
	}
	if leafOf(t, c, "example.com") != last {
		t.Error("renewed for each connection at its authority's end")
	}
	now = c.cert.NotAfter.Add(time.Second)
	if _, err := c.Leaf(context.Background(), "example.com"); !errors.Is(err, ErrExpired) {
		t.Errorf("after the authority's end: %v", err)
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	c := newTestCA(t)
	cert, err := c.Leaf(context.Background(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		name := fmt.Sprintf("host%d.example", i)
		if _, err := c.cache.get(context.Background(), name, c.now, func() (*tls.Certificate, error) { return cert, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.cache.byName) != leafCacheSize || c.cache.order.Len() != leafCacheSize {
		t.Errorf("%d names, %d entries kept", len(c.cache.byName), c.cache.order.Len())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range leafCacheSize + 100 {
		leafOf(t, c, fmt.Sprintf("real%d.example", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("a full cache takes %d KiB", grown>>10)
	}
	runtime.KeepAlive(c)
}

// A compiled-in key is the worst thing such a proxy can have: whoever reads its source can sign for every machine that
// trusts it. goproxy has one; nothing of ours may be signed by it, and no line of ours may mention it.
func TestNothingIsSignedByAPublicKey(t *testing.T) {
	public, err := publicCA()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(public)
	c := newTestCA(t)
	if _, err := leafOf(t, c, "example.com").Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a leaf chains to goproxy's built-in authority")
	}

	err = filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// bench measures goproxy as it comes, in a module of its own that nothing of eaves imports.
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bench") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || filepath.Base(filepath.Dir(path)) == "certs" && strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range []string{"Goproxy" + "Ca", "CA_" + "CERT", "CA_" + "KEY", "TLSConfig" + "FromCA", "ConnectAccept" + "{", "Mitm" + "Connect"} {
			if strings.Contains(string(src), "goproxy."+name) {
				t.Errorf("%s uses goproxy.%s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOldClientsGetAnRSALeaf(t *testing.T) {
	c := newTestCA(t)
	for _, tc := range []struct {
		name   string
		client *tls.Config
		rsa    bool
	}{
		{"today's", &tls.Config{}, false},
		{"a name that no certificate holds", &tls.Config{ServerName: "a b", InsecureSkipVerify: true}, false},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"RSA suites only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, true},
		{"RSA key exchange", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, true},
		{"both kinds of suites", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, false},
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			here, there := net.Pipe()
			defer here.Close()
			defer there.Close()
			server := tls.Server(there, &tls.Config{
				MinVersion: tls.VersionTLS10,
				// The suites that Go no longer offers of its own accord.
				CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
					tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
				GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.LeafFor(hello, hello.ServerName) },
			})
			result := make(chan error, 1)
			go func() { result <- server.HandshakeContext(t.Context()) }()
			if tc.client.ServerName == "" {
				tc.client.ServerName = "device.example"
			}
			tc.client.RootCAs = pool(c)
			client := tls.Client(here, tc.client)
			if err := client.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			leaf := client.ConnectionState().PeerCertificates[0]
			if got := leaf.PublicKeyAlgorithm == x509.RSA; got != tc.rsa {
				t.Errorf("a key of %v", leaf.PublicKeyAlgorithm)
			}
		})
	}
}

func FuzzLeaf(f *testing.F) {
	c := newTestCA(f)
	for _, s := range []string{"example.com", "[::1]:443", "bücher.example", "", "\x00", "xn--a", "1.2.3.4.", "%zone", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		cert, err := c.Leaf(context.Background(), host)
		if err != nil {
			t.Fatalf("%q: %v", host, err)
		}
		if normalize(normalize(host)) != normalize(host) {
			t.Errorf("%q: normalized twice differs", host)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool(c)}); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	})
}

func BenchmarkMint(b *testing.B) {
	c := newTestCA(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.mint("www.example.com", &c.ecdsa); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeafCached(b *testing.B) {
	c := newTestCA(b)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.Leaf(context.Background(), "www.example.com"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
