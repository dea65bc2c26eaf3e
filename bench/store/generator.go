package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/store"
)

// hostCount is how many hosts the traffic goes to, of which few have most of it.
const hostCount = 5000

// generator makes exchanges as a browser's and a company's traffic has them: a third are images, half of the texts are
// compressed, one host in twenty is reached through a proxy, one in fifty wants a client certificate.
type generator struct {
	rnd                          *rand.Rand
	zipf                         *rand.Zipf
	hosts                        []host
	json, zipped, html, binaries [][]byte
	agents                       []string
}

// host is a server, with the receipts that its exchanges share.
type host struct {
	name, server, address string
	proto                 string
	tls                   *capture.TLS
	refused               *capture.TLS // a handshake that it refused
	route                 *capture.Route
	session               string
}

var words = strings.Fields(`lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua
	user account session token balance currency amount order payment invoice customer product price quantity shipping address street city country`)

func newGenerator(seed uint64) *generator {
	rnd := rand.New(rand.NewPCG(seed, 2))
	g := &generator{rnd: rnd, zipf: rand.NewZipf(rnd, 1.2, 4, hostCount-1)}
	for i := range hostCount {
		g.hosts = append(g.hosts, g.host(i))
	}
	for i := range 4000 {
		var b bytes.Buffer
		b.WriteString("[")
		for b.Len() < 200+int(rnd.ExpFloat64()*1500) {
			fmt.Fprintf(&b, `{"id":%d,"%s":"%s %s %s","at":%d},`, rnd.IntN(1e9), g.word(), g.word(), g.word(), g.word(), rnd.IntN(1e9))
		}
		if i%2 == 0 {
			b.WriteString(`"ubiquitous"`)
		}
		if i == 1000 || i == 3001 {
			b.WriteString(`"needle"`)
		}
		b.WriteString("]")
		g.json = append(g.json, b.Bytes())
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b.Bytes())
		w.Close()
		g.zipped = append(g.zipped, z.Bytes())
		if i < 500 {
			var h strings.Builder
			fmt.Fprintf(&h, "<!doctype html><html lang=en><head><title>%s %s</title><link rel=stylesheet href=/static/main.css></head><body><main>", g.word(), g.word())
			for h.Len() < 1000+int(rnd.ExpFloat64()*4000) {
				fmt.Fprintf(&h, "<p class=%s>%s %s %s %s</p>\n", g.word(), g.word(), g.word(), g.word(), g.word())
			}
			g.html = append(g.html, []byte(h.String()+"</main></body></html>"))
		}
		binary := make([]byte, 500+int(rnd.ExpFloat64()*3000))
		for j := range binary {
			binary[j] = byte(rnd.Uint32())
		}
		g.binaries = append(g.binaries, binary)
	}
	for i := range 12 {
		g.agents = append(g.agents, fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 130+i))
	}
	return g
}

func (g *generator) word() string { return words[g.rnd.IntN(len(words))] }

func (g *generator) hex(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", g.rnd.Uint64())
	}
	return b.String()[:n]
}

