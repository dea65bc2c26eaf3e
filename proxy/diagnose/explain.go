package diagnose

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
)

// Explain says what would be done for a URL. The error is of the route: nothing can be said beyond it that would happen.
func Explain(ctx context.Context, c Config, t Target, choice upstream.Choice) (*capture.Explanation, error) {
	route, err := c.route(ctx, t, choice)
	if err != nil {
		return nil, err
	}
	server := upstream.Server{Host: t.Host, Port: t.Port}
	x := &capture.Explanation{URL: t.URL, Route: routeReceipt(route, t), Why: routeWords(route, t)}
	if t.Scheme != "https" {
		const plain = "The URL is http: there is no TLS with the origin, so no client certificate is ever sent and nothing is verified."
		x.ClientCertificate = capture.CertificateRule{Candidates: []capture.Candidate{}, Explanation: plain}
		x.Trust = capture.TrustRule{Roots: "none", Added: []capture.Anchor{}, Explanation: plain}
		x.TLS = capture.TLSRule{Ciphers: []string{}, ALPN: []string{}, Explanation: plain}
		return x, nil
	}
	x.ClientCertificate = c.certificateRule(server, choice)
	x.Trust = c.trustRule(server, choice)
	x.TLS = c.tlsRule(server)
	return x, nil
}

func routeReceipt(r upstream.Route, t Target) *capture.Route {
	c := &capture.Route{Source: r.Source, Reason: r.Reason, Hops: []capture.Hop{}}
	for _, h := range r.Hops {
		c.Hops = append(c.Hops, capture.Hop{Kind: string(h.Kind), Address: address(h.Host, h.Port), DNS: -1, Connect: -1})
	}
	c.Hops = append(c.Hops, capture.Hop{Kind: "origin", Address: address(t.Host, t.Port), DNS: -1, Connect: -1})
	return c
}

// routeWords says a route, and those that stand in for it, in sentences.
func routeWords(r upstream.Route, t Target) []string {
	var words []string
	who := map[string]string{
		"direct": "Nothing says otherwise", "custom": "The configured parent proxy decides", "system": "The system's proxy settings decide",
		"pac": "The PAC file decides", "rule": "A route rule decides",
	}[r.Source]
	if who == "" {
		who = "Decided by " + r.Source
	}
	entry, bypassed := strings.CutPrefix(r.Reason, "bypass ")
	switch {
	case bypassed:
		who = "The bypass list decides (" + entry + ")"
	case r.Asked:
		who = "Asked for"
		if r.Source == "pac" || len(r.Hops) == 0 && r.Reason != "asked for" {
			who += " (" + r.Reason + ")"
		}
	case r.Reason != "":
		who += " (" + r.Reason + ")"
	}
	words = append(words, who+": "+wayWords(r.Hops, t)+".")
	for next := r.Else; next != nil; next = next.Else {
		words = append(words, "If the first of these cannot be reached: "+wayWords(next.Hops, t)+".")
	}
	for _, h := range r.Hops {
		if h.Credentials != nil {
			words = append(words, fmt.Sprintf("If %s asks for credentials, those of %s are shown to it, and to nobody else.", address(h.Host, h.Port), user(h.Credentials)))
		}
	}
	return words
}

func user(c *hop.Credentials) string {
	if c.User != "" {
		return c.User
	}
	return "the Kerberos ticket"
}

// wayWords says which stations lead to the origin, and how.
func wayWords(hops []hop.Hop, t Target) string {
	origin := address(t.Host, t.Port)
	if len(hops) == 0 {
		return "straight to " + origin
	}
	names := make([]string, len(hops))
	for i, h := range hops {
		names[i] = fmt.Sprintf("%s://%s", h.Kind, address(h.Host, h.Port))
	}
	how := "by a tunnel (CONNECT) to "
	last := hops[len(hops)-1].Kind
	switch {
	case last == hop.SOCKS4 || last == hop.SOCKS5:
		how = "by a SOCKS connection to "
	case t.Scheme == "http":
		how = "which is asked for the whole URL on "
	}
	return "through " + strings.Join(names, ", then ") + " " + how + origin
}

