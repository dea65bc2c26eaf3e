package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// modes are the ways a client can reach an origin.
var modes = []struct {
	name       string
	secure, h2 bool
}{{"plain", false, false}, {"tls-h1", true, false}, {"tls-h2", true, true}}

func TestExchangeIsForwardedAndRecorded(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				b, _ := io.ReadAll(q.Body)
				w.Header().Set("X-Proto", q.Proto)
				w.Header().Set("Content-Type", "text/plain")
				fmt.Fprintf(w, "%s %s %q", q.Method, q.URL.RequestURI(), b)
			}), m.secure, m.h2)
			resp, err := r.client(m.h2).Post(o.URL+"/a%2Fb?c=http://d", "text/x", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			want := `POST /a%2Fb?c=http://d "hello"`
			if string(body) != want || resp.StatusCode != 200 {
				t.Fatalf("got %d %q, want %q", resp.StatusCode, body, want)
			}
			k := r.mem.finished(t, 1)[0]
			x := k.x
			if x.State != capture.StateDone || x.Request.Method != "POST" || x.Request.URL != o.URL+"/a%2Fb?c=http://d" || x.Response.Status != 200 {
				t.Fatalf("recorded %+v", x)
			}
			if string(k.req) != "hello" || string(k.resp) != want {
				t.Fatalf("recorded bodies %q and %q", k.req, k.resp)
			}
			if x.Time < 0 || x.Timings.Wait < 0 || x.ServerIPAddress != "127.0.0.1" || x.AnsweredBy != capture.AnsweredByOrigin {
				t.Fatalf("recorded %+v", x)
			}
			if m.secure && (x.TLS == nil || !x.TLS.Verified || x.ClientTLS == nil) {
				t.Fatalf("TLS is missing: %+v %+v", x.TLS, x.ClientTLS)
			}
			wantProto := "HTTP/1.1"
			if m.h2 {
				wantProto = "HTTP/2"
			}
			if x.Response.HTTPVersion != wantProto || x.Client.HTTPVersion != wantProto {
				t.Fatalf("versions %s and %s, want %s", x.Client.HTTPVersion, x.Response.HTTPVersion, wantProto)
			}
		})
	}
}

// rawOrigin answers each connection with fixed bytes once a head has come, and keeps what it got.
func rawOrigin(t *testing.T, answer string, hold time.Duration) (addr string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(waitLimit))
				br := bufio.NewReader(c)
				var head strings.Builder
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					head.WriteString(line)
					if line == "\r\n" {
						break
					}
				}
				got <- head.String()
				io.WriteString(c, answer)
			}()
		}
	}()
	return l.Addr().String(), got
}

func TestHeadsArriveAsTheyWereSent(t *testing.T) {
	r := start(t, nil)
	answer := "HTTP/1.1 299 Quite Fine\r\nx-lower: 1\r\nX-UPPER:2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok"
	addr, got := rawOrigin(t, answer, 0)
	c := r.dial()
	fmt.Fprintf(c, "GET http://%s/p%%20q?x=1#f HTTP/1.1\r\nhOST: %s\r\nZ-last: 1\r\na-FIRST: 2\r\nProxy-Connection: keep-alive\r\naccept-encoding: x\r\nConnection: close\r\n\r\n", addr, addr)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head := <-got
	if want := "GET /p%20q?x=1#f HTTP/1.1\r\nhOST: " + addr + "\r\nZ-last: 1\r\na-FIRST: 2\r\naccept-encoding: x\r\n\r\n"; head != want {
		t.Errorf("the origin got %q, want %q", head, want)
	}
	if want := strings.Replace(answer, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1); string(b) != want {
		t.Errorf("the client got %q, want %q", b, want)
	}
}

