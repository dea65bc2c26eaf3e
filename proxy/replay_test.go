package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"eaves/capture"
)

func TestReplayTakesTheSameWay(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := start(t, nil)
			o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				b, _ := io.ReadAll(q.Body)
				io.WriteString(w, q.Proto+" "+q.Method+" "+q.Host+" "+q.Header.Get("X-A")+" "+string(b))
			}), m.secure, m.h2)
			req := ReplayRequest{
				Method: "PUT", URL: o.URL + "/again?x=1#frag", ReplayOf: 7, HTTPVersion: "HTTP/1.1",
				Header: capture.Header{{Name: "Host", Value: "other.test"}, {Name: "X-A", Value: "1"}, {Name: "Proxy-Connection", Value: "x"}},
				Body:   io.NopCloser(strings.NewReader("body")), Length: 4,
			}
			if m.h2 {
				req.HTTPVersion = "HTTP/2"
			}
			done := make(chan struct{})
			id, err := r.p.Replay(context.Background(), req, func() { close(done) })
			if err != nil || id != 1 {
				t.Fatalf("got %d, %v", id, err)
			}
			within(t, done, "the replay")
			k := r.mem.finished(t, 1)[0]
			want := "HTTP/1.1 PUT other.test 1 body"
			if m.h2 {
				want = "HTTP/2.0 PUT other.test 1 body"
			}
			if string(k.resp) != want || k.x.ReplayOf != 7 || k.x.Source != capture.SourceReplay || string(k.req) != "body" {
				t.Fatalf("recorded %+v, answer %q", k.x, k.resp)
			}
		})
	}
}

func TestReplayThatCannotBeSent(t *testing.T) {
	r := start(t, nil)
	closed := 0
	for name, req := range map[string]ReplayRequest{
		"scheme":  {Method: "GET", URL: "ftp://a.test/"},
		"url":     {Method: "GET", URL: "http://a b/"},
		"method":  {Method: "G T", URL: "http://a.test/"},
		"name":    {Method: "GET", URL: "http://a.test/", Header: capture.Header{{Name: "A B", Value: "1"}}},
		"newline": {Method: "GET", URL: "http://a.test/", Header: capture.Header{{Name: "A", Value: "1\r\nB: 2"}}},
		"port":    {Method: "GET", URL: "http://a.test:99999/"},
	} {
		req.Body = closer(func() { closed++ })
		if id, err := r.p.Replay(context.Background(), req, nil); err == nil {
			t.Errorf("%s: sent as %d", name, id)
		}
	}
	if closed != 6 {
		t.Errorf("%d bodies were closed", closed)
	}
	ctx, cancel := newCancel()
	defer cancel()
	r.p.Shutdown(ctx)
	if _, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: "http://a.test/"}, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("a proxy that has stopped: %v", err)
	}
}

type closer func()

func (closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error           { c(); return nil }