func (c *Config) certificateRule(server upstream.Server, choice upstream.Choice) capture.CertificateRule {
	where := address(server.Host, server.Port)
	r := capture.CertificateRule{Candidates: []capture.Candidate{}}
	if choice.Identities != nil {
		if len(choice.Identities) == 0 {
			r.Explanation = "For this request it was chosen to send no client certificate."
			return r
		}
		chosen := choice.Identities[0]
		r.Rule, r.ID = chosen.Rule, chosen.Number
		r.Candidates = append(r.Candidates, capture.Candidate{ID: chosen.Number, Rule: chosen.Rule, Subject: subject(chosen), Matches: true, Reason: "chosen for this request"})
		r.Explanation = fmt.Sprintf("If the server asks for a client certificate, certificate %d (%s) is sent: it was chosen for this request.", chosen.Number, subject(chosen))
		return r
	}
	var all, list []upstream.Identity
	if c.Upstream.Identities != nil {
		all = c.Upstream.Identities(server)
	}
	known := map[int64]bool{}
	for _, id := range all {
		if id.Certificate != nil {
			list = append(list, id)
			continue
		}
		known[id.Number] = true
		r.Candidates = append(r.Candidates, capture.Candidate{ID: id.Number, Rule: id.Rule, Matches: true, Reason: "it matches, but cannot be used: " + id.Note})
	}
	for i, id := range list {
		known[id.Number] = true
		reason := "the most specific pattern that matches"
		switch {
		case i > 0 && id.Specificity < list[0].Specificity:
			reason = fmt.Sprintf("matches, but %s is more specific", list[0].Rule)
		case i > 0:
			reason = "as specific as the first: sent in its place if only this one comes from a CA that the server names"
		case len(list) > 1 && list[1].Specificity == id.Specificity:
			reason = "the last added of the most specific patterns that match; the CAs that the server names decide among those"
		}
		if id.Note != "" {
			reason += " (" + id.Note + ")"
		}
		r.Candidates = append(r.Candidates, capture.Candidate{ID: id.Number, Rule: id.Rule, Subject: subject(id), Matches: true, Reason: reason})
	}
	if c.Certificates != nil {
		for _, cert := range c.Certificates() {
			if known[cert.ID] {
				continue
			}
			if reason := nearMiss(cert, server); reason != "" {
				r.Candidates = append(r.Candidates, capture.Candidate{ID: cert.ID, Rule: cert.Pattern.String(), Subject: cert.Subject, Reason: reason})
			}
		}
	}
	if len(list) == 0 && len(all) > 0 {
		r.Explanation = fmt.Sprintf("Client certificate %d is configured for %s but cannot be used: %s. If the server asks for one, none is sent.", all[0].Number, where, all[0].Note)
		return r
	}
	if len(list) == 0 {
		r.Explanation = fmt.Sprintf("No client certificate is configured for %s: if the server asks for one, none is sent.", where)
		return r
	}
	r.Rule, r.ID = list[0].Rule, list[0].Number
	r.Explanation = fmt.Sprintf("If the server asks for a client certificate, certificate %d (%s) is sent, because of the rule for %s.", r.ID, subject(list[0]), r.Rule)
	if len(list) > 1 && list[1].Specificity == list[0].Specificity {
		r.Explanation = fmt.Sprintf("If the server asks for a client certificate, the CAs that it names decide among %d that are configured equally; where they do not, certificate %d (%s) is sent, as the last added.",
			equals(list), r.ID, subject(list[0]))
	}
	for _, id := range all {
		if id.Certificate == nil && id.Specificity >= list[0].Specificity {
			r.Explanation += fmt.Sprintf(" Certificate %d (rule %s) cannot be sent in its place: %s", id.Number, id.Rule, id.Note)
		}
	}
	return r
}

// equals counts the identities that are as specific as the first.
func equals(list []upstream.Identity) int {
	n := 0
	for _, id := range list {
		if id.Specificity == list[0].Specificity {
			n++
		}
	}
	return n
}

