package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// heads pools the buffers of heads that come in pieces.
var heads = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// maxEmptyLines bounds the empty lines before a request line. RFC 9112, section 2.2 asks for one.
const maxEmptyLines = 16

// maxRest bounds what a ParseError holds of a head behind the place of the error.
const maxRest = 64 << 10

// part is what of a message lines are collected of.
type part uint8

const (
	requestPart part = iota
	responsePart
	trailerPart
)

// collect reads lines up to and with an empty one and returns them as they were. A line end is CRLF, in a response's head
// a bare LF too. It takes no byte behind the empty line. Where it fails it returns what it read.
func collect(r *bufio.Reader, l Limits, of part) (string, error) {
	if r.Buffered() == 0 {
		if _, err := r.Peek(1); err != nil {
			return "", err
		}
	}
	// Nearly always the head has come as a whole and fits the reader's buffer: then it is copied once, here.
	b, _ := r.Peek(r.Buffered())
	s := scanner{limits: l, lenient: of == responsePart}
	if s.scan(b) {
		head := string(b[:s.next])
		_, _ = r.Discard(s.next)
		return head, s.err
	}
	p := heads.Get().(*[]byte)
	buf := append((*p)[:0], b...)
	defer func() {
		if cap(buf) <= 64<<10 {
			*p = buf[:0]
			heads.Put(p)
		}
	}()
	_, _ = r.Discard(len(b))
	for first := true; ; {
		if first {
			// What cannot become a head is not waited for: a peer that speaks another protocol may never send the end.
			line := buf
			if s.line > 0 {
				line, first = buf[:bytes.IndexByte(buf, '\n')], false
			}
			if err := of.hopeless(line, !first); err != nil {
				return string(buf), err
			}
		}
		piece, err := r.ReadSlice('\n')
		buf = append(buf, piece...)
		if err != nil && err != bufio.ErrBufferFull {
			return string(buf), err
		}
		if s.scan(buf) {
			return string(buf), s.err
		}
	}
}

// hopeless says why a head that starts with b cannot become one. whole: b is all of its first line.
func (p part) hopeless(b []byte, whole bool) error {
	line := ""
	if whole {
		line = strings.TrimSuffix(string(b), "\r")
	}
	switch {
	case p == requestPart && whole:
		return new(RequestHead).parseLine(line)
	case p == requestPart:
		for _, c := range b[:min(len(b), 256)] {
			if c == ' ' {
				break
			}
			if chars[c]&tokenChar == 0 {
				return bad("the method is not a token")
			}
		}
	case p == responsePart && whole:
		return new(ResponseHead).parseLine(line)
	case p == responsePart:
		const start = "HTTP/1."
		if n := min(len(b), len(start)); string(b[:n]) != start[:n] {
			return bad("the response does not start with HTTP version and status code")
		}
	}
	return nil
}

// scanner looks for the end of a head.
type scanner struct {
	limits  Limits
	lenient bool
	line    int // where the current line starts
	next    int // where looking goes on
	err     error
}

// scan looks on in b, which is what it was given before and more. It says whether the head has ended, at next, be it with
// an error.
func (s *scanner) scan(b []byte) bool {
	for {
		i := bytes.IndexByte(b[s.next:], '\n')
		length := len(b) - s.line
		if i >= 0 {
			length = s.next + i - s.line
			s.next += i + 1
		} else {
			s.next = len(b)
		}
		switch {
		case length > s.limits.Line+1 && s.line == 0:
			s.err = &ParseError{Status: http.StatusRequestURITooLong, Reason: "the first line is too long"}
		case length > s.limits.Line+1:
			s.err = &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "a header line is too long"}
		case s.next > s.limits.Head:
			s.err = &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the head is too long"}
		case i < 0:
			return false
		case length > 0 && b[s.next-2] == '\r':
			length--
		case !s.lenient:
			s.err = bad("a line ends in LF without CR")
		}
		if s.err != nil || length == 0 {
			return true
		}
		s.line = s.next
	}
}

