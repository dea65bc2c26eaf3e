package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// answers serves each request on a connection with the same bytes, and then closes it where last says so.
func answers(t testing.TB, answer string, last bool) string {
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		for readHead(br) != "" {
			io.WriteString(c, answer)
			if last {
				return
			}
		}
	})
}

func TestInvalidAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		words        []string
	}{
		{"nothing", "", []string{"closed by the other side without an answer"}},
		{"garbage", "\x00\x01garbage\r\n\r\n", []string{"invalid answer", `garbage`}},
		{"HTTP/0.9", "<html>hello</html>", []string{"invalid answer", "<html>hello"}},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", []string{"answers in TLS", "https://"}},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", []string{"within the answer's head, after 27 bytes"}},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", []string{"end cannot be told", "different Content-Lengths"}},
		{"NUL in a value", "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", []string{"invalid answer"}},
		{"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", []string{"without being asked"}},
		{"only 100", "HTTP/1.1 100 Continue\r\n\r\n", []string{"after an informational answer"}},
		{"endless 1xx", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1100), []string{"more than 1000 informational"}},
		{"too large", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 10<<10)+"\r\n", 400), []string{"invalid answer", "too l"}},
		{"HTTP/2", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", []string{"answers in HTTP/2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := answers(t, tt.answer, true)
			e := mustFail(t, testClient(t, Config{}), callTo(t, "GET", u+"/"))
			t.Log(e.Message)
			wantError(t, e, capture.StageHTTP, 502, append(tt.words, "127.0.0.1:")...)
		})
	}
}

func TestCutBodies(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	} {
		for _, writeTo := range []bool{false, true} {
			resp, err := testClient(t, Config{}).Do(testContext(t), callTo(t, "GET", answers(t, answer, true)+"/"))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if writeTo {
				_, err = resp.Body.(io.WriterTo).WriteTo(&b)
			} else {
				_, err = io.Copy(&b, struct{ io.Reader }{resp.Body})
			}
			var e *Error
			if b.String() != "hello" || !errors.As(err, &e) || !strings.Contains(e.Message, "answer's body") {
				t.Errorf("%q: got %q, %v", answer, b.String(), err)
			}
			resp.Body.Close()
		}
	}
}

func TestReuseRules(t *testing.T) {
	for _, tt := range []struct {
		answer string
		method string
		body   string
		again  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "GET", "ok", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", "", true},
		{"HTTP/1.1 204 No Content\r\n\r\n", "GET", "", true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "", true},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokextra", "GET", "ok", false},
		{"HTTP/1.1 204 No Content\r\n\r\nextra", "GET", "", false},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", true},
	} {
		c := testClient(t, Config{})
		u := answers(t, tt.answer, false)
		for i := range 2 {
			call := callTo(t, tt.method, u+"/")
			if _, body := mustDo(t, c, call); body != tt.body {
				t.Errorf("%q: got %q", tt.answer, body)
			}
			if reused := call.Receipt.Snapshot().Reused; reused != (i > 0 && tt.again) {
				t.Errorf("%q: call %d: reused is %v", tt.answer, i, reused)
			}
		}
	}
	resp, body := mustDo(t, testClient(t, Config{}), callTo(t, "GET", answers(t, "HTTP/1.1 200 OK\r\n\r\nuntil close", true)+"/"))
	if body != "until close" || resp.Framing.Kind != wire.UntilClose {
		t.Errorf("got %q %+v", body, resp)
	}
}

func TestInformational(t *testing.T) {
	u := answers(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Working On It\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
	c := testClient(t, Config{})
	call := callTo(t, "GET", u+"/")
	var got []string
	call.Informational = func(status int, reason string, f wire.Fields) error {
		got = append(got, fmt.Sprint(status, reason, f.Get("link")))
		return nil
	}
	mustDo(t, c, call)
	if fmt.Sprint(got) != "[103Early Hints</a> 102Working On It]" {
		t.Errorf("got %v", got)
	}
	call = callTo(t, "GET", u+"/")
	call.Informational = func(int, string, wire.Fields) error { return errors.New("nobody there") }
	wantError(t, mustFail(t, c, call), capture.StageClient, 502, "nobody there")
}

func TestUpgrade(t *testing.T) {
	heads := make(chan string, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		heads <- readHead(br)
		io.WriteString(c, "HTTP/1.1 101 Go Ahead\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		io.Copy(c, br)
	})
	c := testClient(t, Config{})
	call := callTo(t, "GET", u+"/")
	call.Upgrade, call.HTTP2 = "echo", true
	resp, err := c.Do(testContext(t), call)
	if err != nil {
		t.Fatal(err)
	}
	if head := <-heads; !strings.HasSuffix(head, "\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n") {
		t.Errorf("got %q", head)
	}
	io.WriteString(resp.Conn, "world")
	if err := resp.Conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Conn)
	if err != nil || string(got) != "hello world" || resp.Status != 101 || resp.Reason != "Go Ahead" {
		t.Errorf("got %q %v", got, err)
	}
	resp.Conn.Close()
}

