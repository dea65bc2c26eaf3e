package filter

import (
	"errors"
	"testing"
	"time"

	"eaves/capture"
)

// example is an exchange in which nearly every field has something.
func example() *capture.Exchange {
	started := time.Date(2026, 1, 31, 10, 0, 0, 123456e3, time.UTC)
	sent := &capture.Certificate{Subject: "CN=Teller 7,O=Bank", NotAfter: started.AddDate(0, 0, 20)}
	return &capture.Exchange{
		ID: 42, Seq: 97, Kind: capture.KindHTTP, State: capture.StateDone, Started: started, Time: 812.5,
		Source: capture.SourceReplay, Client: capture.Client{Address: "127.0.0.1:51234", HTTPVersion: "HTTP/2", Run: "nightly"},
		Request: capture.Request{Method: "POST", URL: "https://user@API.Bank.Test:8443/v1/Überweisung?amount=5&to=x", HTTPVersion: "HTTP/1.1",
			Header: capture.Header{{Name: "X-Id", Value: "7"}, {Name: "x-id", Value: "Größe"}, {Name: "X-Raw", Value: "caf\xe9"}}, BodySize: 2048},
		Response: &capture.Response{Status: 403, StatusText: "No", HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Content-Length", Value: "512"}},
			Content: capture.Content{MimeType: "application/JSON; charset=utf-8"}, BodySize: 512},
		Timings:    capture.Timings{Blocked: -1, DNS: 10, Connect: 20, SSL: 5, Send: 1, Wait: 100, Receive: 681.5},
		AnsweredBy: capture.AnsweredByProxy,
		Route: &capture.Route{Source: "system", Reason: "bypass *.corp.test", Hops: []capture.Hop{
			{Kind: "http", Address: "proxy.corp.test:3128", Status: 407}, {Kind: "socks5", Address: "[2001:db8::1]:1080"}, {Kind: "origin", Address: "192.0.2.9:8443"}}},
		TLS: &capture.TLS{Version: "TLS 1.2", CipherSuite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ALPN: "h2", ServerName: "api.bank.test", Verified: true,
			ClientCertificate: &capture.ClientCertificate{Requested: true, Rule: "*.bank.test:8443", Sent: sent, Verdict: "rejected", Alert: "unknown_ca"}},
		Error:    &capture.Error{Stage: capture.StageTLS, Message: "the origin refused the certificate"},
		ReplayOf: 7, Mark: "red", Comment: "sieh Straße",
	}
}

func bodyOf(side capture.Side) string {
	if side == capture.SideRequest {
		return `{"amount": 5, "to": "Ärzte"}`
	}
	return "denied\nby policy"
}

