package filter

import (
	"math/rand/v2"
	"strings"
	"time"

	"eaves/capture"
)

// gen makes random exchanges and filters that have something to do with each other.
type gen struct{ *rand.Rand }

func pick[T any](g gen, values ...T) T { return values[g.IntN(len(values))] }

func (g gen) maybe() bool { return g.IntN(2) == 0 }

// text is something that may stand anywhere.
func (g gen) text() string {
	return pick(g, "", "a", "A", "bank", "Bank", "Ärzte", "ärzte", "STRASSE", "straße", "İ", "i", "K", "k", "K", "ſ", "s", "100%", "a_b", "a\\b", "x*y", `say "hi"`, "a b", "(a)",
		"caf\xe9", "café", "nul\x00l", "nul", "7", "3.5", "1e3", "NaN", "line\nfeed", "TLS 1.2", "not", "or", "ς", "Σ", "日本")
}

func (g gen) host() string {
	return pick(g, "a.test", "A.Test", "api.bank.test", "bank.test", "xbank.test", "10.0.0.7", "10.1.2.3", "[2001:db8::1]", "[::ffff:10.0.0.7]", "localhost", "bücher.test",
		"xn--bcher-kva.test", "a_b.test", "axb.test", ".bank.test", "a.test..", "[[::1].]", "ｂücher。test。", "", "10.0.0.7.evil.test", "3128")
}

func (g gen) number() int64 {
	return pick[int64](g, -1, 0, 1, 7, 80, 200, 204, 399, 400, 404, 499, 500, 1023, 1024, 1025, 1<<20, 1<<40)
}

func (g gen) ms() float64 { return pick[float64](g, -1, 0, 0.5, 1, 12.3, 799.999, 800, 1000, 60000) }

func (g gen) header() capture.Header {
	var h capture.Header
	if g.maybe() {
		h = capture.Header{}
	}
	for range g.IntN(4) {
		h = append(h, capture.Field{Name: pick(g, "X-A", "x-a", "Content-Length", "X-ü", "x<a", "Via"), Value: g.text()})
	}
	return h
}

func (g gen) time(now time.Time) time.Time {
	return now.Add(pick[time.Duration](g, 0, time.Microsecond, -time.Microsecond, time.Minute, -time.Minute, -10*time.Minute, -10*time.Minute-time.Microsecond, time.Hour, -24*time.Hour, 24*time.Hour, 400*24*time.Hour))
}

