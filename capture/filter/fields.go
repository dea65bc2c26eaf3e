package filter

import "strings"

// class says how a field is compared.
type class uint8

const (
	classText     class = iota // ":" looks for a substring
	className                  // ":" compares the whole text: enumerations and names that anybody may make
	classEnum                  // as className; stored in lower case, and with known values where there are choices
	classNumber                // number, range
	classStatus                // number, class such as 4xx, range
	classDuration              // milliseconds, with units us ms s m h d
	classSize                  // bytes, with units b k m g (1024 each)
	classTime                  // RFC 3339, a date, or a duration before now (expiry: after now)
	classHost                  // host pattern
	classAddress               // list of host:port; host pattern that one of them matches
	classBool                  // yes or no
	classHeader                // text of any header field of that name
	classBody                  // decoded text of a body
	classIs                    // is:WORD
	classError                 // a stage, else text of the message
)

// A field of the language.
type field struct {
	name  string
	class class
	// columns hold it: all but size, header, body, is have one.
	columns []string
	// request: known when a request's head has been read.
	request bool
	// choices are the values of classEnum and classIs.
	choices []string
	// alias gives the stored forms of a value as users write it.
	alias func(string) []string
	// ordered: text that has an order.
	ordered bool
	// future: durations of classTime count forward from now.
	future bool
	// noun is what a filter in words calls it; about says in a line what it is.
	noun, about string
}

