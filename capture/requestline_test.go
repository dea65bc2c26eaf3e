package capture

import "testing"

func TestRequestLine(t *testing.T) {
	for _, c := range []struct {
		method, url, target string
		kind                Kind
		want                string
	}{
		{"GET", "https://a.test/x%2Fy?q=1#f", "", KindHTTP, "GET /x%2Fy?q=1 HTTP/1.1"},
		{"GET", "https://a.test", "", KindHTTP, "GET / HTTP/1.1"},
		{"GET", "https://a.test?q=/", "", KindHTTP, "GET /?q=/ HTTP/1.1"},
		{"GET", "https://a.test#f", "", KindHTTP, "GET / HTTP/1.1"},
		{"GET", "http://a.test/ a b", "", KindHTTP, "GET / a b HTTP/1.1"},
		{"OPTIONS", "https://a.test/", "*", KindHTTP, "OPTIONS * HTTP/1.1"},
		{"CONNECT", "tcp://a.test:443", "", KindTunnel, "CONNECT a.test:443 HTTP/1.1"},
		{"CONNECT", "wss://a.test/chat", "", KindWebSocket, "CONNECT /chat HTTP/1.1"},
		{"GET", "none", "", KindHTTP, "GET none HTTP/1.1"},
	} {
		x := &Exchange{Kind: c.kind, Request: Request{Method: c.method, URL: c.url, Target: c.target, HTTPVersion: "HTTP/1.1"}}
		if got := x.RequestLine(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.url, got, c.want)
		}
	}
	if got := (&Response{HTTPVersion: "HTTP/1.1", Status: 404, StatusText: "Not Found"}).StatusLine(); got != "HTTP/1.1 404 Not Found" {
		t.Errorf("%q", got)
	}
}
