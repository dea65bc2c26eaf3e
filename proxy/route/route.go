// Package route decides which way a request takes: through which parent proxies in which order, or directly, and why.
//
// # Order
//
// The first enabled rule whose host pattern matches decides. Where none does, the default way holds: proxies of the user's
// own, a PAC file, the system's proxies, or none. The bypass list is asked before a default way is taken, not
// before a rule is.
//
// # Guarantees
//
// A route says what decided: its Source is rule, custom, pac, system or direct, its Reason names the entry, as "rule 2:
// *.corp.test", "bypass *.corp.test", "HTTPS_PROXY" or "PAC proxy.pac: PROXY p1:8080; DIRECT". Neither holds a password.
//
// What cannot be decided is an error of stage route that says what is to be mended, never silently another way: a PAC file
// that fails does not mean DIRECT.
//
// A Decider does not change. Whoever changes the configuration makes a new one; System and pac.Library, which
// remember, are made once and handed on.
package route

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"eaves/capture"
	"eaves/capture/hostpattern"
	"eaves/proxy/route/pac"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
)

// Sources of a route.
const (
	SourceCustom = "custom"
	SourceSystem = "system"
	SourcePAC    = "pac"
	SourceRule   = "rule"
	SourceDirect = "direct"
)

// Way is a way with what its proxies may be shown.
type Way struct {
	Via Via
	// Credentials are for those proxies whose URL names no user, also those that a PAC file or the system names.
	Credentials Credentials
}

// Credentials are what proxies may be shown. The zero Credentials are none.
type Credentials struct {
	User string
	// Password is a reference to the password, "" for none.
	Password string
	// Secret is the password itself, in the place of a reference, where credentials are not kept.
	Secret string
	// Schemes are those that may be used: basic, digest, ntlm, negotiate; empty: all.
	Schemes []string
	// Keytab, CCache and Krb5Conf are files for Kerberos, ServiceName the proxy's principal; "" for what is usual.
	Keytab, CCache, Krb5Conf, ServiceName string
}

// Rule gives the hosts that a pattern matches a way.
type Rule struct {
	ID      int64
	Pattern hostpattern.Pattern
	Way     Way
}

// Config says which ways there are.
type Config struct {
	Rules   []Rule
	Default Way
	// Bypass are the hosts to which the default way is not taken.
	Bypass hostpattern.List
	// Fixed says that flag, environment or file give Default: it is changed there, not among the settings.
	Fixed bool
	// System and Scripts may be nil where no way needs them.
	System  *System
	Scripts *pac.Library
	// Secret resolves a reference to a password. It may be nil: then there are none.
	Secret func(ctx context.Context, reference string) ([]byte, error)
}

// Decider decides. It is safe for concurrent use.
type Decider struct {
	cfg Config

	mu    sync.RWMutex
	known map[question]*choice
}

// question is what rules and lists are asked for.
type question struct {
	scheme, host string
	port         int
}

// choice is what they answered: the whole route where nothing else has a say in it, or the way to ask further.
type choice struct {
	route  *upstream.Route
	way    Way
	source string
	reason string // what stands before the reason of the way
	rule   string // the pattern of the rule that decided, if one did
	asked  bool   // a request decided for itself
}

// maxKnown bounds how many choices are kept.
const maxKnown = 4096

// New makes a Decider.
func New(cfg Config) *Decider {
	return &Decider{cfg: cfg, known: map[question]*choice{}}
}

// Decide returns the way to a target. Its error is an *upstream.Error.
func (d *Decider) Decide(ctx context.Context, t upstream.Target) (upstream.Route, error) {
	q := question{t.Scheme, t.Host, t.Port}
	d.mu.RLock()
	c := d.known[q]
	d.mu.RUnlock()
	if c == nil {
		c = d.choose(t)
		d.mu.Lock()
		if len(d.known) >= maxKnown {
			clear(d.known)
		}
		d.known[q] = c
		d.mu.Unlock()
	}
	if c.route != nil {
		return *c.route, nil
	}
	return d.follow(ctx, t, c)
}

