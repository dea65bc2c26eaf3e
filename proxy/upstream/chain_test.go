package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream/hop"
	"eaves/proxy/upstream/hop/hoptest"
	"eaves/proxy/wire"
)

// through is a Config.Route that leads through these proxies.
func through(hops ...hop.Hop) func(context.Context, Target) (Route, error) {
	return func(context.Context, Target) (Route, error) {
		return Route{Source: "custom", Reason: "test", Hops: hops}, nil
	}
}

func station(kind hop.Kind, p *hoptest.Proxy, c *hop.Credentials) hop.Hop {
	return hop.Hop{Kind: kind, Host: p.Host, Port: p.Port, Credentials: c}
}

func shown(user, password string, schemes ...string) *hop.Credentials {
	return &hop.Credentials{ID: user + "/" + password, User: user, Schemes: schemes,
		Password: func(context.Context) (string, error) { return password, nil }}
}

func alice(schemes ...string) *hop.Credentials {
	return shown(hoptest.User, hoptest.Password, schemes...)
}

// plainOrigin answers with what it got: method, target, body; it keeps what no origin should see.
func plainOrigin(t testing.TB) (u string, leaked func() []string) {
	var mu sync.Mutex
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		for name := range r.Header {
			if strings.HasPrefix(name, "Proxy-") {
				seen = append(seen, name)
			}
		}
		mu.Unlock()
		w.Header().Set("X-Sum", fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, len(b)))
		if len(b) < 100 {
			_, _ = w.Write(b)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// proxyOf is the receipt of the last proxy.
func proxyOf(t testing.TB, c *Call) capture.Hop {
	t.Helper()
	f := c.Receipt.Snapshot()
	if f.Route == nil || len(f.Route.Hops) < 2 {
		t.Fatalf("the route is %+v", f.Route)
	}
	b, _ := json.Marshal(f)
	for _, secret := range []string{hoptest.Password, hoptest.TinyproxyPassword, "Proxy-Authorization", "wrong-one"} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s stands in the receipt %s", secret, b)
		}
	}
	return f.Route.Hops[len(f.Route.Hops)-2]
}

