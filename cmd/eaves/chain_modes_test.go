package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"eaves/proxy/upstream/hop/hoptest"
)

// libraryWords are what an error of a library looks like, one for Kerberos among them.
var libraryWords = regexp.MustCompile(library.String() + `|KRB_|SPNEGO|gokrb5`)

// situations are the ways to origins, and to failures before them.
func situations() []situation {
	return slices.Concat(goodWays(), credentialWays(), unreachableWays(), refusingWays(), brokenWays(), loopWays(), customWays(), systemWays(), pacWays())
}

// tunnelled are the protocols for which a proxy is asked by CONNECT.
const tunnelled = "h1 h2 ws wss"

// goodWays lead to the origin.
func goodWays() []situation {
	return []situation{
		{name: "direct", via: []string{"direct"}, hops: "origin"},
		{name: "squid", via: []string{"open"}, hops: "http/none/200 origin"},
		{name: "squid-basic", via: []string{"basic"}, hops: "http/basic/200 origin"},
		{name: "squid-digest", via: []string{"digest"}, hops: "http/digest/200 origin"},
		{name: "squid-ntlm", via: []string{"ntlm"}, hops: "http/ntlm/200 origin"},
		{name: "squid-kerberos", via: []string{"ticket"}, hops: "http/negotiate/200 origin"},
		{name: "squid-all", via: []string{"all"}, hops: "http/negotiate/200 origin"},
		{name: "squid-all-ntlm", via: []string{"all:nobody"}, user: hoptest.User, password: "env:LAB_PASSWORD", schemes: []string{"ntlm"}, hops: "http/ntlm/200 origin"},
		{name: "squid-all-digest", via: []string{"all:nobody"}, user: hoptest.User, password: "env:LAB_PASSWORD", schemes: []string{"digest"}, hops: "http/digest/200 origin"},
		{name: "squid-all-basic", via: []string{"all:nobody"}, user: hoptest.User, password: "env:LAB_PASSWORD", schemes: []string{"basic"}, hops: "http/basic/200 origin"},
		// The KDC does not know the proxy by this name: the next scheme is taken.
		{name: "squid-all-falls-back", via: []string{"unknown-service"}, hops: "http/ntlm/200 origin"},
		{name: "negotiate-is-ntlm", via: []string{"negotiate-ntlm"}, hops: "http/negotiate/200 origin"},
		{name: "tinyproxy", via: []string{"tiny"}, hops: "http/basic/200 origin"},
		{name: "rule-credentials", via: []string{"basic:nobody"}, user: hoptest.User, password: "env:LAB_PASSWORD", hops: "http/basic/200 origin"},
		{name: "socks5", via: []string{"socks5"}, hops: "socks5/none origin"},
		{name: "socks5-password", via: []string{"socks5-password"}, hops: "socks5/password origin"},
		{name: "socks4a", host: "127.0.0.1", via: []string{"socks4"}, hops: "socks4a/none origin"},
		{name: "https-proxy", via: []string{"tls"}, hops: "https/digest/200 origin"},
		{name: "https-proxy-certificate", via: []string{"mtls"}, hops: "https/basic/200 origin"},
		// Chains.
		{name: "two-squids", via: []string{"basic", "second"}, hops: "http/basic/200 http/basic/200 origin"},
		{name: "two-squids-ntlm", via: []string{"digest", "ntlm"}, hops: "http/digest/200 http/ntlm/200 origin"},
		{name: "socks-then-squid", via: []string{"socks5-password", "basic"}, hops: "socks5/password http/basic/200 origin"},
		{name: "squid-then-socks", via: []string{"ntlm", "socks5"}, hops: "http/ntlm/200 socks5/none origin"},
		{name: "four-kinds", via: []string{"socks4", "mtls", "tiny", "digest"}, hops: "socks4a/none https/basic/200 http/basic/200 http/digest/200 origin"},
		// What is sent arrives, whatever has to be said to the proxy first.
		{name: "upload-basic", via: []string{"basic"}, protocols: "http h1 h2", path: "/up", args: []string{"--data-binary", "sent but once"}, body: " 13\n", hops: "http/basic/200 origin"},
		{name: "upload-ntlm", via: []string{"ntlm"}, protocols: "http h1 h2", path: "/up", args: []string{"--data-binary", "sent but once"}, body: " 13\n", hops: "http/ntlm/200 origin"},
		{name: "client-credentials", via: []string{"open"}, protocols: "http h1", args: []string{"-H", "Proxy-Authorization: Basic c3RvbGVuOnN0b2xlbg=="}, hops: "http/none/200 origin"},
		// The origin's own answers stay the origin's.
		{name: "origin-403", via: []string{"basic"}, protocols: "http h1 h2", path: "/status/403", status: 403, body: "the origin says 403", hops: "http/basic/200 origin"},
		// A proxy that stands before the origin within its TLS says so by the status that only proxies have.
		{name: "origin-407", via: []string{"basic"}, protocols: "h1 h2", path: "/status/407", status: 407, by: "proxy", body: "the origin says 407", hops: "http/basic/200 origin"},
		{name: "origin-502", via: []string{"open"}, protocols: "http h1 h2", path: "/status/502", status: 502, body: "the origin says 502", hops: "http/none/200 origin"},
		{name: "origin-503-in-chain", via: []string{"basic", "open"}, protocols: "http h1 h2", path: "/status/503", status: 503, body: "the origin says 503", hops: "http/basic/200 http/none/200 origin"},
	}
}

