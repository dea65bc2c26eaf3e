package proxy

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"

	"eaves/capture"
)

// deflate is what permessage-deflate (RFC 7692) was agreed to be, for each direction. other is another extension that was
// agreed, "" for none.
type deflate struct {
	client, server *inflater
	other          string
}

// deflateOf reads the server's answer to the offer of extensions.
func deflateOf(extensions []string) (d deflate) {
	for _, ext := range strings.Split(strings.Join(extensions, ","), ",") {
		params := strings.Split(ext, ";")
		if name := strings.TrimSpace(params[0]); !strings.EqualFold(name, "permessage-deflate") {
			d.other = cmp.Or(d.other, name)
			continue
		}
		if d.client != nil {
			continue
		}
		d.client, d.server = &inflater{takeover: true}, &inflater{takeover: true}
		for _, p := range params[1:] {
			name, _, _ := strings.Cut(strings.TrimSpace(p), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "client_no_context_takeover":
				d.client.takeover = false
			case "server_no_context_takeover":
				d.server.takeover = false
			}
		}
	}
	return d
}

// keptMessage is how much of one message is recorded; the rest is counted.
const keptMessage = 16 << 20

// window is how far back a deflated message may refer (RFC 7692, 7.1.2).
const window = 32 << 10

// inflater undoes the compression of one direction's messages.
type inflater struct {
	takeover bool
	dict     []byte // what the next message may refer to
	r        io.ReadCloser
	broken   bool
}

// message inflates one message, at most keptMessage bytes of it, and says whether there was more.
func (i *inflater) message(p []byte) (out []byte, more, ok bool) {
	if i.broken {
		return nil, false, false
	}
	// A message ends as if 00 00 ff ff stood there (7.2.2); the empty final block makes it an end for the reader too.
	src := io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	if i.r == nil {
		i.r = flate.NewReaderDict(src, i.dict)
	} else if err := i.r.(flate.Resetter).Reset(src, i.dict); err != nil {
		i.broken = true
		return nil, false, false
	}
	out, err := io.ReadAll(io.LimitReader(i.r, keptMessage+1))
	if err != nil {
		i.broken = true
		return nil, false, false
	}
	if more = len(out) > keptMessage; more {
		out = out[:keptMessage]
		// The window would be at the end of what was left out.
		i.broken = i.takeover
	}
	if i.takeover {
		i.dict = append(i.dict, out[max(0, len(out)-window):]...)
		i.dict = append([]byte(nil), i.dict[max(0, len(i.dict)-window):]...)
	}
	return out, more, true
}

// WebSocket opcodes (RFC 6455, 5.2).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// frameTap reads the WebSocket frames of one direction as they pass and records the messages they make up. It changes
// nothing: what is no valid frame passes like everything else, and is not read any further.
type frameTap struct {
	rec       capture.Recording
	direction string
	inflate   *inflater

	head    []byte // of the frame under way, as far as it has come
	left    uint64 // payload bytes still to come
	mask    [4]byte
	masked  bool
	at      int // position in the mask
	op      byte
	fin     bool
	control []byte // payload of a control frame under way
	lost    bool
	closed  bool // a Close has passed

	message    []byte // payload of the message under way, as far as it is kept
	size       int64
	kind       byte
	compressed bool
}

func newFrameTap(rec capture.Recording, direction string, inflate *inflater) *frameTap {
	return &frameTap{rec: rec, direction: direction, inflate: inflate}
}

func (t *frameTap) pass(p []byte) {
	for len(p) > 0 && !t.lost {
		p = t.step(p)
	}
}

// step reads on, up to the end of the frame under way at most, and returns what is left of p.
func (t *frameTap) step(p []byte) []byte {
	for len(p) > 0 && !t.lost {
		if !t.inPayload() {
			p = t.readHead(p)
			if t.betweenFrames() {
				return p
			}
			continue
		}
		n := uint64(len(p))
		if n > t.left {
			n = t.left
		}
		t.payload(p[:n])
		t.left -= n
		p = p[n:]
		if t.left == 0 {
			t.endFrame()
			return p
		}
	}
	return p
}

