package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// sock is the connection below TLS. It counts what is written, and can be read without waiting, so that nobody has to
// sit on an idle connection to learn that it died.
type sock struct {
	net.Conn
	raw    syscall.RawConn // nil where the connection has none
	probe  bool            // reads do not wait; set by whoever has the connection to himself
	wrote  atomic.Int64
	ended  atomic.Bool // reading has come to the end of the connection
	glance glance      // what a read that does not wait needs
}

func newSock(c net.Conn) *sock {
	s := &sock{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	return s
}

func (s *sock) Read(p []byte) (int, error) {
	if s.probe {
		return s.readNow(p)
	}
	n, err := s.Conn.Read(p)
	if err == io.EOF {
		s.ended.Store(true)
	}
	return n, err
}

func (s *sock) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	s.wrote.Add(int64(n))
	return n, err
}

// CloseWrite ends the writing side.
func (s *sock) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// wait is how long is waited where a read that does not wait is not to be had: within TLS with a parent proxy, for
// instance.
const wait = time.Millisecond

// readSoon reads what is there in a moment, or returns errNothing.
func (s *sock) readSoon(p []byte) (int, error) {
	if err := s.Conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(p)
	if n > 0 {
		err = nil
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNothing
	}
	if e := s.Conn.SetReadDeadline(time.Time{}); e != nil && err == errNothing {
		err = e
	}
	return n, err
}

// errNothing says that there is nothing to read at the moment. crypto/tls lets a connection live on after an error that
// is temporary.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing to read at the moment" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }
