package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
)

// deadline is how long anything may take.
const deadline = 2 * time.Minute

func testConfig(t *testing.T) *config.Config {
	t.Helper()
	return &config.Config{
		Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Console: "127.0.0.1:0", Insecure: true, Keep: 1 << 30, MaxSize: 20 << 30,
	}
}

// testOrigin answers like servers of many kinds.
func testOrigin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/small", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "small") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("large "), 60_000)) })
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body) // whole: net/http's HTTP/1 server does not answer while it reads
		if err == nil {
			_, _ = w.Write(b)
		}
	})
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		for i := range 5 {
			fmt.Fprintf(w, "chunk %d\n", i)
			_ = rc.Flush()
		}
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, "on and on\n"); err != nil || rc.Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(time.Millisecond):
			}
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, b, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, b) != nil {
				return
			}
		}
	})
	return mux
}

// census counts what a leak would leave behind.
type census struct{ goroutines, files int }

func count(t *testing.T) census {
	t.Helper()
	return census{goroutines: runtime.NumGoroutine(), files: len(openFiles())}
}

// openFiles names what is open, where the system can tell.
func openFiles() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		// What the runtime opens for itself, whenever it first needs it, is not ours.
		if err == nil && !strings.HasPrefix(to, "/sys/fs/cgroup/") && !strings.HasPrefix(to, "anon_inode:") {
			names = append(names, to)
		}
	}
	return names
}

// TestNothingLeaks sends 10,000 mixed exchanges and then counts goroutines and open files (connections among them): they
// are as many as before.
func TestNothingLeaks(t *testing.T) {
	total := 10_000
	if testing.Short() {
		total = 500
	}
	plain := httptest.NewServer(testOrigin())
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(testOrigin())
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	start := count(t) // the servers stay

	ctx := context.Background()
	a, err := Start(ctx, testConfig(t), func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	run := func(n int) {
		t.Helper()
		load(t, a, plain.URL, secure.URL, n)
	}
	run(200) // what is made once and stays
	idle := settle(t, a, census{}, plain, secure)
	run(total)
	after := settle(t, a, idle, plain, secure)
	// The pools of the store and of idle upstream connections may have grown by a few; a leak grows with the traffic.
	if slack := 50; after.goroutines > idle.goroutines+slack || after.files > idle.files+slack {
		buf := make([]byte, 1<<20)
		t.Errorf("before %+v, after %d exchanges %+v\n%s\n%s", idle, total, after, strings.Join(openFiles(), "\n"), buf[:runtime.Stack(buf, true)])
	}

	var st struct{ Exchanges, Open int64 }
	api := client.New(a.consoleURL(), a.core.token, true, nil)
	if err := api.Do(ctx, http.MethodGet, "/status", nil, nil, &st); err != nil {
		t.Fatal(err)
	}
	api.Close()
	if st.Open != 0 || st.Exchanges < int64(total) {
		t.Errorf("%+v after %d exchanges", st, total)
	}
	if err := a.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	var end census
	for limit := time.Now().Add(20 * time.Second); ; {
		end = count(t)
		if end.goroutines <= start.goroutines && end.files <= start.files || time.Now().After(limit) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if end.goroutines > start.goroutines || end.files > start.files {
		buf := make([]byte, 1<<20)
		t.Errorf("before the start %+v, after the stop %+v\n%s\n%s", start, end, strings.Join(openFiles(), "\n"), buf[:runtime.Stack(buf, true)])
	}
}

// settle waits until the counts are at most those wanted, or steady where nothing is wanted.
func settle(t *testing.T, a *App, want census, servers ...*httptest.Server) census {
	t.Helper()
	var last census
	steady := 0
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); <-time.After(50 * time.Millisecond) {
		for _, s := range servers {
			s.CloseClientConnections() // so that what eaves holds idle ends too
		}
		now := count(t)
		if want.goroutines > 0 && now.goroutines <= want.goroutines && now.files <= want.files {
			return now
		}
		if now == last {
			steady++
		} else {
			last, steady = now, 0
		}
		if steady >= 20 {
			break
		}
	}
	return last
}

// load sends n exchanges of every kind, from several clients at once.
func load(t *testing.T, a *App, plain, secure string, n int) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.core.ca.Certificate())
	proxy := http.ProxyURL(&url.URL{Scheme: "http", Host: a.proxyAddr.String()})
	var clients []*http.Client
	for _, h2 := range []bool{false, true} {
		clients = append(clients, &http.Client{Timeout: deadline, Transport: &http.Transport{
			Proxy: proxy, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: h2, MaxIdleConnsPerHost: 8,
		}})
	}
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += workers {
				base := []string{plain, secure}[i/7%2]
				if err := one(clients[i/3%2], proxy, roots, base, i); err != nil {
					t.Errorf("exchange %d: %v", i, err)
					return
				}
			}
		}()
	}
	wg.Wait()
	for _, c := range clients {
		c.CloseIdleConnections()
	}
}