var exampleNow = time.Date(2026, 1, 31, 10, 8, 0, 0, time.UTC)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{"", true},
		{"  ", true},
		{"bank.test", true},
		{"BANK.TEST", true},
		{"überweisung", true},
		{"bank.test -denied", true},
		{"bank -überweisung", false},
		{"not bank", false},
		{"nope or bank", true},
		{"nope or bank and nope", false},
		{"(nope or bank) not nope", true},
		{"not(nope)", true},
		{`"v1/Ü"`, true},
		{"https://user", true},
		{"/v[12]/", true},
		{"/v[34]/", false},
		{"/(V1|v2)/", true},
		{"bank*amount", true},
		{"amount*bank", false},
		{"a=b", false},
		{"amount=5", true},
		{"id:42", true}, {"id=42", true}, {"id in (1, 42)", true}, {"id in (1,2)", false}, {"id>41", true}, {"id:40..50", true}, {"id!=42", false},
		{"method:post", true}, {"method:pos", false}, {"method in (PUT,POST)", true}, {"method in(PUT)", false}, {"method!=GET", true}, {"method:p*", true}, {"method~^p", true},
		{"url:amount", true}, {"url=amount", false}, {"url=https:*x", true},
		{"scheme:HTTPS", true}, {"scheme:http", false}, {"scheme:http*", true},
		{"host:api.bank.test", true}, {"host:*.bank.test", true}, {"host:bank.test", false}, {"host:*.bank.test:8443", true}, {"host:*.bank.test:443", false},
		{"host in (a.test, *.test)", true}, {"host!=a.test", true}, {"host~bank", true}, {"host:10.0.0.0/8", false}, {"host:*", true}, {"host", true},
		{"port:8443", true}, {"port:1..1024", false}, {"port", true},
		{"path:/v1/", true}, {"path:über", true}, {"path=/v1", false}, {"path=/v1/*", true}, {`path="/v1/*"`, false}, {"path:/v1?amount", false},
		{"query:amount=5", true}, {"query~^to", false},
		{"proto:h1", true}, {"proto:1.1", true}, {"proto:HTTP/1.1", true}, {"proto:h2", false}, {"proto in (1.0, h2)", false},
		{"kind:http", true}, {"kind in (http, tunnel)", true}, {"kind:t*", false},
		{"status:403", true}, {"status:4xx", true}, {"status:40x", true}, {"status:5xx", false}, {"status:400..404", true}, {"status:400..", true}, {"status:..399", false},
		{"status>=4xx", true}, {"status<4xx", false}, {"status>4xx", false}, {"status<=4XX", true}, {"status!=4xx", false}, {"status in (5xx, 403)", true}, {"status:4xx..5xx", true}, {"status > 400", true},
		{"type:json", true}, {"type:application/json", true}, {"type=application/json", true}, {"type:image/*", false}, {"type:charset", false},
		{"header[x-id]:7", true}, {"req.header[X-ID]", true}, {"resp.header[x-id]", false}, {"header[x-id]=grösse", false}, {"header[x-id]=GRÖßE", true}, {"header[x-id]!=8", true}, {"header[x-id]!=7", false},
		{"header[x-nope]!=8", false}, {"not header[x-nope]=8", true}, {"header[x-raw]:café", true}, {"header[content-length]>500", true}, {"header[content-length]<500", false},
		{"header[content-length]>=512", true}, {"header[x-id]>6", true}, {"header[x-id]~^gr.ße$", true}, {"header[x-id] in (1, 7)", true}, {"header[x-id]:g*e", true},
		{"body:ärzte", true}, {"resp.body:ärzte", false}, {"resp.body:DENIED", true}, {`body:"amount\": 5"`, true}, {"body~amount.:.5", true}, {"resp.body=denied*policy", true}, {"resp.body:denied*policy", true},
		{"body", true}, {"req.body", true}, {`body:""`, true}, {`resp.body="denied"`, false}, {`resp.body!="denied"`, true}, {"body in (x, denied*)", true},
		{"size:2560", true}, {"size>2k", true}, {"req.size:2k", true}, {"resp.size<0.5k", false}, {"resp.size:512b", true}, {"size>1m", false}, {"size", true},
		{"took>800ms", true}, {"took>0.8s", true}, {"took:800..1s", true}, {"took<1m", true}, {"took>812500us", false}, {"took:812.5", true}, {"took>1d", false},
		{"ttfb:131", true}, {"ttfb>=131", true}, {"ttfb", true},
		{"at:10m..", true}, {"at:10m", true}, {"at:5m..", false}, {"at:1h..5m", true}, {"at:..5m", true}, {"at>10m", true}, {"at<10m", false}, {"at:2026-01-31T10:00Z", true}, {"at:2026-01-31T10:00:00Z", true},
		{"at:2026-01-31T10:00:00.123Z", true}, {"at:2026-01-31T10:00:01Z..", false}, {"at:2026-01-31T11:00:00+01:00..", true}, {"at>=2025-01-01", true}, {"at<2025-01-01", false}, {"at:2025-01-01..2026-12-31", true},
		{"client:127.0.0.1", true}, {"client:127.0.0.0/8", true}, {"client:127.0.0.1:51234", true}, {"client:127.0.0.1:1", false}, {"client~^127", true},
		{"run:night", true}, {"answered:proxy", true}, {"answered:origin", false}, {"answered!=origin", true}, {"answered in (origin, eaves)", false},
		{"route:corp", true}, {"route:system", true}, {"route:192.0.2.9", true}, {"hop:proxy.corp.test", true}, {"hop:*.corp.test:3128", true}, {"hop:2001:db8::/32", true}, {"hop:192.0.2.9", false}, {"hop", true},
		{"hop.status:407", true}, {"hop.status:4xx", true}, {"bypass:corp", true}, {"bypass", true}, {"bypass=*.corp.test", true},
		{"tls.version:1.2", true}, {"tls.version:1.3", false}, {"tls.version<1.3", true}, {"tls.version>=TLSv1.2", true}, {`tls.version:"TLS 1.2"`, true}, {"tls.version>1.2", false}, {"tls.cipher:aes_128", true},
		{"alpn:h2", true}, {"sni:*.bank.test", true}, {"sni:other.test", false}, {"verified", true}, {"verified:no", false}, {"verified!=no", true},
		{"cert.asked", true}, {"cert.asked:no", false}, {"-cert.asked", false}, {"cert.sent", true}, {`cert.sent:"teller 7"`, true}, {"cert.rule:*.bank.test", true}, {"cert.verdict:rejected", true}, {"cert.verdict:no-rule", false},
		{"alert:unknown_ca", true}, {"cert.expires<30d", true}, {"cert.expires:30d", true}, {"cert.expires:10d", false}, {"cert.expires:10d..30d", true}, {"cert.expires>2026-01-31", true},
		{"error:tls", true}, {"error:dns", false}, {"error:refused", true}, {`error:"tls"`, false}, {"error", true}, {"error in (dns, tls)", true}, {"error~^the", true}, {"error!=tls", false},
		{"replay.of:7", true}, {"replay.of", true}, {"is:done", true}, {"is:open", false}, {"is:replay", true}, {"is:marked", true}, {"is:websocket", false}, {"is in (open, done)", true}, {"is!=done", false},
		{"mark:red", true}, {"comment:strasse", false}, {"comment:STRAßE", true}, {`"comment"`, false}, {"in bank", false}, {"error in bank", false},
		{"host:*.bank.test cert.asked -cert.sent", false}, {"route:corp hop.status:407", true}, {"answered:proxy status:403", true}, {`method in (POST,PUT) body:"amount" took>800ms`, true}, {"error:tls at:10m..", true},
	} {
		f, err := Parse(c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		if got := f.Match(Subject{Exchange: example(), Body: bodyOf, Now: exampleNow}); got != c.want {
			t.Errorf("%s: got %v", c.filter, got)
		}
		again, err := Parse(f.String())
		if err != nil || again.String() != f.String() {
			t.Errorf("%s: written %s, and that %v (%v)", c.filter, f, again, err)
		}
	}
}

