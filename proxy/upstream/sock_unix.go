//go:build unix

package upstream

import (
	"io"

	"golang.org/x/sys/unix"
)

// readNow reads what is there, or returns errNothing.
func (s *sock) readNow(p []byte) (n int, err error) {
	if s.raw == nil {
		return 0, errNothing
	}
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), p)
			if err != unix.EINTR {
				return true
			}
		}
	})
	switch {
	case rerr != nil:
		return 0, rerr
	case err == unix.EAGAIN:
		return 0, errNothing
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
