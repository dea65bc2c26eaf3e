package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// h2Server is net/http's server of HTTP/2, and a client that trusts it.
func h2Server(t testing.TB, handler http.HandlerFunc) (*httptest.Server, *Client) {
	srv := httptest.NewUnstartedServer(handler)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, testClient(t, Config{Trust: rootsOf(srv)})
}

func rootsOf(srv *httptest.Server) func(Server) Trust {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return trusting(pool)
}

// trusting is a Config.Trust of these roots.
func trusting(pool *x509.CertPool) func(Server) Trust {
	return func(Server) Trust { return Trust{ID: "test", Roots: pool} }
}

func h2Call(t testing.TB, method, url string) *Call {
	call := callTo(t, method, url)
	call.HTTP2 = true
	call.Fields = nil
	return call
}

func TestHTTP2(t *testing.T) {
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Saw", fmt.Sprint(r.Proto, " ", r.Method, " ", r.RequestURI, " ", r.Host, " ", r.Header["X-A"], r.Header["Cookie"], r.Header["User-Agent"], r.ContentLength))
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(103)
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n, r.Trailer))
	})
	call := h2Call(t, "POST", srv.URL+"/p%2fa?x=1")
	call.Fields = wire.Fields{{Name: "X-A", Value: "2"}, {Name: "Cookie", Value: "a=b; c=d"}, {Name: "x-a", Value: "1"}, {Name: "Connection", Value: "close"}, {Name: "trailer", Value: "x-end"}}
	call.withChunks(strings.NewReader("hello"))
	call.Trailer = func() wire.Fields { return wire.Fields{{Name: "X-End", Value: "e"}} }
	var informational []int
	call.Informational = func(status int, _ string, f wire.Fields) error {
		informational = append(informational, status)
		return nil
	}
	resp, body := mustDo(t, c, call)
	if resp.Status != 200 || resp.Proto != "HTTP/2" || body != "hello" {
		t.Errorf("got %+v %q", resp, body)
	}
	if got, want := resp.Fields.Get("x-saw"), "HTTP/2.0 POST /p%2fa?x=1 "+call.Authority+" [2 1] [a=b; c=d] [] -1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := resp.Trailer().Get("x-sum"); got != "5 map[X-End:[e]]" {
		t.Errorf("got trailer %q", got)
	}
	if len(informational) != 1 || informational[0] != 103 {
		t.Errorf("got informational %v", informational)
	}
	f := call.Receipt.Snapshot()
	if f.TLS == nil || f.TLS.ALPN != "h2" || !f.TLS.Verified || f.Sent.Proto != "HTTP/2" || f.Timings.SSL <= 0 || f.Timings.Connect < f.Timings.SSL {
		t.Errorf("got %+v", f)
	}
	if f.TLS.ClientCertificate.Verdict != "not-requested" {
		t.Errorf("got %+v", f.TLS.ClientCertificate)
	}
}

func TestHTTP2IsOnlyForThoseWhoSpeakIt(t *testing.T) {
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	if _, body := mustDo(t, c, callTo(t, "GET", srv.URL+"/")); body != "HTTP/1.1" {
		t.Errorf("got %s", body)
	}
	if _, body := mustDo(t, c, h2Call(t, "GET", srv.URL+"/")); body != "HTTP/2.0" {
		t.Errorf("got %s", body)
	}
	if _, body := mustDo(t, c, callTo(t, "GET", srv.URL+"/")); body != "HTTP/1.1" {
		t.Errorf("got %s", body)
	}
}

func TestHTTP2ClientToHTTP1Server(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto+r.Host) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	c := testClient(t, Config{Trust: rootsOf(srv)})
	for range 3 {
		call := h2Call(t, "GET", srv.URL+"/")
		if _, body := mustDo(t, c, call); body != "HTTP/1.1"+call.Authority {
			t.Errorf("got %s", body)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestManyCallsShareOneHTTP2Connection(t *testing.T) {
	var conns atomic.Int32
	release := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(w, "ok")
	}))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	c := testClient(t, Config{Trust: rootsOf(srv)})
	var wg sync.WaitGroup
	for range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mustDo(t, c, h2Call(t, "GET", srv.URL+"/"))
		}()
	}
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	wg.Wait()
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestHTTP2Clear(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	for _, h2c := range []bool{true, false} {
		srv := httptest.NewUnstartedServer(handler)
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetHTTP1(true)
		srv.Config.Protocols.SetUnencryptedHTTP2(h2c)
		srv.Start()
		want := "HTTP/1.1"
		if h2c {
			want = "HTTP/2.0"
		}
		c := testClient(t, Config{})
		for range 2 {
			if _, body := mustDo(t, c, h2Call(t, "GET", srv.URL+"/")); body != want {
				t.Errorf("got %s, want %s", body, want)
			}
		}
		c.Close()
		srv.Close()
	}
}

