package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs"
)

func newCA(t *testing.T) *certs.CA {
	t.Helper()
	ca, err := certs.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// interceptor is the smallest proxy that does what eaves does to a browser: it ends TLS with a leaf of ca for whatever
// host a CONNECT names, and answers every request itself.
func interceptor(t *testing.T, ca *certs.CA, handler http.Handler) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	inner := newConnListener(l.Addr())
	inside := &http.Server{Handler: handler, ErrorLog: quiet}
	go inside.Serve(inner)
	outside := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			handler.ServeHTTP(w, r)
			return
		}
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		inner.hand(tls.Server(&bufferedConn{conn, buffered.Reader}, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "" {
				return ca.Leaf(hello.Context(), hello.ServerName)
			}
			return ca.Leaf(hello.Context(), r.Host)
		}}))
	})}
	go outside.Serve(l)
	t.Cleanup(func() {
		outside.Close()
		inside.Close()
	})
	return l.Addr().String()
}

type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// connListener is a listener whose connections are handed to it.
type connListener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newConnListener(addr net.Addr) *connListener {
	return &connListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *connListener) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

func (l *connListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *connListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *connListener) Addr() net.Addr { return l.addr }

// visits collects what a browser asked for, as scheme://host/path.
type visits struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func (v *visits) add(r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	v.mu.Lock()
	v.seen = append(v.seen, scheme+"://"+r.Host+r.URL.Path)
	v.mu.Unlock()
	select {
	case v.more <- struct{}{}:
	default:
	}
}

// wait waits until everything in want was asked for.
func (v *visits) wait(ctx context.Context, want ...string) bool {
	for {
		v.mu.Lock()
		missing := slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(v.seen, w) })
		v.mu.Unlock()
		if !missing {
			return true
		}
		select {
		case <-v.more:
		case <-ctx.Done():
			return false
		}
	}
}

// onlyTemp makes the directory in which profiles are made this test's own.
func onlyTemp(t *testing.T) string {
	// Not t.TempDir, which has the test's name in it: Chromium puts a socket below TMPDIR, and dies when the path of that is
	// longer than a socket's may be.
	dir, err := os.MkdirTemp("", "eaves-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "eaves-browser-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("profiles left behind: %q (%v)", left, err)
	}
}

