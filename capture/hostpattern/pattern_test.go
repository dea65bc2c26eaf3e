package hostpattern

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		port          int
		want          bool
	}{
		{"api.bank.test", "api.bank.test", 1, true},
		{"api.bank.test", "API.Bank.Test.", 1, true},
		{"API.Bank.Test.", "api.bank.test", 1, true},
		{"api.bank.test", "evil-api.bank.test", 1, false},
		{"api.bank.test", "api.bank.test.evil.test", 1, false},
		{"*.bank.test", "api.bank.test", 1, true},
		{"*.bank.test", "a.b.bank.test", 1, true},
		{"*.bank.test", "bank.test", 1, false},
		{"*.bank.test", "notbank.test", 1, false},
		{"*.bank.test", ".bank.test", 1, false},
		{"*.bank.test", "evil.test/?x=.bank.test", 1, false},
		{"*.bank.test", "evil.test#.bank.test", 1, false},
		{"*.bank.test", "evil.test\\.bank.test", 1, false},
		{"*.bank.test", "x@.bank.test", 1, false},
		{"*", "anything", 1, true},
		{"*:443", "anything", 443, true},
		{"*:443", "anything", 80, false},
		{"*", "", 1, false},
		{"host:8443", "host", 8443, true},
		{"host:8443", "host", 443, false},
		{"host:*", "host", 443, true},
		{"192.0.2.7", "192.0.2.7", 1, true},
		{"192.0.2.7", "::ffff:192.0.2.7", 1, true},
		{"192.0.2.0/24", "192.0.2.255", 1, true},
		{"192.0.2.0/24", "192.0.3.0", 1, false},
		{"192.0.2.0/24", "192.0.2.1.evil.test", 1, false},
		{"192.0.2.0/24:443", "192.0.2.1", 443, true},
		{"192.0.2.0/24:443", "192.0.2.1", 80, false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", 1, true},
		{"[2001:db8::1]:443", "[2001:DB8:0::1]", 443, true},
		{"2001:db8::1", "2001:db8::1", 1, true},
		{"[2001:db8::/32]:443", "2001:db8:9::1", 443, true},
		{"2001:db8::/32", "2001:db9::1", 1, false},
		{"bücher.test", "xn--bcher-kva.test", 1, true},
		{"*.bücher.test", "www.BÜCHER.test", 1, true},
		{"a_b.test", "a_b.test", 1, true},
		{"a.test", "[[a.test.].]", 1, true},
	} {
		p, err := Parse(c.pattern)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.pattern, err)
			continue
		}
		if got := p.Match(c.host, c.port); got != c.want {
			t.Errorf("%q matches %q at %d: got %v", c.pattern, c.host, c.port, got)
		}
	}
	if (Pattern{}).Match("host", 0) {
		t.Error("the zero pattern matches nothing")
	}
}

