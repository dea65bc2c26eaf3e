package main

import (
	"fmt"

	"eaves/capture/store"
)

// question is something that people ask, and how it is asked.
type question struct {
	name, filter string
	q            store.Query
}

// questions ask of each field for what is common and for what is rare: the rare is what a scan would be seen by.
func questions(stats store.Stats) []question {
	half := stats.Exchanges / 2
	return []question{
		{"list, newest 100", "", store.Query{}},
		{"list with total", "", store.Query{Total: true}},
		{"list, 100 in the middle", "", store.Query{Before: half}},
		{"by revision, 100 in the middle", "", store.Query{ByChange: true, ChangedAfter: half}},
		{"id", fmt.Sprint("id:", half), store.Query{}},
		{"host, common", "host:www.host0.test", store.Query{}},
		{"host, rare", "host:www.host4900.test", store.Query{}},
		{"host, none", "host:nowhere.test", store.Query{}},
		{"host and status", "host:www.host0.test status:503", store.Query{}},
		{"host and status, none", "host:www.host4999.test status:599", store.Query{}},
		{"host and status with total", "host:www.host3.test status:404", store.Query{Total: true}},
		{"host pattern and class", "host:*.host7.test status:5xx", store.Query{}},
		{"host pattern, none", "host:*.nowhere.test status:4xx", store.Query{}},
		{"status, common", "status:200", store.Query{}},
		{"status, 0.4 %", "status:503", store.Query{}},
		{"status, rare", "status:418", store.Query{}},
		{"status, none", "status:599", store.Query{}},
		{"class with total", "status:5xx", store.Query{Total: true}},
		{"method, common", "method:POST", store.Query{}},
		{"method, 0.1 %", "method:DELETE", store.Query{}},
		{"method, none", "method:PATCH", store.Query{}},
		{"method and time", "method:POST took>900ms", store.Query{}},
		{"scheme, none", "scheme:ws", store.Query{}},
		{"port, none", "port:8443", store.Query{}},
		{"protocol", "proto:h2", store.Query{}},
		{"protocol, none", "proto:1.0", store.Query{}},
		{"kind", "kind:websocket", store.Query{}},
		{"kind, rare", "kind:tunnel", store.Query{}},
		{"word in the URL, 0.02 %", "checkout", store.Query{}},
		{"word in the URL, none", "nowhere-to-be-seen", store.Query{}},
		{"path, none", "path:/nowhere", store.Query{}},
		{"type, common", "type:json", store.Query{}},
		{"type, rare", "type:pdf", store.Query{}},
		{"type, none", "type:wasm", store.Query{}},
		{"slow", "took>1s", store.Query{}},
		{"slow, none", "took>60s", store.Query{}},
		{"large, none", "resp.size>1m", store.Query{}},
		{"time, none", "at:400d..300d", store.Query{}},
		{"client, none", "client:10.0.0.0/8", store.Query{}},
		{"run", "run:curl", store.Query{}},
		{"route", "route:proxy.corp.test", store.Query{}},
		{"route, none", "route:nowhere.test", store.Query{}},
		{"hop", "hop:proxy1.corp.test", store.Query{}},
		{"hop, none", "hop:nowhere.test", store.Query{}},
		{"hop.status, rare", "hop.status:407", store.Query{}},
		{"bypass", "bypass:test", store.Query{}},
		{"tls.version", `tls.version:1.2`, store.Query{}},
		{"tls.version, none", `tls.version:1.0`, store.Query{}},
		{"verified", "verified:no", store.Query{}},
		{"sni, rare", "sni:www.host4900.test", store.Query{}},
		{"cert.asked", "cert.asked", store.Query{}},
		{"cert.sent", "cert.sent:client", store.Query{}},
		{"cert.sent, none", "cert.sent:nobody", store.Query{}},
		{"cert.verdict, rare", "cert.verdict:rejected", store.Query{}},
		{"cert.verdict, none", "cert.verdict:no-rule", store.Query{}},
		{"alert", "alert:bad_certificate", store.Query{}},
		{"alert, none", "alert:unknown_ca", store.Query{}},
		{"cert.expires, none", "cert.expires:1d", store.Query{}},
		{"failed", "is:failed", store.Query{}},
		{"error stage, rare", "error:dns", store.Query{}},
		{"error text, none", "error:nowhere", store.Query{}},
		{"open", "is:open", store.Query{}},
		{"replay", "is:replay", store.Query{}},
		{"marked", "is:marked", store.Query{}},
		{"comment", "comment:again", store.Query{}},
		{"header, common", "header[server]:nginx", store.Query{}},
		{"header, 19 of 1,000,000", "header[x-trace]:77777", store.Query{}},
		{"header, rare name", "header[x-rare]", store.Query{}},
		{"header, none", "header[server]:nowhere", store.Query{}},
		{"header and host", "header[server]:nginx host:www.host0.test", store.Query{}},
		{"text, in every second", "body:ubiquitous", store.Query{}},
		{"text, in one of 1,500", "body:needle", store.Query{}},
		{"text, in 5 of all", "body:haystackneedle", store.Query{}},
		{"text, none", "body:nowhere-to-be-seen", store.Query{}},
		{"text, none, of common trigrams", "body:loremipsumdolorsitamet", store.Query{}},
		{"text of two letters", "body:lo", store.Query{}},
		{"text and host", "body:ubiquitous host:www.host4900.test", store.Query{}},
		{"text with total", "body:needle", store.Query{Total: true}},
	}
}
