package upstream

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
)

// key is all that two calls must have in common to share a connection or a TLS session.
type key struct {
	scheme, host string
	port         int
	serverName   string
	// Who we are, whom we trust, and how TLS is spoken.
	identities, trust, policy string
	insecure                  bool
	// route tells the ways there apart. Where proxied, host and port are those of its last proxy, which is asked in absolute
	// form for whatever origin: what connections have in common is the proxy.
	route   string
	proxied bool
}

// sweepEvery is how often idle connections are looked at.
const sweepEvery = 15 * time.Second

// Where more than crowd hosts are known, as when somebody crawls, connections are kept idle no longer than crowdedIdle, and
// are looked at every crowdedSweep: what is remembered grows with the rate of new hosts, not with their number.
const (
	crowd        = 256
	crowdedIdle  = 2 * time.Second
	crowdedSweep = time.Second
)

// sessionsPerHost bounds the TLS sessions kept for resumption.
const sessionsPerHost = 4

// spoken is what an origin is known to speak.
type spoken uint8

const (
	unknown   spoken = iota
	speaksH1         // offered HTTP/2 it chose HTTP/1, or (http) did not understand it
	speaksH2         // it chose HTTP/2
	refusesH1        // it speaks nothing but HTTP/2
)

// host is the pool for one key.
type host struct {
	client *Client
	key    key
	terms  *terms // nil without TLS
	way    Route
	users  atomic.Int32 // calls between host and leave; they begin under Client.mu

	mu      sync.Mutex
	idle    []*h1conn // oldest first
	h2      []*h2conn
	spoken  spoken
	flight  *flight
	memory  *memory // of TLS
	touched time.Time
	closed  bool
	late    bool            // the server asks for a client certificate after the request
	inVain  map[string]bool // paths that are forbidden all the same
	signs   bool            // a proxy: it has put Via into answers
}

// flight is an attempt to connect that may end in HTTP/2, on which others wait instead of making their own. It lasts until
// the server has said how many streams it takes.
type flight struct {
	done  chan struct{}
	err   *Error // what the others are told; nil: look again
	facts Facts
}

// conn is what carries a call.
type carrier interface {
	roundTrip(ctx context.Context, call *Call, reused bool) (*Response, *Error)
	// answered and left note what the answer, or the end without one, says about the connection.
	answered(r *Receipt, resp *Response)
	left(r *Receipt, e *Error)
	security() *secured // nil without TLS
}

// host returns the pool for a key, nil when the client is closed. leave has to be called.
func (c *Client) host(k key, t *terms, w *Route) *host {
	c.mu.RLock()
	h := c.hosts[k]
	if h != nil && !c.closed {
		h.users.Add(1) // whoever forgets a host keeps everybody out meanwhile
		c.mu.RUnlock()
		return h
	}
	c.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if h = c.hosts[k]; h == nil {
		h = &host{client: c, key: k, way: *w}
		if k.scheme == "https" {
			own := *t
			h.memory, h.terms = newMemory(), &own
		}
		c.hosts[k] = h
		if c.timer == nil {
			c.timer = time.AfterFunc(c.sweepPeriod(), c.sweep)
		} else if len(c.hosts) == crowd+1 {
			c.timer.Reset(c.sweepPeriod())
		}
	}
	h.users.Add(1)
	return h
}

// sweepPeriod is how long until the next sweep. c.mu is held.
func (c *Client) sweepPeriod() time.Duration {
	if len(c.hosts) > crowd {
		return min(crowdedSweep, c.cfg.IdleTimeout)
	}
	return min(sweepEvery, c.cfg.IdleTimeout)
}

func (c *Client) leave(h *host) { h.users.Add(-1) }