// nearMiss says why a certificate for this host is not sent to it all the same; "" where it is for other hosts.
func nearMiss(cert Certificate, server upstream.Server) string {
	const defaultPort = 443
	if !cert.Pattern.Match(server.Host, server.Port) {
		if port, ok := cert.Pattern.Port(); ok && cert.Pattern.Match(server.Host, port) {
			return fmt.Sprintf("the host fits, but it is for port %d only", port)
		}
		return ""
	}
	switch {
	case cert.Proxy != server.Proxy && cert.Proxy:
		return "the host fits, but it is for parent proxies only"
	case cert.Proxy != server.Proxy:
		return "the host fits, but it is for origins only"
	case !cert.Pattern.MatchDefault(server.Host, server.Port, defaultPort):
		return fmt.Sprintf("the host fits, but a pattern without a port is for port %d only; %s:* is for any", defaultPort, cert.Pattern)
	case !cert.Enabled:
		return "it matches, but is switched off"
	case cert.Problem != "":
		return "it matches, but cannot be used: " + cert.Problem
	}
	return "it matches, but is not in use"
}

func subject(id upstream.Identity) string {
	if id.Certificate == nil || id.Certificate.Leaf == nil {
		return "unknown subject"
	}
	return id.Certificate.Leaf.Subject.String()
}

func (c *Config) trustRule(server upstream.Server, choice upstream.Choice) capture.TrustRule {
	r := capture.TrustRule{Roots: "system", Added: []capture.Anchor{}, Verify: true}
	if c.Anchors != nil {
		if added := c.Anchors(server); len(added) > 0 {
			r.Added = added
			r.Roots = fmt.Sprintf("system + %d added", len(added))
		}
	}
	var trust upstream.Trust
	if c.Upstream.Trust != nil {
		trust = c.Upstream.Trust(server)
	}
	r.Verify = !trust.Insecure
	reason := trust.Reason
	if choice.Insecure != nil {
		r.Verify, reason = !*choice.Insecure, "chosen for this request"
	}
	switch {
	case !r.Verify && reason != "":
		r.Explanation = fmt.Sprintf("The server's certificate is not verified (%s); what would have failed is still recorded.", reason)
	case !r.Verify:
		r.Explanation = "The server's certificate is not verified; what would have failed is still recorded."
	case len(r.Added) > 0:
		r.Explanation = fmt.Sprintf("The server's certificate must lead to a CA of this system (or of SSL_CERT_FILE), or to one of %d added, and name %s.", len(r.Added), server.Host)
	default:
		r.Explanation = fmt.Sprintf("The server's certificate must lead to a CA of this system (or of SSL_CERT_FILE) and name %s.", server.Host)
	}
	return r
}

func (c *Config) tlsRule(server upstream.Server) capture.TLSRule {
	var p upstream.Policy
	if c.Upstream.Policy != nil {
		p = c.Upstream.Policy(server)
	}
	r := capture.TLSRule{Rule: p.Rule, Min: version(p.Min, tls.VersionTLS12), Max: version(p.Max, tls.VersionTLS13), Ciphers: []string{}, ALPN: p.ALPN, ServerName: p.ServerName}
	for _, id := range p.Ciphers {
		r.Ciphers = append(r.Ciphers, tls.CipherSuiteName(id))
	}
	if len(r.ALPN) == 0 {
		r.ALPN = []string{"h2", "http/1.1"}
	}
	if r.ServerName == "" {
		r.ServerName = server.Host
	}
	words := fmt.Sprintf("TLS %s to %s is offered, with the name %s", r.Min, r.Max, r.ServerName)
	if p.Rule == "" {
		r.Explanation = words + "; no TLS policy is set for this host."
	} else {
		r.Explanation = words + fmt.Sprintf(", as the TLS policy for %s says.", p.Rule)
	}
	return r
}

// version writes a TLS version as the commands take it.
func version(v, otherwise uint16) string {
	if v == 0 {
		v = otherwise
	}
	return strings.TrimPrefix(tls.VersionName(v), "TLS ")
}
