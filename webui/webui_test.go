package webui

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

func TestPanicIsAProblem(t *testing.T) {
	l := newLab(t)
	l.store.panicGet = true
	p := l.ask("GET", "/api/v1/exchanges/1", "").problem(t, 500)
	if strings.Contains(p.Detail, "a bug") {
		t.Errorf("the client is told of the inside: %s", p.Detail)
	}
	if !strings.Contains(l.logged.String(), "a bug") {
		t.Error("the log is not")
	}
	l.store.panicGet = false
	l.ask("GET", "/api/v1/exchanges/1", "").problem(t, 404)
}

func TestRequestBodiesAreBounded(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	big := `{"filter":"` + strings.Repeat("x", maxJSON) + `"}`
	l.ask("POST", "/api/v1/prune", big).problem(t, 413)
	// Without a length told beforehand.
	req, _ := http.NewRequest("POST", l.url+"/api/v1/prune", struct{ *strings.Reader }{strings.NewReader(big)})
	req.ContentLength = -1
	req.Header.Set("Authorization", "Bearer "+testToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("without Content-Length: %d", resp.StatusCode)
	}
	for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ";", ""} {
		for _, path := range []string{"/api/v1/requests", "/api/v1/exchanges/1/replay", "/api/v1/prune"} {
			req, _ := http.NewRequest("POST", l.url+path, strings.NewReader(`{"url":"http://a.test/"}`))
			req.Header.Set("Authorization", "Bearer "+testToken)
			if ct != "" {
				req.Header.Set("Content-Type", ct)
			}
			resp, err := (&http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 415 {
				t.Errorf("%s as %q: %d", path, ct, resp.StatusCode)
			}
		}
	}
}

func TestMistakesSayWhatAndWhere(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	for _, c := range []struct{ method, path, body, parameter, detail string }{
		{"GET", "/exchanges?filter=host%3A%28", "", "filter", "column "},
		{"POST", "/rules", `{"filter":"host:a or (","action":"block"}`, "filter", "column "},
		{"POST", "/rules", `{"filter":"host:a status:2","action":"block"}`, "filter", "column 8"},
		{"POST", "/requests", `{"urll":"x"}`, "urll", "unknown field"},
		{"POST", "/requests", `{"url":5}`, "url", "a number"},
		{"POST", "/requests", `{"url":"http://a.test/","headers":{}}`, "headers", "an object"},
		{"POST", "/requests", `{"url":`, "body", "too early"},
		{"POST", "/requests", `{url:1}`, "body", "byte 2"},
		{"POST", "/requests", ``, "Content-Type", "application/json"},
		{"PATCH", "/exchanges/1", `{"mark":null}`, "body", "mark"},
	} {
		status := 400
		if c.parameter == "Content-Type" {
			status = 415
		}
		p := l.ask(c.method, base+c.path, c.body).problem(t, status)
		if p.Parameter != c.parameter || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, p)
		}
	}
}

func TestMethodsThatAreNotAllowed(t *testing.T) {
	l := newLab(t)
	for path, allow := range map[string]string{
		"/api/v1/exchanges": "DELETE, GET, HEAD", "/api/v1/exchanges/1": "GET, HEAD, PATCH", "/api/v1/exchanges/1/replay": "POST", "/api/v1/rules": "GET, HEAD, POST, PUT",
		"/api/v1/rules/1": "DELETE, PUT", "/api/v1/stream": "GET, HEAD", "/": "GET, HEAD",
	} {
		for _, method := range []string{"OPTIONS", "TRACE", "BREW"} {
			a := l.ask(method, path, "")
			a.problem(t, 405)
			if got := a.Header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow %q, want %q", path, got, allow)
			}
		}
	}
}

func TestConsoleFiles(t *testing.T) {
	l := newLab(t)
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/a/b.css": "text/css; charset=utf-8"} {
		a := l.ask("GET", path, "")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != kind || a.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		checkSecured(t, a.Header)
		csp := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "connect-src 'self' ws://" + l.host} {
			if !strings.Contains(csp+";", want+";") {
				t.Errorf("%s: %s is not in %s", path, want, csp)
			}
		}
		if b := l.ask("GET", path, "", "If-None-Match", a.Header.Get("ETag")); b.StatusCode != 304 || len(b.body) != 0 {
			t.Errorf("%s again: %d", path, b.StatusCode)
		}
	}
	if a := l.ask("GET", "/?view=x", ""); a.StatusCode != 200 {
		t.Errorf("with a query: %d", a.StatusCode)
	}
	l.ask("GET", "/nothing.js", "").problem(t, 404)
}