func TestMatchDefault(t *testing.T) {
	for _, c := range []struct {
		pattern string
		port    int
		want    bool
	}{{"h", 443, true}, {"h", 8443, false}, {"h:8443", 8443, true}, {"h:8443", 443, false}, {"h:*", 8443, true}} {
		p, err := Parse(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.MatchDefault("h", c.port, 443); got != c.want {
			t.Errorf("%s at %d: got %v", c.pattern, c.port, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", " ", "a b", "http://a.test/", "a.*.test", "*a.test", "a..test", ".a.test", "[::1", "[a.test]", "[::1]443",
		"a:0", "a:65536", "a:+1", "a:x", "a:", "10.0.0.300", "*.0.0.1", "10.0.0.0/33", "fe80::1%eth0", strings.Repeat("a", 64), "a/b", "*.", "**", "a\x00b"} {
		if p, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) gave %q", s, p)
		}
	}
}

func TestSpecificityOrders(t *testing.T) {
	order := []string{"a.b.test:443", "a.b.test", "a.b.test:*", "*.a.b.test", "*.b.test:443", "*.b.test", "*.test", "10.1.0.0/16", "10.0.0.0/8", "*:443", "*", "*:*"}
	for i := 1; i < len(order); i++ {
		a, err := Parse(order[i-1])
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(order[i])
		if err != nil {
			t.Fatal(err)
		}
		if a.Specificity() <= b.Specificity() {
			t.Errorf("%s (%d) should come before %s (%d)", a, a.Specificity(), b, b.Specificity())
		}
	}
}

func TestList(t *testing.T) {
	for _, c := range []struct {
		list, host, entry string
		port              int
	}{
		{"a.test, .corp.test;*.b.test", "x.corp.test", ".corp.test", 1},
		{".corp.test", "corp.test", "", 1},
		{"a.test .corp.test", "A.test.", "a.test", 1},
		{"<local>", "intranet", "<local>", 1},
		{"<local>", "127.0.0.1", "<local>", 1},
		{"<local>", "[::1]", "<local>", 1},
		{"<local>", "x.localhost", "<local>", 1},
		{"<local>", "a.test", "", 1},
		{"<local>", "2001:db8::1", "", 1},
		{"<local>,<-loopback>", "127.0.0.1", "", 1},
		{"<local>,<-loopback>", "intranet", "<local>", 1},
		{"<-loopback>,localhost", "localhost", "localhost", 1},
		{"192.168.*;10.*:8080", "192.168.7.7", "192.168.*", 1},
		{"192.168.*;10.*:8080", "10.9.9.9", "10.*:8080", 8080},
		{"192.168.*;10.*:8080", "10.9.9.9", "", 80},
		{"192.168.*.*", "192.168.1.1", "192.168.*.*", 80},
		{"*corp.test", "corp.test", "*corp.test", 80},
		{"*corp.test", "xcorp.test", "*corp.test", 80},
		{"*corp.test", "corp.test.evil.test", "", 80},
		{"api*.corp.test;*-dev.*:8080", "API2.corp.test", "api*.corp.test", 80},
		{"api*.corp.test;*-dev.*:8080", "a-dev.test", "*-dev.*:8080", 8080},
		{"api*.corp.test;*-dev.*:8080", "a-dev.test", "", 80},
		{"a*b*c.test", "axbxc.test", "a*b*c.test", 80},
		{"a*b*c.test", "axc.test", "", 80},
		{"a*ab.test", "ab.test", "", 80},
		{"", "a.test", "", 1},
	} {
		l, err := ParseList(c.list)
		if err != nil {
			t.Errorf("ParseList(%q): %v", c.list, err)
			continue
		}
		if entry, ok := l.Match(c.host, c.port); entry != c.entry || ok != (c.entry != "") {
			t.Errorf("%q with %q: got %q", c.list, c.host, entry)
		}
	}
	for _, s := range []string{"<lokal>", "a..b", "192.*.1", "*a..b", "*/x", "http://*a", "a*:x"} {
		if _, err := ParseList(s); err == nil {
			t.Errorf("ParseList(%q) gave no error", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a.test", "*.a.test:443", "[::1]:*", "10.0.0.0/8", "*", "bücher.test", "::ffff:10.0.0.0/104"} {
		f.Add(s, "a.test")
	}
	f.Fuzz(func(t *testing.T, s, host string) {
		if n := Normalize(host); Normalize(n) != n {
			t.Fatalf("normalising %q twice: %q, then %q", host, n, Normalize(n))
		}
		p, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(p.String())
		if err != nil || again != p {
			t.Fatalf("%q reads as %#v, written %q, and that as %#v (%v)", s, p, p.String(), again, err)
		}
		if p.Match(host, 443) != again.Match(host, 443) {
			t.Fatalf("%q and %q differ on %q", s, p, host)
		}
		if _, err := ParseList(s); err != nil && !strings.ContainsAny(s, ",; \t\r\n<") {
			t.Fatalf("%q is a pattern but no list: %v", s, err)
		}
	})
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		p, q string
		want bool
	}{
		{"*", "a.test", true}, {"*", "*:8443", true}, {"*:8443", "*", false}, {"a.test", "*", false},
		{"*.corp.test", "api.corp.test", true}, {"*.corp.test", "*.dev.corp.test", true}, {"*.corp.test", "*.corp.test", true},
		{"*.corp.test", "corp.test", false}, {"*.corp.test", "*.xcorp.test", false}, {"*.dev.corp.test", "*.corp.test", false}, {"api.corp.test", "*.corp.test", false},
		{"a.test", "A.test:443", true}, {"a.test:*", "a.test", true}, {"a.test", "a.test:*", true}, {"a.test:443", "a.test", false}, {"a.test:443", "a.test:443", true}, {"a.test:443", "a.test:444", false},
		{"10.0.0.0/8", "10.1.2.3", true}, {"10.0.0.0/8", "10.1.0.0/16", true}, {"10.1.0.0/16", "10.0.0.0/8", false}, {"10.0.0.0/8", "[2001:db8::1]", false}, {"10.0.0.0/8", "a.test", false},
	} {
		p, err := Parse(tt.p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse(tt.q)
		if err != nil {
			t.Fatal(err)
		}
		if p.Covers(q) != tt.want {
			t.Errorf("%s covers %s: %v", p, q, !tt.want)
		}
	}
	if a, _ := Parse("*"); a.Covers(Pattern{}) || (Pattern{}).Covers(a) {
		t.Error("the zero pattern covers, or is covered")
	}
}

// TestURLIsNoPattern: what was pasted from an address bar is told from a bad port, without what may be a password.
func TestURLIsNoPattern(t *testing.T) {
	for in, want := range map[string]string{
		"http://x": "a pattern names a host, not a URL: x", "https://h/": "not a URL: h", "https://u:hush@h:8443/p?q": "not a URL: h:8443",
	} {
		_, err := Parse(in)
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", in, err)
		}
	}
}
