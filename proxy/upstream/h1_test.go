package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// limit bounds every wait in tests.
const limit = 30 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func testClient(t testing.TB, cfg Config) *Client {
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

// callTo makes a call to a URL.
func callTo(t testing.TB, method, rawURL string) *Call {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return &Call{Scheme: u.Scheme, Host: u.Hostname(), Port: port, Method: method, Target: u.RequestURI(), Authority: u.Host,
		Fields: wire.Fields{{Name: "Host", Value: u.Host}}, Receipt: new(Receipt)}
}

// withBody gives a call a body of known length.
func (c *Call) withBody(s string) *Call {
	c.Body, c.Framing = strings.NewReader(s), wire.Framing{Kind: wire.Length, Length: int64(len(s))}
	return c
}

func (c *Call) withChunks(r io.Reader) *Call {
	c.Body, c.Framing = r, wire.Framing{Kind: wire.Chunked}
	return c
}

// mustDo sends a call and reads its answer.
func mustDo(t testing.TB, c *Client, call *Call) (*Response, string) {
	t.Helper()
	resp, err := c.Do(testContext(t), call)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp, string(body)
}

// mustFail sends a call that fails, and returns how.
func mustFail(t testing.TB, c *Client, call *Call) *Error {
	t.Helper()
	resp, err := c.Do(testContext(t), call)
	if err == nil {
		t.Fatalf("got status %d, want an error", resp.Status)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want *Error", err, err)
	}
	return e
}

// wantError checks stage, status and words of an error.
func wantError(t testing.TB, e *Error, stage capture.Stage, status int, words ...string) {
	t.Helper()
	if e.Stage != stage || e.Status != status {
		t.Errorf("got stage %s status %d, want %s %d: %s", e.Stage, e.Status, stage, status, e.Message)
	}
	for _, w := range words {
		if !strings.Contains(e.Message+"\n"+e.Hint, w) {
			t.Errorf("%q is not in %q (hint %q)", w, e.Message, e.Hint)
		}
	}
}

// rawServer serves each connection by serve, which is given a reader of it. It returns its URL.
func rawServer(t testing.TB, serve func(c net.Conn, br *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(limit))
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// readHead reads a request's head.
func readHead(br *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

func TestHeadIsWrittenAsGiven(t *testing.T) {
	heads := make(chan string, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		heads <- readHead(br)
		io.WriteString(c, "HTTP/1.1 299 Fine  By Me\r\nX-b: 1\r\nx-A:  2 \r\nX-b: 3\r\ncontent-LENGTH: 2\r\n\r\nok")
	})
	c := testClient(t, Config{})
	call := callTo(t, "gEt", u+"/a%2fb//../?q=%zz")
	call.Target = "/a%2fb//../?q=%zz"
	call.Fields = wire.Fields{{Name: "x-Odd", Value: "v", Line: "x-Odd:   v  "}, {Name: "HOST", Value: "other.test"}, {Name: "Accept", Value: "a"}, {Name: "accept", Value: "b"}}
	resp, body := mustDo(t, c, call)
	want := "gEt /a%2fb//../?q=%zz HTTP/1.1\r\nx-Odd:   v  \r\nHOST: other.test\r\nAccept: a\r\naccept: b\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if resp.Status != 299 || resp.Reason != "Fine  By Me" || body != "ok" || resp.Fields[1].Line != "x-A:  2 " || resp.Fields[3].Name != "content-LENGTH" {
		t.Errorf("got %+v %q", resp, body)
	}
	facts := call.Receipt.Snapshot()
	if facts.Sent.HeadSize != len(want) || facts.Sent.Proto != "HTTP/1.1" || facts.ServerIP != "127.0.0.1" || facts.Connection == "" || facts.Reused {
		t.Errorf("got %+v", facts)
	}
	tm := facts.Timings
	if tm.Connect < 0 || tm.SSL != -1 || tm.DNS != -1 || tm.Send < 0 || tm.Wait < 0 || tm.Receive != -1 {
		t.Errorf("got timings %+v", tm)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}))
	defer srv.Close()
	c := testClient(t, Config{})
	ids := map[string]bool{}
	for i := range 10 {
		call := callTo(t, "POST", srv.URL+"/")
		if i%2 == 0 {
			call.withBody("hello")
		} else {
			call.withChunks(strings.NewReader("hello"))
		}
		if _, body := mustDo(t, c, call); body != "hello" {
			t.Fatalf("got %q", body)
		}
		f := call.Receipt.Snapshot()
		ids[f.Connection] = true
		if f.Reused != (i > 0) {
			t.Errorf("call %d: reused is %v", i, f.Reused)
		}
		if f.Reused && f.Timings.Connect != -1 {
			t.Errorf("call %d: a reused connection took %v to connect", i, f.Timings.Connect)
		}
		if hop := f.Route.Hops[0]; hop.Reused != f.Reused || (hop.Connect >= 0) == f.Reused || f.Reused && hop.DNS >= 0 {
			t.Errorf("call %d: reused is %v, the way says %+v", i, f.Reused, hop)
		}
		<-call.Sent()
	}
	if len(ids) != 1 {
		t.Errorf("%d connections were used", len(ids))
	}
}

func TestStaleConnections(t *testing.T) {
	var conns atomic.Int32
	closeNow := make(chan struct{}, 1)
	closed := make(chan struct{}, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		conns.Add(1)
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-closeNow
		c.Close()
		closed <- struct{}{}
	})
	c := testClient(t, Config{})
	for i := range 3 {
		call := callTo(t, "POST", u+"/")
		if _, body := mustDo(t, c, call); body != "ok" {
			t.Fatalf("got %q", body)
		}
		if call.Receipt.Snapshot().Reused {
			t.Errorf("call %d went over a dead connection", i)
		}
		closeNow <- struct{}{}
		<-closed
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// A server that reads the second request and closes: only what may be repeated is.
func TestRetry(t *testing.T) {
	var served atomic.Int32
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if readHead(br) != "" {
			served.Add(1)
		}
	})
	for _, tt := range []struct {
		method string
		body   bool
		again  bool
	}{{"GET", false, true}, {"DELETE", false, true}, {"POST", false, false}, {"PUT", true, false}, {"POST", true, false}} {
		t.Run(fmt.Sprint(tt.method, tt.body), func(t *testing.T) {
			served.Store(0)
			c := testClient(t, Config{})
			mustDo(t, c, callTo(t, "GET", u+"/"))
			call := callTo(t, tt.method, u+"/")
			if tt.body {
				call.withBody("x")
			}
			if tt.again {
				if resp, _ := mustDo(t, c, call); resp.Status != 200 {
					t.Errorf("got %d", resp.Status)
				}
			} else {
				wantError(t, mustFail(t, c, call), capture.StageHTTP, 502, "without an answer")
			}
			if n := served.Load(); n != 1 {
				t.Errorf("the second request arrived %d times", n)
			}
		})
	}
}

// quiet is a log for servers whose complaints are expected.
var quiet = log.New(io.Discard, "", 0)
