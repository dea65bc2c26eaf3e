package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"eaves/proxy/wire"
)

// BenchmarkReusedCall measures a small call over a connection that is there, against a server that does next to nothing.
func BenchmarkReusedCall(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: x\r\nContent-Length: 2\r\n\r\nok")
	u := rawServer(b, func(c net.Conn, br *bufio.Reader) {
		_ = c.SetDeadline(time.Time{})
		for {
			for {
				line, err := br.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			c.Write(answer)
		}
	})
	c := testClient(b, Config{})
	base := callTo(b, "GET", u+"/some/path?with=query")
	base.Fields = append(base.Fields, wire.Field{Name: "User-Agent", Value: "bench", Line: "User-Agent: bench"}, wire.Field{Name: "Accept", Value: "*/*", Line: "Accept: */*"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		call := *base
		call.Receipt = new(Receipt)
		resp, err := c.Do(ctx, &call)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := resp.Body.(io.WriterTo).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

// BenchmarkHTTP2Call measures a small call over HTTP/2, the cost of net/http's server included.
func BenchmarkHTTP2Call(b *testing.B) {
	srv, c := h2Server(b, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	base := h2Call(b, "GET", srv.URL+"/")
	b.ReportAllocs()
	for b.Loop() {
		call := *base
		call.Receipt = new(Receipt)
		resp, err := c.Do(context.Background(), &call)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}
