package webui

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// guard decides who may ask anything at all. Its questions come in this order, because each is only meaningful once the
// one before it is answered: Host, Origin and fetch metadata, token.
type guard struct {
	token   [sha256.Size]byte
	cookie  [sha256.Size]byte
	session string

	mu sync.RWMutex
	// ticket opens the console once, until its time is up. The zero digest is that of none.
	ticket      [sha256.Size]byte
	ticketUntil time.Time
	hosts       map[string]bool
	// any holds the ports of listeners on every interface: there, the address a connection came to is a name of ours too.
	any map[string]bool
}

// newGuard makes a guard for a token and the console's own names. Without a token nobody passes.
func newGuard(token string, hosts []string) *guard {
	g := &guard{hosts: make(map[string]bool), any: make(map[string]bool)}
	if token != "" {
		// What the cookie holds opens the console, but is not the token: browsers show cookies of one port to every other
		// port of the same host (RFC 6265, 8.5), and a capture of such traffic must not contain the token.
		mac := hmac.New(sha256.New, []byte(token))
		mac.Write([]byte("eaves console cookie"))
		g.session = hex.EncodeToString(mac.Sum(nil))
		g.token, g.cookie = digest(token), digest(g.session)
	}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// listen adds the names of a listener: its address as it is, and the names of this machine with its port.
func (g *guard) listen(addr net.Addr) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range []string{host, "localhost", "127.0.0.1", "::1"} {
		if ip, err := netip.ParseAddr(h); err == nil && ip.IsUnspecified() {
			g.any[port] = true
			continue
		}
		g.hosts[strings.ToLower(net.JoinHostPort(h, port))] = true
		if port == "80" {
			g.hosts[strings.ToLower(strings.TrimSuffix(net.JoinHostPort(h, port), ":80"))] = true
		}
	}
}

// own says whether the request's Host is a name of the console.
func (g *guard) own(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.hosts[host] {
		return true
	}
	// An address as Host cannot be rebound to this machine: only names can.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || local.String() != host {
		return false
	}
	_, port, err := net.SplitHostPort(host)
	return err == nil && g.any[port]
}

// check refuses who may not ask. It returns nil with a Location set when it has taken the token out of the URL and put it
// into the cookie.
func (g *guard) check(w http.ResponseWriter, r *http.Request) *problem {
	if !g.own(r) || r.URL.Host != "" && !strings.EqualFold(r.URL.Host, r.Host) {
		return &problem{Status: http.StatusForbidden, Detail: "this host name is not the console's; use the address that eaves printed"}
	}
	// An Origin has no path and no default port left out that Host would have: the console's is http:// and its Host.
	// Several, or null (a sandboxed or file: page), are foreign.
	if o := r.Header["Origin"]; len(o) > 1 || len(o) == 1 && !strings.EqualFold(o[0], "http://"+r.Host) {
		return &problem{Status: http.StatusForbidden, Detail: "requests from pages of another origin are refused"}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return &problem{Status: http.StatusForbidden, Detail: "requests from pages of another site are refused; open the console by its address"}
	}
	return g.authenticate(w, r)
}

// authenticate asks for the token.
func (g *guard) authenticate(w http.ResponseWriter, r *http.Request) *problem {
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, token, _ := strings.Cut(auth, " ")
		if strings.EqualFold(scheme, "Bearer") && g.equal(token, g.token) {
			return nil
		}
		return &problem{Status: http.StatusUnauthorized, Detail: "this token is not the console's; eaves makes a new one at each start"}
	}
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		// The token leaves the address bar, and with it the history, at once.
		if q := r.URL.Query(); q.Has("token") {
			if !g.equal(q.Get("token"), g.token) && !g.take(q.Get("token")) {
				return &problem{Status: http.StatusUnauthorized, Detail: "this token is not the console's; eaves makes a new one at each start"}
			}
			q.Del("token")
			http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: g.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			to := "/"
			if len(q) > 0 {
				to += "?" + q.Encode()
			}
			w.Header().Set("Location", to)
			w.Header().Set("Cache-Control", "no-store")
			return nil
		}
	}
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if g.equal(c.Value, g.cookie) {
			return nil
		}
	}
	return &problem{Status: http.StatusUnauthorized, Detail: "open the console with the address that eaves printed: it carries the token"}
}

// ticketTime is how long a browser has to come with its ticket.
const ticketTime = time.Minute

// issue makes a ticket, which takes the place of one that was not used.
func (g *guard) issue() string {
	ticket := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ticket, g.ticketUntil = digest(ticket), time.Now().Add(ticketTime)
	return ticket
}

// take says whether a ticket is good, and uses it up.
func (g *guard) take(ticket string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !time.Now().Before(g.ticketUntil) || !g.equal(ticket, g.ticket) {
		return false
	}
	g.ticketUntil = time.Time{}
	return true
}

// equal compares a secret in constant time. The zero digest is that of no secret.
func (g *guard) equal(given string, want [sha256.Size]byte) bool {
	got := digest(given)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// cookieName includes the port, because cookies are not kept apart by port: two consoles on one host must not overwrite
// each other's.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "eaves-" + port
}

// secure sets what every answer carries. Nothing is loaded but the console's own files, nothing captured can run, and no
// page may hold the console in a frame or a window.
func secure(h http.Header, r *http.Request) {
	connect := "'self'"
	if plainHost(r.Host) {
		// Older browsers do not count ws: of the same origin as 'self'.
		connect += " ws://" + r.Host
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src "+connect+
		"; font-src 'self'; media-src 'self'; frame-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// plainHost says whether a Host can stand in a policy as it is.
func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != ""
}
