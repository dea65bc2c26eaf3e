package onboard

import (
	"net"
	"net/netip"
	"slices"
)

// Address is one at which other devices reach the proxy.
type Address struct {
	// Interface is the network interface it belongs to.
	Interface string
	// HostPort is what a device is told.
	HostPort string
}

// LocalAddresses returns the addresses at which a listener can be reached from other devices: none for a loopback
// listener, its own for one on a certain address, and each interface's for one on all of them (private and IPv4
// addresses first, since they are the likeliest to be shared with a phone).
func LocalAddresses(listener net.Addr) []Address {
	ap, err := netip.ParseAddrPort(listener.String())
	if err != nil {
		return nil
	}
	addr := ap.Addr().Unmap()
	if addr.IsLoopback() {
		return nil
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var all []Address
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			ip := prefix.Addr().Unmap()
			// A link-local IPv6 address needs a zone that only its own machine knows the name of.
			if !ip.IsGlobalUnicast() || !addr.IsUnspecified() && addr.WithZone("") != ip {
				continue
			}
			// A listener on 0.0.0.0 takes no IPv6.
			if addr.IsUnspecified() && addr.Is4() && ip.Is6() {
				continue
			}
			all = append(all, Address{i.Name, netip.AddrPortFrom(ip, ap.Port()).String()})
		}
	}
	slices.SortStableFunc(all, func(a, b Address) int { return rank(a) - rank(b) })
	return all
}

func rank(a Address) int {
	ap, err := netip.ParseAddrPort(a.HostPort)
	switch ip := ap.Addr(); {
	case err != nil:
		return 4
	case ip.Is4() && ip.IsPrivate():
		return 0
	case ip.Is4():
		return 1
	case ip.IsPrivate():
		return 2
	}
	return 3
}
