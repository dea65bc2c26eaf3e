package proxy

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxClients bounds how many clients are remembered: the ones that came last.
const maxClients = 64

// Client is a machine that uses the proxy, and how far it has come. Times are zero for what has not happened.
type Client struct {
	// Address is its IP address.
	Address string
	// Connected is when it first sent something through the proxy, Trusted when it first went on after a TLS handshake in
	// which it was shown a certificate of eaves' own, Refused when it last broke one off as who does not trust it does.
	Connected, Trusted, Refused time.Time
	// Requests counts those that were recorded, Last is when the latest came.
	Requests int64
	Last     time.Time
}

// Clients tells of the machines that have used the proxy since it was made, the latest first.
func (p *Proxy) Clients() []Client { return p.clients.list() }

// clients knows the machines by their addresses.
type clients struct {
	mu   sync.Mutex
	seen map[string]*guest
}

// guest is one machine; a connection looks it up once. Times are Unix nanoseconds, 0 for never.
type guest struct {
	address                           string
	connected, trusted, refused, last atomic.Int64
	requests                          atomic.Int64
}

// of finds a machine by the remote address of a connection.
func (cs *clients) of(remote net.Addr) *guest {
	address := remote.String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.seen[address]; c != nil {
		return c
	}
	if cs.seen == nil {
		cs.seen = make(map[string]*guest)
	}
	for len(cs.seen) >= maxClients {
		var oldest *guest
		for _, c := range cs.seen {
			if oldest == nil || c.last.Load() < oldest.last.Load() {
				oldest = c
			}
		}
		delete(cs.seen, oldest.address)
	}
	c := &guest{address: address}
	cs.seen[address] = c
	return c
}

func (cs *clients) list() []Client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]Client, 0, len(cs.seen))
	for _, c := range cs.seen {
		if c.last.Load() == 0 {
			continue // it has only opened a connection, or looked at the onboarding page
		}
		all = append(all, Client{
			Address: c.address, Connected: moment(&c.connected), Trusted: moment(&c.trusted), Refused: moment(&c.refused),
			Requests: c.requests.Load(), Last: moment(&c.last),
		})
	}
	slices.SortFunc(all, func(a, b Client) int { return b.Last.Compare(a.Last) })
	return all
}

func moment(n *atomic.Int64) time.Time {
	if v := n.Load(); v != 0 {
		return time.Unix(0, v)
	}
	return time.Time{}
}

// came notes that the machine has sent something through the proxy. A nil guest is nobody: a replay.
func (c *guest) came(now time.Time) {
	if c == nil {
		return
	}
	c.connected.CompareAndSwap(0, now.UnixNano())
	c.last.Store(now.UnixNano())
}

// recorded notes a request of the machine.
func (c *guest) recorded(now time.Time) {
	if c == nil {
		return
	}
	c.came(now)
	c.requests.Add(1)
}

// trusts notes that the machine has gone on after a handshake.
func (c *guest) trusts() {
	now := time.Now()
	c.came(now)
	c.trusted.CompareAndSwap(0, now.UnixNano())
}

// distrusts notes that it has not.
func (c *guest) distrusts() {
	now := time.Now()
	c.came(now)
	c.refused.Store(now.UnixNano())
}
