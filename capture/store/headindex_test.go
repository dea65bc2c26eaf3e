package store

import (
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// randomHead is an exchange with something of what filters ask for; few values, so that blocks share them.
func randomHead(rnd *rand.Rand, i int) *capture.Exchange {
	pick := func(values ...string) string { return values[rnd.IntN(len(values))] }
	text := func() string {
		return pick("alpha", "Beta", "straße", "KELVIN K", "caf\xe9", "a\x00b", "x=y: z", "\"quoted\" AND", "日本語", "", "100%_a", fmt.Sprint(rnd.IntN(2000)))
	}
	x := sample(i)
	x.Kind, x.Source = capture.Kind(pick("http", "websocket", "tunnel")), capture.Source(pick("proxy", "replay"))
	x.Client = capture.Client{Address: pick("127.0.0.1:5000", "[::1]:80", "10.0.0.7:443", "[::ffff:10.0.0.9]:443", "100.0.0.7:443"), Run: pick("", "", text())}
	x.Request.Method = pick("GET", "get", "POST", "PURGE")
	x.Request.URL = pick("http", "https", "wss") + "://" + pick("a.test", "api.Bank.test", "bücher.test", "10.0.0.7") + pick("", ":8443") + pick("", "/", "/path/"+text()) + pick("", "?q="+text())
	x.Request.HTTPVersion = pick("HTTP/1.1", "HTTP/2")
	for range rnd.IntN(4) {
		x.Request.Header = append(x.Request.Header, capture.Field{Name: pick("X-A", "x-a", "Server", "te", "X-ü"), Value: text()})
	}
	x.Route = &capture.Route{Source: pick("direct", "custom"), Reason: pick("", "bypass *.corp.test"), Hops: []capture.Hop{
		{Kind: "http", Address: pick("proxy.Corp.test:3128", "proxy.corp.test:80", "[2001:db8::1]:80", "bücher.test:80"), Status: []int{0, 200, 407}[rnd.IntN(3)]}, {Kind: "origin", Address: "a.test:443"}}[rnd.IntN(2):]}
	x.TLS = &capture.TLS{Version: pick("TLS 1.2", "TLS 1.3"), CipherSuite: "TLS_AES", ALPN: pick("h2", ""), ServerName: pick("a.test", "b.Test."), Verified: rnd.IntN(2) == 0}
	if rnd.IntN(3) == 0 {
		x.TLS.ClientCertificate = &capture.ClientCertificate{Requested: rnd.IntN(2) == 0, Rule: pick("", "*.test"), Verdict: pick("accepted", "rejected", "no-rule"), Alert: pick("", "unknown_ca", "bad_certificate")}
		if rnd.IntN(2) == 0 {
			x.TLS.ClientCertificate.Sent = &capture.Certificate{Subject: "CN=" + text(), NotAfter: time.Now().AddDate(0, 0, rnd.IntN(60))}
		}
	}
	return x
}

// headFilters ask for each field that has terms, and some that have none.
var headFilters = strings.Split(`header[x-a]|header[x-a]:alpha|header[X-A]=beta|header[x-a]:*l*a|header[x-a]~"^a"|req.header[server]:beta|resp.header[server]|header[x-ü]:日本|header[x-a]:"caf\u00e9"|header[te]:1|header[x-a]:199
header[x-a]:"x=y: z"|header[x-a]:"\"quoted\""|header[x-a]>100|header[x-a]:straße|header[x-a]:"kelvin k"|-header[x-a]:alpha|header[x-a]!=alpha|header[x-a] in (alpha,beta)
alpha|straße|path:/path|path=/|path=/path/alpha|path:path/*eta|query:q=alpha|query="q=Beta"|url:bank|url~alpha|https
kind:websocket|kind in (websocket,tunnel)|-kind:http|is:replay|is:failed|is:open|is:websocket|method:PURGE|method=get|method:p*|scheme:wss|port:8443|port:80..500|proto:h2|proto:1.1
host:*.bank.test|host:a.test|host:*.bank.test:8443|host:bücher.test|host:10.0.0.0/8|host in (a.test,*.bank.test)|type:json|type="text/plain"|client:10.0.0.7|client:10.0.0.0/8|client:10.0.0.7/32|client:10.0.0.0/25|client:8.0.0.0/6|hop:10.0.0.0/8|client:"[::1]"|client:127.0.0.1:5000|run|run:alpha|run:199
route:direct|route:proxy.corp|hop|hop:proxy.corp.test|hop:*.corp.test:3128|hop:*.corp.test:80|hop:proxy.corp.test:80|hop:bücher.test|hop:2001:db8::1|hop.status:407|hop.status:4xx|hop.status:200|bypass|bypass:corp
tls.version:1.2|tls.version>1.2|alpn:h2|sni:b.test|sni:*.test|verified:no|verified|cert.asked|cert.asked:no|cert.sent|cert.sent:alpha|cert.rule:test|cert.verdict:rejected|cert.verdict:no-rule|alert:unknown_ca|alert|cert.expires:30d|cert.expires
status:404|status:4xx|status:2xx|status:3xx..5xx|status>400|status!=200|took>1s|took>=60s|resp.size>1m|error|error:tls|error:refused|mark|comment:again|replay.of
header[x-a]:alpha or kind:tunnel|header[x-a]:alpha host:a.test|not (header[x-a]:alpha or kind:tunnel)|cert.verdict:rejected -alert|body:hello header[x-a]:alpha|body:hello or kind:tunnel`, "\n")

// The index only ever narrows down: before it, with it, and after some of what it leans on was removed, the answer is that of
// the filter's own predicate.
func TestHeadSearchIsComplete(t *testing.T) {
	s := openStore(t, Config{})
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	add := func(n int) {
		for i := range n {
			r := s.Begin(randomHead(rnd, i))
			r.Body(capture.SideResponse, []byte([]string{"hello", "bye"}[rnd.IntN(2)]))
			r.Finish(func(x *capture.Exchange) {
				answer([]int{200, 304, 404, 503}[rnd.IntN(4)], []string{"text/plain", "application/json; charset=utf-8"}[rnd.IntN(2)])(x)
				x.Response.Header = append(x.Response.Header, capture.Field{Name: "Server", Value: []string{"Beta", "nginx"}[rnd.IntN(2)]})
				done(x)
				x.Time = float64(rnd.IntN(3) * 700)
				if rnd.IntN(20) == 0 {
					x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageTLS, Message: "connection refused"}
				}
			})
		}
		flush(t, s)
	}
	check := func(when string) {
		t.Helper()
		var all []*capture.Exchange
		page, err := s.List(testContext(t), Query{ByID: true, Limit: maxLimit})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Exchanges {
			all = append(all, get(t, s, x.ID))
		}
		for _, line := range headFilters {
			for f := range strings.SplitSeq(line, "|") {
				parsed := parse(t, f)
				var want []int64
				for _, x := range all {
					if parsed.Match(filter.Subject{Exchange: x, Body: func(side capture.Side) string {
						text, err := s.Text(testContext(t), x.ID, side)
						if err != nil {
							t.Fatal(err)
						}
						return text
					}}) {
						want = append(want, x.ID)
					}
				}
				if got := found(t, s, f, Query{ByID: true, Limit: maxLimit}); !slices.Equal(got, want) && len(got)+len(want) > 0 {
					t.Errorf("%s, %s: got %d, want %d", when, f, len(got), len(want))
				}
				if when != "indexed" {
					continue
				}
				slices.Reverse(want)
				if got := found(t, s, f, Query{Limit: maxLimit, Total: true}); !slices.Equal(got, want) && len(got)+len(want) > 0 {
					t.Errorf("%s, %s, newest first: got %d, want %d", when, f, len(got), len(want))
				}
			}
		}
	}
	add(200)
	check("scanning")
	if s.index == nil {
		return
	}
	s.ids.Add(probeWindow + firstWindow) // so that the next are looked at without the index, and these with it
	add(1)
	indexed(t, s)
	check("indexed")
	// Of some blocks the first that has a term goes.
	for i := range 3 {
		if _, err := s.Delete(testContext(t), parse(t, fmt.Sprintf("id:%d..%d or id:%d", 1+64*i, 3+64*i, 20+64*i))); err != nil {
			t.Fatal(err)
		}
	}
	check("some removed")
	mark := "red"
	if err := s.Annotate(testContext(t), 30, &mark, &mark); err != nil {
		t.Fatal(err)
	}
	indexed(t, s)
	check("indexed again")
	dir := s.cfg.Dir
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir})
	if err := s.Annotate(testContext(t), 31, &mark, &mark); err != nil {
		t.Fatal(err)
	}
	indexed(t, s)
	check("after a restart")
}

