package route

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// environment is what HTTP_PROXY and its like say.
type environment struct {
	// http, https and all are the variables that are set, nil for none.
	http, https, all *variable
	// httpRefused says that HTTP_PROXY is not taken, since it may be a request's header (CVE-2016-5385).
	httpRefused bool
	noProxy     []exempt
	noProxyName string
}

// variable is one that names a proxy.
type variable struct {
	name  string
	proxy Proxy
	err   error
}

// readEnvironment reads the variables; of a pair in both cases the one in lower case counts, as in curl and Go.
func readEnvironment(environ func(string) string) environment {
	get := func(name string) (string, string) {
		for _, n := range []string{strings.ToLower(name), name} {
			if v := strings.TrimSpace(environ(n)); v != "" {
				return n, v
			}
		}
		return "", ""
	}
	proxy := func(name string) *variable {
		n, v := get(name)
		if n == "" {
			return nil
		}
		p, err := ParseProxy(v)
		// The environment is not eaves' configuration: what looks like a reference there is a password.
		p.Reference = false
		return &variable{name: n, proxy: p, err: err}
	}
	e := environment{http: proxy("HTTP_PROXY"), https: proxy("HTTPS_PROXY"), all: proxy("ALL_PROXY")}
	if e.http != nil && e.http.name == "HTTP_PROXY" && environ("REQUEST_METHOD") != "" {
		e.http, e.httpRefused = nil, true
	}
	var list string
	e.noProxyName, list = get("NO_PROXY")
	e.noProxy = readNoProxy(list)
	return e
}

// empty says that no variable names a proxy.
func (e *environment) empty() bool { return e.http == nil && e.https == nil && e.all == nil }

// proxy returns the variable for a scheme: what is not http goes as https does.
func (e *environment) proxy(scheme string) *variable {
	v := e.https
	if scheme == "http" {
		v = e.http
	}
	if v == nil {
		v = e.all
	}
	return v
}

// exempt is one entry of NO_PROXY.
type exempt struct {
	text  string
	match func(host string, port int, ip netip.Addr) bool
}

// readNoProxy reads NO_PROXY as golang.org/x/net/http/httpproxy does: example.com means also what lies below it,
// .example.com only that, an address itself, a block the addresses in it, a port only that, * everything.
func readNoProxy(list string) []exempt {
	var all []exempt
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if m := noProxyMatch(strings.ToLower(text)); m != nil {
			all = append(all, exempt{text, m})
		}
	}
	return all
}

func noProxyMatch(s string) func(string, int, netip.Addr) bool {
	if s == "" {
		return nil
	}
	if s == "*" {
		return func(string, int, netip.Addr) bool { return true }
	}
	if block, err := netip.ParsePrefix(s); err == nil {
		block = block.Masked()
		return func(_ string, _ int, ip netip.Addr) bool { return block.Contains(ip) }
	}
	host, port := s, 0
	if h, p, err := net.SplitHostPort(s); err == nil {
		if h == "" {
			return nil
		}
		host = h
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil
		}
		port = int(n)
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return func(_ string, at int, ip netip.Addr) bool { return ip == a && (port == 0 || port == at) }
	}
	if host == "" {
		return nil
	}
	host = strings.TrimPrefix(host, "*")
	itself := !strings.HasPrefix(host, ".")
	host = strings.TrimPrefix(host, ".")
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return func(h string, at int, _ netip.Addr) bool {
		return (itself && h == host || strings.HasSuffix(h, "."+host)) && (port == 0 || port == at)
	}
}

// exempted returns the entry that says host at port is reached directly.
func exempted(list []exempt, host string, port int) (string, bool) {
	ip, err := netip.ParseAddr(host)
	if err == nil {
		ip = ip.WithZone("").Unmap()
	}
	for _, e := range list {
		if e.match(host, port, ip) {
			return e.text, true
		}
	}
	return "", false
}

func (v *variable) fail() error { return fmt.Errorf("%s: %w", v.name, v.err) }