func TestAbsentIsFalseAndItsNotTrue(t *testing.T) {
	x := &capture.Exchange{Kind: capture.KindHTTP, State: capture.StateOpen, Time: -1, Timings: capture.NoTimings(), Request: capture.Request{Method: "GET", URL: "http://a.test/", BodySize: -1}}
	for _, s := range []string{"status:200", "status!=200", "status>1", "status<1", "took>1", "took!=1", "type:x", "type!=x", "header[a]!=b", "header[a]:x", "hop:a", "hop!=a",
		"sni!=a.test", "cert.asked:no", "cert.asked!=no", "error!=tls", "error:x", "body:x", "body!=x", "run~x", "tls.version<1.3", "cert.expires<1d", "mark!=x", "answered!=origin", "size!=1", "req.size<1", "bypass"} {
		f, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		not, err := Parse("not " + s)
		if err != nil {
			t.Fatal(err)
		}
		if subject := (Subject{Exchange: x}); f.Match(subject) || !not.Match(subject) {
			t.Errorf("%s of what is absent: got %v, its not %v", s, f.Match(subject), not.Match(subject))
		}
	}
}

func TestMistakesHaveTheirColumn(t *testing.T) {
	for _, c := range []struct {
		filter  string
		column  int
		message string
	}{
		{"foo:bar", 1, `there is no field "foo" (quote the word to look for it)`},
		{"ü foo:bar", 3, `there is no field "foo" (quote the word to look for it)`},
		{"host:a.test status:abc", 20, `"abc" is not a status (404), a class (4xx) or a range (400..404)`},
		{"took>5x", 6, `"5x" is not a duration (800ms, 2s) or a range of them; units are us ms s m h d`},
		{"(a or b", 1, "this parenthesis is not closed"},
		{"a)", 2, "this parenthesis closes nothing"},
		{"()", 1, "nothing stands between the parentheses"},
		{"a or", 5, "something to look for is missing"},
		{"or a", 1, "something to look for is missing before this word (quote it to look for it)"},
		{`a "b`, 3, "this quote is not closed"},
		{`"a"b`, 4, "a space is missing after the quote"},
		{"host:", 5, "a value is missing after host:"},
		{"status: 200", 7, "a value is missing after status:"},
		{"method in (GET", 11, "this parenthesis is not closed"},
		{"method in (GET,)", 16, "a value is missing in the list"},
		{"method in (GET POST)", 16, "a comma is missing in the list"},
		{"path~[", 6, "missing closing ]: `[`"},
		{"url<5", 1, "url has no operator <, only : = != in ~"},
		{"is:foo", 4, "is is one of open, done, failed, replay, marked, websocket"},
		{"is", 1, "is needs a value: is:open, is:done, is:failed, is:replay, is:marked, is:websocket"},
		{"host:*bank*", 6, `host pattern "*bank*": a star stands alone or for the labels in front, as in *.example.com; for parts of a name write host~…`},
		{"header:x", 7, "a header's name is missing: header[name]"},
		{"header[x", 7, "this bracket is not closed"},
		{"status:500..400", 8, "the range 500..400 ends before it begins"},
		{"a\x00", 2, "a byte that is not text"},
		{"\xff", 1, "a byte that is not text"},
		{"host:(a or b)", 6, "a value is missing; several are written host in (…)"},
		{"verified:perhaps", 10, "verified is yes or no"},
		{"sni:a.test:443", 5, "sni has no port"},
		{"id:..", 4, "a range needs an end: a..b, a.. or ..b"},
	} {
		_, err := Parse(c.filter)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got error %v", c.filter, err)
			continue
		}
		if syntax.Column != c.column || syntax.Message != c.message {
			t.Errorf("%q: got %v, want column %d: %s", c.filter, err, c.column, c.message)
		}
	}
}

