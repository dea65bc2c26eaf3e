package wire

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
)

// chunkState says what of a chunked body comes next.
type chunkState uint8

const (
	chunkLine chunkState = iota
	chunkData
	chunkEnd
	chunkTrailer
)

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
