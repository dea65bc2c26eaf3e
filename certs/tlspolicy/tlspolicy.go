// Package tlspolicy says how TLS is spoken with the hosts of a pattern: versions, cipher suites, protocols, verification,
// server name, renegotiation.
//
// # Guarantees
//
// Of the policies that match a host the one with the most specific pattern holds as a whole; policies are never mixed. A
// pattern without a port means any port. What crypto/tls cannot do is refused rather than left out: the order of suites
// and the suites of TLS 1.3 cannot be chosen, and versions are a range without holes.
package tlspolicy

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"eaves/capture/hostpattern"
	"eaves/certs/mistake"
)

// Entry is one policy as it is configured. Empty values leave the choice to eaves.
type Entry struct {
	ID      int64 `json:"id"`
	Enabled bool  `json:"enabled"`
	// Host is a host pattern.
	Host string `json:"host"`
	// Min and Max are versions: 1.0, 1.1, 1.2 or 1.3.
	Min string `json:"min,omitempty"`
	Max string `json:"max,omitempty"`
	// Ciphers are the suites of TLS up to 1.2 that are offered, by their names of the IANA registry.
	Ciphers []string `json:"ciphers,omitempty"`
	// ALPN are the protocols that are offered: h2, http/1.1.
	ALPN []string `json:"alpn,omitempty"`
	// Verify says whether servers are verified; nil: as everywhere.
	Verify *bool `json:"verify,omitempty"`
	// ServerName is sent and verified in place of the host.
	ServerName string `json:"serverName,omitempty"`
	// Renegotiation is never, once, freely, or empty.
	Renegotiation string `json:"renegotiation,omitempty"`
}

// The answers to a server that wants to renegotiate.
const (
	Never  = "never"
	Once   = "once"
	Freely = "freely"
)

// Policy is an entry as crypto/tls knows it.
type Policy struct {
	// ID changes with everything that bears on a connection.
	ID    string
	Entry Entry
	// Min and Max are 0 where they are left open.
	Min, Max uint16
	Ciphers  []uint16
	// Renegotiation means something where the entry names one.
	Renegotiation tls.RenegotiationSupport

	pattern hostpattern.Pattern
}

// SameHost says whether both are for the same host pattern, however it is written.
func (e Entry) SameHost(other Entry) bool {
	a, err := hostpattern.Parse(e.Host)
	b, otherErr := hostpattern.Parse(other.Host)
	return err == nil && otherErr == nil && a == b
}

// Versions are the versions that a policy can name.
func Versions() []string { return []string{"1.0", "1.1", "1.2", "1.3"} }

func version(field, text string) (uint16, error) {
	if text == "" {
		return 0, nil
	}
	i := slices.Index(Versions(), text)
	if i < 0 {
		return 0, mistake.In(field, "", "there is no TLS version %q here: expected %s", text, strings.Join(Versions(), ", "))
	}
	return tls.VersionTLS10 + uint16(i), nil
}

// Normalize brings what users write to the form in which it is kept: suites by their IANA names, each once.
func (e *Entry) Normalize() {
	e.Ciphers = slices.Clone(e.Ciphers)
	for i, name := range e.Ciphers {
		if s := suite(strings.TrimSpace(name)); s != nil {
			e.Ciphers[i] = s.Name
		}
	}
	for _, list := range []*[]string{&e.Ciphers, &e.ALPN} {
		var kept []string
		for _, s := range *list {
			if s = strings.TrimSpace(s); s != "" && !slices.Contains(kept, s) {
				kept = append(kept, s)
			}
		}
		*list = kept
	}
	e.Min, e.Max = strings.TrimPrefix(e.Min, "TLS"), strings.TrimPrefix(e.Max, "TLS")
	e.Min, e.Max = strings.TrimPrefix(strings.TrimSpace(e.Min), "v"), strings.TrimPrefix(strings.TrimSpace(e.Max), "v")
	e.Host, e.ServerName = strings.TrimSpace(e.Host), hostpattern.Normalize(strings.TrimSpace(e.ServerName))
}