// Along returns the way to a target that w names, whatever is configured: for one request with a way of its own.
func (d *Decider) Along(ctx context.Context, w Way, t upstream.Target) (upstream.Route, error) {
	c := &choice{way: w, source: SourceCustom, asked: true}
	if w.Via.mode == direct {
		return upstream.Route{Source: SourceDirect, Reason: "asked for", Asked: true}, nil
	}
	return d.follow(ctx, t, c)
}

// choose asks rules and lists.
func (d *Decider) choose(t upstream.Target) *choice {
	for _, r := range d.cfg.Rules {
		if !r.Pattern.Match(t.Host, t.Port) {
			continue
		}
		c := &choice{way: r.Way, source: SourceRule, reason: fmt.Sprintf("rule %d: %s", r.ID, r.Pattern), rule: r.Pattern.String()}
		return d.settle(t, c)
	}
	c := &choice{way: d.cfg.Default}
	switch c.way.Via.mode {
	case direct:
		c.route = &upstream.Route{Source: SourceDirect}
		return c
	case system:
		c.source = SourceSystem
	case script:
		c.source = SourcePAC
	default:
		c.source = SourceCustom
	}
	if entry, ok := d.cfg.Bypass.Match(t.Host, t.Port); ok {
		c.route = bypassed(c.source, entry)
		return c
	}
	return d.settle(t, c)
}

// bypassed is the direct route that an entry of a bypass list makes.
func bypassed(source, entry string) *upstream.Route {
	return &upstream.Route{Source: source, Reason: "bypass " + entry}
}

// settle makes the route where the way alone says it.
func (d *Decider) settle(t upstream.Target, c *choice) *choice {
	switch c.way.Via.mode {
	case direct:
		c.route = &upstream.Route{Source: c.source, Reason: c.reason, Rule: c.rule}
	case proxies:
		r := d.chain(t, c)
		c.route = &r
	}
	return c
}

// chain is the route through a way's proxies.
func (d *Decider) chain(t upstream.Target, c *choice) upstream.Route {
	list := c.way.Via.chain(t.Scheme)
	reason := c.reason
	if reason == "" {
		texts := make([]string, len(list))
		for i, p := range list {
			texts[i] = p.String()
		}
		if reason = strings.Join(texts, ", "); reason == "" {
			reason = "no proxy given for " + t.Scheme
		}
	}
	return upstream.Route{Source: c.source, Reason: reason, Rule: c.rule, Asked: c.asked, Hops: d.hops(list, c.way.Credentials)}
}

// follow asks what answers anew each time: the system, or a PAC file.
func (d *Decider) follow(ctx context.Context, t upstream.Target, c *choice) (r upstream.Route, err error) {
	switch c.way.Via.mode {
	case script:
		r, err = d.script(ctx, t, c, c.way.Via.pac)
	case system:
		r, err = d.system(ctx, t, c)
	default:
		return d.chain(t, c), nil
	}
	for w := &r; w != nil; w = w.Else {
		w.Rule, w.Asked = c.rule, c.asked
	}
	return r, err
}

// because is a route's reason within a choice.
func (c *choice) because(why string) string {
	if c.reason == "" {
		return why
	}
	return c.reason + ": " + why
}