var fields = []field{
	{name: "id", class: classNumber, columns: []string{"id"},
		noun: "the id", about: "number of the exchange"},
	{name: "method", class: className, columns: []string{"method"}, request: true,
		noun: "the method", about: "request method, such as GET"},
	{name: "url", class: classText, columns: []string{"url"}, request: true,
		noun: "the URL", about: "anywhere in the URL"},
	{name: "scheme", class: classEnum, columns: []string{"scheme"}, request: true,
		noun: "the scheme", about: "http, https, ws, wss or tcp"},
	{name: "host", class: classHost, columns: []string{"host", "port"}, request: true,
		noun: "the host", about: "host pattern: a name, *.example.com, an address or a CIDR block, with :port if you like"},
	{name: "port", class: classNumber, columns: []string{"port"}, request: true,
		noun: "the port", about: "port, also where the URL leaves it out"},
	{name: "path", class: classText, columns: []string{"path"}, request: true,
		noun: "the path", about: "path of the URL"},
	{name: "query", class: classText, columns: []string{"query"}, request: true,
		noun: "the query", about: "query of the URL, without the question mark"},
	{name: "proto", class: className, columns: []string{"proto"}, request: true, alias: protocols,
		noun: "the protocol", about: "version of HTTP that the request was sent with"},
	{name: "kind", class: classEnum, columns: []string{"kind"}, choices: []string{"http", "websocket", "tunnel"},
		noun: "the kind", about: "http, websocket, or tunnel: bytes that were not decoded"},
	{name: "status", class: classStatus, columns: []string{"status"},
		noun: "the status", about: "status code (404), class (4xx) or range (400..404)"},
	{name: "type", class: classText, columns: []string{"type"},
		noun: "the type", about: "media type of the answer, such as json or text/html"},
	{name: "header", class: classHeader,
		noun: "a header", about: "a header field of either side: header[name]"},
	{name: "req.header", class: classHeader, request: true,
		noun: "a header of the request", about: "a header field of the request: req.header[name]"},
	{name: "resp.header", class: classHeader,
		noun: "a header of the response", about: "a header field of the answer: resp.header[name]"},
	{name: "body", class: classBody,
		noun: "a body", about: "text of either body, decoded"},
	{name: "req.body", class: classBody,
		noun: "the body of the request", about: "text of the request’s body, decoded"},
	{name: "resp.body", class: classBody,
		noun: "the body of the response", about: "text of the answer’s body, decoded"},
	{name: "size", class: classSize, columns: []string{"req_size", "resp_size"},
		noun: "the size", about: "bytes of both bodies together (10k, 2m)"},
	{name: "req.size", class: classSize, columns: []string{"req_size"},
		noun: "the size of the request’s body", about: "bytes of the request’s body"},
	{name: "resp.size", class: classSize, columns: []string{"resp_size"},
		noun: "the size of the response’s body", about: "bytes of the answer’s body"},
	{name: "took", class: classDuration, columns: []string{"took"},
		noun: "the time it took", about: "how long it took (800ms, 2s)"},
	{name: "ttfb", class: classDuration, columns: []string{"ttfb"},
		noun: "the time to the first byte", about: "how long until the answer began"},
	{name: "at", class: classTime, columns: []string{"started"}, request: true,
		noun: "the time", about: "when it began: 10m.. are the last ten minutes, 2026-01-31 is a day"},
	{name: "client", class: classAddress, columns: []string{"client"}, request: true,
		noun: "the client", about: "address of the client"},
	{name: "connection", class: className, columns: []string{"connection"},
		noun: "the connection", about: "connection to the server that it was sent on"},
	{name: "run", class: classText, columns: []string{"run"}, request: true,
		noun: "the run", about: "name of the eaves exec run it belongs to"},
	{name: "answered", class: classEnum, columns: []string{"answered"}, choices: []string{"origin", "proxy", "eaves"},
		noun: "the answer’s sender", about: "who answered: the origin, a proxy, or eaves itself"},
	{name: "route", class: classText, columns: []string{"route"},
		noun: "the route", about: "why it went the way it went, and the way: source, reason, addresses"},
	{name: "hop", class: classAddress, columns: []string{"hop"},
		noun: "a proxy on the way", about: "address of a proxy on the way"},
	{name: "hop.status", class: classStatus, columns: []string{"hop_status"},
		noun: "the status of the proxy", about: "what a proxy on the way answered to CONNECT"},
	{name: "bypass", class: classText, columns: []string{"bypass"},
		noun: "the bypass entry", about: "entry of the bypass list that held"},
	{name: "tls.version", class: className, columns: []string{"tls_version"}, alias: tlsVersions, ordered: true,
		noun: "the TLS version", about: "version of TLS with the server"},
	{name: "tls.cipher", class: classText, columns: []string{"tls_cipher"},
		noun: "the cipher suite", about: "cipher suite with the server"},
	{name: "alpn", class: className, columns: []string{"alpn"},
		noun: "the protocol agreed on in TLS", about: "protocol that was agreed on in TLS, such as h2"},
	{name: "sni", class: classHost, columns: []string{"sni"},
		noun: "the server name in TLS", about: "name that the server was asked for in TLS"},
	{name: "verified", class: classBool, columns: []string{"verified"},
		about: "whether the server’s certificate was verified: yes or no"},
	{name: "cert.asked", class: classBool, columns: []string{"cert_asked"},
		about: "whether the server asked for a client certificate: yes or no"},
	{name: "cert.sent", class: classText, columns: []string{"cert_sent"},
		noun: "the client certificate", about: "subject of the client certificate that was sent"},
	{name: "cert.rule", class: classText, columns: []string{"cert_rule"},
		noun: "the rule of the client certificate", about: "host pattern that chose the client certificate"},
	{name: "cert.verdict", class: classEnum, columns: []string{"cert_verdict"},
		choices: []string{"accepted", "rejected", "not-requested", "no-rule", "unknown"},
		noun:    "the verdict on the client certificate", about: "what became of the client certificate"},
	{name: "alert", class: className, columns: []string{"cert_alert"},
		noun: "the TLS alert", about: "TLS alert with which the server answered the client certificate"},
	{name: "cert.expires", class: classTime, columns: []string{"cert_expires"}, future: true,
		noun: "the end of the client certificate", about: "when the client certificate that was sent ends: 30d is within thirty days"},
	{name: "error", class: classError, columns: []string{"error_stage", "error"},
		choices: []string{"client", "route", "dns", "connect", "proxy", "tls", "http", "timeout"},
		noun:    "the error", about: "stage at which it failed, else text of the message"},
	{name: "replay.of", class: classNumber, columns: []string{"replay_of"}, request: true,
		noun: "the exchange it replays", about: "number of the exchange that it sends again"},
	{name: "is", class: classIs, choices: []string{"open", "done", "failed", "replay", "marked", "websocket"},
		about: "state: open, done, failed, replay, marked, websocket"},
	{name: "mark", class: classText, columns: []string{"mark"},
		noun: "the mark", about: "mark that somebody gave it"},
	{name: "comment", class: classText, columns: []string{"comment"},
		noun: "the comment", about: "comment that somebody wrote"},
}

// fieldNamed finds a field by its name in any case.
func fieldNamed(name string) *field {
	for i := range fields {
		if strings.EqualFold(fields[i].name, name) {
			return &fields[i]
		}
	}
	return nil
}

func (f *field) column(i int) *column { return columnNamed(f.columns[i]) }

// protocols lets "h2" and "2" mean HTTP/2 as each tool spells it.
func protocols(s string) []string {
	version := strings.TrimPrefix(strings.TrimPrefix(Fold(s), "http/"), "h")
	switch version {
	case "2", "2.0":
		return []string{"HTTP/2", "HTTP/2.0", "h2"}
	case "3", "3.0":
		return []string{"HTTP/3", "HTTP/3.0", "h3"}
	case "1.0", "1.1":
		return []string{"HTTP/" + version}
	case "1":
		return []string{"HTTP/1.0", "HTTP/1.1"}
	}
	return []string{s}
}

// tlsVersions lets "1.3" mean "TLS 1.3".
func tlsVersions(s string) []string {
	version := strings.TrimLeft(strings.TrimPrefix(Fold(s), "tls"), "v ")
	switch version {
	case "1.0", "1.1", "1.2", "1.3":
		return []string{"TLS " + version}
	}
	return []string{s}
}