// credentialWays are what proxies make of credentials that are missing or wrong.
func credentialWays() []situation {
	correct := "eaves route"
	return []situation{
		{name: "missing-basic", via: []string{"basic:nobody"}, stage: "proxy", by: "proxy", hops: "http/none/407 origin",
			words: []string{"http proxy {basic}: it wants authentication for \"the study, upstairs\" (basic), and no credentials are configured for it", "eaves route add ", " --first --via http://{basic} --user USER --password vault:NAME"}},
		{name: "missing-digest", via: []string{"digest:nobody"}, stage: "proxy", by: "proxy", hops: "http/none/407 origin", words: []string{"(digest), and no credentials"}},
		{name: "missing-ntlm", via: []string{"ntlm:nobody"}, stage: "proxy", by: "proxy", hops: "http/none/407 origin", words: []string{"(ntlm), and no credentials"}},
		{name: "missing-all", via: []string{"all:nobody"}, stage: "proxy", by: "proxy", hops: "http/none/407 origin", words: []string{"(negotiate, ntlm, digest, basic)", "no credentials are configured"}},
		{name: "missing-tinyproxy", via: []string{"tiny:nobody"}, stage: "proxy", by: "proxy", hops: "http/none/407 origin", words: []string{"http proxy {tiny}", "no credentials"}},
		{name: "missing-socks5", via: []string{"socks5-password:nobody"}, stage: "proxy", by: "proxy", words: []string{"socks5 proxy {socks5-password}: it wants authentication", "no user name and password are configured"}},
		{name: "wrong-basic", via: []string{"basic:stranger"}, stage: "proxy", by: "proxy", hops: "http/basic/407 origin", words: []string{"http proxy {basic}: it wants authentication (basic)", "for the user mallory", "basic: refused by the proxy", correct}},
		{name: "wrong-digest", via: []string{"digest:stranger"}, stage: "proxy", by: "proxy", words: []string{"digest: refused by the proxy", correct}},
		{name: "wrong-ntlm", via: []string{"ntlm:wrong"}, stage: "proxy", by: "proxy", words: []string{`for the user STUDY\alice`, "ntlm: refused by the proxy", correct}},
		{name: "wrong-negotiate-ntlm", via: []string{"negotiate-ntlm:wrong"}, stage: "proxy", by: "proxy", words: []string{"negotiate with NTLM: refused by the proxy"}},
		{name: "wrong-tinyproxy", via: []string{"tiny:wrong"}, stage: "proxy", by: "proxy", words: []string{"basic: refused by the proxy"}},
		{name: "wrong-socks5", via: []string{"socks5-password:wrong"}, stage: "proxy", by: "proxy", words: []string{"socks5 proxy {socks5-password}: it refused the password of the user hop", correct}},
		{name: "wrong-at-the-second", via: []string{"basic", "second:stranger"}, stage: "proxy", by: "proxy", hops: "http/basic/200 http/basic/407 origin",
			words: []string{"proxy 2 of 2, http proxy {second}", "basic: refused by the proxy"}},
		{name: "wrong-at-the-first", via: []string{"basic:stranger", "second"}, stage: "proxy", by: "proxy", hops: "http/basic/407 http origin", words: []string{"proxy 1 of 2, http proxy {basic}"}},
		{name: "unknown-service", via: []string{"unknown-service:nobody"}, user: "alice", password: "env:LAB_PASSWORD", schemes: []string{"negotiate"}, stage: "proxy", by: "proxy",
			words: []string{"negotiate: the KDC knows no service HTTP/127.0.0.1"}},
		{name: "scheme-not-offered", via: []string{"basic:nobody"}, user: "alice", password: "env:LAB_PASSWORD", schemes: []string{"digest", "ntlm"}, stage: "proxy", by: "proxy",
			words: []string{"it wants authentication (basic), and only digest, ntlm may be used for the user alice"}},
		{name: "unknown-reference", via: []string{"basic:nobody"}, user: "alice", password: "env:LAB_UNSET", stage: "proxy", by: "proxy", words: []string{"its password cannot be had", "LAB_UNSET"}},
	}
}

