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
}

var fields = []field{
	{name: "id", class: classNumber, columns: []string{"id"}},
	{name: "method", class: className, columns: []string{"method"}, request: true},
	{name: "url", class: classText, columns: []string{"url"}, request: true},
	{name: "scheme", class: classEnum, columns: []string{"scheme"}, request: true},
	{name: "host", class: classHost, columns: []string{"host", "port"}, request: true},
	{name: "port", class: classNumber, columns: []string{"port"}, request: true},
	{name: "path", class: classText, columns: []string{"path"}, request: true},
	{name: "query", class: classText, columns: []string{"query"}, request: true},
	{name: "proto", class: className, columns: []string{"proto"}, request: true, alias: protocols},
	{name: "kind", class: classEnum, columns: []string{"kind"}, choices: []string{"http", "websocket", "tunnel"}},
	{name: "status", class: classStatus, columns: []string{"status"}},
	{name: "type", class: classText, columns: []string{"type"}},
	{name: "header", class: classHeader},
	{name: "req.header", class: classHeader, request: true},
	{name: "resp.header", class: classHeader},
	{name: "body", class: classBody},
	{name: "req.body", class: classBody},
	{name: "resp.body", class: classBody},
	{name: "size", class: classSize, columns: []string{"req_size", "resp_size"}},
	{name: "req.size", class: classSize, columns: []string{"req_size"}},
	{name: "resp.size", class: classSize, columns: []string{"resp_size"}},
	{name: "took", class: classDuration, columns: []string{"took"}},
	{name: "ttfb", class: classDuration, columns: []string{"ttfb"}},
	{name: "at", class: classTime, columns: []string{"started"}, request: true},
	{name: "client", class: classAddress, columns: []string{"client"}, request: true},
	{name: "connection", class: className, columns: []string{"connection"}},
	{name: "run", class: classText, columns: []string{"run"}, request: true},
	{name: "answered", class: classEnum, columns: []string{"answered"}, choices: []string{"origin", "proxy", "eaves"}},
	{name: "route", class: classText, columns: []string{"route"}},
	{name: "hop", class: classAddress, columns: []string{"hop"}},
	{name: "hop.status", class: classStatus, columns: []string{"hop_status"}},
	{name: "bypass", class: classText, columns: []string{"bypass"}},
	{name: "tls.version", class: className, columns: []string{"tls_version"}, alias: tlsVersions, ordered: true},
	{name: "tls.cipher", class: classText, columns: []string{"tls_cipher"}},
	{name: "alpn", class: className, columns: []string{"alpn"}},
	{name: "sni", class: classHost, columns: []string{"sni"}},
	{name: "verified", class: classBool, columns: []string{"verified"}},
	{name: "cert.asked", class: classBool, columns: []string{"cert_asked"}},
	{name: "cert.sent", class: classText, columns: []string{"cert_sent"}},
	{name: "cert.rule", class: classText, columns: []string{"cert_rule"}},
	{name: "cert.verdict", class: classEnum, columns: []string{"cert_verdict"},
		choices: []string{"accepted", "rejected", "not-requested", "no-rule", "unknown"}},
	{name: "alert", class: className, columns: []string{"cert_alert"}},
	{name: "cert.expires", class: classTime, columns: []string{"cert_expires"}, future: true},
	{name: "error", class: classError, columns: []string{"error_stage", "error"},
		choices: []string{"client", "route", "dns", "connect", "proxy", "tls", "http", "timeout"}},
	{name: "replay.of", class: classNumber, columns: []string{"replay_of"}, request: true},
	{name: "is", class: classIs, choices: []string{"open", "done", "failed", "replay", "marked", "websocket"}},
	{name: "mark", class: classText, columns: []string{"mark"}},
	{name: "comment", class: classText, columns: []string{"comment"}},
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
