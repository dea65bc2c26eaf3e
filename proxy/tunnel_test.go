package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// tcpOrigin serves each connection with f.
func tcpOrigin(t *testing.T, f func(c net.Conn)) string {
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
				c.SetDeadline(time.Now().Add(waitLimit))
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// connect opens a tunnel; more is sent in the same packet.
func (r *rig) connect(addr, more string) (net.Conn, *bufio.Reader) {
	r.t.Helper()
	c := r.dial()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n%s", addr, addr, more)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: "CONNECT"})
	if err != nil || resp.StatusCode != 200 {
		r.t.Fatalf("CONNECT: %v, %v", resp, err)
	}
	return c, br
}

func TestOtherProtocolsPassThrough(t *testing.T) {
	for _, test := range []struct {
		name, client, server string
		serverFirst          bool
	}{
		{"client first", "EHLO there\r\n", "250 ok\r\n", false},
		{"server first", "EHLO there\r\n", "220 ready\r\n", true},
		{"binary", "\x00\x01\x02\xff", "\x80\x81", false},
		{"ssh", "SSH-2.0-x\r\n", "SSH-2.0-y\r\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil)
			addr := tcpOrigin(t, func(c net.Conn) {
				if test.serverFirst {
					io.WriteString(c, test.server)
				}
				b := make([]byte, len(test.client))
				if _, err := io.ReadFull(c, b); err != nil || string(b) != test.client {
					return
				}
				if !test.serverFirst {
					io.WriteString(c, test.server)
				}
				io.Copy(c, c) // until the client ends its half
			})
			var c net.Conn
			var br *bufio.Reader
			if test.serverFirst {
				c, br = r.connect(addr, "")
			} else {
				c, br = r.connect(addr, test.client)
			}
			b := make([]byte, len(test.server))
			if _, err := io.ReadFull(br, b); err != nil || string(b) != test.server {
				t.Fatalf("got %q, %v", b, err)
			}
			if test.serverFirst {
				io.WriteString(c, test.client)
			}
			io.WriteString(c, "more")
			c.(*net.TCPConn).CloseWrite()
			if rest, err := io.ReadAll(br); err != nil || string(rest) != "more" {
				t.Fatalf("got %q, %v", rest, err)
			}
			x := r.mem.finished(t, 1)[0].x
			if x.Kind != capture.KindTunnel || x.State != capture.StateDone || x.Request.URL != "tcp://"+addr ||
				x.Request.BodySize != int64(len(test.client)+4) || x.Response.BodySize != int64(len(test.server)+4) {
				t.Fatalf("recorded %+v, response %+v", x, x.Response)
			}
		})
	}
}

func TestSilentTunnelLeavesNoRow(t *testing.T) {
	r := start(t, nil)
	opened := make(chan struct{}, 1)
	addr := tcpOrigin(t, func(c net.Conn) { opened <- struct{}{}; io.Copy(io.Discard, c) })
	c, br := r.connect(addr, "")
	<-opened // the server has been asked whether it speaks first
	c.Close()
	io.Copy(io.Discard, br)
	// The next exchange is the first.
	o := r.origin(http.NotFoundHandler(), false, false)
	if _, err := r.client(false).Get(o.URL); err != nil {
		t.Fatal(err)
	}
	if all := r.mem.finished(t, 1); len(all) != 1 || all[0].x.Kind != capture.KindHTTP {
		t.Fatalf("recorded %d exchanges, first %+v", len(all), all[0].x)
	}
}

func TestSilentTunnelCanStillSpeakHTTP(t *testing.T) {
	r := start(t, nil)
	opened := make(chan struct{}, 1)
	addr := tcpOrigin(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		opened <- struct{}{}
		if _, err := http.ReadRequest(br); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	c, br := r.connect(addr, "")
	<-opened
	fmt.Fprintf(c, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	x := r.mem.finished(t, 1)[0].x
	if x.Kind != capture.KindHTTP || !strings.HasSuffix(x.Request.URL, "/late") {
		t.Fatalf("recorded %+v", x)
	}
}

func TestTunnelBreaksVisibly(t *testing.T) {
	r := start(t, nil)
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	addr := l.Addr().String()
	l.Close()
	c, br := r.connect(addr, "\x00raw")
	if b, _ := io.ReadAll(br); len(b) != 0 {
		t.Errorf("got %q from nobody", b)
	}
	c.Close()
	x := r.mem.finished(t, 1)[0].x
	if x.Kind != capture.KindTunnel || x.State != capture.StateFailed || x.Error.Stage != capture.StageConnect {
		t.Fatalf("recorded %+v %+v", x, x.Error)
	}
}

func TestSOCKS5(t *testing.T) {
	r := start(t, nil)
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, "hi") }), false, false)
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(o.URL, "http://"))
	c := r.dial()
	c.Write([]byte{5, 1, 0})
	b := make([]byte, 10)
	if _, err := io.ReadFull(c, b[:2]); err != nil || b[1] != 0 {
		t.Fatalf("greeting: %v %v", b[:2], err)
	}
	q := append([]byte{5, 1, 0, 3, byte(len(host))}, host...)
	n := 0
	fmt.Sscan(port, &n)
	c.Write(binary.BigEndian.AppendUint16(q, uint16(n)))
	if _, err := io.ReadFull(c, b); err != nil || b[1] != 0 {
		t.Fatalf("request: %v %v", b, err)
	}
	fmt.Fprintf(c, "GET /s HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	if x := r.mem.finished(t, 1)[0].x; x.Request.URL != o.URL+"/s" {
		t.Fatalf("recorded %+v", x)
	}
}

