package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/idna"

	"eaves/capture"
)

// fallbackDelay is how long an address is given before the next one is tried beside it (RFC 8305, 5).
const fallbackDelay = 250 * time.Millisecond

// Resolver finds the addresses of a name.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialed is a connection with what its making took.
type dialed struct {
	conn         net.Conn
	address      netip.AddrPort // zero where a dial hook gave something else than TCP
	dns, connect time.Duration  // dns is negative where the host was an address
}

func joinHostPort(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// asciiHost returns a host name as DNS, SNI and certificates have it.
func asciiHost(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

// dial connects to host:port: addresses are tried in the order of the resolver (RFC 6724), families alternating, each
// with a head start before the next (RFC 8305).
func (c *Client) dial(ctx context.Context, host string, port int) (*dialed, *Error) {
	if port < 1 || port > 65535 {
		return nil, fail(capture.StageConnect, nil, "%s: port %d does not exist", host, port)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	d := &dialed{dns: -1}
	start := time.Now()
	addrs, e := c.resolve(ctx, host)
	if e != nil {
		return nil, e
	}
	if _, err := netip.ParseAddr(host); err != nil {
		d.dns = time.Since(start)
	}
	targets := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		targets[i] = netip.AddrPortFrom(a, uint16(port))
		if err := c.forbidden(targets[i]); err != nil {
			e := fail(capture.StageRoute, err, "not connecting to %s: %v", named(host, targets[i]), err)
			e.Status = http.StatusForbidden
			return nil, e
		}
	}
	start = time.Now()
	conn, address, e := c.race(ctx, host, targets)
	if e != nil {
		return nil, e
	}
	d.conn, d.address, d.connect = conn, address, time.Since(start)
	return d, nil
}

// forbidden asks whether an address may be dialled.
func (c *Client) forbidden(a netip.AddrPort) error {
	if c.cfg.Forbidden == nil {
		return nil
	}
	if a.Addr().WithZone("").IsUnspecified() {
		// It leads to this machine, in either family: package net tries 0.0.0.0 as well for "::".
		if err := c.cfg.Forbidden(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())); err != nil {
			return err
		}
		a = netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
	return c.cfg.Forbidden(a)
}

// named writes an address with the name it belongs to.
func named(host string, a netip.AddrPort) string {
	if host == a.Addr().String() {
		return a.String()
	}
	return fmt.Sprintf("%s (%s)", joinHostPort(host, int(a.Port())), a.Addr())
}

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, *Error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ascii, err := asciiHost(host)
	if err != nil {
		return nil, fail(capture.StageDNS, err, "%q is not a host name: %s", host, strings.TrimPrefix(err.Error(), "idna: "))
	}
	if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(ascii, ".")), ".localhost") { // RFC 6761, 6.3: loopback, whatever DNS says
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addrs, err := c.cfg.Resolver.LookupNetIP(ctx, "ip", ascii)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no such host", Name: ascii, IsNotFound: true}
	}
	if err != nil {
		return nil, c.dnsError(ctx, host, err)
	}
	return alternate(addrs), nil
}

func (c *Client) dnsError(ctx context.Context, host string, err error) *Error {
	var dns *net.DNSError
	at := ""
	if errors.As(err, &dns) && dns.Server != "" {
		at = " at " + dns.Server
	}
	switch {
	case ctx.Err() == context.Canceled:
		return cancelled(ctx, "looking up "+host)
	case ctx.Err() != nil, dns != nil && dns.IsTimeout:
		return fail(capture.StageTimeout, err, "looking up %s: no answer from DNS%s within %s", host, at, seconds(c.cfg.DialTimeout)).
			hint("check the name server this machine uses")
	case dns != nil && dns.IsNotFound:
		return fail(capture.StageDNS, err, "%s: name not found", host).hint("check the spelling, or add the name to this machine's hosts file")
	case dns != nil:
		return fail(capture.StageDNS, err, "%s: name could not be looked up%s: %s", host, at, dns.Err)
	}
	return fail(capture.StageDNS, err, "%s: name could not be looked up: %v", host, err)
}

// alternate orders addresses so that families take turns, the first one's first (RFC 8305, 4).
func alternate(addrs []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		if len(first) == 0 || a.Is4() == first[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	if len(second) == 0 {
		return first
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

type attempt struct {
	conn   net.Conn
	target netip.AddrPort
	err    error
}

// race tries the targets, each beside those that have not answered yet, and returns the first connection.
func (c *Client) race(ctx context.Context, host string, targets []netip.AddrPort) (net.Conn, netip.AddrPort, *Error) {
	if len(targets) == 1 {
		conn, err := c.cfg.Dial(ctx, "tcp", targets[0].String())
		if err != nil {
			return nil, netip.AddrPort{}, c.connectError(ctx, host, []attempt{{target: targets[0], err: err}})
		}
		return conn, targets[0], nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt)
	running := 0
	begin := func(t netip.AddrPort) {
		running++
		go func() {
			conn, err := c.cfg.Dial(ctx, "tcp", t.String())
			results <- attempt{conn, t, err}
		}()
	}
	// Whoever comes late is closed; results is unbuffered, so that nobody is lost.
	drain := func(n int) {
		for range n {
			if a := <-results; a.conn != nil {
				a.conn.Close()
			}
		}
	}
	next := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failed []attempt
	for {
		select {
		case <-timer.C:
			if next < len(targets) {
				begin(targets[next])
				next++
				timer.Reset(fallbackDelay)
			}
		case a := <-results:
			running--
			if a.err == nil {
				cancel()
				go drain(running)
				return a.conn, a.target, nil
			}
			failed = append(failed, a)
			if next < len(targets) {
				timer.Reset(0)
			} else if running == 0 {
				return nil, netip.AddrPort{}, c.connectError(ctx, host, failed)
			}
		case <-ctx.Done():
			go drain(running)
			return nil, netip.AddrPort{}, c.connectError(ctx, host, append(failed, attempt{target: targets[0], err: ctx.Err()}))
		}
	}
}

func (c *Client) connectError(ctx context.Context, host string, failed []attempt) *Error {
	first := failed[0]
	if context.Cause(ctx) != nil && errors.Is(ctx.Err(), context.Canceled) {
		return cancelled(ctx, "connecting to "+named(host, first.target))
	}
	late := ctx.Err() != nil
	var why []string
	for _, a := range failed {
		var timeout net.Error
		if errors.As(a.err, &timeout) && timeout.Timeout() {
			late = true
		}
		if w := plain(a.err); len(why) == 0 || why[len(why)-1] != w {
			why = append(why, w)
		}
	}
	where := named(host, first.target)
	if len(failed) > 1 {
		addrs := make([]string, len(failed))
		for i, a := range failed {
			addrs[i] = a.target.Addr().String()
		}
		where = fmt.Sprintf("%s (%s)", joinHostPort(host, int(first.target.Port())), strings.Join(addrs, ", "))
	}
	if late {
		return fail(capture.StageTimeout, first.err, "connecting to %s: no answer within %s", where, seconds(c.cfg.DialTimeout)).
			hint("check host, port and firewall")
	}
	e := fail(capture.StageConnect, first.err, "connecting to %s: %s", where, strings.Join(why, ", "))
	if errors.Is(first.err, syscall.ECONNREFUSED) {
		e.hint("nothing listens there: check the port, or start the server")
	}
	return e
}
