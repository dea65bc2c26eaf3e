package pcap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"eaves/capture"
)

// exchange writes one exchange into its connection.
type exchange struct {
	c      *connection
	ctx    context.Context
	source Source
	x      *capture.Exchange
	clock  times
}

// body opens a body; nil where there is none.
func (e *exchange) body(side capture.Side) (io.ReadCloser, error) {
	b, err := e.source.Body(e.ctx, e.x.ID, side)
	if errors.Is(err, capture.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if b.Size() == 0 {
		return nil, b.Close()
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(b, 0, b.Size()), b}, nil
}

// http1 writes an exchange as HTTP/1 (RFC 9112).
func (e *exchange) http1() error {
	q := &e.x.Request
	e.c.at(e.clock.request)
	if err := e.head(toServer, fmt.Sprintf("%s %s %s\r\n", q.Method, e.x.RequestTarget(), version(q.HTTPVersion)), q.Header, q.Truncated); err != nil {
		return err
	}
	upgraded := e.x.Response != nil && (e.x.Response.Status == 101 || e.x.Kind == capture.KindTunnel)
	if !upgraded {
		if err := e.content(toServer, capture.SideRequest, q.Header, q.Trailer); err != nil {
			return err
		}
	}
	if err := e.c.flush(toServer); err != nil {
		return err
	}
	p := e.x.Response
	if p == nil {
		return nil
	}
	e.c.at(e.clock.response)
	for _, i := range p.Informational {
		if err := e.head(toClient, fmt.Sprintf("%s %03d %s\r\n", version(p.HTTPVersion), i.Status, i.StatusText), i.Header, false); err != nil {
			return err
		}
		if err := e.c.flush(toClient); err != nil {
			return err
		}
	}
	if err := e.head(toClient, fmt.Sprintf("%s %03d %s\r\n", version(p.HTTPVersion), p.Status, p.StatusText), p.Header, p.Truncated); err != nil {
		return err
	}
	switch {
	case e.x.Kind == capture.KindWebSocket && p.Status == 101:
		if err := e.c.flush(toClient); err != nil {
			return err
		}
		return e.frames(func(d direction) io.Writer { return e.c.out[d] })
	case upgraded:
		// The bytes behind the upgrade, of which it is not known when they came.
		if err := e.c.flush(toClient); err != nil {
			return err
		}
		if err := e.content(toServer, capture.SideRequest, nil, nil); err != nil {
			return err
		}
		if err := e.c.flush(toServer); err != nil {
			return err
		}
		if err := e.content(toClient, capture.SideResponse, nil, nil); err != nil {
			return err
		}
	default:
		if err := e.content(toClient, capture.SideResponse, p.Header, p.Trailer); err != nil {
			return err
		}
	}
	return e.c.flush(toClient)
}

// authority is the host and port of a URL.
func authority(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

func version(s string) string {
	if s == "HTTP/1.0" {
		return s
	}
	return "HTTP/1.1"
}

// head writes a message's head; cut says that its body is not all there.
func (e *exchange) head(d direction, line string, h capture.Header, cut bool) error {
	head := appendFields([]byte(line), h)
	if cut {
		return e.c.cutHead(d, head)
	}
	_, err := e.c.out[d].Write(head)
	return err
}

func appendFields(b []byte, h capture.Header) []byte {
	for _, f := range h {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// block is how much of a body is read at a time, and the size of the chunks and DATA frames it is cut into.
const block = 16 << 10

// content writes a body, in chunks if the head says so.
func (e *exchange) content(d direction, side capture.Side, head, trailer capture.Header) error {
	w := e.c.out[d]
	chunked := false
	for _, v := range head.Values("Transfer-Encoding") {
		chunked = chunked || strings.Contains(strings.ToLower(v), "chunked")
	}
	cut := e.x.Request.Truncated
	if side == capture.SideResponse {
		cut = e.x.Response.Truncated
		if e.x.Request.Method == "HEAD" {
			return nil
		}
	}
	err := e.blocks(side, func(p []byte) error {
		if chunked {
			fmt.Fprintf(w, "%x\r\n", len(p))
		}
		w.Write(p)
		if chunked {
			w.WriteString("\r\n")
		}
		return nil
	})
	if err != nil || !chunked || cut {
		return err // a body that was cut has no end
	}
	_, err = w.Write(appendFields([]byte("0\r\n"), trailer))
	return err
}

// blocks calls f for each block of a body.
func (e *exchange) blocks(side capture.Side, f func(p []byte) error) error {
	body, err := e.body(side)
	if body == nil || err != nil {
		return err
	}
	defer body.Close()
	buf := make([]byte, block)
	for {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(body, buf)
		if n > 0 {
			if err := f(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return e.c.err
		}
		if err != nil {
			return err
		}
	}
}

// page is how many messages are asked for at a time.
const page = 100

// frames writes a WebSocket's messages, each as one frame at its time (RFC 6455, 5.2).
func (e *exchange) frames(to func(direction) io.Writer) error {
	for after := int64(0); ; {
		ms, err := e.source.Messages(e.ctx, e.x.ID, after, page)
		if errors.Is(err, capture.ErrNotFound) || err == nil && len(ms) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range ms {
			m := &ms[i]
			after = m.N
			d := toClient
			if m.Direction == "sent" {
				d = toServer
			}
			e.c.at(m.Time)
			if _, err := to(d).Write(frame(m, d == toServer)); err != nil {
				return err
			}
			if err := e.c.flush(d); err != nil {
				return err
			}
		}
	}
}

// opcodes of RFC 6455, 11.8.
var opcodes = map[string]byte{"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

func frame(m *capture.Message, masked bool) []byte {
	const (
		fin     = 0x80
		maskBit = 0x80
	)
	opcode, ok := opcodes[m.Kind]
	if !ok {
		opcode = opcodes["binary"]
	}
	b := []byte{fin | opcode}
	var mask byte
	if masked {
		mask = maskBit
	}
	switch n := len(m.Data); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if !masked {
		return append(b, m.Data...)
	}
	// What the key was is not known. A client has to mask.
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, c := range m.Data {
		b = append(b, c^key[i%4])
	}
	return b
}