// failed makes the ParseError of a head that could not be read or understood: head is what was read of it, and what has
// come behind that and may belong to it is added, for the record. It waits for nothing.
func failed(r *bufio.Reader, head string, err error) error {
	var p *ParseError
	if !errors.As(err, &p) {
		if head == "" {
			return err
		}
		p = &ParseError{Status: http.StatusBadRequest, Reason: "the head is not complete", Err: err}
		var timeout net.Error
		switch {
		case err == io.EOF:
			p.Err = io.ErrUnexpectedEOF
		case errors.As(err, &timeout) && timeout.Timeout():
			p.Status = http.StatusRequestTimeout
		}
	}
	p.Head = []byte(head)
	if !strings.HasSuffix(head, "\r\n\r\n") {
		rest, _ := r.Peek(min(r.Buffered(), maxRest))
		if i := bytes.Index(rest, []byte("\r\n\r\n")); i >= 0 {
			rest = rest[:i+4]
		}
		p.Head = append(p.Head, rest...)
		_, _ = r.Discard(len(rest))
	}
	return p
}

// cutLine splits s behind its first line, whose end is removed.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	line, rest = s[:i], s[i+1:]
	if line != "" && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line, rest
}

// parseFields parses field lines up to the empty line that ends s. note is nil where everything must be right; else what
// was mended is told to it.
func parseFields(s string, l Limits, note func(string)) (Fields, error) {
	n := strings.Count(s, "\n") - 1
	if n <= 0 {
		return nil, nil
	}
	if n > l.Fields {
		return nil, &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "too many header lines"}
	}
	fields := make(Fields, 0, n)
	for {
		var line string
		line, s = cutLine(s)
		if line == "" {
			return fields, nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			// RFC 9112, section 5.2: obs-fold. Before the first field it is no fold of anything (section 2.2).
			if note == nil || len(fields) == 0 {
				return fields, bad("a header line starts with white space")
			}
			part := trim(line)
			if err := checkValue(part, note); err != nil {
				return fields, err
			}
			last := &fields[len(fields)-1]
			if part != "" {
				if last.Value != "" {
					part = last.Value + " " + part
				}
				last.Value = part
			}
			last.Line = last.Name + ": " + last.Value
			note("a folded header line was unfolded")
			continue
		}
		f, err := parseField(line, note)
		if err != nil {
			return fields, err
		}
		fields = append(fields, f)
	}
}

func parseField(line string, note func(string)) (Field, error) {
	// RFC 9112, section 5.1: no white space between name and colon. Everything up to the colon must be a token.
	i := 0
	for i < len(line) && chars[line[i]]&tokenChar != 0 {
		i++
	}
	f := Field{Name: line[:i], Line: line}
	if i == len(line) {
		return f, bad("a header line has no colon")
	}
	if line[i] != ':' {
		if note == nil {
			return f, bad("a header name has a character that it must not have, or white space before its colon")
		}
		var err error
		if i, err = mendName(&f, note); err != nil {
			return f, err
		}
	}
	if f.Name == "" {
		return f, bad("a header line has no name")
	}
	f.Value = trim(f.Line[i+1:])
	return f, checkValue(f.Value, note)
}

// mendName takes the name of a response's field that is not a token, and returns where its colon is. A proxy removes
// white space before the colon of a response (RFC 9112, section 5.1); other visible characters are passed.
func mendName(f *Field, note func(string)) (int, error) {
	i := strings.IndexByte(f.Line, ':')
	if i < 0 {
		return 0, bad("a header line has no colon")
	}
	name := trim(f.Line[:i])
	for j := range len(name) {
		if c := name[j]; c <= ' ' || c >= 0x7f {
			return 0, bad("a header name has a character that it must not have")
		}
	}
	if len(name) != i {
		note("white space before a header's colon was removed")
		f.Line, i = name+f.Line[i:], len(name)
	}
	if !isToken(name) && name != "" {
		note("a header name has a character that it must not have")
	}
	f.Name = name
	return i, nil
}

func checkValue(v string, note func(string)) error {
	for i := range len(v) {
		c := v[i]
		if chars[c]&valueChar != 0 {
			continue
		}
		// RFC 9110, section 5.5: CR, LF and NUL are invalid and dangerous, other control characters may be retained.
		if note == nil || c == 0 || c == '\r' {
			return bad("a header value has a control character")
		}
		note("a header value has a control character")
	}
	return nil
}