func TestClientThatDistrustsTheCA(t *testing.T) {
	r := start(t, nil)
	for i := range 2 {
		c, _ := r.connect("pinned.test:443", "")
		tc := tls.Client(c, &tls.Config{ServerName: "pinned.test"})
		if err := tc.Handshake(); err == nil {
			t.Fatal("a client that does not know the CA trusted it")
		}
		c.Close()
		x := r.mem.finished(t, i+1)[i].x
		if x.Kind != capture.KindTunnel || x.Error == nil || x.Error.Stage != capture.StageClient || !strings.Contains(x.Error.Message, "does not trust") {
			t.Fatalf("recorded %+v %+v", x, x.Error)
		}
		if offered := strings.Contains(x.Error.Hint, "passthrough"); offered != (i == 1) {
			t.Errorf("failure %d: hint %q", i+1, x.Error.Hint)
		}
	}
}

func TestPassthroughLeavesTLSAlone(t *testing.T) {
	for _, how := range []string{"rule", "alpn"} {
		t.Run(how, func(t *testing.T) {
			r := start(t, func(c *Config) {
				if how == "rule" {
					f, err := filter.Parse("host:127.0.0.1")
					if err != nil {
						t.Fatal(err)
					}
					c.Rules = func() []Rule { return []Rule{{Name: "1", Filter: f, Action: ActionPassthrough}} }
				}
			})
			o := r.origin(http.NotFoundHandler(), true, false)
			o.TLS.NextProtos = append(o.TLS.NextProtos, "mqtt")
			addr := strings.TrimPrefix(o.URL, "https://")
			c, _ := r.connect(addr, "")
			cfg := &tls.Config{RootCAs: r.roots, ServerName: "example.com"}
			if how == "alpn" {
				cfg.NextProtos = []string{"mqtt"}
			}
			tc := tls.Client(c, cfg)
			if err := tc.Handshake(); err != nil {
				t.Fatalf("the origin's own certificate did not come through: %v", err)
			}
			tc.Close()
			if x := r.mem.finished(t, 1)[0].x; x.Kind != capture.KindTunnel || x.Response.BodySize == 0 {
				t.Fatalf("recorded %+v", x)
			}
		})
	}
}

func TestPassthroughOfADeadHostIsABadGateway(t *testing.T) {
	f, _ := filter.Parse("host:127.0.0.1")
	r := start(t, func(c *Config) {
		c.Rules = func() []Rule { return []Rule{{Name: "1", Filter: f, Action: ActionPassthrough}} }
	})
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	addr := l.Addr().String()
	l.Close()
	c := r.dial()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", addr)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 502 {
		t.Fatalf("got %v, %v", resp, err)
	}
}

func TestRules(t *testing.T) {
	rule := func(s string, a Action) Rule {
		f, err := filter.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return Rule{Name: "'" + s + "'", Filter: f, Action: a}
	}
	r := start(t, func(c *Config) {
		c.Rules = func() []Rule { return []Rule{rule("path:/secret", ActionIgnore), rule("path:/ads", ActionBlock)} }
	})
	asked := 0
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { asked++ }), false, false)
	for path, want := range map[string]int{"/secret": 200, "/ads": 403} {
		resp, err := r.client(false).Get(o.URL + path)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s: %v, %v", path, resp, err)
		}
		resp.Body.Close()
	}
	all := r.mem.finished(t, 1)
	if len(all) != 1 || all[0].x.Response.Status != 403 || asked != 1 || all[0].x.AnsweredBy != capture.AnsweredByEaves {
		t.Fatalf("recorded %d exchanges, the origin was asked %d times", len(all), asked)
	}
}

func TestPriorKnowledgeHTTP2InATunnel(t *testing.T) {
	r := start(t, nil)
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	srv := &http.Server{Protocols: &p, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.Proto) })}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	tr := &http.Transport{Protocols: &p, DialContext: func(context.Context, string, string) (net.Conn, error) {
		c, _ := r.connect(l.Addr().String(), "")
		return c, nil
	}}
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := (&http.Client{Transport: tr, Timeout: waitLimit}).Get("http://" + l.Addr().String() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(b) != "HTTP/2.0" {
		t.Fatalf("the origin was spoken to in %q", b)
	}
	if x := r.mem.finished(t, 1)[0].x; x.Request.HTTPVersion != "HTTP/2" || !strings.HasPrefix(x.Request.URL, "http://") {
		t.Fatalf("recorded %+v", x)
	}
}