func TestHTTP2BothWaysAtOnce(t *testing.T) {
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		br := bufio.NewReader(r.Body)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, strings.ToUpper(line))
			http.NewResponseController(w).Flush()
		}
	})
	pr, pw := io.Pipe()
	resp, err := c.Do(testContext(t), h2Call(t, "POST", srv.URL+"/").withChunks(pr))
	if err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(resp.Body)
	for i := range 10 {
		fmt.Fprintf(pw, "line %d\n", i)
		if line, err := br.ReadString('\n'); err != nil || line != fmt.Sprintf("LINE %d\n", i) {
			t.Fatalf("got %q %v", line, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Fatalf("got %q %v", rest, err)
	}
}

func TestHTTP2LargeBodies(t *testing.T) {
	const size = 16 << 20
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	sent, got := sha256.New(), sha256.New()
	body := io.TeeReader(io.LimitReader(&repeat{block: block}, size), sent)
	resp, err := c.Do(testContext(t), h2Call(t, "POST", srv.URL+"/").withChunks(body))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(got, resp.Body)
	if err != nil || n != size {
		t.Fatalf("got %d %v", n, err)
	}
	if string(sent.Sum(nil)) != string(got.Sum(nil)) {
		t.Error("the body changed on the way")
	}
}

// repeat gives a block for ever.
type repeat struct {
	block []byte
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

func TestHTTP2Cancel(t *testing.T) {
	gone := make(chan struct{})
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			close(gone)
			return
		}
		io.WriteString(w, "ok")
	})
	mustDo(t, c, h2Call(t, "GET", srv.URL+"/"))
	ctx, cancel := context.WithCancel(testContext(t))
	time.AfterFunc(20*time.Millisecond, cancel)
	call := h2Call(t, "GET", srv.URL+"/wait")
	_, err := c.Do(ctx, call)
	e, _ := err.(*Error)
	if e == nil || e.Stage != capture.StageClient {
		t.Fatalf("got %v", err)
	}
	select {
	case <-gone:
	case <-time.After(limit):
		t.Fatal("the server was not told")
	}
	after := h2Call(t, "GET", srv.URL+"/")
	mustDo(t, c, after)
	if a, b := call.Receipt.Snapshot().Connection, after.Receipt.Snapshot().Connection; a != b {
		t.Errorf("cancelling one call cost the connection: %s, %s", a, b)
	}
}

// upload400 says that a request is bad, and then reads it.
func upload400(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(400)
	http.NewResponseController(w).Flush()
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, n)
}

// Much more than the windows goes both ways at once.
func TestHTTP2ManyWindows(t *testing.T) {
	size := int64(256 << 20)
	if testing.Short() || raceEnabled {
		size = 64 << 20
	}
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	call := h2Call(t, "POST", srv.URL+"/")
	call.Body, call.Framing = io.LimitReader(&repeat{block: make([]byte, 64<<10)}, size), wire.Framing{Kind: wire.Length, Length: size}
	resp, err := c.Do(ctx, call)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
		t.Errorf("got %d %v", n, err)
	}
}

// A thousand conversations at once, each message answered before the next is sent.
func TestHTTP2ThousandStreams(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		http.NewResponseController(w).Flush()
		b := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				break
			}
			w.Write(b)
			http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	}))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	c := testClient(t, Config{Trust: rootsOf(srv)})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			pr, pw := io.Pipe()
			call := h2Call(t, "POST", srv.URL+"/")
			call.Fields = wire.Fields{{Name: "te", Value: "trailers"}}
			resp, err := c.Do(ctx, call.withChunks(pr))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			for n := range 5 {
				want := fmt.Sprintf("%03d.%d", i%1000, n)
				io.WriteString(pw, want)
				got := make([]byte, 5)
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Errorf("got %q %v, want %q", got, err, want)
					return
				}
			}
			pw.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Trailer().Get("grpc-status") != "0" {
				t.Errorf("got %v %v", err, resp.Trailer())
			}
		}()
	}
	wg.Wait()
	t.Logf("%d connections", conns.Load())
}

// Where nothing but HTTP/2 is spoken, that is what a client of HTTP/1 gets too, and the second time without asking.
func TestHTTP2Only(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	cert := chainOf(issue(t, root, leafFor("only.localhost")))
	var handshakes atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body); io.WriteString(w, r.Proto) }),
		TLSConfig: &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			handshakes.Add(1)
			cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
			if !slices.Contains(hello.SupportedProtos, "h2") { // crypto/tls would let HTTP/1.1 pass
				cfg.NextProtos = []string{"nothing that is offered"}
			}
			return cfg, nil
		}}}
	go srv.ServeTLS(l, "", "")
	defer srv.Close()
	c := testClient(t, Config{Trust: trusting(pool)})
	for range 3 {
		call := &Call{Scheme: "https", Host: "only.localhost", Port: l.Addr().(*net.TCPAddr).Port, Method: "POST", Target: "/", Fields: wire.Fields{{Name: "Host", Value: "x.test"}}, Receipt: new(Receipt)}
		if resp, body := mustDo(t, c, call.withBody("from ")); body != "from HTTP/2.0" || resp.Proto != "HTTP/2" {
			t.Errorf("got %q %s", body, resp.Proto)
		}
		if s := call.Receipt.Snapshot().Sent; s.Authority != "x.test" {
			t.Errorf("got %+v", s)
		}
	}
	if n := handshakes.Load(); n != 2 {
		t.Errorf("%d handshakes", n)
	}
	call := &Call{Scheme: "https", Host: "only.localhost", Port: l.Addr().(*net.TCPAddr).Port, Method: "GET", Target: "/", Upgrade: "websocket"}
	wantError(t, mustFail(t, c, call), capture.StageTLS, 502, "no_application_protocol", "offered: http/1.1")
}

// Answers that nobody reads do not hold up others.
func TestHTTP2UnreadAnswers(t *testing.T) {
	srv, c := h2Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.CopyN(w, &repeat{block: make([]byte, 64<<10)}, 2*streamWindow)
		}
	})
	held := func() (n int64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, h := range c.hosts {
			h.mu.Lock()
			for _, cc := range h.h2 {
				cc.mu.Lock()
				n += cc.taken
				cc.mu.Unlock()
			}
			h.mu.Unlock()
		}
		return n
	}
	for range connWindow/streamWindow + 2 {
		resp, err := c.Do(testContext(t), h2Call(t, "GET", srv.URL+"/large"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	for deadline := time.Now().Add(limit); held() <= connWindow/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", held())
		}
	}
	mustDo(t, c, h2Call(t, "GET", srv.URL+"/small"))
}
