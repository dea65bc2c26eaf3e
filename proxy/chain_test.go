package proxy

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
	"eaves/proxy/upstream/hop/hoptest"
)

func TestMain(m *testing.M) {
	hoptest.Main()
	os.Exit(m.Run())
}

// through makes a proxy take everything through a parent, with these credentials.
func through(parent *hoptest.Proxy, user, password string) func(*Config) {
	h := hop.Hop{Kind: hop.HTTP, Host: parent.Host, Port: parent.Port}
	if user != "" {
		h.Credentials = &hop.Credentials{ID: user + password, User: user, Password: func(context.Context) (string, error) { return password, nil }}
	}
	return func(c *Config) {
		c.Route = func(context.Context, upstream.Target) (upstream.Route, error) {
			return upstream.Route{Source: "rule", Reason: "*.corp.test", Hops: []hop.Hop{h}}, nil
		}
	}
}

// get asks and reads the answer.
func get(t *testing.T, c *http.Client, u string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Proxy-Authorization", "Basic of-the-client")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// matching are the exchanges that a filter takes.
func matching(t *testing.T, all []*kept, text string) int {
	t.Helper()
	f, err := filter.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, k := range all {
		k.mu.Lock()
		if f.Match(filter.Subject{Exchange: k.x}) {
			n++
		}
		k.mu.Unlock()
	}
	return n
}

func TestThroughAParentProxy(t *testing.T) {
	for _, scheme := range []string{"basic", "digest", "ntlm"} {
		t.Run(scheme, func(t *testing.T) {
			squid := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{scheme}})
			r := start(t, through(squid, hoptest.User, hoptest.Password))
			var leaked atomic.Int64
			origin := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				for name := range q.Header {
					if strings.HasPrefix(name, "Proxy-") {
						leaked.Add(1)
					}
				}
				fmt.Fprint(w, q.Proto)
			})
			plain, secure := r.origin(origin, false, false), r.origin(origin, true, true)
			for range 2 {
				if status, body := get(t, r.client(false), plain.URL+"/"); status != 200 || body != "HTTP/1.1" {
					t.Errorf("%d %s", status, body)
				}
			}
			if status, body := get(t, r.client(false), secure.URL+"/"); status != 200 || body != "HTTP/1.1" {
				t.Errorf("%d %s", status, body)
			}
			if status, body := get(t, r.client(true), secure.URL+"/"); status != 200 || body != "HTTP/2.0" {
				t.Errorf("%d %s", status, body)
			}
			all := r.mem.finished(t, 4)
			for _, k := range all {
				k.mu.Lock()
				b, _ := json.Marshal(k.x)
				if x := k.x; x.AnsweredBy != capture.AnsweredByOrigin || len(x.Route.Hops) != 2 || x.Route.Hops[0].Authentication != scheme || x.Error != nil {
					t.Errorf("recorded %s", b)
				}
				if x := k.x; x.Request.Header.Get("Proxy-Authorization") != "" {
					t.Errorf("recorded %s", b)
				}
				for _, secret := range []string{hoptest.Password, base64.StdEncoding.EncodeToString([]byte(hoptest.User + ":" + hoptest.Password)), "TlRMTVNTUAAD", "response="} {
					if strings.Contains(string(b), secret) {
						t.Errorf("%s stands in %s", secret, b)
					}
				}
				k.mu.Unlock()
			}
			if leaked.Load() > 0 {
				t.Error("the origin saw what is for proxies")
			}
			if n := matching(t, all, "route:corp hop:"+squid.Address()+" answered:origin"); n != 4 {
				t.Errorf("%d exchanges are found by their route", n)
			}
		})
	}
}

func TestParentProxyThatRefuses(t *testing.T) {
	squid := hoptest.Squid(t, hoptest.SquidOptions{More: []string{"acl bad dstdomain .blocked.test", "http_access deny bad"}})
	r := start(t, through(squid, "", ""))
	status, body := get(t, r.client(false), "https://www.blocked.test/")
	if status != 502 || !strings.Contains(body, "proxy: http proxy "+squid.Address()+": it refused a connection to www.blocked.test:443: 403 Forbidden (ERR_ACCESS_DENIED 0)") || !strings.Contains(body, "hint: ") {
		t.Errorf("%d %s", status, body)
	}
	if status, body = get(t, r.client(false), "http://www.blocked.test/"); status != 403 || !strings.Contains(body, "ERR_ACCESS_DENIED") {
		t.Errorf("%d %.200s", status, body) // its own page
	}
	all := r.mem.finished(t, 2)
	if n := matching(t, all, "answered:proxy hop.status:403"); n != 2 {
		t.Errorf("%d of 2 are known as the proxy's", n)
	}
	if n := matching(t, all, "answered:proxy error:proxy"); n != 1 {
		t.Errorf("%d of 1 failed", n)
	}
}

