package app

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
	"eaves/certs/identity"
	"eaves/proxy/diagnose"
	"eaves/proxy/route"
	"eaves/proxy/upstream"
	"eaves/webui"
)

// diagnostician asks what the proxy would do, and does it apart from the traffic.
type diagnostician struct{ c *core }

// question reads what is asked, as for a request to send.
func (d diagnostician) question(ctx context.Context, q webui.Question) (t diagnose.Target, choice upstream.Choice, err error) {
	if t, err = diagnose.ParseTarget(q.URL); err != nil {
		return t, choice, &webui.Refusal{Parameter: "url", Detail: err.Error(), Hint: "give a URL such as https://api.example.com/"}
	}
	o := webui.Outgoing{URL: t.URL, Certificate: q.Certificate, Verify: q.Verify}
	if choice, err = d.c.choice(ctx, &o); err != nil {
		return t, choice, err
	}
	if len(q.Via) > 0 {
		e := route.Entry{User: q.User, Password: q.Password, Schemes: q.Schemes, Keytab: q.Keytab, CCache: q.CCache, Krb5Conf: q.Krb5Conf, ServiceName: q.ServiceName}
		e.Normalize()
		shown, err := e.Credentials()
		if err != nil {
			return t, choice, refusal(err, nil)
		}
		shown.Secret = q.Secret
		if choice.Route, err = d.c.along(ctx, t.URL, q.Via, shown); err != nil {
			return t, choice, err
		}
	}
	bypass, err := hostpattern.ParseList(q.Bypass)
	if err != nil {
		return t, choice, &webui.Refusal{Parameter: "bypass", Detail: err.Error(), Hint: "give hosts such as *.lan,10.0.0.0/8,<local>"}
	}
	if entry, ok := bypass.Match(t.Host, t.Port); ok {
		choice.Route = &upstream.Route{Source: "custom", Reason: "bypass " + entry}
	}
	return t, choice, nil
}

func (d diagnostician) config() diagnose.Config {
	return diagnose.Config{Upstream: d.c.proxy.Upstream(), Certificates: d.certificates, Anchors: d.anchors}
}

// Explain says what would be done. A route that cannot be found is the answer to the question, not a failure of ours.
func (d diagnostician) Explain(ctx context.Context, q webui.Question) (*capture.Explanation, error) {
	t, choice, err := d.question(ctx, q)
	if err != nil {
		return nil, err
	}
	x, err := diagnose.Explain(ctx, d.config(), t, choice)
	if err != nil {
		refusal := &webui.Refusal{Parameter: "url", Detail: err.Error(), Hint: "eaves route list"}
		var e *upstream.Error
		if errors.As(err, &e) {
			refusal.Detail, refusal.Hint = e.Message, cmp.Or(e.Hint, refusal.Hint)
		}
		return nil, refusal
	}
	return x, nil
}

// Examine connects and tells the stages.
func (d diagnostician) Examine(ctx context.Context, q webui.Question, emit func(capture.DoctorStage)) error {
	t, choice, err := d.question(ctx, q)
	if err != nil {
		return err
	}
	diagnose.Examine(ctx, d.config(), t, choice, emit)
	return nil
}

// certificates are all client certificates that are configured.
func (d diagnostician) certificates() []diagnose.Certificate {
	var all []diagnose.Certificate
	for _, s := range d.c.identities.States() {
		p, err := hostpattern.Parse(s.Entry.Host)
		if err != nil {
			continue // an entry in the settings has been checked
		}
		c := diagnose.Certificate{ID: s.Entry.ID, Pattern: p, Enabled: s.Entry.Enabled, Proxy: s.Entry.For == identity.ForProxy}
		switch {
		case s.Loaded != nil:
			c.Subject = s.Loaded.Chain[0].Subject.String()
		case s.Err != nil:
			c.Problem = s.Err.Error()
		}
		all = append(all, c)
	}
	return all
}

// anchors are the CAs that were added for a server.
func (d diagnostician) anchors(server upstream.Server) []capture.Anchor {
	var all []capture.Anchor
	for _, s := range d.c.anchors.States() {
		if !s.Entry.Enabled || len(s.Certificates) == 0 {
			continue
		}
		if p, err := hostpattern.Parse(s.Entry.Host); s.Entry.Host != "" && (err != nil || !p.Match(server.Host, server.Port)) {
			continue
		}
		subjects := make([]string, len(s.Certificates))
		for i, c := range s.Certificates {
			subjects[i] = c.Subject.String()
		}
		all = append(all, capture.Anchor{ID: s.Entry.ID, Subject: strings.Join(subjects, "; "), Host: s.Entry.Host})
	}
	return all
}
