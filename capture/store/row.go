package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// ownColumns are the columns of exchanges beside those that filter.Row derives.
var ownColumns = [...]string{"seq", "client_proto", "status_text", "resp_proto", "req_head", "resp_head", "req_kept", "resp_kept",
	"truncated", "server", "connection", "reused", "error_hint", "messages", "timings", "target", "mime", "cert_sha256"}

// Bits of the column truncated.
const (
	truncatedRequest  = 1
	truncatedResponse = 2
)

// insertExchange is the statement that a rowEncoder's values are for.
func insertExchange(verb string) string {
	names := append(filter.Columns(), ownColumns[:]...)
	return verb + " INTO exchanges (" + strings.Join(names, ",") + ") VALUES (?" + strings.Repeat(",?", len(names)-1) + ")"
}

// rowEncoder makes rows, one after the other in the same memory.
type rowEncoder struct {
	values []any
	typeAt int // where type stands among them
	// What an exchange has in common with the one before it is not allocated again.
	clientProto, statusText, respProto, server, connection, hint, target, mime, certificate any
}

func newRowEncoder() *rowEncoder {
	return &rowEncoder{typeAt: slices.Index(filter.Columns(), "type")}
}

// encode returns the values of an exchange's row. They are good until the next call.
func (e *rowEncoder) encode(x *capture.Exchange, reqKept, respKept int64) []any {
	dst := filter.Row(e.values[:0], x)
	truncated := int64(0)
	if x.Request.Truncated {
		truncated |= truncatedRequest
	}
	var statusText, respProto, respHead, kept, mime any
	if p := x.Response; p != nil {
		if p.Truncated {
			truncated |= truncatedResponse
		}
		// Its being there, empty or not, says that there is a response.
		e.respProto = filter.Again(e.respProto, p.HTTPVersion)
		respProto = e.respProto
		statusText, respHead, kept = text(&e.statusText, p.StatusText), size(p.HeadersSize), respKept
		if m := p.Content.MimeType; m != dst[e.typeAt] {
			mime = text(&e.mime, m)
		}
	}
	var hint any
	if x.Error != nil {
		hint = text(&e.hint, x.Error.Hint)
	}
	e.values = append(dst, x.Seq, text(&e.clientProto, x.Client.HTTPVersion), statusText, respProto, size(x.Request.HeadersSize), respHead, reqKept, kept,
		truncated, text(&e.server, x.ServerIPAddress), text(&e.connection, x.Connection), integer(x.Reused), hint, x.Messages, encodeTimings(x.Timings), text(&e.target, x.Request.Target), mime, text(&e.certificate, sentCertificate(x)))
	return e.values
}

// text returns a text's value, nil for none; was is the one before.
func text(was *any, s string) any {
	if s == "" {
		return nil
	}
	*was = filter.Again(*was, s)
	return *was
}