func TestExpectContinueIsTransparent(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		b := make([]byte, 5)
		io.ReadFull(br, b)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%s", b)
	})
	pr, pw := io.Pipe()
	call := callTo(t, "POST", u+"/")
	call.Fields = append(call.Fields, wire.Field{Name: "Expect", Value: "100-continue"}, wire.Field{Name: "Content-Length", Value: "5"})
	call.Body, call.Framing = pr, wire.Framing{Kind: wire.Length, Length: 5}
	call.Informational = func(status int, _ string, _ wire.Fields) error {
		if status == 100 {
			go func() { io.WriteString(pw, "hello"); pw.Close() }()
		}
		return nil
	}
	if _, body := mustDo(t, testClient(t, Config{}), call); body != "hello" {
		t.Errorf("got %q", body)
	}
}

// Both directions stream at once, on HTTP/1 too.
func TestBothWaysAtOnce(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			size, err := br.ReadString('\n')
			data, err2 := br.ReadString('\n')
			if err != nil || err2 != nil || size == "0\r\n" {
				io.WriteString(c, "0\r\nX-Sum: 3\r\n\r\n")
				return
			}
			fmt.Fprintf(c, "%s%s", size, strings.ToUpper(data))
		}
	})
	pr, pw := io.Pipe()
	call := callTo(t, "POST", u+"/").withChunks(pr)
	resp, err := testClient(t, Config{}).Do(testContext(t), call)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two", "three"} {
		io.WriteString(pw, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("got %q %v", got, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 || resp.Trailer().Get("X-Sum") != "3" {
		t.Errorf("got %q %v %v", rest, err, resp.Trailer())
	}
	<-call.Sent()
}

// An answer before the request's end that closes the connection stops the sending.
func TestEarlyAnswer(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		c.(*net.TCPConn).CloseWrite()
		time.AfterFunc(limit, func() { c.Close() })
		io.Copy(io.Discard, br)
	})
	call := callTo(t, "POST", u+"/").withChunks(&repeat{block: make([]byte, 1000)})
	resp, body := mustDo(t, testClient(t, Config{}), call)
	if resp.Status != 413 || body != "no" {
		t.Errorf("got %d %q", resp.Status, body)
	}
	select {
	case <-call.Sent():
	case <-time.After(limit):
		t.Error("the request is still being sent")
	}
}

// The last words of a server that refuses a request while it is sent are heard.
func TestAnswerThenReset(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
	})
	for range 20 {
		call := callTo(t, "POST", u+"/").withChunks(io.LimitReader(&repeat{block: make([]byte, 1000)}, 8<<20))
		resp, err := testClient(t, Config{}).Do(testContext(t), call)
		if err != nil {
			var e *Error
			if errors.As(err, &e) && strings.Contains(e.Message, "reset") {
				continue // the reset overtook the answer: TCP drops it then
			}
			t.Fatal(err)
		}
		if resp.Status != 400 {
			t.Errorf("got %d", resp.Status)
		}
		resp.Body.Close()
		<-call.Sent()
	}
}

type failingReader struct {
	data string
	err  error
}

func (f *failingReader) Read(p []byte) (int, error) {
	if f.data == "" {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

// What the client did not finish does not look whole to the origin.
func TestClientCutsItsBody(t *testing.T) {
	got := make(chan error, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		b, err := io.ReadAll(wire.NewBody(br, wire.Framing{Kind: wire.Chunked}, wire.Limits{}))
		if err == nil {
			err = fmt.Errorf("whole: %q", b)
		} else if errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "reset") {
			err = nil
		}
		got <- err
	})
	call := callTo(t, "POST", u+"/").withChunks(&failingReader{"half of it", io.ErrUnexpectedEOF})
	wantError(t, mustFail(t, testClient(t, Config{}), call), capture.StageClient, 502, "cut by the client")
	if err := <-got; err != nil {
		t.Error(err)
	}
	short := callTo(t, "POST", answers(t, "HTTP/1.1 200 OK\r\n\r\n", true)+"/").withBody("hello")
	short.Framing.Length = 10
	wantErrorOneOf(t, testClient(t, Config{}), short)
}

