package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"eaves/capture"
)

func TestWebSocket(t *testing.T) {
	for _, m := range modes[:2] {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%v", m.name, compress), func(t *testing.T) {
				r := start(t, nil)
				up := websocket.Upgrader{EnableCompression: compress}
				o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					c, err := up.Upgrade(w, q, nil)
					if err != nil {
						return
					}
					defer c.Close()
					for {
						kind, p, err := c.ReadMessage()
						if err != nil {
							return
						}
						c.WriteMessage(kind, p)
					}
				}), m.secure, false)
				d := websocket.Dialer{EnableCompression: compress, TLSClientConfig: &tls.Config{RootCAs: r.leaves}, HandshakeTimeout: waitLimit,
					Proxy: func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: r.addr}, nil }}
				c, _, err := d.Dial("ws"+strings.TrimPrefix(o.URL, "http"), nil)
				if err != nil {
					t.Fatal(err)
				}
				long := strings.Repeat("long message ", 10_000)
				for _, s := range []string{"hello", long, ""} {
					if err := c.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
						t.Fatal(err)
					}
					if _, p, err := c.ReadMessage(); err != nil || string(p) != s {
						t.Fatalf("echo of %.20q: %.20q, %v", s, p, err)
					}
				}
				c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
				c.ReadMessage()
				c.Close()
				k := r.mem.finished(t, 1)[0]
				if k.x.Kind != capture.KindWebSocket || k.x.State != capture.StateDone || k.x.Response.Status != 101 {
					t.Fatalf("recorded %+v %+v", k.x, k.x.Error)
				}
				var sent []string
				for _, m := range k.messages {
					if m.Direction == "sent" {
						sent = append(sent, m.Kind+" "+string(m.Data))
					}
				}
				want := []string{"text hello", "text " + long, "text ", "close 1000 bye"}
				if strings.Join(sent, "|") != strings.Join(want, "|") {
					t.Fatalf("recorded %d messages sent: %.200q", len(sent), sent)
				}
			})
		}
	}
}

func TestOtherUpgrade(t *testing.T) {
	r := start(t, nil)
	addr := tcpOrigin(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		q, err := http.ReadRequest(br)
		if err != nil || q.Header.Get("Upgrade") != "tcp" || q.Header.Get("Connection") != "Upgrade" {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst")
		io.Copy(c, br)
	})
	c := r.dial()
	fmt.Fprintf(c, "POST http://%s/containers/x/attach HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly", addr, addr)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 || resp.Status != "101 UPGRADED" {
		t.Fatalf("got %+v, %v", resp, err)
	}
	io.WriteString(c, "more")
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(br)
	if err != nil || string(b) != "firstearlymore" {
		t.Fatalf("got %q, %v", b, err)
	}
	k := r.mem.finished(t, 1)[0]
	if string(k.req) != "earlymore" || string(k.resp) != "firstearlymore" || k.x.State != capture.StateDone {
		t.Fatalf("recorded %q, %q, %+v", k.req, k.resp, k.x)
	}
}

func TestContinueAndEarlyHints(t *testing.T) {
	r := start(t, nil)
	addr := tcpOrigin(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		q, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
		b, _ := io.ReadAll(q.Body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
	})
	c := r.dial()
	br := bufio.NewReader(c)
	fmt.Fprintf(c, "PUT http://%s/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", addr, addr)
	for _, want := range []string{"HTTP/1.1 103 Early Hints\r\n", "Link: </a.css>\r\n", "\r\n", "HTTP/1.1 100 Continue\r\n", "\r\n"} {
		line, err := br.ReadString('\n')
		if err != nil || line != want {
			t.Fatalf("got %q, %v; want %q", line, err, want)
		}
	}
	io.WriteString(c, "body")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "body" {
		t.Fatalf("got %q", b)
	}
	x := r.mem.finished(t, 1)[0].x
	if len(x.Response.Informational) != 2 || x.Response.Informational[0].Status != 103 {
		t.Fatalf("recorded %+v", x.Response)
	}
}

func TestClientThatLeavesCancelsTheOrigin(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			began, ended := make(chan struct{}), make(chan struct{})
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				close(began)
				<-q.Context().Done()
				close(ended)
			}), m.secure, m.h2)
			cl := r.client(m.h2)
			cl.Timeout = 0
			req, _ := http.NewRequest("GET", o.URL, nil)
			ctx, cancel := newCancel()
			go func() { <-began; cancel() }()
			if _, err := cl.Do(req.WithContext(ctx)); err == nil {
				t.Fatal("there was an answer")
			}
			within(t, ended, "the origin's request to be cancelled")
			x := r.mem.finished(t, 1)[0].x
			if x.State != capture.StateFailed || x.Error.Stage != capture.StageClient {
				t.Fatalf("recorded %+v %+v", x, x.Error)
			}
		})
	}
}

func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	r := start(t, nil)
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, "answer") }), false, false)
	c := r.dial()
	fmt.Fprintf(c, "GET %s/ HTTP/1.0\r\n\r\n", o.URL)
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(b), "answer") {
		t.Fatalf("got %q, %v", b, err)
	}
}