// A block whose bodies are more than is read at a time is indexed anew all the same, when one of it is removed.
func TestBlockWithLargeBodiesIsIndexedAnew(t *testing.T) {
	s := openStore(t, Config{})
	if s.index == nil {
		t.Skip("this SQLite has no FTS5; run with -tags sqlite_fts5")
	}
	body := []byte(strings.Repeat("x", 2*indexBytes/(termBlockMask+1)))
	for i := range 3 * (termBlockMask + 1) {
		recordText(s, i, capture.Header{{Name: "Server", Value: fmt.Sprintf("number-%d-", i)}}, nil, body)
	}
	flush(t, s)
	indexed(t, s)
	if _, err := s.Delete(testContext(t), parse(t, fmt.Sprintf("id:%d", termBlockMask+1))); err != nil {
		t.Fatal(err)
	}
	indexed(t, s)
	for i := range 3 * (termBlockMask + 1) {
		page, err := s.List(testContext(t), Query{Filter: parse(t, fmt.Sprintf("header[server]:number-%d-", i)), Limit: 1, Total: true})
		if want := int64(len(page.Exchanges)); err != nil || page.Total != want || want != 1 && i != termBlockMask {
			t.Errorf("number %d: %d are shown, %d are counted, %v", i, want, page.Total, err)
		}
	}
}

