package har

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// spooled is the length from which on a body's text goes to a file while the entry around it is read.
const spooled = 256 << 10

// spooler reads JSON and puts the long strings that bodies stand in aside, into files, so that an entry can be decoded
// whole without its bodies. A name takes such a string's place.
type spooler struct {
	from io.Reader
	dir  string // made when the first file is
	name string // what names begin with; nobody can guess it
	made int

	buf, out []byte
	err      error

	inString, escaped bool
	held              []byte // the string so far, still escaped
	last              string // the last string that ended, if it is short
	key               string // the member whose value comes next
	file              *os.File
}

func newSpooler(from io.Reader) *spooler {
	return &spooler{from: from, name: "eaves-" + rand.Text() + "-", buf: make([]byte, 64<<10)}
}

// Close removes the files.
func (s *spooler) Close() error {
	if s.file != nil {
		s.file.Close()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

func (s *spooler) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.out = s.out[:0]
		n, err := s.from.Read(s.buf)
		s.err = err
		if err := s.scan(s.buf[:n]); err != nil {
			s.err = err
		}
		if s.err != nil && s.inString && s.file == nil {
			s.out = append(s.out, s.held...) // the file ends in the middle of a string
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *spooler) scan(p []byte) error {
	for len(p) > 0 {
		if !s.inString {
			i := bytes.IndexByte(p, '"')
			if i < 0 {
				s.between(p)
				return nil
			}
			s.between(p[:i+1])
			p = p[i+1:]
			s.inString, s.held = true, s.held[:0]
			continue
		}
		end := s.stringEnd(p)
		part := p
		if end >= 0 {
			part = p[:end]
		}
		if err := s.add(part); err != nil {
			return err
		}
		if end < 0 {
			return nil
		}
		p = p[end+1:]
		if err := s.endString(); err != nil {
			return err
		}
	}
	return nil
}

// between takes what stands between strings.
func (s *spooler) between(p []byte) {
	s.out = append(s.out, p...)
	for _, c := range p {
		switch c {
		case ':':
			s.key = s.last
		case ',', '{', '}', '[', ']':
			s.key = ""
		}
	}
}

// stringEnd finds the quote that ends the string, and remembers an escape at the end of p.
func (s *spooler) stringEnd(p []byte) int {
	for i := 0; i < len(p); i++ {
		if s.escaped {
			s.escaped = false
			continue
		}
		j := bytes.IndexAny(p[i:], `"\`)
		if j < 0 {
			return -1
		}
		if i += j; p[i] == '"' {
			return i
		}
		s.escaped = true
	}
	return -1
}

func (s *spooler) add(p []byte) error {
	if s.file == nil && (s.key == "text" || s.key == "_data") && len(s.held)+len(p) > spooled {
		if err := s.create(); err != nil {
			return err
		}
		if _, err := s.file.Write(s.held); err != nil {
			return err
		}
	}
	if s.file != nil {
		_, err := s.file.Write(p)
		return err
	}
	s.held = append(s.held, p...)
	return nil
}

func (s *spooler) create() (err error) {
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "eaves-import-"); err != nil {
			return err
		}
	}
	s.made++
	s.file, err = os.OpenFile(s.path(strconv.Itoa(s.made)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return err
}

func (s *spooler) path(number string) string {
	return s.dir + string(os.PathSeparator) + number
}

func (s *spooler) endString() error {
	s.inString = false
	if s.file == nil {
		s.last = ""
		if len(s.held) < 16 {
			s.last = string(s.held)
		}
		s.out = append(append(s.out, s.held...), '"')
		return nil
	}
	err := s.file.Close()
	s.file, s.last = nil, ""
	s.out = append(s.out, s.name+strconv.Itoa(s.made)+`"`...)
	return err
}

// text is a string of the file, wherever it is.
type text struct {
	from   *spooler
	s      string
	base64 bool
}

// open reads the text; base64 is undone.
func (t text) open() (io.ReadCloser, error) {
	number, aside := "", false
	if t.from != nil {
		number, aside = strings.CutPrefix(t.s, t.from.name)
	}
	var r io.ReadCloser = io.NopCloser(strings.NewReader(t.s))
	if aside {
		f, err := os.Open(t.from.path(number))
		if err != nil {
			return nil, err
		}
		r = struct {
			io.Reader
			io.Closer
		}{&unescaper{r: bufio.NewReaderSize(f, 64<<10)}, f}
	}
	if !t.base64 {
		return r, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{base64.NewDecoder(base64.StdEncoding, r), r}, nil
}

// empty says whether there is no text. What is put aside is not empty.
func (t text) empty() bool { return t.s == "" }

// check reads the text to its end.
func (t text) check() error {
	r, err := t.open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	var corrupt base64.CorruptInputError
	if errors.As(err, &corrupt) || t.base64 && errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("its body is no base64")
	}
	return err
}

// remove removes the text's file, if it has one.
func (t text) remove() {
	if t.from != nil {
		if number, aside := strings.CutPrefix(t.s, t.from.name); aside {
			_ = os.Remove(t.from.path(number)) // Close removes what is left
		}
	}
}

var errEscape = errors.New("invalid escape in a string")

// unescaper undoes the escapes of a JSON string (RFC 8259, 7), as encoding/json does.
type unescaper struct {
	r    *bufio.Reader
	rest []byte
}

func (u *unescaper) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(u.rest) > 0 {
			k := copy(p[n:], u.rest)
			u.rest = u.rest[k:]
			n += k
			continue
		}
		// Take what is plain in one go.
		if plain, _ := u.r.Peek(max(u.r.Buffered(), 1)); len(plain) > 0 && plain[0] != '\\' {
			if i := bytes.IndexByte(plain, '\\'); i >= 0 {
				plain = plain[:i]
			}
			k := copy(p[n:], plain)
			u.r.Discard(k)
			n += k
			continue
		}
		if _, err := u.r.ReadByte(); err != nil { // the backslash
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		r, err := u.escape()
		if err != nil {
			return n, err
		}
		u.rest = utf8.AppendRune(u.rest[:0], r)
	}
	return n, nil
}

// escape reads what stands behind a backslash.
func (u *unescaper) escape() (rune, error) {
	c, err := u.r.ReadByte()
	if err != nil {
		return 0, errEscape
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, err := hex4(u.r)
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		// The other half, if it follows.
		if next, _ := u.r.Peek(6); len(next) == 6 && next[0] == '\\' && next[1] == 'u' {
			low, err := hex4(bytes.NewReader(next[2:]))
			if err != nil {
				return 0, err
			}
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				u.r.Discard(6)
				return both, nil
			}
		}
		return utf8.RuneError, nil
	}
	return 0, errEscape
}

func hex4(r io.Reader) (rune, error) {
	var digits [4]byte
	if _, err := io.ReadFull(r, digits[:]); err != nil {
		return 0, errEscape
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 32)
	if err != nil {
		return 0, errEscape
	}
	return rune(n), nil
}
