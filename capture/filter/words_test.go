package filter

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "every exchange",
		"host:*.bank.test cert.asked -cert.sent": "the host is any under bank.test, a client certificate was asked for and none was sent",
		"login":                                  "the URL contains “login”",
		`-"log in"`:                              "the URL does not contain “log in”",
		"/a(b|c)/":                               "the URL matches /a(b|c)/",
		"status:404":                             "the status is 404",
		"status:4xx":                             "the status is 4xx",
		"status:400..404":                        "the status is from 400 to 404",
		"status>=500 or status:..199":            "the status is at least 500 or the status is at most 199",
		"status!=200":                            "the status is something other than 200",
		"-status:200":                            "the status is not 200",
		"-status!=200":                           "the status is not something other than 200",
		"status in (404, 410)":                   "the status is 404 or 410",
		"-status":                                "there is no answer",
		"method in (POST,PUT) host:a.test":       "the method is POST or PUT; and the host is a.test",
		"method:P*":                              "the method is like “P*”",
		"host:*:8443":                            "the host is any at port 8443",
		"host:10.0.0.0/8":                        "the host is in 10.0.0.0/8",
		"host~ba.k":                              "the host matches /ba.k/",
		"-host in (a.test,b.test:80)":            "the host is not a.test or b.test at port 80",
		"took>800ms":                             "the time it took is more than 800 ms",
		"took<=2s":                               "the time it took is at most 2 seconds",
		"ttfb:1m..":                              "the time to the first byte is at least 1 minute",
		"size>100k":                              "the size is more than 100 KiB",
		"resp.size:1..2m":                        "the size of the response’s body is from 1 byte to 2 MiB",
		"at:10m":                                 "it began in the last 10 minutes",
		"at:10m..":                               "it began in the last 10 minutes",
		"at:1h..10m":                             "it began between 1 hour ago and 10 minutes ago",
		"at<1d":                                  "it began more than 1 day ago",
		"at:2026-01-31":                          "it began at 2026-01-31",
		"at>2026-01-31t10:00z":                   "it began after 2026-01-31T10:00Z",
		"-at>=2026-01-31":                        "it did not begin at 2026-01-31 or later",
		"at:2026-01-01..2026-01-31":              "it began between 2026-01-01 and 2026-01-31",
		"cert.expires:30d":                       "the client certificate ends within 30 days",
		"cert.expires>1h":                        "the client certificate ends later than in 1 hour",
		"header[x-id]":                           "there is a header x-id",
		"-req.header[Cookie]":                    "there is no header cookie of the request",
		"header[x-id]:7":                         "a header x-id contains “7”",
		"-resp.header[server]~nginx":             "no header server of the response matches /nginx/",
		"resp.header[content-length]>10":         "a header content-length of the response is more than 10",
		`body:"order 42"`:                        "a body contains “order 42”",
		"-body:x":                                "no body contains “x”",
		"-req.body:x":                            "the body of the request does not contain “x”",
		"req.body":                               "the request has a body",
		"is:failed":                              "it failed",
		"-is:failed":                             "it did not fail",
		"is!=failed":                             "it did not fail",
		"is:websocket":                           "it is a WebSocket",
		"is in (open,failed)":                    "it is open or failed",
		"error:tls":                              "the error is of stage tls",
		"-error:tls":                             "no error is of stage tls",
		"error:refused":                          "the error says “refused”",
		"error!=tls":                             "the error is of stage something other than tls",
		"-error":                                 "it has no error",
		"verified":                               "the server’s certificate was found good",
		"verified:no":                            "the server’s certificate was not found good",
		"-verified":                              "no certificate of the server was found good",
		"cert.asked:no":                          "the server asked for no client certificate",
		"-cert.asked":                            "no client certificate was asked for",
		"cert.verdict:rejected":                  "the verdict on the client certificate is rejected",
		"answered:proxy":                         "the answer’s sender is proxy",
		"hop:*.corp.test":                        "a proxy on the way is any under corp.test",
		"-hop:proxy.test:3128":                   "no proxy on the way is proxy.test at port 3128",
		"hop.status:407":                         "the status of the proxy is 407",
		"tls.version<1.2":                        "the TLS version is less than 1.2",
		"replay.of:7":                            "the exchange it replays is 7",
		"mark":                                   "it has a mark",
		"(a or b) -c":                            "(the URL contains “a” or the URL contains “b”); and the URL does not contain “c”",
		"not (a b)":                              "it is not so that (the URL contains “a” and the URL contains “b”)",
		"not not a":                              "the URL contains “a”",
		"a or b c":                               "the URL contains “a”; or (the URL contains “b” and the URL contains “c”)",
		"id in (1,2,3,4,5,6,7,8)":                "the id is 1, 2, 3, 4, 5 or one of 3 more",
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Words(); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// A filter and its canonical text are the same in words, and every field has words of its own.
func TestWordsOfEveryField(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := gen{rand.New(rand.NewPCG(seed, 2))}
	seen := map[string]bool{}
	for range 5000 {
		text := strings.ToValidUTF8(g.filter(g.IntN(4)), "?")
		f, err := Parse(text)
		if err != nil {
			continue
		}
		f.any(func(a *atom) bool { seen[a.field.name] = true; return false })
		checkWords(t, f)
	}
	for _, f := range fields {
		if !seen[f.name] {
			t.Errorf("no filter with %s was put in words", f.name)
		}
		if f.about == "" || f.noun == "" && f.class != classBool && f.class != classIs {
			t.Errorf("%s has no description", f.name)
		}
	}
}

func checkWords(t *testing.T, f *Filter) {
	t.Helper()
	words := f.Words()
	if words == "" || !utf8.ValidString(words) {
		t.Fatalf("%s in words: %q", f, words)
	}
	again, err := Parse(f.String())
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	if got := again.Words(); got != words {
		t.Fatalf("%s\n  is %s\nagain %s", f, words, got)
	}
}

// What Fields says of a field is what the language takes of it.
func TestFieldsTellTheTruth(t *testing.T) {
	operand := map[string]string{"number": "7", "status": "404", "duration": "1s", "size": "1k", "time": "1d", "host": "a.test", "address": "a.test", "bool": "yes"}
	for _, f := range Fields() {
		v := operand[f.Kind]
		if v == "" {
			v = "x"
		}
		if len(f.Choices) > 0 {
			v = f.Choices[0]
		}
		name := f.Name
		if f.Kind == "header" {
			name += "[x]"
		}
		for _, o := range []string{":", "=", "!=", "<", "<=", ">", ">=", "~", "in"} {
			text := name + o + v
			if o == "in" {
				text = name + " in (" + v + ")"
			} else if f.Kind == "header" && strings.ContainsAny(o, "<>") {
				text = name + o + "7"
			}
			_, err := Parse(text)
			offered := false
			for _, one := range f.Operators {
				offered = offered || one == o
			}
			if offered != (err == nil) {
				t.Errorf("%s: offered %v, but %v", text, offered, err)
			}
		}
		for _, c := range f.Choices {
			if _, err := Parse(f.Name + ":" + c); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "host:*.bank.test cert.asked -cert.sent", `is in (open,"failed") or not (at:1h..10m size>1k)`, "header[a]~b -error!=tls", "verified in (yes,no)", "method:P*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if parsed, err := Parse(s); err == nil {
			checkWords(t, parsed)
		}
	})
}
