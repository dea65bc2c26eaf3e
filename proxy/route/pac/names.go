package pac

import (
	"context"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// functions are the standard functions of PAC files, those for IPv6 that Windows added among them.
func (m *machine) functions() map[string]func(goja.FunctionCall) goja.Value {
	return map[string]func(goja.FunctionCall) goja.Value{
		"isPlainHostName": func(c goja.FunctionCall) goja.Value { return m.bool(!strings.ContainsAny(arg(c, 0), ".:")) },
		"dnsDomainIs":     func(c goja.FunctionCall) goja.Value { return m.bool(strings.HasSuffix(arg(c, 0), arg(c, 1))) },
		"localHostOrDomainIs": func(c goja.FunctionCall) goja.Value {
			host, full := arg(c, 0), arg(c, 1)
			return m.bool(host == full || strings.HasPrefix(full, host+"."))
		},
		"isResolvable":      func(c goja.FunctionCall) goja.Value { return m.bool(len(m.resolve(arg(c, 0), "ip4")) > 0) },
		"isResolvableEx":    func(c goja.FunctionCall) goja.Value { return m.bool(len(m.resolve(arg(c, 0), "ip")) > 0) },
		"dnsResolve":        m.dnsResolve,
		"dnsResolveEx":      func(c goja.FunctionCall) goja.Value { return m.vm.ToValue(join(m.resolve(arg(c, 0), "ip"))) },
		"isInNet":           m.isInNet,
		"isInNetEx":         m.isInNetEx,
		"dnsDomainLevels":   func(c goja.FunctionCall) goja.Value { return m.vm.ToValue(strings.Count(arg(c, 0), ".")) },
		"convert_addr":      func(c goja.FunctionCall) goja.Value { return m.vm.ToValue(number(arg(c, 0))) },
		"shExpMatch":        m.shExpMatch,
		"myIpAddress":       m.myIPAddress,
		"myIpAddressEx":     func(goja.FunctionCall) goja.Value { return m.vm.ToValue(join(m.script.env.Addresses())) },
		"sortIpAddressList": m.sortIPAddressList,
		"getClientVersion":  func(goja.FunctionCall) goja.Value { return m.vm.ToValue("1.0") },
		"alert":             m.alert,
		"weekdayRange":      m.weekdayRange,
		"dateRange":         m.dateRange,
		"timeRange":         m.timeRange,
	}
}

// arg is an argument as text, "undefined" where there is none, as JavaScript has it.
func arg(c goja.FunctionCall, i int) string { return c.Argument(i).String() }

func (m *machine) bool(b bool) goja.Value { return m.vm.ToValue(b) }

func (m *machine) alert(c goja.FunctionCall) goja.Value {
	m.note("alert: " + arg(c, 0))
	return goja.Undefined()
}

func (m *machine) dnsResolve(c goja.FunctionCall) goja.Value {
	if found := m.resolve(arg(c, 0), "ip4"); len(found) > 0 {
		return m.vm.ToValue(found[0].String())
	}
	return goja.Null()
}

// isInNet says whether a host's IPv4 address lies in a net given as address and mask, which need not be contiguous.
func (m *machine) isInNet(c goja.FunctionCall) goja.Value {
	host, net, mask := arg(c, 0), arg(c, 1), arg(c, 2)
	if !dotted(net) || !dotted(mask) {
		return m.bool(false)
	}
	if !dotted(host) {
		found := m.resolve(host, "ip4")
		if len(found) == 0 {
			return m.bool(false)
		}
		host = found[0].String()
	}
	return m.bool(number(host)&number(mask) == number(net)&number(mask))
}

// isInNetEx says whether an address lies in a block such as 10.0.0.0/8 or 2001:db8::/32. Names are in none.
func (m *machine) isInNetEx(c goja.FunctionCall) goja.Value {
	a, err := netip.ParseAddr(arg(c, 0))
	if err != nil {
		return m.bool(false)
	}
	block, err := netip.ParsePrefix(arg(c, 1))
	return m.bool(err == nil && block.Contains(a.WithZone("")))
}

func (m *machine) myIPAddress(goja.FunctionCall) goja.Value {
	for _, a := range m.script.env.Addresses() {
		if a.Is4() {
			return m.vm.ToValue(a.String())
		}
	}
	return m.vm.ToValue("127.0.0.1")
}

// sortIPAddressList sorts addresses separated by semicolons, IPv6 first; false where one is none.
func (m *machine) sortIPAddressList(c goja.FunctionCall) goja.Value {
	var list []netip.Addr
	for text := range strings.SplitSeq(arg(c, 0), ";") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return m.bool(false)
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		if a.Is4() != b.Is4() {
			if a.Is4() {
				return 1
			}
			return -1
		}
		return a.Compare(b)
	})
	return m.vm.ToValue(join(list))
}

func join(list []netip.Addr) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	return strings.Join(texts, ";")
}

