package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// differentialRequests are requests to every route of go-httpbin.
func differentialRequests() []differentialRequest {
	r := func(method, path string, rest ...string) differentialRequest {
		d := differentialRequest{method: method, path: path, header: http.Header{}}
		for _, s := range rest {
			if name, value, ok := strings.Cut(s, ": "); ok {
				d.header.Add(name, value)
			} else {
				d.body = s
			}
		}
		return d
	}
	requests := []differentialRequest{
		r("GET", "/"), r("GET", "/encoding/utf8"), r("GET", "/forms/post"), r("GET", "/get?a=1&b=%20x&a=2"), r("HEAD", "/head"), r("HEAD", "/get"),
		r("DELETE", "/delete"), r("DELETE", "/delete", "with a body"), r("PATCH", "/patch", "x"), r("POST", "/post", "a=1&b=2", "Content-Type: application/x-www-form-urlencoded"),
		r("POST", "/post"), r("PUT", "/put", strings.Repeat("eaves ", 20_000)), r("POST", "/post", `{"a":[1,2]}`, "Content-Type: application/json"),
		r("POST", "/upload", strings.Repeat("x", 100_000)), r("PUT", "/upload", "x"), r("PATCH", "/upload", "x"),
		r("OPTIONS", "/get"), r("TRACE", "/anything"), r("PROPFIND", "/anything", "<a/>"), r("POST", "/get", "wrong method"), r("GET", "/no/such/route"),
		r("GET", "/absolute-redirect/2"), r("GET", "/relative-redirect/2"), r("GET", "/redirect/3"), r("GET", "/redirect-to?url=%2Fget&status_code=307"),
		r("GET", "/anything/a%2Fb/./c;d=e?x=%00"), r("GET", "/anything?"+strings.Repeat("long=1&", 500)),
		r("GET", "/base64/ZWF2ZXM="), r("GET", "/base64/encode/eaves"), r("GET", "/base64/decode/ZWF2ZXM"),
		r("GET", "/basic-auth/u/p"), r("GET", "/basic-auth/u/p", "Authorization: Basic dTpw"), r("GET", "/hidden-basic-auth/u/p"), r("GET", "/bearer"),
		r("GET", "/bearer", "Authorization: Bearer t"), r("GET", "/digest-auth/auth/u/p"), r("GET", "/digest-auth/auth/u/p/SHA-256"),
		r("GET", "/bytes/0"), r("GET", "/bytes/1?seed=1"), r("GET", "/bytes/65536?seed=2"), r("GET", "/bytes/99999?seed=3"),
		r("GET", "/cache"), r("GET", "/cache", "If-None-Match: x"), r("GET", "/cache/60"), r("GET", "/cookies", "Cookie: a=1; b=2", "Cookie: c=3"),
		r("GET", "/cookies/set?a=1&b=2"), r("GET", "/cookies/delete?a="), r("GET", "/deflate"), r("GET", "/gzip"), r("GET", "/gzip", "Accept-Encoding: gzip"), r("GET", "/brotli"),
		r("GET", "/delay/0.1"), r("GET", "/deny"), r("GET", "/drip?duration=0.2&numbytes=20&delay=0.1"), r("GET", "/drip?duration=0.1&numbytes=5&code=500"),
		r("GET", "/dump/request", "X-B: 2", "X-A: 1"), r("GET", "/env"), r("GET", "/etag/e"), r("GET", "/etag/e", `If-None-Match: "e"`), r("GET", "/etag/e", `If-Match: "f"`),
		r("GET", "/headers", "X-Same: 1", "X-Same: 2", "X-Empty: "), r("GET", "/hostname"), r("GET", "/html"), r("GET", "/image", "Accept: image/webp"), r("GET", "/image", "Accept: text/plain"),
		r("GET", "/image/png"), r("GET", "/image/jpeg"), r("GET", "/image/svg"), r("GET", "/image/webp"), r("GET", "/image/none"),
		r("GET", "/ip"), r("GET", "/json"), r("GET", "/jsonl"), r("GET", "/links/3"), r("GET", "/links/3/1"), r("GET", "/range/100", "Range: bytes=5-9"),
		r("GET", "/range/100", "Range: bytes=90-"), r("GET", "/range/100", "Range: bytes=200-"), r("GET", "/range/100", "Range: bytes=0-1,5-6"), r("GET", "/range/100"),
		r("GET", "/response-headers?X-One=1&X-One=2&Content-Type=text%2Fx"), r("GET", "/robots.txt"), r("GET", "/sse?count=3&duration=100ms&delay=0s"),
		r("GET", "/stream-bytes/50000?seed=1&chunk_size=100"), r("GET", "/stream/5"), r("GET", "/trailers?a=1&b=2"), r("GET", "/unstable?seed=1"), r("GET", "/unstable?seed=2&failure_rate=1"),
		r("GET", "/user-agent", "User-Agent: eaves/test"), r("GET", "/uuid"), r("GET", "/version"), r("GET", "/xml"),
	}
	for _, code := range []int{200, 201, 202, 204, 205, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 418, 421, 429, 451, 500, 501, 502, 503, 504, 599} {
		requests = append(requests, r("GET", fmt.Sprintf("/status/%d", code)))
	}
	return requests
}