// betweenFrames says whether the bytes so far end with a frame, betweenMessages whether they end with a whole message.
func (t *frameTap) betweenFrames() bool   { return t.head == nil && t.left == 0 && !t.lost }
func (t *frameTap) betweenMessages() bool { return t.betweenFrames() && t.kind == 0 }

// inPayload says whether a frame's head is complete.
func (t *frameTap) inPayload() bool { return t.head == nil && t.left > 0 }

// readHead takes bytes of a frame's head from p and returns the rest.
func (t *frameTap) readHead(p []byte) []byte {
	for len(p) > 0 {
		t.head = append(t.head, p[0])
		p = p[1:]
		need := 2
		if len(t.head) >= 2 {
			switch t.head[1] & 0x7f {
			case 126:
				need += 2
			case 127:
				need += 8
			}
			if t.head[1]&0x80 != 0 {
				need += 4
			}
		}
		if len(t.head) >= 2 && len(t.head) == need {
			t.beginFrame()
			return p
		}
	}
	return p
}

func (t *frameTap) beginFrame() {
	h := t.head
	t.head = nil
	t.fin, t.op, t.masked, t.at = h[0]&0x80 != 0, h[0]&0x0f, h[1]&0x80 != 0, 0
	rest := h[2:]
	switch n := h[1] & 0x7f; n {
	case 126:
		t.left, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		t.left, rest = binary.BigEndian.Uint64(rest), rest[8:]
	default:
		t.left = uint64(n)
	}
	if t.masked {
		copy(t.mask[:], rest)
	}
	control := t.op >= opClose
	switch {
	case t.left>>63 != 0, control && (t.left > 125 || !t.fin), t.op > opBinary && t.op < opClose, t.op > opPong:
		t.lost = true
		return
	case control:
		t.control = make([]byte, 0, t.left)
	case t.op != opContinuation:
		t.kind, t.message, t.size = t.op, nil, 0
		t.compressed = h[0]&0x40 != 0 && t.inflate != nil
	case t.kind == 0:
		t.lost = true
		return
	}
	if t.left == 0 {
		t.endFrame()
	}
}

func (t *frameTap) payload(p []byte) {
	control := t.op >= opClose
	keep := p
	if !control {
		t.size += int64(len(p))
		if room := keptMessage - len(t.message); len(keep) > room {
			keep = keep[:room]
		}
	}
	dst := &t.message
	if control {
		dst = &t.control
	}
	from := len(*dst)
	*dst = append(*dst, keep...)
	if t.masked {
		for i, b := range (*dst)[from:] {
			(*dst)[from+i] = b ^ t.mask[(t.at+i)&3]
		}
	}
	t.at += len(p)
}

func (t *frameTap) endFrame() {
	now := time.Now()
	if t.op >= opClose {
		kind := map[byte]string{opClose: "close", opPing: "ping", opPong: "pong"}[t.op]
		data := t.control
		size := int64(len(data))
		if t.op == opClose && len(data) >= 2 {
			// The status code in words people read, then the reason.
			data = append([]byte(strconv.Itoa(int(binary.BigEndian.Uint16(data)))+" "), data[2:]...)
		}
		t.control = nil
		t.closed = t.closed || t.op == opClose
		t.rec.Message(capture.Message{Direction: t.direction, Kind: kind, Time: now, Size: size, Data: data})
		return
	}
	if !t.fin {
		return
	}
	m := capture.Message{Direction: t.direction, Kind: "text", Time: now, Size: t.size, Data: t.message, Truncated: t.size > int64(len(t.message))}
	if t.kind == opBinary {
		m.Kind = "binary"
	}
	if t.compressed {
		if m.Truncated {
			t.inflate.broken = t.inflate.takeover
			m.Kind = "binary"
		} else if out, more, ok := t.inflate.message(t.message); ok {
			m.Data, m.Size, m.Truncated = out, int64(len(out)), more
		} else {
			m.Kind = "binary" // what cannot be inflated is shown as it came
		}
	}
	t.kind, t.message = 0, nil
	t.rec.Message(m)
}
