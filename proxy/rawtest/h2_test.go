package rawtest

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"eaves/proxy/wire"
)

// h2client is a client that speaks HTTP/2 in a tunnel.
func (r *rig) h2client(t *testing.T) *http.Client {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}),
		TLSClientConfig: &tls.Config{RootCAs: r.roots}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: limit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// What an HTTP/1 origin sends badly must not look well to an HTTP/2 client: END_STREAM says that a body is whole.
func TestHTTP1OriginToHTTP2Client(t *testing.T) {
	r := newRig(t)
	client := r.h2client(t)
	const head = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name, answer string
		drop         bool // the origin ends TCP without a goodbye of TLS
		status       int
		body         string
		cut          bool
	}{
		{name: "length", answer: head + "Content-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{name: "chunks", answer: head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200, body: "hello"},
		{name: "until close", answer: head + "\r\nhello", status: 200, body: "hello"},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", status: 304},
		{name: "length twice", answer: head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{name: "length of 204", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status: 204},
		{name: "1xx", answer: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + head + "Content-Length: 0\r\n\r\n", status: 200},
		{name: "hop-by-hop fields", answer: head + "Connection: keep-alive, X\r\nKeep-Alive: timeout=5\r\nX: y\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "name in capitals", answer: head + "X-UPPER: a\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "odd name", answer: head + "X[a]: b\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "control character", answer: head + "X: a\x01b\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "both framings", answer: head + "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200, body: "hello"},
		{name: "cut length", answer: head + "Content-Length: 10\r\n\r\nhello", cut: true},
		{name: "cut length, nothing", answer: head + "Content-Length: 10\r\n\r\n", cut: true},
		{name: "cut chunk", answer: head + "Transfer-Encoding: chunked\r\n\r\na\r\nhello", cut: true},
		{name: "no last chunk", answer: head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cut: true},
		{name: "no end of the trailer", answer: head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", cut: true},
		{name: "bad chunk", answer: head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", cut: true},
		{name: "until close without goodbye", answer: head + "\r\nhello", drop: true, cut: true},
		{name: "different lengths", answer: head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", status: 502},
		{name: "garbage", answer: "\x00\x01\x02\r\n\r\n", status: 502},
		{name: "nothing", status: 502},
		{name: "NUL in a value", answer: head + "X: a\x00b\r\nContent-Length: 0\r\n\r\n", status: 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := r.origin(true)
			if err != nil {
				t.Fatal(err)
			}
			defer o.close()
			go func() {
				for p := range o.peers {
					if _, err := wire.ReadRequestHead(p.r, wire.Limits{}); err == nil {
						_ = p.send(c.answer)
					}
					if c.drop {
						p.tcp.Close()
					}
					p.conn.Close()
				}
			}()
			req, err := http.NewRequestWithContext(context.Background(), "GET", "https://"+o.l.Addr().String()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				if !c.cut {
					t.Fatal(err)
				}
				return
			}
			defer res.Body.Close()
			if res.ProtoMajor != 2 {
				t.Fatalf("the client got %s", res.Proto)
			}
			body, err := io.ReadAll(res.Body)
			if c.cut {
				if err == nil && res.StatusCode < 500 {
					t.Fatalf("what was cut looks whole: %s %q", res.Status, body)
				}
				return
			}
			if err != nil || res.StatusCode != c.status || c.status != 502 && string(body) != c.body {
				t.Fatalf("%s %q, %v", res.Status, body, err)
			}
			if l := res.Header.Values("Content-Length"); len(l) > 1 || c.status == 204 && len(l) > 0 {
				t.Errorf("Content-Length %q", l)
			}
			for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Transfer-Encoding"} {
				if res.Header.Get(name) != "" {
					t.Errorf("%s went on: %q", name, res.Header.Get(name))
				}
			}
		})
	}
}

// What an HTTP/2 client sends becomes an HTTP/1 request that is as strict as what others send.
func TestHTTP2ClientToHTTP1Origin(t *testing.T) {
	r := newRig(t)
	client := r.h2client(t)
	o, err := r.origin(true)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	type seen struct {
		head    *wire.RequestHead
		body    string
		trailer wire.Fields
	}
	got := make(chan seen, 1)
	go func() {
		for p := range o.peers {
			go func() {
				for {
					h, err := wire.ReadRequestHead(p.r, wire.Limits{})
					if err != nil {
						p.conn.Close()
						return
					}
					f, _ := h.Framing()
					b := wire.NewBody(p.r, f, wire.Limits{})
					body, _ := io.ReadAll(b)
					got <- seen{h, string(body), b.Trailer()}
					_ = p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	base := "https://" + o.l.Addr().String()
	for _, c := range []struct {
		name    string
		request func() (*http.Request, error)
		lines   []string
		body    string
	}{
		{"get", func() (*http.Request, error) { return http.NewRequest("GET", base+"/a?b", nil) }, []string{"GET /a?b HTTP/1.1"}, ""},
		{"known length", func() (*http.Request, error) {
			return http.NewRequest("POST", base+"/", strings.NewReader("hello"))
		}, []string{"POST / HTTP/1.1", "content-length: 5"}, "hello"},
		{"unknown length", func() (*http.Request, error) {
			return http.NewRequest("POST", base+"/", io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")))
		}, []string{"POST / HTTP/1.1", "Transfer-Encoding: chunked"}, "hello"},
		{"trailers", func() (*http.Request, error) {
			req, err := http.NewRequest("POST", base+"/", io.MultiReader(strings.NewReader("hello")))
			if err == nil {
				req.Trailer = http.Header{"X-Sum": {"1"}}
			}
			return req, err
		}, []string{"POST / HTTP/1.1", "Transfer-Encoding: chunked"}, "hello"},
		{"cookies", func() (*http.Request, error) {
			req, err := http.NewRequest("GET", base+"/", nil)
			if err == nil {
				req.Header.Set("Cookie", "a=b; c=d; e=f")
			}
			return req, err
		}, []string{"cookie: a=b; c=d; e=f"}, ""}, // RFC 9113, section 8.2.3: crumbs are joined
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := c.request()
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.ProtoMajor != 2 {
				t.Fatalf("the client got %s", res.Proto)
			}
			s := <-got
			lines := strings.Split(s.head.Raw, "\r\n")
			for _, want := range c.lines {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.EqualFold(l, want) }) {
					t.Errorf("the origin got %q, want %q", lines, want)
				}
			}
			if host := s.head.Fields.Values("Host"); len(host) != 1 || host[0] != o.l.Addr().String() {
				t.Errorf("Host %q", host)
			}
			if s.body != c.body {
				t.Errorf("body %q, want %q", s.body, c.body)
			}
			if c.name == "trailers" && s.trailer.Get("X-Sum") != "1" {
				t.Errorf("trailer %q", s.trailer)
			}
		})
	}
}