// unreachableWays are of proxies to which there is no way, or none that speaks as it should.
func unreachableWays() []situation {
	hint := "start the proxy or correct its address"
	return []situation{
		{name: "dead", via: []string{"dead"}, stage: "proxy", hops: "http origin", words: []string{"http proxy {dead} cannot be reached", "connection refused", hint}},
		{name: "dead-socks", via: []string{"dead-socks"}, stage: "proxy", hops: "socks5 origin", words: []string{"socks5 proxy {dead-socks} cannot be reached", hint}},
		{name: "dead-second", via: []string{"open", "dead"}, stage: "proxy", by: "proxy", hops: "http/none/503 http origin",
			words: []string{"proxy 1 of 2, http proxy {open}: it could not connect to the next proxy, {dead}: 503 Service Unavailable (ERR_CONNECT_FAIL 111)"}},
		{name: "dead-behind-socks", via: []string{"socks5", "dead"}, stage: "proxy", by: "proxy", words: []string{"proxy 1 of 2, socks5 proxy {socks5}: it could not connect to the next proxy, {dead}: connection refused"}},
		{name: "nameless", via: []string{"nameless"}, stage: "proxy", words: []string{"http proxy {nameless} cannot be reached", "name not found", hint}},
		{name: "http-at-socks", via: []string{"http-at-socks"}, stage: "proxy", words: []string{"http proxy {socks5}", "SOCKS (socks5://{socks5})"}},
		{name: "http-at-tls", via: []string{"http-at-tls"}, stage: "proxy", words: []string{"http proxy {mtls}", "TLS (https://{mtls})"}},
		{name: "socks-at-http", via: []string{"socks-at-http"}, protocols: "http wss", stage: "timeout", slow: true, words: []string{"socks5 proxy {basic}: no answer within", "check that it speaks socks5 on this port"}},
		{name: "https-at-http", via: []string{"https-at-http"}, stage: "proxy", words: []string{"https proxy {basic}", "plain HTTP"}},
		{name: "speaks-ssh", via: []string{"speaks-ssh"}, stage: "proxy", words: []string{"http proxy {speaks-ssh}", "does not start with HTTP version and status code", "check"}},
		{name: "https-proxy-unknown-ca", via: []string{"tls-strange"}, stage: "proxy", words: []string{"https proxy {tls-strange}", `unknown authority "Strange Root"`, "eaves trust add"}},
		{name: "https-proxy-no-certificate", via: []string{"mtls-unknown"}, stage: "proxy", words: []string{"https proxy {mtls-unknown}", "certificate", "eaves cert add {mtls-unknown} --proxy"}},
	}
}

