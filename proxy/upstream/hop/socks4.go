package hop

import (
	"encoding/binary"
	"io"
	"net/netip"
	"strings"

	"eaves/capture"
)

// socks4 asks a SOCKS4 proxy for a connection, names looked up by the proxy (SOCKS4A).
func socks4(s *stream, h Hop, to *station, r *capture.Hop) error {
	user := ""
	if h.Credentials != nil {
		user = h.Credentials.User
	}
	if strings.IndexByte(user, 0) >= 0 || strings.IndexByte(to.host, 0) >= 0 || len(to.host) > 255 {
		return fail(h, nil, "%q cannot be asked for by SOCKS4a", to.host)
	}
	r.Authentication = "none"
	q := binary.BigEndian.AppendUint16([]byte{4, 1}, uint16(to.port))
	ip, err := netip.ParseAddr(to.host)
	if named := err != nil || !ip.Unmap().Is4(); named {
		q = append(q, 0, 0, 0, 1) // 0.0.0.x says that a name follows
		q = append(append(q, user...), 0)
		q = append(append(q, to.host...), 0)
	} else {
		v4 := ip.Unmap().As4()
		q = append(q, v4[:]...)
		q = append(append(q, user...), 0)
	}
	if _, err := s.Write(q); err != nil {
		return err
	}
	var a [8]byte
	if _, err := io.ReadFull(s, a[:1]); err != nil {
		return err
	}
	if a[0] != 0 {
		return notSOCKS(h, a[0], "SOCKS4")
	}
	if _, err := io.ReadFull(s, a[1:]); err != nil {
		return err
	}
	switch a[1] {
	case 90:
		return nil
	case 91:
		return fail(h, nil, "it refused a connection to %s, or could not make it (SOCKS4 91)", to.what()).no().
			hint("SOCKS4 does not say why: look at the proxy's log")
	case 92:
		return fail(h, nil, "it refused a connection to %s: it asks this machine's identd who the user is, and got no answer (SOCKS4 92)", to.what()).no().
			hint("SOCKS5 does without: name the proxy socks5://%s if it speaks that", h.Address())
	case 93:
		return fail(h, nil, "it refused a connection to %s: identd names another user (SOCKS4 93)", to.what()).no().
			hint("name the user that identd names, in the proxy's URL: --via socks4a://USER@%s", h.Address())
	}
	return fail(h, nil, "it answered with the unknown SOCKS4 code %d", a[1]).no().hint("look at the proxy's log")
}

// notSOCKS says what answers in place of a SOCKS proxy.
func notSOCKS(h Hop, first byte, want string) *Error {
	e := fail(h, nil, "it does not answer in %s (its first byte is %#x)", want, first)
	switch first {
	case 'H':
		return e.hint("it answers in HTTP: name the proxy http://%s", h.Address())
	case 0x15, 0x16:
		return e.hint("it answers in TLS: name the proxy https://%s", h.Address())
	case 5:
		return e.hint("it speaks SOCKS5: name the proxy socks5://%s", h.Address())
	case 0:
		return e.hint("it may speak SOCKS4 alone: name the proxy socks4a://%s", h.Address())
	}
	return e.hint("check the port and the kind of the proxy")
}
