// Package hostpattern is the one language for hosts in eaves: client certificates, trust, TLS policies, routes, bypass
// lists and filters all use it.
//
// # Patterns
//
//	api.bank.test        that host
//	*.bank.test          one or more labels below bank.test, not bank.test itself
//	192.0.2.7            that address
//	192.0.2.0/24         the addresses of that block
//	[2001:db8::1]        an IPv6 address; the brackets may be left out where no port follows
//	[2001:db8::/32]      a block of them, likewise
//	*                    any host
//
// Each may be followed by a port (host:8443) or by :* for any port. Patterns are anchored and compared with parsed
// hosts, never with the text of a URL: a pattern that could be found inside another name would show one host's client
// certificate to another.
//
// # Guarantees
//
// Names are compared without case, without a trailing dot, and in their ASCII form (RFC 5891). An address equals its
// IPv4-mapped IPv6 form. A name is never resolved: blocks match addresses written as such. A pattern's String parses to
// the same pattern.
package hostpattern

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

type kind uint8

const (
	kindAny kind = iota
	kindBlock
	kindSuffix
	kindExact
)

// Values of Pattern.port that are not ports.
const (
	portUnset = -1
	portAny   = 0
)

// Pattern matches hosts. The zero Pattern matches no host that has a port, and is never what Parse returns.
type Pattern struct {
	kind   kind
	name   string // kindExact: the normalised host; kindSuffix: what follows the star, dot included
	prefix netip.Prefix
	port   int
	set    bool
}

// Parse reads one pattern.
func Parse(s string) (Pattern, error) {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "*./:[") {
		// Nothing but the host is repeated: a URL may hold a password.
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			rest = rest[:i]
		}
		host := rest[strings.LastIndexByte(rest, '@')+1:]
		return Pattern{}, fmt.Errorf("host pattern: a pattern names a host, not a URL: %s", host)
	}
	p, err := parse(strings.TrimSpace(s))
	if err != nil {
		return Pattern{}, fmt.Errorf("host pattern %q: %w", s, err)
	}
	return p, nil
}

func parse(s string) (Pattern, error) {
	p := Pattern{port: portUnset, set: true}
	if s == "" {
		return p, errors.New("it is empty")
	}
	host, err := p.cutPort(s)
	if err != nil {
		return p, err
	}
	if host == "*" {
		return p, nil
	}
	if strings.Contains(host, "/") {
		p.kind = kindBlock
		block, err := netip.ParsePrefix(host)
		if err != nil {
			return p, errors.New("not a block of addresses such as 10.0.0.0/8 (a pattern names a host, not a URL)")
		}
		p.prefix = unmapPrefix(block).Masked()
		return p, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return p, errors.New("an address in a pattern has no zone")
		}
		p.kind, p.name = kindExact, a.Unmap().String()
		return p, nil
	}
	name, suffix := strings.CutPrefix(host, "*.")
	name = Normalize(name)
	if err := checkName(name); err != nil {
		return p, err
	}
	if p.kind, p.name = kindExact, name; suffix {
		p.kind, p.name = kindSuffix, "."+name
	}
	return p, nil
}

// cutPort takes the port off s and returns the host without brackets.
func (p *Pattern) cutPort(s string) (string, error) {
	host, port := s, ""
	switch {
	case s[0] == '[':
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", errors.New("the bracket is not closed")
		}
		host, port = s[1:end], s[end+1:]
		if !strings.Contains(host, ":") {
			return "", errors.New("brackets are for IPv6 addresses")
		}
		if port != "" && port[0] != ':' {
			return "", errors.New("only a port can follow the bracket")
		}
	case strings.Count(s, ":") == 1:
		i := strings.IndexByte(s, ':')
		host, port = s[:i], s[i:]
	}
	switch {
	case port == "":
	case port == ":*":
		p.port = portAny
	default:
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || n == 0 || port[1] == '+' {
			return "", fmt.Errorf("%q is not a port (1 to 65535, or *)", port[1:])
		}
		p.port = int(n)
	}
	return host, nil
}

func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// checkName refuses what cannot be a host name; it expects a normalised one. Underscores are not for host names, but
// are seen in them.
func checkName(name string) error {
	if name == "" {
		return errors.New("it names no host")
	}
	if len(name) > 253 {
		return errors.New("a host name has at most 253 characters")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" {
			return errors.New("a label of the name is empty")
		}
		if len(label) > 63 {
			return errors.New("a label of a host name has at most 63 characters")
		}
		for _, c := range label {
			switch {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			case c == '*':
				return errors.New("a star stands alone or for the labels in front, as in *.example.com")
			default:
				return fmt.Errorf("%q cannot be part of a host name", c)
			}
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		// A name never ends in a number (RFC 3696, 2): this is a mistyped address.
		return errors.New("not an IP address")
	}
	return nil
}

