// Package lab is an origin to learn mutual TLS on: it asks for a client certificate of a throw-away CA, answers with what
// it saw, and writes the certificates to try, those that fail on purpose too.
//
// # Guarantees
//
// Whoever shows a certificate that the lab's CA does not vouch for is refused in the handshake, with the alert that a real
// server sends. Whoever shows none is answered 403 in plain words, or, with Strict, refused in the handshake as well.
//
// The CA's key, and all others, are files of mode 0600 in one directory. What is there and still valid is used again, so
// that rules which name those files go on working; nothing else in the directory is touched.
package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Config says what the origin is like.
type Config struct {
	// Listen is its address; port 0 takes a free one.
	Listen string
	// Name is the host name it is called by, "" for localhost. Its certificate covers the names below it too, and
	// localhost and this machine's loopback addresses.
	Name string
	// Dir keeps certificates and keys. It is made if need be.
	Dir string
	// Strict refuses in the handshake whoever has no certificate. TLS12 speaks nothing newer than TLS 1.2.
	Strict, TLS12 bool
	// Seen is told of each request and of each refused handshake, a line each. May be nil.
	Seen func(line string)
}

// Lab is an origin that listens.
type Lab struct {
	// Files are the certificates to try.
	Files Files

	cfg      Config
	root     *x509.Certificate
	listener net.Listener
	server   *http.Server
}

// Open writes the certificates and takes the address. Serve has to follow, or Close.
func Open(cfg Config) (*Lab, error) {
	if cfg.Name == "" {
		cfg.Name = "localhost"
	}
	if cfg.Seen == nil {
		cfg.Seen = func(string) {}
	}
	files, root, err := prepare(cfg.Dir, time.Now())
	if err != nil {
		return nil, fmt.Errorf("writing the certificates: %w", err)
	}
	own, err := root.Issue(cfg.Name, func(c *x509.Certificate) {
		ForServers(c)
		c.DNSNames, c.IPAddresses = names(cfg.Name)
	})
	if err != nil {
		return nil, err
	}
	accepted := x509.NewCertPool()
	accepted.AddCert(root.Certificate)
	conf := &tls.Config{
		Certificates: []tls.Certificate{own.TLS()},
		ClientCAs:    accepted,
		ClientAuth:   tls.VerifyClientCertIfGiven,
		NextProtos:   []string{"h2", "http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}
	if cfg.Strict {
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if cfg.TLS12 {
		conf.MaxVersion = tls.VersionTLS12
	}
	l := &Lab{Files: files, cfg: cfg, root: root.Certificate}
	if l.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, err
	}
	l.server = &http.Server{
		Handler: l.handler(), TLSConfig: conf, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: log.New(refusals{cfg.Seen}, "", 0),
	}
	return l, nil
}

// names are what the origin's certificate covers.
func names(name string) ([]string, []net.IP) {
	dns := []string{"localhost", "*.localhost"}
	ips := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if ip := net.ParseIP(name); ip != nil {
		return dns, append(ips, ip)
	}
	for _, n := range []string{name, "*." + name} {
		if !slices.Contains(dns, n) {
			dns = append(dns, n)
		}
	}
	return dns, ips
}

// base is the name that others are below of.
func (l *Lab) base() string {
	if net.ParseIP(l.cfg.Name) != nil {
		return "localhost" // an address has no names below it
	}
	return l.cfg.Name
}

// at is name and port of the origin; a label gives it a name of its own, so that a certificate can have its own rule.
func (l *Lab) at(label string) string {
	name := l.cfg.Name
	if label != "" {
		name = label + "." + l.base()
	}
	_, port, _ := net.SplitHostPort(l.listener.Addr().String())
	return net.JoinHostPort(name, port)
}

// Serve answers until ctx ends.
func (l *Lab) Serve(ctx context.Context) error {
	stopped := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if l.server.Shutdown(ending) != nil {
			_ = l.server.Close() // whoever still holds a connection is cut
		}
	})
	defer stopped()
	err := l.server.ServeTLS(l.listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close gives the address up where Serve was not called.
func (l *Lab) Close() error { return l.listener.Close() }

// refusals turns what net/http logs into lines for Seen.
type refusals struct{ seen func(string) }

// Write takes a line of the server's log.
func (r refusals) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	if rest, ok := strings.CutPrefix(line, "http: TLS handshake error from "); ok {
		who, why, _ := strings.Cut(rest, ": ")
		switch {
		case strings.Contains(why, "EOF"), strings.Contains(why, "connection reset"):
			return len(b), nil // somebody who only looked whether the port is open
		case strings.HasPrefix(why, "remote error: "):
			line = who + " ended the handshake: " + why
		default:
			line = who + " was refused in the handshake: " + why
		}
	}
	r.seen(line)
	return len(b), nil
}

// Commands are the lines to copy: what to trust and add, what to call, and what fails on purpose. proxy and ca are
// those of the eaves that they go through.
func (l *Lab) Commands(proxy, ca string) string {
	var b strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	add := func(label string, f File) {
		say("    eaves cert add %s --cert %s --key %s", l.at(label), quote(f.Certificate), quote(f.Key))
	}
	call := func(label, path string) {
		say("    curl --proxy %s --cacert %s https://%s%s", quote("http://"+proxy), quote(ca), l.at(label), path)
	}
	refusal := "answers 403"
	if l.cfg.Strict {
		refusal = "refuses the connection"
	}
	say("origin   https://%s/", l.at(""))
	say("files    %s", l.cfg.Dir)
	say("")
	say("Trust the origin's CA, here only, then call it without a certificate. It asks for one and %s:", refusal)
	for _, pattern := range []string{l.cfg.Name, "*." + l.base()} {
		say("    eaves trust add %s --host %s", quote(l.Files.CA), quote(pattern))
	}
	call("", "/")
	say("")
	say("With a certificate it answers with what it saw:")
	add("", l.Files.Client)
	call("", "/")
	say("The same certificate as a file to drop onto the console: %s, password %s", l.Files.PFX, PFXPassword)
	say("")
	say("/optional answers without a certificate too, /admin only the one of admin (403 for others):")
	call("", "/admin")
	add("admin", l.Files.Admin)
	call("admin", "/admin")
	say("")
	say("These fail on purpose. Each has a name of its own for the origin, so that its rule harms no other:")
	for _, f := range l.Files.Failing {
		say("")
		say("%s:", f.About)
		add(f.Label, f.File)
		call(f.Label, "/")
	}
	say("")
	say("What eaves saw of each call: eaves list cert.asked, eaves show ID, or the console. Stage by stage:")
	say("    eaves doctor https://%s/", l.at(""))
	return b.String()
}

// quote quotes a word for a shell where it needs that.
func quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:=@%,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
