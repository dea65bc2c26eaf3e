package wire

import (
	"bufio"
	"io"
	"testing"
)

func TestHopByHop(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Fields
		keep []Keep
		want []string
	}{
		{"nothing", lines("Host: a", "X: y"), nil, []string{"Host: a", "X: y"}},
		{"all of them", lines("Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: x", "Proxy-Authorization: Basic x",
			"Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x", "TE: gzip", "Transfer-Encoding: chunked", "Upgrade: h2c", "Trailer: X", "X: y"), nil,
			[]string{"Trailer: X", "X: y"}},
		{"what Connection names", lines("X-A: 1", "connection: x-a ,, X-B", "x-b: 2", "Connection: X-C", "X-C: 3", "X-D: 4"), nil, []string{"X-D: 4"}},
		{"what Connection cannot name", lines("Connection: host, content-length, Authorization, cookie, cache-control, X-Forwarded-For, Trailer, x",
			"Host: a", "Content-Length: 5", "Authorization: b", "Cookie: c", "Cache-Control: no-cache", "X-Forwarded-For: d", "Trailer: e", "X: y"), nil,
			[]string{"Host: a", "Content-Length: 5", "Authorization: b", "Cookie: c", "Cache-Control: no-cache", "X-Forwarded-For: d", "Trailer: e"}},
		{"upgrade", lines("A: b", "Connection: Upgrade", "Upgrade: websocket"), []Keep{KeepUpgrade}, []string{"A: b", "Connection: Upgrade", "Upgrade: websocket"}},
		{"upgrade of Firefox", lines("connection:keep-alive, Upgrade", "upgrade:websocket"), []Keep{KeepUpgrade}, []string{"connection:keep-alive, Upgrade", "upgrade:websocket"}},
		{"upgrade with more", lines("Connection: close, Upgrade, X", "X: y", "Upgrade: websocket"), []Keep{KeepUpgrade}, []string{"Connection: Upgrade (new)", "Upgrade: websocket"}},
		{"upgrade that Connection does not name", lines("Connection: close", "Upgrade: websocket"), []Keep{KeepUpgrade}, nil},
		{"upgrade without Upgrade", lines("Connection: upgrade"), []Keep{KeepUpgrade}, nil},
		{"trailers", lines("Connection: TE", "TE: trailers", "X: y"), []Keep{KeepTrailers}, []string{"Connection: TE", "TE: trailers", "X: y"}},
		{"trailers and more", lines("TE: gzip, trailers;q=1", "TE: gzip, trailers", "X: y"), []Keep{KeepTrailers}, []string{"TE: trailers (new)", "X: y", "Connection: te (new)"}},
		{"no trailers", lines("TE: gzip"), []Keep{KeepTrailers}, nil},
		{"proxy authentication", lines("Proxy-Authenticate: Basic", "Proxy-Connection: x"), []Keep{KeepProxyAuth}, []string{"Proxy-Authenticate: Basic"}},
		{"closing", lines("A: b", "Connection: Close"), []Keep{Closing}, []string{"A: b", "Connection: Close"}},
		{"closing, made", lines("Connection: keep-alive", "A: b"), []Keep{Closing}, []string{"Connection: close (new)", "A: b"}},
		{"closing, added", lines("A: b"), []Keep{Closing}, []string{"A: b", "Connection: close (new)"}},
		{"closing and upgrade", lines("Connection: upgrade", "Upgrade: x"), []Keep{Closing, KeepUpgrade}, []string{"Connection: upgrade, close (new)", "Upgrade: x"}},
	} {
		before := written(c.in)
		kept, removed := HopByHop(c.in, c.keep...)
		wantFields(t, c.name, kept, c.want...)
		wantFields(t, c.name+": input", c.in, before...)
		for _, r := range removed {
			if r.Line == "" {
				t.Errorf("%s: removed %q, which was not there", c.name, r)
			}
		}
	}
}

func TestSameEndToEnd(t *testing.T) {
	for _, c := range []struct {
		a, b Fields
		want bool
	}{
		{nil, nil, true},
		{lines("A: b", "Connection: x", "C: d"), lines("Keep-Alive: 5", "A:b", "C: d", "TE: x"), true},
		{lines("A: b"), lines("Connection: close"), false},
		{lines("A: b"), lines("A: b", "A: b"), false},
		{lines("A: b", "C: d"), lines("C: d", "A: b"), false},
		{lines("A: b"), lines("a: b"), false},
		{lines("A: b"), lines("A: c"), false},
	} {
		if SameEndToEnd(c.a, c.b) != c.want || SameEndToEnd(c.b, c.a) != c.want {
			t.Errorf("%q and %q", c.a, c.b)
		}
	}
}

