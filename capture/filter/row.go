package filter

import (
	"strconv"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

// subject is a Subject with what was worked out about it.
type subject struct {
	Subject
	parts *address
}

func (s *subject) url() *address {
	if s.parts == nil {
		a := splitURL(s.Exchange.Request.URL)
		s.parts = &a
	}
	return s.parts
}

// address is a URL in the parts that filters compare.
type address struct {
	scheme string // lower case
	host   string // as hostpattern.Normalize has it
	port   int    // also where the URL leaves it out; 0: unknown
	path   string // as on the wire
	query  string // without the question mark
}

// splitURL takes an absolute URL apart. It does not decode, and refuses nothing: what was on the wire may be no URL.
func splitURL(s string) address {
	var a address
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return a
	}
	a.scheme = Fold(scheme)
	rest, _, _ = strings.Cut(rest, "#")
	rest, a.query, _ = strings.Cut(rest, "?")
	authority := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, a.path = rest[:i], rest[i:]
	}
	if a.path == "" && a.scheme != "tcp" {
		a.path = "/" // RFC 9110, 4.2.3
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	host, port := splitPort(authority)
	a.host = hostpattern.Normalize(host)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		a.port = int(n)
	} else if port == "" {
		switch a.scheme {
		case "http", "ws":
			a.port = 80
		case "https", "wss":
			a.port = 443
		}
	}
	return a
}