// sweep closes what was idle for too long or has died, and forgets hosts that nobody asks any more.
func (c *Client) sweep() {
	now, hosts := time.Now(), c.all()
	idle := c.cfg.IdleTimeout
	if len(hosts) > crowd {
		idle = min(idle, crowdedIdle)
	}
	for _, h := range hosts {
		if empty := h.sweep(now, idle); !empty {
			continue
		}
		c.mu.Lock()
		if h.users.Load() == 0 && h.retire(now, idle) {
			delete(c.hosts, h.key)
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.timer == nil:
	case c.closed || len(c.hosts) == 0:
		c.timer.Stop()
		c.timer = nil
	default:
		c.timer.Reset(c.sweepPeriod()) // the same one: host may have set it, too, and one goes on
	}
}

// sweep closes connections that were idle for so long at now, or have died, and says whether none is left.
func (h *host) sweep(now time.Time, tooLong time.Duration) (empty bool) {
	h.mu.Lock()
	idle, h2 := h.idle, slices.Clone(h.h2)
	h.idle = nil
	h.mu.Unlock()
	kept := make([]*h1conn, 0, len(idle))
	for _, hc := range idle {
		if now.Sub(hc.idleSince) < tooLong && hc.alive() {
			hc.rest()
			kept = append(kept, hc)
		} else {
			hc.close()
		}
	}
	for _, cc := range h2 {
		cc.closeIfIdle(now, tooLong)
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		for _, hc := range kept {
			hc.close()
		}
		return true
	}
	defer h.mu.Unlock()
	h.idle = append(kept, h.idle...)
	return len(h.idle) == 0 && len(h.h2) == 0
}

// retire ends a host of which nothing is worth keeping, and says whether it did. What is still on its way over one of
// its connections closes that connection.
func (h *host) retire(now time.Time, tooLong time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) > 0 || len(h.h2) > 0 || h.flight != nil || now.Sub(h.touched) < tooLong {
		return false
	}
	h.closed = true
	return true
}

// forget drops TLS sessions and what is known of the host.
func (h *host) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spoken, h.late, h.inVain = unknown, false, nil
	if h.memory != nil {
		h.memory = newMemory()
	}
}

func (h *host) close() {
	h.mu.Lock()
	h.closed = true
	idle, h2 := h.idle, slices.Clone(h.h2)
	h.idle = nil
	h.mu.Unlock()
	for _, hc := range idle {
		hc.close()
	}
	for _, cc := range h2 {
		cc.shutdown()
	}
}

// get returns a connection for a call: one that is there, unless fresh, or a new one.
func (h *host) get(ctx context.Context, call *Call, fresh bool, begun time.Time) (conn carrier, reused bool, e *Error) {
	waited := false
	defer func() {
		if waited && e == nil && reused {
			call.Receipt.update(func(f *Facts) { f.Timings.Blocked = since(begun) })
		}
	}()
	for {
		h.mu.Lock()
		h.touched = begun
		wantsH2 := (h.offersH2(call.HTTP2) && h.spoken != speaksH1 || h.spoken == refusesH1) && call.Upgrade == "" && !h.late && !h.key.proxied
		if !wantsH2 {
			h.mu.Unlock()
			hc, reused, e := h.getH1(ctx, call, fresh)
			if e != nil && onlyH2(e) && call.Upgrade == "" {
				h.mu.Lock()
				h.spoken = refusesH1
				h.mu.Unlock()
				continue
			}
			if e != nil {
				return nil, false, e
			}
			return hc, reused, nil
		}
		if cc := h.reserve(); cc != nil {
			h.mu.Unlock()
			return cc, true, nil
		}
		if h.flight != nil {
			fl := h.flight
			h.mu.Unlock()
			waited = true
			select {
			case <-fl.done:
			case <-ctx.Done():
				return nil, false, cancelled(ctx, "waiting for a connection to "+h.key.host)
			}
			if fl.err != nil {
				call.Receipt.update(func(f *Facts) { *f = fl.facts })
				return nil, false, fl.err
			}
			continue
		}
		fl := &flight{done: make(chan struct{})}
		h.flight = fl
		alone := h.spoken == refusesH1
		h.mu.Unlock()
		conn, e := h.fly(ctx, call, fl, alone)
		if conn == nil && e == nil {
			continue // it speaks HTTP/1 only
		}
		return conn, false, e
	}
}

// offersH2 says whether HTTP/2 is offered for a client that speaks it, or does not.
func (h *host) offersH2(client bool) bool {
	if h.terms == nil {
		return client
	}
	return h.terms.offersH2(client)
}

