package webui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestGuardRefuses(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	_, port, _ := net.SplitHostPort(l.host)
	token := []string{"Authorization", "Bearer " + testToken}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	paths := map[string][]string{"/api/v1/exchanges": nil, "/": nil, "/app.js": nil, "/api/v1/stream": upgrade, "/nothing": nil, "/api/v1/exchanges/1/response/body": nil}
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"rebound name", append([]string{"Host", "evil.test:" + port}, token...), 403},
		{"rebound name without port", append([]string{"Host", "evil.test"}, token...), 403},
		{"own name, other port", append([]string{"Host", "127.0.0.1:1"}, token...), 403},
		{"own name without port", append([]string{"Host", "localhost"}, token...), 403},
		{"name that begins like ours", append([]string{"Host", "localhost.evil.test:" + port}, token...), 403},
		{"name with a dot behind", append([]string{"Host", "localhost.:" + port}, token...), 403},
		{"any address", append([]string{"Host", "0.0.0.0:" + port}, token...), 403},
		{"user info in front", append([]string{"Host", "127.0.0.1:" + port + "@evil.test"}, token...), 403},
		{"address in another form", append([]string{"Host", "127.1:" + port}, token...), 403},
		{"foreign origin", append([]string{"Origin", "http://evil.test"}, token...), 403},
		{"foreign origin on this host", append([]string{"Origin", "http://127.0.0.1:3000"}, token...), 403},
		{"origin of the other name", append([]string{"Origin", "http://localhost:" + port}, token...), 403},
		{"https origin", append([]string{"Origin", "https://" + l.host}, token...), 403},
		{"null origin", append([]string{"Origin", "null"}, token...), 403},
		{"empty origin", append([]string{"Origin", ""}, token...), 403},
		{"two origins", append([]string{"Origin", "http://" + l.host, "Origin", "http://evil.test"}, token...), 403},
		{"origin that begins like ours", append([]string{"Origin", "http://" + l.host + ".evil.test"}, token...), 403},
		{"cross-site fetch", append([]string{"Sec-Fetch-Site", "cross-site"}, token...), 403},
		{"same-site fetch, which another port is", append([]string{"Sec-Fetch-Site", "same-site"}, token...), 403},
		{"rebound name before token", []string{"Host", "evil.test"}, 403},
		{"foreign origin before token", []string{"Origin", "http://evil.test"}, 403},
		{"no token", nil, 401},
		{"wrong token", []string{"Authorization", "Bearer x"}, 401},
		{"empty token", []string{"Authorization", "Bearer "}, 401},
		{"basic", []string{"Authorization", "Basic " + testToken}, 401},
		{"token with more behind", []string{"Authorization", "Bearer " + testToken + "x"}, 401},
		{"token as cookie", []string{"Cookie", "eaves-" + port + "=" + testToken}, 401},
		{"empty cookie", []string{"Cookie", "eaves-" + port + "="}, 401},
		{"foreign forwarded host", append([]string{"Host", "evil.test", "X-Forwarded-Host", l.host}, token...), 403},
	} {
		for path, more := range paths {
			for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
				a := l.askWithout(method, path, "", append(append([]string{}, c.headers...), more...)...)
				a.problem(t, c.status)
				if t.Failed() {
					t.Fatalf("%s: %s %s", c.name, method, path)
				}
				checkSecured(t, a.Header)
				if strings.Contains(fmt.Sprint(a.Header)+string(a.body), testToken) {
					t.Fatalf("%s: %s %s: the token is told", c.name, method, path)
				}
			}
		}
	}
	if strings.Contains(l.logged.String(), testToken) {
		t.Fatal("the token is logged")
	}
}

// checkSecured checks what every answer carries, and what none does.
func checkSecured(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("Content-Security-Policy lacks %s: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s is set: there is no CORS", name)
		}
	}
}

func TestGuardAdmits(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Hosts = []string{"Console.Test:1234"} })
	_, port, _ := net.SplitHostPort(l.host)
	for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "LOCALHOST:" + port, "[::1]:" + port, "console.test:1234"} {
		a := l.ask("GET", "/api/v1/status", "", "Host", host, "Origin", "http://"+host, "Sec-Fetch-Site", "same-origin")
		if a.StatusCode != 200 {
			t.Errorf("Host %s: %d %s", host, a.StatusCode, a.body)
		}
		checkSecured(t, a.Header)
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
		}
	}
}

func TestTokenBecomesCookie(t *testing.T) {
	l := newLab(t)
	_, port, _ := net.SplitHostPort(l.host)
	a := l.askWithout("GET", "/?filter=status%3A404&token="+url.QueryEscape(testToken), "", "Sec-Fetch-Site", "none")
	if a.StatusCode != 303 || a.Header.Get("Location") != "/?filter=status%3A404" {
		t.Fatalf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	checkSecured(t, a.Header)
	cookies := a.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if c.Name != "eaves-"+port || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Value == testToken {
		t.Fatalf("cookie: %+v", c)
	}
	cookie := []string{"Cookie", "other=1; " + c.Name + "=" + c.Value}
	for _, path := range []string{"/", "/app.js", "/api/v1/status"} {
		if a := l.askWithout("GET", path, "", cookie...); a.StatusCode != 200 {
			t.Errorf("%s with the cookie: %d", path, a.StatusCode)
		}
	}
	// The cookie is not enough for a page of another origin.
	for _, h := range [][]string{{"Origin", "http://127.0.0.1:3000"}, {"Origin", "null"}, {"Sec-Fetch-Site", "same-site"}} {
		l.askWithout("DELETE", "/api/v1/exchanges", "", append(h, cookie...)...).problem(t, 403)
	}
	for _, path := range []string{"/?token=wrong", "/?token=", "/app.js?token=" + testToken, "//evil.test/?token=" + testToken, "/api/v1/status?token=" + testToken} {
		a := l.askWithout("GET", path, "")
		a.problem(t, 401)
		if a.Header.Get("Location") != "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: Location %q, Set-Cookie %q", path, a.Header.Get("Location"), a.Header.Get("Set-Cookie"))
		}
	}
	if a := l.askWithout("POST", "/?token="+testToken, ""); a.StatusCode != 401 {
		t.Errorf("POST with the token in the URL: %d", a.StatusCode)
	}
}

