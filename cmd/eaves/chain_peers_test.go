package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"eaves/cmd/eaves/internal/lab"
	"eaves/proxy/upstream/hop/hoptest"
)

// What the parent proxies of the lab are told. eaves is given references to these variables, and nothing else.
var chainSecrets = map[string]string{
	"LAB_PASSWORD": hoptest.Password,
	"LAB_TINY":     hoptest.TinyproxyPassword,
	"LAB_SOCKS":    "sockspw",
	"LAB_WRONG":    "not-the-pass-word",
}

// parent is a parent proxy as a route names it.
type parent struct {
	scheme, host string
	port         int
	// user is what it knows us by, variable has the password.
	user, variable string
	// ticket says that a Kerberos ticket will do.
	ticket bool
}

// url is the proxy's, as a route has it.
func (p parent) url(user, variable string) string {
	u := url.URL{Scheme: p.scheme, Host: net.JoinHostPort(p.host, fmt.Sprint(p.port))}
	switch {
	case user != "":
		return p.scheme + "://" + url.PathEscape(user) + ":env:" + variable + "@" + u.Host
	case p.ticket:
		return p.scheme + "://@" + u.Host
	}
	return u.String()
}

// chainLab is the parent proxies that run, by name, and the origins behind them.
type chainLab struct {
	t       *testing.T
	root    *lab.Authority
	parents map[string]parent
	origin  *chainOrigin
	realm   *hoptest.Realm
	// client are certificate and key of somebody whom the https proxy lets in.
	clientCertificate, clientKey string
	dead                         int
}

// chainNames are the names that only the squids know.
func chainNames() []string {
	var names []string
	for _, s := range situations() {
		if strings.HasSuffix(s.host, ".test") {
			names = append(names, s.host)
		}
	}
	return names
}