// A client that has its answer and gives the rest of its request up gets the rest of the answer; the origin sees the cut.
func TestClientGivesUpBehindAnAnswer(t *testing.T) {
	answered, ended := make(chan struct{}), make(chan error, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\n\r\n")
		b, err := io.ReadAll(wire.NewBody(br, wire.Framing{Kind: wire.Chunked}, wire.Limits{}))
		if err == nil {
			err = fmt.Errorf("the request looks whole: %q", b)
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		ended <- err
		io.WriteString(c, "big")
	})
	call := callTo(t, "POST", u+"/").withChunks(io.MultiReader(strings.NewReader("half of it"), &waiting{answered}, &failingReader{"", io.ErrUnexpectedEOF}))
	resp, err := testClient(t, Config{}).Do(testContext(t), call)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(answered)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "big" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-call.Sent()
}

// waiting ends when something has happened.
type waiting struct{ until chan struct{} }

func (w *waiting) Read([]byte) (int, error) {
	<-w.until
	return 0, io.EOF
}

// wantErrorOneOf takes the answer that may have come before the body's end, or the error.
func wantErrorOneOf(t *testing.T, c *Client, call *Call) {
	t.Helper()
	resp, err := c.Do(testContext(t), call)
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Stage != capture.StageClient) {
		t.Errorf("got %v", err)
	}
	if resp != nil {
		resp.Body.Close()
	}
}

func TestCancel(t *testing.T) {
	closed := make(chan struct{}, 1)
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		head := readHead(br)
		if strings.HasPrefix(head, "GET /body") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
		}
		br.ReadByte()
		closed <- struct{}{}
	})
	c := testClient(t, Config{})
	ctx, cancel := context.WithCancel(testContext(t))
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := c.Do(ctx, callTo(t, "GET", u+"/head"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	wantError(t, e, capture.StageClient, 502, "given up by the client", "waiting for the answer")
	<-closed
	ctx, cancel = context.WithCancel(testContext(t))
	resp, err := c.Do(ctx, callTo(t, "GET", u+"/body"))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err = io.ReadAll(resp.Body); !errors.As(err, &e) || e.Stage != capture.StageClient {
		t.Errorf("got %v", err)
	}
	<-closed
	ctx, cancel = context.WithTimeout(testContext(t), 20*time.Millisecond)
	defer cancel()
	if _, err = c.Do(ctx, callTo(t, "GET", u+"/head")); !errors.As(err, &e) || e.Stage != capture.StageTimeout || e.Status != 504 {
		t.Errorf("got %v", err)
	}
}

func TestResponseTimeout(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) { io.Copy(io.Discard, br) })
	c := testClient(t, Config{ResponseTimeout: 50 * time.Millisecond})
	wantError(t, mustFail(t, c, callTo(t, "GET", u+"/")), capture.StageTimeout, 504, "no answer within 50 ms")
	wantError(t, mustFail(t, c, callTo(t, "POST", u+"/").withChunks(strings.NewReader("x"))), capture.StageTimeout, 504, "no answer within 50 ms")
	u = rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nA:")
		io.Copy(io.Discard, br)
	})
	wantError(t, mustFail(t, c, callTo(t, "GET", u+"/")), capture.StageTimeout, 504, "did not come to its end in time")
}

// fakeDNS resolves names for tests.
type fakeDNS map[string][]netip.Addr