// host makes the i-th host; seeds apart, all generators have the same ones.
func (g *generator) host(i int) host {
	h := host{name: fmt.Sprintf("www.host%d.test", i), server: []string{"nginx", "Apache", "cloudflare", "envoy", "gws"}[i%5], proto: "HTTP/2", address: fmt.Sprintf("192.0.2.%d", i%250+1), session: g.hex(48)}
	if i%3 == 2 {
		h.proto = "HTTP/1.1"
	}
	issued := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	h.tls = &capture.TLS{Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ALPN: map[string]string{"HTTP/2": "h2", "HTTP/1.1": "http/1.1"}[h.proto], ServerName: h.name, Verified: i%97 != 3,
		PeerCertificates: []capture.Certificate{
			{Subject: "CN=" + h.name, Issuer: "CN=Test Intermediate", Serial: g.hex(32), DNSNames: []string{h.name}, SHA256: g.hex(64), NotBefore: issued, NotAfter: issued.AddDate(0, 3, 0)},
			{Subject: "CN=Test Intermediate", Issuer: "CN=Test Root", Serial: "01", SHA256: strings.Repeat("ab", 32), NotBefore: issued, NotAfter: issued.AddDate(5, 0, 0)}}}
	if i%11 == 5 {
		h.tls.Version, h.tls.CipherSuite = "TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	}
	if !h.tls.Verified {
		h.tls.VerifyError = "x509: certificate signed by unknown authority"
	}
	h.tls.ClientCertificate = &capture.ClientCertificate{Verdict: "not-requested"}
	if i%50 == 7 {
		sent := &capture.Certificate{Subject: fmt.Sprintf("CN=client %d,O=Example", i%100), Issuer: "CN=Example CA", Serial: fmt.Sprint(i), SHA256: g.hex(64), NotAfter: issued.AddDate(1, 0, 0)}
		h.tls.ClientCertificate = &capture.ClientCertificate{Requested: true, AcceptableCAs: []string{"CN=Example CA"}, Rule: "*.test", Sent: sent, Verdict: "accepted"}
		refused := *h.tls
		refused.ClientCertificate = &capture.ClientCertificate{Requested: true, AcceptableCAs: []string{"CN=Example CA"}, Rule: "*.test", Sent: sent, Verdict: "rejected", Alert: "bad_certificate"}
		h.refused = &refused
	}
	h.route = &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: h.name + ":443", DNS: 2.5, Connect: 8}}}
	switch {
	case i%20 == 9:
		h.route = &capture.Route{Source: "pac", Reason: "PROXY proxy.corp.test:3128", Hops: []capture.Hop{{Kind: "http", Address: fmt.Sprintf("proxy%d.corp.test:3128", i%3), DNS: 1, Connect: 3, Status: 200}, {Kind: "origin", Address: h.name + ":443", DNS: -1, Connect: 12}}}
	case i%100 == 13:
		h.route.Source, h.route.Reason = "custom", "bypass *.test"
	}
	return h
}

// record records the i-th exchange; those of the traffic during the measurements have numbers below 0.
func (g *generator) record(s *store.Store, i int, started time.Time) {
	h := &g.hosts[g.zipf.Uint64()]
	roll := g.rnd.IntN(100_000)
	path := "/api/v1/" + g.word() + "/" + fmt.Sprint(g.rnd.IntN(1e6))
	if i%5000 == 0 {
		path = "/checkout/" + fmt.Sprint(i)
	}
	method := "GET"
	switch m := g.rnd.IntN(1000); {
	case m < 150:
		method = "POST"
	case m < 180:
		method = "OPTIONS"
	case m < 184:
		method = "PUT"
	case m < 185:
		method = "DELETE"
	}
	x := &capture.Exchange{Kind: capture.KindHTTP, Source: capture.SourceProxy, Started: started,
		Timings:         capture.Timings{Blocked: 0.1, DNS: -1, Connect: -1, SSL: -1, Send: 0.1, Wait: float64(g.rnd.IntN(9000)) / 100, Receive: 1.25},
		Client:          capture.Client{Address: fmt.Sprintf("127.0.0.1:%d", 40000+i%200), HTTPVersion: "HTTP/2"},
		ServerIPAddress: h.address, Connection: fmt.Sprint(i / 20), Reused: i%20 != 0, AnsweredBy: capture.AnsweredByOrigin, Route: h.route, TLS: h.tls,
		Request: capture.Request{Method: method, URL: "https://" + h.name + path + "?page=" + fmt.Sprint(g.rnd.IntN(50)), HTTPVersion: h.proto, HeadersSize: -1,
			Header: capture.Header{{Name: ":authority", Value: h.name}, {Name: "user-agent", Value: g.agents[g.rnd.IntN(len(g.agents))]},
				{Name: "accept", Value: "application/json, text/plain, */*"}, {Name: "accept-encoding", Value: "gzip, deflate, br, zstd"}, {Name: "accept-language", Value: "en-US,en;q=0.9"},
				{Name: "cookie", Value: "session=" + h.session + "; theme=dark"}, {Name: "referer", Value: "https://" + h.name + "/"}}}}
	status := 200
	switch {
	case roll < 3000:
		status = 404
	case roll < 8000:
		status = 304
	case roll < 9000:
		status = 302
	case roll < 9400:
		status = 503
	case roll < 9402:
		status = 418
	}
	var failure *capture.Error
	switch {
	case roll >= 99_998:
		failure, x.TLS, x.Route = &capture.Error{Stage: capture.StageDNS, Message: "no such host " + h.name}, nil, nil
	case roll >= 99_900:
		failure, x.TLS = &capture.Error{Stage: capture.StageConnect, Message: "connection refused"}, nil
	case roll >= 99_800 && h.refused != nil:
		failure, x.TLS = &capture.Error{Stage: capture.StageTLS, Message: "remote error: tls: bad certificate", Hint: "see the receipt of the client certificate"}, h.refused
	case roll >= 99_798 && len(h.route.Hops) > 1:
		hops := append([]capture.Hop(nil), h.route.Hops...)
		hops[0].Status, hops[0].Error = 407, "407 Proxy Authentication Required"
		failure, x.TLS, x.Route = &capture.Error{Stage: capture.StageProxy, Message: "the proxy wants credentials"}, nil, &capture.Route{Source: h.route.Source, Reason: h.route.Reason, Hops: hops}
	}
	switch {
	case roll >= 50_000 && roll < 50_100:
		x.Kind, status = capture.KindWebSocket, 101
	case roll >= 50_100 && roll < 50_110:
		x.Kind, x.TLS, x.Request.Method, x.Request.URL, x.Request.Header = capture.KindTunnel, nil, "CONNECT", "tcp://"+h.name+":443", nil
	case roll >= 50_110 && roll < 50_115:
		x.Source, x.ReplayOf = capture.SourceReplay, max(1, int64(i))
	case roll >= 50_115 && roll < 50_215:
		x.Client.Run = "curl " + fmt.Sprint(i%7)
	}
	response, body := g.answer(i, status, h, started)
	r := s.Begin(x)
	if method == "POST" && failure == nil {
		r.Body(capture.SideRequest, g.json[g.rnd.IntN(len(g.json))][:200])
	}
	if failure == nil {
		r.Update(func(x *capture.Exchange) { x.Response = response })
		r.Body(capture.SideResponse, body)
	}
	r.Finish(func(x *capture.Exchange) {
		x.State, x.Error = capture.StateDone, failure
		x.Time = 20 + 20*g.rnd.ExpFloat64()
		if roll%2000 == 0 {
			x.Time *= 100
		}
		if failure != nil {
			x.State = capture.StateFailed
		}
	})
}