// system is the way that this machine's settings name.
func (d *Decider) system(ctx context.Context, t upstream.Target, c *choice) (upstream.Route, error) {
	s := d.cfg.System
	none := func(why string) (upstream.Route, error) {
		r := upstream.Route{Source: c.source, Reason: c.because(why)}
		if r.Source == SourceSystem { // it has nothing to say
			r.Source = SourceDirect
		}
		return r, nil
	}
	if s == nil {
		return none("no system proxy")
	}
	bypass := func(entry string) (upstream.Route, error) {
		r := bypassed(c.source, entry)
		r.Reason = c.because(r.Reason)
		return *r, nil
	}
	here := (hostpattern.IsLoopback(t.Host)) && !d.cfg.Bypass.NotLoopback()
	if !s.environment.empty() {
		v := s.environment.proxy(t.Scheme)
		if v == nil {
			return none("no variable names a proxy for " + t.Scheme)
		}
		if here {
			return bypass(loopback)
		}
		if entry, ok := exempted(s.environment.noProxy, hostpattern.Normalize(t.Host), t.Port); ok {
			return bypass(entry)
		}
		if v.err != nil {
			return upstream.Route{}, refused(v.fail(), "mend or unset "+v.name+", or "+d.other(c))
		}
		if s.isOwn(v.proxy.Host, v.proxy.Port) {
			return upstream.Route{Source: c.source, Reason: c.because(v.name + " names eaves itself and is ignored")}, nil
		}
		return upstream.Route{Source: c.source, Reason: c.because(v.name), Hops: d.hops([]Proxy{v.proxy}, c.way.Credentials)}, nil
	}
	set, err := s.settings(ctx)
	if err != nil {
		return upstream.Route{}, refused(err, "mend the system's settings, or "+d.other(c))
	}
	switch {
	case set == nil, set.via.Direct() && set.pac == (pac.Location{}):
		why := "no system proxy"
		if s.environment.httpRefused {
			why = "HTTP_PROXY is not taken, since REQUEST_METHOD is set too"
		}
		return none(why)
	case here && !set.bypass.NotLoopback():
		return bypass(loopback)
	case set.pac != (pac.Location{}):
		inner := *c
		inner.reason = c.because(set.origin)
		return d.script(ctx, t, &inner, set.pac)
	}
	if entry, ok := set.bypass.Match(t.Host, t.Port); ok {
		return bypass(entry)
	}
	list := set.via.chain(t.Scheme)
	for _, p := range list {
		if s.isOwn(p.Host, p.Port) {
			return upstream.Route{Source: c.source, Reason: c.because(set.origin + " name eaves itself and are ignored")}, nil
		}
	}
	why := set.origin
	if len(list) == 0 {
		why += " name no proxy for " + t.Scheme
	}
	return upstream.Route{Source: c.source, Reason: c.because(why), Hops: d.hops(list, c.way.Credentials)}, nil
}

// script is the way that a PAC file names, each entry with those behind it to fall back on.
func (d *Decider) script(ctx context.Context, t upstream.Target, c *choice, l pac.Location) (upstream.Route, error) {
	if d.cfg.Scripts == nil {
		return upstream.Route{}, refused(errors.New("no PAC files can be used here"), "")
	}
	s, note, err := d.cfg.Scripts.Script(ctx, l)
	if err != nil {
		return upstream.Route{}, d.unscripted(ctx, c, err)
	}
	a, err := s.Find(ctx, pac.Address(t.Scheme, authority(t), t.URL), strings.TrimSuffix(t.Host, "."))
	if err != nil {
		return upstream.Route{}, d.unscripted(ctx, c, err)
	}
	notes := a.Notes
	if note != "" {
		notes = append([]string{note}, notes...)
	}
	texts := make([]string, len(a.Entries))
	var usable []pac.Entry
	for i, e := range a.Entries {
		texts[i] = e.String()
		if e.Kind != pac.Direct && d.cfg.System.isOwn(e.Host, e.Port) {
			notes = append(notes[:len(notes):len(notes)], e.String()+" is eaves itself and left out")
			continue
		}
		usable = append(usable, e)
	}
	reason := c.because("PAC " + l.Name + ": " + strings.Join(texts, "; "))
	if len(notes) > 0 {
		reason += " (" + strings.Join(notes, "; ") + ")"
	}
	if len(usable) == 0 {
		usable = []pac.Entry{{Kind: pac.Direct}}
	}
	var r *upstream.Route
	for i := len(usable) - 1; i >= 0; i-- {
		next := &upstream.Route{Source: c.source, Reason: reason, Else: r}
		if i > 0 {
			next.Reason = fmt.Sprintf("%s, entry %d: %s", reason, i+1, usable[i])
		}
		if e := usable[i]; e.Kind != pac.Direct {
			next.Hops = d.hops([]Proxy{{Kind: hopKinds[e.Kind], Host: e.Host, Port: e.Port}}, c.way.Credentials)
		}
		r = next
	}
	return *r, nil
}