func TestCutAnswerArrivesCut(t *testing.T) {
	for name, answer := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			addr, _ := rawOrigin(t, answer, 0)
			resp, err := r.client(false).Get("http://" + addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if !errors.Is(err, io.ErrUnexpectedEOF) || string(b) != "abc" {
				t.Fatalf("got %q, %v; want abc and an unexpected end", b, err)
			}
			x := r.mem.finished(t, 1)[0].x
			if x.State != capture.StateFailed || x.Error == nil || !x.Response.Truncated {
				t.Fatalf("recorded %+v", x)
			}
		})
	}
}

func TestFailureIsAnExchangeAndAnAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	r := start(t, nil)
	for _, scheme := range []string{"http", "https"} {
		resp, err := r.client(false).Get(scheme + "://" + closed.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 502 || !bytes.Contains(b, []byte("connect: ")) {
			t.Errorf("%s: got %d %q", scheme, resp.StatusCode, b)
		}
	}
	for _, k := range r.mem.finished(t, 2) {
		if k.x.State != capture.StateFailed || k.x.Error.Stage != capture.StageConnect || k.x.AnsweredBy != capture.AnsweredByEaves {
			t.Errorf("recorded %+v, %+v", k.x, k.x.Error)
		}
	}
}

func TestEavesDoesNotProxyToItself(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", r.addr)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 403 {
		t.Fatalf("got %v, %v; want 403", resp, err)
	}
	r.mem.finished(t, 1)
}

func TestStreamingIsNotHeldBack(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			next := make(chan struct{})
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				for i := range 3 {
					select {
					case <-next:
					case <-q.Context().Done():
						return
					}
					fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
				}
			}), m.secure, m.h2)
			resp, err := r.client(m.h2).Get(o.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			br := bufio.NewReader(resp.Body)
			for i := range 3 {
				next <- struct{}{}
				line, err := br.ReadString('\n')
				if err != nil || line != fmt.Sprintf("data: %d\n", i) {
					t.Fatalf("event %d: %q, %v", i, line, err)
				}
				br.ReadString('\n')
			}
			io.Copy(io.Discard, br)
			k := r.mem.finished(t, 1)[0]
			if len(k.messages) != 3 || string(k.messages[2].Data) != "data: 2" {
				t.Fatalf("recorded messages %+v", k.messages)
			}
		})
	}
}

func TestUploadIsStreamed(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			seen := make(chan byte)
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				b := make([]byte, 1)
				for {
					if _, err := io.ReadFull(q.Body, b); err != nil {
						break
					}
					seen <- b[0]
				}
				fmt.Fprintf(w, "done %v", q.Trailer)
			}), m.secure, m.h2)
			pr, pw := io.Pipe()
			go func() {
				for i := range 3 {
					pw.Write([]byte{byte(i)})
					if <-seen != byte(i) {
						pw.CloseWithError(errors.New("another byte was seen"))
						return
					}
				}
				pw.Close()
			}()
			req, _ := http.NewRequest("POST", o.URL, pr)
			req.Trailer = http.Header{"X-Sum": {"42"}}
			resp, err := r.client(m.h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(b) != "done map[X-Sum:[42]]" {
				t.Fatalf("got %q", b)
			}
			k := r.mem.finished(t, 1)[0]
			if string(k.req) != "\x00\x01\x02" || k.x.Request.Trailer.Get("X-Sum") != "42" {
				t.Fatalf("recorded %q and trailers %v", k.req, k.x.Request.Trailer)
			}
		})
	}
}

// The head of a refused request is not recorded as its body: bodies are exported as they are, and sent again.
func TestRefusedHeadIsNoBody(t *testing.T) {
	r := start(t, nil)
	for _, line := range []string{"Content-Length: 3\r\nTransfer-Encoding: chunked", "Bad Header : x"} {
		c := r.dial()
		io.WriteString(c, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer hush\r\n"+line+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("%s: got %v, %v", line, resp, err)
		}
	}
	for _, k := range r.mem.finished(t, 2) {
		if len(k.req) > 0 || k.x.Request.HeadersSize <= 0 {
			t.Errorf("recorded body %q, head of %d bytes", k.req, k.x.Request.HeadersSize)
		}
	}
}
