package app

import (
	"time"

	"eaves/webui"
	"eaves/webui/onboard"
)

// onboarding is what the console's page for beginners shows.
type onboarding struct{ a *App }

func (o onboarding) Onboarding() (webui.OnboardingState, error) {
	state := webui.OnboardingState{Page: "http://" + onboard.Host + "/", Lan: !o.a.proxyAddr.Addr().IsLoopback(), Addresses: []webui.DeviceAddress{}, Clients: []webui.ProxyClient{}}
	for _, at := range o.a.addresses() {
		url := "http://" + at.HostPort + "/"
		size, path, err := onboard.Code(url)
		if err != nil {
			return state, err
		}
		state.Addresses = append(state.Addresses, webui.DeviceAddress{Interface: at.Interface, Address: at.HostPort, URL: url, Code: webui.QRCode{Size: size, Path: path}})
	}
	for _, c := range o.a.core.proxy.Clients() {
		state.Clients = append(state.Clients, webui.ProxyClient{
			Address: c.Address, Connected: happened(c.Connected), Trusted: happened(c.Trusted), Refused: happened(c.Refused), Requests: c.Requests, Last: happened(c.Last),
		})
	}
	return state, nil
}

// happened is nil for what has not.
func happened(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
