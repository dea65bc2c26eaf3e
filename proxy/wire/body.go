package wire

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
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

type chunkState uint8

const (
	chunkLine chunkState = iota
	chunkData
	chunkEnd
	chunkTrailer
)

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
	n := b.r.Buffered()
	switch {
	case b.err != nil, b.kind == Chunked && b.state != chunkData:
		return 0
	case b.kind != UntilClose && int64(n) > b.left:
		return int(b.left)
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

// readChunks reads chunks as long as it does not have to wait with something in hand.
func (b *Body) readChunks(p []byte) (n int) {
	for b.err == nil {
		switch b.state {
		case chunkData:
			if n == len(p) || n > 0 && b.r.Buffered() == 0 {
				return n
			}
			to := p[n:]
			if int64(len(to)) > b.left {
				to = to[:b.left]
			}
			m, err := b.r.Read(to)
			n += m
			b.took(m)
			if err != nil {
				b.fail(err)
			}
		default:
			if n > 0 && !b.hasLine() {
				return n
			}
			b.step()
		}
	}
	return n
}

// took notes that m bytes of the chunk were taken.
func (b *Body) took(m int) {
	if b.left -= int64(m); b.left == 0 {
		b.state = chunkEnd
	}
}

// hasLine says whether the next step needs no waiting.
func (b *Body) hasLine() bool {
	has, _ := b.r.Peek(b.r.Buffered())
	if b.state == chunkTrailer && len(has) > 0 && has[0] != '\r' {
		return bytes.Contains(has, []byte("\r\n\r\n"))
	}
	return bytes.IndexByte(has, '\n') >= 0
}

// step reads what stands between the data of two chunks, a line of it.
func (b *Body) step() {
	var err error
	switch b.state {
	case chunkLine:
		if b.left, err = b.readChunkSize(); err == nil {
			b.state = chunkData
			if b.left == 0 {
				b.state = chunkTrailer
			}
		}
	case chunkEnd:
		// RFC 9112, section 7.1: exactly CRLF. Whoever skips two bytes here without looking can be told lies.
		if err = b.expect('\r'); err == nil {
			err = b.expect('\n')
		}
		b.state = chunkLine
	case chunkTrailer:
		if err = b.readTrailer(); err == nil {
			b.end()
		}
	}
	if err != nil {
		b.fail(err)
	}
}

func (b *Body) expect(c byte) error {
	got, err := b.r.ReadByte()
	if err == nil && got != c {
		return bad("a chunk's data is not followed by CRLF")
	}
	return err
}

// Bounds of chunk lines, those of net/http.
const (
	maxChunkLine = 4 << 10
	maxExcess    = 16 << 10
)

// readChunkSize reads chunk-size [ chunk-ext ] CRLF (RFC 9112, section 7.1). Extensions are checked and dropped.
func (b *Body) readChunkSize() (int64, error) {
	line, err := b.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull || len(line) > maxChunkLine {
		return 0, bad("a chunk line is too long")
	}
	if err != nil {
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return 0, bad("a chunk line ends in LF without CR")
	}
	line = line[:len(line)-2]
	if b.lenient {
		line = bytes.TrimRight(line, " \t")
	}
	var size int64
	i := 0
	for ; i < len(line) && chars[line[i]]&hexChar != 0; i++ {
		if size > math.MaxInt64>>4 {
			return 0, bad("a chunk is too large")
		}
		size = size<<4 | int64(unhex(line[i]))
	}
	if i == 0 || i > 16 {
		return 0, bad("a chunk size is not a hexadecimal number")
	}
	if err := checkExtensions(line[i:]); err != nil {
		return 0, err
	}
	// Bytes that are not data are bounded: 16 a chunk and as many as there are data come free, as in net/http.
	b.excess = max(b.excess+int64(len(line))+2-16-2*size, 0)
	if b.excess > maxExcess {
		return 0, bad("chunk lines are too long for so little data")
	}
	return size, nil
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// checkExtensions checks *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) (RFC 9112, section 7.1.1).
// White space in front of the first semicolon is refused: it would be white space behind the size too.
func checkExtensions(s []byte) error {
	if len(s) == 0 {
		return nil
	}
	wrong := bad("a chunk extension is malformed")
	blank := func() {
		for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
			s = s[1:]
		}
	}
	token := func() bool {
		i := 0
		for i < len(s) && chars[s[i]]&tokenChar != 0 {
			i++
		}
		s = s[i:]
		return i > 0
	}
	if s[0] != ';' {
		return bad("a chunk size is not a hexadecimal number")
	}
	for len(s) > 0 {
		if s[0] != ';' {
			return wrong
		}
		s = s[1:]
		blank()
		if !token() {
			return wrong
		}
		blank()
		if len(s) == 0 || s[0] != '=' {
			continue
		}
		s = s[1:]
		blank()
		if len(s) == 0 || s[0] != '"' {
			if !token() {
				return wrong
			}
			blank()
			continue
		}
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' {
				i++
			}
			if i == len(s) || chars[s[i]]&valueChar == 0 {
				return wrong
			}
		}
		if i >= len(s) {
			return wrong
		}
		s = s[i+1:]
		blank()
	}
	return nil
}

func (b *Body) readTrailer() error {
	raw, err := collect(b.r, b.limits, trailerPart)
	if err != nil {
		return err
	}
	fields, err := parseFields(raw, b.limits, nil)
	if err != nil {
		return err
	}
	b.trailer = fields
	for i := range fields {
		if forbiddenInTrailer(fields[i].Name) {
			b.trailer = nil
			for _, f := range fields {
				if forbiddenInTrailer(f.Name) {
					b.dropped = append(b.dropped, f)
				} else {
					b.trailer = append(b.trailer, f)
				}
			}
			break
		}
	}
	return nil
}

// forbiddenInTrailer says whether a field must not be sent, nor merged, from a trailer section (RFC 9110, section
// 6.5.1): those about framing, routing, the connection, authentication, request modifiers and content format.
func forbiddenInTrailer(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Transfer-Encoding", "Content-Length", "Host", "Trailer", "Te", "Connection", "Keep-Alive", "Proxy-Connection",
		"Upgrade", "Content-Encoding", "Content-Type", "Content-Range", "Authorization", "Proxy-Authorization",
		"Proxy-Authenticate", "Www-Authenticate", "Cache-Control", "Expect", "Max-Forwards", "Pragma", "Range", "Cookie",
		"Set-Cookie":
		return true
	}
	return false
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
