package wire

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

const browserRequest = "GET /static/app/main.3f2a1b.js?v=17 HTTP/1.1\r\n" +
	"Host: www.example.test\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.test/start\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n" +
	"Sec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n" +
	"Connection: keep-alive\r\n\r\n"

const plainResponse = "HTTP/1.1 200 OK\r\n" +
	"Date: Mon, 02 Nov 2026 10:00:00 GMT\r\nServer: nginx/1.27.0\r\nContent-Type: application/json\r\n" +
	"Content-Length: 12\r\nCache-Control: no-cache, private\r\nVary: Accept-Encoding\r\n" +
	"Set-Cookie: a=b; Path=/; HttpOnly\r\nX-Request-Id: 4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n"

func BenchmarkReadRequestHead(b *testing.B) {
	src := strings.NewReader(browserRequest)
	r := bufio.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(browserRequest)
		r.Reset(src)
		if _, err := ReadRequestHead(r, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadRequestHeadInPieces(b *testing.B) {
	src := strings.NewReader(browserRequest)
	r := bufio.NewReaderSize(src, 64)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(browserRequest)
		r.Reset(src)
		if _, err := ReadRequestHead(r, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadResponseHead(b *testing.B) {
	src := strings.NewReader(plainResponse)
	r := bufio.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(plainResponse)
		r.Reset(src)
		h, err := ReadResponseHead(r, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.Framing("GET"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSendOn(b *testing.B) {
	h, err := ReadRequestHead(bufio.NewReader(strings.NewReader(browserRequest)), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	before, after := h.Fields.Map(), h.Fields.Map()
	w := bufio.NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		f := NormaliseRequest(Merge(h.Fields, before, after), Framing{}, "www.example.test")
		if err := WriteRequestHead(w, h.Method, h.Path, h.Proto, f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	h, _ := ReadRequestHead(bufio.NewReader(strings.NewReader(browserRequest)), Limits{})
	b.ReportAllocs()
	for b.Loop() {
		h.Fields.Map()
	}
}

func BenchmarkBodyCopy(b *testing.B) {
	const size = 8 << 20
	for name, f := range map[string]Framing{"length": {Kind: Length, Length: size}, "chunked": {Kind: Chunked}} {
		var buf bytes.Buffer
		w := bufio.NewWriterSize(&buf, 32<<10)
		bw := NewBodyWriter(w, f)
		piece := make([]byte, 32<<10)
		for range size / len(piece) {
			_, _ = bw.Write(piece)
		}
		if err := bw.Close(nil); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			src := bytes.NewReader(buf.Bytes())
			r := bufio.NewReaderSize(src, 16<<10)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(buf.Bytes())
				r.Reset(src)
				if n, err := io.Copy(plainWriter{}, NewBody(r, f, Limits{})); n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// plainWriter has no ReadFrom.
type plainWriter struct{}

func (plainWriter) Write(p []byte) (int, error) { return len(p), nil }
