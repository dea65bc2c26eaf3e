package rawtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/proxy/wire"
)

// smuggled are requests of HTTP/2 which become two, or others, in the hands of who writes them down as HTTP/1 without
// looking (published as H2.CL, H2.TE, request splitting through CRLF injection). pass: it is well-formed.
var smuggled = []struct {
	name   string
	fields []string // name, value, name, value …; "" for a pseudo field leaves it out
	body   string
	pass   bool
}{
	{name: "plain", pass: true},
	{name: "with body", fields: []string{":method", "POST"}, body: "hello", pass: true},
	{name: "right content-length", fields: []string{":method", "POST", "content-length", "5"}, body: "hello", pass: true},
	{name: "te trailers", fields: []string{"te", "trailers"}, pass: true},
	{name: "cookie crumbs", fields: []string{"cookie", "a=b", "cookie", "c=d"}, pass: true},
	{name: "bytes over 127", fields: []string{"x", "\xe9"}, pass: true},
	{name: "short content-length", fields: []string{":method", "POST", "content-length", "2"}, body: "hello"},
	{name: "long content-length", fields: []string{":method", "POST", "content-length", "9"}, body: "hello"},
	{name: "content-length without body", fields: []string{":method", "POST", "content-length", "9"}},
	{name: "content-length 0 with body", fields: []string{":method", "POST", "content-length", "0"}, body: "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"},
	{name: "content-length with sign", fields: []string{":method", "POST", "content-length", "+5"}, body: "hello"},
	{name: "content-length twice", fields: []string{":method", "POST", "content-length", "5", "content-length", "6"}, body: "hello"},
	{name: "content-length as list", fields: []string{":method", "POST", "content-length", "5, 5"}, body: "hello"},
	{name: "transfer-encoding", fields: []string{":method", "POST", "transfer-encoding", "chunked"}, body: "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"},
	{name: "connection", fields: []string{"connection", "close"}},
	{name: "te other than trailers", fields: []string{"te", "gzip"}},
	{name: "upgrade", fields: []string{"upgrade", "websocket"}},
	{name: "CRLF in a value", fields: []string{"x", "y\r\nTransfer-Encoding: chunked"}},
	{name: "LF in a value", fields: []string{"x", "y\nz: a"}},
	{name: "CR in a value", fields: []string{"x", "y\rz"}},
	{name: "NUL in a value", fields: []string{"x", "y\x00z"}},
	{name: "vertical tab in a value", fields: []string{"x", "y\x0bz"}},
	{name: "escape in a value", fields: []string{"x", "y\x1bz"}},
	{name: "space before a value", fields: []string{"x", " y"}, pass: true}, // not allowed, but nobody misunderstands it
	{name: "space behind a value", fields: []string{"x", "y\t"}, pass: true},
	{name: "CRLF in a name", fields: []string{"x: y\r\nz", "a"}},
	{name: "colon in a name", fields: []string{"transfer-encoding: chunked\r\nx", "y"}},
	{name: "capitals in a name", fields: []string{"X-Upper", "y"}},
	{name: "space in a name", fields: []string{"x y", "z"}},
	{name: "colon at the end of a name", fields: []string{"x:", "z"}},
	{name: "empty name", fields: []string{"", "z"}},
	{name: "NUL in a name", fields: []string{"x\x00", "z"}},
	{name: "unknown pseudo field", fields: []string{":x", "y"}},
	{name: "pseudo field behind others", fields: []string{"x", "y", ":path", "/z"}},
	{name: "path with a space", fields: []string{":path", "/x y"}},
	{name: "path with a version", fields: []string{":path", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled"}},
	{name: "path with CRLF", fields: []string{":path", "/\r\nX: y"}},
	{name: "path with NUL", fields: []string{":path", "/\x00"}},
	{name: "path empty", fields: []string{":path", ""}},
	{name: "path without slash", fields: []string{":path", "x"}},
	{name: "path with URL", fields: []string{":path", "http://other.test/"}},
	{name: "path * of GET", fields: []string{":path", "*"}},
	{name: "method with a space", fields: []string{":method", "GET /smuggled HTTP/1.1\r\n\r\nGET"}},
	{name: "method empty", fields: []string{":method", ""}},
	{name: "method with NUL", fields: []string{":method", "G\x00T"}},
	{name: "authority with CRLF", fields: []string{":authority", "x\r\nX: y"}},
	{name: "authority with a space", fields: []string{":authority", "a b"}},
	{name: "authority with a path", fields: []string{":authority", "a/b"}},
	{name: "authority with userinfo", fields: []string{":authority", "u@a"}},
	{name: "scheme with CRLF", fields: []string{":scheme", "https://x\r\n"}},
	{name: "host that differs", fields: []string{"host", "other.test"}},
	{name: "two hosts", fields: []string{"host", "a.test", "host", "b.test"}},
}

func TestHTTP2Smuggling(t *testing.T) {
	r := newRig(t)
	for _, c := range smuggled {
		t.Run(c.name, func(t *testing.T) {
			o, err := r.origin(true)
			if err != nil {
				t.Fatal(err)
			}
			defer o.close()
			received := make(chan []byte, 16)
			go func() {
				defer close(received)
				for p := range o.peers {
					h, err := wire.ReadRequestHead(p.r, wire.Limits{})
					if err == nil {
						f, _ := h.Framing()
						if _, err = io.Copy(io.Discard, wire.NewBody(p.r, f, wire.Limits{})); err == nil {
							_ = p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
						}
					}
					p.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
					_, _ = io.Copy(io.Discard, p.r)
					p.conn.Close()
					received <- p.got.Bytes()
				}
			}()
			status, err := r.h2request(o.l.Addr().String(), c.fields, c.body)
			if isTimeout(err) {
				t.Fatal("silence")
			}
			o.l.Close()
			var got [][]byte
			for b := range received {
				if len(b) > 0 {
					got = append(got, b)
				}
			}
			if c.pass {
				if status != "200" || len(got) != 1 {
					t.Fatalf("status %q, %v; the origin got %q", status, err, got)
				}
			} else if status == "200" && c.name != "content-length 0 with body" { // that may be answered before its body comes
				t.Errorf("it was taken; the origin got %q", got)
			}
			for _, b := range got {
				end := bytes.Index(b, []byte("\r\n\r\n"))
				if end < 0 || lint(string(b[:end+4]), requestLine) != nil || bytes.Contains(b[:end], []byte("smuggled")) || bytes.Count(b, []byte(" HTTP/1.1\r\n")) != 1 {
					t.Errorf("the origin got %q", b)
				}
			}
		})
	}
}

// h2request sends one request in raw HTTP/2 and returns the answer's status, or why there is none.
func (r *rig) h2request(host string, fields []string, body string) (string, error) {
	client, err := r.client("tunnel", host)
	if err != nil {
		return "", err
	}
	defer client.conn.Close()
	tc := tls.Client(client.conn, &tls.Config{RootCAs: r.roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
	if err := tc.Handshake(); err != nil {
		return "", err
	}
	if _, err := io.WriteString(tc, http2.ClientPreface); err != nil {
		return "", err
	}
	fr := http2.NewFramer(tc, tc)
	if err := fr.WriteSettings(); err != nil {
		return "", err
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	pseudo := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", "/"}}
	var rest [][2]string
	for i := 0; i < len(fields); i += 2 {
		f := [2]string{fields[i], fields[i+1]}
		replaced := false
		for j := range pseudo {
			if pseudo[j][0] == f[0] && len(rest) == 0 {
				pseudo[j], replaced = f, true
			}
		}
		if !replaced {
			rest = append(rest, f)
		}
	}
	for _, f := range append(pseudo, rest...) {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return "", err
		}
	}
	if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""}); err != nil {
		return "", err
	}
	if body != "" {
		if err := fr.WriteData(1, true, []byte(body)); err != nil {
			return "", err
		}
	}
	dec := hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "", err
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			hf, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil || len(hf) == 0 {
				return "", errors.New("an answer without head")
			}
			return hf[0].Value, nil
		case *http2.RSTStreamFrame:
			return "", errors.New("reset: " + f.ErrCode.String())
		case *http2.GoAwayFrame:
			return "", errors.New("goaway: " + f.ErrCode.String())
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := fr.WriteSettingsAck(); err != nil {
					return "", err
				}
			}
		}
	}
}
