package hop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"eaves/proxy/wire"
)

// maxLegs bounds the rounds of authentication with one proxy: three of each scheme, and some.
const maxLegs = 12

// The names of the schemes, as configuration and receipts have them.
const (
	schemeBasic     = "basic"
	schemeDigest    = "digest"
	schemeNTLM      = "ntlm"
	schemeNegotiate = "negotiate"
	// negotiateNTLM is NTLM that goes by the name of Negotiate, as it does where there is no Kerberos.
	negotiateNTLM = "negotiate with NTLM"
)

// strongest are the schemes in the order in which they are tried.
var strongest = []string{schemeNegotiate, negotiateNTLM, schemeNTLM, schemeDigest, schemeBasic}

// offeredAs is the name by which a proxy offers a scheme.
func offeredAs(name string) string {
	if name == negotiateNTLM {
		return schemeNegotiate
	}
	return name
}

// errRefused says that the proxy has seen the credentials and does not take them.
var errRefused = errors.New("refused by the proxy")

// request is what a proxy is asked, as Digest wants to know it.
type request struct {
	method, uri string
	body        bool
}

// scheme answers the challenges of one scheme, on one connection.
type scheme interface {
	// answer makes the value of Proxy-Authorization; c is nil where no challenge has come yet.
	answer(ctx context.Context, c *Challenge, a *Auth, r request) (string, error)
	// bound says that it authenticates the connection.
	bound() bool
}

// Auth is the authentication with one proxy, from the first request until the proxy is content or there is nothing left
// to show it. It is for one goroutine.
type Auth struct {
	dialer   *Dialer
	hop      Hop
	name     string // of cur
	cur      scheme
	legs     int
	next     string          // what a new connection begins with
	out      map[string]bool // what has failed
	why      []string        // and how
	recalled bool            // cur comes from an earlier connection
	secret   *string
}

// Auth begins the authentication with a proxy.
func (d *Dialer) Auth(h Hop) *Auth {
	return &Auth{dialer: d, hop: h, out: make(map[string]bool)}
}

// again begins anew on a new connection; the number of rounds goes on.
func (a *Auth) again() *Auth {
	b := a.dialer.Auth(a.hop)
	b.legs, b.secret = a.legs, a.secret
	return b
}

// Scheme is the scheme in use: basic, digest, ntlm, negotiate, or none.
func (a *Auth) Scheme() string {
	if a.cur == nil {
		return "none"
	}
	return offeredAs(a.name)
}

// Bound says that it is the connection which is authenticated, and not a request.
func (a *Auth) Bound() bool { return a.cur != nil && a.cur.bound() }

// Expects says which scheme a proxy is known to want, with the credentials it has, and whether it is the connection that
// is authenticated. "" where it is not known.
func (d *Dialer) Expects(h Hop) (scheme string, bound bool) {
	r, ok := d.memory.get(placeOf(h))
	if !ok {
		return "", false
	}
	return offeredAs(r.name), r.name != schemeBasic && r.name != schemeDigest
}

// First is the value of Proxy-Authorization for the first request on a connection; "": none. What worked before saves a
// round trip.
func (a *Auth) First(ctx context.Context, method, uri string, body bool) (string, error) {
	if a.next != "" {
		next := a.next
		a.next = ""
		return next, nil
	}
	r, ok := a.dialer.memory.get(placeOf(a.hop))
	if !ok || a.cur != nil || a.hop.Credentials == nil || !a.allowed(r.name) {
		return "", nil
	}
	a.begin(r.name)
	a.recalled = true
	if d, ok := a.cur.(*digest); ok {
		d.kept, d.count, d.guessed = r.challenge, r.count, true
	}
	v, err := a.cur.answer(ctx, nil, a, request{method, uri, body})
	if err != nil {
		a.fails(err)
		return "", nil
	}
	return v, nil
}