func TestBuiltInConsole(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Assets = nil })
	if a := l.ask("GET", "/", ""); a.StatusCode != 200 || !bytes.Contains(a.body, []byte("<title>eaves")) {
		t.Errorf("%d %.200s", a.StatusCode, a.body)
	}
}

func TestReplayTakesWhatWasCaptured(t *testing.T) {
	l := newLab(t)
	x := sample(1)
	x.Request.Method, x.Request.Target, x.Request.HTTPVersion = "PUT", "*", "HTTP/2"
	x.Request.Trailer = capture.Header{{Name: "Sum", Value: "1"}}
	x.Request.BodySize = 5
	l.store.put(x)
	l.store.setBody(1, capture.SideRequest, []byte("hello"))
	a := l.ask("POST", "/api/v1/exchanges/1/replay", "")
	var got sent
	a.json(t, 202, &got)
	if got.ID != 99 || a.Header.Get("Location") != "/api/v1/exchanges/99" {
		t.Errorf("%+v %v", got, a.Header)
	}
	o := l.sender.got
	if o.ReplayOf != 1 || o.Method != "PUT" || o.URL != x.Request.URL || o.Target != "*" || o.HTTPVersion != "HTTP/2" || len(o.Header) != 2 || len(o.Trailer) != 1 ||
		string(l.sender.body) != "hello" || o.Size != 5 || o.Edited {
		t.Errorf("sent %+v %q", o, l.sender.body)
	}
	l.ask("POST", "/api/v1/exchanges/1/replay", `{"method":"POST","url":"https://b.test/x#y","headers":[{"name":"x-a","value":"ignored","raw":"/w=="}],"bodyBase64":"AP8="}`).json(t, 202, &got)
	o = l.sender.got
	if o.ReplayOf != 1 || o.Method != "POST" || o.URL != "https://b.test/x" || o.Target != "" || len(o.Header) != 1 || o.Header[0].Value != "\xff" || o.Trailer != nil ||
		string(l.sender.body) != "\x00\xff" || o.Size != 2 || !o.Edited {
		t.Errorf("sent %+v %q", o, l.sender.body)
	}
	l.ask("POST", "/api/v1/exchanges/1/replay", `{"body":""}`).json(t, 202, &got)
	if o = l.sender.got; o.Size != 0 || !o.Edited || len(o.Header) != 2 {
		t.Errorf("sent %+v", o)
	}
	l.ask("POST", "/api/v1/requests", `{"url":"http://b.test"}`).json(t, 202, &got)
	if o = l.sender.got; o.ReplayOf != 0 || o.Method != "GET" || o.Body != nil {
		t.Errorf("sent %+v", o)
	}

	for what, change := range map[string]func(*capture.Exchange){
		"tunnel":    func(x *capture.Exchange) { x.Kind = capture.KindTunnel },
		"part":      func(x *capture.Exchange) { x.Request.Truncated = true },
		"missing":   func(x *capture.Exchange) { x.Request.Header = capture.Header{{Name: "Content-Length", Value: "6"}} },
		"no req":    func(x *capture.Exchange) { x.Request.Method = "" },
		"uploading": func(x *capture.Exchange) { x.State, x.Response = capture.StateOpen, nil },
	} {
		y := *x
		change(&y)
		l.store.put(&y)
		l.ask("POST", "/api/v1/exchanges/1/replay", "").problem(t, 409)
		if what == "part" || what == "missing" || what == "uploading" {
			l.ask("POST", "/api/v1/exchanges/1/replay", `{"body":"x"}`).json(t, 202, &got)
		}
	}
	l.store.put(x)
	l.sender.err = errTest
	if p := l.ask("POST", "/api/v1/exchanges/1/replay", "").problem(t, 409); p.Detail != errTest.Error() {
		t.Errorf("%+v", p)
	}
}

