// Package onboard is the page on which a device learns to send its traffic through eaves: http://eaves.test/ for who
// already goes through the proxy, http://PROXY-ADDRESS/ for who comes directly.
//
// It serves the authority's certificate in every format, a PAC file, steps for each platform (the visitor's first), QR
// codes of its own addresses, and a live check of proxy and trust for the visiting device.
//
// # Guarantees
//
// It serves nothing else: it has no access to captures, settings or keys, answers GET and HEAD only, and 404 to
// every path it does not name. Anybody who reaches the proxy may read it. What a visitor sends (Host, User-Agent) is
// escaped, or left out where it is not an address; a strict Content-Security-Policy allows the page's own two files and
// nothing inline.
package onboard

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Host is the name that only the proxy answers.
const Host = "eaves.test"

// File is one form of the certificate.
type File struct {
	Name        string
	ContentType string
	Data        []byte
}

// Config says what the page shows.
type Config struct {
	// CA is the certificate that visitors are to trust. Required.
	CA *x509.Certificate
	// Files are its forms: "pem", "der", "p12", "mobileconfig" and "android". All are required.
	Files map[string]File
	// P12Password opens the PKCS#12 file.
	P12Password string
	// ProxyAddr gives the address of the proxy as its own machine sees it. Required.
	ProxyAddr func() string
	// Addresses gives the addresses at which other devices reach the proxy; none while it listens on this machine only.
	// May be nil.
	Addresses func() []Address
}

//go:embed page
var assets embed.FS

// page is the handler.
type page struct {
	cfg         Config
	fingerprint string
	template    *template.Template
	static      map[string]File
}

// New makes the handler.
func New(cfg Config) (http.Handler, error) {
	if cfg.CA == nil || cfg.ProxyAddr == nil {
		return nil, errors.New("onboarding page: CA and ProxyAddr are required")
	}
	if cfg.Addresses == nil {
		cfg.Addresses = func() []Address { return nil }
	}
	p := &page{cfg: cfg, static: make(map[string]File)}
	sum := sha256.Sum256(cfg.CA.Raw)
	p.fingerprint = hex.EncodeToString(sum[:])
	for _, format := range []string{"pem", "der", "p12", "mobileconfig", "android"} {
		f, ok := cfg.Files[format]
		if !ok || f.Name == "" || len(f.Data) == 0 {
			return nil, fmt.Errorf("onboarding page: the certificate is missing as %s", format)
		}
		p.static["/"+f.Name] = f
	}
	for name, kind := range map[string]string{
		"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		data, err := assets.ReadFile("page/" + name)
		if err != nil {
			return nil, fmt.Errorf("onboarding page: %w", err)
		}
		p.static["/"+name] = File{name, kind, data}
	}
	var err error
	p.template, err = template.New("page.html").Funcs(template.FuncMap{"colons": colons}).ParseFS(assets, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("onboarding page: %w", err)
	}
	return p, nil
}