// startChainLab starts the counterparts, all at the same time.
func startChainLab(t *testing.T) *chainLab {
	t.Helper()
	l := &chainLab{t: t, parents: map[string]parent{}}
	var err error
	if l.root, err = lab.NewRoot("Chain Lab Root", nil); err != nil {
		t.Fatal(err)
	}
	l.origin = startChainOrigin(t, l.issue("origin", func(c *x509.Certificate) {
		lab.ForServers(c)
		c.DNSNames = append([]string{"localhost", "*.localhost", "*.corp.test", "*.pac.test"}, chainNames()...)
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 2, 1)}
	}).TLS())
	forProxies := func(c *x509.Certificate) {
		lab.ForServers(c)
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	proxyCert, proxyKey := hoptest.Files(t, l.issue("proxy", forProxies).TLS())
	stranger, err := lab.NewRoot("Strange Root", nil)
	l.check(err)
	strange, err := stranger.Issue("proxy", forProxies)
	l.check(err)
	strangeCert, strangeKey := hoptest.Files(t, strange.TLS())
	l.clientCertificate, l.clientKey = hoptest.Files(t, l.issue("eaves at the proxy", lab.ForClients).TLS())
	clientCA, _ := hoptest.Files(t, (&lab.Identity{Certificate: l.root.Certificate, Key: l.root.Key}).TLS())

	names := chainNames()
	alice := func(p *hoptest.Proxy, scheme string) parent {
		return parent{scheme: scheme, host: p.Host, port: p.Port, user: hoptest.User, variable: "LAB_PASSWORD"}
	}
	open := func(p *hoptest.Proxy, scheme string) parent {
		return parent{scheme: scheme, host: p.Host, port: p.Port}
	}
	var squids []*hoptest.Proxy
	squid := func(name string, schemes ...string) *hoptest.Proxy {
		p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: schemes, Realm: l.realm, Name: name + ".proxy.test", Hosts: names,
			More: []string{"acl blocked dstdomain blocked.corp.test", "http_access deny blocked"}})
		squids = append(squids, p)
		return p
	}
	l.realm = hoptest.NewRealm(t)
	basic := squid("basic", "basic")
	l.parents["open"] = open(squid("open"), "http")
	l.parents["second"] = alice(squid("second", "basic"), "http")
	l.parents["basic"] = alice(basic, "http")
	l.parents["digest"] = alice(squid("digest", "digest"), "http")
	ntlm := alice(squid("ntlm", "ntlm"), "http")
	ntlm.user = hoptest.Domain + `\` + hoptest.User
	l.parents["ntlm"] = ntlm
	all := alice(squid("all", "negotiate", "ntlm", "digest", "basic"), "http")
	all.host = "localhost" // by which the KDC knows it
	l.parents["all"] = all
	l.parents["ticket"] = parent{scheme: "http", host: "localhost", port: all.port, ticket: true}
	l.parents["unknown-service"] = parent{scheme: "http", host: "127.0.0.1", port: all.port, user: hoptest.User, variable: "LAB_PASSWORD"}
	own := hoptest.NewNTLMProxy(t, "Negotiate")
	l.parents["negotiate-ntlm"] = parent{scheme: "http", host: own.Host, port: own.Port, user: hoptest.Domain + `\` + hoptest.User, variable: "LAB_PASSWORD"}
	tiny := alice(hoptest.Tinyproxy(t, false), "http")
	tiny.variable = "LAB_TINY"
	l.parents["tiny"] = tiny
	dante := hoptest.Dante(t)
	l.parents["socks5"], l.parents["socks4"] = open(dante, "socks5"), open(dante, "socks4a")
	secret := hoptest.DanteWithPassword(t)
	l.parents["socks5-password"] = parent{scheme: "socks5", host: secret.Host, port: secret.Port, user: secret.User, variable: "LAB_SOCKS"}
	l.parents["tls"] = alice(hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"digest"}, Certificate: proxyCert, Key: proxyKey, Name: "tls.proxy.test", Hosts: names}), "https")
	stunnel := hoptest.Stunnel(t, basic, proxyCert, proxyKey, clientCA)
	l.parents["mtls"] = alice(stunnel, "https")
	// The same with nobody to show a certificate: rules for client certificates go by host and port.
	l.parents["mtls-unknown"] = alice(hoptest.Stunnel(t, basic, proxyCert, proxyKey, clientCA), "https")
	l.parents["tls-strange"] = alice(hoptest.Stunnel(t, basic, strangeCert, strangeKey, ""), "https")
	// The wrong protocol for what listens there.
	l.parents["http-at-socks"], l.parents["http-at-tls"], l.parents["socks-at-http"] = open(dante, "http"), open(stunnel, "http"), open(basic, "socks5")
	l.parents["https-at-http"] = open(basic, "https")
	l.parents["dead"] = parent{scheme: "http", host: "127.0.0.1", port: l.deadPort()}
	l.parents["dead-socks"] = parent{scheme: "socks5", host: "127.0.0.1", port: l.deadPort()}
	l.parents["nameless"] = parent{scheme: "http", host: "no-such-proxy.invalid", port: 3128}
	for name, serve := range brokenProxies(strange.TLS()) {
		l.parents[name] = parent{scheme: "http", host: "127.0.0.1", port: startBroken(t, serve)}
	}
	t.Cleanup(func() { // all at the same time: each takes a second
		var wg sync.WaitGroup
		for _, p := range squids {
			wg.Go(p.Stop)
		}
		wg.Wait()
	})
	return l
}

// deadPort is a port where nobody listens, and nobody will: the system gives none of these away.
func (l *chainLab) deadPort() int {
	l.t.Helper()
	for l.dead++; l.dead < 1024; l.dead++ {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", l.dead), deadline)
		if err != nil {
			return l.dead
		}
		c.Close()
	}
	l.t.Fatal("somebody listens everywhere")
	return 0
}

func (l *chainLab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *chainLab) issue(name string, edit func(*x509.Certificate)) *lab.Identity {
	l.t.Helper()
	i, err := l.root.Issue(name, edit)
	l.check(err)
	return i
}

// way is a route's way. A station is a proxy's name, which may be followed by ":nobody",
// ":stranger" or ":wrong" (password) for what it is to be told.
func (l *chainLab) way(stations ...string) []string {
	var way []string
	for _, s := range stations {
		name, as, _ := strings.Cut(s, ":")
		if name == "direct" || name == "system" {
			way = append(way, name)
			continue
		}
		p, ok := l.parents[name]
		switch {
		case !ok:
			l.t.Fatalf("there is no proxy %q", name)
		case as == "":
			way = append(way, p.url(p.user, p.variable))
		case as == "nobody":
			p.ticket = false
			way = append(way, p.url("", ""))
		case as == "stranger":
			// A user of its own: what squid thinks of a user of basic and digest holds for all who go by that name just then.
			way = append(way, p.url("mallory", "LAB_WRONG"))
		case as == "wrong":
			way = append(way, p.url(p.user, "LAB_WRONG"))
		default:
			l.t.Fatalf("station %q", s)
		}
	}
	return way
}

// address is where a proxy listens.
func (l *chainLab) address(name string) string {
	p, ok := l.parents[name]
	if !ok {
		l.t.Fatalf("there is no proxy %q", name)
	}
	return net.JoinHostPort(p.host, fmt.Sprint(p.port))
}

// fill puts addresses in the place of {NAME}.
func (l *chainLab) fill(text string) string {
	for name := range l.parents {
		text = strings.ReplaceAll(text, "{"+name+"}", l.address(name))
	}
	return text
}

// run starts an eaves that knows the passwords by their references, with more of the environment.
func (l *chainLab) run(environment []string, args ...string) *chainEaves {
	t := l.t
	t.Helper()
	dir := t.TempDir()
	trusted := filepath.Join(dir, "origins.pem")
	l.check(os.WriteFile(trusted, lab.PEM(l.root.Certificate), 0o600))
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if up := strings.ToUpper(name); !strings.HasSuffix(up, "_PROXY") && !strings.HasPrefix(up, "KRB5") {
			env = append(env, v)
		}
	}
	env = append(env, "HOME="+dir, "XDG_CONFIG_HOME=", "EAVES_DATA="+filepath.Join(dir, "data"), "SSL_CERT_FILE="+trusted,
		"KRB5_CONFIG="+l.realm.Config, "KRB5CCNAME=FILE:"+l.realm.Cache)
	for name, value := range chainSecrets {
		env = append(env, name+"="+value)
	}
	i, err := start(dir, slices.Concat(env, environment), args...)
	l.check(err)
	return newChainEaves(t, dir, i)
}

// tlsOf is the configuration of a server with one certificate.
func tlsOf(c tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: protocols}
}
