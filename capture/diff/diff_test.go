package diff

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"testing"

	"eaves/capture"
)

func TestLinesGiveUpOnWhatIsTooFarApart(t *testing.T) {
	var a, b []string
	for i := range 3 * maxEdits {
		a, b = append(a, fmt.Sprint("a", i)), append(b, fmt.Sprint("b", i))
	}
	c := &comparer{ctx: t.Context()}
	c.lines("body", a, b)
	if len(c.out.Differences)+c.out.More < len(a) || !c.counted {
		t.Errorf("%d differences", len(c.out.Differences))
	}
}

// kept are bodies in memory: by exchange and side.
type kept map[string]string

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

func (k kept) Body(_ context.Context, id int64, side capture.Side) (capture.Body, error) {
	return inMemory{bytes.NewReader([]byte(k[fmt.Sprint(id, " ", side)]))}, nil
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func sample(id int64, encoding string) *capture.Exchange {
	x := &capture.Exchange{ID: id, Kind: capture.KindHTTP, State: capture.StateDone, Time: float64(id)}
	x.Request = capture.Request{Method: "GET", URL: "https://a.test/x?y=1", HTTPVersion: "HTTP/2", Header: capture.Header{{Name: "Accept", Value: "*/*"}}}
	x.Response = &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/2", Header: capture.Header{{Name: "Date", Value: fmt.Sprint("now ", id)}}}
	if encoding != "" {
		x.Response.Header = append(x.Response.Header, capture.Field{Name: "Content-Encoding", Value: encoding})
	}
	x.Timings = capture.Timings{DNS: -1, Connect: -1, SSL: -1}
	x.TLS = &capture.TLS{Version: "TLS 1.3"}
	return x
}

func told(r Result) string {
	var all []string
	for _, d := range r.Differences {
		if d.Incidental {
			continue
		}
		side := func(s *string) string {
			if s == nil {
				return "-"
			}
			return *s
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s: %s | %s %s", d.Where, side(d.A), side(d.B), strings.Join(d.Masked, "+"))))
	}
	return strings.Join(all, "\n")
}

func compare(t *testing.T, a, b *capture.Exchange, bodies kept, masks string) Result {
	t.Helper()
	list, err := ParseMasks(masks)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compare(context.Background(), a, b, bodies, list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompare(t *testing.T) {
	a, b := sample(1, ""), sample(2, "gzip")
	r := compare(t, a, b, kept{"1 response": "one\ntwo\nthree\n", "2 response": zipped("one\nzwei\nthree\nfour\n")}, "")
	want := "response header Content-Encoding: - | gzip\nresponse body line 2: two | zwei\nresponse body line 4: - | four"
	if told(r) != want || r.Same {
		t.Errorf("told %s\nwant %s", told(r), want)
	}
	if r := compare(t, sample(1, ""), sample(2, ""), kept{}, ""); !r.Same || len(r.Differences) == 0 {
		t.Errorf("what only time tells apart: %+v", r)
	}
	b = sample(2, "")
	b.Response.Status, b.TLS.Version, b.Kind, b.Messages = 403, "TLS 1.2", capture.KindWebSocket, 3
	b.Route = &capture.Route{Hops: []capture.Hop{{Kind: "http", Address: "p:1"}, {Kind: "origin", Address: "a.test:443"}}}
	r = compare(t, sample(1, ""), b, kept{"1 request": "\x00\x01", "2 request": "\x00\x02"}, "")
	want = "kind: http | websocket\nrequest body from byte 1: 2 bytes | 2 bytes, other ones\nresponse: HTTP/2 200 OK | HTTP/2 403 OK\nmessages: - | 3\n" +
		"tls version: TLS 1.3 | TLS 1.2\nroute: - | http p:1 → origin a.test:443"
	if told(r) != want {
		t.Errorf("told %s\nwant %s", told(r), want)
	}
}

func TestEmptyFieldIsAField(t *testing.T) {
	b := sample(2, "")
	b.Request.Header = append(b.Request.Header, capture.Field{Name: "X-Empty"})
	if r := compare(t, sample(1, ""), b, kept{}, ""); r.Same || told(r) != "request header X-Empty: - |" {
		t.Errorf("told %s", told(r))
	}
}

func TestNoiseIsMasked(t *testing.T) {
	bodies := kept{
		"1 response": `{"at":"2026-01-02T03:04:05.678Z","id":"9f8c1a52-0c1e-4b8e-9d53-0123456789ab","list":[{"id":10001,"n":"a"},{"id":10002,"n":"b"}],"token":"abcDEF123456ghiJKL789","plain":"x"}`,
		"2 response": `{"at":"2026-05-06T07:08:09.1Z","id":"11111111-0c1e-4b8e-9d53-0123456789ab","list":[{"id":20000,"n":"new"},{"id":20001,"n":"a"},{"id":20002,"n":"b"}],"token":"zzzDEF999456ghiJKL000","plain":"y"}`,
	}
	r := compare(t, sample(1, ""), sample(2, ""), bodies, "noise")
	want := `response body.at: "2026-01-02T03:04:05.678Z" | "2026-05-06T07:08:09.1Z" dates
response body.id: "9f8c1a52-0c1e-4b8e-9d53-0123456789ab" | "11111111-0c1e-4b8e-9d53-0123456789ab" ids
response body.list[0]: - | {"id":20000,"n":"new"}
response body.list[0].id: 10001 | 20001 ids
response body.list[1].id: 10002 | 20002 ids
response body.plain: "x" | "y"
response body.token: "abcDEF123456ghiJKL789" | "zzzDEF999456ghiJKL000" tokens`
	if told(r) != want || r.Same || len(r.Masks) != 3 {
		t.Errorf("told %s\nwant %s", told(r), want)
	}
	bodies["1 response"] = strings.Replace(bodies["1 response"], `"x"`, `"y"`, 1)
	bodies["2 response"] = strings.Replace(bodies["2 response"], `{"id":20000,"n":"new"},`, "", 1)
	if r := compare(t, sample(1, ""), sample(2, ""), bodies, "dates,ids,tokens"); !r.Same {
		t.Errorf("only noise: %s", told(r))
	}
	if r := compare(t, sample(1, ""), sample(2, ""), bodies, "dates"); r.Same {
		t.Error("ids are masked unasked")
	}
	if _, err := ParseMasks("dates,colours"); err == nil {
		t.Error("an unknown mask is taken")
	}
	for text, masked := range map[string]string{
		"a plain sentence of several-hyphenated-ordinary-words": "", "session=8f14e45fceea167a5a36dedd4bea2543": "ids", "Mon, 02 Jan 2006 15:04:05 GMT": "dates",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": "tokens", "version 1.2": "", "1767225600": "dates", "01ARZ3NDEKTSV4RRFFQ69G5FAV": "ids",
	} {
		list, _ := ParseMasks("noise")
		got := ""
		for _, m := range list {
			if m.apply(text) != text {
				got = m.Name
				break
			}
		}
		if got != masked {
			t.Errorf("%q is masked as %q, want %q", text, got, masked)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", (comparedBody+4<<20)/16)
	r := compare(t, sample(1, ""), sample(2, ""), kept{"1 response": big, "2 response": big[:len(big)-3] + "xyz"}, "")
	if want := fmt.Sprintf("response body from byte %d: %d bytes transferred | %d bytes transferred, other ones", len(big)-3, len(big), len(big)); told(r) != want || len(r.Notes) != 1 {
		t.Errorf("told %s, %v", told(r), r.Notes)
	}
	if r := compare(t, sample(1, ""), sample(2, ""), kept{"1 response": big, "2 response": big}, ""); !r.Same {
		t.Errorf("the same large bodies: %s", told(r))
	}
	broken := zipped(strings.Repeat("text ", 1000))
	r = compare(t, sample(1, "gzip"), sample(2, "gzip"), kept{"1 response": broken, "2 response": broken[:len(broken)/2]}, "")
	if r.Same || len(r.Notes) == 0 {
		t.Errorf("a body that breaks off: %s, %v", told(r), r.Notes)
	}
}