// Next takes an answer that wants authentication, and returns what to show the proxy: on a new connection if fresh,
// which closed says there has to be anyway. The error is an *Error.
func (a *Auth) Next(ctx context.Context, status int, fields wire.Fields, closed bool, method, uri string, body bool) (value string, fresh bool, err error) {
	if a.legs++; a.legs > maxLegs {
		return "", false, a.error(nil, "it asks for authentication again and again")
	}
	c := a.hop.Credentials
	offered := challenges(status, fields)
	if c == nil {
		return "", false, a.missing(offered)
	}
	r := request{method, uri, body}
	fresh = closed
	if a.cur != nil {
		challenge := pick(offered, offeredAs(a.name))
		var why error
		switch {
		case challenge == nil && status == 401:
			why = errRefused // that is how it says so
		case challenge == nil:
			why = errors.New("not offered any more")
		default:
			value, why = a.cur.answer(ctx, challenge, a, r)
			if why == nil && closed && a.cur.bound() {
				why = errors.New("the proxy closes the connection between the parts of the handshake")
			}
		}
		if why == nil {
			return a.pending(value, fresh), fresh, nil
		}
		if a.cur.bound() {
			fresh = true // the proxy may hold the connection for somebody
		}
		a.fails(why)
	}
	for _, name := range strongest {
		challenge := pick(offered, offeredAs(name))
		if challenge == nil || a.out[name] || !a.allowed(name) {
			continue
		}
		a.begin(name)
		if value, err = a.cur.answer(ctx, challenge, a, r); err != nil {
			a.fails(err)
			continue
		}
		return a.pending(value, fresh), fresh, nil
	}
	return "", false, a.failure(offered)
}

// pending keeps what a new connection begins with.
func (a *Auth) pending(value string, fresh bool) string {
	if fresh {
		a.next = value
	}
	return value
}

// Done notes that the proxy is content.
func (a *Auth) Done() {
	if a.cur != nil {
		a.remember()
	}
}

func (a *Auth) begin(name string) {
	c := a.hop.Credentials
	a.name, a.recalled = name, false
	switch name {
	case schemeBasic:
		a.cur = &basic{user: c.User}
	case schemeDigest:
		a.cur = &digest{user: c.User}
	case schemeNTLM:
		a.cur = &ntlm{scheme: "NTLM", user: c.User}
	case negotiateNTLM:
		a.cur = &ntlm{scheme: "Negotiate", user: c.User}
	case schemeNegotiate:
		service := c.ServiceName
		if service == "" {
			service = "HTTP/" + a.hop.Host
		}
		a.cur = &negotiate{service: service}
	}
}

// fails puts the scheme in use out.
func (a *Auth) fails(why error) {
	a.dialer.memory.forget(placeOf(a.hop))
	if !a.recalled || errors.Is(why, errRefused) && a.name == schemeBasic {
		a.out[a.name] = true // what was only recalled may be begun once more, from its beginning
	}
	if s := a.name + ": " + why.Error(); !slices.Contains(a.why, s) {
		a.why = append(a.why, s)
	}
	a.cur, a.name = nil, ""
}

// allowed says whether a scheme may be used, and whether there is something to use it with.
func (a *Auth) allowed(name string) bool {
	c := a.hop.Credentials
	if len(c.Schemes) > 0 && !slices.ContainsFunc(c.Schemes, func(s string) bool { return strings.EqualFold(s, offeredAs(name)) }) {
		return false
	}
	return name == schemeNegotiate || c.User != "" && c.Password != nil
}

// password asks for the password, once.
func (a *Auth) password(ctx context.Context) (string, error) {
	if a.secret == nil {
		if a.hop.Credentials.Password == nil {
			return "", errors.New("no password is configured")
		}
		s, err := a.hop.Credentials.Password(ctx)
		if err != nil {
			return "", fmt.Errorf("its password cannot be had: %w", err)
		}
		a.secret = &s
	}
	return *a.secret, nil
}

