package upstream

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a connection on which nothing has come; it counts how often somebody looks.
type silent struct {
	net.Conn
	looked atomic.Int32
}

func (s *silent) Read([]byte) (int, error) {
	s.looked.Add(1)
	return 0, errNothing
}

// However often sweeping is begun while a sweep is under way, as by a crowd of hosts that comes and goes, it goes on once.
func TestSweepsDoNotMultiply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{IdleTimeout: time.Hour})
		defer c.Close()
		h := c.host(key{scheme: "http", host: "a.test", port: 80}, nil, &Route{})
		conn := &silent{}
		h.idle = []*h1conn{{link: &link{Conn: conn, sock: &sock{}}, host: h, idleSince: time.Now()}}
		for range 5 {
			c.sweep()
		}
		conn.looked.Store(0)
		time.Sleep(10*sweepEvery + sweepEvery/2)
		synctest.Wait()
		if n := conn.looked.Load(); n != 10 {
			t.Errorf("in ten times the period, it was looked at %d times", n)
		}
		h.mu.Lock()
		h.idle = nil
		h.mu.Unlock()
	})
}
