package upstream

import (
	"fmt"
	"strings"

	"eaves/proxy/upstream/hop"
)

// mend is what to do about a way to host that ended at a proxy: with commands that change what decided, and work as they
// stand but for the names in capitals.
func (r *Route) mend(he *hop.Error, host string) string {
	switch he.Mend {
	case hop.MendCredentials:
		return r.credentialsHint(he, host)
	case hop.MendDetour:
		if !r.Asked {
			return he.Hint + "; eaves route add " + quoted(host) + " --first --via direct goes round this proxy"
		}
	}
	return he.Hint
}

// credentialsHint says how a proxy is given credentials, or others.
func (r *Route) credentialsHint(he *hop.Error, host string) string {
	named := "--via " + quoted(fmt.Sprintf("%s://USER:vault:NAME@%s", he.Hop.Kind, he.Hop.Address()))
	const keep = "eaves secret set NAME keeps the password"
	if r.Asked {
		return "name them in the proxy's URL: " + named + "; " + keep
	}
	pattern, why := host, "a route of its own comes before what decided"
	if r.Rule != "" {
		pattern, why = r.Rule, "the route "+r.Rule+" decided (eaves route list), so one with the right ones goes in front of it"
	}
	command := "eaves route add " + quoted(pattern) + " --first"
	if len(r.Hops) == 1 {
		return fmt.Sprintf("%s: %s --via %s --user USER --password vault:NAME; %s", why, command, quoted(fmt.Sprintf("%s://%s", he.Hop.Kind, he.Hop.Address())), keep)
	}
	for i, h := range r.Hops {
		switch {
		case i == he.Index:
			command += " " + named
		case h.Credentials != nil && h.Credentials.User != "": // what its password is referred to by is not known here
			command += fmt.Sprintf(" --via %s", quoted(fmt.Sprintf("%s://%s:vault:OTHER@%s", h.Kind, h.Credentials.User, h.Address())))
		default:
			command += fmt.Sprintf(" --via %s", quoted(fmt.Sprintf("%s://%s", h.Kind, h.Address())))
		}
	}
	return why + ": " + command + "; " + keep
}

// quoted is a word as a shell takes it.
func quoted(s string) string {
	if strings.ContainsAny(s, `*?[]\'"$&;()<>|`) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
