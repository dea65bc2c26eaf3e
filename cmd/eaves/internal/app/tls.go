package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"strconv"
	"time"

	"eaves/capture"
	"eaves/certs/identity"
	"eaves/certs/keyfile"
	"eaves/certs/tlspolicy"
	"eaves/certs/token"
	"eaves/proxy/route"
	"eaves/proxy/upstream"
	"eaves/webui"
)

// sources is where passphrases and keys on tokens come from.
func (c *core) sources() identity.Sources {
	return identity.Sources{Secrets: c.vault, Tokens: func(uri string, pin []byte) (identity.Token, error) {
		t, err := token.Open(uri, pin)
		if err != nil {
			return nil, err // a nil *token.Token would be no nil Token
		}
		return t, nil
	}}
}

// identitiesFor are the client certificates that may be shown to a server, and those that would if they could be used.
func (c *core) identitiesFor(s upstream.Server) []upstream.Identity {
	matching := c.identities.Matching(s.Host, s.Port, s.Proxy)
	if len(matching) == 0 {
		return nil
	}
	all := make([]upstream.Identity, len(matching))
	for i := range matching {
		all[i] = toUpstream(&matching[i])
	}
	return all
}

func toUpstream(i *identity.Identity) upstream.Identity {
	u := upstream.Identity{Number: i.Number, Rule: i.Rule, Specificity: i.Specificity, Note: i.Note}
	if i.Loaded != nil {
		u.ID, u.Certificate = i.ID, i.Certificate
	}
	return u
}

// trustFor says by whom a server may be signed, and whether it is verified at all. A policy that speaks of verification
// beats --insecure, since it speaks of fewer hosts. That is for origins only: parent proxies are shown credentials.
func (c *core) trustFor(s upstream.Server) upstream.Trust {
	added := c.anchors.For(s.Host, s.Port)
	t := upstream.Trust{ID: added.ID, Roots: added.Roots}
	policy := c.policies.Load().For(s.Host, s.Port)
	switch {
	case policy != nil && policy.Entry.Verify != nil:
		if !*policy.Entry.Verify {
			t.Insecure, t.Reason = true, "the TLS policy for "+policy.Entry.Host
		}
	case c.insecure && !s.Proxy:
		t.Insecure, t.Reason = true, "--insecure"
	}
	if t.Insecure {
		t.ID += "insecure: " + t.Reason
	}
	return t
}

// policyFor says how TLS is spoken with a server.
func (c *core) policyFor(s upstream.Server) upstream.Policy {
	p := c.policies.Load().For(s.Host, s.Port)
	if p == nil {
		return upstream.Policy{}
	}
	return upstream.Policy{ID: p.ID, Rule: p.Entry.Host, Min: p.Min, Max: p.Max, Ciphers: p.Ciphers, ALPN: p.Entry.ALPN, ServerName: p.Entry.ServerName,
		Renegotiation: p.Renegotiation, NoRenegotiation: p.Entry.Renegotiation == tlspolicy.Never}
}

// choice is what a request to send says of client certificate, verification and way.
func (c *core) choice(ctx context.Context, o *webui.Outgoing) (upstream.Choice, error) {
	choice := upstream.Choice{}
	if o.Via != nil {
		r, err := c.along(ctx, o.URL, o.Via, route.Credentials{})
		if err != nil {
			return choice, err
		}
		choice.Route = r
	}
	if o.Verify != nil {
		insecure := !*o.Verify
		choice.Insecure = &insecure
	}
	switch o.Certificate {
	case "":
		return choice, nil
	case "none":
		choice.Identities = []upstream.Identity{}
		return choice, nil
	}
	id, err := strconv.ParseInt(o.Certificate, 10, 64)
	if err != nil {
		return choice, &webui.Refusal{Parameter: "certificate", Detail: fmt.Sprintf("%q is neither the id of a client certificate nor none", o.Certificate)}
	}
	i, ok, err := c.identities.Get(id)
	switch {
	case !ok:
		return choice, &webui.Refusal{Parameter: "certificate", Detail: fmt.Sprintf("there is no client certificate %d", id), Hint: "eaves cert list"}
	case i.Proxy:
		return choice, &webui.Refusal{Parameter: "certificate", Detail: fmt.Sprintf("client certificate %d is for parent proxies: no origin is shown it", id), Hint: fmt.Sprintf("eaves cert show %d", id)}
	case err != nil:
		return choice, &webui.Refusal{Parameter: "certificate", Detail: fmt.Sprintf("client certificate %d cannot be used: %v", id, err), Hint: fmt.Sprintf("eaves cert show %d", id)}
	}
	choice.Identities = []upstream.Identity{toUpstream(&i)}
	return choice, nil
}

// setPolicies puts policies in force.
func (c *core) setPolicies(entries []tlspolicy.Entry) { c.policies.Store(tlspolicy.NewTable(entries)) }

// certificateWarnings say which client certificates expired, will soon, or cannot be used: a line each.
func (c *core) certificateWarnings(now time.Time) []string {
	var lines []string
	for _, s := range c.identities.States() {
		name := fmt.Sprintf("warning: client certificate %d for %s: ", s.Entry.ID, s.Entry.Rule())
		switch {
		case !s.Entry.Enabled:
		case s.Loaded == nil && s.Err != nil:
			lines = append(lines, name+"cannot be used: "+s.Err.Error())
		case s.Loaded != nil:
			for _, w := range s.Loaded.Warnings(now) {
				if w.Code == keyfile.Expired || w.Code == keyfile.ExpiresSoon || w.Code == keyfile.NotYetValid {
					lines = append(lines, name+w.Message)
				}
			}
		}
	}
	return lines
}

func describeAll(list []*x509.Certificate) []capture.Certificate {
	all := make([]capture.Certificate, len(list))
	for i, c := range list {
		all[i] = upstream.Certificate(c)
	}
	return all
}
