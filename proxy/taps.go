package proxy

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"mime"
	"strings"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/wire"
)

// taps read the messages in a body as it passes: server-sent events, gRPC messages.
type taps struct {
	answer tap
	end    func()
}

func (t *taps) response(p []byte) {
	if t.answer != nil {
		t.answer.pass(p)
	}
}

// close ends the taps with their bodies.
func (t *taps) close() {
	if t.end != nil {
		t.end()
		t.end = nil
	}
}

// isGRPC says whether a media type is that of gRPC over HTTP/2.
func isGRPC(media string) bool {
	return media == "application/grpc" || strings.HasPrefix(media, "application/grpc+")
}

// requestTap chooses what reads the request's body, or nil.
func requestTap(f *flow, fields wire.Fields) tap {
	media, _, err := mime.ParseMediaType(fields.Get("Content-Type"))
	if err != nil || !isGRPC(media) {
		return nil
	}
	return &grpcTap{rec: f.rec, direction: "sent", gzip: fields.Get("Grpc-Encoding") == "gzip"}
}

// tapsFor chooses what reads the answer's body, by its media type.
func tapsFor(f *flow, resp *upstream.Response) taps {
	media, _, err := mime.ParseMediaType(resp.Fields.Get("Content-Type"))
	if err != nil {
		return taps{}
	}
	switch {
	case media == "text/event-stream" && resp.Fields.Get("Content-Encoding") == "":
		t := &eventTap{rec: f.rec}
		return taps{answer: t, end: t.flush}
	case isGRPC(media):
		return taps{answer: &grpcTap{rec: f.rec, direction: "received", gzip: resp.Fields.Get("Grpc-Encoding") == "gzip"}}
	}
	return taps{}
}

// eventTap reads server-sent events (HTML standard, 9.2): blocks of lines that an empty line ends.
type eventTap struct {
	rec   capture.Recording
	block []byte
	size  int64
	lines int  // bytes of the line under way
	cr    bool // the last byte was a carriage return
}

func (t *eventTap) pass(p []byte) {
	for _, b := range p {
		if b == '\n' && t.cr {
			t.cr = false
			continue
		}
		t.cr = b == '\r'
		if b != '\n' && b != '\r' {
			t.lines++
			t.add(b)
			continue
		}
		if t.lines == 0 {
			t.flush()
			continue
		}
		t.lines = 0
		t.add('\n')
	}
}

func (t *eventTap) add(b byte) {
	t.size++
	if len(t.block) < keptMessage {
		t.block = append(t.block, b)
	}
}

// flush records the event under way, if there is one.
func (t *eventTap) flush() {
	data := bytes.TrimSuffix(t.block, []byte("\n"))
	if len(data) > 0 {
		t.rec.Message(capture.Message{Direction: "received", Kind: "event", Time: time.Now(), Size: t.size, Data: data, Truncated: t.size > int64(len(t.block))})
	}
	t.block, t.size, t.lines = nil, 0, 0
}

// grpcTap reads the length-prefixed messages of gRPC over HTTP/2.
type grpcTap struct {
	rec       capture.Recording
	direction string
	gzip      bool
	head      []byte
	left      uint32
	size      int64
	message   []byte
}

func (t *grpcTap) pass(p []byte) {
	for len(p) > 0 {
		if len(t.head) < 5 {
			n := min(5-len(t.head), len(p))
			t.head = append(t.head, p[:n]...)
			p = p[n:]
			if len(t.head) == 5 {
				t.left = binary.BigEndian.Uint32(t.head[1:])
				if t.left == 0 {
					t.end()
				}
			}
			continue
		}
		n := min(int(t.left), len(p))
		t.size += int64(n)
		t.message = append(t.message, p[:min(n, keptMessage-len(t.message))]...)
		t.left -= uint32(n)
		p = p[n:]
		if t.left == 0 {
			t.end()
		}
	}
}

func (t *grpcTap) end() {
	m := capture.Message{Direction: t.direction, Kind: "grpc", Time: time.Now(), Size: t.size, Data: t.message, Truncated: t.size > int64(len(t.message))}
	if t.head[0] == 1 && t.gzip && !m.Truncated {
		if z, err := gzip.NewReader(bytes.NewReader(t.message)); err == nil {
			if out, err := io.ReadAll(io.LimitReader(z, keptMessage)); err == nil {
				m.Data = out
			}
		}
	}
	t.rec.Message(m)
	t.head, t.message, t.size = t.head[:0], nil, 0
}
