package wire

import (
	"bufio"
	"strconv"
)

// BodyWriter writes a message's body, framed. Nothing is sent before Flush or Close, or before w is full.
type BodyWriter struct {
	w      *bufio.Writer
	kind   Kind
	left   int64
	count  int64
	closed bool
	err    error
	size   [20]byte
}

// NewBodyWriter returns a writer of a body to w, behind whose head it stands.
func NewBodyWriter(w *bufio.Writer, f Framing) *BodyWriter {
	return &BodyWriter{w: w, kind: f.Kind, left: f.Length}
}

// Count returns how many bytes of the body were written.
func (b *BodyWriter) Count() int64 { return b.count }

// Write writes a piece of the body; where it is chunked, that is one chunk. An empty piece is none.
func (b *BodyWriter) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.closed {
		return 0, ErrBodyClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch b.kind {
	case None:
		return 0, ErrLongBody
	case Length:
		if int64(len(p)) > b.left {
			return 0, ErrLongBody
		}
		b.left -= int64(len(p))
	case Chunked:
		line := append(strconv.AppendInt(b.size[:0], int64(len(p)), 16), '\r', '\n')
		if _, err := b.w.Write(line); err != nil {
			b.err = err
			return 0, err
		}
	}
	n, err := b.w.Write(p)
	b.count += int64(n)
	if err == nil && b.kind == Chunked {
		_, err = b.w.WriteString("\r\n")
	}
	b.err = err
	return n, err
}

// Flush sends what was written.
func (b *BodyWriter) Flush() error {
	if b.err == nil {
		b.err = b.w.Flush()
	}
	return b.err
}

// Close ends the body, with the trailer section where it is chunked (elsewhere there is no place for one, and it is
// left out), and flushes. Where less was written than Content-Length says it returns ErrShortBody: the connection has to
// be closed then, so that the other side sees the body as cut. To cut a chunked body, close the connection and not the
// BodyWriter.
func (b *BodyWriter) Close(trailer Fields) error {
	if b.err != nil {
		return b.err
	}
	if b.closed {
		return nil
	}
	b.closed = true
	switch {
	case b.kind == Length && b.left > 0:
		_ = b.w.Flush()
		b.err = ErrShortBody
		return b.err
	case b.kind == Chunked:
		if b.err = b.end(trailer); b.err != nil {
			return b.err
		}
	}
	return b.Flush()
}

func (b *BodyWriter) end(trailer Fields) error {
	if _, err := b.w.WriteString("0\r\n"); err != nil {
		return err
	}
	for i := range trailer {
		if forbiddenInTrailer(trailer[i].Name) {
			continue
		}
		if err := writeField(b.w, &trailer[i]); err != nil {
			return err
		}
	}
	_, err := b.w.WriteString("\r\n")
	return err
}
