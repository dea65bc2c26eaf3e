package route

import (
	"path/filepath"
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
	// Keytab, CCache and Krb5Conf are files for Kerberos, ServiceName the proxy's principal; "" for what is usual.
	Keytab      string `json:"keytab,omitempty"`
	CCache      string `json:"ccache,omitempty"`
	Krb5Conf    string `json:"krb5Conf,omitempty"`
	ServiceName string `json:"serviceName,omitempty"`
}

// Schemes are the ways to authenticate to a proxy.
func Schemes() []string { return []string{"basic", "digest", "ntlm", "negotiate"} }

// Normalize writes the entry as it is kept.
func (e *Entry) Normalize() {
	for _, text := range []*string{&e.Keytab, &e.CCache, &e.Krb5Conf, &e.ServiceName} {
		*text = strings.TrimSpace(*text)
	}
	e.CCache = strings.TrimPrefix(e.CCache, "FILE:")
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
	r.Way.Credentials, err = e.Credentials()
	return r, err
}

// Credentials reads what the entry's proxies may be shown. The error is a *mistake.Error.
func (e *Entry) Credentials() (none Credentials, err error) {
	if e.Password != "" && !isReference(e.Password) {
		return none, mistake.In("password", "a password is a reference: env:NAME, file:PATH, cmd:COMMAND or vault:NAME; the password itself is taken by eaves secret set NAME, and then vault:NAME refers to it (over the API, as secret)",
			"this is not a reference to a password")
	}
	for _, s := range e.Schemes {
		if !slices.Contains(Schemes(), s) {
			return none, mistake.In("schemes", "", "%q is not one of %s", s, strings.Join(Schemes(), ", "))
		}
	}
	for field, path := range map[string]string{"keytab": e.Keytab, "ccache": e.CCache, "krb5Conf": e.Krb5Conf} {
		if path != "" && !filepath.IsAbs(path) {
			return none, mistake.In(field, "write the whole path", "the path %q is relative: it would be another file wherever eaves runs", path)
		}
	}
	return Credentials{User: e.User, Password: e.Password, Schemes: e.Schemes,
		Keytab: e.Keytab, CCache: e.CCache, Krb5Conf: e.Krb5Conf, ServiceName: e.ServiceName}, nil
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