func TestAllProtocolsThroughAllProxies(t *testing.T) {
	squid := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"digest", "basic"}})
	ntlm := hoptest.NewNTLMProxy(t, "NTLM")
	dante := hoptest.Dante(t)
	tiny := hoptest.Tinyproxy(t, false)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Proto, " ", n)
	}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain, leaked := plainOrigin(t)
	upgrade := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		_, _ = io.Copy(c, br)
	})
	for name, c := range map[string]struct {
		hops []hop.Hop
		auth string
	}{
		"digest":    {[]hop.Hop{station(hop.HTTP, squid, alice())}, "digest"},
		"basic":     {[]hop.Hop{station(hop.HTTP, squid, alice("basic"))}, "basic"},
		"ntlm":      {[]hop.Hop{station(hop.HTTP, ntlm.Proxy, alice())}, "ntlm"},
		"tinyproxy": {[]hop.Hop{station(hop.HTTP, tiny, shown(hoptest.User, hoptest.TinyproxyPassword))}, "basic"},
		"socks5":    {[]hop.Hop{station(hop.SOCKS5, dante, nil)}, "none"},
		"chain":     {[]hop.Hop{station(hop.SOCKS4, dante, nil), station(hop.HTTP, ntlm.Proxy, alice()), station(hop.HTTP, squid, alice())}, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := testClient(t, Config{Route: through(c.hops...), Trust: rootsOf(secure)})
			check := func(call *Call, reused bool) {
				t.Helper()
				f := call.Receipt.Snapshot()
				if h := proxyOf(t, call); h.Authentication != c.auth || h.Reused != reused || f.Reused != reused || f.AnsweredBy != capture.AnsweredByOrigin {
					t.Errorf("receipt %+v, reused %v, answered by %q; want %s, %v", h, f.Reused, f.AnsweredBy, c.auth, reused)
				}
				if o := f.Route.Hops[len(c.hops)]; o.Kind != "origin" || o.Address != joinHostPort(call.Host, call.Port) || len(f.Route.Hops) != len(c.hops)+1 {
					t.Errorf("the route's end is %+v", o)
				}
			}
			for i := range 2 {
				call := callTo(t, "POST", plain+"/a?b").withBody("small body")
				if resp, body := mustDo(t, cl, call); resp.Status != 200 || resp.Fields.Get("X-Sum") != "POST /a?b 10" || body != "small body" {
					t.Errorf("plain: %d %v %q", resp.Status, resp.Fields, body)
				}
				check(call, i > 0 && name != "tinyproxy") // which closes behind each answer
				call = callTo(t, "GET", secure.URL+"/")
				if _, body := mustDo(t, cl, call); body != "HTTP/1.1 0" {
					t.Errorf("https: %q", body)
				}
				check(call, i > 0)
				call = h2Call(t, "POST", secure.URL+"/").withBody(strings.Repeat("x", 100_000))
				if _, body := mustDo(t, cl, call); body != "HTTP/2.0 100000" {
					t.Errorf("h2: %q", body)
				}
				check(call, i > 0)
			}
			large := callTo(t, "PUT", plain+"/large").withChunks(io.LimitReader(&repeat{block: bytes.Repeat([]byte("0123456789"), 3000)}, 3<<20))
			if resp, _ := mustDo(t, cl, large); resp.Fields.Get("X-Sum") != "PUT /large 3145728" {
				t.Errorf("large: %d %v", resp.Status, resp.Fields)
			}
			<-large.Sent()
			ws := callTo(t, "GET", upgrade+"/")
			ws.Upgrade = "echo"
			resp, err := cl.Do(testContext(t), ws)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(resp.Conn, "echo")
			got := make([]byte, len("hello echo"))
			if _, err := io.ReadFull(resp.Conn, got); err != nil || string(got) != "hello echo" {
				t.Errorf("upgrade: %q, %v", got, err)
			}
			resp.Conn.Close()
			check(ws, false)
			r := new(Receipt)
			conn, err := cl.Tunnel(testContext(t), "127.0.0.1", portOf(t, upgrade), r)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
			if _, err := io.ReadFull(conn, got); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1") {
				t.Errorf("tunnel: %q, %v", got, err)
			}
			conn.Close()
			if l := leaked(); len(l) > 0 {
				t.Errorf("the origin saw %v", l)
			}
		})
	}
}