func (g gen) exchange(id int64, now time.Time) *capture.Exchange {
	x := &capture.Exchange{
		ID: id, Kind: pick(g, capture.KindHTTP, capture.KindWebSocket, capture.KindTunnel), State: pick(g, capture.StateOpen, capture.StateDone, capture.StateFailed),
		Source: pick(g, capture.SourceProxy, capture.SourceReplay, capture.SourceImport), Started: g.time(now), Time: g.ms(),
		Client: capture.Client{Address: pick(g, "", "127.0.0.1:5000", "[::1]:80", "10.0.0.7:443", g.text()), Run: g.text()},
		Request: capture.Request{Method: pick(g, "GET", "get", "POST", "PÖST", g.text()), HTTPVersion: pick(g, "", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/2.0", "h2", "http/1.1"),
			URL:    pick(g, "http", "HTTPS", "ws", "tcp", "x") + "://" + pick(g, "", "user:pw@") + g.host() + pick(g, "", ":80", ":443", ":8443", ":x", ":") + pick(g, "", "/", "/"+g.text()) + pick(g, "", "?", "?"+g.text()) + pick(g, "", "#f"),
			Header: g.header(), BodySize: g.number()},
		Timings: capture.Timings{Blocked: g.ms(), DNS: g.ms(), Connect: g.ms(), Send: g.ms(), Wait: g.ms()}, AnsweredBy: pick(g, "", capture.AnsweredByOrigin, capture.AnsweredByProxy, capture.AnsweredByEaves),
		ReplayOf: pick[int64](g, 0, 1, 7), Mark: pick(g, "", g.text()), Comment: pick(g, "", g.text()),
	}
	if g.IntN(8) == 0 {
		x.Request.URL = g.text()
	}
	if g.maybe() {
		x.Response = &capture.Response{Status: int(pick(g, 0, 101, 200, 204, 400, 403, 499, 500)), BodySize: g.number(), Header: g.header(), Content: capture.Content{MimeType: pick(g, "", "text/html; charset=x", "Application/JSON", g.text())}}
	}
	if g.maybe() {
		x.Route = &capture.Route{Source: pick(g, "custom", "direct"), Reason: pick(g, "", "bypass *.corp.test", "bypass ", g.text())}
		for range g.IntN(3) {
			x.Route.Hops = append(x.Route.Hops, capture.Hop{Kind: pick(g, "http", "origin"), Address: g.host() + pick(g, "", ":3128", ":443"), Status: pick(g, 0, 200, 407)})
		}
	}
	if g.maybe() {
		x.TLS = &capture.TLS{Version: pick(g, "", "TLS 1.2", "tls 1.3", "TLS 1.0", g.text()), CipherSuite: g.text(), ALPN: pick(g, "", "h2", "http/1.1"), ServerName: g.host(), Verified: g.maybe()}
		if g.maybe() {
			x.TLS.ClientCertificate = &capture.ClientCertificate{Requested: g.maybe(), Rule: pick(g, "", "*.bank.test"), Verdict: pick(g, "", "accepted", "Rejected", "no-rule", "odd"), Alert: pick(g, "", "unknown_ca", g.text())}
			if g.maybe() {
				x.TLS.ClientCertificate.Sent = &capture.Certificate{Subject: g.text(), NotAfter: pick(g, time.Time{}, g.time(now))}
			}
		}
	}
	if g.maybe() {
		x.Error = &capture.Error{Stage: pick(g, "", capture.StageTLS, "TLS", "odd"), Message: g.text()}
	}
	return x
}

// filter writes a random filter, most of them without mistakes.
func (g gen) filter(depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return g.filter(depth-1) + pick(g, " ", " and ", " AND ") + g.filter(depth-1)
		case 1:
			return "(" + g.filter(depth-1) + " or " + g.filter(depth-1) + ")"
		case 2:
			return pick(g, "not ", "-") + g.filter(depth-1)
		case 3:
			return "not (" + g.filter(depth-1) + ")"
		}
	}
	if g.IntN(10) == 0 {
		return g.operand(fieldNamed("url"))
	}
	f := &fields[g.IntN(len(fields))]
	name := f.name
	if f.class == classHeader {
		name += "[" + pick(g, "x-a", "X-A", "content-length", "x-ü", "x<a", "nope") + "]"
	}
	if f.class != classIs && g.IntN(6) == 0 {
		return name
	}
	var ops []string
	switch f.class {
	case classNumber, classStatus, classDuration, classSize, classTime:
		ops = []string{":", "=", "!=", "<", "<=", ">", ">=", "in"}
	case classBool, classIs:
		ops = []string{":", "=", "!=", "in"}
	case classHeader:
		ops = []string{":", "=", "!=", "in", "~", "<", ">="}
	default:
		ops = []string{":", "=", "!=", "in", "~"}
		if f.ordered {
			ops = append(ops, "<", "<=", ">", ">=")
		}
	}
	switch o := pick(g, ops...); o {
	case "in":
		return name + " in (" + g.operand(f) + pick(g, "", ", "+g.operand(f), ","+g.operand(f)+","+g.operand(f)) + ")"
	case "~":
		return name + "~" + pick(g, "^a", "ä", "[a-k]", "^$", "(a|b)", "é$", ".", `\d+`, "ſ", "k")
	case "<", ">=":
		if f.class == classHeader {
			return name + o + pick(g, "7", "3.5", "100")
		}
		return name + o + g.operand(f)
	default:
		return name + o + g.operand(f)
	}
}

func (g gen) operand(f *field) string {
	switch f.class {
	case classEnum, classIs, classError:
		if len(f.choices) > 0 && g.IntN(4) > 0 {
			return pick(g, f.choices...)
		}
		if f.class == classIs || f.class == classEnum && len(f.choices) > 0 {
			return "*e*"
		}
		return g.word()
	case classNumber:
		return pick(g, "7", "1", "80", "1..100", "..443", "200..", "12.5")
	case classStatus:
		return pick(g, "200", "4xx", "40x", "2xx..4xx", "403..", "..204")
	case classDuration:
		return pick(g, "0", "800", "800ms", "0.8s", "1s..", "..12.3", "1ms..1m", "799999us")
	case classSize:
		return pick(g, "0", "1k", "1k..", "..1025b", "1m", "0.5k..1g")
	case classTime:
		return pick(g, "10m", "10m..", "..10m", "1h..1m", "1d", "2026-01-31", "2026-01-31T10:00:00Z", "2026-01-01..2026-01-31", "2026-01-31T10:08Z..")
	case classHost, classAddress:
		pattern := pick(g, "a.test", "*.bank.test", "bank.test", "10.0.0.0/8", "10.0.0.7", "*", "2001:db8::/32", "bücher.test", "A_b.test", "localhost", "*.b_nk.test")
		if (f.name == "sni" || g.maybe()) || strings.Contains(pattern, "::") {
			return pattern
		}
		return pattern + pick(g, ":80", ":443", ":*")
	case classBool:
		return pick(g, "yes", "no")
	}
	return g.word()
}

func (g gen) word() string {
	s := strings.ToValidUTF8(strings.ReplaceAll(g.text(), "\x00", ""), "?")
	if g.maybe() && s != "" && !strings.ContainsAny(s, " \n\"()") && s != "not" && s != "or" {
		return pick(g, s, "*"+s, s+"*", s[:1]+"*"+s)
	}
	return value{text: s, quoted: true}.String()
}