func TestChromiumGoesThroughTheProxyAndTrustsItsCA(t *testing.T) {
	if _, _, err := find(Chromium); err != nil {
		t.Skip("Chromium is not installed")
	}
	ca, dir := newCA(t), onlyTemp(t)
	v := &visits{more: make(chan struct{}, 1)}
	proxy := interceptor(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.add(r)
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		// The browser has to take the certificates of a name, an address and this machine, all through the proxy.
		io.WriteString(w, `<script>
			for (const url of ["https://other.example/fetched", "https://192.0.2.7/fetched", "https://localhost/fetched"]) fetch(url);
			if (location.pathname === "/") location.href = "/next";
		</script>`)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var said []string
	result := make(chan error, 1)
	go func() {
		result <- Run(ctx, Config{Kind: Chromium, Proxy: proxy, CA: ca.Certificate(), URL: "https://shop.example/", Args: []string{"--headless", "--disable-gpu"},
			Say: func(s string) { said = append(said, s) }})
	}()
	if !v.wait(ctx, "https://shop.example/", "https://shop.example/next", "https://other.example/fetched", "https://192.0.2.7/fetched", "https://localhost/fetched") {
		t.Errorf("asked for %q only", v.seen)
	}
	cancel()
	select {
	case err := <-result:
		if err != nil {
			t.Errorf("closing it: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it did not close")
	}
	empty(t, dir)
	if isRoot() != (len(said) == 1 && strings.Contains(said[0], "sandbox")) {
		t.Errorf("said %q", said)
	}
	for _, url := range v.seen {
		for _, own := range []string{"google", "gstatic", "chromium"} {
			if strings.Contains(url, own) {
				t.Errorf("it asked for %s on its own account", url)
			}
		}
	}
}

// The key on the command line opens this authority's chains and no others.
func TestChromiumTrustsNoOtherCA(t *testing.T) {
	if _, _, err := find(Chromium); err != nil {
		t.Skip("Chromium is not installed")
	}
	dir := onlyTemp(t)
	v := &visits{more: make(chan struct{}, 1)}
	refused := make(chan struct{})
	var once sync.Once
	stranger := newCA(t)
	proxy := interceptor(t, stranger, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.add(r)
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/refused" {
			once.Do(func() { close(refused) })
		}
		io.WriteString(w, `<script>fetch("https://shop.example/secret").catch(() => fetch("/refused"))</script>`)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- Run(ctx, Config{Kind: Chromium, Proxy: proxy, CA: newCA(t).Certificate(), URL: "http://plain.example/", Args: []string{"--headless", "--disable-gpu"}})
	}()
	select {
	case <-refused:
	case <-ctx.Done():
		t.Error("no answer from the browser")
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if slices.Contains(v.seen, "https://shop.example/secret") {
		t.Error("a certificate of another authority was taken")
	}
	empty(t, dir)
}

func TestFirefoxProfile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere Firefox may read the system's store")
	}
	certutil, ok := nssCertutil()
	if !ok {
		t.Skip("certutil is not installed")
	}
	ca, profile := newCA(t), t.TempDir()
	cfg := Config{Proxy: "[::1]:8484", CA: ca.Certificate(), Say: func(string) {}}
	if err := prepareFirefox(t.Context(), cfg, profile); err != nil {
		t.Fatal(err)
	}
	prefs, err := os.ReadFile(filepath.Join(profile, "user.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`user_pref("network.proxy.type", 1);`, `user_pref("network.proxy.ssl", "::1");`, `user_pref("network.proxy.ssl_port", 8484);`,
		`user_pref("network.proxy.http", "::1");`, `user_pref("network.proxy.allow_hijacking_localhost", true);`,
	} {
		if !strings.Contains(string(prefs), line+"\n") {
			t.Errorf("user.js lacks %s", line)
		}
	}
	// certutil judges the chain as Firefox does: valid for a TLS server.
	out, err := exec.Command(certutil, "-V", "-d", "sql:"+profile, "-n", "eaves", "-u", "L").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	args := firefoxArgs(cfg, profile)
	if !slices.Contains(args, profile) {
		t.Errorf("arguments %q", args)
	}
}

func TestFirefoxGoesThroughTheProxyAndTrustsItsCA(t *testing.T) {
	if _, _, err := find(Firefox); err != nil {
		t.Skip("Firefox is not installed")
	}
	ca, dir := newCA(t), onlyTemp(t)
	v := &visits{more: make(chan struct{}, 1)}
	proxy := interceptor(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.add(r)
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		io.WriteString(w, `<script>for (const url of ["https://other.example/fetched", "https://localhost/fetched"]) fetch(url)</script>`)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- Run(ctx, Config{Kind: Firefox, Proxy: proxy, CA: ca.Certificate(), URL: "https://shop.example/", Args: []string{"--headless"}})
	}()
	if !v.wait(ctx, "https://shop.example/", "https://other.example/fetched", "https://localhost/fetched") {
		t.Errorf("asked for %q only", v.seen)
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
	empty(t, dir)
	for _, url := range v.seen {
		if strings.Contains(url, "mozilla") || strings.Contains(url, "firefox") {
			t.Errorf("it asked for %s on its own account", url)
		}
	}
}

func TestWhereBrowsersAreFound(t *testing.T) {
	env := map[string]string{"HOME": "/Users/me", "ProgramFiles": `C:\Program Files`, "ProgramFiles(x86)": `C:\Program Files (x86)`, "LocalAppData": `C:\Users\me\AppData\Local`}
	for _, tc := range []struct {
		goos, there string
		want        Kind
		kind        Kind
	}{
		{"linux", "chromium-browser", "", Chromium},
		{"linux", "google-chrome-stable", Chromium, Chromium},
		{"linux", "firefox-esr", "", Firefox},
		{"darwin", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "", Chromium},
		{"darwin", "/Users/me/Applications/Firefox.app/Contents/MacOS/firefox", Firefox, Firefox},
		{"windows", `C:\Program Files\Google\Chrome\Application\chrome.exe`, "", Chromium},
		{"windows", `C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`, Chromium, Chromium},
		{"windows", `C:\Program Files\Mozilla Firefox\firefox.exe`, "", Firefox},
	} {
		if tc.goos == "darwin" && runtime.GOOS == "windows" {
			continue // paths are joined as this system joins them
		}
		p := places{tc.goos, func(name string) string { return env[name] },
			func(name string) (string, error) {
				if name == tc.there {
					return name, nil
				}
				return "", exec.ErrNotFound
			},
			func(path string) bool { return path == tc.there }}
		kind, path, err := p.choose(tc.want)
		if err != nil || kind != tc.kind || path != tc.there {
			t.Errorf("%s on %s: %s %q (%v)", tc.there, tc.goos, kind, path, err)
		}
		nothing := p
		nothing.lookPath, nothing.exists = func(string) (string, error) { return "", exec.ErrNotFound }, func(string) bool { return false }
		var e *Error
		if _, _, err := nothing.choose(tc.want); !errors.As(err, &e) || e.Hint() == "" {
			t.Errorf("nothing on %s: %v", tc.goos, err)
		}
	}
	if _, _, err := find("netscape"); err == nil {
		t.Error("netscape was found")
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	dir := onlyTemp(t)
	ca := newCA(t).Certificate()
	for name, cfg := range map[string]Config{
		"no proxy":       {CA: ca},
		"no port":        {CA: ca, Proxy: "127.0.0.1"},
		"an option":      {CA: ca, Proxy: "127.0.0.1:1", URL: "--no-sandbox"},
		"not a URL":      {CA: ca, Proxy: "127.0.0.1:1", URL: "example.com"},
		"not a browser":  {CA: ca, Proxy: "127.0.0.1:1", Kind: "netscape"},
		"no such option": {CA: ca, Proxy: "127.0.0.1:1", Kind: "\x00"},
	} {
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	empty(t, dir)
}

// A browser that dies at once is an error with its last words, and leaves no profile either.
func TestBrowserThatDies(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	dir, bin := onlyTemp(t), t.TempDir()
	script := "#!/bin/sh\necho first >&2\necho 'Missing X server' >&2\nexit 3\n"
	if err := os.WriteFile(filepath.Join(bin, "chromium"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if runtime.GOOS == "darwin" {
		t.Skip("applications come before the path there")
	}
	err := Run(t.Context(), Config{Kind: Chromium, Proxy: "127.0.0.1:1", CA: newCA(t).Certificate()})
	if err == nil || !strings.Contains(err.Error(), "Missing X server") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	empty(t, dir)
}