func TestNTLMConnectionsAreNobodyElses(t *testing.T) {
	p := hoptest.NewNTLMProxy(t, "NTLM")
	plain, _ := plainOrigin(t)
	who := alice()
	c := testClient(t, Config{Route: func(context.Context, Target) (Route, error) {
		return Route{Source: "custom", Hops: []hop.Hop{station(hop.HTTP, p.Proxy, who)}}, nil
	}})
	for range 3 {
		mustDo(t, c, callTo(t, "GET", plain+"/"))
	}
	if n := p.Handshakes.Load(); n != 1 {
		t.Errorf("%d handshakes for three requests on one connection", n)
	}
	who = shown(`STUDY\`+hoptest.User, hoptest.Password)
	who.ID = "another"
	mustDo(t, c, callTo(t, "GET", plain+"/"))
	if got := fmt.Sprint(p.Users()); got != `[\alice STUDY\alice]` {
		t.Errorf("users %s", got)
	}
	who = shown(hoptest.User, "wrong-one")
	call := callTo(t, "GET", plain+"/")
	e := mustFail(t, c, call)
	wantError(t, e, capture.StageProxy, 502, "wants authentication", "ntlm: refused by the proxy", "eaves route")
	if h := proxyOf(t, call); h.Status != 407 || h.Error == "" || call.Receipt.Snapshot().AnsweredBy != capture.AnsweredByProxy {
		t.Errorf("receipt %+v", h)
	}
	// A body that is sent in vain at first arrives whole, once.
	who = alice()
	c = testClient(t, Config{Route: through(station(hop.HTTP, p.Proxy, who))})
	for _, size := range []int64{10, 100_000, replayLimit, 3 << 20} {
		c.CloseIdle()
		call := callTo(t, "POST", plain+"/up")
		call.Body, call.Framing = io.LimitReader(&repeat{block: bytes.Repeat([]byte("0123456789"), 3000)}, size), wire.Framing{Kind: wire.Length, Length: size}
		if resp, _ := mustDo(t, c, call); resp.Fields.Get("X-Sum") != fmt.Sprint("POST /up ", size) {
			t.Errorf("%d: %d %v", size, resp.Status, resp.Fields)
		}
	}
}

func TestMissingCredentials(t *testing.T) {
	p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"basic"}})
	plain, _ := plainOrigin(t)
	c := testClient(t, Config{Route: through(station(hop.HTTP, p, nil))})
	for _, u := range []string{plain + "/", "https" + plain[len("http"):] + "/"} {
		call := callTo(t, "GET", u)
		wantError(t, mustFail(t, c, call), capture.StageProxy, 502, "http proxy "+p.Address(), "no credentials are configured", "eaves route add")
		h := proxyOf(t, call)
		if f := call.Receipt.Snapshot(); h.Status != 407 || f.AnsweredBy != capture.AnsweredByProxy || h.ResponseHeader.Get("X-Squid-Error") == "" {
			t.Errorf("receipt %+v, answered by %q", h, f.AnsweredBy)
		}
	}
	e := func() *Error {
		_, err := c.Tunnel(testContext(t), "127.0.0.1", 1, nil)
		var e *Error
		errors.As(err, &e)
		return e
	}()
	wantError(t, e, capture.StageProxy, 502, "no credentials are configured")
}

// asked is a proxy of plain http that answers as it is told, by the number of the request.
func answering(t *testing.T, answer func(n int64, head string, body io.Reader) string) hop.Hop {
	var n atomic.Int64
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		for {
			q := readHead(br)
			if q == "" {
				return
			}
			io.WriteString(c, answer(n.Add(1), q, br))
		}
	})
	return hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: portOf(t, u)}
}

func TestWhoAnsweredPlainHTTP(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   capture.Answerer
	}{
		"origin":         {"HTTP/1.1 200 OK\r\nServer: nginx\r\nVia: 1.1 squid\r\nContent-Length: 0\r\n\r\n", "origin"},
		"origin's 403":   {"HTTP/1.1 403 Forbidden\r\nServer: nginx\r\nVia: 1.1 squid\r\nContent-Length: 0\r\n\r\n", "origin"},
		"squid":          {"HTTP/1.1 403 Forbidden\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nVia: 1.1 squid (squid/5.7)\r\nContent-Length: 0\r\n\r\n", "proxy"},
		"tinyproxy":      {"HTTP/1.0 502 Bad Gateway\r\nServer: tinyproxy/1.11.1\r\nContent-Length: 0\r\n\r\n", "proxy"},
		"proxy-status":   {"HTTP/1.1 504 Gateway Timeout\r\nProxy-Status: a, b; error=connection_timeout\r\nContent-Length: 0\r\n\r\n", "proxy"},
		"passed on":      {"HTTP/1.1 504 Gateway Timeout\r\nProxy-Status: a; error=dns_error, b; received-status=504\r\nContent-Length: 0\r\n\r\n", "origin"},
		"captive portal": {"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n", "proxy"},
		"unknown":        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "origin"},
	} {
		t.Run(name, func(t *testing.T) {
			h := answering(t, func(int64, string, io.Reader) string { return c.answer })
			call := callTo(t, "GET", "http://origin.test:80/")
			resp, _ := mustDo(t, testClient(t, Config{Route: through(h)}), call)
			if by := call.Receipt.Snapshot().AnsweredBy; by != c.want {
				t.Errorf("answered by %q, want %q", by, c.want)
			}
			if got := proxyOf(t, call); (got.Status == resp.Status) != (c.want == capture.AnsweredByProxy) {
				t.Errorf("receipt %+v", got)
			}
		})
	}
	// A proxy that puts Via into what it passes on has made itself what lacks it.
	h := answering(t, func(n int64, _ string, _ io.Reader) string {
		if n == 1 {
			return "HTTP/1.1 200 OK\r\nVia: 1.1 corp\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 403 Blocked\r\nContent-Length: 0\r\n\r\n"
	})
	c := testClient(t, Config{Route: through(h)})
	for _, want := range []capture.Answerer{"origin", "proxy"} {
		call := callTo(t, "GET", "http://origin.test:80/")
		mustDo(t, c, call)
		if by := call.Receipt.Snapshot().AnsweredBy; by != want {
			t.Errorf("answered by %q, want %q", by, want)
		}
	}
}

// TestBrokenProxyOfPlainHTTP: a proxy that does not answer is named in error and receipt, with what to look at.
func TestBrokenProxyOfPlainHTTP(t *testing.T) {
	squid := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"basic"}})
	for name, tt := range map[string]struct {
		answer string
		want   []string
	}{
		"hangs up":   {"", []string{"connection closed by the other side without an answer", "may speak TLS", "the proxy's log"}},
		"speaks SSH": {"SSH-2.0-x\r\n", []string{"sent an invalid answer", "SSH-2.0-x", "check what listens"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
				readHead(br)
				io.WriteString(c, tt.answer)
			})
			h := hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: portOf(t, u)}
			call := callTo(t, "GET", "http://origin.test:80/")
			wantError(t, mustFail(t, testClient(t, Config{Route: through(station(hop.HTTP, squid, alice()), h)}), call), capture.StageProxy, 502,
				append(tt.want, "proxy 2 of 2, "+h.String())...)
			if got := proxyOf(t, call); !strings.HasPrefix(got.Error, "proxy 2 of 2, "+h.String()) {
				t.Errorf("receipt %+v", got)
			}
		})
	}
	// An answer that breaks off says where to look, too.
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	})
	h := hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: portOf(t, u)}
	c := testClient(t, Config{Route: through(h)})
	resp, err := c.Do(testContext(t), callTo(t, "GET", "http://origin.test:80/"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	wantError(t, e, capture.StageHTTP, 502, "cut after 4 bytes", "the log of the proxy "+h.Address(), "--via direct")
}

// TestTinyproxyRefusesWith401: that is how it says that a password is wrong.
func TestTinyproxyRefusesWith401(t *testing.T) {
	p := hoptest.Tinyproxy(t, false)
	plain, _ := plainOrigin(t)
	c := testClient(t, Config{Route: through(station(hop.HTTP, p, shown(hoptest.User, "wrong-one")))})
	for range 2 {
		call := callTo(t, "GET", plain+"/")
		wantError(t, mustFail(t, c, call), capture.StageProxy, 502, "http proxy "+p.Address(), "basic: refused by the proxy", "eaves route")
		if h, by := proxyOf(t, call), call.Receipt.Snapshot().AnsweredBy; by != capture.AnsweredByProxy || h.Status != 401 || h.Authentication != "basic" {
			t.Errorf("answered by %q: %+v", by, h)
		}
	}
}

func TestAbsoluteForm(t *testing.T) {
	var heads []string
	h := answering(t, func(_ int64, head string, _ io.Reader) string {
		heads = append(heads, head)
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	h.Credentials = alice()
	c := testClient(t, Config{Route: through(h)})
	for _, target := range []string{"/a%20b?c", "*"} {
		call := callTo(t, "OPTIONS", "http://Origin.test:80/")
		call.Host, call.Target = "origin.test", target
		call.Fields = wire.Fields{{Name: "Host", Value: "Origin.test"}, {Name: "X-a", Value: "1"}, {Name: "Proxy-Authorization", Value: "Basic stolen"}, {Name: "Proxy-Connection", Value: "keep-alive"}}
		mustDo(t, c, call)
		if s := call.Receipt.Snapshot().Sent; s == nil || s.Fields.Get("Via") == "" {
			t.Errorf("sent %+v", s)
		}
	}
	via := "Via: 1.1 " + c.Pseudonym() + "\r\n\r\n"
	want := []string{"OPTIONS http://Origin.test/a%20b?c HTTP/1.1\r\nHost: Origin.test\r\nX-a: 1\r\n" + via, "OPTIONS http://Origin.test HTTP/1.1\r\nHost: Origin.test\r\nX-a: 1\r\n" + via}
	if fmt.Sprintf("%q", heads) != fmt.Sprintf("%q", want) {
		t.Errorf("asked\n%q\nwant\n%q", heads, want)
	}
}

func TestBodyIsSentAgainAfterA407(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprint("early ", early), func(t *testing.T) {
			var got []byte
			came := make(chan struct{})
			h := answering(t, func(n int64, head string, body io.Reader) string {
				if n == 1 {
					close(came)
				}
				if !strings.Contains(head, "Proxy-Authorization: Basic") {
					if early { // it does not wait for the body
						return "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
					}
					_, _ = io.CopyN(io.Discard, body, 100_000)
					return "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 3\r\n\r\nwho"
				}
				got = make([]byte, 100_000)
				_, _ = io.ReadFull(body, got)
				return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
			})
			h.Credentials = alice()
			c := testClient(t, Config{Route: through(h)})
			pr, pw := io.Pipe()
			want := bytes.Repeat([]byte("0123456789"), 10_000)
			go func() {
				_, _ = pw.Write(want[:50_000])
				<-came // the client is slow
				_, _ = pw.Write(want[50_000:])
				pw.Close()
			}()
			call := callTo(t, "POST", "http://origin.test:80/")
			call.Body, call.Framing = pr, wire.Framing{Kind: wire.Length, Length: 100_000}
			resp, _ := mustDo(t, c, call)
			if resp.Status != 200 || !bytes.Equal(got, want) {
				t.Errorf("%d, %d bytes arrived", resp.Status, len(got))
			}
			select {
			case <-call.Sent():
			case <-testContext(t).Done():
				t.Error("the body is still being read")
			}
		})
	}
}

func TestFailover(t *testing.T) {
	deadPort := hoptest.FreePort(t)
	dead := hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: deadPort}
	plain, _ := plainOrigin(t)
	second := answering(t, func(int64, string, io.Reader) string {
		return "HTTP/1.1 200 OK\r\nX-Way: second\r\nContent-Length: 0\r\n\r\n"
	})
	var dials atomic.Int64
	route := Route{Source: "pac", Reason: "PROXY a; PROXY b; DIRECT", Hops: []hop.Hop{dead}, Else: &Route{Source: "pac", Reason: "PROXY a; PROXY b; DIRECT", Hops: []hop.Hop{second}, Else: &direct}}
	c := testClient(t, Config{Route: func(context.Context, Target) (Route, error) { return route, nil }, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, fmt.Sprint(":", deadPort)) {
			dials.Add(1)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	for range 2 {
		call := callTo(t, "GET", plain+"/")
		if resp, _ := mustDo(t, c, call); resp.Fields.Get("X-Way") != "second" {
			t.Errorf("%v", resp.Fields)
		}
		if r := call.Receipt.Snapshot().Route; r.Hops[0].Address != second.Address() || !strings.Contains(r.Reason, dead.Address()+" cannot be reached") {
			t.Errorf("route %+v", r)
		}
	}
	if dials.Load() != 1 {
		t.Errorf("the dead proxy was tried %d times in a row", dials.Load())
	}
	// One that comes back is used again.
	l, err := net.Listen("tcp", dead.Address())
	if err != nil {
		t.Skip("the port was taken: " + err.Error())
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			readHead(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Way: first\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			conn.Close()
		}
	}()
	c.dead.mu.Lock()
	c.dead.until[dead.Address()] = time.Now()
	c.dead.mu.Unlock()
	if resp, _ := mustDo(t, c, callTo(t, "GET", plain+"/")); resp.Fields.Get("X-Way") != "first" {
		t.Errorf("%v", resp.Fields)
	}
	// Without another way, the dead proxy is named.
	gone := hop.Hop{Kind: hop.SOCKS5, Host: "127.0.0.1", Port: hoptest.FreePort(t)}
	route = Route{Source: "custom", Hops: []hop.Hop{gone}}
	call := callTo(t, "GET", plain+"/")
	wantError(t, mustFail(t, c, call), capture.StageProxy, 502, gone.String()+" cannot be reached", "connection refused", "eaves route")
	if f := call.Receipt.Snapshot(); f.Route.Hops[0].Error == "" || f.AnsweredBy != "" {
		t.Errorf("receipt %+v", f.Route)
	}
	// Refused by a proxy that is there: no other way is taken.
	refusing := answering(t, func(int64, string, io.Reader) string { return "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" })
	route = Route{Source: "pac", Hops: []hop.Hop{refusing}, Else: &direct}
	call = callTo(t, "GET", "https"+plain[len("http"):])
	wantError(t, mustFail(t, c, call), capture.StageProxy, 502, refusing.String(), "refused a connection to", "403 No")
	if call.Receipt.Snapshot().AnsweredBy != capture.AnsweredByProxy {
		t.Errorf("answered by %q", call.Receipt.Snapshot().AnsweredBy)
	}
}

func TestRouteIsSwitchedUnderWay(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "begun ")
			w.(http.Flusher).Flush()
			close(begun)
			<-goOn
			io.WriteString(w, "and ended")
		}
	}))
	defer srv.Close()
	p := hoptest.NewNTLMProxy(t, "NTLM")
	var route atomic.Pointer[Route]
	route.Store(&Route{Source: "custom", Hops: []hop.Hop{station(hop.HTTP, p.Proxy, alice())}})
	c := testClient(t, Config{Route: func(context.Context, Target) (Route, error) { return *route.Load(), nil }})
	slow := callTo(t, "GET", srv.URL+"/slow")
	resp, err := c.Do(testContext(t), slow)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	route.Store(&direct)
	call := callTo(t, "GET", srv.URL+"/")
	mustDo(t, c, call)
	if r := call.Receipt.Snapshot().Route; len(r.Hops) != 1 || r.Source != "direct" {
		t.Errorf("route %+v", r)
	}
	close(goOn)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "begun and ended" {
		t.Errorf("%q, %v", b, err)
	}
	// One call may choose for itself.
	call = callTo(t, "GET", srv.URL+"/")
	call.Choice.Route = &Route{Source: "custom", Reason: "this request alone", Hops: []hop.Hop{station(hop.HTTP, p.Proxy, alice())}}
	mustDo(t, c, call)
	if proxyOf(t, call).Address != p.Address() {
		t.Errorf("route %+v", call.Receipt.Snapshot().Route)
	}
}

func TestHTTPSProxyHasTermsOfItsOwn(t *testing.T) {
	root, clients := issue(t, nil, ca("Proxy Root")), issue(t, nil, ca("Client Root"))
	cert, key := hoptest.Files(t, chainOf(issue(t, root, leafFor("proxy.test"))))
	clientCA, _ := hoptest.Files(t, chainOf(clients))
	p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"basic"}, Certificate: cert, Key: key, ClientCA: clientCA})
	h := station(hop.HTTPS, p, alice())
	h.Host = "proxy.test"
	mine := identityOf("proxy.test:*", issue(t, clients, clientCert("me to the proxy")))
	var originAsked atomic.Int64
	originRoot := issue(t, nil, ca("Origin Root"))
	port := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, originRoot, leafFor("origin.test")))}, ClientAuth: tls.RequestClientCert,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) > 0 {
				originAsked.Add(1)
			}
			return nil
		}})
	var show atomic.Bool
	show.Store(true)
	c := testClient(t, Config{
		Route:    through(h),
		Resolver: fakeDNS{"proxy.test": {netip.MustParseAddr("127.0.0.1")}},
		Identities: func(s Server) []Identity {
			if s.Proxy && show.Load() {
				return []Identity{mine}
			}
			return nil
		},
		Trust: func(s Server) Trust {
			if s.Proxy {
				return Trust{ID: "proxy", Roots: poolOf(root)}
			}
			return Trust{ID: "origin", Roots: poolOf(originRoot)}
		},
	})
	call := callTo(t, "GET", fmt.Sprintf("https://127.0.0.1:%d/", port))
	call.ServerName = "origin.test"
	_, _ = c.Do(testContext(t), call) // what the origin answers does not matter
	f := call.Receipt.Snapshot()
	if f.Route.Hops[0].TLS == nil || f.Route.Hops[0].TLS.ClientCertificate == nil || f.Route.Hops[0].TLS.ClientCertificate.Sent == nil {
		t.Fatalf("receipt of the proxy %+v", f.Route.Hops[0])
	}
	if cc := f.Route.Hops[0].TLS.ClientCertificate; cc.Verdict != "accepted" || cc.Sent.Subject != "CN=me to the proxy" {
		t.Errorf("%+v", cc)
	}
	if originAsked.Load() != 0 || f.TLS == nil || f.TLS.ClientCertificate.Sent != nil {
		t.Errorf("the origin was shown what is for the proxy: %+v", f.TLS)
	}
	if h := f.Route.Hops[0]; h.Status != 200 || h.Authentication != "basic" || h.Kind != "https" {
		t.Errorf("%+v", h)
	}
	// Without its certificate the proxy lets nobody in, and is named.
	show.Store(false)
	call = callTo(t, "GET", fmt.Sprintf("https://127.0.0.1:%d/", port))
	e := mustFail(t, c, call)
	wantError(t, e, capture.StageProxy, 502, "https proxy proxy.test:")
}

func TestRouteFailures(t *testing.T) {
	c := testClient(t, Config{Route: func(_ context.Context, to Target) (Route, error) {
		return Route{}, fmt.Errorf("the PAC file is broken for %s %s %s %d", to.URL, to.Scheme, to.Host, to.Port)
	}})
	wantError(t, mustFail(t, c, callTo(t, "GET", "http://a.test:80/x?y")), capture.StageRoute, 502, "the PAC file is broken for http://a.test/x?y http a.test 80")
	own := hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: 8484}
	c = testClient(t, Config{Route: through(own), Forbidden: func(a netip.AddrPort) error { return fmt.Errorf("%v is eaves itself", a) }})
	wantError(t, mustFail(t, c, callTo(t, "GET", "https://a.test:443/")), capture.StageRoute, 403, "http proxy 127.0.0.1:8484", "is eaves itself", "eaves route list")
}

// A connection within a proxy's TLS that has died while it was idle is not used for what cannot be sent twice.
func TestDeadConnectionWithinTLSOfAProxy(t *testing.T) {
	root := issue(t, nil, ca("Proxy Root"))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("proxy.test")))}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed := make(chan struct{}, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				q, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					_, _ = io.Copy(io.Discard, q.Body)
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				conn.Close()
				closed <- struct{}{}
			}()
		}
	}()
	c := testClient(t, Config{
		Route:    through(hop.Hop{Kind: hop.HTTPS, Host: "proxy.test", Port: l.Addr().(*net.TCPAddr).Port}),
		Resolver: fakeDNS{"proxy.test": {netip.MustParseAddr("127.0.0.1")}},
		Trust:    trusting(poolOf(root)),
	})
	for range 3 {
		call := callTo(t, "POST", "http://origin.test:80/").withBody("once")
		if resp, _ := mustDo(t, c, call); resp.Status != 200 {
			t.Errorf("status %d", resp.Status)
		}
		<-closed
	}
}

// TestReusedConnectionSaysItsOwnRoute: a pooled connection was made for somebody else's reason.
func TestReusedConnectionSaysItsOwnRoute(t *testing.T) {
	plain, _ := plainOrigin(t)
	reason := "rule 1"
	c := testClient(t, Config{Route: func(context.Context, Target) (Route, error) {
		if reason == "" {
			return Route{}, &Error{Stage: capture.StageRoute, Message: "the PAC file is broken", Hint: "mend it", Status: 502}
		}
		return Route{Source: "rule", Reason: reason}, nil
	}})
	for _, want := range []string{"rule 1", "rule 2"} {
		reason = want
		call := callTo(t, "GET", plain+"/")
		resp, err := c.Do(testContext(t), call)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		f := call.Receipt.Snapshot()
		if f.Route.Source != "rule" || f.Route.Reason != want || f.Reused != (want == "rule 2") {
			t.Errorf("want %s: %+v, reused %v", want, f.Route, f.Reused)
		}
	}
	// What cannot decide the route says so in its own words.
	reason = ""
	e := mustFail(t, c, callTo(t, "GET", plain+"/"))
	if e.Message != "the PAC file is broken" || e.Hint != "mend it" {
		t.Errorf("got %q, %q", e.Message, e.Hint)
	}
}