// refusingWays are of proxies that work and do not let everybody everywhere.
func refusingWays() []situation {
	return []situation{
		{name: "denied", host: "blocked.corp.test", via: []string{"open"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/none/403 origin",
			words: []string{"http proxy {open}: it refused a connection to blocked.corp.test:", "403 Forbidden (ERR_ACCESS_DENIED 0)", "this is the proxy's own rule"}},
		{name: "denied-plain", host: "blocked.corp.test", via: []string{"open"}, protocols: "http", status: 403, by: "proxy", body: "ERR_ACCESS_DENIED", hops: "http/none/403 origin"},
		{name: "denied-by-the-second", host: "blocked.corp.test", via: []string{"basic", "second"}, protocols: tunnelled, stage: "proxy", by: "proxy",
			words: []string{"proxy 2 of 2, http proxy {second}: it refused a connection to blocked.corp.test"}},
		{name: "origin-down", closed: true, via: []string{"open"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/none/503 origin",
			words: []string{"http proxy {open}: it could not connect to localhost:", "ERR_CONNECT_FAIL 111", "look at it from the proxy"}},
		{name: "origin-down-plain", closed: true, via: []string{"open"}, protocols: "http", status: 503, by: "proxy", body: "ERR_CONNECT_FAIL", hops: "http/none/503 origin"},
		{name: "origin-down-tinyproxy", closed: true, via: []string{"tiny"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"http proxy {tiny}: it could not connect to localhost:"}},
		{name: "origin-down-tinyproxy-plain", closed: true, via: []string{"tiny"}, protocols: "http", status: 500, by: "proxy", body: "tinyproxy"},
		{name: "origin-down-socks5", closed: true, via: []string{"socks5"}, stage: "proxy", by: "proxy", words: []string{"socks5 proxy {socks5}: it could not connect to localhost:", "connection refused"}},
		{name: "origin-down-socks4", closed: true, via: []string{"socks4"}, stage: "proxy", by: "proxy", words: []string{"socks4a proxy {socks4}"}},
		{name: "origin-down-direct", closed: true, via: []string{"direct"}, stage: "connect", hops: "origin", words: []string{"refused"}, not: []string{"proxy"}},
		{name: "origin-unknown", host: "no-such-origin.invalid", via: []string{"open"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"http proxy {open}: it could not connect to no-such-origin.invalid:"}},
		{name: "origin-unknown-plain", host: "no-such-origin.invalid", via: []string{"open"}, protocols: "http", status: 502, by: "proxy", body: "squid"},
		{name: "name-only-the-proxy-knows", host: "inner.corp.test", via: []string{"basic"}, hops: "http/basic/200 origin"},
	}
}

// brokenWays are of proxies that do what no proxy should.
func brokenWays() []situation {
	return []situation{
		{name: "dies", via: []string{"dies"}, protocols: "http h1 h2", path: "/large", cut: true, stage: "http", words: []string{"http proxy {dies}", "the answer's body was cut after", "the log of the proxy {dies}", "--via direct"}},
		{name: "truncates", via: []string{"truncates"}, protocols: "http h1 h2", path: "/large", cut: true, stage: "http", words: []string{"http proxy {truncates}", "the answer's body was cut after", "closed by the other side", "--via direct"}},
		{name: "hangs", via: []string{"hangs"}, protocols: tunnelled, stage: "timeout", slow: true, words: []string{"http proxy {hangs}: no answer within", "takes connections but does not answer"}},
		{name: "hangs-later", via: []string{"hangs-later"}, protocols: "h1 wss", stage: "timeout", slow: true, words: []string{"did not finish the handshake", "http proxy {hangs-later}"}},
		{name: "hangs-up", via: []string{"hangs-up"}, stage: "proxy", words: []string{"http proxy {hangs-up}", "the proxy's log may say why"}},
		{name: "hangs-up-later", via: []string{"hangs-up-later"}, protocols: "h1 h2 wss", stage: "tls", words: []string{"http proxy {hangs-up-later}", "the connection during the handshake"}},
		{name: "asks-for-ever", via: []string{"asks-for-ever:nobody"}, user: "alice", password: "env:LAB_PASSWORD", stage: "proxy", by: "proxy", words: []string{"http proxy {asks-for-ever}", "basic: refused by the proxy"}},
		{name: "asks-stale", via: []string{"asks-stale:nobody"}, user: "alice", password: "env:LAB_PASSWORD", stage: "proxy", by: "proxy", words: []string{"http proxy {asks-stale}", "again and again"}},
		{name: "asks-oddly", via: []string{"asks-oddly:nobody"}, user: "alice", password: "env:LAB_PASSWORD", stage: "proxy", by: "proxy", words: []string{"it wants authentication (passport1.4)", "nothing to answer that with"}},
		{name: "blocks", via: []string{"blocks"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/none/403 origin", words: []string{"it refused a connection to localhost:", "403 Forbidden (Blocked by the policy of Example Corp)"}},
		{name: "blocks-plain", via: []string{"blocks"}, protocols: "http", status: 403, by: "proxy", body: "Ask the help desk", hops: "http/none/403 origin"},
		{name: "blocks-with-status", via: []string{"blocks-with-status"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"403 Forbidden (category games)"}},
		{name: "blocks-with-status-plain", via: []string{"blocks-with-status"}, protocols: "http", status: 403, by: "proxy", body: "Ask the help desk"},
		{name: "fails-502", via: []string{"fails-502"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/none/502 origin", words: []string{"it could not connect to localhost:", "502 Bad Gateway (ERR_READ_ERROR 104)"}},
		{name: "fails-502-plain", via: []string{"fails-502"}, protocols: "http", status: 502, by: "proxy"},
		{name: "fails-503", via: []string{"fails-503"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"503 Service Unavailable (gate.example; error=destination_unavailable)"}},
		{name: "fails-503-plain", via: []string{"fails-503"}, protocols: "http", status: 503, by: "proxy"},
		{name: "fails-504", via: []string{"fails-504"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"504 Gateway Timeout (gate.example; error=connection_timeout)"}},
		{name: "fails-504-plain", via: []string{"fails-504"}, protocols: "http", status: 504, by: "proxy"},
		{name: "portal", via: []string{"portal"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/none/302 origin", words: []string{"302 Found", "http://portal.test/login", "login in a browser"}},
		{name: "portal-plain", via: []string{"portal"}, protocols: "http", status: 302, by: "proxy"},
		{name: "portal-511", via: []string{"portal-511"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"511 Network Authentication Required (Log in to the guest network)", "login in a browser"}},
		{name: "portal-511-plain", via: []string{"portal-511"}, protocols: "http", status: 511, by: "proxy", body: "Log in"},
		{name: "forbids-method", via: []string{"forbids-method"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"405 Method Not Allowed", "the proxy's own rule"}},
		{name: "injects", via: []string{"injects"}, protocols: "h1 h2 wss", stage: "tls", hops: "http/none/200 origin", words: []string{"http proxy {injects}", "plain HTTP", "what answers there may be the proxy, such as with a page that says why not"}},
		{name: "intercepts", via: []string{"intercepts"}, protocols: "h1 h2 wss", stage: "tls", hops: "http/none/200 origin", words: []string{`unknown authority "Strange Root"`, "http proxy {intercepts}", "eaves trust add", "what answers there may be the proxy"}},
		{name: "broken-second", via: []string{"basic", "blocks"}, protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/basic/200 http/none/403 origin", words: []string{"proxy 2 of 2, http proxy {blocks}"}},
	}
}

// loopWays lead back to eaves.
func loopWays() []situation {
	return []situation{
		{name: "itself", via: []string{"itself"}, stage: "route", status: 403, words: []string{"eaves itself", "eaves route list"}},
		{name: "loop", via: []string{"loop"}, protocols: "http", stage: "route", status: 508, body: "a loop", words: []string{"has come back to eaves (Via: ", "loop.proxy.test", "take one of them off the route"}},
		{name: "loop-tunnelled", via: []string{"loop"}, protocols: tunnelled, stage: "proxy", by: "proxy", words: []string{"http proxy {loop}", "loop"}},
	}
}

// customWays are those of an eaves with a chain of two and a bypass list.
func customWays() []situation {
	const on, source = "custom", "custom"
	return []situation{
		{name: "custom", on: on, source: source, reason: "http://alice@{basic}, http://{open}", hops: "http/basic/200 http/none/200 origin"},
		{name: "custom-denied", on: on, source: source, host: "blocked.corp.test", protocols: tunnelled, stage: "proxy", by: "proxy", hops: "http/basic/200 http/none/403 origin", words: []string{"proxy 2 of 2, http proxy {open}"}},
		{name: "custom-bypass", on: on, source: source, host: "bypassed.localhost", reason: "bypass bypassed.localhost", hops: "origin"},
		{name: "custom-bypass-suffix", on: on, source: source, host: "a.b.suffix.localhost", protocols: "http ws", reason: "bypass .suffix.localhost", hops: "origin"},
		{name: "custom-bypass-wildcard", on: on, source: source, host: "a.wild.localhost", reason: "bypass *.wild.localhost", protocols: "http ws", hops: "origin"},
		{name: "custom-bypass-cidr", on: on, source: source, host: "127.0.2.1", reason: "bypass 127.0.2.0/24", hops: "origin"},
	}
}

// systemWays are those of an eaves with variables in its environment.
func systemWays() []situation {
	const on, source = "system", "system"
	return []situation{
		{name: "system-http", on: on, source: source, host: "plain.corp.test", protocols: "http", reason: "http_proxy", hops: "http/none/200 origin"},
		{name: "system-https", on: on, source: source, host: "secure.corp.test", protocols: tunnelled[:len("h1 h2")], reason: "HTTPS_PROXY", hops: "http/basic/200 origin"},
		{name: "system-socket", on: on, source: source, host: "socket.corp.test", protocols: "wss", reason: "HTTPS_PROXY", hops: "http/basic/200 origin"},
		{name: "system-bypass-loopback", on: on, source: source, reason: "bypass loopback", hops: "origin"},
		{name: "system-bypass", on: on, source: source, host: "direct.corp.test", protocols: "http h1", reason: "bypass direct.corp.test", hops: "origin", stage: "dns", words: []string{"direct.corp.test", "name not found"}},
		{name: "system-bypass-suffix", on: on, source: source, host: "a.elsewhere.test", protocols: "http h1", reason: "bypass .elsewhere.test", hops: "origin", stage: "dns"},
	}
}

// pacWays are those of a PAC file with ten rules.
func pacWays() []situation {
	const on, source = "pac", "pac"
	return []situation{
		{name: "pac-plain-name", on: on, source: source, reason: ": DIRECT", hops: "origin"},
		{name: "pac-domain", on: on, source: source, host: "a.domain.pac.test", reason: ": PROXY {open}", hops: "http/none/200 origin"},
		{name: "pac-glob", on: on, source: source, host: "glob-1.pac.test", reason: ": PROXY {open}; DIRECT", protocols: "http h1", hops: "http/none/200 origin"},
		{name: "pac-net", on: on, source: source, host: "127.0.2.1", reason: ": SOCKS5 {socks5}", hops: "socks5/none origin"},
		{name: "pac-failover", on: on, source: source, host: "failover.pac.test", reason: "http proxy {dead} cannot be reached", protocols: "http h1 wss", hops: "http/none/200 origin"},
		{name: "pac-falls-to-direct", on: on, source: source, host: "direct.localhost", reason: "http proxy {dead} cannot be reached", protocols: "http h1", hops: "origin"},
		{name: "pac-dead", on: on, source: source, host: "dead.pac.test", reason: ": PROXY {dead}", protocols: "http h1 ws", stage: "proxy", words: []string{"http proxy {dead} cannot be reached"}},
		{name: "pac-wants-password", on: on, source: source, host: "asks.pac.test", reason: ": PROXY {basic}", protocols: "http h1", stage: "proxy", by: "proxy", words: []string{"no credentials are configured"}},
		{name: "pac-by-scheme", on: on, source: source, host: "scheme.pac.test", reason: ": PROXY {open}", protocols: "http", hops: "http/none/200 origin"},
		{name: "pac-by-scheme-tls", on: on, source: source, host: "scheme.pac.test", reason: ": DIRECT", protocols: "h1", hops: "origin", stage: "dns"},
		{name: "pac-fails", on: on, source: source, host: "fails.pac.test", protocols: "http h1 wss", stage: "route", words: []string{"PAC file", "line 12", "nobody"}},
		{name: "pac-says-nonsense", on: on, source: source, host: "nonsense.pac.test", protocols: "http h1", stage: "route", words: []string{"PAC file", "TELEPORT"}},
		{name: "pac-otherwise", on: on, source: source, host: "otherwise.corp.test", reason: ": PROXY {open}", protocols: "http h1", hops: "http/none/200 origin"},
	}
}

// pac writes a PAC file with ten rules.
func (l *chainLab) pac() string {
	l.t.Helper()
	file := filepath.Join(l.t.TempDir(), "ten.pac")
	l.check(os.WriteFile(file, []byte(l.fill(`function FindProxyForURL(url, host) {
  if (isPlainHostName(host)) return "DIRECT";
  if (dnsDomainIs(host, ".domain.pac.test")) return "PROXY {open}";
  if (shExpMatch(host, "glob-?.pac.test")) return "PROXY {open}; DIRECT";
  if (isInNet(host, "127.0.2.0", "255.255.255.0")) return "SOCKS5 {socks5}";
  if (host == "failover.pac.test") return "PROXY {dead}; PROXY {open}";
  if (localHostOrDomainIs(host, "direct.localhost")) return "PROXY {dead}; DIRECT";
  if (host == "dead.pac.test") return "PROXY {dead}";
  if (host == "asks.pac.test") return "PROXY {basic}";
  if (host == "scheme.pac.test")
    return url.substring(0, 5) == "http:" ? "PROXY {open}" : "DIRECT";
  if (host == "fails.pac.test") return nobody(host);
  if (host == "nonsense.pac.test") return "TELEPORT {open}";
  return "PROXY {open}";
}
`)), 0o600))
	return file
}
