package onboard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"eaves/certs"
)

// newPage makes a page for a new authority.
func newPage(t testing.TB, change ...func(*Config)) (http.Handler, *certs.CA) {
	t.Helper()
	ca, err := certs.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{CA: ca.Certificate(), Files: map[string]File{}, P12Password: certs.P12Password, ProxyAddr: func() string { return "127.0.0.1:8484" }}
	for _, format := range certs.Formats() {
		f, err := ca.Export(format)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Files[string(format)] = File(f)
	}
	for _, c := range change {
		c(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h, ca
}

func ask(t testing.TB, h http.Handler, method, url string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCertificateInEveryFormat(t *testing.T) {
	h, ca := newPage(t)
	page := body(t, ask(t, h, "GET", "http://eaves.test/"))
	for _, tc := range []struct{ path, kind, begins string }{
		{"/eaves-ca.pem", "application/x-x509-ca-cert", "-----BEGIN CERTIFICATE-----"},
		{"/eaves-ca.crt", "application/x-x509-ca-cert", "0\x82"},
		{"/eaves-ca.p12", "application/x-pkcs12", "0\x82"},
		{"/eaves-ca.mobileconfig", "application/x-apple-aspen-config", "<?xml"},
		{"/" + ca.SubjectHashOld() + ".0", "application/x-x509-ca-cert", "-----BEGIN CERTIFICATE-----"},
	} {
		r := ask(t, h, "GET", "http://eaves.test"+tc.path)
		b := body(t, r)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != tc.kind || !strings.HasPrefix(b, tc.begins) || r.ContentLength != int64(len(b)) {
			t.Errorf("%s: status %d, type %q, %.20q", tc.path, r.StatusCode, r.Header.Get("Content-Type"), b)
		}
		if strings.Contains(b, "PRIVATE") {
			t.Errorf("%s holds a key", tc.path)
		}
		if !strings.Contains(page, `href="`+tc.path+`"`) {
			t.Errorf("the page does not link %s", tc.path)
		}
		head := ask(t, h, "HEAD", "http://eaves.test"+tc.path)
		if got := body(t, head); head.StatusCode != 200 || got != "" || head.ContentLength != r.ContentLength {
			t.Errorf("HEAD %s: status %d, length %d, body %.20q", tc.path, head.StatusCode, head.ContentLength, got)
		}
	}
}

func TestEveryLinkOfThePageLeadsSomewhere(t *testing.T) {
	h, _ := newPage(t, func(c *Config) {
		c.Addresses = func() []Address { return []Address{{"wlan0", "192.168.1.5:8484"}} }
	})
	page := body(t, ask(t, h, "GET", "http://127.0.0.1:8484/"))
	for _, m := range regexp.MustCompile(`<(?:a|link|script)\s[^>]*(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		if r := ask(t, h, "GET", "http://eaves.test"+u.Path); r.StatusCode != 200 {
			t.Errorf("%s: status %d", m[1], r.StatusCode)
		}
	}
	// An empty address or a name that a template did not find shows like this.
	for _, bad := range []string{"&lt;no value&gt;", "ZgotmplZ", "http:///", "Server <strong></strong>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	h, _ := newPage(t)
	for _, path := range []string{"/api/v1/exchanges", "/index.html", "/page.html", "/page/page.html", "/../page.css", "//", "/ca.key", "/eaves-ca.pem/", "/%2e%2e/ca.key", "/check/x", "/.git/config"} {
		r := httptest.NewRequest("GET", "http://eaves.test/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		r := ask(t, h, method, "http://eaves.test/")
		if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/check", "/proxy.pac", "/page.css", "/nothing"} {
		r := ask(t, h, "GET", "http://eaves.test"+path)
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: headers %v", path, r.Header)
		}
	}
	page := body(t, ask(t, h, "GET", "http://eaves.test/"))
	if regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]`).MatchString(page) {
		t.Error("the page has something inline, which its policy forbids")
	}
}

func TestCheck(t *testing.T) {
	h, ca := newPage(t)
	for _, scheme := range []string{"http", "https"} {
		r := ask(t, h, "GET", scheme+"://eaves.test/check", "Origin", "http://192.168.1.5:8484")
		var got struct {
			Eaves  string
			Secure bool
		}
		if err := json.Unmarshal([]byte(body(t, r)), &got); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(ca.Certificate().Raw)
		if got.Eaves != hex.EncodeToString(sum[:]) || got.Secure != (scheme == "https") {
			t.Errorf("%s: %+v", scheme, got)
		}
		if r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: headers %v", scheme, r.Header)
		}
	}
	if r := ask(t, h, "GET", "http://eaves.test/"); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("other pages may read this one")
	}
}

func TestAddressIsTheOneTheVisitorReached(t *testing.T) {
	lan := func(c *Config) { c.Addresses = func() []Address { return []Address{{"wlan0", "192.168.1.5:8484"}} } }
	everywhere := func(c *Config) { c.ProxyAddr = func() string { return "[::]:8484" } }
	for _, tc := range []struct {
		name, host, local, want string
		change                  []func(*Config)
	}{
		{name: "typed address", host: "192.168.1.9:8484", want: "192.168.1.9:8484"},
		{name: "typed name", host: "mybox.local:8484", want: "mybox.local:8484"},
		{name: "typed IPv6", host: "[2001:db8::1]:8484", want: "[2001:db8::1]:8484"},
		{name: "typed without port", host: "mybox", want: "mybox:80"},
		{name: "through the proxy", host: "eaves.test", want: "127.0.0.1:8484"},
		{name: "through the proxy, upper case", host: "EAVES.TEST:80", want: "127.0.0.1:8484"},
		{name: "through the proxy, connection known", host: "eaves.test", local: "192.168.1.7:8484", want: "192.168.1.7:8484", change: []func(*Config){lan, everywhere}},
		{name: "through the proxy, all addresses", host: "eaves.test", want: "192.168.1.5:8484", change: []func(*Config){lan, everywhere}},
		{name: "through the proxy, no address", host: "eaves.test", want: "127.0.0.1:8484", change: []func(*Config){everywhere}},
		{name: "script in the name", host: `a";alert(1)//:80`, want: "127.0.0.1:8484"},
		{name: "markup in the name", host: "<script>:80", want: "127.0.0.1:8484"},
		{name: "line break", host: "a\nb:80", want: "127.0.0.1:8484"},
		{name: "bad port", host: "a:99999", want: "127.0.0.1:8484"},
		{name: "no name", host: "", want: "127.0.0.1:8484"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newPage(t, tc.change...)
			for _, path := range []string{"/proxy.pac", "/"} {
				r := httptest.NewRequest("GET", path, nil)
				r.Host = tc.host
				if tc.local != "" {
					addr, err := net.ResolveTCPAddr("tcp", tc.local)
					if err != nil {
						t.Fatal(err)
					}
					r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr))
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				want := `return "PROXY ` + tc.want + `; DIRECT";`
				if path == "/" {
					want = "http://" + tc.want + "/proxy.pac"
				}
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s does not hold %s", path, want)
				}
				if strings.Contains(w.Body.String(), "alert(1)") || strings.Contains(w.Body.String(), "<script>:80") {
					t.Errorf("%s holds what the visitor sent", path)
				}
			}
		})
	}
	h, _ := newPage(t)
	if got := ask(t, h, "GET", "http://eaves.test/proxy.pac").Header.Get("Content-Type"); got != "application/x-ns-proxy-autoconfig" {
		t.Errorf("PAC file of type %q", got)
	}
}

