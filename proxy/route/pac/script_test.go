package pac

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// names is a resolver with fixed answers; a name it does not know is not found, and the name "slow" waits for the end.
type names map[string][]string

func (n names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == "slow" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var found []netip.Addr
	for _, s := range n[host] {
		if a := netip.MustParseAddr(s); network == "ip" || a.Is4() {
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no such host")
	}
	return found, nil
}

func testEnv() Env {
	return Env{
		Resolver: names{"ten.test": {"10.1.2.3"}, "both.test": {"2001:db8::7", "192.0.2.7"}, "six.test": {"2001:db8::6"}},
		Addresses: func() []netip.Addr {
			return []netip.Addr{netip.MustParseAddr("2001:db8::99"), netip.MustParseAddr("192.0.2.99")}
		},
		Now: func() time.Time { return time.Date(2026, time.March, 4, 13, 30, 15, 0, time.FixedZone("", 2*3600)) }, // a Wednesday
	}
}

func compile(t *testing.T, source string) *Script {
	t.Helper()
	s, err := Compile("proxy.pac", []byte(source), testEnv())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t *testing.T, s *Script, address, host string) *Answer {
	t.Helper()
	a, err := s.Find(t.Context(), address, host)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// value is what an expression comes to within a script.
func value(t *testing.T, env Env, expression string) string {
	t.Helper()
	s, err := Compile("proxy.pac", []byte(`function FindProxyForURL(url, host) { alert(String(`+expression+`)); return "DIRECT"; }`), env)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	a, err := s.Find(t.Context(), "http://www.example.test/x", "www.example.test")
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return strings.TrimPrefix(a.Notes[len(a.Notes)-1], "alert: ")
}

func TestFind(t *testing.T) {
	s := compile(t, `
		// A file as they are written.
		var direct = ["intranet.test", "wiki.test"];
		function FindProxyForURL(url, host) {
			if (isPlainHostName(host) || dnsDomainIs(host, ".corp.test")) return "DIRECT";
			if (isInNet(host, "10.0.0.0", "255.0.0.0")) return "PROXY ten:3128";
			for (var i = 0; i < direct.length; i++) if (localHostOrDomainIs(host, direct[i])) return "DIRECT";
			if (url.substring(0, 6) === "https:") return "HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; DIRECT";
			return "PROXY p1:8080; PROXY p2:8080";
		}`)
	for _, c := range []struct{ address, host, want string }{
		{"http://intranet/", "intranet", "DIRECT"},
		{"http://a.corp.test/", "a.corp.test", "DIRECT"},
		{"http://ten.test/", "ten.test", "PROXY ten:3128"},
		{"http://10.9.9.9/", "10.9.9.9", "PROXY ten:3128"},
		{"http://wiki.test/", "wiki.test", "DIRECT"},
		{"https://a.test/", "a.test", "HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; DIRECT"},
		{"http://a.test/", "a.test", "PROXY p1:8080; PROXY p2:8080"},
	} {
		a := find(t, s, c.address, c.host)
		var got []string
		for _, e := range a.Entries {
			got = append(got, e.String())
		}
		if strings.Join(got, "; ") != c.want || len(a.Notes) > 0 || !a.Steady {
			t.Errorf("%s: %q, notes %q, steady %v", c.address, got, a.Notes, a.Steady)
		}
	}
}

func TestScriptsCannotMuchAndSayWhere(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"syntax", "function FindProxyForURL(url, host) {\n  return \"PROXY ;\n}", "proxy.pac: line 2:10: not JavaScript"},
		{"html", "<!DOCTYPE html>\n<html><body>Sign in", "proxy.pac: line 1:1: this is an HTML page"},
		{"empty", " \n", "proxy.pac: the file is empty"},
		{"no function", "function f() {}", "proxy.pac: has no function FindProxyForURL(url, host)"},
		{"throws at once", "\nthrow new Error('no')", "proxy.pac: line 2:7: threw Error: no"},
		{"throws", "function FindProxyForURL(url, host) {\n  return host.foo.bar;\n}", "proxy.pac: line 2:19: threw TypeError"},
		{"throws a thing", "function FindProxyForURL() { throw {toString: function () { throw 1 }} }", "threw something"},
		{"recursion", "function FindProxyForURL(url, host) { return FindProxyForURL(url, host); }", "its calls go deeper than 500"},
		{"a number", "function FindProxyForURL() { return 7; }", "returned int64, not a text"},
		{"nonsense", `function FindProxyForURL() { return "TELEPORT a:1; PROXY"; }`, `returned "TELEPORT a:1; PROXY", which names no way: left out "TELEPORT"`},
		{"long", `function FindProxyForURL() { return "x".repeat(20000); }`, "a text of 20000 bytes"},
		{"eval", `function FindProxyForURL() { return eval("'DIRECT'"); }`, "cannot make code from text"},
		{"Function", `function FindProxyForURL() { return new Function("return 'DIRECT'")(); }`, "cannot make code from text"},
		{"constructor", `function FindProxyForURL() { return (function* () {}).constructor("yield 'DIRECT'")().next().value; }`, "cannot make code from text"},
		{"repeat", `function FindProxyForURL() { return "x".repeat(1e9); }`, "RangeError: repeat would make too much"},
		{"join", `function FindProxyForURL() { return new Array(1e9).join("x"); }`, "RangeError: join would make too much"},
		{"apply", `function FindProxyForURL() { return Math.max.apply(null, {length: 1e9}); }`, "RangeError: apply would make too much"},
		{"buffer", `function FindProxyForURL() { return new ArrayBuffer(1e10); }`, "ArrayBuffer is not defined"},
		{"deep", "x = " + strings.Repeat("(", 200_000), "opens 200000 brackets"},
		{"large", strings.Repeat("//\n", MaxSize/3+1), "larger than 1024 KiB"},
		{"source map", "//# sourceMappingURL=/nowhere/at/all.map\nthrow 1", "line 2:1: threw 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Compile("proxy.pac", []byte(c.source), testEnv())
			if err == nil {
				_, err = s.Find(t.Context(), "http://a.test/", "a.test")
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestTimeLimits(t *testing.T) {
	env := testEnv()
	env.Limit, env.Lookup, env.Lookups = 60*time.Millisecond, 50*time.Millisecond, 120*time.Millisecond
	at := func(source string) (*Answer, error) {
		s, err := Compile("proxy.pac", []byte(source), env)
		if err != nil {
			return nil, err
		}
		return s.Find(t.Context(), "http://a.test/", "a.test")
	}
	for _, source := range []string{
		`function FindProxyForURL() { while (true) {} }`,
		`while (true) {}`,
		`function FindProxyForURL() { try { while (true) {} } catch (e) { return "DIRECT" } finally { return "DIRECT" } }`,
		// A built-in function that nothing can stop: whoever asks has the error all the same.
		`function FindProxyForURL() { return [].concat(Array.from({length: 4e6}).map(function (x, i) { return i % 7 })).sort().length ? "DIRECT" : ""; }`,
	} {
		if _, err := at(source); err == nil || !strings.Contains(err.Error(), "ran longer than 60ms") {
			t.Errorf("%s: %v", source, err)
		}
	}
	env.Limit = time.Minute
	// DNS is not the script's own time, has bounds of its own, and what could not be found is no error.
	a, err := at(`function FindProxyForURL() { for (var i = 0; i < 4; i++) isResolvable("slow"); return dnsResolve("slow") === null ? "PROXY p:1" : "DIRECT"; }`)
	if err != nil || a.Text != "PROXY p:1" || a.Steady || !strings.Contains(strings.Join(a.Notes, " "), "no answer about slow in time") {
		t.Errorf("slow DNS: %+v, %v", a, err)
	}
}

func TestMemoryIsWatched(t *testing.T) {
	env := testEnv()
	env.Limit = time.Minute
	s, err := Compile("proxy.pac", []byte(`function FindProxyForURL() { var all = []; var big = "x".repeat(1 << 20); while (true) all.push(big + all.length); }`), env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), "http://a.test/", "a.test"); err == nil || !strings.Contains(err.Error(), "used more than 256 MiB of memory") {
		t.Errorf("got %v", err)
	}
	// The next call has a runtime of its own.
	if _, err := s.Find(t.Context(), "http://a.test/", "a.test"); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("then %v", err)
	}
}

func TestCancelled(t *testing.T) {
	env := testEnv()
	env.Limit = time.Minute
	s, err := Compile("proxy.pac", []byte(`function FindProxyForURL(url, host) { if (host == "loop") while (true) {} return "DIRECT"; }`), env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("gone")
	cancel(why)
	for range 2 * workers { // each has given its place back
		if _, err := s.Find(ctx, "http://loop/", "loop"); !errors.Is(err, why) {
			t.Fatalf("got %v", err)
		}
	}
	if a := find(t, s, "http://a.test/", "a.test"); a.Text != "DIRECT" {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := compile(t, `var calls = 0; function FindProxyForURL(url, host) { calls++; return "PROXY " + host + ":1"; }`)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			host := string(rune('a'+i%26)) + ".test"
			for range 20 {
				if a, err := s.Find(t.Context(), "http://"+host+"/", host); err != nil || a.Text != "PROXY "+host+":1" {
					t.Errorf("%s: %+v, %v", host, a, err)
				}
			}
		})
	}
	all.Wait()
}

func TestWhatIsReturned(t *testing.T) {
	for _, c := range []struct{ returned, entry, note string }{
		{`undefined`, "DIRECT", "returned nothing"},
		{`null`, "DIRECT", "returned nothing"},
		{`""`, "DIRECT", ""},
		{`new Date() > 0 && Math.random() < 2 ? "PROXY p:1" : "DIRECT"`, "PROXY p:1", ""},
	} {
		a := find(t, compile(t, `function FindProxyForURL() { return `+c.returned+` }`), "http://a.test/", "a.test")
		if a.Entries[0].String() != c.entry || !strings.Contains(strings.Join(a.Notes, ";"), c.note) {
			t.Errorf("%s: %+v", c.returned, a)
		}
		if a.Steady == strings.Contains(c.returned, "Date") {
			t.Errorf("%s: steady %v", c.returned, a.Steady)
		}
	}
	a := find(t, compile(t, `function FindProxyForURL() { for (var i = 0; i < 100; i++) alert("x".repeat(1000)); return "DIRECT" }`), "http://a.test/", "a.test")
	if len(a.Notes) != maxNotes || len(a.Notes[0]) > 2*maxNote {
		t.Errorf("%d notes, the first of %d bytes", len(a.Notes), len(a.Notes[0]))
	}
	a = find(t, compile(t, `function FindProxyForURLEx(url, host) { return "PROXY ex:1"; }`), "http://a.test/", "a.test")
	if a.Text != "PROXY ex:1" {
		t.Errorf("FindProxyForURLEx alone: %+v", a)
	}
	a = find(t, compile(t, "\ufeff"+`const p = {a: 1}; function FindProxyForURL(url, host) { let [x] = ["p"]; return `+"`PROXY ${x}:${p?.a ?? 2}`"+`; }`), "http://a.test/", "a.test")
	if a.Text != "PROXY p:1" {
		t.Errorf("modern JavaScript: %+v", a)
	}
	a = find(t, compile(t, "// caf\xe9\nfunction FindProxyForURL() { return 'PROXY p:1' }"), "http://a.test/", "a.test")
	if a.Text != "PROXY p:1" {
		t.Errorf("Latin-1: %+v", a)
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct{ scheme, authority, url, want string }{
		{"http", "a.test", "http://user:pw@a.test/p?q=1#f", "http://a.test/p?q=1"},
		{"http", "a.test:8080", "http://a.test:8080?q", "http://a.test:8080/?q"},
		{"http", "a.test", "", "http://a.test/"},
		{"https", "a.test", "https://a.test/secret?token=1", "https://a.test/"},
		{"https", "a.test:8443", "", "https://a.test:8443/"},
		{"tcp", "a.test:22", "", "https://a.test:22/"},
	} {
		if got := Address(c.scheme, c.authority, c.url); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.scheme, c.url, got, c.want)
		}
	}
}
