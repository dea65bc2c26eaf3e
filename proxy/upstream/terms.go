package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// terms are what decides who we are to a server, whom we trust there, and how TLS is spoken.
type terms struct {
	server     Server
	identities []Identity // best first
	// unusable are those that would be shown if they could be used.
	unusable []Identity
	// chosen says that the call named its identities itself, by hand: an empty list is then meant.
	chosen bool
	trust  Trust
	policy Policy
}

// terms are those of a server. serverName is what the client asked for in TLS, "" where it did not. choice may be nil.
func (c *Client) terms(s Server, serverName string, choice *Choice) terms {
	t := terms{server: s, trust: c.cfg.Trust(s), policy: c.cfg.Policy(s)}
	if choice != nil && choice.Insecure != nil && *choice.Insecure != t.trust.Insecure {
		t.trust.Insecure, t.trust.Reason = *choice.Insecure, "this request alone"
	}
	if choice != nil && choice.Identities != nil {
		t.identities, t.chosen = choice.Identities, true
		return t
	}
	t.take(c.cfg.Identities(s))
	proven := t.policy.ServerName == "" || t.policy.ServerName == serverName
	if len(t.identities) == 0 && serverName != "" && proven && !t.trust.Insecure && isAddress(s.Host) && !isAddress(serverName) {
		// The client looked up the name itself, as many do with SOCKS. The server proves that it has the name before it is
		// shown anything; where the policy has it prove another one, that says nothing.
		t.take(c.cfg.Identities(Server{Host: serverName, Port: s.Port, Proxy: s.Proxy}))
	}
	return t
}

// take takes what is configured, those apart that cannot be used.
func (t *terms) take(all []Identity) {
	broken := func(id Identity) bool { return id.Certificate == nil }
	if !slices.ContainsFunc(all, broken) {
		t.identities = all
		return
	}
	for _, id := range all {
		if broken(id) {
			t.unusable = append(t.unusable, id)
		} else {
			t.identities = append(t.identities, id)
		}
	}
}

func isAddress(host string) bool {
	if host == "" || strings.IndexByte(host, ':') < 0 && (host[len(host)-1] < '0' || host[len(host)-1] > '9') {
		return false // most are names
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// identityKey tells identities apart, and what is told of them: a connection tells the rule and the note that hold.
func (t *terms) identityKey() string {
	switch {
	case len(t.identities) == 1 && len(t.unusable) == 0 && !t.chosen:
		id := &t.identities[0]
		return id.ID + "\x00" + id.Rule + "\x00" + id.Note
	case len(t.identities) == 0 && len(t.unusable) == 0 && !t.chosen:
		return ""
	}
	var b strings.Builder
	if t.chosen {
		b.WriteString("chosen\x00")
	}
	for i := range t.identities {
		id := &t.identities[i]
		fmt.Fprintf(&b, "%q %q %d %q\n", id.ID, id.Rule, id.Specificity, id.Note)
	}
	for i := range t.unusable {
		fmt.Fprintf(&b, "unusable %d %q %q\n", t.unusable[i].Number, t.unusable[i].Rule, t.unusable[i].Note)
	}
	return b.String()
}

// protocols are those to offer by ALPN to a call that wants these.
func (t *terms) protocols(wanted ...string) []string {
	if len(t.policy.ALPN) == 0 {
		return wanted
	}
	if slices.Contains(wanted, "h2") {
		return t.policy.ALPN
	}
	protos := slices.DeleteFunc(slices.Clone(t.policy.ALPN), func(p string) bool { return p == "h2" })
	if len(protos) == 0 {
		return wanted
	}
	return protos
}

// offersH2 says whether HTTP/2 is offered to a call whose client speaks it, or does not.
func (t *terms) offersH2(client bool) bool {
	if len(t.policy.ALPN) == 0 {
		return client
	}
	return slices.Contains(t.policy.ALPN, "h2")
}