var fourNumbers = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$`)

// dotted says whether s is an IPv4 address as scripts write it, leading zeros included.
func dotted(s string) bool {
	if !fourNumbers.MatchString(s) {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if octet(part) > 255 {
			return false
		}
	}
	return true
}

// number is an IPv4 address as JavaScript reckons with it: 32 bits with a sign, missing parts 0.
func number(s string) int32 {
	var n uint32
	parts := strings.Split(s, ".")
	for i := range 4 {
		n <<= 8
		if i < len(parts) {
			n |= uint32(octet(parts[i])) & 0xff
		}
	}
	return int32(n)
}

func octet(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 255 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// shExpMatch matches a shell expression: * and ?. The reference makes a regexp of it and leaves everything else as it is,
// so that brackets and | work as in one, and scripts use that.
func (m *machine) shExpMatch(c goja.FunctionCall) goja.Value {
	text, pattern := arg(c, 0), arg(c, 1)
	if !strings.ContainsAny(pattern, `\^$+()[]{}|`) {
		return m.bool(glob(text, pattern))
	}
	source := "^" + strings.NewReplacer(".", `\.`, "*", ".*", "?", ".").Replace(pattern) + "$"
	re, err := m.vm.New(m.vm.Get("RegExp"), m.vm.ToValue(source))
	if err != nil {
		panic(err)
	}
	test, _ := goja.AssertFunction(re.Get("test"))
	v, err := test(re, m.vm.ToValue(text))
	if err != nil {
		panic(err)
	}
	return m.bool(v.ToBoolean())
}

// glob matches without backtracking further than to the last star.
func glob(text, pattern string) bool {
	t, p := []rune(text), []rune(pattern)
	star, from := -1, 0
	i, j := 0, 0
	for i < len(t) {
		switch {
		case j < len(p) && p[j] == '*':
			star, from = j, i
			j++
		case j < len(p) && (p[j] == '?' || p[j] == t[i]):
			i++
			j++
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(string(p[j:]), "*") == ""
}

// lookup is a question to DNS, addressed its answer.
type lookup struct{ network, host string }

type addressed struct {
	addrs []netip.Addr
	until time.Time
}

const (
	// maxNames bounds how many answers are kept.
	maxNames = 1000
	// keepFound and keepMissing are how long: an evaluation asks the same names again and again.
	keepFound, keepMissing = time.Minute, 5 * time.Second
)

// resolve looks a host up. None found is no error to scripts.
func (m *machine) resolve(host, network string) []netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		if a = a.Unmap(); network == "ip4" && !a.Is4() {
			return nil
		}
		return []netip.Addr{a}
	}
	if dotted(host) || host == "" || len(host) > 253 || strings.ContainsAny(host, " /\\\x00") {
		return nil
	}
	s := m.script
	host = strings.ToLower(host)
	q := lookup{network, host}
	s.mu.Lock()
	known, ok := s.names[q]
	s.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.addrs
	}
	left := s.env.Lookups - m.looking
	if left <= 0 {
		m.note("DNS: its lookups took more than " + s.env.Lookups.String() + " together; " + host + " was not looked up")
		m.fickle = true
		return nil
	}
	resume := m.watch.pause()
	defer resume()
	ctx, cancel := context.WithTimeout(m.ctx, min(left, s.env.Lookup))
	defer cancel()
	begun := time.Now()
	found, err := s.env.Resolver.LookupNetIP(ctx, network, host)
	m.looking += time.Since(begun)
	if ctx.Err() != nil {
		m.note("DNS: no answer about " + host + " in time")
		m.fickle = true // the next call may well have one
	}
	found = slices.Clone(found)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	if network == "ip4" {
		found = slices.DeleteFunc(found, func(a netip.Addr) bool { return !a.Is4() })
	}
	keep := keepFound
	if err != nil || len(found) == 0 {
		found, keep = nil, keepMissing
	}
	s.mu.Lock()
	if len(s.names) >= maxNames {
		clear(s.names)
	}
	s.names[q] = addressed{found, time.Now().Add(keep)}
	s.mu.Unlock()
	return found
}

// systemResolver is the system's, with the names below localhost as RFC 6761 has them.
type systemResolver struct{}

func (systemResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// addresses are those of this machine: first the ones that lead outside, then the others, loopback last.
func addresses() []netip.Addr {
	var list []netip.Addr
	add := func(a netip.Addr) {
		if a = a.Unmap(); a.IsValid() && !a.IsUnspecified() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	// Connecting a UDP socket sends nothing: the system chooses the address it would send from. The addresses are for
	// documentation (RFC 5737, RFC 3849) and lie wherever the default route leads.
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		if conn, err := net.Dial("udp", to); err == nil {
			if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
				add(a.AddrPort().Addr().WithZone(""))
			}
			conn.Close()
		}
	}
	var loopback []netip.Addr
	all, err := net.InterfaceAddrs()
	if err != nil {
		return list
	}
	for _, one := range all {
		n, ok := one.(*net.IPNet)
		if !ok {
			continue
		}
		a, _ := netip.AddrFromSlice(n.IP)
		switch a = a.Unmap(); {
		case a.IsLoopback():
			loopback = append(loopback, a)
		case !a.IsLinkLocalUnicast():
			add(a)
		}
	}
	return append(list, loopback...)
}