func TestParentProxyThatWantsToKnowWho(t *testing.T) {
	squid := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"basic"}})
	for _, user := range []string{"", "mallory"} {
		r := start(t, func(c *Config) {
			through(squid, user, "wrong-one")(c)
			f, err := filter.Parse("host:passed.test")
			if err != nil {
				t.Fatal(err)
			}
			c.Rules = func() []Rule { return []Rule{{Name: "rule 1", Filter: f, Action: ActionPassthrough}} }
		})
		for _, u := range []string{"http://a.test/", "https://a.test/"} {
			status, body := get(t, r.client(false), u)
			if status != 502 || !strings.Contains(body, "it wants authentication") || !strings.Contains(body, "eaves route") || strings.Contains(body, "wrong-one") {
				t.Errorf("%d %s", status, body)
			}
		}
		c := r.dial()
		fmt.Fprint(c, "CONNECT passed.test:443 HTTP/1.1\r\nHost: passed.test:443\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 502 {
			t.Fatalf("%v %v", resp, err)
		}
		all := r.mem.finished(t, 3)
		if n := matching(t, all, "answered:proxy hop.status:407 error:proxy route:corp"); n != 3 {
			t.Errorf("%d of 3 are known as the proxy's", n)
		}
	}
}

func TestLoopThroughParents(t *testing.T) {
	var route atomic.Pointer[upstream.Route]
	route.Store(&upstream.Route{Source: "custom"})
	r := start(t, func(c *Config) {
		c.Route = func(context.Context, upstream.Target) (upstream.Route, error) { return *route.Load(), nil }
	})
	own := netip.MustParseAddrPort(r.addr)
	squid := hoptest.Squid(t, hoptest.SquidOptions{More: []string{fmt.Sprintf("cache_peer 127.0.0.1 parent %d 0 no-query no-digest default", own.Port()), "never_direct allow all"}})
	route.Store(&upstream.Route{Source: "custom", Hops: []hop.Hop{{Kind: hop.HTTP, Host: squid.Host, Port: squid.Port}}})
	for _, u := range []string{"http://round.test/", "https://round.test/"} {
		status, body := get(t, r.client(false), u)
		if status < 500 || !strings.Contains(body, "a loop: this request went from eaves to a parent proxy and has come back") {
			t.Errorf("%s: %d %s", u, status, body)
		}
	}
	all := r.mem.finished(t, 4)
	if n := matching(t, all, `error:route`); n != 2 {
		t.Errorf("%d of 2 loops are recorded as such", n)
		for _, k := range all {
			t.Logf("%s %+v", k.x.Request.URL, k.x.Error)
		}
	}
	// eaves as its own parent is not even dialled.
	route.Store(&upstream.Route{Source: "custom", Hops: []hop.Hop{{Kind: hop.HTTP, Host: "127.0.0.1", Port: int(own.Port())}}})
	if status, body := get(t, r.client(false), "http://round.test/"); status != 403 || !strings.Contains(body, "is eaves itself") || !strings.Contains(body, "eaves route list") {
		t.Errorf("%d %s", status, body)
	}
}

// A proxy that takes a tunnel and then misbehaves is named by what is known: the way led through it.
func TestTunnelThatComesToNothing(t *testing.T) {
	for name, c := range map[string]struct {
		after string
		words []string
	}{
		"dies":       {"", []string{"origin.test:443 (through http proxy 127.0.0.1:"}},
		"block page": {"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nblocked", []string{"(through http proxy 127.0.0.1:", "may be the proxy"}},
		"cut":        {"\x16\x03\x03", []string{"(through http proxy 127.0.0.1:"}},
	} {
		t.Run(name, func(t *testing.T) {
			addr := tcpOrigin(t, func(conn net.Conn) {
				br := bufio.NewReader(conn)
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				_, _ = br.Peek(1)
				io.WriteString(conn, c.after)
			})
			ap := netip.MustParseAddrPort(addr)
			r := start(t, through(&hoptest.Proxy{Host: "127.0.0.1", Port: int(ap.Port())}, "", ""))
			status, body := get(t, r.client(false), "https://origin.test/")
			if status != 502 {
				t.Errorf("%d %s", status, body)
			}
			for _, w := range c.words {
				if !strings.Contains(body, w) {
					t.Errorf("%q is not in %s", w, body)
				}
			}
			k := r.mem.finished(t, 1)[0]
			if h := k.x.Route.Hops[0]; h.Status != 200 || k.x.AnsweredBy != capture.AnsweredByEaves || k.x.Error == nil || k.x.Error.Stage != capture.StageTLS {
				t.Errorf("recorded %+v, answered by %s, %+v", h, k.x.AnsweredBy, k.x.Error)
			}
		})
	}
}
