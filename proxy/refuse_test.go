package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"eaves/capture"
)

// counted is a context that counts those which hang on it.
type counted struct {
	context.Context
	children atomic.Int64
}

// Value hides the context inside from package context, which would go to it directly.
func (c *counted) Value(any) any { return nil }

// AfterFunc is what package context calls for a child of a context that is not its own.
func (c *counted) AfterFunc(f func()) func() bool {
	c.children.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.children.Add(-1)
		return stop()
	}
}

// A request that cannot be sent anywhere leaves nothing behind: whatever hangs on the proxy's own context is held until the
// proxy ends.
func TestRefusedRequestLeavesNothing(t *testing.T) {
	p := New(Config{Recorder: capture.Discard})
	quit := &counted{Context: p.quit}
	p.quit = quit
	for range 3 {
		client, server := net.Pipe()
		c := newClientConn(p, server)
		served := make(chan struct{})
		go func() { defer close(served); c.serve() }()
		io.WriteString(client, "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("got %v, %v", resp, err)
		}
		client.Close()
		within(t, served, "the connection's end")
		c.release()
	}
	if n := quit.children.Load(); n != 0 {
		t.Errorf("%d contexts hang on the proxy's", n)
	}
}
