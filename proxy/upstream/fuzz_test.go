package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// says is a client whose every connection leads to a server that says just that, whatever it is asked, and closes.
func says(answer []byte) *Client {
	return New(Config{ResponseTimeout: time.Second, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go io.Copy(io.Discard, there)
		go func() {
			there.Write(answer)
			there.Close()
		}()
		return here, nil
	}})
}

// check sends a call, whatever comes back, and holds what comes to what the package promises.
func check(t *testing.T, c *Client, call *Call) {
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	resp, err := c.Do(ctx, call)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Message == "" || e.Stage == "" || e.Status != 502 && e.Status != 504 {
			t.Fatalf("got %#v", err)
		}
		if ctx.Err() != nil {
			t.Fatalf("it hangs: %v", err)
		}
		return
	}
	if resp.Status < 200 || resp.Status > 999 {
		t.Fatalf("got status %d", resp.Status)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.Framing.Length > 0 && call.Method != "HEAD" && n != resp.Framing.Length {
		t.Fatalf("an answer of %d bytes ended as if whole after %d", resp.Framing.Length, n)
	}
	if ctx.Err() != nil {
		t.Fatalf("it hangs: %v", err)
	}
	resp.Body.Close()
}

func FuzzHTTP1Answer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nuntil close"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		check(t, says(answer), &Call{Scheme: "http", Host: "127.0.0.1", Port: 80, Method: "GET", Target: "/", Receipt: new(Receipt)})
	})
}

func FuzzHTTP2Server(f *testing.F) {
	frames := func(write func(fr *http2.Framer, block []byte)) []byte {
		var b, block bytes.Buffer
		henc := hpack.NewEncoder(&block)
		henc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		henc.WriteField(hpack.HeaderField{Name: "content-length", Value: "5"})
		fr := http2.NewFramer(&b, nil)
		fr.WriteSettings()
		write(fr, block.Bytes())
		return b.Bytes()
	}
	f.Add(frames(func(fr *http2.Framer, block []byte) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
		fr.WriteData(1, true, []byte("hello"))
	}))
	f.Add(frames(func(fr *http2.Framer, block []byte) {
		fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
		fr.WriteContinuation(1, true, nil)
		fr.WriteDataPadded(1, false, []byte("hel"), make([]byte, 3))
		fr.WritePing(false, [8]byte{})
		fr.WriteWindowUpdate(0, 10)
		fr.WriteRSTStream(1, http2.ErrCodeInternal)
		fr.WriteGoAway(1, http2.ErrCodeNo, []byte("bye"))
	}))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := says(answer)
		call := &Call{Scheme: "http", Host: "127.0.0.1", Port: 80, Method: "GET", Target: "/", HTTP2: true, Receipt: new(Receipt)}
		check(t, c, call)
	})
}

func FuzzDistinguishedName(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		if distinguishedName(der) == "" && len(der) > 2 {
			t.Errorf("% x has no name", der)
		}
	})
}

// The fuzzers' server is one, whatever else they find.
func TestSays(t *testing.T) {
	c := says([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	defer c.Close()
	resp, err := c.Do(testContext(t), &Call{Scheme: "http", Host: "127.0.0.1", Port: 80, Method: "GET", Target: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(bufio.NewReader(resp.Body)); err != nil || string(b) != "ok" {
		t.Errorf("got %q %v", b, err)
	}
}

// What servers name as CAs that they accept can be anything.
func FuzzNamesOfCAs(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x30, 0})
	f.Add([]byte{0x30, 13, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, 'c', 'a'})
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(distinguishedName(der)) > 0 != (len(shortName(der)) > 0) {
			t.Errorf("%x: %q and %q", der, distinguishedName(der), shortName(der))
		}
		_ = someNames([][]byte{der, der, der, der})
	})
}
