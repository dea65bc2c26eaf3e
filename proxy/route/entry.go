package route

import (
	"slices"
	"strings"

	"eaves/capture/hostpattern"
	"eaves/certs/mistake"
)

// Entry is a route as it stands in the settings.
type Entry struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Host    string `json:"host"`
	// Via is the way, as ParseVia takes it.
	Via []string `json:"via"`
	// User, Password (a reference) and Schemes are for those proxies whose URL names no user.
	User     string   `json:"user,omitempty"`
	Password string   `json:"password,omitempty"`
	Schemes  []string `json:"schemes,omitempty"`
}

// Schemes are the ways to authenticate to a proxy.
func Schemes() []string { return []string{"basic", "digest", "ntlm", "negotiate"} }

// Normalize writes the entry as it is kept.
func (e *Entry) Normalize() {
	e.Host, e.User, e.Password = strings.TrimSpace(e.Host), strings.TrimSpace(e.User), strings.TrimSpace(e.Password)
	if v, err := ParseVia(e.Via...); err == nil && len(e.Via) > 0 {
		if _, err := v.kept(); err == nil {
			e.Via = v.Texts()
		}
	}
	var schemes []string
	for _, s := range e.Schemes {
		if s = strings.ToLower(strings.TrimSpace(s)); s != "" && !slices.Contains(schemes, s) {
			schemes = append(schemes, s)
		}
	}
	e.Schemes = schemes
}

// Validate says what in the entry cannot be.
func (e *Entry) Validate() error {
	_, err := e.Rule()
	return err
}

// Rule reads the entry. The error is a *mistake.Error.
func (e *Entry) Rule() (Rule, error) {
	r := Rule{ID: e.ID}
	var err error
	if r.Pattern, err = hostpattern.Parse(e.Host); err != nil {
		return r, mistake.In("host", "name a host such as api.corp.test, *.corp.test or *", "%v", err)
	}
	if len(e.Via) == 0 {
		return r, mistake.In("via", "name proxies in order, or direct, system or pac+URL", "the route says no way")
	}
	if r.Way.Via, err = parseKept("via", e.Via); err != nil {
		return r, err
	}
	if e.Password != "" && !isReference(e.Password) {
		return r, mistake.In("password", "a password is a reference: env:NAME, file:PATH, cmd:COMMAND or vault:NAME; give the password itself as secret",
			"this is not a reference to a password")
	}
	for _, s := range e.Schemes {
		if !slices.Contains(Schemes(), s) {
			return r, mistake.In("schemes", "", "%q is not one of %s", s, strings.Join(Schemes(), ", "))
		}
	}
	r.Way.Credentials = Credentials{User: e.User, Password: e.Password, Schemes: e.Schemes}
	return r, nil
}

// Default is what holds where no route matches, as it stands in the settings.
type Default struct {
	UpstreamProxy []string `json:"upstreamProxy"`
	Bypass        string   `json:"bypass"`
}

// Read reads it. The error is a *mistake.Error.
func (d *Default) Read() (Via, hostpattern.List, error) {
	v, err := parseKept("upstreamProxy", d.UpstreamProxy)
	if err != nil {
		return v, hostpattern.List{}, err
	}
	list, err := hostpattern.ParseList(d.Bypass)
	if err != nil {
		return v, list, mistake.In("bypass", "name hosts, *.example.com, .example.com, 10.0.0.0/8, <local> or <-loopback>, with commas between them", "%v", err)
	}
	return v, list, nil
}

// parseKept reads a way that a file keeps.
func parseKept(field string, list []string) (Via, error) {
	v, err := ParseVia(list...)
	if err != nil {
		return v, mistake.In(field, "write proxies as http://proxy.test:3128, or direct, system or pac+URL", "%v", err)
	}
	if p, err := v.kept(); err != nil {
		return v, mistake.In(field, "leave the password out of the URL and give user and password for the route, or a reference in its place: "+p,
			"a password does not stand in a file in clear")
	}
	return v, nil
}
