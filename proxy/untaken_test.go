package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// What a replay had to send is recorded also where no origin takes it, so that it can be sent once more.
func TestReplayThatFailsKeepsItsBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	large := strings.Repeat("x", 3<<20)
	// This origin takes the head and a part of the body, and leaves.
	hangsUp := tcpOrigin(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 100))
		c.(*net.TCPConn).SetLinger(0)
	})
	for name, c := range map[string]struct {
		address, body string
		length        int64
	}{"length": {closed, "payload", 7}, "chunked": {closed, "payload", -1}, "large": {closed, large, int64(len(large))}, "hung up on": {hangsUp, large, int64(len(large))}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			done := make(chan struct{})
			req := ReplayRequest{Method: "POST", URL: "http://" + c.address + "/", ReplayOf: 1, Body: io.NopCloser(strings.NewReader(c.body)), Length: c.length}
			if _, err := r.p.Replay(context.Background(), req, func() { close(done) }); err != nil {
				t.Fatal(err)
			}
			within(t, done, "the replay")
			k := r.mem.finished(t, 1)[0]
			if k.x.State != capture.StateFailed || string(k.req) != c.body || k.x.Request.Truncated {
				t.Errorf("%s: %d of %d bytes recorded, truncated %v", k.x.State, len(k.req), len(c.body), k.x.Request.Truncated)
			}
		})
	}
}

// blocking is the rule that blocks whatever goes to a path.
func blocking(t *testing.T, what string) func(*Config) {
	f, err := filter.Parse(what)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Rules = func() []Rule { return []Rule{{Name: "rule 1", Filter: f, Action: ActionBlock}} }
	}
}

// A blocked request is recorded with its body.
func TestBlockedRequestKeepsItsBody(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, blocking(t, "path:/ads"))
			o := r.origin(http.NotFoundHandler(), m.secure, m.h2)
			resp, err := r.client(m.h2).Post(o.URL+"/ads", "text/plain", strings.NewReader("payload"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			k := r.mem.finished(t, 1)[0]
			if resp.StatusCode != http.StatusForbidden || k.x.State != capture.StateDone || string(k.req) != "payload" || k.x.Request.Truncated {
				t.Errorf("answer %d, recorded %s with %q, truncated %v", resp.StatusCode, k.x.State, k.req, k.x.Request.Truncated)
			}
		})
	}
}

// A body that its client does not send to the end is recorded as a part, and holds the answer up no longer than a moment.
func TestBlockedRequestWhoseBodyDoesNotCome(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, blocking(t, "path:/ads"))
			o := r.origin(http.NotFoundHandler(), m.secure, m.h2)
			body, rest := io.Pipe()
			defer rest.Close()
			go rest.Write([]byte("pay"))
			q, err := http.NewRequest(http.MethodPost, o.URL+"/ads", body)
			if err != nil {
				t.Fatal(err)
			}
			q.ContentLength = 7
			begin := time.Now()
			resp, err := r.client(m.h2).Do(q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			k := r.mem.finished(t, 1)[0]
			if resp.StatusCode != http.StatusForbidden || k.x.State != capture.StateDone || string(k.req) != "pay" || !k.x.Request.Truncated {
				t.Errorf("answer %d after %v, recorded %s %v with %q, truncated %v", resp.StatusCode, time.Since(begin), k.x.State, k.x.Error, k.req, k.x.Request.Truncated)
			}
		})
	}
}