// Validate says what in the entry cannot be.
func (e *Entry) Validate() error {
	_, err := e.Policy()
	return err
}

// Policy reads the entry. The error is a *mistake.Error.
func (e *Entry) Policy() (*Policy, error) {
	p := &Policy{Entry: *e}
	var err error
	if p.pattern, err = hostpattern.Parse(e.Host); err != nil {
		return nil, mistake.In("host", "name a host such as api.bank.test, *.bank.test or *", "%v", err)
	}
	if p.Min, err = version("min", e.Min); err != nil {
		return nil, err
	}
	if p.Max, err = version("max", e.Max); err != nil {
		return nil, err
	}
	if p.Min == 0 && p.Max != 0 && p.Max < tls.VersionTLS12 {
		p.Min = tls.VersionTLS10 // left open, it would be 1.2, and no version would be left
	}
	if p.Max != 0 && p.Min > p.Max {
		return nil, mistake.In("min", "", "no version is at least %s and at most %s", e.Min, e.Max)
	}
	if p.Ciphers, err = ciphers(e.Ciphers); err != nil {
		return nil, err
	}
	if len(p.Ciphers) > 0 && p.Min == tls.VersionTLS13 {
		return nil, mistake.In("ciphers", "leave ciphers out, or let min be 1.2", "the suites of TLS 1.3 cannot be chosen, and no older version is let in")
	}
	for _, a := range e.ALPN {
		if a != "h2" && a != "http/1.1" {
			return nil, mistake.In("alpn", "", "eaves speaks h2 and http/1.1, not %q", a)
		}
	}
	if e.ServerName != "" {
		name, err := hostpattern.Parse(e.ServerName)
		exact := ""
		if err == nil {
			exact, _ = name.Host()
		}
		if _, hasPort := name.Port(); exact == "" || hasPort {
			return nil, mistake.In("serverName", "", "%q is not a host name", e.ServerName)
		}
	}
	switch e.Renegotiation {
	case "", Never:
	case Once:
		p.Renegotiation = tls.RenegotiateOnceAsClient
	case Freely:
		p.Renegotiation = tls.RenegotiateFreelyAsClient
	default:
		return nil, mistake.In("renegotiation", "", "renegotiation is never, once or freely, not %q", e.Renegotiation)
	}
	if e.Min == "" && e.Max == "" && len(e.Ciphers) == 0 && len(e.ALPN) == 0 && e.Verify == nil && e.ServerName == "" && e.Renegotiation == "" {
		return nil, mistake.In("", "set min, max, ciphers, alpn, verify, serverName or renegotiation", "the policy for %s says nothing", e.Host)
	}
	content, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	p.ID = strconv.FormatInt(e.ID, 10) + "-" + hex.EncodeToString(sum[:8])
	return p, nil
}

// Matches says whether the policy is for a server.
func (p *Policy) Matches(host string, port int) bool { return p.pattern.Match(host, port) }

// Table holds the policies in force.
type Table struct {
	policies []*Policy // the most specific first
}

// NewTable makes a table of the entries that are enabled and valid.
func NewTable(entries []Entry) *Table {
	t := &Table{}
	for i := range entries {
		if p, err := entries[i].Policy(); err == nil && entries[i].Enabled {
			t.policies = append(t.policies, p)
		}
	}
	slices.SortStableFunc(t.policies, func(a, b *Policy) int {
		return cmp.Or(cmp.Compare(b.pattern.Specificity(), a.pattern.Specificity()), cmp.Compare(b.Entry.ID, a.Entry.ID))
	})
	return t
}

// For returns the policy for a server; nil: none.
func (t *Table) For(host string, port int) *Policy {
	for _, p := range t.policies {
		if p.Matches(host, port) {
			return p
		}
	}
	return nil
}
