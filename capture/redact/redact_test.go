package redact

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"eaves/capture"
)

func TestValue(t *testing.T) {
	r := New()
	m := r.Mask
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9"
	for _, c := range []struct{ name, value, want string }{
		{"Authorization", "Bearer abc.def", "Bearer " + m("abc.def")},
		{"authorization", "Basic dXNlcjpwdw==", "Basic " + m("dXNlcjpwdw==")},
		{"Authorization", `Digest username="u", response="1"`, "Digest " + m(`username="u", response="1"`)},
		{"Authorization", "half secret", m("half secret")},
		{"Authorization", "opaque", m("opaque")},
		{"Proxy-Authorization", "NTLM TlRMTVNTUAAB", "NTLM " + m("TlRMTVNTUAAB")},
		{"WWW-Authenticate", `Basic realm="x"`, `Basic realm="x"`},
		{"WWW-Authenticate", "Negotiate", "Negotiate"},
		{"Proxy-Authenticate", "NTLM TlRMTVNTUAAC, Basic realm=x", "NTLM " + m("TlRMTVNTUAAC") + ", Basic realm=x"},
		{"Cookie", "a=1; sid=xyz; flag", "a=" + m("1") + "; sid=" + m("xyz") + "; " + m("flag")},
		{"Set-Cookie", `sid="xyz"; Path=/; HttpOnly`, "sid=" + m("xyz") + "; Path=/; HttpOnly"},
		{"X-Api-Key", "k", m("k")},
		{"apikey", "k", m("k")},
		{"Ocp-Apim-Subscription-Key", "k", m("k")},
		{"X-CSRF-Token", "k", m("k")},
		{"X-Amz-Security-Token", "k", m("k")},
		{"X-Auth", "Bearer k", "Bearer " + m("k")},
		{"X-Session-Id", "k", m("k")},
		{"Idempotency-Key", "k", "k"},
		{"Sec-WebSocket-Key", "k", "k"},
		{"Sec-WebSocket-Protocol", "chat, " + strings.Repeat("t", 50), "chat, " + m(strings.Repeat("t", 50))},
		{"Access-Control-Allow-Headers", "Authorization", "Authorization"},
		{"Content-Type", "text/html", "text/html"},
		{"Keep-Alive", "timeout=5", "timeout=5"},
		{"X-Author", "me", "me"},
		{"X-Authentication", "k", m("k")},
		{"Cookie2", "k", m("k")},
		{"x-ratelimit-remaining-tokens", "39", "39"},
		{"X-Whatever", "see " + token + "!", "see " + m(token) + "!"},
		{"Location", "https://u:p@a.test/cb?code=1&state=2#access_token=3", "https://" + m("u") + ":" + m("p") + "@a.test/cb?code=" + m("1") + "&state=2#access_token=" + m("3")},
		{"Referer", "https://a.test/?q=1", "https://a.test/?q=1"},
		{"Link", `<https://a.test/?api_key=1&page=2>; rel="next"`, `<https://a.test/?api_key=` + m("1") + `&page=2>; rel="next"`},
	} {
		if got := r.Value(c.name, c.value); got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.name, c.value, got, c.want)
		}
	}
}

