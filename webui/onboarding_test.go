package webui

import (
	"testing"
	"time"
)

type fakeOnboarding struct{}

func (fakeOnboarding) Onboarding() (OnboardingState, error) {
	at := time.Unix(1, 0).UTC()
	return OnboardingState{
		Page: "http://eaves.test/", Lan: true,
		Addresses: []DeviceAddress{{Interface: "wlan0", Address: "192.168.1.5:8484", URL: "http://192.168.1.5:8484/", Code: QRCode{Size: 29, Path: "M4 4h7v1h-7z"}}},
		Clients:   []ProxyClient{{Address: "192.168.1.7", Connected: &at, Refused: &at, Requests: 0, Last: &at}},
	}, nil
}

func withOnboarding(c *Config) { c.Onboarding = fakeOnboarding{} }

func TestNobodyHasComeWhereNobodyListens(t *testing.T) {
	l := newLab(t)
	var state OnboardingState
	l.ask("GET", "/api/v1/onboarding", "").json(t, 200, &state)
	if state.Lan || state.Addresses == nil || len(state.Addresses) != 0 || state.Clients == nil || len(state.Clients) != 0 {
		t.Errorf("%+v", state)
	}
}
