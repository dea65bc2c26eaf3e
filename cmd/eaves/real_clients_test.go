package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"eaves/capture"
	"eaves/cmd/eaves/internal/browser"
)

// clientsDir holds the programs that the tests run in other languages.
func clientsDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "clients"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// need returns the path of a program, or skips: CI has all of them.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program+" is not installed")
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// origin is a server for clients: go-httpbin and what it lacks.
type origin struct {
	http, https string
	roots       []byte
	reports     chan string
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{reports: make(chan string, 1)}
	mux := http.NewServeMux()
	mux.Handle("/", httpbin.New(httpbin.WithMaxBodySize(64<<20)))
	mux.HandleFunc("/digest", digest)
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(clientsDir(t), "page.html"))
	})
	mux.HandleFunc("/asset/", asset)
	mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		o.reports <- string(b)
	})
	if git, err := exec.LookPath("git"); err == nil {
		mux.Handle("/git/", &cgi.Handler{
			Path: git, Args: []string{"http-backend"}, Root: "/git",
			Env: []string{"GIT_PROJECT_ROOT=" + gitProject(t), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=tester", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + t.TempDir()},
		})
	}
	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	secure, err := serveTLS(mux)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secure.Close)
	// A browser's connections of streams that it gave up may be open still.
	t.Cleanup(plain.CloseClientConnections)
	t.Cleanup(secure.CloseClientConnections)
	o.http, o.https, o.roots = plain.URL, secure.URL, certPEM(secure.Certificate())
	return o
}

func digest(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, hex.EncodeToString(h.Sum(nil)))
}

