package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

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
	// Rule is the pattern of the rule that decided, "" where none did. Asked: this one request named the way itself.
	Rule  string
	Asked bool
	// Hops are the parent proxies in order; none: direct.
	Hops []hop.Hop
	// Else is tried where the first hop of this route cannot be reached. May be nil.
	Else *Route
}

// direct is the route without stations.
var direct = Route{Source: "direct"}

// kindOrigin is the kind of a route's last station.
const kindOrigin = "origin"

// receipt is the route as it is recorded, before anything has happened on it.
func (r *Route) receipt(origin string) *capture.Route {
	c := &capture.Route{Source: r.Source, Reason: r.Reason, Hops: hop.Receipts(r.Hops)}
	c.Hops = append(c.Hops, capture.Hop{Kind: kindOrigin, Address: origin, DNS: -1, Connect: -1})
	return c
}

// last is the proxy nearest to the origin.
func (r *Route) last() hop.Hop { return r.Hops[len(r.Hops)-1] }

// routeKey tells ways apart on which connections are not shared: what is authenticated to a proxy is a connection, and who we
// are to it by TLS is part of that.
func (c *Client) routeKey(r *Route) string {
	if len(r.Hops) == 0 {
		return ""
	}
	var b strings.Builder
	for _, h := range r.Hops {
		fmt.Fprintf(&b, "%s://%s\x00", h.Kind, h.Address())
		if h.Credentials != nil {
			fmt.Fprintf(&b, "%s\x00", h.Credentials.ID)
		}
		if h.Kind == hop.HTTPS {
			t := c.terms(proxyServer(h), "", nil)
			fmt.Fprintf(&b, "%s\x00%s\x00%v\x00%s\x00", t.identityKey(), t.trust.ID, t.trust.Insecure, t.policy.ID)
		}
	}
	return b.String()
}

// routeTo is the route that is configured for a target.
func (c *Client) routeTo(ctx context.Context, t Target) (*Route, *Error) {
	if c.cfg.Route == nil {
		return &direct, nil
	}
	r, err := c.cfg.Route(ctx, t)
	if err == nil {
		return &r, nil
	}
	if e := cancelled(ctx, "finding the route to "+t.Host); e != nil {
		return nil, e
	}
	var e *Error
	if errors.As(err, &e) { // it says itself what is to be mended
		return nil, e
	}
	return nil, fail(capture.StageRoute, err, "finding the route to %s: %v", joinHostPort(t.Host, t.Port), err)
}

// maxWays bounds the alternatives of a route.
const maxWays = 32

// along tries the ways that a route allows, those whose first proxy was dead a moment ago last, until one leads anywhere.
func (c *Client) along(r *Route, try func(w *Route) *Error) *Error {
	if r.Else == nil {
		e := try(r)
		c.dead.note(r, e)
		return e
	}
	var ways, late []*Route
	for w := r; w != nil && len(ways)+len(late) < maxWays; w = w.Else {
		if c.dead.is(w) {
			late = append(late, w)
		} else {
			ways = append(ways, w)
		}
	}
	var unreachable []string
	for _, w := range late {
		unreachable = append(unreachable, w.Hops[0].String())
	}
	ways = append(ways, late...)
	for i, w := range ways {
		way := *w
		way.Else = nil
		if w != r && len(unreachable) > 0 {
			if way.Reason != "" {
				way.Reason += "; "
			}
			way.Reason += strings.Join(unreachable, ", ") + " cannot be reached"
		}
		e := try(&way)
		c.dead.note(&way, e)
		if e == nil || !e.unreachable || i == len(ways)-1 {
			return e
		}
		if s := way.Hops[0].String(); !slices.Contains(unreachable, s) {
			unreachable = append(unreachable, s)
		}
	}
	return nil // not reached: there is one way at least
}

// deadFor is how long a proxy that cannot be reached is tried after others.
const deadFor = 30 * time.Second

// dead are the proxies that could not be reached a moment ago.
type dead struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// is says whether a way begins with one.
func (d *dead) is(r *Route) bool {
	if len(r.Hops) == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until[r.Hops[0].Address()])
}

// note notes what became of the first proxy of a way.
func (d *dead) note(r *Route, e *Error) {
	if len(r.Hops) == 0 {
		return
	}
	address := r.Hops[0].Address()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e == nil:
		delete(d.until, address)
	case e.unreachable:
		if d.until == nil || len(d.until) > 1024 {
			d.until = make(map[string]time.Time)
		}
		d.until[address] = time.Now().Add(deadFor)
	}
}
