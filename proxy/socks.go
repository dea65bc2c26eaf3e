package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// SOCKS5 (RFC 1928).
const (
	socksVersion     = 5
	socksNoAuth      = 0
	socksNoMethod    = 0xff
	socksConnect     = 1
	socksIPv4        = 1
	socksName        = 3
	socksIPv6        = 4
	socksSucceeded   = 0
	socksFailure     = 1
	socksRefused     = 5
	socksNotAllowed  = 2
	socksUnreachable = 4
	socksBadCommand  = 7
	socksBadAddress  = 8
)

// socksTimeout is how long a client may take for its part of the handshake.
const socksTimeout = 10 * time.Second

// socks reads a SOCKS5 client's greeting and request, and returns where it wants to go. The success is answered by the
// tunnel, which knows when there is something to promise.
func (c *clientConn) socks() (*target, error) {
	c.Conn.SetReadDeadline(time.Now().Add(socksTimeout))
	defer c.Conn.SetReadDeadline(time.Time{})
	var b [256]byte
	if _, err := io.ReadFull(c.br, b[:2]); err != nil {
		return nil, err
	}
	methods := b[2 : 2+int(b[1])%254]
	if int(b[1]) > 253 {
		return nil, errors.New("more authentication methods than there are")
	}
	if _, err := io.ReadFull(c.br, methods); err != nil {
		return nil, err
	}
	if !strings.ContainsRune(string(methods), socksNoAuth) {
		_, _ = c.Conn.Write([]byte{socksVersion, socksNoMethod})
		return nil, errors.New("the client wants to authenticate, which eaves does not ask for")
	}
	if _, err := c.Conn.Write([]byte{socksVersion, socksNoAuth}); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.br, b[:4]); err != nil {
		return nil, err
	}
	if b[0] != socksVersion {
		return nil, fmt.Errorf("SOCKS version %d in the request", b[0])
	}
	command, kind := b[1], b[3]
	t := &target{via: "SOCKS5"}
	switch kind {
	case socksIPv4, socksIPv6:
		n := 4
		if kind == socksIPv6 {
			n = 16
		}
		if _, err := io.ReadFull(c.br, b[:n]); err != nil {
			return nil, err
		}
		ip, _ := netip.AddrFromSlice(b[:n])
		t.host = ip.Unmap().String()
	case socksName:
		if _, err := io.ReadFull(c.br, b[:1]); err != nil {
			return nil, err
		}
		n := int(b[0])
		if _, err := io.ReadFull(c.br, b[:n]); err != nil {
			return nil, err
		}
		if ip, err := netip.ParseAddr(string(b[:n])); err == nil { // an address as a name: some clients do so
			t.host = ip.Unmap().String()
		} else if t.host, _, err = splitAuthority(string(b[:n]), 1); err != nil {
			c.socksReply(socksBadAddress)
			return nil, err
		}
	default:
		c.socksReply(socksBadAddress)
		return nil, fmt.Errorf("SOCKS address type %d", kind)
	}
	if _, err := io.ReadFull(c.br, b[:2]); err != nil {
		return nil, err
	}
	t.port = int(binary.BigEndian.Uint16(b[:2]))
	if command != socksConnect || t.port == 0 {
		c.socksReply(socksBadCommand)
		return nil, fmt.Errorf("SOCKS command %d is not CONNECT", command)
	}
	return t, nil
}

// socksReply answers the request. The bound address is not told: nobody needs it after CONNECT.
func (c *clientConn) socksReply(code byte) bool {
	_, err := c.Conn.Write([]byte{socksVersion, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
	return err == nil
}
