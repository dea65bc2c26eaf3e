package lab

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// adminName is the common name that /admin is for.
const adminName = "admin"

// answer is what the origin saw.
type answer struct {
	// Message says in a sentence what came of it.
	Message string      `json:"message"`
	Request requestSeen `json:"request"`
	TLS     tlsSeen     `json:"tls"`
	// Client is the client certificate, null where none was sent.
	Client *clientSeen `json:"clientCertificate"`
}

type requestSeen struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Protocol string `json:"protocol"`
	// Headers counts the field lines.
	Headers int `json:"headers"`
}

type tlsSeen struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipherSuite"`
	ALPN        string `json:"alpn"`
	ServerName  string `json:"serverName"`
	Resumed     bool   `json:"resumed"`
}

type clientSeen struct {
	certificateSeen
	// Chain is what came with it, Path what it was verified by, up to the root.
	Chain    []certificateSeen `json:"chain"`
	Verified bool              `json:"verified"`
	Path     []string          `json:"path"`
}

type certificateSeen struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	SHA256    string    `json:"sha256"`
}

// handler answers / and everything that has no path of its own, /optional and /admin.
func (l *Lab) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			l.answer(w, r, http.StatusForbidden, "You sent no client certificate, and this page needs one of "+l.root.Subject.String()+".")
			return
		}
		l.answer(w, r, http.StatusOK, "Your client certificate is accepted.")
	})
	mux.HandleFunc("/optional", func(w http.ResponseWriter, r *http.Request) {
		message := "You sent no client certificate; this page needs none."
		if len(r.TLS.PeerCertificates) > 0 {
			message = "Your client certificate is accepted; this page would need none."
		}
		l.answer(w, r, http.StatusOK, message)
	})
	mux.HandleFunc("/admin", func(w http.ResponseWriter, r *http.Request) {
		switch sent := r.TLS.PeerCertificates; {
		case len(sent) == 0:
			l.answer(w, r, http.StatusForbidden, "You sent no client certificate, and this page needs that of "+adminName+".")
		case sent[0].Subject.CommonName != adminName:
			l.answer(w, r, http.StatusForbidden, fmt.Sprintf("Your client certificate is good, but it is that of %s; this page is for %s.", sent[0].Subject.CommonName, adminName))
		default:
			l.answer(w, r, http.StatusOK, "Your client certificate is accepted: welcome, "+adminName+".")
		}
	})
	return mux
}

// answer writes what was seen, as text for whoever prefers that, else as JSON.
func (l *Lab) answer(w http.ResponseWriter, r *http.Request, status int, message string) {
	a := see(r)
	a.Message = message
	who := "no certificate"
	if a.Client != nil {
		who = a.Client.Subject
	}
	l.cfg.Seen(fmt.Sprintf("%s %s %s %d, %s, %s", r.RemoteAddr, r.Method, r.URL.EscapedPath(), status, a.TLS.Version, who))
	w.Header().Set("Cache-Control", "no-store")
	if accept := r.Header.Get("Accept"); strings.Contains(accept, "text/") && !strings.Contains(accept, "application/json") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, a.text())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(a) // whoever has gone need not be told
}

func see(r *http.Request) *answer {
	cs := r.TLS
	a := &answer{
		Request: requestSeen{Method: r.Method, Path: r.URL.EscapedPath(), Protocol: r.Proto},
		TLS: tlsSeen{
			Version: tls.VersionName(cs.Version), CipherSuite: tls.CipherSuiteName(cs.CipherSuite), ALPN: cs.NegotiatedProtocol,
			ServerName: cs.ServerName, Resumed: cs.DidResume,
		},
	}
	for _, values := range r.Header {
		a.Request.Headers += len(values)
	}
	if len(cs.PeerCertificates) == 0 {
		return a
	}
	a.Client = &clientSeen{certificateSeen: seen(cs.PeerCertificates[0]), Chain: []certificateSeen{}, Verified: len(cs.VerifiedChains) > 0, Path: []string{}}
	for _, c := range cs.PeerCertificates[1:] {
		a.Client.Chain = append(a.Client.Chain, seen(c))
	}
	if a.Client.Verified {
		for _, c := range cs.VerifiedChains[0] {
			a.Client.Path = append(a.Client.Path, c.Subject.String())
		}
	}
	return a
}

func seen(c *x509.Certificate) certificateSeen {
	sum := sha256.Sum256(c.Raw)
	return certificateSeen{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), SHA256: hex.EncodeToString(sum[:]),
	}
}

// text is the answer for a person.
func (a *answer) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", a.Message)
	line := func(name, value string) { fmt.Fprintf(&b, "%-12s %s\n", name, value) }
	line("request", fmt.Sprintf("%s %s %s, %d header fields", a.Request.Method, a.Request.Path, a.Request.Protocol, a.Request.Headers))
	line("tls", a.TLS.Version+", "+a.TLS.CipherSuite)
	line("resumed", map[bool]string{true: "yes", false: "no"}[a.TLS.Resumed])
	line("server name", a.TLS.ServerName)
	if a.Client == nil {
		line("certificate", "none")
		return b.String()
	}
	line("certificate", a.Client.Subject)
	line("serial", a.Client.Serial)
	line("valid", a.Client.NotBefore.Format(time.DateOnly)+" to "+a.Client.NotAfter.Format(time.DateOnly))
	line("verified", strings.Join(a.Client.Path, " ← "))
	for _, c := range a.Client.Chain {
		line("sent with it", c.Subject)
	}
	return b.String()
}
