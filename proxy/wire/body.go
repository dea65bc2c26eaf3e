package wire

import (
	"bufio"
	"io"
	"sync"
	"sync/atomic"
)

// pieceSize is the size of the pieces that a large body is copied in.
const pieceSize = 64 << 10

// pieces pools them.
var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// Body reads a message's body, chunks undone. One goroutine at a time may read; Count, Complete and Close may be called
// by others.
type Body struct {
	r      *bufio.Reader
	limits Limits
	kind   Kind
	// lenient is Framing's.
	lenient bool
	state   chunkState
	// left counts what is still to come, of the body or of the chunk; unused where the end is the connection's.
	left int64
	// excess counts the bytes of chunk lines that are too many: see readChunkSize.
	excess   int64
	err      error
	trailer  Fields
	dropped  Fields
	count    atomic.Int64
	complete atomic.Bool
	closed   atomic.Bool
}

// NewBody returns the body that r has next. It takes nothing from r behind the body's end.
func NewBody(r *bufio.Reader, f Framing, l Limits) *Body {
	b := &Body{r: r, limits: l.orDefaults(), kind: f.Kind, lenient: f.Lenient, left: f.Length}
	if f.Kind == None || f.Kind == Length && f.Length <= 0 {
		b.end()
	}
	return b
}

// end notes that the body has come whole.
func (b *Body) end() {
	b.err = io.EOF
	b.complete.Store(true)
}

// fail notes why the body will not come further.
func (b *Body) fail(err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	b.err = err
}

// Trailer returns the trailer section, once Read has returned io.EOF. Fields that must not stand in one (RFC 9110,
// section 6.5.1), because they are about framing, routing or how the body is to be read, are left out: see Dropped.
func (b *Body) Trailer() Fields { return b.trailer }

// Dropped returns the fields of the trailer section that Trailer leaves out.
func (b *Body) Dropped() Fields { return b.dropped }

// Complete says whether the body has been read whole. A body that ends with the connection (UntilClose) is complete when
// the connection ends in order: HTTP cannot tell more.
func (b *Body) Complete() bool { return b.complete.Load() }

// Count returns how many bytes of the body have been read.
func (b *Body) Count() int64 { return b.count.Load() }

// Buffered returns how much of the body can be read without waiting, at least. It may be called by who reads.
func (b *Body) Buffered() int {
	if b.err != nil || b.kind == Chunked && b.state != chunkData {
		return 0 // behind its end the reader is somebody else's
	}
	n := b.r.Buffered()
	if b.kind != UntilClose {
		n = int(min(int64(n), b.left))
	}
	return n
}

// Close ends reading. It drains nothing: what to do with the rest of the body is the caller's decision. A read that
// waits is not woken; the connection's owner does that.
func (b *Body) Close() error {
	b.closed.Store(true)
	return nil
}

// Read reads what has come. A body that is cut gives io.ErrUnexpectedEOF, chunks that are wrong a *ParseError.
func (b *Body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, ErrBodyClosed
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	var n int
	if b.kind == Chunked {
		n = b.readChunks(p)
	} else {
		n = b.readPlain(p)
	}
	b.count.Add(int64(n))
	if b.err != nil && (n == 0 || b.err == io.EOF) {
		return n, b.err
	}
	return n, nil
}

func (b *Body) readPlain(p []byte) int {
	if b.kind == Length && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	if b.kind == Length {
		b.left -= int64(n)
		if b.left == 0 {
			b.end()
			return n
		}
	} else if err == io.EOF {
		b.end()
		return n
	}
	if err != nil {
		b.fail(err)
	}
	return n
}

// WriteTo copies the body to w piece by piece, each as it comes.
func (b *Body) WriteTo(w io.Writer) (total int64, err error) {
	for {
		// What the reader holds already is written from where it is.
		for b.err == nil && (b.kind != Chunked || b.state == chunkData) && b.r.Buffered() > 0 && !b.closed.Load() {
			p, _ := b.r.Peek(b.r.Buffered())
			if b.kind != UntilClose && int64(len(p)) > b.left {
				p = p[:b.left]
			}
			n, err := w.Write(p)
			_, _ = b.r.Discard(n)
			total += int64(n)
			b.count.Add(int64(n))
			switch {
			case b.kind == Chunked:
				b.took(n)
			case b.kind == Length:
				if b.left -= int64(n); b.left == 0 {
					b.end()
				}
			}
			if err == nil && n < len(p) {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, err
			}
		}
		if b.err == nil && b.kind == Chunked && b.state != chunkData && !b.closed.Load() {
			b.step()
			continue
		}
		n, err := b.copyPiece(w)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// copyPiece reads once and writes what it read.
func (b *Body) copyPiece(w io.Writer) (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	p := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(p)
	n, err := b.Read(p[:])
	if n > 0 {
		m, werr := w.Write(p[:n])
		if werr == nil && m < n {
			werr = io.ErrShortWrite
		}
		if werr != nil {
			return int64(m), werr
		}
	}
	return int64(n), err
}
