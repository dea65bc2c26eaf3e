package webui

import (
	"net/http"
	"time"
)

// Onboarding knows how other devices reach the proxy, and who has.
type Onboarding interface {
	Onboarding() (OnboardingState, error)
}

// OnboardingState is what somebody needs to send traffic through eaves, and how far they have come.
type OnboardingState struct {
	// Page is the name of the onboarding page for who goes through the proxy already.
	Page string `json:"page"`
	// Addresses are those at which other devices reach the proxy; none while it listens on this machine only.
	Addresses []DeviceAddress `json:"addresses"`
	// Lan says whether eaves takes other devices at all.
	Lan bool `json:"lan"`
	// Clients are the machines that used the proxy since eaves was started, the latest first.
	Clients []ProxyClient `json:"clients"`
}

// DeviceAddress is an address at which other devices reach the proxy, and the page that helps them.
type DeviceAddress struct {
	Interface string `json:"interface"`
	Address   string `json:"address"`
	URL       string `json:"url"`
	// Code is the URL as a QR code.
	Code QRCode `json:"code"`
}

// QRCode is a code as a drawing: the path of an SVG over size by size modules, its light border included.
type QRCode struct {
	Size int    `json:"size"`
	Path string `json:"path"`
}

// ProxyClient is a machine that uses the proxy. Times are nil for what has not happened.
type ProxyClient struct {
	Address string `json:"address"`
	// Connected is when it first sent something through the proxy, Trusted when it first went on after it was shown a
	// certificate of eaves, Refused when it last did not.
	Connected *time.Time `json:"connected"`
	Trusted   *time.Time `json:"trusted"`
	Refused   *time.Time `json:"refused"`
	// Requests counts those that were recorded.
	Requests int64      `json:"requests"`
	Last     *time.Time `json:"last"`
}

func (s *Server) onboarding(w http.ResponseWriter, r *request) error {
	state := OnboardingState{Addresses: []DeviceAddress{}, Clients: []ProxyClient{}}
	if s.cfg.Onboarding != nil {
		var err error
		if state, err = s.cfg.Onboarding.Onboarding(); err != nil {
			return err
		}
	}
	return writeJSON(w, r, http.StatusOK, state)
}
