package store

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// throughRow encodes an exchange and decodes its summary from the same values.
func throughRow(x *capture.Exchange, reqKept, respKept int64) *capture.Exchange {
	names := append(filter.Columns(), ownColumns[:]...)
	values := newRowEncoder().encode(x, reqKept, respKept)
	var row []driver.Value
	for _, column := range strings.Split(summaryColumns, ", ") {
		row = append(row, values[slices.Index(names, strings.TrimPrefix(column, "x."))])
	}
	return decodeSummary(row)
}

func TestColumnsAreThoseOfTheTable(t *testing.T) {
	s := openStore(t, Config{})
	var there []string
	err := s.pool.use(testContext(t), func(c *conn) error {
		var dest [1]driver.Value
		return c.each(testContext(t), "SELECT name FROM pragma_table_info('exchanges')", nil, dest[:], func() error {
			there = append(there, asString(dest[0]))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	names := append(filter.Columns(), ownColumns[:]...)
	slices.Sort(there)
	slices.Sort(names)
	if !slices.Equal(there, names) {
		t.Errorf("table %v\nencoder %v", there, names)
	}
	if n := len(strings.Split(summaryColumns, ", ")); n != summaryWidth {
		t.Errorf("%d columns in a summary, the constant says %d", n, summaryWidth)
	}
}

func TestSummarySaysWhatBecameOfACertificate(t *testing.T) {
	sent := &capture.Certificate{Subject: "CN=alice"}
	for _, c := range []struct {
		receipt *capture.ClientCertificate
		want    string
	}{
		{nil, ""},
		{&capture.ClientCertificate{Verdict: "not-requested", Rule: "*.a.test:443"}, ""},
		{&capture.ClientCertificate{Requested: true, Verdict: "no-rule"}, "asked"},
		{&capture.ClientCertificate{Requested: true, Verdict: "rejected", Alert: "certificate_required"}, "rejected"},
		{&capture.ClientCertificate{Requested: true, Sent: sent, Verdict: "unknown"}, "sent"},
		{&capture.ClientCertificate{Requested: true, Sent: &capture.Certificate{}, Verdict: "accepted"}, "accepted"},
		{&capture.ClientCertificate{Requested: true, Sent: sent, Verdict: "rejected"}, "rejected"},
	} {
		x := &capture.Exchange{ID: 1, Time: -1, Timings: capture.NoTimings(), TLS: &capture.TLS{ClientCertificate: c.receipt}}
		if got := throughRow(x, 0, 0).Certificate; got != c.want {
			t.Errorf("%+v through the store: %q, want %q", c.receipt, got, c.want)
		}
		if got := x.Summary().Certificate; got != c.want || x.Certificate != "" {
			t.Errorf("%+v as a summary: %q, want %q; the exchange itself has %q", c.receipt, got, c.want, x.Certificate)
		}
	}
	x := throughRow(&capture.Exchange{ID: 1, TLS: &capture.TLS{ClientCertificate: &capture.ClientCertificate{Requested: true}}}, 0, 0)
	if got := x.Summary().Certificate; got != "asked" {
		t.Errorf("the summary of a summary has %q", got)
	}
	if err := decodeDetails(x, make([]driver.Value, detailWidth)); err != nil || x.Certificate != "" {
		t.Errorf("with its details, an exchange has %q (%v)", x.Certificate, err)
	}
}

func FuzzRow(f *testing.F) {
	f.Add("GET", "https://a.test/x", "*", "HTTP/1.1", "OK", "text/html; charset=x", "boom", "hint", "red", "c", 200, int64(5), int64(-1), int64(0), 1.5, true)
	f.Add("", "", "", "", "", "", "", "", "", "", 0, int64(-1), int64(0), int64(9), -1.0, false)
	f.Add("\x00", "tcp://\xff:1", " ", "é", "\x00", "TEXT/HTML", "\xff", "", "☃", "\n", 999, int64(1)<<40, int64(7), int64(-1), 0.0, true)
	f.Fuzz(func(t *testing.T, method, url, target, proto, reason, mime, message, hint, mark, comment string, status int, n, size, replay int64, took float64, flag bool) {
		if status < 0 || took != took || took < 0 && took != -1 || n < -1 || size < -1 {
			t.Skip()
		}
		x := &capture.Exchange{ID: 3, Seq: 9, Kind: capture.KindHTTP, State: capture.StateDone, Source: capture.SourceReplay, Started: time.UnixMicro(size), Time: took,
			Client: capture.Client{Address: target, HTTPVersion: proto, Run: mark}, ServerIPAddress: hint, Connection: comment, Reused: flag, AnsweredBy: capture.AnsweredByProxy,
			Request:  capture.Request{Method: method, URL: url, Target: target, HTTPVersion: proto, HeadersSize: n, BodySize: size, Truncated: flag},
			Timings:  capture.Timings{Blocked: took, DNS: -1, Connect: float64(n), SSL: 0, Send: took / 3, Wait: -1, Receive: 1e-9},
			ReplayOf: replay, Messages: max(n, 0), Mark: mark, Comment: comment}
		if flag {
			x.Response = &capture.Response{Status: status, StatusText: reason, HTTPVersion: proto, HeadersSize: size, BodySize: n, Content: capture.Content{Size: max(size, 0), MimeType: mime}, Truncated: n%2 == 0}
		}
		if message != "" {
			x.Error = &capture.Error{Stage: capture.StageTLS, Message: message, Hint: hint}
		}
		var respKept int64
		if x.Response != nil {
			respKept = x.Response.Content.Size
		}
		got, want := throughRow(x, 0, respKept), x.Summary()
		// A text that SQLite compares holds no NUL.
		for _, s := range []*string{&want.Request.Method, &want.Request.URL, &want.Request.HTTPVersion, &want.Client.Address, &want.Client.Run, &want.Mark, &want.Comment} {
			*s = strings.ReplaceAll(*s, "\x00", "\ufffd")
		}
		if want.Error != nil {
			want.Error = &capture.Error{Stage: want.Error.Stage, Message: strings.ReplaceAll(want.Error.Message, "\x00", "\ufffd"), Hint: want.Error.Hint}
		}
		if got.Response != nil && want.Response != nil && strings.ReplaceAll(want.Response.Content.MimeType, "\x00", "\ufffd") == got.Response.Content.MimeType {
			got.Response.Content.MimeType = want.Response.Content.MimeType
		}
		got.Started = want.Started
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.Response, want, want.Response)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("Content-Type", "text/html", "X", "\xff<&>\u2028\x00\"\\")
	f.Add("", "", "é", "\xe2\x80")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		h := capture.Header{{Name: n1, Value: v1}, {Name: n2, Value: v2}}
		want, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		got := appendHeader(nil, h)
		if !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func FuzzRest(f *testing.F) {
	f.Add("direct", "bypass *.x", "origin", "a.test:443", -1.0, 0.25, 200, "h2", uint8(0xff))
	f.Add("", "", "", "", 0.0, 1e-9, 0, "", uint8(8))
	f.Fuzz(func(t *testing.T, source, reason, kind, address string, dns, connect float64, status int, alpn string, parts uint8) {
		if dns-dns != 0 || connect-connect != 0 {
			t.Skip() // JSON has no such number
		}
		x := &capture.Exchange{Response: &capture.Response{}}
		h := capture.Header{{Name: kind, Value: address}}
		if parts&1 != 0 {
			x.Request.Trailer = h
		}
		if parts&2 != 0 {
			x.Response.Trailer = h
		}
		if parts&4 != 0 {
			x.Response.Informational = []capture.Informational{{Status: status, Header: h}}
		}
		if parts&8 != 0 {
			x.Route = &capture.Route{Source: source, Reason: reason, Hops: []capture.Hop{{Kind: kind, Address: address, DNS: dns, Connect: connect, Status: status, Authentication: alpn}, {DNS: connect, Connect: dns}}}
			if parts&128 != 0 {
				x.Route.Hops[1].TLS = &capture.TLS{ALPN: alpn}
			}
			if parts&64 != 0 {
				x.Route.Hops[0].StatusText, x.Route.Hops[0].ResponseHeader, x.Route.Hops[1].Error = alpn, h, reason
				x.Route.Hops[1].Time, x.Route.Hops[0].Reused = connect, parts&32 != 0
			}
		}
		if parts&16 != 0 {
			x.ClientTLS = &capture.ClientTLS{Version: source, CipherSuite: reason, ALPN: alpn, ServerName: address}
		}
		if parts&32 != 0 {
			x.Client.Request = &capture.Request{Method: kind, URL: address, Target: reason, HTTPVersion: alpn, Header: h, HeadersSize: int64(status), BodySize: -1, Truncated: parts&1 != 0}
		}
		if parts&64 != 0 {
			x.Client.Response = &capture.Response{Status: status, StatusText: reason, HTTPVersion: alpn, Header: h, Trailer: x.Request.Trailer, Informational: x.Response.Informational, Content: capture.Content{Size: int64(status), MimeType: kind}, HeadersSize: -1, BodySize: int64(status), Truncated: parts&1 != 0}
		}
		got, err := appendRest(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		want := rest{x.Request.Trailer, x.Response.Trailer, x.Response.Informational, x.Route, x.ClientTLS, x.Client.Request, x.Client.Response}
		wanted, err := json.Marshal(&want)
		if err != nil {
			t.Fatal(err)
		}
		if string(wanted) == "{}" {
			wanted = nil
		}
		if !bytes.Equal(got, wanted) {
			t.Errorf("got  %s\nwant %s", got, wanted)
		}
	})
}
