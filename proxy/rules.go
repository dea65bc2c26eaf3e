package proxy

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// firstMatch is the first rule of a wanted kind whose filter matches the exchange, or nil.
func firstMatch(rules []Rule, x *capture.Exchange, wanted func(Action) bool) *Rule {
	for i := range rules {
		if wanted(rules[i].Action) && rules[i].Filter.Match(filter.Subject{Exchange: x, Now: time.Now()}) {
			return &rules[i]
		}
	}
	return nil
}

// tunnelRule is the rule that decides about a tunnel as such, or nil: one that leaves it alone, or one that blocks what
// would be passed through. Its filter sees the tunnel: no request is known yet.
func (p *Proxy) tunnelRule(t *target, remote string) *Rule {
	rules := p.cfg.Rules()
	if len(rules) == 0 {
		return nil
	}
	return firstMatch(rules, tunnelExchange(t, remote, time.Now()), func(a Action) bool { return a == ActionPassthrough || a == ActionBlock })
}

// blocked is what a rule's block is as an error.
func (r *Rule) blocked() *capture.Error {
	return &capture.Error{Stage: capture.StageRoute, Message: "blocked by " + r.Name,
		Hint: "eaves rule list shows the rules, eaves rule remove takes one away"}
}

// tunnelExchange is a tunnel as an exchange.
func tunnelExchange(t *target, remote string, start time.Time) *capture.Exchange {
	return &capture.Exchange{
		Kind: capture.KindTunnel, State: capture.StateOpen, Started: start, Time: -1, Source: capture.SourceProxy,
		Client: capture.Client{Address: remote},
		Request: capture.Request{Method: "CONNECT", URL: "tcp://" + net.JoinHostPort(t.host, strconv.Itoa(t.port)),
			HTTPVersion: t.via, Header: capture.Header{}, Trailer: capture.Header{}, HeadersSize: -1},
		Timings: capture.NoTimings(),
	}
}

// isOwnName says whether host and port, as written in a URL, are the proxy's own listener: no name is looked up.
func (p *Proxy) isOwnName(host string, port int) bool {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.listeners {
		if int(o.Port()) == port && (o.Addr().Unmap() == ip.Unmap() || o.Addr().IsUnspecified() && local(ip)) {
			return true
		}
	}
	return false
}