func TestNormaliseRequest(t *testing.T) {
	length := func(n int64) Framing { return Framing{Kind: Length, Length: n} }
	chunked := Framing{Kind: Chunked}
	for _, c := range []struct {
		name string
		in   Fields
		f    Framing
		host string
		want []string
	}{
		{"as it was", lines("host:A.test", "content-LENGTH:  5"), length(5), "a.test", []string{"host:A.test", "content-LENGTH:  5"}},
		{"chunks as they were", lines("transfer-encoding:CHUNKED", "Host: a"), chunked, "", []string{"transfer-encoding:CHUNKED", "Host: a"}},
		{"one length of two", lines("Content-Length: 5", "X: y", "content-length: 5"), length(5), "", []string{"Content-Length: 5", "X: y"}},
		{"one length of a list", lines("Content-Length: 5, 5"), length(5), "", []string{"Content-Length: 5 (new)"}},
		{"another length", lines("X: y", "content-length: 5", "Z: z"), length(7), "", []string{"X: y", "content-length: 7 (new)", "Z: z"}},
		{"a length where there was none", lines("X: y"), length(0), "", []string{"X: y", "Content-Length: 0 (new)"}},
		{"a length for chunks", lines("Transfer-Encoding: chunked", "X: y"), length(3), "", []string{"X: y", "Content-Length: 3 (new)"}},
		{"chunks for a length", lines("Content-Length: 5", "X: y"), chunked, "", []string{"X: y", "Transfer-Encoding: chunked (new)"}},
		{"chunks for a list", lines("Transfer-Encoding: x", "Transfer-Encoding: chunked", "X: y"), chunked, "", []string{"Transfer-Encoding: chunked (new)", "X: y"}},
		{"both, chunked", lines("Content-Length: 5", "Transfer-Encoding: chunked"), chunked, "", []string{"Transfer-Encoding: chunked"}},
		{"both, length", lines("Content-Length: 5", "Transfer-Encoding: chunked"), length(5), "", []string{"Content-Length: 5"}},
		{"different lengths", lines("Content-Length: 5", "Content-Length: 6"), length(6), "", []string{"Content-Length: 6 (new)"}},
		{"nonsense", lines("Content-Length: x", "Transfer-Encoding: y"), length(6), "", []string{"Content-Length: 6 (new)"}},
		{"none", lines("Content-Length: 5", "Transfer-Encoding: chunked", "X: y"), Framing{}, "", []string{"X: y"}},
		{"another host", lines("X: y", "hOST: b", "Z: z"), Framing{}, "a", []string{"X: y", "hOST: a (new)", "Z: z"}},
		{"no host", lines("X: y"), Framing{}, "a", []string{"Host: a (new)", "X: y"}},
		{"two hosts", lines("Host: a", "X: y", "Host: b"), Framing{}, "A", []string{"Host: a", "X: y"}},
		{"framing named by Connection", lines("Connection: content-length, transfer-encoding, host", "Host: a", "Content-Length: 5"), length(5), "", []string{"Host: a", "Content-Length: 5"}},
	} {
		before := written(c.in)
		wantFields(t, c.name, NormaliseRequest(c.in, c.f, c.host), c.want...)
		wantFields(t, c.name+": input", c.in, before...)
	}
}

func TestNormaliseResponse(t *testing.T) {
	wantFields(t, "chunks to HTTP/1.0", NormaliseResponse(lines("A: b", "Transfer-Encoding: chunked", "C: d"), 200, Framing{Kind: UntilClose}),
		"A: b", "C: d", "Connection: close (new)")
	wantFields(t, "two lengths of HEAD", NormaliseResponse(lines("Content-Length: 5", "Content-Length: 5"), 200, Framing{}), "Content-Length: 5")
	wantFields(t, "nonsense in HEAD", NormaliseResponse(lines("Content-Length: 5", "Content-Length: 6", "A: b"), 200, Framing{}), "A: b")
	wantFields(t, "nonsense in 204", NormaliseResponse(lines("Content-Length: x", "A: b"), 204, Framing{}), "A: b")
	wantFields(t, "101", NormaliseResponse(lines("Connection: Upgrade", "Upgrade: x", "Content-Length: 0"), 101, Framing{}, KeepUpgrade), "Connection: Upgrade", "Upgrade: x")
	wantFields(t, "closing", NormaliseResponse(lines("Connection: keep-alive", "Content-Length: 0"), 200, Framing{Kind: Length}, Closing),
		"Connection: close (new)", "Content-Length: 0")
}

func TestWritersRefuseWhatBreaksOut(t *testing.T) {
	w := bufio.NewWriter(io.Discard)
	for _, f := range []Field{{Name: "A", Value: "b\r\nC: d"}, {Name: "A", Value: "b\n"}, {Name: "A", Value: "\x00"}, {Name: "A\r\nB", Value: "c"}, {Name: "", Value: "c"},
		{Name: "A:", Value: "c"}, {Name: "A b", Value: "c"}, {Name: "A", Value: "b", Line: "A: b\r\nC: d"}, {Name: "A", Value: "b", Line: "A: b\n"}} {
		if WriteRequestHead(w, "GET", "/", "HTTP/1.1", Fields{f}) == nil || WriteResponseHead(w, "HTTP/1.1", 200, "OK", Fields{f}) == nil {
			t.Errorf("%q was written", f)
		}
	}
	for _, c := range [][3]string{{"", "/", "HTTP/1.1"}, {"G T", "/", "HTTP/1.1"}, {"GET", "", "HTTP/1.1"}, {"GET", "/a b", "HTTP/1.1"}, {"GET", "/\r\n", "HTTP/1.1"}, {"GET", "/", "HTTP/2"}, {"GET", "/", ""}} {
		if WriteRequestHead(w, c[0], c[1], c[2], nil) == nil {
			t.Errorf("%q was written", c)
		}
	}
	if WriteResponseHead(w, "HTTP/1.1", 99, "", nil) == nil || WriteResponseHead(w, "HTTP/1.1", 1000, "", nil) == nil ||
		WriteResponseHead(w, "HTTP/1.1", 200, "a\rb", nil) == nil || WriteResponseHead(w, "x", 200, "", nil) == nil {
		t.Error("a bad status line was written")
	}
}
