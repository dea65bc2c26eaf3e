//go:build !unix

package upstream

import (
	"errors"
	"os"
	"time"
)

// wait is how long is waited where a read that does not wait is not to be had.
const wait = time.Millisecond

// readNow reads what is there, or returns errNothing.
func (s *sock) readNow(p []byte) (int, error) {
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

// glance needs nothing here.
type glance struct{}