// events sends n server-sent events.
func events(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	for i := range n {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", i%10); err != nil {
			return
		}
		_ = rc.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// slow sends ten bytes, one at a time.
func slow(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	rc := http.NewResponseController(w)
	for range 10 {
		if _, err := w.Write([]byte{'.'}); err != nil {
			return
		}
		_ = rc.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// echo sends each WebSocket message back.
func echo(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
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
}

func asset(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch filepath.Ext(r.URL.Path) {
	case ".svg":
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>`)
	case ".css":
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, "body { color: #333 }")
	case ".js":
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, "window.scriptRan = true")
	}
}

// gitProject makes a folder with a repository in it.
func gitProject(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	work, bare := filepath.Join(dir, "work"), filepath.Join(dir, "repo.git")
	command(t, dir, nil, "git", "init", "-q", "-b", "main", work)
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(work, fmt.Sprintf("file%d.txt", i)), bytes.Repeat([]byte(fmt.Sprintf("line %d\n", i)), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, work, nil, "git", "add", ".")
	command(t, work, nil, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "first")
	command(t, dir, nil, "git", "clone", "-q", "--bare", work, bare)
	command(t, bare, nil, "git", "config", "http.receivepack", "true")
	return dir
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", filepath.Base(name), err, out.String(), errs.String())
	}
	return out.String()
}

// rows returns what is recorded and matches.
func (i *instance) rows(t *testing.T, filter string) []*capture.Exchange {
	t.Helper()
	var page struct {
		Exchanges []*capture.Exchange `json:"exchanges"`
	}
	if err := apiGet(i.run, "/exchanges?limit=1000&filter="+url.QueryEscape(filter), &page); err != nil {
		t.Fatal(err)
	}
	return page.Exchanges
}

// want waits until n exchanges match and have ended, and checks that there are no more.
func (i *instance) want(t *testing.T, n int, filter string) []*capture.Exchange {
	t.Helper()
	limit := time.Now().Add(deadline)
	for {
		found := i.rows(t, filter)
		open := 0
		for _, x := range found {
			if x.State == capture.StateOpen {
				open++
			}
		}
		if len(found) == n && open == 0 {
			return found
		}
		if len(found) > n || time.Now().After(limit) {
			for _, x := range i.rows(t, "") {
				t.Logf("%d %s %s %s %s: %v", x.ID, x.State, x.Request.Method, x.Request.URL, x.Request.HTTPVersion, x.Error)
			}
			t.Fatalf("%s: got %d rows, %d of them open, want %d", filter, len(found), open, n)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestCurl(t *testing.T) {
	curl := need(t, "curl")
	o := newOrigin(t)
	i := running(t, o.roots)
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("0123456789abcdef"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), 1<<18))
	for _, c := range []struct {
		name, origin, version string
		args                  []string
	}{
		{"http", o.http, "HTTP/1.1", nil},
		{"http10", o.http, "HTTP/1.0", []string{"--http1.0"}},
		{"tunnel", o.http, "HTTP/1.1", []string{"--proxytunnel"}},
		{"https-h1", o.https, "HTTP/1.1", []string{"--http1.1"}},
		{"https-h2", o.https, "HTTP/2", []string{"--http2"}},
		{"socks5", o.https, "HTTP/2", []string{"--proxy", "socks5h://" + i.run.Proxy}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := append([]string{"-sS", "--fail", "--max-time", "60", "--proxy", "http://" + i.run.Proxy, "--cacert", i.run.CA}, c.args...)
			run := func(args ...string) string {
				return command(t, dir, nil, curl, append(base[:len(base):len(base)], args...)...)
			}
			if got := run(c.origin + "/get?case=" + c.name); !strings.Contains(got, `"`+c.name+`"`) {
				t.Errorf("got %s", got)
			}
			if got := run("-T", big, c.origin+"/digest?case="+c.name); got != hex.EncodeToString(sum[:]) {
				t.Errorf("upload: got %s", got)
			}
			if got := run("--compressed", c.origin+"/gzip?case="+c.name); !strings.Contains(got, `"gzipped": true`) {
				t.Errorf("gzip: got %s", got)
			}
			if got := run("-I", c.origin+"/get?case="+c.name); !strings.Contains(got, "200") {
				t.Errorf("head: got %s", got)
			}
			if got := run("-r", "10-19", c.origin+"/range/100?case="+c.name); got != "klmnopqrst" {
				t.Errorf("range: got %q", got)
			}
			for _, x := range i.want(t, 5, "query:case="+c.name) {
				if x.Client.HTTPVersion != c.version && x.Request.HTTPVersion != c.version {
					t.Errorf("%s %s: client %s, upstream %s, want %s", x.Request.Method, x.Request.URL, x.Client.HTTPVersion, x.Request.HTTPVersion, c.version)
				}
			}
		})
	}
}

func TestWget(t *testing.T) {
	wget := need(t, "wget")
	o := newOrigin(t)
	i := running(t, o.roots)
	env := []string{"http_proxy=http://" + i.run.Proxy, "https_proxy=http://" + i.run.Proxy, "no_proxy="}
	for _, origin := range []string{o.http, o.https} {
		got := command(t, t.TempDir(), env, wget, "-q", "-O", "-", "--tries=1", "--timeout=30", "--ca-certificate="+i.run.CA, origin+"/get?via=wget")
		if !strings.Contains(got, "Wget/") {
			t.Errorf("got %s", got)
		}
		command(t, t.TempDir(), env, wget, "-q", "--tries=1", "--timeout=30", "--ca-certificate="+i.run.CA, "--post-data=a=1", "-O", "out", origin+"/post?via=wget")
	}
	i.want(t, 4, "query:via=wget status:200")
}

func TestGit(t *testing.T) {
	git := need(t, "git")
	o := newOrigin(t)
	i := running(t, o.roots)
	dir := t.TempDir()
	env := []string{"HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_SSL_CAINFO=" + i.run.CA}
	flags := []string{"-c", "http.proxy=http://" + i.run.Proxy, "-c", "user.name=t", "-c", "user.email=t@example.com"}
	run := func(in string, args ...string) string {
		return command(t, in, env, git, append(flags[:len(flags):len(flags)], args...)...)
	}
	run(dir, "clone", "-q", o.https+"/git/repo.git", "clone")
	clone := filepath.Join(dir, "clone")
	if files, err := filepath.Glob(filepath.Join(clone, "*.txt")); err != nil || len(files) != 20 {
		t.Fatalf("cloned %d files, %v", len(files), err)
	}
	if err := os.WriteFile(filepath.Join(clone, "large.bin"), bytes.Repeat([]byte("eaves"), 1<<19), 0o600); err != nil {
		t.Fatal(err)
	}
	run(clone, "add", ".")
	run(clone, "commit", "-q", "-m", "second")
	run(clone, "push", "-q", "origin", "main")
	run(dir, "clone", "-q", o.https+"/git/repo.git", "again")
	if _, err := os.Stat(filepath.Join(dir, "again", "large.bin")); err != nil {
		t.Fatal(err)
	}
	if got := i.rows(t, "path:/git/repo.git/git-receive-pack status:200"); len(got) == 0 {
		t.Error("the push is not recorded")
	}
	if got := i.rows(t, "path:/git/repo.git/git-upload-pack status:200"); len(got) < 2 {
		t.Errorf("got %d rows of fetches", len(got))
	}
	if got := i.rows(t, "is:failed"); len(got) > 0 {
		t.Errorf("failed: %s: %v", got[0].Request.URL, got[0].Error)
	}
}

func TestPython(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import requests").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		missing(t, "no python3 with requests is installed")
	}
	o := newOrigin(t)
	i := running(t, o.roots)
	for _, origin := range []string{o.http, o.https} {
		command(t, clientsDir(t), nil, python, "-B", "client.py", origin, i.run.Proxy, i.run.CA)
	}
	i.want(t, 2, "query:via=urllib status:200")
	for _, x := range i.want(t, 2, "query:via=requests method:PUT") {
		if x.Request.BodySize != 256*1024 {
			t.Errorf("recorded %d bytes of the upload", x.Request.BodySize)
		}
	}
	i.want(t, 10, "path:/gzip status:200")
}

func TestNode(t *testing.T) {
	node := need(t, "node")
	dir := clientsDir(t)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "ws")); err != nil {
		missing(t, "npm ci has not been run in testdata/clients")
	}
	o := newOrigin(t)
	i := running(t, o.roots)
	for _, origin := range []string{o.http, o.https} {
		// By name: undici verifies an address behind a proxy as if it were localhost.
		command(t, dir, nil, node, "client.mjs", strings.Replace(origin, "127.0.0.1", "localhost", 1), i.run.Proxy, i.run.CA)
	}
	i.want(t, 2, "method:GET query:via=fetch status:200")
	i.want(t, 40, "path:/bytes/ status:200")
	for _, x := range i.want(t, 2, "query:via=ws") {
		if x.Kind != capture.KindWebSocket || x.Messages < 6 {
			t.Errorf("%s: kind %s, %d messages", x.Request.URL, x.Kind, x.Messages)
		}
	}
}

func TestJava(t *testing.T) {
	java := need(t, "java")
	need(t, "javac")
	o := newOrigin(t)
	i := running(t, o.roots)
	dir := t.TempDir()
	p12 := filepath.Join(dir, "eaves.p12")
	command(t, dir, nil, "eaves", "ca", "export", "--data", i.run.Data, "--format", "p12", "-o", p12)
	command(t, dir, nil, java, filepath.Join(clientsDir(t), "Client.java"), o.https, i.run.Proxy, p12)
	i.want(t, 1, "query:via=HTTP_2 status:200")
	i.want(t, 1, "query:via=HTTP_1_1 status:200")
	i.want(t, 1, "query:via=java kind:websocket")
}

func TestGo(t *testing.T) {
	o := newOrigin(t)
	i := running(t, o.roots)
	for _, h2 := range []bool{false, true} {
		client, err := proxied(i.run, h2)
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range []string{o.http, o.https} {
			for n := range 20 {
				body := bytes.Repeat([]byte{byte(n)}, n*10_000)
				resp, err := client.Post(origin+"/digest?via=go", "application/octet-stream", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if sum := sha256.Sum256(body); err != nil || string(got) != hex.EncodeToString(sum[:]) {
					t.Fatalf("got %s, %v", got, err)
				}
			}
		}
		client.CloseIdleConnections()
	}
	i.want(t, 80, "query:via=go status:200")
}

func TestChromium(t *testing.T) {
	need(t, "chromium")
	o := newOrigin(t)
	i := running(t, o.roots)
	b, err := os.ReadFile(i.run.CA)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{o.http, o.https} {
		scheme, _, _ := strings.Cut(origin, ":")
		t.Run(scheme, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				ended <- browser.Run(ctx, browser.Config{Kind: browser.Chromium, Proxy: i.run.Proxy, CA: ca, URL: origin + "/page", Args: []string{"--headless=new"}})
			}()
			report := ""
			select {
			case report = <-o.reports:
			case err := <-ended:
				t.Fatalf("chromium ended: %v", err)
			case <-ctx.Done():
				t.Fatal("no report in time")
			}
			cancel()
			if err := <-ended; err != nil {
				t.Logf("closing chromium: %v", err)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(report), &got); err != nil {
				t.Fatalf("%v in %s", err, report)
			}
			for step, want := range map[string]any{"assets": 100.0, "websocket": "hello", "events": 3.0, "stream": "streamed", "upload": "same", "cancelled": "done"} {
				if got[step] != want {
					t.Errorf("%s: got %v, want %v", step, got[step], want)
				}
			}
			i.want(t, 100, "scheme:"+scheme+" path:*.svg status:200")
			i.want(t, 1, "kind:websocket query:via=chromium url:"+origin[len(scheme)+3:])
			for _, x := range i.want(t, 1, "scheme:"+scheme+" query:n=3") {
				if x.Messages != 3 {
					t.Errorf("recorded %d of 3 events", x.Messages)
				}
			}
		})
	}
}
