package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

func TestClassify(t *testing.T) {
	for s, want := range map[string]protocol{
		"\x16\x03\x01":                 speaksTLS,
		"\x16\x04":                     speaksOther,
		preface:                        speaksHTTP2,
		"GET / HTTP/1.1\r\n":           speaksHTTP1,
		"\r\nGET / HTTP/1.1\r\n":       speaksHTTP1,
		"get / http/1.0\r\n":           speaksHTTP1,
		"GET /x\r\n":                   speaksHTTP1, // HTTP/0.9, or a broken request: refused
		"\x00GET / HTTP/1.1\r\n":       speaksHTTP1,
		"G(T / HTTP/1.1\r\n":           speaksHTTP1,
		"GET x\r\n":                    speaksOther,
		"OPTIONS sip:a SIP/2.0\r\n":    speaksOther,
		"PING\r\n":                     speaksOther,
		"EHLO mail.test\r\n":           speaksOther,
		"SSH-2.0-OpenSSH_9\r\n":        speaksOther,
		"*1\r\n$4\r\nPING\r\n":         speaksOther,
		"\x00\x00\x00\x08\x04\xd2\x16": speaksOther,
		strings.Repeat("A", 40):        speaksOther,
	} {
		if got, known := classify([]byte(s)); !known || got != want {
			t.Errorf("%q: %v %v, want %v", s, got, known, want)
		}
	}
	for _, s := range []string{"\x16", "G", "GET /", "PRI * HTT", "\r\n", "P"} {
		if got, known := classify([]byte(s)); known {
			t.Errorf("%q is taken for %v too early", s, got)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		// What is known of a beginning stays so, whatever follows.
		for n := 1; n <= len(b); n++ {
			if p, known := classify(b[:n]); known {
				if q, _ := classify(b); q != p && p != speaksHTTP1 && p != speaksOther {
					t.Fatalf("%q: %v after %d bytes, %v after all", b, p, n, q)
				}
				return
			}
		}
	})
}