func size(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

func integer(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// summaryColumns are what decodeSummary reads, of exchanges AS x.
var summaryColumns = "x." + strings.Join([]string{"id", "seq", "kind", "state", "source", "started", "took", "client", "client_proto", "run",
	"method", "url", "target", "proto", "req_head", "req_size", "truncated",
	"status", "status_text", "resp_proto", "type", "mime", "resp_head", "resp_size", "resp_kept",
	"server", "connection", "reused", "answered", "error_stage", "error", "error_hint", "replay_of", "messages", "mark", "comment", "timings",
	"cert_asked", "cert_sent", "cert_verdict", "hop"}, ", x.")

const summaryWidth = 41

// decodeSummary builds an exchange without its details from summaryColumns.
func decodeSummary(v []driver.Value) *capture.Exchange {
	x := &capture.Exchange{
		ID: asInt(v[0]), Seq: asInt(v[1]), Kind: capture.Kind(asString(v[2])), State: capture.State(asString(v[3])), Source: capture.Source(asString(v[4])),
		Started: time.UnixMicro(asInt(v[5])), Time: duration(v[6]),
		Client:          capture.Client{Address: asString(v[7]), HTTPVersion: asString(v[8]), Run: asString(v[9])},
		Request:         capture.Request{Method: asString(v[10]), URL: asString(v[11]), Target: asString(v[12]), HTTPVersion: asString(v[13]), HeadersSize: unknown(v[14]), BodySize: unknown(v[15])},
		ServerIPAddress: asString(v[25]), Connection: asString(v[26]), Reused: asInt(v[27]) != 0, AnsweredBy: capture.Answerer(asString(v[28])),
		ReplayOf: asInt(v[32]), Messages: asInt(v[33]), Mark: asString(v[34]), Comment: asString(v[35]), Timings: decodeTimings(asString(v[36])),
	}
	truncated := asInt(v[16])
	x.Request.Truncated = truncated&truncatedRequest != 0
	if v[19] != nil {
		x.Response = &capture.Response{Status: int(asInt(v[17])), StatusText: asString(v[18]), HTTPVersion: asString(v[19]),
			Content: capture.Content{Size: asInt(v[24]), MimeType: asString(v[20])}, HeadersSize: unknown(v[22]), BodySize: unknown(v[23]),
			Truncated: truncated&truncatedResponse != 0}
		if v[21] != nil {
			x.Response.Content.MimeType = asString(v[21])
		}
	}
	if v[29] != nil || v[30] != nil {
		x.Error = &capture.Error{Stage: capture.Stage(asString(v[29])), Message: asString(v[30]), Hint: asString(v[31])}
	}
	x.Certificate = capture.CertificateOutcome(asInt(v[37]) != 0, v[38] != nil, asString(v[39]))
	if hops := asString(v[40]); hops != "" {
		x.Proxies = strings.Fields(hops)
	}
	return x
}

// duration undoes the absence of a time that HAR writes as -1.
func duration(v driver.Value) float64 {
	if v == nil {
		return -1
	}
	return asFloat(v)
}

func unknown(v driver.Value) int64 {
	if v == nil {
		return -1
	}
	return asInt(v)
}

// encodeTimings writes the phases in HAR's order.
func encodeTimings(t capture.Timings) any {
	if t == capture.NoTimings() {
		return nil
	}
	b := make([]byte, 0, 48)
	for i, f := range [...]float64{t.Blocked, t.DNS, t.Connect, t.SSL, t.Send, t.Wait, t.Receive} {
		if i > 0 {
			b = append(b, ' ')
		}
		if f == -1 {
			b = append(b, '-')
		} else {
			b = strconv.AppendFloat(b, f, 'f', -1, 64)
		}
	}
	return string(b)
}

func decodeTimings(s string) capture.Timings {
	t := capture.NoTimings()
	for _, p := range [...]*float64{&t.Blocked, &t.DNS, &t.Connect, &t.SSL, &t.Send, &t.Wait, &t.Receive} {
		var word string
		word, s, _ = strings.Cut(s, " ")
		if word == "" || word == "-" {
			continue
		}
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return capture.NoTimings()
		}
		*p = f
	}
	return t
}

// rest is what the column rest of details holds, in JSON.
type rest struct {
	RequestTrailer  capture.Header          `json:"requestTrailers,omitzero"`
	ResponseTrailer capture.Header          `json:"responseTrailers,omitzero"`
	Informational   []capture.Informational `json:"informational,omitzero"`
	Route           *capture.Route          `json:"route,omitempty"`
	ClientTLS       *capture.ClientTLS      `json:"clientTLS,omitempty"`
	ClientRequest   *capture.Request        `json:"clientRequest,omitempty"`
	ClientResponse  *capture.Response       `json:"clientResponse,omitempty"`
}

// appendRest writes what encoding/json makes of rest, nothing where all of it is absent. Routes, the client's
// TLS and, from clients that speak HTTP/1 with hop-by-hop fields, the client's own side come with each exchange and are
// written by hand; the others are rare.
func appendRest(b []byte, x *capture.Exchange) ([]byte, error) {
	var responseTrailer capture.Header
	var informational []capture.Informational
	if x.Response != nil {
		responseTrailer, informational = x.Response.Trailer, x.Response.Informational
	}
	var err error
	start := len(b)
	key := func(name string) {
		c := byte(',')
		if len(b) == start {
			c = '{'
		}
		b = append(append(append(b, c, '"'), name...), `":`...)
	}
	value := func(name string, v any) {
		if err != nil {
			return
		}
		key(name)
		var j []byte
		j, err = json.Marshal(v)
		b = append(b, j...)
	}
	if x.Request.Trailer != nil {
		key("requestTrailers")
		b = appendHeader(b, x.Request.Trailer)
	}
	if responseTrailer != nil {
		key("responseTrailers")
		b = appendHeader(b, responseTrailer)
	}
	if informational != nil {
		value("informational", informational)
	}
	if r := x.Route; r != nil {
		if plainRoute(r) {
			key("route")
			b = appendRoute(b, r)
		} else {
			value("route", r)
		}
	}
	if t := x.ClientTLS; t != nil {
		key("clientTLS")
		for i, f := range [...]struct{ name, value string }{{"version", t.Version}, {"cipherSuite", t.CipherSuite}, {"alpn", t.ALPN}, {"serverName", t.ServerName}} {
			c := byte(',')
			if i == 0 {
				c = '{'
			}
			b = appendString(append(append(append(b, c, '"'), f.name...), `":`...), f.value)
		}
		b = append(b, '}')
	}
	if x.Client.Request != nil {
		key("clientRequest")
		b = appendRequest(b, x.Client.Request)
	}
	if p := x.Client.Response; p != nil {
		if p.Informational != nil {
			value("clientResponse", p)
		} else {
			key("clientResponse")
			b = appendResponse(b, p)
		}
	}
	if len(b) > start {
		b = append(b, '}')
	}
	return b, err
}

// appendRequest writes the JSON of a request.
func appendRequest(b []byte, r *capture.Request) []byte {
	b = appendString(append(b, `{"method":`...), r.Method)
	b = appendString(append(b, `,"url":`...), r.URL)
	if r.Target != "" {
		b = appendString(append(b, `,"target":`...), r.Target)
	}
	b = appendString(append(b, `,"httpVersion":`...), r.HTTPVersion)
	b = appendFields(b, r.Header, r.Trailer)
	b = appendSizes(b, r.HeadersSize, r.BodySize)
	if r.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(b, '}')
}

// appendResponse writes the JSON of a response without 1xx answers before it.
func appendResponse(b []byte, p *capture.Response) []byte {
	b = strconv.AppendInt(append(b, `{"status":`...), int64(p.Status), 10)
	b = appendString(append(b, `,"statusText":`...), p.StatusText)
	b = appendString(append(b, `,"httpVersion":`...), p.HTTPVersion)
	b = appendFields(b, p.Header, p.Trailer)
	b = strconv.AppendInt(append(b, `,"content":{"size":`...), p.Content.Size, 10)
	b = append(appendString(append(b, `,"mimeType":`...), p.Content.MimeType), '}')
	b = appendSizes(b, p.HeadersSize, p.BodySize)
	return append(strconv.AppendBool(append(b, `,"truncated":`...), p.Truncated), '}')
}

func appendFields(b []byte, header, trailer capture.Header) []byte {
	if header != nil {
		b = appendHeader(append(b, `,"headers":`...), header)
	}
	if trailer != nil {
		b = appendHeader(append(b, `,"trailers":`...), trailer)
	}
	return b
}

func appendSizes(b []byte, head, body int64) []byte {
	b = strconv.AppendInt(append(b, `,"headersSize":`...), head, 10)
	return strconv.AppendInt(append(b, `,"bodySize":`...), body, 10)
}

// plainRoute says whether appendRoute can write the route: no hop with more than a direct one has, no duration that JSON
// would write otherwise.
func plainRoute(r *capture.Route) bool {
	if r.Hops == nil {
		return false
	}
	for i := range r.Hops {
		h := &r.Hops[i]
		for _, d := range [...]float64{h.DNS, h.Connect} {
			if d != -1 && d != 0 && !(d >= 1e-6 && d < 1e21) {
				return false
			}
		}
		if h.TLS != nil || h.StatusText != "" || len(h.ResponseHeader) > 0 || h.Time != 0 || h.Error != "" {
			return false
		}
	}
	return true
}

func appendRoute(b []byte, r *capture.Route) []byte {
	b = appendString(append(b, `{"source":`...), r.Source)
	if r.Reason != "" {
		b = appendString(append(b, `,"reason":`...), r.Reason)
	}
	b = append(b, `,"hops":[`...)
	for i := range r.Hops {
		h := &r.Hops[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"kind":`...), h.Kind)
		b = appendString(append(b, `,"address":`...), h.Address)
		b = strconv.AppendFloat(append(b, `,"dns":`...), h.DNS, 'f', -1, 64)
		b = strconv.AppendFloat(append(b, `,"connect":`...), h.Connect, 'f', -1, 64)
		if h.Status != 0 {
			b = strconv.AppendInt(append(b, `,"status":`...), int64(h.Status), 10)
		}
		if h.Authentication != "" {
			b = appendString(append(b, `,"authentication":`...), h.Authentication)
		}
		if h.Reused {
			b = append(b, `,"reused":true`...)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// detailColumns are what decodeDetails reads, of details AS d and receipts AS c.
const (
	detailColumns = "d.req_headers, d.resp_headers, d.rest, c.receipt"
	detailWidth   = 4
)

// decodeDetails adds to x what its summary lacks, and takes away what only a summary has.
func decodeDetails(x *capture.Exchange, v []driver.Value) error {
	x.Certificate, x.Proxies = "", nil
	for i, into := range []any{&x.Request.Header, new(capture.Header), new(rest), &x.TLS} {
		if v[i] != nil {
			if err := json.Unmarshal(asBytes(v[i]), into); err != nil {
				return fmt.Errorf("the details of exchange %d are damaged: %w", x.ID, err)
			}
		}
		switch into := into.(type) {
		case *rest:
			x.Request.Trailer, x.Route, x.ClientTLS, x.Client.Request, x.Client.Response = into.RequestTrailer, into.Route, into.ClientTLS, into.ClientRequest, into.ClientResponse
			if x.Response != nil {
				x.Response.Trailer, x.Response.Informational = into.ResponseTrailer, into.Informational
			}
		case *capture.Header:
			if i == 1 && x.Response != nil {
				x.Response.Header = *into
			}
		}
	}
	return nil
}