func (f fakeDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := f[host]; ok {
		return a, nil
	}
	switch host {
	case "slow.test":
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, Server: "192.0.2.1:53", IsTimeout: true}
	case "broken.test":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, Server: "192.0.2.1:53", IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestDialErrors(t *testing.T) {
	dns := fakeDNS{"self.test": {netip.MustParseAddr("127.0.0.1")}, "xn--mnchen-3ya.test": {netip.MustParseAddr("127.0.0.1")},
		"two.test": {netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := testClient(t, Config{Resolver: dns, Forbidden: func(a netip.AddrPort) error {
		if a.Port() == 7777 {
			return errors.New("that is eaves itself")
		}
		return nil
	}})
	call := func(host string, port int) *Call {
		return &Call{Scheme: "http", Host: host, Port: port, Method: "GET", Target: "/", Receipt: new(Receipt)}
	}
	wantError(t, mustFail(t, c, call("none.test", 80)), capture.StageDNS, 502, "none.test: name not found", "spelling")
	wantError(t, mustFail(t, c, call("slow.test", 80)), capture.StageTimeout, 504, "looking up slow.test", "192.0.2.1")
	wantError(t, mustFail(t, c, call("broken.test", 80)), capture.StageDNS, 502, "broken.test", "misbehaving")
	wantError(t, mustFail(t, c, call("self.test", 7777)), capture.StageRoute, 403, "self.test:7777 (127.0.0.1)", "eaves itself")
	wantError(t, mustFail(t, c, call("two.test", 7777)), capture.StageRoute, 403, "eaves itself")
	wantError(t, mustFail(t, c, call("self.test", free)), capture.StageConnect, 502, fmt.Sprintf("self.test:%d (127.0.0.1)", free), "refused", "nothing listens")
	wantError(t, mustFail(t, c, call("two.test", free)), capture.StageConnect, 502, "(::1, 127.0.0.1)")
	wantError(t, mustFail(t, c, call("münchen.test", free)), capture.StageConnect, 502, "münchen.test", "refused")
	wantError(t, mustFail(t, c, call("a..b\u2028.test", 80)), capture.StageDNS, 502, "not a host name")
	wantError(t, mustFail(t, c, call("self.test", 0)), capture.StageConnect, 502, "port 0")
	wantError(t, mustFail(t, c, call("self.test", 70000)), capture.StageConnect, 502, "port 70000")
	wantError(t, mustFail(t, c, call("", 80)), capture.StageRoute, 502, "names no host")
	bad := call("self.test", 80)
	bad.Scheme = "ftp"
	wantError(t, mustFail(t, c, bad), capture.StageRoute, 502, `"ftp"`)
}

// The second family is tried when the first one does not answer, and the one that answers wins.
func TestHappyEyeballs(t *testing.T) {
	u := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
	port := portOf(t, u)
	silent := netip.MustParseAddr("2001:db8::1")
	c := testClient(t, Config{
		Resolver: fakeDNS{"both.test": {silent, netip.MustParseAddr("127.0.0.1")}},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "[2001") {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}})
	call := &Call{Scheme: "http", Host: "both.test", Port: port, Method: "GET", Target: "/", Receipt: new(Receipt)}
	mustDo(t, c, call)
	f := call.Receipt.Snapshot()
	if f.ServerIP != "127.0.0.1" || f.Timings.Connect < 200 || f.Timings.DNS < 0 {
		t.Errorf("got %+v", f)
	}
	if hop := f.Route.Hops[0]; f.Route.Source != "direct" || hop.Kind != "origin" || hop.Connect < 200 || hop.DNS < 0 {
		t.Errorf("got %+v", f.Route)
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	defer l.Close()
	heads := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		heads <- readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	port := l.Addr().(*net.TCPAddr).Port
	call := &Call{Scheme: "http", Host: "::1", Port: port, Method: "GET", Target: "/", Receipt: new(Receipt)}
	mustDo(t, testClient(t, Config{}), call)
	if head, want := <-heads, fmt.Sprintf("Host: [::1]:%d\r\n", port); !strings.Contains(head, want) {
		t.Errorf("%q is not in %q", want, head)
	}
	if ip := call.Receipt.Snapshot().ServerIP; ip != "::1" {
		t.Errorf("got %s", ip)
	}
}

// Where no more files can be opened, idle connections make room.
func TestOutOfFiles(t *testing.T) {
	var full atomic.Bool
	c := testClient(t, Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if full.CompareAndSwap(true, false) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	gone := make(chan struct{})
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		br.ReadByte()
		close(gone)
	})
	mustDo(t, c, callTo(t, "GET", u+"/"))
	full.Store(true)
	mustDo(t, c, callTo(t, "GET", answers(t, "HTTP/1.1 204 No Content\r\n\r\n", false)+"/"))
	select {
	case <-gone:
	case <-time.After(limit):
		t.Error("the idle connection is still open")
	}
	full.Store(true)
	mustDo(t, c, callTo(t, "GET", answers(t, "HTTP/1.1 204 No Content\r\n\r\n", false)+"/"))
}
