package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// exhausted is a listener that runs out of descriptors once it has accepted some.
type exhausted struct {
	net.Listener
	left int
	over chan struct{}
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return l.Listener.Accept()
	}
	select {
	case <-l.over:
		return nil, net.ErrClosed
	default:
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
}

func TestIdleClientsMakeRoom(t *testing.T) {
	r := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	el := &exhausted{Listener: l, left: 1, over: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- r.p.Serve(context.Background(), el) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(waitLimit))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an idle client kept its connection: %v", err)
	}
	close(el.over)
	if err := <-served; err != nil {
		t.Error(err)
	}
}