// What is rare is found by an index, not by looking at every row.
func TestRareHeadsAreNotScannedFor(t *testing.T) {
	s := openStore(t, Config{})
	if s.index == nil {
		t.Skip("this SQLite has no FTS5; run with -tags sqlite_fts5")
	}
	for i := range 200 {
		recordText(s, i, capture.Header{{Name: "Server", Value: fmt.Sprint("number ", i)}}, nil, []byte("x"))
	}
	flush(t, s)
	indexed(t, s)
	for text, index := range map[string]string{
		"header[server]:nowhere": "VIRTUAL TABLE", "word-in-url": "VIRTUAL TABLE", "type:wasm": "VIRTUAL TABLE", "cert.verdict:rejected": "VIRTUAL TABLE", "host:*.a.test": "VIRTUAL TABLE", "port:8443": "VIRTUAL TABLE",
		"host:a.test": "exchanges_host", "status:503": "exchanges_status", "status:4xx": "exchanges_status", "is:failed": "exchanges_failed", "is:open": "exchanges_open", "took>2s": "exchanges_slow",
		"resp.size>2m": "exchanges_large", "mark:x": "exchanges_marked", "comment:x": "exchanges_commented", "replay.of": "exchanges_replays",
	} {
		var plan strings.Builder
		err := s.pool.use(testContext(t), func(c *conn) error {
			sel := s.selection(parse(t, text), bodySearch{s.index, 1, 1_000_000, c, testContext(t)}, time.Now())
			dest := make([]driver.Value, 4)
			statement := "EXPLAIN QUERY PLAN SELECT " + summaryColumns + " FROM " + sel.from + clause(append(sel.where, "x.id >= ?", "x.id <= ?")) + " ORDER BY x.id DESC LIMIT 100"
			return c.each(testContext(t), statement, named(append(sel.args, 1, 1_000_000)), dest, func() error {
				plan.WriteString(asString(dest[3]) + "\n")
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if p := plan.String(); !strings.Contains(p, index) || strings.Contains(p, "SCAN x\n") || index == "VIRTUAL TABLE" && !strings.Contains(p, "SEARCH x USING INTEGER PRIMARY KEY (rowid=?)") {
			t.Errorf("%s: %s", text, p)
		}
	}
}
