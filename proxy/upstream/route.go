package upstream

import "eaves/capture"

// Hop is a station on the way to an origin, the origin itself not counted.
type Hop struct {
	// Kind is http, https or socks5.
	Kind string
	Host string
	Port int
}

// Route is the way to an origin: which stations, decided by what.
type Route struct {
	// Source is custom, system, pac, rule or direct, Reason what in it decided.
	Source, Reason string
	Hops           []Hop
}

// direct is the route without stations.
var direct = Route{Source: "direct"}

// receipt is the route as it is recorded, before anything has happened on it.
func (r Route) receipt(origin string) *capture.Route {
	c := &capture.Route{Source: r.Source, Reason: r.Reason, Hops: make([]capture.Hop, 0, len(r.Hops)+1)}
	for _, h := range r.Hops {
		c.Hops = append(c.Hops, capture.Hop{Kind: h.Kind, Address: joinHostPort(h.Host, h.Port), DNS: -1, Connect: -1})
	}
	c.Hops = append(c.Hops, capture.Hop{Kind: "origin", Address: origin, DNS: -1, Connect: -1})
	return c
}
