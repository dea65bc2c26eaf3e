package webui

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzRequest: whatever is asked, the answer is one, is not that of a bug, and carries what every answer carries; and who
// has no token gets nothing.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
		"GET /api/v1/exchanges?filter=status:200&limit=3 HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\n\r\n",
		"GET /api/v1/exchanges/1/response/body?decoded=true HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\nRange: bytes=0-4\r\n\r\n",
		"GET /api/v1/export?format=har HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\n\r\n",
		"POST /api/v1/requests HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"url\":\"http://a.test/x\"}",
		"POST /api/v1/rules HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n{\"filter\":\"host:a\",\"action\":\"block\"}",
		"PUT /api/v1/recording HTTP/1.1\r\nHost: localhost:1\r\nCookie: eaves-1=x\r\nOrigin: http://localhost:1\r\n\r\n",
		"GET /?token=s3cret&x=y HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
		"GET /api/v1/stream HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer s3cret\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		store := newFakeStore()
		store.put(sample(1))
		coded := sample(2)
		store.put(coded)
		store.setBody(1, "response", []byte("hello"))
		s := New(Config{Token: "s3cret", Hosts: []string{"localhost:1", "127.0.0.1:1", "[::1]:1"}, Store: store, Sender: &fakeSender{}, Rules: &fakeRules{}, Recording: &fakeRecording{},
			Assets: fstest.MapFS{"index.html": {Data: []byte("x")}}, Log: func(line string) { t.Errorf("a bug: %s", line) }})
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		resp := w.Result()
		body, _ := io.ReadAll(resp.Body)
		checkSecured(t, resp.Header)
		// A stream cannot begin on a recorder, and says so.
		if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable && !strings.Contains(string(body), "Hijack") && !strings.Contains(string(body), "not supported") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		if !strings.Contains(raw, "s3cret") && resp.StatusCode < 400 {
			t.Errorf("%d without a token", resp.StatusCode)
		}
	})
}

// FuzzCommand: whatever a client of the stream says, it is done or refused.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{`{"type":"subscribe","exchange":1,"after":2}`, `{"type":"unsubscribe","exchange":1}`, `{`, `[]`, `{"type":"subscribe","exchange":-1}`, `null`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &console{wake: make(chan struct{}, 1), subs: map[int64]*messageCursor{}}
		err := c.command([]byte(text))
		if _, refused := err.(refusal); err != nil && !refused {
			t.Errorf("%v", err)
		}
		if len(c.subs) > 1 {
			t.Errorf("%d subscriptions", len(c.subs))
		}
	})
}

// FuzzRange: a part that is taken is one, of moderate size.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-9", "bytes=5-", "bytes=-5", "bytes=0-99999999999999999999", "bytes=1-2,4-5", "bytes= 1-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if p, ok := onePart(header); ok && (p.first < 0 || p.last < p.first || p.last-p.first >= maxPart || strings.Contains(header, ",")) {
			t.Errorf("%q: %+v", header, p)
		}
	})
}