var hopKinds = map[pac.Kind]hop.Kind{pac.Proxy: hop.HTTP, pac.HTTPS: hop.HTTPS, pac.SOCKS4: hop.SOCKS4, pac.SOCKS5: hop.SOCKS5}

// authority is host and port of a target as its URL has them.
func authority(t upstream.Target) string {
	if t.Scheme == "http" && t.Port == 80 || t.Scheme == "https" && t.Port == 443 {
		if strings.Contains(t.Host, ":") {
			return "[" + t.Host + "]"
		}
		return t.Host
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}

// refused is an error of this stage.
func refused(err error, hint string) error {
	return &upstream.Error{Stage: capture.StageRoute, Message: err.Error(), Hint: hint, Cause: err, Status: http.StatusBadGateway}
}

// other says how another way than the one that was chosen is named: where that one was.
func (d *Decider) other(c *choice) string {
	switch {
	case c.asked:
		return "name another way"
	case c.rule != "":
		return "name another way in front of this route: eaves route add '" + c.rule + "' --first --via WAY"
	case d.cfg.Fixed:
		return "choose another way where upstreamProxy is given (--upstream-proxy, EAVES_UPSTREAM_PROXY or the file)"
	}
	return "choose another way: eaves route default --via WAY"
}

// unscripted is the error of a PAC file.
func (d *Decider) unscripted(ctx context.Context, c *choice, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return &upstream.Error{Stage: capture.StageRoute, Message: "given up while the PAC file was asked for the route", Cause: err, Status: http.StatusBadGateway}
	}
	hint := "mend the PAC file, or " + d.other(c)
	var e *pac.Error
	if errors.As(err, &e) && e.Hint != "" {
		hint = e.Hint
	}
	return &upstream.Error{Stage: capture.StageRoute, Message: "PAC file " + err.Error(), Hint: hint, Cause: err, Status: http.StatusBadGateway}
}

// hops are proxies as the dialler takes them.
func (d *Decider) hops(list []Proxy, c Credentials) []hop.Hop {
	hops := make([]hop.Hop, len(list))
	for i, p := range list {
		hops[i] = hop.Hop{Kind: p.Kind, Host: p.Host, Port: p.Port, Credentials: d.credentials(p, c)}
	}
	return hops
}

// credentials are those of a proxy's URL; what its URL leaves out, they take from c.
func (d *Decider) credentials(p Proxy, c Credentials) *hop.Credentials {
	user, literal, reference := c.User, c.Secret, c.Password
	if p.Named {
		user = p.User
		switch {
		case p.Password != "" && p.Reference:
			literal, reference = "", p.Password
		case p.Password != "":
			literal, reference = p.Password, ""
		case p.User != c.User:
			literal, reference = "", "" // somebody else's password
		}
	} else if c.User == "" && c.Password == "" && c.Secret == "" && len(c.Schemes) == 0 && c.Keytab == "" && c.CCache == "" {
		return nil
	}
	h := &hop.Credentials{User: user, Keytab: c.Keytab, CCache: c.CCache, Krb5Conf: c.Krb5Conf, ServiceName: c.ServiceName, Schemes: c.Schemes}
	switch {
	case literal != "":
		h.Password = func(context.Context) (string, error) { return literal, nil }
	case reference != "":
		secret := d.cfg.Secret
		h.Password = func(ctx context.Context) (string, error) {
			if secret == nil {
				return "", errors.New("references to passwords cannot be resolved here")
			}
			b, err := secret(ctx, reference)
			return string(b), err
		}
	}
	// The same credentials have the same ID in the next Decider too. It stays in memory: connections are compared by it.
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{user, literal, reference, strings.Join(c.Schemes, ","), c.Keytab, c.CCache, c.Krb5Conf, c.ServiceName}))
	h.ID = hex.EncodeToString(sum[:])
	return h
}
