// Package diagnose says what eaves would do for a URL without sending anything (Explain), and what really happens on the
// way there, stage by stage (Examine).
//
// # Guarantees
//
// Both ask the very functions that the proxy asks: what is said here is what it does. Explain looks nothing up and
// connects to nobody, but that a PAC file may ask DNS. Examine makes connections of its own, which nothing else uses, and
// ends them; what it does is not recorded.
//
// Secrets are never part of what is said.
package diagnose

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
	"eaves/proxy/upstream"
)

// Config is what there is to ask.
type Config struct {
	// Upstream is how the proxy reaches origins. Its functions may be nil, as for upstream.New.
	Upstream upstream.Config
	// Certificates are all client certificates that are configured, also those that do not fit a server. May be nil.
	Certificates func() []Certificate
	// Anchors are the CAs that were added for a server. May be nil.
	Anchors func(upstream.Server) []capture.Anchor
}

// Certificate is a configured client certificate.
type Certificate struct {
	ID      int64
	Pattern hostpattern.Pattern
	Enabled bool
	Proxy   bool // for parent proxies
	Subject string
	// Problem says why it cannot be used at all, "" where it can.
	Problem string
}

// Target is a URL that can be asked about.
type Target struct {
	URL, Scheme, Host string
	Port              int
	// RequestTarget is what the request line would have.
	RequestTarget string
}

// ParseTarget reads a URL. Without a scheme it is taken for https.
func ParseTarget(s string) (Target, error) {
	s = strings.TrimSpace(s)
	if s != "" && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, fmt.Errorf("not a URL: %s", strings.TrimPrefix(err.Error(), "parse "))
	}
	t := Target{Host: hostpattern.Normalize(u.Hostname()), RequestTarget: u.RequestURI()}
	switch u.Scheme {
	case "http", "ws":
		t.Scheme, t.Port = "http", 80
	case "https", "wss":
		t.Scheme, t.Port = "https", 443
	default:
		return Target{}, fmt.Errorf("the scheme %q: only http, https, ws and wss lead to an HTTP origin", u.Scheme)
	}
	if t.Host == "" {
		return Target{}, fmt.Errorf("the URL %q names no host", s)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 {
			return Target{}, fmt.Errorf("the port %s does not exist", p)
		}
		t.Port = n
	}
	u.Scheme, u.User, u.Fragment, u.RawFragment = t.Scheme, nil, "", ""
	t.URL = u.String()
	return t, nil
}

// route finds the way, as the proxy would.
func (c *Config) route(ctx context.Context, t Target, choice upstream.Choice) (upstream.Route, error) {
	switch {
	case choice.Route != nil:
		return *choice.Route, nil
	case c.Upstream.Route != nil:
		return c.Upstream.Route(ctx, upstream.Target{Scheme: t.Scheme, Host: t.Host, Port: t.Port, URL: t.URL})
	}
	return upstream.Route{Source: "direct"}, nil
}

// address writes host and port as in a URL.
func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