func TestURL(t *testing.T) {
	r := New()
	m := r.Mask
	for in, want := range map[string]string{
		"https://a.test/x?y=1&z":                   "https://a.test/x?y=1&z",
		"https://tok@a.test/":                      "https://" + m("tok") + "@a.test/",
		"https://a.test/@x?m=a@b":                  "https://a.test/@x?m=a@b",
		"https://a.test/?key=1":                    "https://a.test/?key=" + m("1"),
		"https://a.test/?Access%5fToken=1&a=b":     "https://a.test/?Access%5fToken=" + m("1") + "&a=b",
		"https://a.test/?accessToken=a?b=c&d":      "https://a.test/?accessToken=" + m("a?b=c") + "&d",
		"https://a.test/x;jsessionid=9?y=1":        "https://a.test/x;jsessionid=" + m("9") + "?y=1",
		"https://a.test/?x-amz-signature=1":        "https://a.test/?x-amz-signature=" + m("1"),
		"https://a.test/?code=1":                   "https://a.test/?code=1",
		"https://a.test/?password=&monkey=1":       "https://a.test/?password=&monkey=1",
		"https://a.test/?next=/x?token=1":          "https://a.test/?next=/x?token=" + m("1"),
		"GET https://u:p@a.test/: no such host":    "GET https://" + m("u") + ":" + m("p") + "@a.test/: no such host",
		"https://a.test/?user[password]=1":         "https://a.test/?user[password]=" + m("1"),
		"/relative?token=1#token=1":                "/relative?token=" + m("1") + "#token=" + m("1"),
		"https://a.test/e/eyJhbGciOiJI.eyJ9.sig/x": "https://a.test/e/" + m("eyJhbGciOiJI.eyJ9.sig") + "/x",
		"https://u:p@q@a.test/":                    "https://" + m("u") + ":" + m("p@q") + "@a.test/",
		"*":                                        "*",
	} {
		if got := r.URL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestEqualSecretsLookEqualUnderOneKeyOnly(t *testing.T) {
	a, b := New(), New()
	if a.Value("Cookie", "s=1") != a.Value("cookie", "s=1") || a.Mask("1") == a.Mask("2") || a.Mask("1") == b.Mask("1") {
		t.Error("masks")
	}
}

func TestExchangeMasksEveryPlaceAndLeavesItsArgument(t *testing.T) {
	const secret = "hunter2hunter2"
	h := func() capture.Header {
		return capture.Header{{Name: "X-Api-Key", Value: secret}, {Name: "Plain", Value: "stays"}}
	}
	request := func() capture.Request {
		return capture.Request{Method: "GET", URL: "https://u:" + secret + "@a.test/?token=" + secret, Target: "/?token=" + secret, Header: h(), Trailer: h()}
	}
	response := func() *capture.Response {
		return &capture.Response{Status: 200, Header: h(), Trailer: h(), Informational: []capture.Informational{{Status: 103, Header: h()}}}
	}
	make := func() *capture.Exchange {
		q := request()
		return &capture.Exchange{ID: 1, Request: request(), Response: response(), Client: capture.Client{Request: &q, Response: response()},
			Route: &capture.Route{Source: "custom", Reason: "http://u:" + secret + "@proxy.test:3128", Hops: []capture.Hop{{Kind: "http", Address: "http://u:" + secret + "@proxy.test:3128"}, {Kind: "origin", Address: "192.0.2.1:443"}}},
			Error: &capture.Error{Stage: capture.StageHTTP, Message: "GET https://a.test/?token=" + secret + " failed", Hint: "try https://a.test/?token=" + secret}}
	}
	x := make()
	b, err := json.Marshal(New().Exchange(x))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), secret) {
		t.Errorf("a secret is left: %s", b)
	}
	if strings.Count(string(b), "stays") != 10 {
		t.Errorf("too much went: %s", b)
	}
	if !reflect.DeepEqual(x, make()) {
		t.Error("the argument was changed")
	}
	if y := New().Exchange(&capture.Exchange{Request: capture.Request{URL: "http://a.test/"}}); y.Response != nil || y.Client.Request != nil || y.Request.Header != nil {
		t.Error("what was absent appeared")
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://u:p@a.test/?token=1", "://@", "?token=", "a;b=c?d#e&key=f"} {
		f.Add(s, "s3cr3t")
	}
	r := New()
	f.Fuzz(func(t *testing.T, s, secret string) {
		_, _ = r.URL(s), r.Value("Cookie", s)
		// Whatever stands before it, a parameter of that name is masked.
		if len(secret) > 3 && !strings.ContainsAny(secret, parameterEnd) && !strings.Contains(s, secret) && !strings.Contains(prefix+"0123456789abcdef", secret) && strings.Trim(secret, "0123456789abcdef") != "" {
			if got := r.URL("https://a.test/" + strings.Map(dropSpace, s) + "&token=" + secret); strings.Contains(got, secret) {
				t.Fatalf("%q: %q is left in %q", s, secret, got)
			}
		}
	})
}

func dropSpace(c rune) rune {
	if strings.ContainsRune(" \t\r\n", c) {
		return -1
	}
	return c
}