// onlyH2 says whether a server refused HTTP/1.1.
func onlyH2(e *Error) bool {
	code, remote, ok := alertOf(e.Cause)
	return e.Stage == capture.StageTLS && ok && remote && code == alertNoApplicationProto
}

// fly connects, offering HTTP/2, and tells those who wait.
func (h *host) fly(ctx context.Context, call *Call, fl *flight, alone bool) (conn carrier, e *Error) {
	land := func() {
		h.mu.Lock()
		h.flight = nil
		h.mu.Unlock()
		close(fl.done)
	}
	learn := func(s spoken, cc *h2conn) {
		h.mu.Lock()
		h.spoken = s
		if cc != nil {
			h.h2 = append(h.h2, cc)
		}
		closed := h.closed
		h.mu.Unlock()
		if closed && cc != nil {
			cc.shutdown()
		}
	}
	receipt := call.Receipt
	if receipt == nil {
		receipt = new(Receipt)
	}
	var protos []string
	if h.key.scheme == "https" {
		protos = h.terms.protocols("h2", "http/1.1")
		if alone {
			protos = []string{"h2"}
		}
	}
	l, e := h.client.connect(ctx, &h.key, &h.way, h.terms, protos, 0, h.remembered(), receipt)
	if e != nil {
		if ctx.Err() == nil {
			fl.err, fl.facts = e, receipt.Snapshot()
		}
		land()
		return nil, e
	}
	switch {
	case l.protocol == "h2", protos == nil:
		cc, e := h.startH2(ctx, l, protos == nil, receipt)
		if e != nil && protos == nil && ctx.Err() == nil { // it does not speak h2c
			learn(speaksH1, nil)
			land()
			return nil, nil
		}
		if e != nil {
			if ctx.Err() == nil {
				fl.err, fl.facts = e, receipt.Snapshot()
			}
			land()
			return nil, e
		}
		s := speaksH2
		if alone {
			s = refusesH1
		}
		learn(s, cc)
		told := &Receipt{begun: true, facts: receipt.Snapshot()}
		go func() { // the call that connected goes ahead
			if fl.err = cc.settle(told); fl.err != nil {
				fl.facts = told.Snapshot()
			}
			land()
		}()
		return cc, nil
	}
	hc := newH1(h, l)
	learn(speaksH1, nil)
	land()
	return hc, nil
}

func (h *host) remembered() *memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.memory
}

// reserve finds an HTTP/2 connection with room for a stream, and drops those that take no more. h.mu is held.
func (h *host) reserve() *h2conn {
	for i := 0; i < len(h.h2); i++ {
		switch h.h2[i].reserve() {
		case roomFree:
			return h.h2[i]
		case roomNever:
			h.h2 = slices.Delete(h.h2, i, i+1)
			i--
		}
	}
	return nil
}

// getH1 returns an HTTP/1 connection.
func (h *host) getH1(ctx context.Context, call *Call, fresh bool) (hc *h1conn, reused bool, e *Error) {
	for !fresh {
		h.mu.Lock()
		n := len(h.idle)
		if n == 0 {
			h.mu.Unlock()
			break
		}
		hc := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		h.mu.Unlock()
		if hc.alive() {
			return hc, true, nil
		}
		hc.close()
	}
	var protos []string
	if h.key.scheme == "https" {
		protos = h.terms.protocols("http/1.1")
	}
	l, e := h.client.connect(ctx, &h.key, &h.way, h.terms, protos, h.newest(), h.remembered(), call.Receipt)
	if e != nil {
		return nil, false, e
	}
	return newH1(h, l), false, nil
}

// put gives a connection back.
func (h *host) put(hc *h1conn) {
	hc.idleSince = time.Now()
	var over *h1conn
	h.mu.Lock()
	switch {
	case h.closed, h.late && !hc.bounded:
		over = hc
	default:
		if len(h.idle) >= h.client.cfg.MaxIdlePerHost {
			over = h.idle[0]
			h.idle = slices.Delete(h.idle, 0, 1)
		}
		h.idle = append(h.idle, hc)
	}
	h.touched = hc.idleSince
	h.mu.Unlock()
	if over != nil {
		over.close()
	}
}