func TestShutdownDoesNotWaitForTunnels(t *testing.T) {
	r := start(t, nil)
	got := make(chan struct{}, 2)
	addr := tcpOrigin(t, func(c net.Conn) {
		b := make([]byte, 4)
		io.ReadFull(c, b)
		got <- struct{}{}
		io.Copy(io.Discard, c)
	})
	r.connect(addr, "\x00raw")
	r.connect(addr, "") // silent
	<-got
	ctx, cancel := newCancel()
	defer cancel()
	if err := r.p.Shutdown(ctx); err != nil {
		t.Fatalf("shutting down waited until it was cut off: %v", err)
	}
	if x := r.mem.finished(t, 1)[0].x; x.State != capture.StateFailed || !strings.Contains(x.Error.Message, "eaves was stopped") {
		t.Fatalf("recorded %+v %+v", x, x.Error)
	}
}

// A client that resumes its TLS session asks the origin by the same name as before.
func TestResumedSessionKeepsItsServerName(t *testing.T) {
	r := start(t, nil)
	names := make(chan string, 2)
	o := r.origin(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { names <- q.TLS.ServerName }), true, false)
	sessions := tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		c, _ := r.connect(o.Listener.Addr().String(), "")
		tc := tls.Client(c, &tls.Config{ServerName: "example.com", RootCAs: r.leaves, ClientSessionCache: sessions})
		io.WriteString(tc, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
		if _, err := io.ReadAll(tc); err != nil {
			t.Fatal(err)
		}
		if got := tc.ConnectionState().DidResume; got != resumed {
			t.Fatalf("resumed: %v, want %v", got, resumed)
		}
		if got := <-names; got != "example.com" {
			t.Errorf("resumed %v: the origin was asked for %q", resumed, got)
		}
	}
}

// A client that waits for its server's first word, of a server that cannot be reached, is not left waiting, and is a row.
func TestSilentClientOfADeadHostIsTold(t *testing.T) {
	r := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, br := r.connect(addr, "")
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("the tunnel's end: %v", err)
	}
	c.Close()
	x := r.mem.finished(t, 1)[0].x
	if x.Kind != capture.KindTunnel || x.State != capture.StateFailed || x.Error == nil || x.Error.Stage != capture.StageConnect {
		t.Errorf("recorded %+v, %+v", x, x.Error)
	}
}

// What a rule blocks does not reach its host as bytes either, also where a later rule would pass them through.
func TestBlockedHostGetsNoBytes(t *testing.T) {
	f, err := filter.Parse("host:127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	block, pass := Rule{Name: "rule 1", Filter: f, Action: ActionBlock}, Rule{Name: "rule 2", Filter: f, Action: ActionPassthrough}
	for name, rules := range map[string][]Rule{"alone": {block}, "before passthrough": {block, pass}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *Config) { c.Rules = func() []Rule { return rules } })
			reached := make(chan struct{}, 1)
			addr := tcpOrigin(t, func(net.Conn) { reached <- struct{}{} })
			c, br := r.connect(addr, "SSH-2.0-test\r\n")
			if _, err := br.ReadByte(); err == nil {
				t.Error("the tunnel was answered")
			}
			c.Close()
			x := r.mem.finished(t, 1)[0].x
			if x.Kind != capture.KindTunnel || x.Error == nil || x.Error.Message != "blocked by rule 1" {
				t.Errorf("recorded %+v, %+v", x, x.Error)
			}
			select {
			case <-reached:
				t.Error("the host was reached")
			default:
			}
		})
	}
}

// A request in a tunnel goes to the tunnel's end whatever host its absolute target names: that is what is recorded, and what
// rules see.
func TestAbsoluteTargetInATunnel(t *testing.T) {
	f, err := filter.Parse("host:127.0.0.1 path:/blocked")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config) {
		c.Rules = func() []Rule { return []Rule{{Name: "rule 1", Filter: f, Action: ActionBlock}} }
	})
	addr := r.origin(http.NotFoundHandler(), false, false).Listener.Addr().String()
	for path, want := range map[string]int{"/free": http.StatusNotFound, "/blocked": http.StatusForbidden} {
		c, br := r.connect(addr, "GET http://other.test"+path+"?q HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: got %v, %v", path, resp, err)
		}
		c.Close()
	}
	for _, k := range r.mem.finished(t, 2) {
		if !strings.HasPrefix(k.x.Request.URL, "http://"+addr+"/") {
			t.Errorf("recorded %s", k.x.Request.URL)
		}
	}
}
