package webui

import (
	"strings"
	"testing"

	"eaves/capture"
)

func TestRawIsAsItWasOnTheWire(t *testing.T) {
	l := newLab(t)
	x := sample(1)
	x.Request.Method, x.Request.URL, x.Request.Target, x.Request.HTTPVersion = "POST", "https://a.test/b?c=%20d", "", "HTTP/1.1"
	x.Request.Header = capture.Header{{Name: "hOST", Value: "a.test"}, {Name: "X", Value: "1"}, {Name: "X", Value: "caf\xe9"}}
	x.Response.HTTPVersion, x.Response.Status, x.Response.StatusText = "HTTP/1.1", 200, "OK"
	x.Response.Header = capture.Header{{Name: "Content-Encoding", Value: "gzip"}}
	x.Response.Informational = []capture.Informational{{Status: 103, StatusText: "Early Hints", Header: capture.Header{{Name: "Link", Value: "</a>"}}}}
	l.store.put(x)
	sent, got := "a body", string(zip([]byte("answer")))
	l.store.setBody(1, capture.SideRequest, []byte(sent))
	l.store.setBody(1, capture.SideResponse, []byte(got))
	request := "POST /b?c=%20d HTTP/1.1\r\nhOST: a.test\r\nX: 1\r\nX: caf\xe9\r\n\r\n" + sent
	response := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + got
	for side, want := range map[string]string{"request": request, "response": response} {
		path := "/api/v1/exchanges/1/" + side + "/raw"
		a := l.ask("GET", path, "")
		if a.StatusCode != 200 || string(a.body) != want || a.Header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %q, want %q", side, a.StatusCode, a.body, want)
		}
		checkSecured(t, a.Header)
		// Parts that lie in the head, in the body, and across their border.
		border := strings.LastIndex(want, "\r\n\r\n") + 4
		for _, r := range [][2]int{{0, 4}, {border - 3, border + 3}, {border, border + 2}, {len(want) - 2, len(want)}} {
			a := l.ask("GET", path, "", "Range", rangeOf(r[0], r[1]))
			if a.StatusCode != 206 || string(a.body) != want[r[0]:r[1]] {
				t.Errorf("%s %v: %d %q, want %q", side, r, a.StatusCode, a.body, want[r[0]:r[1]])
			}
		}
	}
	x = sample(2)
	x.Response = nil
	l.store.put(x)
	if a := l.ask("GET", "/api/v1/exchanges/2/response/raw", ""); a.StatusCode != 200 || len(a.body) > 0 {
		t.Errorf("without an answer: %d %q", a.StatusCode, a.body)
	}
}
