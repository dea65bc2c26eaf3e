//go:build unix

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
	before := cpuTime()
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
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