// answer makes a response and its body.
func (g *generator) answer(i, status int, h *host, started time.Time) (*capture.Response, []byte) {
	header := capture.Header{{Name: "date", Value: started.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}, {Name: "server", Value: h.server}, {Name: "cache-control", Value: "no-store, max-age=0"},
		{Name: "strict-transport-security", Value: "max-age=63072000"}, {Name: "vary", Value: "Accept-Encoding"}, {Name: "x-trace", Value: fmt.Sprint(i)}}
	var mime string
	var body []byte
	switch k := g.rnd.IntN(100); {
	case status == 304 || status == 302 || status == 101:
	case status >= 400:
		mime, body = "text/html; charset=utf-8", g.html[g.rnd.IntN(20)][:300]
	case k < 10:
		mime, body = "text/html; charset=utf-8", g.html[g.rnd.IntN(len(g.html))]
	case k < 25:
		mime, body = "image/webp", g.binaries[g.rnd.IntN(len(g.binaries))]
	case k < 35:
		mime, body = "application/javascript", g.zipped[g.rnd.IntN(len(g.zipped))]
	case k < 40:
		mime, body = "font/woff2", g.binaries[g.rnd.IntN(len(g.binaries))]
	case k < 70:
		mime, body = "application/json; charset=utf-8", g.zipped[g.rnd.IntN(len(g.zipped))]
	default:
		mime, body = "application/json; charset=utf-8", g.json[g.rnd.IntN(len(g.json))]
	}
	switch {
	case i >= 0 && i%200_000 == 100_000:
		mime, body, status = "text/plain", []byte("the haystackneedle of "+fmt.Sprint(i)), 200
	case i >= 0 && i%250_000 == 125_000:
		mime, body, status = "application/pdf", g.binaries[0], 200
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		header = append(header, capture.Field{Name: "content-encoding", Value: "gzip"})
	}
	if mime != "" {
		header = append(header, capture.Field{Name: "content-type", Value: mime}, capture.Field{Name: "etag", Value: `"` + g.hex(16) + `"`})
	}
	if i >= 0 && i%100_000 == 50_000 {
		header = append(header, capture.Field{Name: "x-rare", Value: "once in a while"})
	}
	header = append(header, capture.Field{Name: "content-length", Value: fmt.Sprint(len(body))})
	return &capture.Response{Status: status, StatusText: "OK", HTTPVersion: h.proto, HeadersSize: -1, Header: header, Content: capture.Content{MimeType: mime}}, body
}
