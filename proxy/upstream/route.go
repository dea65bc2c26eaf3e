package upstream

import (
	"eaves/capture"
	"eaves/proxy/upstream/hop"
)

// Target is what a route is asked for.
type Target struct {
	// Scheme is http, https or tcp (bytes that nobody looks at).
	Scheme, Host string
	Port         int
	// URL is the request's, "" where there is none yet.
	URL string
}

// Route is the way to an origin: which stations, decided by what.
type Route struct {
	// Source is custom, system, pac, rule or direct, Reason what in it decided.
	Source, Reason string
	// Hops are the parent proxies in order; none: direct.
	Hops []hop.Hop
	// Else is tried where the first hop of this route cannot be reached. May be nil.
	Else *Route
}

// direct is the route without stations.
var direct = Route{Source: "direct"}

// receipt is the route as it is recorded, before anything has happened on it.
func (r Route) receipt(origin string) *capture.Route {
	c := &capture.Route{Source: r.Source, Reason: r.Reason, Hops: make([]capture.Hop, 0, len(r.Hops)+1)}
	for _, h := range r.Hops {
		c.Hops = append(c.Hops, capture.Hop{Kind: string(h.Kind), Address: joinHostPort(h.Host, h.Port), DNS: -1, Connect: -1})
	}
	c.Hops = append(c.Hops, capture.Hop{Kind: "origin", Address: origin, DNS: -1, Connect: -1})
	return c
}
