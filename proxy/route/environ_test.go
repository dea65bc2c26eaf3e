package route

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http/httpproxy"

	"eaves/capture/hostpattern"
)

// lookupIn is an environment.
func lookupIn(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

// TestNoProxyIsHTTPProxys holds NO_PROXY against golang.org/x/net/http/httpproxy.
func TestNoProxyIsHTTPProxys(t *testing.T) {
	lists := []string{
		"", "*", "example.com", ".example.com", "*.example.com", "EXAMPLE.com", "example.com:8080", ".example.com:443", "10.0.0.0/8", "10.1.2.3", "10.1.2.3:80",
		"2001:db8::/32", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::1", "a.test, example.com ,b.test", "a.test;example.com", "http://example.com", "example.com.",
		":80", "host", "bücher.test", ".", "192.168.*", "*ample.com", "10.0.0.0/99", "example.com:x", "", ",,",
	}
	hosts := []string{
		"example.com", "www.example.com", "a.b.example.com", "notexample.com", "Example.COM", "10.1.2.3", "11.1.2.3", "[2001:db8::1]", "[2001:db9::1]",
		"a.test", "b.test", "host", "xn--bcher-kva.test", "192.168.1.1", "[::ffff:10.1.2.3]",
	}
	for _, list := range lists {
		for _, host := range hosts {
			for _, port := range []string{"", ":8080"} {
				for _, scheme := range []string{"http", "https"} {
					same(t, list, scheme, host+port)
				}
			}
		}
	}
}

// same holds one decision against httpproxy's.
func same(t *testing.T, list, scheme, authority string) {
	t.Helper()
	u, err := url.Parse(scheme + "://" + authority + "/")
	if err != nil {
		return
	}
	host := u.Hostname()
	if hostpattern.IsLoopback(host) || host == "" || strings.HasSuffix(host, ".") || hostpattern.Normalize(host) != strings.ToLower(host) && net.ParseIP(host) == nil {
		return // these are not decided by the list, or not asked for in that form
	}
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); strings.HasPrefix(entry, "[") && strings.HasSuffix(entry, "]") {
			return // an address in brackets without a port, which curl takes and httpproxy does not
		}
	}
	proxy, err := (&httpproxy.Config{HTTPProxy: "http://p:1", HTTPSProxy: "http://p:1", NoProxy: list}).ProxyFunc()(u)
	if err != nil {
		return
	}
	port := map[string]int{"http": 80, "https": 443}[scheme]
	if p := u.Port(); p != "" {
		var ok bool
		if port, ok = map[string]int{"8080": 8080, "443": 443, "80": 80}[p]; !ok {
			return
		}
	}
	entry, ok := exempted(readNoProxy(list), hostpattern.Normalize(host), port)
	if ok != (proxy == nil) {
		t.Errorf("NO_PROXY=%s, %s: exempt %v by %q, httpproxy says %v", list, u, ok, entry, proxy == nil)
	}
	if ok && !strings.Contains(list, entry) {
		t.Errorf("NO_PROXY=%s, %s: the entry is called %q", list, u, entry)
	}
}

func TestNoProxyTakesBrackets(t *testing.T) {
	if entry, ok := exempted(readNoProxy("[2001:db8::1]"), "2001:db8::1", 443); !ok || entry != "[2001:db8::1]" {
		t.Errorf("%q, %v", entry, ok)
	}
}

func FuzzNoProxy(f *testing.F) {
	f.Add("example.com,.b.test,10.0.0.0/8,[::1]:80", "www.example.com")
	f.Add("*.a:443", "b.a:8080")
	f.Fuzz(func(t *testing.T, list, authority string) {
		same(t, list, "http", authority)
		same(t, list, "https", authority)
	})
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		env          map[string]string
		scheme, want string
	}{
		{map[string]string{"HTTP_PROXY": "http://a:1"}, "http", "HTTP_PROXY http://a:1"},
		{map[string]string{"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:1"}, "http", "http_proxy http://b:1"},
		{map[string]string{"HTTP_PROXY": "http://a:1", "http_proxy": ""}, "http", "HTTP_PROXY http://a:1"},
		{map[string]string{"HTTP_PROXY": "http://a:1"}, "https", ""},
		{map[string]string{"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http", ""},
		{map[string]string{"http_proxy": "http://a:1", "REQUEST_METHOD": "GET"}, "http", "http_proxy http://a:1"},
		{map[string]string{"HTTPS_PROXY": "a:1"}, "https", "HTTPS_PROXY http://a:1"},
		{map[string]string{"HTTPS_PROXY": "a:1"}, "tcp", "HTTPS_PROXY http://a:1"},
		{map[string]string{"all_proxy": "socks5h://s", "https_proxy": "b:1"}, "http", "all_proxy socks5://s:1080"},
		{map[string]string{"all_proxy": "socks5h://s", "https_proxy": "b:1"}, "https", "https_proxy http://b:1"},
	} {
		e := readEnvironment(lookupIn(c.env))
		got := ""
		if v := e.proxy(c.scheme); v != nil {
			got = v.name + " " + v.proxy.String()
		}
		if got != c.want {
			t.Errorf("%v, %s: %q, want %q", c.env, c.scheme, got, c.want)
		}
	}
	// A password in the environment is never a command to run.
	if e := readEnvironment(lookupIn(map[string]string{"HTTP_PROXY": "http://u:cmd:reboot@p"})); e.http.proxy.Reference || e.http.proxy.Password != "cmd:reboot" {
		t.Errorf("%+v", e.http.proxy)
	}
}