func TestWithoutTokenNobodyPasses(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Token = "" })
	for _, h := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer"}} {
		l.askWithout("GET", "/api/v1/status", "", h...).problem(t, 401)
	}
	l.askWithout("GET", "/?token=", "").problem(t, 401)
}

// raw sends bytes and returns the answer's head and body.
func (l *lab) raw(request string) (*http.Response, []byte) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.host)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(deadline))
	if _, err := io.WriteString(conn, request); err != nil {
		l.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		l.t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp, b
}

func TestRawRequests(t *testing.T) {
	l := newLab(t)
	rest := " HTTP/1.1\r\nHost: " + l.host + "\r\nAuthorization: Bearer " + testToken + "\r\nConnection: close\r\n\r\n"
	for request, want := range map[string]int{
		"GET http://evil.test/api/v1/status" + strings.Replace(rest, "Host: "+l.host, "Host: evil.test", 1): 403,
		"GET http://evil.test/api/v1/status" + rest:                                                         403,
		"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n":                                     403,
		"CONNECT " + l.host + rest:                                                                          405,
		"GET /../../etc/passwd" + rest:                                                                      404,
		"GET /..%2f..%2fetc/passwd" + rest:                                                                  404,
		"GET /%2e%2e/%2e%2e/etc/passwd" + rest:                                                              404,
		"GET /..\\..\\etc\\passwd" + rest:                                                                   404,
		"GET /a/../index.html" + rest:                                                                       404,
		"GET //index.html" + rest:                                                                           404,
		"GET /app.js%00.html" + rest:                                                                        404,
		"GET /a" + rest:                                                                                     404,
		"GET /a/" + rest:                                                                                    404,
		"GET /api/v1/../v1/status" + rest:                                                                   404,
		"GET /api/v1//status" + rest:                                                                        404,
		"GET /api/v1/status/" + rest:                                                                        404,
		"GET /api/v1/exchanges/../status" + rest:                                                            404,
		"GET /api" + rest:                                                                                   404,
		"GET /api/v2/status" + rest:                                                                         404,
		"GET /api/v1/no-such-thing" + rest:                                                                  404,
		"BREW /api/v1/status" + rest:                                                                        405,
		"POST /app.js" + rest:                                                                               405,
		"OPTIONS *" + rest:                                                                                  404,
		"GET /a/b.css" + rest:                                                                               200,
		"HEAD /api/v1/status" + rest:                                                                        200,
		"GET /api/v1/status HTTP/1.0\r\nHost: x\r\n\r\n":                                                    403,
		"GET /api/v1/status HTTP/1.0\r\n\r\n":                                                               403,
	} {
		resp, body := l.raw(request)
		if resp.StatusCode != want {
			t.Errorf("%.60q: %d, want %d: %s", request, resp.StatusCode, want, body)
		}
		if strings.Contains(string(body), "root:") {
			t.Errorf("%.60q leads out", request)
		}
	}
}

func TestGuardOnEveryInterface(t *testing.T) {
	g := newGuard(testToken, nil)
	g.listen(&net.TCPAddr{IP: net.IPv6unspecified, Port: 8485})
	g.listen(&net.TCPAddr{IP: net.ParseIP("10.0.0.7"), Port: 80})
	for _, c := range []struct {
		host, local string
		own         bool
	}{
		{"localhost:8485", "127.0.0.1:8485", true},
		{"192.168.1.5:8485", "192.168.1.5:8485", true},
		{"[fe80::1]:8485", "[fe80::1]:8485", true},
		{"192.168.1.5:8485", "192.168.1.6:8485", false},
		{"evil.test:8485", "192.168.1.5:8485", false},
		{"[::]:8485", "127.0.0.1:8485", false},
		{"192.168.1.5:9", "192.168.1.5:9", false},
		{"10.0.0.7", "10.0.0.7:80", true},
		{"10.0.0.7:80", "10.0.0.7:80", true},
		{"localhost", "127.0.0.1:80", true},
		{"", "127.0.0.1:80", false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.local)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = c.host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(addr)))
		if own := g.own(r); own != c.own {
			t.Errorf("Host %q on %s: own %v", c.host, c.local, own)
		}
	}
}

// A ticket opens the console once, for as long as nobody else has used it.
func TestTicketOpensOnce(t *testing.T) {
	g := newGuard("token", []string{"console.test:1"})
	enter := func(ticket string) (cookies int, refused bool) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://console.test:1/?token="+ticket, nil)
		refused = g.check(w, r) != nil
		return len(w.Result().Cookies()), refused
	}
	if _, refused := enter(""); !refused {
		t.Error("no ticket opens")
	}
	first, second := g.issue(), g.issue()
	if _, refused := enter(first); !refused {
		t.Error("a ticket that was replaced opens")
	}
	if cookies, refused := enter(second); refused || cookies != 1 {
		t.Errorf("a good one: %d cookies, refused %v", cookies, refused)
	}
	if _, refused := enter(second); !refused {
		t.Error("it opens twice")
	}
	late := g.issue()
	g.ticketUntil = time.Now()
	if _, refused := enter(late); !refused {
		t.Error("it opens when its time is up")
	}
}
