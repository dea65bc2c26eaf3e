//go:build unix

package upstream

import (
	"io"

	"golang.org/x/sys/unix"
)

// glance is a read that does not wait, made once a connection.
type glance struct {
	f   func(fd uintptr) bool
	p   []byte
	n   int
	err error
}

// readNow reads what is there, or returns errNothing.
func (s *sock) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return s.readSoon(p)
	}
	g := &s.glance
	if g.f == nil {
		g.f = func(fd uintptr) bool {
			for {
				g.n, g.err = unix.Read(int(fd), g.p)
				if g.err != unix.EINTR {
					return true
				}
			}
		}
	}
	g.p = p
	err := s.raw.Read(g.f)
	g.p = nil
	switch {
	case err != nil:
		return 0, err
	case g.err == unix.EAGAIN:
		return 0, errNothing
	case g.err != nil:
		return 0, g.err
	case g.n == 0:
		return 0, io.EOF
	}
	return g.n, nil
}