// frame is one WebSocket frame.
func frame(fin bool, op byte, mask []byte, payload []byte) []byte {
	b := []byte{op, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if mask == nil {
		return append(b, payload...)
	}
	b[1] |= 0x80
	b = append(b, mask...)
	for i, p := range payload {
		b = append(b, p^mask[i%4])
	}
	return b
}

func TestFrameTapInAnyPieces(t *testing.T) {
	mask := []byte{1, 2, 3, 4}
	big := bytes.Repeat([]byte("x"), 70_000)
	stream := bytes.Join([][]byte{
		frame(true, opText, mask, []byte("one")),
		frame(false, opBinary, nil, []byte("tw")),
		frame(true, opPing, mask, []byte("p")),
		frame(true, opContinuation, nil, []byte("o")),
		frame(true, opText, mask, nil),
		frame(true, opBinary, mask, big),
		frame(true, opClose, mask, append(binary.BigEndian.AppendUint16(nil, 1001), "away"...)),
	}, nil)
	want := []string{"text one", "ping p", "binary two", "text ", "binary " + string(big), "close 1001 away"}
	for _, step := range []int{1, 2, 7, 1000, len(stream)} {
		k := &kept{m: newMemory()}
		tap := newFrameTap(k, "sent", nil)
		for rest := stream; len(rest) > 0; {
			n := min(step, len(rest))
			tap.pass(rest[:n])
			rest = rest[n:]
		}
		var got []string
		for _, m := range k.messages {
			got = append(got, m.Kind+" "+string(m.Data))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("in pieces of %d: %.100q", step, got)
		}
	}
}

func FuzzFrameTap(f *testing.F) {
	f.Add(frame(true, opText, nil, []byte("x")), true)
	f.Add([]byte{0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, true) // "Hello", deflated: RFC 7692, 7.2.3.1
	f.Fuzz(func(t *testing.T, b []byte, deflated bool) {
		whole, pieces := &kept{m: newMemory()}, &kept{m: newMemory()}
		var a, c *inflater
		if deflated {
			a, c = &inflater{takeover: true}, &inflater{takeover: true}
		}
		newFrameTap(whole, "sent", a).pass(b)
		tap := newFrameTap(pieces, "sent", c)
		for i := range b {
			tap.pass(b[i : i+1])
		}
		if len(whole.messages) != len(pieces.messages) {
			t.Fatalf("%d messages at once, %d byte by byte", len(whole.messages), len(pieces.messages))
		}
		for i := range whole.messages {
			if !bytes.Equal(whole.messages[i].Data, pieces.messages[i].Data) {
				t.Fatalf("message %d differs", i)
			}
		}
	})
}

func TestInflateKeepsItsContext(t *testing.T) {
	// RFC 7692, 7.2.3.2: the second "Hello" refers to the first.
	k := &kept{m: newMemory()}
	tap := newFrameTap(k, "received", &inflater{takeover: true})
	tap.pass([]byte{0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})
	tap.pass([]byte{0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00})
	if len(k.messages) != 2 || string(k.messages[0].Data) != "Hello" || string(k.messages[1].Data) != "Hello" {
		t.Fatalf("got %+v", k.messages)
	}
}

func TestEventTap(t *testing.T) {
	stream := ": comment\n\ndata: one\r\n\r\nevent: e\rdata: two\r\rdata: three\n\ndata: cut"
	for _, step := range []int{1, 3, len(stream)} {
		k := &kept{m: newMemory()}
		tap := &eventTap{rec: k}
		for rest := stream; len(rest) > 0; {
			n := min(step, len(rest))
			tap.pass([]byte(rest[:n]))
			rest = rest[n:]
		}
		tap.flush()
		var got []string
		for _, m := range k.messages {
			got = append(got, string(m.Data))
		}
		if strings.Join(got, "|") != ": comment|data: one|event: e\ndata: two|data: three|data: cut" {
			t.Errorf("in pieces of %d: %q", step, got)
		}
	}
}

func FuzzTaps(f *testing.F) {
	f.Add([]byte("data: x\n\n"))
	f.Add([]byte{0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &eventTap{rec: &kept{m: newMemory()}}
		e.pass(b)
		e.flush()
		(&grpcTap{rec: &kept{m: newMemory()}, gzip: true}).pass(b)
	})
}

func TestGRPCTap(t *testing.T) {
	k := &kept{m: newMemory()}
	tap := &grpcTap{rec: k, direction: "sent"}
	for _, b := range []byte{0, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x'} {
		tap.pass([]byte{b})
	}
	if len(k.messages) != 3 || string(k.messages[0].Data) != "hi" || len(k.messages[1].Data) != 0 || string(k.messages[2].Data) != "x" {
		t.Fatalf("got %+v", k.messages)
	}
}

func FuzzSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x03\x04host\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, c := net.Pipe()
		defer a.Close()
		go io.Copy(io.Discard, c)
		go func() { c.Write(b); c.Close() }()
		cc := &clientConn{Conn: a, tcp: a, br: bufio.NewReader(a)}
		if tgt, err := cc.socks(); err == nil && (tgt.host == "" || tgt.port < 1 || tgt.port > 65535) {
			t.Fatalf("%q leads to %+v", b, tgt)
		}
	})
}

func FuzzSplitAuthority(f *testing.F) {
	f.Add("host:80")
	f.Add("[::1]:8080")
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := splitAuthority(s, 80)
		if err == nil && (host == "" || port < 1 || port > 65535 || strings.ContainsAny(host, " \r\n/")) {
			t.Fatalf("%q is split into %q and %d", s, host, port)
		}
	})
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	r := start(t, nil)
	began := make(chan struct{})
	addr := tcpOrigin(t, func(c net.Conn) { close(began); io.Copy(io.Discard, c) })
	c := r.dial()
	io.WriteString(c, "GET http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	within(t, began, "the request")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.p.Shutdown(ctx); err == nil {
		t.Fatal("a request without an answer ended by itself")
	}
	if x := r.mem.finished(t, 1)[0].x; x.State != capture.StateFailed || !strings.Contains(x.Error.Message, "eaves was stopped") {
		t.Fatalf("recorded %+v %+v", x, x.Error)
	}
}
