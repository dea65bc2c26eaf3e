package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
)

// alerts watches the records of a client's handshake for an alert in clear. A client that rejects the certificate under
// TLS 1.3 before it has switched to its handshake keys (OpenSSL, and with it curl and Python) sends its alert as
// RFC 8446, 5.1, has it for that moment: unprotected. The TLS server already expects protected records and can only say
// "bad record MAC".
type alerts struct {
	head  [7]byte // of the current record: type, version, length, and two bytes of what is in it
	n     int     // how many bytes of head are there
	left  int     // how many bytes of the record are still to come behind them
	found bool
	alert tls.AlertError
}

const (
	recordAlert  = 21
	recordHeader = 5
)

func (a *alerts) watch(p []byte) {
	for len(p) > 0 {
		if a.left > 0 {
			n := min(a.left, len(p))
			a.left -= n
			p = p[n:]
			continue
		}
		a.head[a.n] = p[0]
		a.n++
		p = p[1:]
		length := int(a.head[3])<<8 | int(a.head[4])
		switch {
		case a.n < recordHeader:
		case a.n == recordHeader && (a.head[0] != recordAlert || length != 2):
			a.n, a.left = 0, length
		case a.n == len(a.head):
			// Protected alerts are longer, and under TLS 1.3 are of another type.
			a.found, a.alert, a.n = true, tls.AlertError(a.head[6]), 0
		}
	}
}

// instead returns the alert that the client sent in clear, worded as the TLS server words one that it could read, or
// err.
func (a *alerts) instead(err error) error {
	const warningCloseNotify = 0
	switch {
	case !a.found:
		return err
	case a.alert == warningCloseNotify:
		return io.EOF
	}
	return fmt.Errorf("remote error: %w", a.alert)
}
