package pac

import (
	"testing"
	"time"
)

// TestFunctions holds the standard functions against what Mozilla's and Chromium's do, examples of their documentation
// among them.
func TestFunctions(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{`isPlainHostName("www")`, "true"},
		{`isPlainHostName("www.mozilla.org")`, "false"},
		{`isPlainHostName("::1")`, "false"},
		{`isPlainHostName("")`, "true"},
		{`dnsDomainIs("www.mozilla.org", ".mozilla.org")`, "true"},
		{`dnsDomainIs("www", ".mozilla.org")`, "false"},
		{`dnsDomainIs("mozilla.org", ".mozilla.org")`, "false"},
		{`dnsDomainIs("notmozilla.org", "mozilla.org")`, "true"}, // a suffix of the text, as there
		{`localHostOrDomainIs("www.mozilla.org", "www.mozilla.org")`, "true"},
		{`localHostOrDomainIs("www", "www.mozilla.org")`, "true"},
		{`localHostOrDomainIs("www.google.com", "www.mozilla.org")`, "false"},
		{`localHostOrDomainIs("home.mozilla.org", "www.mozilla.org")`, "false"},
		{`localHostOrDomainIs("ww", "www.mozilla.org")`, "false"},
		{`isResolvable("ten.test")`, "true"},
		{`isResolvable("none.test")`, "false"},
		{`isResolvable("six.test")`, "false"},
		{`isResolvable("")`, "false"},
		{`isResolvableEx("six.test")`, "true"},
		{`dnsResolve("ten.test")`, "10.1.2.3"},
		{`dnsResolve("TEN.test")`, "10.1.2.3"},
		{`dnsResolve("10.9.8.7")`, "10.9.8.7"},
		{`dnsResolve("both.test")`, "192.0.2.7"},
		{`dnsResolve("none.test")`, "null"},
		{`dnsResolve("2001:db8::1")`, "null"},
		{`dnsResolveEx("both.test")`, "2001:db8::7;192.0.2.7"},
		{`dnsResolveEx("none.test") === ""`, "true"},
		{`isInNet("10.1.2.3", "10.0.0.0", "255.0.0.0")`, "true"},
		{`isInNet("11.1.2.3", "10.0.0.0", "255.0.0.0")`, "false"},
		{`isInNet("ten.test", "10.1.0.0", "255.255.0.0")`, "true"},
		{`isInNet("none.test", "0.0.0.0", "0.0.0.0")`, "false"},
		{`isInNet("198.95.249.79", "198.95.249.79", "255.255.255.255")`, "true"},
		{`isInNet("198.95.249.80", "198.95.249.79", "255.255.255.255")`, "false"},
		{`isInNet("198.95.6.8", "198.95.0.0", "255.255.0.0")`, "true"},
		{`isInNet("200.1.2.3", "200.9.2.0", "255.0.255.0")`, "true"}, // a mask with holes
		{`isInNet("10.1.2.3", "10.0.0.0", "8")`, "false"},
		{`isInNet("10.1.2.3", "10.0.0.300", "255.0.0.0")`, "false"},
		{`isInNet("2001:db8::1", "0.0.0.0", "0.0.0.0")`, "false"},
		{`isInNetEx("10.1.2.3", "10.0.0.0/8")`, "true"},
		{`isInNetEx("2001:db8::5", "2001:db8::/32")`, "true"},
		{`isInNetEx("2001:db9::5", "2001:db8::/32")`, "false"},
		{`isInNetEx("ten.test", "10.0.0.0/8")`, "false"},
		{`isInNetEx("10.1.2.3", "10.0.0.0")`, "false"},
		{`dnsDomainLevels("www")`, "0"},
		{`dnsDomainLevels("mozilla.org")`, "1"},
		{`dnsDomainLevels("www.mozilla.org")`, "2"},
		{`convert_addr("104.16.41.2")`, "1745889538"},
		{`convert_addr("200.0.0.0")`, "-939524096"},
		{`shExpMatch("http://home.netscape.com/people/ari/index.html", "*/ari/*")`, "true"},
		{`shExpMatch("http://home.netscape.com/people/montulli/index.html", "*/ari/*")`, "false"},
		{`shExpMatch("abc", "a?c")`, "true"},
		{`shExpMatch("ac", "a?c")`, "false"},
		{`shExpMatch("a.c", "a.c") + "," + shExpMatch("abc", "a.c")`, "true,false"},
		{`shExpMatch("abcabd", "*ab?")`, "true"},
		{`shExpMatch("x", "**x*")`, "true"},
		{`shExpMatch("", "*") + "," + shExpMatch("", "?")`, "true,false"},
		{`shExpMatch("a.corp.test", "(*.corp.test|*.lab.test)")`, "true"}, // a regexp in effect
		{`shExpMatch("b1.test", "b[0-9].test")`, "true"},
		{`shExpMatch("bx.test", "b[0-9].test")`, "false"},
		{`(function () { try { return shExpMatch("a", "(") } catch (e) { return e.name } })()`, "SyntaxError"},
		{`myIpAddress()`, "192.0.2.99"},
		{`myIpAddressEx()`, "2001:db8::99;192.0.2.99"},
		{`sortIpAddressList("10.2.3.9;2001:4898:28:3:201:2ff:feea:fc14;::1;127.0.0.1;::9")`, "::1;::9;2001:4898:28:3:201:2ff:feea:fc14;10.2.3.9;127.0.0.1"},
		{`sortIpAddressList("10.2.3.9;x")`, "false"},
		{`getClientVersion()`, "1.0"},
		{`typeof alert`, "function"},
		{`[typeof XMLHttpRequest, typeof require, typeof process, typeof fetch, typeof console].join()`, "undefined,undefined,undefined,undefined,undefined"},
	} {
		if got := value(t, testEnv(), c.expression); got != c.want {
			t.Errorf("%s: %s, want %s", c.expression, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	east := time.FixedZone("", 2*3600)
	wednesday := time.Date(2026, time.March, 4, 13, 30, 15, 0, east)
	night := time.Date(2026, time.March, 1, 0, 30, 0, 0, east) // in GMT it is 22:30 of Saturday, 28 February
	christmas := time.Date(2026, time.December, 24, 12, 0, 0, 0, east)
	july := time.Date(2026, time.July, 1, 12, 0, 0, 0, east)
	for _, c := range []struct {
		now        time.Time
		expression string
		want       string
	}{
		{wednesday, `weekdayRange("WED")`, "true"},
		{wednesday, `weekdayRange("THU")`, "false"},
		{wednesday, `weekdayRange("MON", "FRI")`, "true"},
		{wednesday, `weekdayRange("THU", "TUE")`, "false"},
		{wednesday, `weekdayRange("SAT", "WED")`, "true"}, // round the end of the week
		{wednesday, `weekdayRange("wed")`, "false"},
		{wednesday, `weekdayRange("XXX", "WED")`, "false"},
		{wednesday, `weekdayRange()`, "false"},
		{night, `weekdayRange("SUN")`, "true"},
		{night, `weekdayRange("SAT", "GMT")`, "true"},
		{night, `weekdayRange("SUN", "MON", "GMT")`, "false"},

		{wednesday, `dateRange(4)`, "true"},
		{wednesday, `dateRange(5)`, "false"},
		{wednesday, `dateRange("4")`, "true"},
		{wednesday, `dateRange(1, 15)`, "true"},
		{wednesday, `dateRange(5, 15)`, "false"},
		{wednesday, `dateRange("MAR")`, "true"},
		{wednesday, `dateRange("JAN", "MAR")`, "true"},
		{wednesday, `dateRange("NOV", "FEB")`, "false"},
		{wednesday, `dateRange("NOV", "MAR")`, "true"},
		{wednesday, `dateRange(2026)`, "true"},
		{wednesday, `dateRange(1995, 1997)`, "false"},
		{wednesday, `dateRange(2025, 2027)`, "true"},
		{wednesday, `dateRange(1, "JUN", 15, "AUG")`, "false"},
		{wednesday, `dateRange(1, "MAR", 4, "MAR")`, "true"},
		{wednesday, `dateRange("OCT", 2025, "MAR", 2026)`, "true"},
		{wednesday, `dateRange(1, "JUN", 1995, 15, "AUG", 2026)`, "true"},
		{wednesday, `dateRange(5, "MAR", 2026, 15, "AUG", 2026)`, "false"},
		{wednesday, `dateRange()`, "false"},
		{wednesday, `dateRange("FOO")`, "false"},
		{wednesday, `dateRange(1, "JAN", 3)`, "false"},
		{wednesday, `dateRange(1, "APR")`, "false"},
		{night, `dateRange(28, "GMT")`, "true"},
		{night, `dateRange("FEB", "GMT")`, "true"},
		{night, `dateRange("FEB")`, "false"},
		{christmas, `dateRange(24, "DEC", 6, "JAN")`, "true"},
		{wednesday, `dateRange(24, "DEC", 6, "JAN")`, "false"},
		{july, `dateRange("JAN", "JUN")`, "false"},

		{wednesday, `timeRange(13)`, "true"},
		{wednesday, `timeRange(12)`, "false"},
		{wednesday, `timeRange(12, 13)`, "true"}, // the second hour is within
		{wednesday, `timeRange(14, 18)`, "false"},
		{wednesday, `timeRange("9", "17")`, "true"},
		{night, `timeRange(22, 6)`, "false"}, // there, hours alone do not go round midnight
		{wednesday, `timeRange(8, 30, 13, 30)`, "true"},
		{wednesday, `timeRange(8, 30, 13, 29)`, "false"},
		{night, `timeRange(22, 0, 6, 0)`, "true"},
		{wednesday, `timeRange(22, 0, 6, 0)`, "false"},
		{wednesday, `timeRange(13, 30, 15, 13, 30, 15)`, "true"},
		{wednesday, `timeRange(13, 30, 16, 14, 0, 0)`, "false"},
		{wednesday, `timeRange(11, "GMT")`, "true"},
		{night, `timeRange(0, 0, 0, 0, 0, 30, "GMT")`, "false"},
		{wednesday, `timeRange()`, "false"},
		{wednesday, `(function () { try { return timeRange(1, 2, 3) } catch (e) { return e.name } })()`, "TypeError"},
		{wednesday, `new Date().getTime()`, "1772623815000"},
	} {
		env := testEnv()
		env.Now = func() time.Time { return c.now }
		if got := value(t, env, c.expression); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.now, c.expression, got, c.want)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	if list := addresses(); len(list) == 0 || list[0].IsUnspecified() {
		t.Errorf("this machine has the addresses %v", list)
	}
}