func TestRequestOnly(t *testing.T) {
	for s, field := range map[string]string{
		"host:*.a.test method:POST path:/x req.header[x]:1 at:10m.. client:127.0.0.1 is:replay": "",
		"host:a.test -status:200":  "column 14: status",
		"header[x]:1":              "column 1: header[x] looks at the answer too; use req.header[x]",
		"word or (is:open)":        "column 10: is",
		"body:x":                   "column 1: body",
		"took>1 and host:a.test":   "column 1: took",
		"cert.asked or route:corp": "column 1: cert.asked",
	} {
		f, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		err = f.RequestOnly()
		if field == "" && err != nil || field != "" && (err == nil || !Contains(err.Error(), field)) {
			t.Errorf("%s: got %v, want %s", s, err, field)
		}
	}
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		filter        string
		details, body bool
	}{{"", false, false}, {"host:a.test", false, false}, {"not (a or header[x])", true, false}, {"body", false, false}, {"a or -resp.body:x", false, true}} {
		f, err := Parse(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if f.NeedsDetails() != c.details || f.NeedsBody() != c.body || f.Empty() != (c.filter == "") {
			t.Errorf("%s: details %v, body %v, empty %v", c.filter, f.NeedsDetails(), f.NeedsBody(), f.Empty())
		}
	}
}

func TestSimpleComparisonsAreSQLForAnIndex(t *testing.T) {
	for s, want := range map[string]string{
		"host:a.test":                  "x.host = ?",
		"host=a.test":                  "x.host = ?",
		"host:*.a.test":                `x.host LIKE ? ESCAPE '\'`,
		"host in (a.test,b.test)":      "x.host IN (?, ?)",
		"status:200":                   "x.status = ?",
		"status:40x":                   "(x.status <> 200 AND x.status IN (400, 401, 402, 403, 404, 405, 406, 407, 408, 409))",
		"status:2xx":                   "(x.status >= ? AND x.status <= ?)",
		"status:404":                   "(x.status <> 200 AND x.status = ?)",
		"status in (200,201)":          "x.status IN (?, ?)",
		"method=GET":                   "x.method = ? COLLATE NOCASE",
		"id in (1,2)":                  "x.id IN (?, ?)",
		"kind:http":                    "x.kind = ?",
		"is:open":                      "x.state = 'open'",
		"scheme:https":                 "x.scheme = ?",
		"host:a.test status:200":       "(x.host = ? AND x.status = ?)",
		"took>1s":                      "(x.took >= 1000 AND x.took > ?)",
		"took>0.9s":                    "x.took > ?",
		"-cert.sent":                   "((x.cert_sent IS NOT NULL) IS NOT TRUE)",
		"word":                         `x.url LIKE ? ESCAPE '\'`,
		"host:a.test:443 or replay.of": "((x.host = ? AND x.port = ?) OR x.replay_of IS NOT NULL)",
	} {
		f, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := f.SQL(nil); got != want {
			t.Errorf("%s: got %s, want %s", s, got, want)
		}
	}
}
