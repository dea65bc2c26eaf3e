package store

import (
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// realistic is an exchange as browsers make them.
func realistic(i int) *capture.Exchange {
	x := sample(i)
	x.Request.Header = capture.Header{{Name: "Host", Value: "host.test"}, {Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}, {Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "Accept-Language", Value: "en-US,en;q=0.9"}, {Name: "Cookie", Value: strings.Repeat("session=0123456789abcdef; ", 6)}, {Name: "Referer", Value: "https://host.test/page"}}
	return x
}

func realisticAnswer(x *capture.Exchange) {
	answer(200, "application/json; charset=utf-8")(x)
	x.Response.Header = append(x.Response.Header, capture.Header{{Name: "Date", Value: "Sat, 21 Nov 2026 22:00:00 GMT"}, {Name: "Content-Length", Value: "1024"}, {Name: "Server", Value: "nginx"},
		{Name: "Cache-Control", Value: "no-store, max-age=0"}, {Name: "ETag", Value: `"5f3c-1234567890"`}, {Name: "Strict-Transport-Security", Value: "max-age=63072000"}, {Name: "Vary", Value: "Accept-Encoding"}}...)
}

// BenchmarkRecord measures all that recording one exchange with a body of 1 KiB costs, up to its commit.
func BenchmarkRecord(b *testing.B) {
	s := openStore(b, Config{})
	body := []byte(strings.Repeat(`{"name":"value"},`, 61)[:1024])
	receipt := &capture.TLS{Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ALPN: "h2", ServerName: "host.test", Verified: true,
		PeerCertificates: []capture.Certificate{{Subject: "CN=host.test", Issuer: "CN=Issuer", Serial: "0123456789", DNSNames: []string{"host.test", "*.host.test"}, SHA256: strings.Repeat("ab", 32), NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0)}}}
	b.ReportAllocs()
	before := processCPU()
	b.ResetTimer()
	for i := range b.N {
		r := s.Begin(realistic(i))
		r.Update(func(x *capture.Exchange) {
			realisticAnswer(x)
			x.TLS = receipt
		})
		r.Body(capture.SideResponse, body)
		r.Finish(done)
	}
	flush(b, s)
	b.ReportMetric(float64((processCPU()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkEncodeRow measures what makes the values of a row and of its details, without the database.
func BenchmarkEncodeRow(b *testing.B) {
	e := newRowEncoder()
	x := realistic(1)
	x.Route = &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: "host.test:443", DNS: 1.5, Connect: 12.25}}}
	x.ClientTLS = &capture.ClientTLS{Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ALPN: "h2", ServerName: "host.test"}
	realisticAnswer(x)
	var request, response, rest []byte
	b.ReportAllocs()
	for b.Loop() {
		e.encode(x, 0, 1024)
		request, response = appendHeader(request[:0], x.Request.Header), appendHeader(response[:0], x.Response.Header)
		var err error
		if rest, err = appendRest(rest[:0], x); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTee measures what a body's capture costs the goroutine that passes it on, piece by piece.
func BenchmarkTee(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "64KiB": 64 << 10, "1MiB-file": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			s := openStore(b, Config{})
			piece := make([]byte, min(size, 32<<10))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r := &recording{store: s, id: 1, x: &capture.Exchange{}}
				for range size / len(piece) {
					r.Body(capture.SideResponse, piece)
				}
				s.held.Add(-int64(len(r.resp.buf)))
				r.resp.drop(&s.buffers)
			}
		})
	}
}