// contentSecurityPolicy: style and script are files of this server, the check asks the proxy's name over both schemes.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
	"connect-src 'self' http://" + Host + " https://" + Host + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers what the package's comment lists, and nothing else.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", contentSecurityPolicy)

	var f File
	switch path := r.URL.Path; path {
	case "/":
		b, err := p.render(r)
		if err != nil {
			http.Error(w, "the page could not be made", http.StatusInternalServerError)
			return
		}
		h.Set("Vary", "User-Agent")
		f = File{ContentType: "text/html; charset=utf-8", Data: b}
	case "/check":
		// The page asks across origins: from its address to the proxy's name, and from http to https. There is nothing in
		// the answer that its visitor could not read anyway.
		h.Set("Access-Control-Allow-Origin", "*")
		f = File{ContentType: "application/json", Data: p.check(r)}
	case "/proxy.pac":
		f = File{ContentType: "application/x-ns-proxy-autoconfig", Data: p.pac(r)}
	default:
		var ok bool
		if f, ok = p.static[path]; !ok {
			http.Error(w, "eaves: there is nothing here; the page is at /", http.StatusNotFound)
			return
		}
		// Certificates and profiles are not marked as attachments: iOS and Firefox offer to install what they are served,
		// and only save an attachment. A browser that saves takes the name from the path.
		if f.Name == p.cfg.Files["android"].Name {
			h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "eaves: only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(f.Data)))
	if r.Method == http.MethodGet {
		// A visitor who has gone needs no error.
		_, _ = w.Write(f.Data)
	}
}

// check tells the page that this very eaves answered, and over which scheme.
func (p *page) check(r *http.Request) []byte {
	b, err := json.Marshal(struct {
		Eaves  string `json:"eaves"`
		Secure bool   `json:"secure"`
	}{p.fingerprint, r.TLS != nil || r.URL.Scheme == "https"})
	if err != nil {
		return []byte("{}")
	}
	return b
}

// pac returns a script that sends everything through the proxy.
func (p *page) pac(r *http.Request) []byte {
	addr := p.visited(r)
	return fmt.Appendf(nil, `// Sends everything through eaves at %[1]s, and nothing while eaves is not running:
// then the device goes on without it, and nothing is captured.
function FindProxyForURL(url, host) {
  return "PROXY %[1]s; DIRECT";
}
`, addr)
}

// visited returns the proxy's address as this visitor reached it: what was typed, or the end of the connection where the
// proxy's name was.
func (p *page) visited(r *http.Request) string {
	if host, port, ok := parseAddress(r.Host); ok && !strings.EqualFold(host, Host) {
		return net.JoinHostPort(host, port)
	}
	own := p.cfg.ProxyAddr()
	candidates := []string{own}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		candidates = []string{addr.String(), own}
	}
	for _, a := range p.cfg.Addresses() {
		candidates = append(candidates, a.HostPort)
	}
	for _, c := range candidates {
		host, port, ok := parseAddress(c)
		if ip := net.ParseIP(host); ok && (ip == nil || !ip.IsUnspecified()) {
			return net.JoinHostPort(host, port)
		}
	}
	// It listens on every address of a machine that has no other than this.
	_, port, _ := parseAddress(own)
	return net.JoinHostPort("127.0.0.1", port)
}

// parseAddress takes a Host header apart; what is no address is refused, since it goes into a script.
func parseAddress(s string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", false
	}
	if host == "" || len(host) > 253 {
		return "", "", false
	}
	if ip := net.ParseIP(host); ip != nil {
		return host, port, true
	}
	for i := range len(host) {
		switch b := host[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		default:
			return "", "", false
		}
	}
	return host, port, true
}

// view is what the template sees.
type view struct {
	Name, Fingerprint, SerialNumber string
	From, Until                     string
	Platforms                       []Platform
	// Here is the proxy as the visitor reached it; Device as another device does ("" if none can).
	Here, Device Endpoint
	// Through says that the visitor came through the proxy.
	Through     bool
	PAC         string
	Codes       []code
	Files       map[string]File
	P12Password string
	Host        string
}

// Endpoint is the proxy's address in the two fields that devices ask for.
type Endpoint struct{ Address, Server, Port string }

type code struct {
	Address
	URL string
	SVG template.HTML
}

func endpoint(addr string) Endpoint {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return Endpoint{}
	}
	return Endpoint{addr, host, port}
}

func (p *page) render(r *http.Request) ([]byte, error) {
	here := endpoint(p.visited(r))
	v := view{
		Name:         p.cfg.CA.Subject.CommonName,
		Fingerprint:  p.fingerprint,
		SerialNumber: fmt.Sprintf("%x", p.cfg.CA.SerialNumber),
		From:         p.cfg.CA.NotBefore.Format(time.DateOnly),
		Until:        p.cfg.CA.NotAfter.Format(time.DateOnly),
		Platforms:    Platforms(r.UserAgent()),
		Here:         here,
		Files:        p.cfg.Files,
		P12Password:  p.cfg.P12Password,
		Host:         Host,
	}
	if host, _, ok := parseAddress(r.Host); ok {
		v.Through = strings.EqualFold(host, Host)
	}
	addresses := p.cfg.Addresses()
	switch {
	case !isLoopback(here.Server):
		v.Device = here
	case len(addresses) > 0:
		v.Device = endpoint(addresses[0].HostPort)
	}
	pac := url.URL{Scheme: "http", Host: here.Address, Path: "/proxy.pac"}
	v.PAC = pac.String()
	for _, a := range addresses {
		u := url.URL{Scheme: "http", Host: a.HostPort, Path: "/"}
		svg, err := qrSVG(u.String())
		if err != nil {
			return nil, err
		}
		v.Codes = append(v.Codes, code{Address: a, URL: u.String(), SVG: svg})
	}
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, "page.html", v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// colons writes a fingerprint as tools show it, in pairs of digits.
func colons(s string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(s); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(s[i : i+2]))
	}
	return b.String()
}

func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "" || strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost")
}
