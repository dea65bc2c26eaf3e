// Package pcap writes exchanges as packets, for Wireshark and its like.
//
// # What is written
//
// A pcapng file of raw IP packets. Each exchange is a TCP connection of its own, with handshake and end, in clear text,
// as the origin would have seen it had nothing been encrypted: HTTP/1 as it was, HTTP/2 (and 3) framed anew as HTTP/2, a
// WebSocket's messages as frames behind the 101. Each packet carries the exchange's id as its comment ("eaves exchange
// 42"). An exchange that failed ends with a reset, one that is still open does not end.
//
// The packets are made, not captured: addresses are those of client and origin as far as they are known (else out of
// 192.0.2.0/24), client ports are counted up, and the origin's port is 80 unless it is another that Wireshark takes for
// HTTP without being told. Times are those of the exchange's phases and messages. Codings stay, chunks are cut anew.
//
// Packets come in the order of exchanges, not of time. Everything streams: memory does not grow with bodies.
package pcap

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"eaves/capture"
)

// Source gives what an exchange does not hold itself.
type Source interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
	Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error)
}

// Writer writes a pcapng file.
type Writer struct {
	w      *bufio.Writer
	source Source
	begun  bool
	// connections counts those written, for client ports.
	connections uint32
	block       []byte
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer, source Source) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), source: source}
}

// Write writes an exchange's packets.
func (p *Writer) Write(ctx context.Context, x *capture.Exchange) error {
	if err := p.begin(); err != nil {
		return err
	}
	c := newConnection(p, x)
	p.connections++
	return c.run(ctx, p.source, x)
}

// Close writes what is still held back. It does not close the writer below.
func (p *Writer) Close() error {
	if err := p.begin(); err != nil {
		return err
	}
	return p.w.Flush()
}

// begin writes the section and its interface.
func (p *Writer) begin() error {
	if p.begun {
		return nil
	}
	p.begun = true
	_, err := p.w.Write(appendProlog(nil))
	return err
}

// packet writes an enhanced packet block, with so many bytes of the packet missing at its end.
func (p *Writer) packet(at time.Time, data []byte, missing int, comment string) error {
	const (
		blockType = 6
		// Type, length, interface, time (2), captured and original length, and the length again.
		fixed      = 8 * 4
		optionHead = 4
	)
	options := 0
	if comment != "" {
		options = optionHead + padded(len(comment)) + optionHead
	}
	size := fixed + padded(len(data)) + options
	ns := uint64(at.UnixNano())
	b := p.block[:0]
	le := binary.LittleEndian
	b = le.AppendUint32(b, blockType)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(ns>>32))
	b = le.AppendUint32(b, uint32(ns))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(len(data)+missing))
	b = pad(append(b, data...), len(data))
	if comment != "" {
		b = appendOption(b, optionComment, comment)
		b = appendOption(b, optionEnd, "")
	}
	b = le.AppendUint32(b, uint32(size))
	p.block = b
	_, err := p.w.Write(b)
	return err
}

func comment(x *capture.Exchange) string { return fmt.Sprintf("eaves exchange %d", x.ID) }