func TestDevicesGetAnAddressTheyCanReach(t *testing.T) {
	h, _ := newPage(t, func(c *Config) { c.Addresses = func() []Address { return []Address{{"wlan0", "192.168.1.5:8484"}} } })
	page := body(t, ask(t, h, "GET", "http://127.0.0.1:8484/"))
	if !strings.Contains(section(t, page, "ios"), "<strong>192.168.1.5</strong>") || !strings.Contains(section(t, page, "linux"), "<strong>127.0.0.1</strong>") {
		t.Error("a phone is told this machine's loopback address, or this machine is not")
	}
	h, _ = newPage(t)
	page = body(t, ask(t, h, "GET", "http://127.0.0.1:8484/"))
	if !strings.Contains(section(t, page, "android"), "eaves run --lan") {
		t.Error("a phone that cannot reach the proxy is not told so")
	}
}

func section(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<details id="`+id+`"`)
	if !ok {
		t.Fatalf("no section %s", id)
	}
	s, _, _ := strings.Cut(rest, "</details>")
	return s
}

func TestVisitorsPlatformComesFirst(t *testing.T) {
	h, _ := newPage(t)
	for agent, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1": "ios",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/130.0 Mobile/15E148 Safari/605.1":  "ios",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                   "android",
		"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0":                                                                    "android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":           "windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                        "firefox windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                   "macos",
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                                  "firefox linux",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                   "linux",
		"Mozilla/5.0 (X11; CrOS x86_64 16033.51.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                         "chromeos",
		"curl/8.9.1":                          "ios",
		"":                                    "ios",
		"<script>alert(1)</script>Windows\"'": "windows",
	} {
		page := body(t, ask(t, h, "GET", "http://eaves.test/", "User-Agent", agent))
		var order []string
		for _, m := range regexp.MustCompile(`<details id="([a-z]+)"`).FindAllStringSubmatch(page, -1) {
			order = append(order, m[1])
		}
		if got := strings.Join(order, " "); !strings.HasPrefix(got, want) || len(order) != 7 {
			t.Errorf("%s: %s", agent, got)
		}
		open := strings.Count(page, " open>")
		if known := !strings.HasPrefix(agent, "curl") && agent != ""; known != (open == 1) {
			t.Errorf("%s: %d sections are open", agent, open)
		}
		if strings.Contains(page, "alert(1)") {
			t.Error("what the visitor sent stands in the page")
		}
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a page without a certificate")
	}
	_, ca := newPage(t)
	if _, err := New(Config{CA: ca.Certificate(), ProxyAddr: func() string { return "" }}); err == nil || !strings.Contains(err.Error(), "pem") {
		t.Errorf("a page without files: %v", err)
	}
}

func TestLocalAddresses(t *testing.T) {
	for _, tc := range []struct {
		listener string
		some     bool
	}{{"127.0.0.1:8484", false}, {"[::1]:8484", false}, {"[::]:8484", true}, {"0.0.0.0:8484", true}, {"203.0.113.77:8484", false}} {
		addr, err := net.ResolveTCPAddr("tcp", tc.listener)
		if err != nil {
			t.Fatal(err)
		}
		all := LocalAddresses(addr)
		if !tc.some && len(all) > 0 {
			t.Errorf("%s: %v", tc.listener, all)
		}
		for _, a := range all {
			host, port, err := net.SplitHostPort(a.HostPort)
			if err != nil || port != "8484" || a.Interface == "" || net.ParseIP(host) == nil || net.ParseIP(host).IsLoopback() {
				t.Errorf("%s: %+v", tc.listener, a)
			}
			if tc.listener == "0.0.0.0:8484" && strings.Contains(host, ":") {
				t.Errorf("IPv6 at a listener of IPv4: %+v", a)
			}
		}
	}
}

func FuzzPage(f *testing.F) {
	h, _ := newPage(f)
	f.Add("eaves.test", "/", "Mozilla/5.0 (iPhone)")
	f.Add("[::1]:8484", "/proxy.pac", "Firefox/")
	f.Add("a\"b:80", "/check", "")
	pac := regexp.MustCompile(`(?m)^  return "PROXY (\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]+; DIRECT";$`)
	f.Fuzz(func(t *testing.T, host, path, agent string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.URL.Path = host, path
		r.Header.Set("User-Agent", agent)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 404 {
			t.Errorf("status %d", w.Code)
		}
		if path == "/proxy.pac" && len(pac.FindAll(w.Body.Bytes(), -1)) != 1 {
			t.Errorf("a script other than ours: %s", w.Body)
		}
		if w.Code == 200 && bytes.Contains(w.Body.Bytes(), []byte("<script>")) {
			t.Error("a script of the visitor's")
		}
	})
}

// interceptor is the smallest proxy that has this page: it answers eaves.test, in clear and over TLS, and whoever comes
// to it directly.
func interceptor(t *testing.T, h http.Handler, ca *certs.CA) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	outside := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect && r.URL.Hostname() == Host:
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
			secure := tls.Server(conn, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return ca.Leaf(hello.Context(), hello.ServerName)
			}})
			defer conn.Close()
			for br := bufio.NewReader(secure); ; {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				r.URL.Scheme = "https"
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, r)
				answer.Result().Write(secure)
			}
		case r.Method == http.MethodConnect, r.URL.IsAbs() && r.URL.Hostname() != Host && r.Host != l.Addr().String():
			http.Error(w, "there is no network in this test", http.StatusBadGateway)
		default:
			h.ServeHTTP(w, r)
		}
	})}
	go outside.Serve(l)
	t.Cleanup(func() { outside.Close() })
	return l.Addr().String()
}
