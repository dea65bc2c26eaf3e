package hop

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
)

func TestConnectKeepsWhatCameBehindTheAnswer(t *testing.T) {
	var asked string
	h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		asked = head(r)
		// The origin speaks first, and the proxy sends it along with its answer.
		io.WriteString(c, "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 3\r\nX-Office: Paris\r\n\r\n220 hello\n")
		_, _ = io.Copy(c, r)
	})
	d := dialer(t, func(c *Config) { c.Via = "1.1 eaves-me" })
	c, receipts, err := d.Dial(testContext(t), []Hop{h}, "origin.test", 25)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := make([]byte, 10)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "220 hello\n" {
		t.Errorf("%q, %v", got, err)
	}
	say(t, c, "and on\n")
	want := "CONNECT origin.test:25 HTTP/1.1\r\nHost: origin.test:25\r\nProxy-Connection: Keep-Alive\r\nVia: 1.1 eaves-me\r\n\r\n"
	if asked != want {
		t.Errorf("asked\n%s\nwant\n%s", asked, want)
	}
	r := receipts[0]
	if r.Kind != "http" || r.Status != 200 || r.StatusText != "Connection established" || r.ResponseHeader.Get("X-Office") != "Paris" || r.Authentication != "none" || r.Connect < 0 || r.Time <= 0 {
		t.Errorf("receipt %+v", r)
	}
	if o := receipts[1]; o.Kind != "origin" || o.Address != "origin.test:25" || o.Connect <= 0 {
		t.Errorf("receipt %+v", o)
	}
}

func TestConnectFailures(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		words  []string
		stage  capture.Stage
	}{
		"refused by a squid": {"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 3\r\n\r\nno!",
			[]string{"refused a connection to origin.test:443: 403 Forbidden (ERR_ACCESS_DENIED 0)", "rule"}, capture.StageProxy},
		"a block page": {"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 51\r\n\r\n<html><title>Blocked:\x1b[31m gambling</title></html>....",
			[]string{"403 Forbidden (Blocked: [31m gambling)"}, capture.StageProxy},
		"dead target":    {"HTTP/1.0 502 Bad Gateway\r\n\r\n", []string{"could not connect to origin.test:443: 502 Bad Gateway", "reach origin.test:443"}, capture.StageProxy},
		"captive portal": {"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\nContent-Length: 0\r\n\r\n", []string{"302 Found", "login in a browser: http://login.test/"}, capture.StageProxy},
		"cut":            {"HTTP/1.1 200 Conn", []string{"it closed the connection while asking it for a connection to origin.test:443"}, capture.StageProxy},
		"guest network":  {"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n", []string{"511", "login in a browser"}, capture.StageProxy},
		"closed":         {"", []string{"closed the connection", "may speak TLS (https://127.0.0.1:"}, capture.StageProxy},
		"TLS":            {"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n", []string{"answers in TLS", "https://127.0.0.1:"}, capture.StageProxy},
		"SOCKS":          {"\x05\xff\r\n\r\n", []string{"does not answer in HTTP", "socks5://"}, capture.StageProxy},
		"something else": {"SSH-2.0-OpenSSH_9.2 Debian\r\n\r\n", []string{"does not answer in HTTP"}, capture.StageProxy},
	} {
		t.Run(name, func(t *testing.T) {
			h := peer(t, func(_ int, conn net.Conn, r *bufio.Reader) {
				head(r)
				io.WriteString(conn, c.answer)
			})
			e, receipts := failed(t, dialer(t), h)
			says(t, e, append(c.words, "http proxy "+h.Address())...)
			if e.Stage != c.stage || e.Index != 0 || e.Unreachable {
				t.Errorf("%+v", e)
			}
			if e.Answer != nil && receipts[0].Status != e.Answer.Status {
				t.Errorf("receipt %+v", receipts[0])
			}
		})
	}
}

func TestDeadProxyIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	e, _ := failed(t, dialer(t), Hop{Kind: HTTP, Host: "127.0.0.1", Port: port}, Hop{Kind: SOCKS5, Host: "second.test", Port: 1})
	says(t, e, "proxy 1 of 2, http proxy 127.0.0.1:", "cannot be reached", "eaves route")
	if !e.Unreachable || strings.Contains(e.Message, "second.test") {
		t.Errorf("%+v", e)
	}
}

func TestSilentProxyIsGivenUpInTime(t *testing.T) {
	for _, kind := range []Kind{HTTP, SOCKS4, SOCKS5} {
		h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		h.Kind = kind
		e, _ := failed(t, dialer(t, func(c *Config) { c.Timeout = 50 * time.Millisecond }), h)
		says(t, e, "no answer within 50ms", string(kind)+" proxy")
		if e.Stage != capture.StageTimeout {
			t.Errorf("stage %s", e.Stage)
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		gone := errors.New("gone")
		h2 := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
			_, _ = r.Peek(1)
			cancel(gone)
			_, _ = io.Copy(io.Discard, r)
		})
		h2.Kind = kind
		_, _, err := dialer(t).Dial(ctx, []Hop{h2}, "origin.test", 1)
		if !errors.As(err, &e) || !errors.Is(err, gone) || e.Stage != capture.StageClient {
			t.Errorf("%v", err)
		}
	}
}

// TestWebServerIsNoProxy: a web server that was taken for a proxy is called one, and what it says is said once.
func TestWebServerIsNoProxy(t *testing.T) {
	h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		head(r)
		io.WriteString(c, "HTTP/1.0 501 Unsupported method ('CONNECT')\r\nContent-Type: text/html\r\nContent-Length: 47\r\n\r\n<title>501 Unsupported method ('CONNECT')</title>")
	})
	e, _ := failed(t, dialer(t), h)
	says(t, e, "it answers as a web server does, and is probably no proxy: 501 Unsupported method ('CONNECT')", "check the proxy's address and port")
	if strings.Count(e.Message, "Unsupported") != 1 {
		t.Errorf("got %q", e.Message)
	}
}

func TestSecondProxyIsNamed(t *testing.T) {
	second := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		head(r)
		io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	})
	first := passing(t)
	e, receipts := failed(t, dialer(t), first, second, Hop{Kind: SOCKS5, Host: "third.test", Port: 1080})
	says(t, e, "proxy 2 of 3, http proxy "+second.Address(), "could not connect to the next proxy, third.test:1080: 503")
	if e.Index != 1 || receipts[0].Status != 200 || receipts[0].Error != "" || receipts[1].Status != 503 || receipts[2].Connect != -1 {
		t.Errorf("%+v %+v", e, receipts)
	}
}

// passing is a CONNECT proxy that connects to where it is asked to.
func passing(t *testing.T) Hop {
	return peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		line, _, _ := strings.Cut(head(r), "\r\n")
		relay(c, r, strings.Fields(line)[1], "HTTP/1.1 200 OK\r\n\r\n")
	})
}

func relay(c net.Conn, r io.Reader, address, yes string) {
	o, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer o.Close()
	io.WriteString(c, yes)
	go func() {
		_, _ = io.Copy(o, r)
		o.Close()
	}()
	_, _ = io.Copy(c, o)
}