type differentialRequest struct {
	method, path, body string
	header             http.Header
}

// answer is what a client sees of a response.
type answer struct {
	Status  string
	Proto   string
	Header  http.Header
	Body    string
	Trailer http.Header
	Length  int64
	Coding  []string
}

// volatile is what differs between two answers of go-httpbin to the same request.
var volatile = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
	regexp.MustCompile(`"timestamp":\s*\d+`),
	regexp.MustCompile(`nonce="?[0-9a-f]+"?|opaque="?[0-9a-f]+"?`),
	regexp.MustCompile(`dur=[0-9.]+`),
	regexp.MustCompile(`\b[0-9a-f]{60}\b`), // the boundary of multipart/byteranges
}

func ask(client *http.Client, origin string, d differentialRequest) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var body io.Reader
	if d.body != "" {
		body = strings.NewReader(d.body)
	}
	req, err := http.NewRequestWithContext(ctx, d.method, origin+d.path, body)
	if err != nil {
		return answer{}, err
	}
	for name, v := range d.header {
		req.Header[name] = v
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading the body: %w", err)
	}
	steady := func(s string) string {
		for _, v := range volatile {
			s = v.ReplaceAllString(s, "…")
		}
		return s
	}
	header := resp.Header.Clone()
	header.Del("Date")
	header.Del("Last-Modified")       // go-httpbin says now
	slices.Sort(header["Set-Cookie"]) // go-httpbin sets cookies in the order of a map
	for name, values := range header {
		for i := range values {
			header[name][i] = steady(values[i])
		}
	}
	for name, values := range resp.Trailer {
		for i := range values {
			resp.Trailer[name][i] = steady(values[i])
		}
	}
	return answer{resp.Status, resp.Proto, header, steady(string(b)), resp.Trailer, resp.ContentLength, slices.Clone(resp.TransferEncoding)}, nil
}

// TestDifferential asks each route of go-httpbin directly and through eaves: a client cannot tell which is which.
func TestDifferential(t *testing.T) {
	o := newOrigin(t)
	i := running(t, o.roots)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.roots)
	for _, mode := range []struct {
		name, origin string
		h2           bool
	}{{"http", o.http, false}, {"https-h1", o.https, false}, {"https-h2", o.https, true}} {
		t.Run(mode.name, func(t *testing.T) {
			direct := &http.Client{Timeout: deadline, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: mode.h2, DisableCompression: true,
			}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			defer direct.CloseIdleConnections()
			through, err := proxied(i.run, mode.h2)
			if err != nil {
				t.Fatal(err)
			}
			defer through.CloseIdleConnections()
			requests := differentialRequests()
			for _, d := range requests {
				want, wantErr := ask(direct, mode.origin, d)
				got, gotErr := ask(through, mode.origin, d)
				if (wantErr == nil) != (gotErr == nil) {
					t.Errorf("%s %s: directly %v, through eaves %v", d.method, d.path, wantErr, gotErr)
					continue
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s:\n got %.600q\nwant %.600q", d.method, d.path, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
				}
			}
			if err := settled(i.run, int64(len(requests))); err != nil {
				t.Fatal(err)
			}
		})
	}
	if failed := i.rows(t, "is:failed"); len(failed) > 0 {
		t.Errorf("%d exchanges failed, the first: %s: %v", len(failed), failed[0].Request.URL, failed[0].Error)
	}
	if got, want := len(i.rows(t, "")), 3*len(differentialRequests()); got != want {
		t.Errorf("%d exchanges are recorded, want %d", got, want)
	}
}