func TestRulesKeepTheirOrder(t *testing.T) {
	l := newLab(t)
	for _, b := range []string{`{"filter":"host:a","action":"block"}`, `{"filter":"host:b","action":"ignore"}`, `{"filter":"c.test","action":"passthrough","position":0}`} {
		if a := l.ask("POST", "/api/v1/rules", b); a.StatusCode != 201 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	order := func() string {
		var list ruleList
		l.ask("GET", "/api/v1/rules", "").json(t, 200, &list)
		var ids []string
		for _, r := range list.Rules {
			ids = append(ids, fmt.Sprint(r.ID))
		}
		return strings.Join(ids, " ")
	}
	if order() != "3 1 2" {
		t.Errorf("order %s", order())
	}
	if a := l.ask("PUT", "/api/v1/rules", `{"rules":[{"id":2,"filter":"host:b","action":"ignore"},{"filter":"host:d","action":"ignore"},{"id":3,"filter":"c.test","action":"passthrough"}]}`); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if order() != "2 4 3" {
		t.Errorf("order %s", order())
	}
}

func TestWithoutTheParts(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Sender, c.Recording, c.Rules, c.Certificate = nil, nil, nil, nil })
	l.store.put(sample(1))
	l.ask("POST", "/api/v1/exchanges/1/replay", "").problem(t, 503)
	l.ask("POST", "/api/v1/requests", `{"url":"http://a.test/"}`).problem(t, 503)
	l.ask("POST", "/api/v1/rules", `{"filter":"host:a","action":"block"}`).problem(t, 503)
	l.ask("PUT", "/api/v1/recording", `{"recording":false}`).problem(t, 503)
	l.ask("GET", "/api/v1/ca", "").problem(t, 404)
	if a := l.ask("GET", "/api/v1/rules", ""); string(a.body) != `{"rules":[]}`+"\n" {
		t.Errorf("%s", a.body)
	}
	if a := l.ask("GET", "/api/v1/recording", ""); string(a.body) != `{"recording":true}`+"\n" {
		t.Errorf("%s", a.body)
	}
}

func TestStatusTellsOfTrouble(t *testing.T) {
	l := newLab(t)
	l.store.stats = Stats{Health: "failing", Problem: "the disk is full", Hint: "free some", Lost: 3, QueueDepth: 7}
	var st status
	l.ask("GET", "/api/v1/status", "").json(t, 200, &st)
	if st.Health != "failing" || st.Problem != "the disk is full" || st.Lost != 3 || st.QueueDepth != 7 || st.Version != "1.2.3" || st.Proxy != "127.0.0.1:8484" {
		t.Errorf("%+v", st)
	}
	l.store.stats, l.store.statsErr = Stats{}, errTest
	l.ask("GET", "/api/v1/status", "").json(t, 200, &st)
	if st.Health != "failing" || st.Problem != errTest.Error() {
		t.Errorf("%+v", st)
	}
	l.store.mu.Lock()
	l.store.listErr = errTest
	l.store.mu.Unlock()
	l.ask("GET", "/api/v1/exchanges", "").problem(t, 500)
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestConsolesThatDoNotRead: however much there is to tell, twenty consoles that take nothing cost a bounded amount, and do
// not slow down the one that reads, nor whoever commits.
func TestConsolesThatDoNotRead(t *testing.T) {
	l := newLab(t)
	conns := make([]net.Conn, 20)
	for i := range conns {
		conn, err := net.Dial("tcp", l.host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// A small window, so that what is sent waits with us and not in the system.
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "GET /api/v1/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", l.host, testToken)
		conns[i] = conn
	}
	eventually(t, "twenty consoles", func() bool { return l.server.consolesOpen() == len(conns) })
	reader := l.stream(url.Values{"filter": {"host:wanted.test"}})
	reader.expect("hello")
	before := heap()
	start := time.Now()
	pad := strings.Repeat("x", 8<<10)
	for id := range int64(5000) { // 40 MB to each
		x := sample(id + 1)
		x.Request.URL += "?" + pad
		l.store.put(x)
		if id%1000 == 999 {
			l.store.forget(l.store.Seq() - 1000)
		}
	}
	wanted := sample(30_000)
	wanted.Request.URL = "http://wanted.test/"
	l.store.put(wanted)
	// On a slow machine this fake store, which keeps its last thousand changes, may have forgotten some by then.
	for e := reader.next(); e.Type != "exchange" && e.Type != "reset"; e = reader.next() {
	}
	t.Logf("committed and told within %v", time.Since(start))
	l.store.mu.Lock()
	l.store.rows, l.store.log, l.store.first = map[int64]*capture.Exchange{}, nil, l.store.seq
	l.store.mu.Unlock()
	if after := heap(); after > before+30<<20 {
		t.Errorf("20 consoles hold %d MiB", (after-before)>>20)
	}
	// What takes nothing for ten seconds while there is something to send is let go.
	more := int64(40_000)
	eventually(t, "the consoles gone", func() bool {
		more++ // the system's buffers take a while to fill
		x := sample(more)
		x.Request.URL += "?" + pad
		l.store.put(x)
		return l.server.consolesOpen() == 1
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	l := newLab(t)
	for range 10 {
		v := l.stream(nil)
		v.expect("hello")
		l.store.put(sample(1))
		v.expect("exchange 1")
		v.conn.Close()
	}
	for range 10 {
		l.stream(nil).expect("hello")
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if n := l.server.consolesOpen(); n != 0 || l.store.subs != 0 {
		t.Errorf("%d consoles, %d subscriptions are left", n, l.store.subs)
	}
	eventually(t, "the goroutines gone", func() bool { return runtime.NumGoroutine() <= before+1 })
}
