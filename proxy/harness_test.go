package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"eaves/capture"
	"eaves/certs"
	"eaves/proxy/upstream"
)

// waitLimit bounds every wait of these tests.
const waitLimit = 10 * time.Second

// memory is a Recorder that keeps what it is given.
type memory struct {
	mu   sync.Mutex
	all  []*kept
	tell chan struct{}
}

type kept struct {
	mu        sync.Mutex
	m         *memory
	id        int64
	x         *capture.Exchange
	req, resp []byte
	messages  []capture.Message
	finished  bool
}

func newMemory() *memory { return &memory{tell: make(chan struct{}, 1)} }

func (m *memory) Begin(x *capture.Exchange) capture.Recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := &kept{m: m, id: int64(len(m.all) + 1), x: x}
	m.all = append(m.all, k)
	return k
}

func (k *kept) ID() int64 { return k.id }

func (k *kept) Body(side capture.Side, p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if side == capture.SideRequest {
		k.req = append(k.req, p...)
	} else {
		k.resp = append(k.resp, p...)
	}
}

func (k *kept) Update(f func(x *capture.Exchange)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.finished {
		f(k.x)
	}
}

func (k *kept) Message(m capture.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.N = int64(len(k.messages) + 1)
	k.messages = append(k.messages, m)
}

func (k *kept) Finish(f func(x *capture.Exchange)) {
	k.mu.Lock()
	if k.finished {
		k.mu.Unlock()
		panic("an exchange was finished twice")
	}
	f(k.x)
	k.finished = true
	k.mu.Unlock()
	select {
	case k.m.tell <- struct{}{}:
	default:
	}
}

// finished waits until n exchanges have ended and returns all that were begun.
func (m *memory) finished(t *testing.T, n int) []*kept {
	t.Helper()
	deadline := time.After(waitLimit)
	for {
		m.mu.Lock()
		all, done := append([]*kept(nil), m.all...), 0
		for _, k := range all {
			k.mu.Lock()
			if k.finished {
				done++
			}
			k.mu.Unlock()
		}
		m.mu.Unlock()
		if done >= n {
			return all
		}
		select {
		case <-m.tell:
		case <-deadline:
			for _, k := range all {
				t.Logf("exchange %d: %+v", k.id, k.x)
			}
			t.Fatalf("%d exchanges ended, want %d", done, n)
		}
	}
}

// rig is a running proxy.
type rig struct {
	t      *testing.T
	p      *Proxy
	mem    *memory
	ca     *certs.CA
	addr   string
	roots  *x509.CertPool // CAs of the origins
	leaves *x509.CertPool // the proxy's CA
}

// start runs a proxy until the end of the test.
func start(t *testing.T, edit func(*Config)) *rig {
	t.Helper()
	ca, err := certs.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, mem: newMemory(), ca: ca, roots: x509.NewCertPool(), leaves: x509.NewCertPool()}
	r.leaves.AddCert(ca.Certificate())
	cfg := Config{
		Recorder: r.mem, Leaves: ca,
		Trust: func(upstream.Server) upstream.Trust { return upstream.Trust{Roots: r.roots} },
		Log:   func(s string) { t.Log("proxy: " + s) },
	}
	if edit != nil {
		edit(&cfg)
	}
	r.p = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.p.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := r.p.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return r
}

// origin runs a server that the proxy trusts.
func (r *rig) origin(h http.Handler, secure, h2 bool) *httptest.Server {
	r.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = h2
	if secure {
		s.StartTLS()
		r.roots.AddCert(s.Certificate())
	} else {
		s.Start()
	}
	r.t.Cleanup(s.Close)
	return s
}

// client is an HTTP client behind the proxy.
func (r *rig) client(h2 bool) *http.Client {
	tr := &http.Transport{
		Proxy:              http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}),
		TLSClientConfig:    &tls.Config{RootCAs: r.leaves},
		ForceAttemptHTTP2:  h2,
		DisableCompression: true,
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: waitLimit}
}

// dial opens a plain connection to the proxy.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.addr, waitLimit)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(waitLimit))
	r.t.Cleanup(func() { c.Close() })
	return c
}

func newCancel() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), waitLimit)
}

// within waits for c to be closed.
func within(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(waitLimit):
		t.Fatalf("waited in vain for %s", what)
	}
}
