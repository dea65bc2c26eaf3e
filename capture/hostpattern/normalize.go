package hostpattern

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Normalize brings a host to the form in which hosts are stored and compared: lower case, ASCII, no brackets, no
// trailing dot, addresses in their canonical form. What is no host stays what it is, in lower case.
func Normalize(host string) string {
	for {
		next := normalize(host)
		// What comes out may need it again, such as [[::1]] or a name that ends in an ideographic full stop; each round
		// takes something away or turns it into ASCII, so this ends.
		if next == host {
			return host
		}
		host = next
	}
}

func normalize(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	host = strings.TrimRight(host, ".")
	if !plain(host) {
		host = strings.ToLower(host)
		// Punycode alone, without the checks of registration: hosts from the wire are not ours to refuse.
		if ascii, err := idna.Punycode.ToASCII(host); err == nil {
			host = ascii
		}
	}
	if mayBeAddress(host) {
		if a, err := netip.ParseAddr(host); err == nil {
			return a.Unmap().String()
		}
	}
	return host
}

// plain says that host is lower-case ASCII already.
func plain(host string) bool {
	for i := range len(host) {
		if c := host[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

func mayBeAddress(host string) bool {
	if host == "" {
		return false
	}
	last := host[len(host)-1]
	return last >= '0' && last <= '9' || strings.IndexByte(host, ':') >= 0
}
