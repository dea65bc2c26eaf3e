package diagnose

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
)

// connectProxy is a proxy that takes CONNECT and nothing else.
func connectProxy(t *testing.T) *net.TCPAddr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				req, err := http.ReadRequest(br)
				if err != nil || req.Method != http.MethodConnect {
					return
				}
				origin, err := net.Dial("tcp", req.Host)
				if err != nil {
					return
				}
				defer origin.Close()
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				go io.Copy(origin, br)
				io.Copy(c, origin)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr)
}

// TestExamineTellsTheDetour: where the first choice cannot be reached, that is said before the way that was taken, be it
// another proxy or none.
func TestExamineTellsTheDetour(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	live := connectProxy(t)
	dead := hop.Hop{Kind: hop.HTTP, Host: "127.0.0.1", Port: 1}
	off := true
	for name, c := range map[string]struct {
		instead []hop.Hop
		outline string
	}{
		"proxy":  {[]hop.Hop{{Kind: hop.HTTP, Host: "127.0.0.1", Port: live.Port}}, "route ok, tcp warning, tcp ok, proxy ok, tls warning"},
		"direct": {nil, "route ok, tcp warning, tcp ok, tls warning"},
	} {
		cfg := Config{Upstream: upstream.Config{Route: func(context.Context, upstream.Target) (upstream.Route, error) {
			return upstream.Route{Source: "pac", Reason: "PAC proxy.pac", Hops: []hop.Hop{dead}, Else: &upstream.Route{Source: "pac", Reason: "PAC proxy.pac", Hops: c.instead}}, nil
		}}}
		stages, ok := examine(t, cfg, srv.URL, upstream.Choice{Insecure: &off})
		if got := outline(stages); !ok || !strings.HasPrefix(got, c.outline) {
			t.Errorf("%s: %s, want %s", name, got, c.outline)
		}
		if len(stages) > 1 && (!strings.Contains(stages[1].Title, "127.0.0.1:1") || stages[1].Status != capture.DoctorWarning) {
			t.Errorf("%s: %+v", name, stages[1])
		}
	}
}