// asking is a proxy that wants authentication: want says whether what it is shown will do, and what it asks for.
func asking(t *testing.T, want func(n int, shown string) (ok bool, ask []string, close bool)) (Hop, *atomic.Int64) {
	requests := new(atomic.Int64)
	h := peer(t, func(n int, c net.Conn, r *bufio.Reader) {
		for {
			q := head(r)
			if q == "" {
				return
			}
			requests.Add(1)
			shown := ""
			for line := range strings.SplitSeq(q, "\r\n") {
				if v, ok := strings.CutPrefix(line, "Proxy-Authorization: "); ok {
					shown = v
				}
			}
			ok, ask, closes := want(n, shown)
			if ok {
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				_, _ = io.Copy(c, r)
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 407 Proxy Authentication Required\r\n")
			for _, a := range ask {
				fmt.Fprintf(c, "Proxy-Authenticate: %s\r\n", a)
			}
			if closes {
				fmt.Fprintf(c, "Proxy-Connection: close\r\nContent-Length: 4\r\n\r\nshut")
				return
			}
			fmt.Fprintf(c, "Transfer-Encoding: chunked\r\n\r\n4\r\nshut\r\n0\r\n\r\n")
		}
	})
	return h, requests
}

func TestBasicIsRememberedAndShownToNobodyElse(t *testing.T) {
	right := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:s3cret"))
	h, requests := asking(t, func(_ int, shown string) (bool, []string, bool) {
		return shown == right, []string{`Basic realm="r"`}, true
	})
	h.Credentials = fixed("alice", "s3cret")
	d := dialer(t)
	for want := range 3 {
		c, receipts, err := d.Dial(testContext(t), []Hop{h}, "origin.test", 443)
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, "hello\n")
		c.Close()
		if r := receipts[0]; r.Authentication != "basic" || r.Status != 200 {
			t.Errorf("receipt %+v", r)
		}
		if got := requests.Load(); got != int64(want+2) { // one to learn what it wants
			t.Errorf("%d requests for %d connections", got, want+1)
		}
	}
	// Other credentials know nothing of it.
	h.Credentials = fixed("bob", "wr0ng")
	e, receipts := failed(t, d, h)
	says(t, e, "wants authentication (basic)", "the user bob", "basic: refused by the proxy", "eaves route")
	if e.Answer == nil || e.Answer.Status != 407 || receipts[0].ResponseHeader.Get("Proxy-Authenticate") != `basic realm="r"` {
		t.Errorf("%+v", receipts[0])
	}
	h.Credentials = nil
	e, _ = failed(t, d, h)
	says(t, e, `wants authentication for "r" (basic), and no credentials are configured`, "eaves route add")
}

func TestProxyThatAsksForEver(t *testing.T) {
	var n atomic.Int64
	for name, ask := range map[string]func() []string{
		"basic": func() []string { return []string{`Basic realm="r"`} },
		"stale": func() []string { return []string{fmt.Sprintf(`Digest realm="r", nonce="%d", stale=true`, n.Add(1))} },
		"ntlm":  func() []string { return []string{"NTLM"} },
		"all":   func() []string { return []string{`Basic realm="r", Digest nonce=x, NTLM, Negotiate`} },
		"none":  func() []string { return nil },
		"token": func() []string {
			return []string{"NTLM " + base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00rubbish"))}
		},
	} {
		for _, closes := range []bool{false, true} {
			t.Run(fmt.Sprint(name, closes), func(t *testing.T) {
				h, requests := asking(t, func(int, string) (bool, []string, bool) { return false, ask(), closes })
				h.Credentials = fixed("alice", "s3cret")
				e, _ := failed(t, dialer(t, func(c *Config) { c.Tickets = noTickets{} }), h)
				says(t, e, "authentication")
				if e.Stage != capture.StageProxy || requests.Load() > maxLegs+1 {
					t.Errorf("%v after %d requests", e, requests.Load())
				}
			})
		}
	}
}

type noTickets struct{}

func (noTickets) Token(context.Context, *Credentials, string, string) ([]byte, error) {
	return nil, errors.New("no ticket")
}

func (noTickets) Refused(*Credentials, string) {}

func TestStrongestFirstAndFallingThrough(t *testing.T) {
	right := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:s3cret"))
	var mu sync.Mutex
	var order []string
	h, _ := asking(t, func(_ int, shown string) (bool, []string, bool) {
		mu.Lock()
		scheme, _, _ := strings.Cut(shown, " ")
		if len(order) == 0 || order[len(order)-1] != scheme {
			order = append(order, scheme)
		}
		mu.Unlock()
		return shown == right, []string{`Basic realm="x, NTLM", Digest realm="x", nonce="n", qop="auth"`, "Negotiate, NTLM"}, false
	})
	h.Credentials = fixed("alice", "s3cret")
	d := dialer(t, func(c *Config) { c.Tickets = noTickets{} })
	c, receipts, err := d.Dial(testContext(t), []Hop{h}, "origin.test", 443)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := strings.Join(order, " "); got != " Negotiate NTLM Digest Basic" || receipts[0].Authentication != "basic" {
		t.Errorf("%q, %+v", got, receipts[0])
	}
	order = nil
	h.Credentials = fixed("alice", "other", "digest", "NTLM")
	e, _ := failed(t, d, h)
	if got := strings.Join(order, " "); got != " NTLM Digest" {
		t.Errorf("%q", got)
	}
	says(t, e, "ntlm: refused", "digest: refused")
}

func TestRefusalByUnauthorized(t *testing.T) {
	// tinyproxy's way.
	h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if strings.Contains(head(r), "Proxy-Authorization") {
			io.WriteString(c, "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"tiny\"\r\nConnection: close\r\n\r\nno")
			return
		}
		io.WriteString(c, "HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"tiny\"\r\nConnection: close\r\n\r\nwho")
	})
	h.Credentials = fixed("alice", "wr0ng")
	e, receipts := failed(t, dialer(t), h)
	says(t, e, "basic: refused by the proxy")
	if receipts[0].Status != 401 {
		t.Errorf("receipt %+v", receipts[0])
	}
}

