package hostpattern

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// List is a list of patterns such as a bypass list. The zero List matches nothing.
type List struct {
	entries []entry
}

type entryKind uint8

const (
	entryPattern entryKind = iota
	entryGlob
	entryLocal
	entryNotLoopback
)

type entry struct {
	text    string
	kind    entryKind
	pattern Pattern
	glob    string // entryGlob: the host with stars anywhere in it; its port is the pattern's
}

// ParseList reads patterns separated by commas, semicolons or white space. Beside patterns it takes what bypass lists
// of systems and browsers have:
//
//	.example.com     the hosts below example.com, as *.example.com
//	192.168.*        the addresses that begin so
//	*corp.test, a*.corp.test   a star anywhere, for anything
//	<local>          names without a dot, and loopback
//	<-loopback>      loopback does not match what stands before this
func ParseList(s string) (List, error) {
	var l List
	for _, text := range strings.FieldsFunc(s, func(r rune) bool {
		return r == ',' || r == ';' || r == ' ' || r == '\t' || r == '\n' || r == '\r'
	}) {
		e, err := parseEntry(text)
		if err != nil {
			return List{}, err
		}
		l.entries = append(l.entries, e)
	}
	return l, nil
}

func parseEntry(text string) (entry, error) {
	switch lower := strings.ToLower(text); {
	case lower == "<local>":
		return entry{text: lower, kind: entryLocal}, nil
	case lower == "<-loopback>":
		return entry{text: lower, kind: entryNotLoopback}, nil
	case strings.HasPrefix(text, "<"):
		return entry{}, fmt.Errorf("bypass entry %q: neither <local> nor <-loopback>", text)
	}
	source := text
	if strings.HasPrefix(source, ".") {
		source = "*" + source
	}
	if block, ok := octets(source); ok {
		source = block
	}
	p, err := Parse(source)
	if err != nil {
		if glob, port, ok := parseGlob(source); ok {
			return entry{text: text, kind: entryGlob, pattern: port, glob: glob}, nil
		}
		return entry{}, fmt.Errorf("bypass entry %q: %w", text, err)
	}
	return entry{text: text, pattern: p}, nil
}

// parseGlob reads a host with stars where a pattern has none. The pattern it returns matches any host at the port.
func parseGlob(s string) (glob string, port Pattern, ok bool) {
	any, err := Parse("*")
	if err != nil || strings.ContainsAny(s, "[]/") {
		return "", Pattern{}, false
	}
	host, err := any.cutPort(s)
	if err != nil || !strings.Contains(host, "*") || len(host) > 253 {
		return "", Pattern{}, false
	}
	// What stands beside the stars is checked as a name is: a star stands for letters.
	if host = Normalize(host); checkName(strings.ReplaceAll(host, "*", "x")) != nil {
		return "", Pattern{}, false
	}
	return host, any, true
}

// matchGlob matches a normalised host against one with stars.
func matchGlob(glob, host string) bool {
	parts := strings.Split(glob, "*")
	host, ok := strings.CutPrefix(host, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, behind, ok := strings.Cut(host, part)
		if !ok {
			return false
		}
		host = behind
	}
	return strings.HasSuffix(host, parts[last])
}

// octets turns 192.168.* (as Windows writes it) into the block 192.168.0.0/16, its port kept.
func octets(s string) (string, bool) {
	s, port, hasPort := strings.Cut(s, ":")
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(labels) > 4 {
		return "", false
	}
	var address [4]byte
	known := 0
	for i, label := range labels {
		if label == "*" {
			if known == 0 {
				return "", false
			}
			continue
		}
		n, err := strconv.ParseUint(label, 10, 8)
		if err != nil || known != i {
			return "", false
		}
		address[i], known = byte(n), i+1
	}
	if known == len(labels) {
		return "", false
	}
	block := netip.PrefixFrom(netip.AddrFrom4(address), 8*known).String()
	if hasPort {
		block += ":" + port
	}
	return block, true
}

// Match returns the first entry that matches host at port. Entries without a port match at any.
func (l List) Match(host string, port int) (entry string, ok bool) {
	host = Normalize(host)
	entries := l.entries
	loopback := IsLoopback(host)
	if loopback {
		for i, e := range entries {
			if e.kind == entryNotLoopback {
				entries = l.entries[i+1:]
			}
		}
	}
	for _, e := range entries {
		switch {
		case e.kind == entryPattern && e.pattern.match(host, port, portAny),
			e.kind == entryGlob && e.pattern.match(host, port, portAny) && matchGlob(e.glob, host),
			e.kind == entryLocal && (loopback || host != "" && !strings.ContainsAny(host, ".:")):
			return e.text, true
		}
	}
	return "", false
}

// Empty says that the list has no entries.
func (l List) Empty() bool { return len(l.entries) == 0 }

// String returns the list as ParseList takes it.
func (l List) String() string {
	texts := make([]string, len(l.entries))
	for i, e := range l.entries {
		texts[i] = e.text
	}
	return strings.Join(texts, ",")
}

// NotLoopback says that the list has the entry <-loopback>, which also takes back what others let loopback pass by.
func (l List) NotLoopback() bool {
	return slices.ContainsFunc(l.entries, func(e entry) bool { return e.kind == entryNotLoopback })
}

// IsLoopback says whether a host is this machine by its name alone: localhost, a name below it (RFC 6761, 6.3), or a
// loopback address.
func IsLoopback(host string) bool {
	host = Normalize(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if !mayBeAddress(host) {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
