package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"eaves/capture/hostpattern"
	"eaves/proxy/upstream/hop"
)

// kinds are the schemes of proxy URLs. Whether a SOCKS proxy looks names up itself is no choice: it always does.
var kinds = map[string]struct {
	kind hop.Kind
	port int
}{
	"http": {hop.HTTP, 80}, "https": {hop.HTTPS, 443}, "socks5": {hop.SOCKS5, 1080}, "socks5h": {hop.SOCKS5, 1080},
	"socks4": {hop.SOCKS4, 1080}, "socks4a": {hop.SOCKS4, 1080},
}

// Proxy is a parent proxy as a URL names it.
type Proxy struct {
	Kind hop.Kind
	Host string // normalised, without brackets
	Port int
	// Named says that the URL has a user, if only an empty one: then whatever the system offers may be shown (a Kerberos
	// ticket).
	Named          bool
	User, Password string
	// Reference says that Password is a reference such as env:NAME.
	Reference bool
}

// ParseProxy reads the URL of a proxy: scheme://user:password@host:port, of which scheme (http), user, password and
// port may be left out. The password may be a reference: env:NAME, file:PATH, cmd:COMMAND or vault:NAME. Its error never
// holds the password.
func ParseProxy(s string) (Proxy, error) {
	s = strings.TrimSpace(s)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "http", s
	}
	scheme = strings.ToLower(scheme)
	k, ok := kinds[scheme]
	switch {
	case scheme == "socks":
		return Proxy{}, errors.New(`scheme "socks": say which version, socks5 or socks4`)
	case !ok:
		return Proxy{}, fmt.Errorf("scheme %q: a proxy speaks http, https, socks5 (or socks5h) or socks4 (or socks4a)", clip(scheme))
	}
	p := Proxy{Kind: k.kind, Port: k.port}
	at := strings.LastIndexByte(rest, '@')
	if end := strings.IndexAny(rest, "/?#"); end >= 0 && end < at {
		return Proxy{}, errors.New("user or password: / ? and # are written %2F %3F and %23")
	}
	authority := rest[at+1:]
	if at >= 0 {
		if err := p.userinfo(rest[:at]); err != nil {
			return Proxy{}, err
		}
	}
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		if authority[end:] != "/" {
			return Proxy{}, fmt.Errorf("%q: a proxy's URL ends behind the port", clip(authority[end:]))
		}
		authority = authority[:end]
	}
	return p, p.address(authority)
}

// userinfo reads user and password.
func (p *Proxy) userinfo(s string) error {
	p.Named = true
	user, password, _ := strings.Cut(s, ":")
	var err error
	if p.User, err = url.PathUnescape(user); err != nil {
		return errors.New("user: a percent sign is written %25")
	}
	p.Reference = isReference(password)
	if p.Password, err = url.PathUnescape(password); err != nil {
		return errors.New("password: a percent sign is written %25")
	}
	if p.Kind == hop.SOCKS4 && p.Password != "" {
		return errors.New("password: SOCKS 4 has none, only a user")
	}
	if strings.ContainsFunc(p.User+p.Password, unicode.IsControl) {
		return errors.New("user or password: they hold a control character")
	}
	return nil
}

// isReference says whether a password, before anything in it is decoded, is one of the references to secrets: a password
// that begins so has its colon written %3A.
func isReference(s string) bool {
	kind, _, ok := strings.Cut(s, ":")
	return ok && slices.Contains([]string{"env", "file", "cmd", "vault"}, kind)
}

// address reads host and port.
func (p *Proxy) address(s string) error {
	host, port := s, ""
	if inner, ok := strings.CutPrefix(s, "["); ok {
		var behind string
		if host, behind, ok = strings.Cut(inner, "]"); !ok {
			return errors.New("host: the bracket is not closed")
		}
		a, err := netip.ParseAddr(strings.Replace(host, "%25", "%", 1))
		if err != nil || !a.Is6() {
			return fmt.Errorf("host %q: brackets are for IPv6 addresses", clip(host))
		}
		if host = a.String(); a.Zone() == "" {
			host = a.Unmap().String()
		}
		if behind != "" && behind[0] != ':' {
			return fmt.Errorf("host: only a port can follow the bracket, not %q", clip(behind))
		}
		port = strings.TrimPrefix(behind, ":")
		if behind == ":" {
			return errors.New("port: there is none behind the colon")
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		switch {
		case strings.Contains(port, ":"):
			return fmt.Errorf("host %q: an IPv6 address stands in brackets", clip(s))
		case port == "":
			return errors.New("port: there is none behind the colon")
		}
	}
	if host == "" {
		return errors.New("host: the URL names none")
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '+' {
			return fmt.Errorf("port %q: not a number from 1 to 65535", clip(port))
		}
		p.Port = int(n)
	}
	if p.Host = host; !strings.Contains(host, ":") {
		pattern, err := hostpattern.Parse(host)
		exact, _ := pattern.Host()
		if err != nil || exact == "" {
			return fmt.Errorf("host %q: not the name of a host", clip(host))
		}
		p.Host = exact
	}
	return nil
}

// String returns the URL without the password.
func (p Proxy) String() string { return p.text(false) }

// Text returns the URL as ParseProxy takes it, the password only if it is a reference.
func (p Proxy) Text() string { return p.text(p.Reference) }

func (p Proxy) text(password bool) string {
	scheme := string(p.Kind)
	user := ""
	if p.Named {
		user = escape(p.User)
		if kind, rest, ok := strings.Cut(p.Password, ":"); ok && password {
			user += ":" + kind + ":" + escape(rest)
		}
		user += "@"
	}
	host := net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
	if strings.Contains(p.Host, "%") {
		host = "[" + strings.Replace(p.Host, "%", "%25", 1) + "]:" + strconv.Itoa(p.Port)
	}
	return scheme + "://" + user + host
}

// escape writes a part of user and password.
func escape(s string) string {
	return strings.NewReplacer(":", "%3A", "@", "%40", "/", "%2F", ",", "%2C", ";", "%3B").Replace(url.PathEscape(s))
}

// clip bounds what errors quote.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
