package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"eaves/capture"
)

func TestReplayTakesTheSameWay(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				b, _ := io.ReadAll(q.Body)
				io.WriteString(w, q.Proto+" "+q.Method+" "+q.Host+" "+q.Header.Get("X-A")+" "+string(b))
			}), m.secure, m.h2)
			req := ReplayRequest{
				Method: "PUT", URL: o.URL + "/again?x=1#frag", ReplayOf: 7, HTTPVersion: "HTTP/1.1",
				Header: capture.Header{{Name: "Host", Value: "other.test"}, {Name: "X-A", Value: "1"}, {Name: "Proxy-Connection", Value: "x"}},
				Body:   io.NopCloser(strings.NewReader("body")), Length: 4,
			}
			if m.h2 {
				req.HTTPVersion = "HTTP/2"
			}
			done := make(chan struct{})
			id, err := r.p.Replay(context.Background(), req, func() { close(done) })
			if err != nil || id != 1 {
				t.Fatalf("got %d, %v", id, err)
			}
			within(t, done, "the replay")
			k := r.mem.finished(t, 1)[0]
			want := "HTTP/1.1 PUT other.test 1 body"
			if m.h2 {
				want = "HTTP/2.0 PUT other.test 1 body"
			}
			if string(k.resp) != want || k.x.ReplayOf != 7 || k.x.Source != capture.SourceReplay || string(k.req) != "body" {
				t.Fatalf("recorded %+v, answer %q", k.x, k.resp)
			}
		})
	}
}

func TestReplayThatCannotBeSent(t *testing.T) {
	r := start(t, nil)
	closed := 0
	for name, req := range map[string]ReplayRequest{
		"scheme":  {Method: "GET", URL: "ftp://a.test/"},
		"url":     {Method: "GET", URL: "http://a b/"},
		"method":  {Method: "G T", URL: "http://a.test/"},
		"name":    {Method: "GET", URL: "http://a.test/", Header: capture.Header{{Name: "A B", Value: "1"}}},
		"newline": {Method: "GET", URL: "http://a.test/", Header: capture.Header{{Name: "A", Value: "1\r\nB: 2"}}},
		"port":    {Method: "GET", URL: "http://a.test:99999/"},
	} {
		req.Body = closer(func() { closed++ })
		if id, err := r.p.Replay(context.Background(), req, nil); err == nil {
			t.Errorf("%s: sent as %d", name, id)
		}
	}
	if closed != 6 {
		t.Errorf("%d bodies were closed", closed)
	}
	ctx, cancel := newCancel()
	defer cancel()
	r.p.Shutdown(ctx)
	if _, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: "http://a.test/"}, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("a proxy that has stopped: %v", err)
	}
}

type closer func()

func (closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error           { c(); return nil }

// What was sent is sent again as it was, also what no URL could say.
func TestReplayKeepsTheTarget(t *testing.T) {
	r := start(t, nil)
	lines := make(chan string, 1)
	addr := tcpOrigin(t, func(c net.Conn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		lines <- strings.TrimSpace(line)
	})
	for want, req := range map[string]ReplayRequest{
		"GET /a%zz?b=%q HTTP/1.1": {Method: "GET", URL: "http://user:word@" + addr + "/a%zz?b=%q"},
		"OPTIONS * HTTP/1.1":      {Method: "OPTIONS", URL: "http://" + addr + "/", Target: "*"},
	} {
		done := make(chan struct{})
		if _, err := r.p.Replay(context.Background(), req, func() { close(done) }); err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		within(t, done, "the replay")
		if got := <-lines; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

// An origin that was reached by its address, under a name, is asked under that name again.
func TestReplayAsksForTheSameServerName(t *testing.T) {
	r := start(t, nil)
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.TLS.ServerName) }), true, false)
	done := make(chan struct{})
	if _, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: o.URL + "/", ServerName: "example.com"}, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	within(t, done, "the replay")
	if k := r.mem.finished(t, 1)[0]; string(k.resp) != "example.com" {
		t.Fatalf("asked for %q", k.resp)
	}
}

// A replayed WebSocket opens, and ends by itself.
func TestReplayedWebSocketEnds(t *testing.T) {
	r := start(t, nil)
	up := websocket.Upgrader{}
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c, err := up.Upgrade(w, q, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.WriteMessage(websocket.TextMessage, []byte("welcome"))
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	}), false, false)
	done := make(chan struct{})
	h := capture.Header{{Name: "Connection", Value: "Upgrade"}, {Name: "Upgrade", Value: "websocket"},
		{Name: "Sec-WebSocket-Version", Value: "13"}, {Name: "Sec-WebSocket-Key", Value: "dGhlIHNhbXBsZSBub25jZQ=="}}
	if _, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: o.URL + "/", Header: h}, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	within(t, done, "the replay")
	k := r.mem.finished(t, 1)[0]
	if k.x.Kind != capture.KindWebSocket || k.x.State != capture.StateDone || len(k.messages) < 2 {
		t.Fatalf("recorded %+v %+v, %d messages", k.x, k.x.Error, len(k.messages))
	}
}
