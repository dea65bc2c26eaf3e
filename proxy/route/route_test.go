package route

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"eaves/capture"
	"eaves/capture/hostpattern"
	"eaves/proxy/route/pac"
	"eaves/proxy/upstream"
)

func via(t testing.TB, list ...string) Via {
	t.Helper()
	v, err := ParseVia(list...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func rule(t testing.TB, id int64, pattern string, list ...string) Rule {
	t.Helper()
	p, err := hostpattern.Parse(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return Rule{ID: id, Pattern: p, Way: Way{Via: via(t, list...)}}
}

func bypass(t testing.TB, list string) hostpattern.List {
	t.Helper()
	l, err := hostpattern.ParseList(list)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// say writes a route as tests compare it.
func say(r upstream.Route) string {
	s := r.Source + " [" + r.Reason + "]"
	for _, h := range r.Hops {
		s += " " + Proxy{Kind: h.Kind, Host: h.Host, Port: h.Port}.String()
	}
	if r.Else != nil {
		s += " | " + say(*r.Else)
	}
	return s
}

func decide(t testing.TB, d *Decider, target upstream.Target) string {
	t.Helper()
	r, err := d.Decide(t.Context(), target)
	if err != nil {
		return "error: " + err.Error()
	}
	return say(r)
}

func target(scheme, host string, port int) upstream.Target {
	return upstream.Target{Scheme: scheme, Host: host, Port: port}
}

func systemOf(env map[string]string) *System {
	s := NewSystem(lookupIn(env), func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8484")} })
	s.read = nil
	return s
}

func TestOrder(t *testing.T) {
	corp := Config{
		Rules: []Rule{
			rule(t, 3, "special.corp.test", "direct"),
			rule(t, 1, "*.corp.test:443", "http://p1:1", "socks5://p2:2"),
			rule(t, 2, "*.bank.test", "system"),
		},
		Default: Way{Via: via(t, "http://u:secret@custom:3128")},
		Bypass:  bypass(t, "*.corp.test; .lan.test, <local> 10.0.0.0/8"),
		System:  systemOf(map[string]string{"HTTPS_PROXY": "http://env:1", "NO_PROXY": "b.bank.test"}),
	}
	asSystem, asNone, looped := corp, corp, corp
	asSystem.Default, asNone.Default = Way{Via: via(t, "system")}, Way{}
	asSystem.Rules, asNone.Rules = nil, nil
	looped.Default, looped.Rules = Way{Via: via(t, "system")}, nil
	looped.Bypass = bypass(t, "<-loopback>")
	own := asSystem
	own.System = systemOf(map[string]string{"http_proxy": "http://localhost:8484", "ALL_PROXY": "socks5://all:1"})
	broken := asSystem
	broken.System = systemOf(map[string]string{"HTTPS_PROXY": "gopher://x"})
	bare := asSystem
	bare.System = systemOf(nil)
	cgi := asSystem
	cgi.System = systemOf(map[string]string{"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"})
	schemes := Config{Default: Way{Via: via(t, "https=http://only:1")}}
	for _, c := range []struct {
		name   string
		cfg    Config
		target upstream.Target
		want   string
	}{
		{"rule before bypass", corp, target("https", "a.corp.test", 443), "rule [rule 1: *.corp.test:443] http://p1:1 socks5://p2:2"},
		{"first rule that matches", corp, target("https", "special.corp.test", 443), "rule [rule 3: special.corp.test]"},
		{"rule's port", corp, target("http", "a.corp.test", 80), "custom [bypass *.corp.test]"},
		{"rule to the system", corp, target("https", "a.bank.test", 443), "rule [rule 2: *.bank.test: HTTPS_PROXY] http://env:1"},
		{"rule to the system, exempt there", corp, target("https", "b.bank.test", 443), "rule [rule 2: *.bank.test: bypass b.bank.test]"},
		{"custom", corp, target("https", "a.test", 443), "custom [http://u@custom:3128] http://custom:3128"},
		{"custom for bytes", corp, target("tcp", "a.test", 22), "custom [http://u@custom:3128] http://custom:3128"},
		{"bypass suffix", corp, target("https", "x.lan.test", 443), "custom [bypass .lan.test]"},
		{"bypass local", corp, target("http", "intranet", 80), "custom [bypass <local>]"},
		{"bypass block", corp, target("http", "10.2.3.4", 80), "custom [bypass 10.0.0.0/8]"},
		{"system", asSystem, target("https", "a.test", 443), "system [HTTPS_PROXY] http://env:1"},
		{"system without a variable", asSystem, target("http", "a.test", 80), "direct [no variable names a proxy for http]"},
		{"system, exempt", asSystem, target("https", "x.b.bank.test", 443), "system [bypass b.bank.test]"},
		{"system, our own list", asSystem, target("https", "a.corp.test", 443), "system [bypass *.corp.test]"},
		{"system, loopback", asSystem, target("https", "api.localhost", 443), "system [bypass <local>]"},
		{"system, loopback of itself", looped, target("https", "127.0.0.1", 443), "system [HTTPS_PROXY] http://env:1"},
		{"system names eaves", own, target("http", "a.test", 80), "system [http_proxy names eaves itself and is ignored]"},
		{"all", own, target("https", "a.test", 443), "system [ALL_PROXY] socks5://all:1"},
		{"broken variable", broken, target("https", "a.test", 443), `error: route: HTTPS_PROXY: scheme "gopher": a proxy speaks http, https, socks5 (or socks5h) or socks4 (or socks4a)`},
		{"no system proxy", bare, target("https", "a.test", 443), "direct [no system proxy]"},
		{"CGI", cgi, target("http", "a.test", 80), "direct [HTTP_PROXY is not taken, since REQUEST_METHOD is set too]"},
		{"direct", asNone, target("https", "a.corp.test", 443), "direct []"},
		{"only https", schemes, target("http", "a.test", 80), "custom [no proxy given for http]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := New(c.cfg)
			for range 2 { // what is known already is the same
				if got := decide(t, d, c.target); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}
		})
	}
	noList := asSystem
	noList.Bypass = hostpattern.List{}
	if got := decide(t, New(noList), target("https", "localhost", 443)); got != "system [bypass loopback]" {
		t.Error(got)
	}
}

func TestDesktopSettings(t *testing.T) {
	cfg := Config{Default: Way{Via: via(t, "system")}, System: systemOf(nil)}
	for _, c := range []struct {
		values values
		host   string
		want   string
	}{
		{values{enable: true, server: "p:8080", override: "*.corp.test"}, "a.test", "system [Windows proxy settings] http://p:8080"},
		{values{enable: true, server: "p:8080", override: "*.corp.test"}, "x.corp.test", "system [bypass *.corp.test]"},
		{values{enable: true, server: "127.0.0.1:8484"}, "a.test", "system [Windows proxy settings name eaves itself and are ignored]"},
		{values{enable: true, server: "http=p:1"}, "a.test", "system [Windows proxy settings name no proxy for https]"},
		{values{enable: true, server: "p:8080"}, "127.0.0.1", "system [bypass loopback]"},
		{values{enable: true, server: "p:8080", override: "<-loopback>"}, "127.0.0.1", "system [Windows proxy settings] http://p:8080"},
		{values{}, "a.test", "direct [no system proxy]"},
	} {
		s := systemOf(nil)
		s.read = func(context.Context) (*settings, error) { return parseRegistry(c.values) }
		cfg.System = s
		if got := decide(t, New(cfg), target("https", c.host, 443)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.values, got, c.want)
		}
	}
	// The environment comes first.
	s := systemOf(map[string]string{"HTTPS_PROXY": "env:1"})
	s.read = func(context.Context) (*settings, error) { return nil, errors.New("not to be asked") }
	cfg.System = s
	if got := decide(t, New(cfg), target("https", "a.test", 443)); got != "system [HTTPS_PROXY] http://env:1" {
		t.Error(got)
	}
	s = systemOf(nil)
	s.read = func(context.Context) (*settings, error) { return nil, errors.New("no such thing") }
	cfg.System = s
	if got := decide(t, New(cfg), target("https", "a.test", 443)); got != "error: route: no such thing" {
		t.Error(got)
	}
}

func TestPACRoutes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.pac")
	write := func(body string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte("function FindProxyForURL(url, host) { "+body+" }"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{
		Rules:   []Rule{rule(t, 1, "*.rule.test", "pac+"+path)},
		Default: Way{Via: via(t, "pac+file://"+path)},
		Bypass:  bypass(t, "*.corp.test"),
		System:  systemOf(nil),
		Scripts: pac.NewLibrary(pac.Env{}, nil),
	}
	d := New(cfg)
	a := target("https", "a.test", 443)
	write(`return "HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; SOCKS o:1; DIRECT";`)
	text := "pac [PAC proxy.pac: HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; SOCKS4 o:1; DIRECT"
	want := text + "] https://secure:443 | " + text + ", entry 2: PROXY p1:8080] http://p1:8080 | " + text + ", entry 3: SOCKS5 s:1080] socks5://s:1080 | " +
		text + ", entry 4: SOCKS4 o:1] socks4a://o:1 | " + text + ", entry 5: DIRECT]"
	if got := decide(t, d, a); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	write(`return "PROXY p2:1; QUIC q:1";`)
	if got := decide(t, d, a); got != `pac [PAC proxy.pac: PROXY p2:1 (left out "QUIC": not DIRECT, PROXY, HTTPS, SOCKS, SOCKS4 or SOCKS5)] http://p2:1` {
		t.Error(got)
	}
	if got := decide(t, d, target("https", "x.rule.test", 443)); !strings.HasPrefix(got, "rule [rule 1: *.rule.test: PAC proxy.pac: PROXY p2:1") {
		t.Error(got)
	}
	if got := decide(t, d, target("https", "x.corp.test", 443)); got != "pac [bypass *.corp.test]" {
		t.Error(got)
	}
	write(`return "PROXY localhost:8484; PROXY p3:1";`)
	if got := decide(t, d, a); got != "pac [PAC proxy.pac: PROXY localhost:8484; PROXY p3:1 (PROXY localhost:8484 is eaves itself and left out)] http://p3:1" {
		t.Error(got)
	}
	write(`alert(url); return "PROXY p:1";`)
	secret := upstream.Target{Scheme: "https", Host: "a.test", Port: 443, URL: "https://a.test/path?token=secret"}
	if got := decide(t, d, secret); got != "pac [PAC proxy.pac: PROXY p:1 (alert: https://a.test/)] http://p:1" {
		t.Error(got)
	}
	if got := decide(t, d, upstream.Target{Scheme: "http", Host: "a.test", Port: 8080, URL: "http://a.test:8080/path?q"}); !strings.Contains(got, "alert: http://a.test:8080/path?q") {
		t.Error(got)
	}
	for body, want := range map[string]string{
		`return host.no.thing;`:     "PAC file " + path + ": line 1:54: threw TypeError",
		`return "`:                  "PAC file " + path + ": line 1:46: not JavaScript",
		`return "TELEPORT";`:        "names no way",
		`}; FindProxyForURL = 1; {`: "has no function FindProxyForURL",
	} {
		write(body)
		r, err := d.Decide(t.Context(), a)
		var e *upstream.Error
		if !errors.As(err, &e) || e.Stage != capture.StageRoute || e.Hint == "" || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %s, %v", body, say(r), err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := decide(t, d, a); !strings.Contains(got, "there is no such file") {
		t.Error(got)
	}
	// The system's PAC file.
	write(`return "PROXY p:1";`)
	s := systemOf(nil)
	s.read = func(context.Context) (*settings, error) {
		return parseRegistry(values{autoConfigURL: "file://" + path})
	}
	cfg.Default, cfg.System = Way{Via: via(t, "system")}, s
	if got := decide(t, New(cfg), a); got != "system [Windows proxy settings: PAC proxy.pac: PROXY p:1] http://p:1" {
		t.Error(got)
	}
}

func TestAlong(t *testing.T) {
	d := New(Config{Default: Way{Via: via(t, "http://default:1")}, Bypass: bypass(t, "*"), System: systemOf(map[string]string{"ALL_PROXY": "env:1"})})
	for text, want := range map[string]string{
		"direct":                "direct [asked for]",
		"system":                "custom [ALL_PROXY] http://env:1",
		"http://a:1,socks5://b": "custom [http://a:1, socks5://b:1080] http://a:1 socks5://b:1080",
	} {
		r, err := d.Along(t.Context(), Way{Via: via(t, text)}, target("https", "a.test", 443))
		if err != nil || say(r) != want {
			t.Errorf("%s: %s, %v", text, say(r), err)
		}
	}
	w := Way{Via: via(t, "http://a:1,http://bob@b:1"), Credentials: Credentials{User: "alice", Secret: "hush"}}
	r, err := d.Along(t.Context(), w, target("https", "a.test", 443))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Hops[0].Credentials.Password(t.Context()); err != nil || p != "hush" || r.Hops[0].Credentials.User != "alice" {
		t.Errorf("shown %q, %v", p, err)
	}
	if r.Hops[1].Credentials.Password != nil {
		t.Error("bob is given the password of alice")
	}
}

func TestCredentials(t *testing.T) {
	secrets := map[string]string{"vault:corp": "from vault", "env:P": "from env"}
	cfg := Config{
		Rules: []Rule{rule(t, 1, "*", "http://plain:1", "http://alice@same:1", "http://bob@other:1", "http://bob:x%20y@literal:1", "http://bob:env:P@reference:1", "http://:@kerberos:1")},
		Secret: func(_ context.Context, ref string) ([]byte, error) {
			if s, ok := secrets[ref]; ok {
				return []byte(s), nil
			}
			return nil, errors.New("no such secret")
		},
	}
	cfg.Rules[0].Way.Credentials = Credentials{User: "alice", Password: "vault:corp", Schemes: []string{"ntlm"}}
	r, err := New(cfg).Decide(t.Context(), target("https", "a.test", 443))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"alice from vault", "alice from vault", "bob -", "bob x y", "bob from env", " -"} {
		c := r.Hops[i].Credentials
		got := c.User + " -"
		if c.Password != nil {
			p, err := c.Password(t.Context())
			if err != nil {
				t.Error(err)
			}
			got = c.User + " " + p
		}
		if got != want || len(c.Schemes) != 1 || c.ID == "" {
			t.Errorf("%s: %q, want %q", r.Hops[i].Host, got, want)
		}
	}
	again, err := New(cfg).Decide(t.Context(), target("https", "b.test", 443))
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Hops {
		for j := range r.Hops {
			if same := r.Hops[i].Credentials.ID == again.Hops[j].Credentials.ID; same != (i == j || i+j == 1) {
				t.Errorf("credentials of %s and %s: same %v", r.Hops[i].Host, r.Hops[j].Host, same)
			}
		}
	}
	if r, err = New(Config{Default: Way{Via: via(t, "http://p:1")}}).Decide(t.Context(), target("https", "a.test", 443)); err != nil || r.Hops[0].Credentials != nil {
		t.Errorf("nobody's: %+v, %v", r.Hops, err)
	}
}

func TestDecidesForManyAtOnce(t *testing.T) {
	d := New(Config{Rules: []Rule{rule(t, 1, "*.a.test", "http://a:1")}, Default: Way{Via: via(t, "system")}, System: systemOf(map[string]string{"ALL_PROXY": "env:1"})})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 2 * maxKnown {
				host := strings.Repeat("x", 1+i%50) + string(rune('a'+i%26)) + ".a.test"
				if got := decide(t, d, target("https", host, 443)); got != "rule [rule 1: *.a.test] http://a:1" {
					t.Error(got)
					return
				}
			}
		})
	}
	all.Wait()
	for i := range 2 * maxKnown {
		decide(t, d, target("https", "h", 1+i))
	}
	if len(d.known) > maxKnown {
		t.Errorf("%d choices are kept", len(d.known))
	}
}

func BenchmarkDecide(b *testing.B) {
	cfg := Config{Default: Way{Via: via(b, "http://p:1")}, Bypass: bypass(b, "*.corp.test,10.0.0.0/8")}
	for i := range 100 {
		cfg.Rules = append(cfg.Rules, rule(b, int64(i), strings.Repeat("x", i+1)+".test", "direct"))
	}
	d := New(cfg)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decide(context.Background(), target("https", "a.example", 443)); err != nil {
			b.Fatal(err)
		}
	}
}