func TestDigestNonceIsUsedOnAndRenewed(t *testing.T) {
	var mu sync.Mutex
	var counts []string
	nonce := "one"
	h, requests := asking(t, func(_ int, shown string) (bool, []string, bool) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(shown, `nonce="`+nonce+`"`) {
			stale := ""
			if shown != "" {
				stale = ", stale=true"
			}
			return false, []string{`Digest realm="r", qop="auth", algorithm=SHA-256, nonce="` + nonce + `"` + stale}, false
		}
		counts = append(counts, nonce+shown[strings.Index(shown, "nc="):][:len("nc=00000000")])
		return true, nil, false
	})
	h.Credentials = fixed("alice", "s3cret")
	d := dialer(t)
	for i := range 4 {
		if i == 3 {
			mu.Lock()
			nonce = "two"
			mu.Unlock()
		}
		c, receipts, err := d.Dial(testContext(t), []Hop{h}, "origin.test", 443)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if receipts[0].Authentication != "digest" {
			t.Errorf("receipt %+v", receipts[0])
		}
	}
	if got := strings.Join(counts, " "); got != "onenc=00000001 onenc=00000002 onenc=00000003 twonc=00000001" || requests.Load() != 6 {
		t.Errorf("%s in %d requests", got, requests.Load())
	}
}

func TestPasswordThatCannotBeHad(t *testing.T) {
	h, _ := asking(t, func(int, string) (bool, []string, bool) { return false, []string{"Basic realm=r", "NTLM"}, false })
	h.Credentials = &Credentials{ID: "x", User: "alice", Password: func(context.Context) (string, error) { return "", errors.New("the vault is locked") }}
	e, _ := failed(t, dialer(t), h)
	says(t, e, "its password cannot be had: the vault is locked")
}

func FuzzConnectAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\nrest", "abc")
	f.Add("HTTP/1.1 100 x\r\n\r\nHTTP/1.0 407 Proxy\r\nProxy-Authenticate: NTLM abc=, Basic\r\nContent-Length: 3\r\n\r\nabc", "")
	f.Add("HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n5\r\n<TITLE>\r\n", "x")
	h := Hop{Kind: HTTP, Host: "p.test", Port: 1}
	f.Fuzz(func(t *testing.T, text, rest string) {
		s := &stream{r: bufio.NewReader(strings.NewReader(text + rest))}
		a, _, err := answer(s, h)
		if err != nil {
			return
		}
		if a.Status/100 == 1 {
			t.Errorf("status %d is not final", a.Status)
		}
		e := refused(h, &station{address: "o.test:1"}, a)
		if strings.ContainsAny(e.Message, "\r\n\x1b\x00") && !strings.ContainsAny(a.Reason, "\x1b\x00") {
			t.Errorf("%q", e.Message)
		}
		Header(a.Fields)
	})
}
