package hop

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"

	"eaves/capture"
)

// Methods of authentication (RFC 1928, 3).
const (
	methodNone     = 0
	methodPassword = 2
	methodNothing  = 0xff
)

// socks5 asks a SOCKS5 proxy for a connection (RFC 1928), names looked up by the proxy.
func (d *Dialer) socks5(ctx context.Context, s *stream, h Hop, to *station, r *capture.Hop) error {
	if len(to.host) > 255 {
		return fail(h, nil, "the name %.40q... is too long for SOCKS5", to.host)
	}
	c := h.Credentials
	methods := []byte{5, 1, methodNone}
	if c != nil && c.User != "" && c.Password != nil {
		methods = []byte{5, 2, methodNone, methodPassword}
	}
	var method byte
	err := d.bounded(ctx, s, h, "agreeing with it on authentication", func() (err error) {
		if _, err = s.Write(methods); err != nil {
			return err
		}
		method, err = readMethod(s, h)
		return err
	})
	if err != nil {
		return err
	}
	r.Authentication = "none"
	switch {
	case method == methodNothing && len(methods) == 3:
		return fail(h, nil, "it wants authentication, and no user name and password are configured for it").no().
			hint("name them on its route with eaves route add").mend(MendCredentials)
	case method == methodNothing:
		return fail(h, nil, "it takes neither a user name with password nor none").no().
			hint("it may want GSSAPI, which SOCKS5 is not spoken with here")
	case method == methodPassword && len(methods) == 4:
		if err := d.login(ctx, s, h); err != nil {
			return err
		}
		r.Authentication = "password"
	case method != methodNone:
		return fail(h, nil, "it chose the authentication method %d, which was not offered", method)
	}
	return d.bounded(ctx, s, h, "asking it for a connection to "+to.what(), func() error {
		q := []byte{5, 1, 0}
		if ip, err := netip.ParseAddr(to.host); err != nil {
			q = append(append(q, 3, byte(len(to.host))), to.host...)
		} else if ip = ip.Unmap().WithZone(""); ip.Is4() {
			q = append(append(q, 1), ip.AsSlice()...)
		} else {
			q = append(append(q, 4), ip.AsSlice()...)
		}
		if _, err := s.Write(binary.BigEndian.AppendUint16(q, uint16(to.port))); err != nil {
			return err
		}
		return readReply(s, h, to)
	})
}

func readMethod(r io.Reader, h Hop) (byte, error) {
	var a [2]byte
	if _, err := io.ReadFull(r, a[:1]); err != nil {
		return 0, err
	}
	if a[0] != 5 {
		return 0, notSOCKS(h, a[0], "SOCKS5")
	}
	_, err := io.ReadFull(r, a[1:])
	return a[1], err
}

// login is RFC 1929.
func (d *Dialer) login(ctx context.Context, s *stream, h Hop) error {
	c := h.Credentials
	password, err := c.Password(ctx)
	if err != nil {
		return fail(h, err, "its password cannot be had: %v", err)
	}
	if len(c.User) > 255 || len(password) > 255 || password == "" {
		return fail(h, nil, "SOCKS5 takes user names and passwords of 1 to 255 bytes")
	}
	return d.bounded(ctx, s, h, "showing it the user name and password", func() error {
		q := append([]byte{1, byte(len(c.User))}, c.User...)
		q = append(append(q, byte(len(password))), password...)
		if _, err := s.Write(q); err != nil {
			return err
		}
		var a [2]byte
		_, err := io.ReadFull(s, a[:])
		no := fail(h, nil, "it refused the password of the user %s", c.User).no().
			hint("correct it on its route with eaves route add").mend(MendCredentials)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return no // some close at once, as they must in the end
		case err != nil:
			return err
		case a[1] != 0:
			return no
		}
		return nil
	})
}

// replies are RFC 1928, 6.
var replies = map[byte]struct{ words, hint string }{
	1: {"general failure", "look at the proxy's log"},
	2: {"not allowed by its rules", "this is the proxy's own rule"},
	3: {"network unreachable", "the proxy has no way there"},
	4: {"host unreachable", "the proxy cannot look up or reach it"},
	5: {"connection refused", "nothing listens there, seen from the proxy"},
	6: {"TTL expired", "the proxy got no answer from there"},
	7: {"command not supported", "it makes no connections for others: check its configuration"},
	8: {"address type not supported", "the proxy takes no names, or no IPv6 addresses"},
}

func readReply(r io.Reader, h Hop, to *station) error {
	var a [4]byte
	if _, err := io.ReadFull(r, a[:1]); err != nil {
		return err
	}
	if a[0] != 5 {
		return notSOCKS(h, a[0], "SOCKS5")
	}
	if _, err := io.ReadFull(r, a[1:2]); err != nil {
		return err
	}
	if a[1] != 0 { // what follows a refusal is not always there
		said, ok := replies[a[1]]
		if !ok {
			return fail(h, nil, "it could not connect to %s: unknown SOCKS5 reply %d", to.what(), a[1]).no().hint("look at the proxy's log")
		}
		return fail(h, nil, "it could not connect to %s: %s (SOCKS5 %d)", to.what(), said.words, a[1]).no().hint("%s", said.hint)
	}
	if _, err := io.ReadFull(r, a[2:]); err != nil {
		return err
	}
	var bound [256 + 2]byte
	n := 0
	switch a[3] {
	case 1:
		n = 4
	case 4:
		n = 16
	case 3:
		if _, err := io.ReadFull(r, bound[:1]); err != nil {
			return err
		}
		n = int(bound[0])
	default:
		return fail(h, nil, "it answered with the unknown address type %d", a[3])
	}
	_, err := io.ReadFull(r, bound[:n+2])
	return err
}
