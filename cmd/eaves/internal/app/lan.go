package app

import (
	"fmt"
	"io"
	"net"

	"eaves/certs"
	"eaves/webui/onboard"
)

// lanBanner says who can now use the proxy, and shows the way for a phone.
func (a *App) lanBanner(w io.Writer, log func(string)) {
	log("warning: with --lan every device on this machine's private networks can send traffic through this proxy and have it recorded; clients from elsewhere are refused")
	addresses := a.addresses()
	if len(addresses) == 0 {
		log("this machine has no address that a phone could reach yet")
		return
	}
	for _, at := range addresses {
		fmt.Fprintf(w, "phone    http://%s/ (%s)\n", at.HostPort, at.Interface)
	}
	if code, err := onboard.TerminalQR("http://" + addresses[0].HostPort + "/"); err == nil {
		fmt.Fprint(w, code)
	}
}

// addresses are those at which other devices reach the proxy now.
func (a *App) addresses() []onboard.Address {
	return onboard.LocalAddresses(net.TCPAddrFromAddrPort(a.proxyAddr))
}

// newOnboarding makes the page on which a device learns to use the proxy.
func (a *App) newOnboarding() error {
	files := map[string]onboard.File{}
	for _, format := range certs.Formats() {
		f, err := a.core.ca.Export(format)
		if err != nil {
			return err
		}
		files[string(format)] = onboard.File(f)
	}
	var err error
	a.core.onboarding, err = onboard.New(onboard.Config{
		CA:          a.core.ca.Certificate(),
		Files:       files,
		P12Password: certs.P12Password,
		ProxyAddr:   func() string { return reachable(a.proxyAddr) },
		Addresses:   a.addresses,
	})
	return err
}
