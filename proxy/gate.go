package proxy

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"eaves/capture"
)

// wholeFrame makes one whole WebSocket message or control frame (RFC 6455, 5.2), masked under a key of its own where a client
// says it (5.3). It is not compressed, which permessage-deflate leaves to the sender of each message (RFC 7692, 6).
func wholeFrame(op byte, payload []byte, masked bool) []byte {
	out := make([]byte, 0, len(payload)+14)
	out = append(out, 0x80|op)
	var bit byte
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		out = append(out, bit|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, bit|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, bit|127), uint64(n))
	}
	if !masked {
		return append(out, payload...)
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	out = append(out, key[:]...)
	for i, b := range payload {
		out = append(out, b^key[i&3])
	}
	return out
}

// opcode is that of a kind of messages.
func opcode(kind string) (byte, bool) {
	switch kind {
	case "text":
		return opText, true
	case "binary":
		return opBinary, true
	case "ping":
		return opPing, true
	case "pong":
		return opPong, true
	case "close":
		return opClose, true
	}
	return 0, false
}

// closing is the payload of a Close whose code and reason are recorded as "1000 bye". What is none is sent as no reason.
func closing(recorded []byte) []byte {
	code, reason, _ := strings.Cut(string(recorded), " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(n)), reason...)
}

// maxWaiting bounds what waits to be put into one direction; each message counts for waitingCost more than it holds.
const (
	maxWaiting  = 64 << 20
	waitingCost = 256
)

func weight(m *capture.Message) int64 { return waitingCost + int64(len(m.Data)) }

// gate is the only way into one direction of a WebSocket: for what its sender says, as it comes, and between two of its
// frames for what is put in.
type gate struct {
	tap    *frameTap
	to     io.Writer
	masked bool
	rec    capture.Recording

	// writing is held while bytes go out; it is over tap and left, too.
	writing sync.Mutex
	left    bool // a Close was put in: nothing may follow it (RFC 6455, 5.5.1)

	mu      sync.Mutex
	waiting []capture.Message
	size    int64
	refused error // why nothing more can be put in
}

func newGate(rec capture.Recording, direction string, inflate *inflater, to io.Writer) *gate {
	return &gate{tap: newFrameTap(rec, direction, inflate), to: to, masked: direction == "sent", rec: rec}
}

// Write passes on what the sender says.
func (g *gate) Write(p []byte) (int, error) {
	g.writing.Lock()
	err := g.pass(p)
	g.writing.Unlock()
	if err != nil {
		return 0, err
	}
	g.pump()
	return len(p), nil
}

// pass writes p, and what waits at the first place in it where that may stand. writing is held.
func (g *gate) pass(p []byte) error {
	if g.left {
		return nil
	}
	from := 0
	for rest := p; len(rest) > 0 && !g.tap.lost; {
		rest = g.tap.step(rest)
		switch {
		case g.tap.closed:
			g.refuse(errors.New("this side has already said that it closes the conversation"))
		case g.tap.lost:
			g.refuse(errors.New("what is said here are no frames that eaves can read: nothing can be put between them"))
		}
		if !g.pending() {
			continue
		}
		at := len(p) - len(rest)
		if at > from {
			if _, err := g.to.Write(p[from:at]); err != nil {
				return err
			}
			from = at
		}
		if _, err := g.flush(); err != nil {
			return err
		}
		if g.left {
			return nil
		}
	}
	if from == len(p) {
		return nil
	}
	_, err := g.to.Write(p[from:])
	return err
}

// put queues a message, and begins to send it. It does not wait for the other side to read.
func (g *gate) put(m capture.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused != nil {
		return g.refused
	}
	if g.size+weight(&m) > maxWaiting {
		return errors.New("too much waits to be sent already: the other side does not read")
	}
	g.size += weight(&m)
	g.waiting = append(g.waiting, m)
	go g.pump()
	return nil
}

// refuse says that nothing more can be put in, and drops what waits. The first reason stays.
func (g *gate) refuse(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused == nil {
		g.refused = why
	}
	g.waiting, g.size = nil, 0
}

func (g *gate) pending() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting) > 0
}

// pump sends what waits, unless somebody else is writing: who is looks again afterwards.
func (g *gate) pump() {
	for g.pending() {
		if !g.writing.TryLock() {
			return
		}
		blocked, err := g.flush()
		g.writing.Unlock()
		if err != nil {
			g.refuse(errNotOpen)
			return
		}
		if blocked {
			return
		}
	}
}

// flush sends what waits and may stand here. blocked says that something has to wait for the end of what is being said.
// writing is held.
func (g *gate) flush() (blocked bool, err error) {
	for {
		g.mu.Lock()
		if len(g.waiting) == 0 || g.left {
			g.waiting, g.size = nil, 0
			g.mu.Unlock()
			return false, nil
		}
		m := g.waiting[0]
		op, _ := opcode(m.Kind)
		// A control frame may stand within a fragmented message, a message may not (RFC 6455, 5.4).
		if op >= opClose && !g.tap.betweenFrames() || op < opClose && !g.tap.betweenMessages() {
			g.mu.Unlock()
			return true, nil
		}
		g.waiting, g.size = g.waiting[1:], g.size-weight(&m)
		g.mu.Unlock()
		payload := m.Data
		if op == opClose {
			payload = closing(m.Data)
			g.left = true
			g.refuse(errors.New("eaves has already said for this side that it closes the conversation"))
		}
		if _, err := g.to.Write(wholeFrame(op, payload, g.masked)); err != nil {
			return false, err
		}
		m.Time, m.Size, m.Injected = time.Now(), int64(len(payload)), true
		g.rec.Message(m)
	}
}

// gated is a connection that is written to through a gate.
type gated struct {
	io.ReadWriteCloser
	gate *gate
}

func (c *gated) Write(p []byte) (int, error) { return c.gate.Write(p) }

// CloseWrite ends the sending side, if the connection can.
func (c *gated) CloseWrite() error {
	c.gate.refuse(errNotOpen)
	if cw, ok := c.ReadWriteCloser.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return io.ErrClosedPipe
}