// one sends an exchange of the i-th kind.
func one(c *http.Client, proxy func(*http.Request) (*url.URL, error), roots *x509.CertPool, base string, i int) error {
	get := func(path string) (string, error) {
		resp, err := c.Get(base + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	expect := func(path string, n int) error {
		got, err := get(path)
		if err == nil && len(got) != n {
			err = fmt.Errorf("%s: %d bytes", path, len(got))
		}
		return err
	}
	switch i % 50 {
	case 0:
		return expect("/large", 360_000)
	case 1:
		body := strings.Repeat("u", 100_000)
		resp, err := c.Post(base+"/upload", "text/plain", strings.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != body {
			return fmt.Errorf("upload: %d bytes, %v", len(b), err)
		}
		return nil
	case 2: // the origin breaks off
		if got, err := get("/abort"); err == nil {
			return fmt.Errorf("a cut answer looks whole: %q", got)
		}
		return nil
	case 3: // the client breaks off
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/endless", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadFull(resp.Body, make([]byte, 20))
		return err
	case 4:
		d := websocket.Dialer{Proxy: proxy, TLSClientConfig: &tls.Config{RootCAs: roots}, HandshakeTimeout: deadline}
		ws, _, err := d.Dial("ws"+strings.TrimPrefix(base, "http")+"/echo", nil)
		if err != nil {
			return err
		}
		defer ws.Close()
		if err := ws.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			return err
		}
		_, b, err := ws.ReadMessage()
		if err == nil && string(b) != "hello" {
			err = fmt.Errorf("echo: %q", b)
		}
		return err
	case 5: // nobody listens
		resp, err := c.Get("http://127.0.0.1:1/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	case 6: // a client that does not trust the CA
		tr := &http.Transport{Proxy: proxy, TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: deadline}).Get(strings.Replace(base, "http:", "https:", 1) + "/small")
		if err == nil {
			resp.Body.Close()
			return fmt.Errorf("an untrusted certificate was taken")
		}
		return nil
	case 7, 8:
		return expect("/chunks", 40)
	default:
		return expect("/small", 5)
	}
}

// TestCommandsWithinTheProcess: without a running eaves the same API answers, over a pipe that nobody else can reach.
func TestCommandsWithinTheProcess(t *testing.T) {
	cfg := testConfig(t)
	ctx := context.Background()
	for round := range 2 {
		c, done, err := Connect(ctx, cfg, func(s string) { t.Log(s) })
		if err != nil {
			t.Fatal(err)
		}
		if c.Live() {
			t.Error("nobody runs")
		}
		list, err := c.Newest(ctx, "", 0)
		if err != nil || len(list) != round {
			t.Fatalf("got %d exchanges, %v", len(list), err)
		}
		s, err := c.Stream(ctx, "", -1)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := s.Next(); err != nil || e.Type != "hello" {
			t.Fatalf("got %+v, %v", e, err)
		}
		var sent struct {
			ID int64 `json:"id"`
		}
		if err := c.Do(ctx, http.MethodPost, "/requests", nil, map[string]any{"url": "http://127.0.0.1:1/"}, &sent); err != nil {
			t.Fatal(err)
		}
		for {
			e, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == "exchange" && e.Exchange.ID == sent.ID && e.Exchange.State == capture.StateFailed {
				break
			}
		}
		s.Close()
		if err := done(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoCommandsAtOnce: one waits for the other.
func TestTwoCommandsAtOnce(t *testing.T) {
	cfg := testConfig(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, done, err := Connect(ctx, cfg, func(string) {})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Newest(ctx, "", 1); err != nil {
				t.Error(err)
			}
			if err := done(); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b.pem": "/a/b.pem", "/a b": "'/a b'", "it's": `'it'\''s'`, `C:\x`: `'C:\x'`} {
		if got := shellQuote(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