// Match says whether the pattern matches host at port. The host may be in any case, with or without brackets and
// trailing dot. A pattern without a port matches at any port.
func (p Pattern) Match(host string, port int) bool {
	return p.match(Normalize(host), port, portAny)
}

// MatchDefault is Match, except that a pattern without a port matches at defaultPort only.
func (p Pattern) MatchDefault(host string, port, defaultPort int) bool {
	return p.match(Normalize(host), port, defaultPort)
}

func (p Pattern) match(host string, port, unset int) bool {
	want := p.port
	if want == portUnset {
		want = unset
	}
	if !p.set || host == "" || want != portAny && want != port {
		return false
	}
	switch p.kind {
	case kindAny:
		return true
	case kindExact:
		return host == p.name
	case kindSuffix:
		// What came as a host may be the text of a URL whose host is in front: evil.test/?.example.com.
		return len(host) > len(p.name) && strings.HasSuffix(host, p.name) && !strings.ContainsAny(host, "/?#@\\")
	default:
		a, err := netip.ParseAddr(host)
		return err == nil && p.prefix.Contains(a.WithZone("").Unmap())
	}
}

// Covers says whether the pattern matches every host and port that q does.
func (p Pattern) Covers(q Pattern) bool {
	if !p.set || !q.set || p.port > 0 && p.port != q.port {
		return false
	}
	switch {
	case p.kind == kindAny:
		return true
	case q.kind == kindExact:
		return p.match(q.name, max(p.port, portAny), portAny)
	case p.kind != q.kind:
		return false
	case p.kind == kindSuffix:
		return strings.HasSuffix(q.name, p.name)
	}
	return p.kind == kindBlock && p.prefix.Bits() <= q.prefix.Bits() && p.prefix.Contains(q.prefix.Addr())
}

// String returns the pattern as Parse takes it.
func (p Pattern) String() string {
	var host string
	switch p.kind {
	case kindAny:
		host = "*"
	case kindExact:
		host = p.name
	case kindSuffix:
		host = "*" + p.name
	default:
		host = p.prefix.String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	switch p.port {
	case portUnset:
		return host
	case portAny:
		return host + ":*"
	default:
		return host + ":" + strconv.Itoa(p.port)
	}
}

// Specificity orders patterns: of two that match, the one with the higher specificity says more about the host. A host
// or address comes before a suffix, a longer suffix before a shorter one, those before a block, a smaller block before
// a bigger one, and * comes last. Where hosts are equally specific, a port comes before no port and that before :*.
func (p Pattern) Specificity() int {
	var host int
	switch p.kind {
	case kindExact:
		host = 1 << 12
	case kindSuffix:
		host = 1<<8 + strings.Count(p.name, ".")
	case kindBlock:
		// Bits from the right, so that blocks of both families compare by how many addresses they leave open.
		host = 1 + 128 - (p.prefix.Addr().BitLen() - p.prefix.Bits())
	}
	switch p.port {
	case portUnset:
		return host<<2 | 1
	case portAny:
		return host << 2
	default:
		return host<<2 | 2
	}
}

// Host returns the host a pattern names when it names exactly one, and its suffix (with the dot in front) when it names
// those below one; both are normalised, and empty for other patterns.
func (p Pattern) Host() (exact, suffix string) {
	switch p.kind {
	case kindExact:
		return p.name, ""
	case kindSuffix:
		return "", p.name
	}
	return "", ""
}

// Any says that the pattern matches every host (at its port).
func (p Pattern) Any() bool { return p.set && p.kind == kindAny }

// Port returns the port the pattern asks for; ok is false where it matches at any.
func (p Pattern) Port() (port int, ok bool) { return p.port, p.port > 0 }

// Octets returns what the text of each address of a block of IPv4 addresses begins with, "" where no whole octet tells.
func (p Pattern) Octets() string {
	if p.kind != kindBlock || !p.prefix.Addr().Is4() || p.prefix.Bits() < 8 {
		return ""
	}
	octets := strings.SplitAfter(p.prefix.Addr().String(), ".")
	return strings.Join(octets[:p.prefix.Bits()/8], "")
}
