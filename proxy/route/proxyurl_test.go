package route

import (
	"strings"
	"testing"

	"eaves/proxy/upstream/hop"
)

func TestParseProxy(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  Proxy
		shown string
	}{
		{"http://proxy.test:3128", Proxy{Kind: hop.HTTP, Host: "proxy.test", Port: 3128}, "http://proxy.test:3128"},
		{" Proxy.Test. ", Proxy{Kind: hop.HTTP, Host: "proxy.test", Port: 80}, "http://proxy.test:80"},
		{"proxy:3128/", Proxy{Kind: hop.HTTP, Host: "proxy", Port: 3128}, "http://proxy:3128"},
		{"HTTPS://proxy.test", Proxy{Kind: hop.HTTPS, Host: "proxy.test", Port: 443}, "https://proxy.test:443"},
		{"socks5://10.0.0.1", Proxy{Kind: hop.SOCKS5, Host: "10.0.0.1", Port: 1080}, "socks5://10.0.0.1:1080"},
		{"socks5h://s:1", Proxy{Kind: hop.SOCKS5, Host: "s", Port: 1}, "socks5://s:1"},
		{"socks4://s", Proxy{Kind: hop.SOCKS4, Host: "s", Port: 1080}, "socks4a://s:1080"},
		{"socks4a://me@s", Proxy{Kind: hop.SOCKS4, Host: "s", Port: 1080, Named: true, User: "me"}, "socks4a://me@s:1080"},
		{"http://[2001:DB8::1]:8080", Proxy{Kind: hop.HTTP, Host: "2001:db8::1", Port: 8080}, "http://[2001:db8::1]:8080"},
		{"http://[fe80::1%25eth0]", Proxy{Kind: hop.HTTP, Host: "fe80::1%eth0", Port: 80}, "http://[fe80::1%25eth0]:80"},
		{"http://bücher.test", Proxy{Kind: hop.HTTP, Host: "xn--bcher-kva.test", Port: 80}, "http://xn--bcher-kva.test:80"},
		{"http://alice:p%40ss%3A%25@p:1", Proxy{Kind: hop.HTTP, Host: "p", Port: 1, Named: true, User: "alice", Password: "p@ss:%"}, "http://alice@p:1"},
		{"http://al@ice:secret@p:1", Proxy{Kind: hop.HTTP, Host: "p", Port: 1, Named: true, User: "al@ice", Password: "secret"}, "http://al%40ice@p:1"},
		{`http://CORP\alice:x@p:1`, Proxy{Kind: hop.HTTP, Host: "p", Port: 1, Named: true, User: `CORP\alice`, Password: "x"}, "http://CORP%5Calice@p:1"},
		{"http://alice:env:PROXY_PASSWORD@p", Proxy{Kind: hop.HTTP, Host: "p", Port: 80, Named: true, User: "alice", Password: "env:PROXY_PASSWORD", Reference: true}, "http://alice@p:80"},
		{"http://alice:file:%2Frun%2Fsecret@p", Proxy{Kind: hop.HTTP, Host: "p", Port: 80, Named: true, User: "alice", Password: "file:/run/secret", Reference: true}, "http://alice@p:80"},
		{"http://alice:env%3Ax@p", Proxy{Kind: hop.HTTP, Host: "p", Port: 80, Named: true, User: "alice", Password: "env:x"}, "http://alice@p:80"},
		{"http://:@p", Proxy{Kind: hop.HTTP, Host: "p", Port: 80, Named: true}, "http://@p:80"},
	} {
		p, err := ParseProxy(c.text)
		if err != nil || p != c.want || p.String() != c.shown {
			t.Errorf("%s: %#v, shown as %s, %v", c.text, p, p, err)
		}
	}
}

func TestParseProxyNamesThePart(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "host: the URL names none",
		"http://":                     "host: the URL names none",
		"http://:3128":                "host: the URL names none",
		"ftp://p":                     `scheme "ftp": a proxy speaks http, https, socks5`,
		"socks://p":                   `scheme "socks": say which version`,
		"://p":                        `scheme ""`,
		"http://p:":                   "port: there is none",
		"http://p:0":                  `port "0"`,
		"http://p:70000":              `port "70000"`,
		"http://p:+1":                 `port "+1"`,
		"http://p:80x":                `port "80x"`,
		"http://::1:80":               "an IPv6 address stands in brackets",
		"http://[::1":                 "bracket is not closed",
		"http://[p]:1":                "brackets are for IPv6",
		"http://[::1]x":               "only a port can follow",
		"http://[::1]:":               "port: there is none",
		"http://p/path":               `"/path": a proxy's URL ends behind the port`,
		"http://p?x":                  `"?x"`,
		"http://a b":                  `host "a b"`,
		"http://10.0.0.300":           `host "10.0.0.300"`,
		"http://*.test":               `host "*.test"`,
		"http://10.0.0.0%2F8":         "host",
		"http://u:secret%zz@p":        "password: a percent sign is written %25",
		"http://u%:secret@p":          "user: a percent sign is written %25",
		"http://u:sec/secret@p":       "user or password: / ? and # are written",
		"http://u:sec#secret@p":       "user or password: / ? and # are written",
		"http://u:secret%0d%0aX:@p":   "control character",
		"socks4://u:secret@p":         "password: SOCKS 4 has none",
		"http://u:secret@p:secret2:x": "IPv6",
	} {
		_, err := ParseProxy(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "u:") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseProxy(f *testing.F) {
	for _, s := range []string{"http://u:p@h:1", "socks5://[::1]", "h", "https://a%40:b%3a@x.test/", "http://[fe80::1%25e]", "socks4://é@s", "http://u:file:%2Fa,b@p"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProxy(text)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("%q: an error of %d bytes", text, len(err.Error()))
			}
			return
		}
		again, err := ParseProxy(p.String())
		p.Password, p.Reference = "", false
		if err != nil || again != p {
			t.Fatalf("%q is %#v, shown as %q, which is %#v (%v)", text, p, p, again, err)
		}
		p, _ = ParseProxy(text)
		if v, err := ParseVia(p.Text()); p.Reference && (err != nil || len(v.all) != 1 || v.all[0] != p) {
			t.Fatalf("%q is %#v, kept as %q, which is %#v (%v)", text, p, p.Text(), v, err)
		}
	})
}