// pick finds a challenge of a scheme; of several for Digest the strongest that is known.
func pick(offered []Challenge, scheme string) *Challenge {
	var best *Challenge
	strength := -1
	for i := range offered {
		if offered[i].Scheme != scheme {
			continue
		}
		if scheme != schemeDigest {
			return &offered[i]
		}
		if _, _, s := algorithm(offered[i].Params["algorithm"]); s > strength {
			best, strength = &offered[i], s
		}
	}
	return best
}

// schemes names what a proxy offers.
func schemes(offered []Challenge) string {
	var names []string
	for i := range offered {
		if s := offered[i].Scheme; !slices.Contains(names, s) && s != "" {
			names = append(names, s)
		}
	}
	if len(names) == 0 {
		return "no scheme that can be understood"
	}
	return strings.Join(names, ", ")
}

func (a *Auth) error(cause error, format string, v ...any) *Error {
	return fail(a.hop, cause, format, v...).hint("see which credentials it is shown with eaves route list, and correct them with eaves route add").mend(MendCredentials)
}

// missing is the error of a proxy that wants credentials where there are none.
func (a *Auth) missing(offered []Challenge) *Error {
	realm := ""
	for i := range offered {
		if r := offered[i].Params["realm"]; r != "" {
			realm = fmt.Sprintf(" for %q", r)
			break
		}
	}
	return fail(a.hop, nil, "it wants authentication%s (%s), and no credentials are configured for it", realm, schemes(offered)).
		hint("name them on its route with eaves route add").mend(MendCredentials)
}

// failure is the error of a proxy that took none of what there is.
func (a *Auth) failure(offered []Challenge) *Error {
	e := a.error(nil, "it wants authentication (%s)", schemes(offered))
	c := a.hop.Credentials
	switch {
	case len(a.why) > 0:
		e.Message += fmt.Sprintf(", and nothing that was tried for %s pleased it: %s", who(c), strings.Join(a.why, "; "))
	case len(c.Schemes) > 0:
		e.Message += fmt.Sprintf(", and only %s may be used for %s", strings.Join(c.Schemes, ", "), who(c))
	default:
		e.Message += fmt.Sprintf(", and there is nothing to answer that with for %s", who(c))
	}
	return e
}

// who names credentials.
func who(c *Credentials) string {
	if c.User == "" {
		return "the user of this machine's Kerberos ticket"
	}
	return "the user " + c.User
}

// place is a proxy with credentials.
type place struct {
	kind        Kind
	address     string
	credentials string
}

func placeOf(h Hop) place {
	p := place{kind: h.Kind, address: h.Address()}
	if h.Credentials != nil {
		p.credentials = h.Credentials.ID
	}
	return p
}

// remembered is what worked with a proxy.
type remembered struct {
	name      string
	challenge *Challenge // of Digest
	count     uint32
}

// memory keeps what worked. It keeps no credentials.
type memory struct {
	mu    sync.Mutex
	known map[place]remembered
}

// maxPlaces bounds it.
const maxPlaces = 1024

func (m *memory) get(p place) (remembered, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.known[p]
	if ok && r.challenge != nil {
		r.count = m.counted(p, r)
	}
	return r, ok
}

// counted takes the next number of a nonce, so that no two connections show the same.
func (m *memory) counted(p place, r remembered) uint32 {
	count := r.count
	r.count++
	m.known[p] = r
	return count
}

func (m *memory) forget(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, p)
}

func (a *Auth) remember() {
	m, p := &a.dialer.memory, placeOf(a.hop)
	r := remembered{name: a.name}
	if d, ok := a.cur.(*digest); ok {
		r.challenge, r.count = d.kept, d.count
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.known[p]; ok && old.name == r.name && old.challenge == r.challenge && old.count > r.count {
		return
	}
	if len(m.known) >= maxPlaces {
		clear(m.known)
	}
	m.known[p] = r
}