// splitPort takes host:port apart; either may be missing, and an IPv6 address may go without brackets.
func splitPort(s string) (host, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.IndexByte(s[i:], ']') >= 0 || s[0] != '[' && strings.IndexByte(s, ':') != i {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// column is a column of the table exchanges, derived from an exchange. Exactly one of text and number is set.
type column struct {
	name   string
	text   func(*subject) string               // "" where absent
	number func(*subject) (v float64, ok bool) // integers, unless real
	real   bool
	// always: never NULL.
	always bool
}

// known turns HAR's -1 into absence.
func known(v float64) (float64, bool) { return v, v >= 0 }

func count(v int64) (float64, bool) { return float64(v), v >= 0 }

func nonzero(v int64) (float64, bool) { return float64(v), v != 0 }

// get returns the column's text; NUL cannot stand in a text that SQLite compares.
func (c *column) get(s *subject) string {
	v := c.text(s)
	if strings.IndexByte(v, 0) >= 0 {
		v = strings.ReplaceAll(v, "\x00", "\ufffd")
	}
	return v
}

// value returns the column's value, nil for none; was itself, where that is the same.
func (c *column) value(s *subject, was any) any {
	if c.text != nil {
		v := c.get(s)
		if v == "" && !c.always {
			return nil
		}
		return Again(was, v)
	}
	v, ok := c.number(s)
	switch {
	case !ok:
		return nil
	case c.real:
		return v
	default:
		return Again(was, int64(v))
	}
}

// Again returns was, if it is v, else v: so that what is the same again is not allocated again.
func Again[T comparable](was any, v T) any {
	if old, ok := was.(T); ok && old == v {
		return was
	}
	return v
}

// columns are all columns that filters compare.
var columns = []column{
	{name: "id", number: func(s *subject) (float64, bool) { return float64(s.Exchange.ID), true }, always: true},
	{name: "kind", text: func(s *subject) string { return Fold(string(s.Exchange.Kind)) }, always: true},
	{name: "state", text: func(s *subject) string { return Fold(string(s.Exchange.State)) }, always: true},
	{name: "source", text: func(s *subject) string { return Fold(string(s.Exchange.Source)) }, always: true},
	{name: "started", number: func(s *subject) (float64, bool) { return float64(s.Exchange.Started.UnixMicro()), true }, always: true},
	{name: "took", number: func(s *subject) (float64, bool) { return known(s.Exchange.Time) }, real: true},
	{name: "ttfb", number: firstByte, real: true},
	{name: "client", text: func(s *subject) string { return s.Exchange.Client.Address }},
	{name: "run", text: func(s *subject) string { return s.Exchange.Client.Run }},
	{name: "method", text: func(s *subject) string { return s.Exchange.Request.Method }, always: true},
	{name: "url", text: func(s *subject) string { return s.Exchange.Request.URL }, always: true},
	{name: "scheme", text: func(s *subject) string { return s.url().scheme }},
	{name: "host", text: func(s *subject) string { return s.url().host }},
	{name: "port", number: func(s *subject) (float64, bool) { return nonzero(int64(s.url().port)) }},
	{name: "path", text: func(s *subject) string { return s.url().path }},
	{name: "query", text: func(s *subject) string { return s.url().query }},
	{name: "proto", text: func(s *subject) string { return s.Exchange.Request.HTTPVersion }},
	{name: "status", number: response(func(r *capture.Response) (float64, bool) { return nonzero(int64(r.Status)) })},
	{name: "type", text: mediaType},
	{name: "req_size", number: func(s *subject) (float64, bool) { return count(s.Exchange.Request.BodySize) }},
	{name: "resp_size", number: response(func(r *capture.Response) (float64, bool) { return count(r.BodySize) })},
	{name: "answered", text: func(s *subject) string { return Fold(string(s.Exchange.AnsweredBy)) }},
	{name: "route", text: route},
	{name: "hop", text: hops},
	{name: "hop_status", number: hopStatus},
	{name: "bypass", text: bypass},
	{name: "tls_version", text: tls(func(t *capture.TLS) string { return t.Version })},
	{name: "tls_cipher", text: tls(func(t *capture.TLS) string { return t.CipherSuite })},
	{name: "alpn", text: tls(func(t *capture.TLS) string { return t.ALPN })},
	{name: "sni", text: tls(func(t *capture.TLS) string { return hostpattern.Normalize(t.ServerName) })},
	{name: "verified", number: func(s *subject) (float64, bool) {
		if s.Exchange.TLS == nil {
			return 0, false
		}
		return truth(s.Exchange.TLS.Verified), true
	}},
	{name: "cert_asked", number: func(s *subject) (float64, bool) {
		c := clientCertificate(s)
		if c == nil {
			return 0, false
		}
		return truth(c.Requested), true
	}},
	{name: "cert_sent", text: certificate(func(c *capture.ClientCertificate) string {
		if c.Sent == nil {
			return ""
		}
		for _, name := range []string{c.Sent.Subject, c.Sent.Serial, c.Sent.SHA256} {
			if name != "" {
				return name
			}
		}
		return "(unnamed)"
	})},
	{name: "cert_rule", text: certificate(func(c *capture.ClientCertificate) string { return c.Rule })},
	{name: "cert_verdict", text: certificate(func(c *capture.ClientCertificate) string { return Fold(c.Verdict) })},
	{name: "cert_alert", text: certificate(func(c *capture.ClientCertificate) string { return c.Alert })},
	{name: "cert_expires", number: func(s *subject) (float64, bool) {
		c := clientCertificate(s)
		if c == nil || c.Sent == nil || c.Sent.NotAfter.IsZero() {
			return 0, false
		}
		return float64(c.Sent.NotAfter.UnixMicro()), true
	}},
	{name: "error_stage", text: failure(func(e *capture.Error) string { return Fold(string(e.Stage)) })},
	{name: "error", text: failure(func(e *capture.Error) string { return e.Message })},
	{name: "replay_of", number: func(s *subject) (float64, bool) { return nonzero(s.Exchange.ReplayOf) }},
	{name: "mark", text: func(s *subject) string { return s.Exchange.Mark }},
	{name: "comment", text: func(s *subject) string { return s.Exchange.Comment }},
}

// kept are columns that filters compare and the store keeps for a reason of its own: Columns leaves them to it.
var kept = []column{
	{name: "connection", text: func(s *subject) string { return s.Exchange.Connection }},
}

// Columns returns the names of the columns of the table exchanges that filters compare.
func Columns() []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	return names
}

// Row appends the exchange's values for Columns to dst, in their order: nil, string, int64 or float64. What stands behind
// dst in its array may be an earlier row: a value that is the same again is taken from there, as an exchange has most of
// its values in common with the one before it and each new one would be an allocation.
func Row(dst []any, x *capture.Exchange) []any {
	s := subject{Subject: Subject{Exchange: x}}
	before := dst[len(dst):cap(dst)]
	for i := range columns {
		var was any
		if i < len(before) {
			was = before[i]
		}
		dst = append(dst, columns[i].value(&s, was))
	}
	return dst
}

func columnNamed(name string) *column {
	for i := range columns {
		if columns[i].name == name {
			return &columns[i]
		}
	}
	for i := range kept {
		if kept[i].name == name {
			return &kept[i]
		}
	}
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func response(f func(*capture.Response) (float64, bool)) func(*subject) (float64, bool) {
	return func(s *subject) (float64, bool) {
		if s.Exchange.Response == nil {
			return 0, false
		}
		return f(s.Exchange.Response)
	}
}

func tls(f func(*capture.TLS) string) func(*subject) string {
	return func(s *subject) string {
		if s.Exchange.TLS == nil {
			return ""
		}
		return f(s.Exchange.TLS)
	}
}

func clientCertificate(s *subject) *capture.ClientCertificate {
	if s.Exchange.TLS == nil {
		return nil
	}
	return s.Exchange.TLS.ClientCertificate
}

func certificate(f func(*capture.ClientCertificate) string) func(*subject) string {
	return func(s *subject) string {
		c := clientCertificate(s)
		if c == nil {
			return ""
		}
		return f(c)
	}
}

func failure(f func(*capture.Error) string) func(*subject) string {
	return func(s *subject) string {
		if s.Exchange.Error == nil {
			return ""
		}
		return f(s.Exchange.Error)
	}
}

// firstByte is the time until the answer began. In HAR, ssl is part of connect.
func firstByte(s *subject) (float64, bool) {
	t := s.Exchange.Timings
	if t.Wait < 0 {
		return 0, false
	}
	sum := 0.0
	for _, phase := range []float64{t.Blocked, t.DNS, t.Connect, t.Send, t.Wait} {
		sum += max(phase, 0)
	}
	return sum, true
}

// mediaType is the answer's type without parameters.
func mediaType(s *subject) string {
	if s.Exchange.Response == nil {
		return ""
	}
	t, _, _ := strings.Cut(s.Exchange.Response.Content.MimeType, ";")
	return Fold(strings.TrimSpace(t))
}

func route(s *subject) string {
	r := s.Exchange.Route
	if r == nil {
		return ""
	}
	parts := []string{r.Source}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	for _, h := range r.Hops {
		parts = append(parts, h.Address)
	}
	return strings.Join(parts, " ")
}

const hopOrigin = "origin"

func hops(s *subject) string {
	r := s.Exchange.Route
	if r == nil {
		return ""
	}
	var addresses []string
	for _, h := range r.Hops {
		if h.Kind != hopOrigin {
			addresses = append(addresses, h.Address)
		}
	}
	return strings.Join(addresses, " ")
}

func hopStatus(s *subject) (float64, bool) {
	r := s.Exchange.Route
	if r == nil {
		return 0, false
	}
	for i := len(r.Hops) - 1; i >= 0; i-- {
		if r.Hops[i].Status != 0 {
			return float64(r.Hops[i].Status), true
		}
	}
	return 0, false
}

// bypass is the entry named by a reason such as "bypass *.corp.test".
func bypass(s *subject) string {
	if s.Exchange.Route == nil {
		return ""
	}
	entry, ok := strings.CutPrefix(s.Exchange.Route.Reason, "bypass ")
	if !ok {
		return ""
	}
	return entry
}
