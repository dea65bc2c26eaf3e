// Package bodyjson writes bodies into JSON as they stream, in memory that does not grow with them.
package bodyjson

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"unicode/utf8"

	"eaves/capture"
	"eaves/capture/content"
)

// maxDecoded is how far a body is decoded for a file. A few bytes can be made to decode to terabytes; what decodes to more
// than this is written as it was transferred.
const maxDecoded = 256 << 20

// Opener opens one side's body, as a store does.
type Opener interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
}

// Body is a body that has been looked through once, so that it is known how to write it.
type Body struct {
	// Kept is the number of bytes kept, as transferred. Size is what they decode to.
	Kept, Size int64
	// Coded says that content codings were undone: what WriteText and WriteBase64 write is not what was transferred.
	Coded bool
	// Text says that the decoded body is UTF-8.
	Text bool
	body capture.Body
	head capture.Header
}

// Open opens a body and looks through it. It returns nil where there is none.
func Open(ctx context.Context, from Opener, id int64, side capture.Side, head capture.Header) (*Body, error) {
	return open(ctx, from, id, side, head, maxDecoded)
}

func open(ctx context.Context, from Opener, id int64, side capture.Side, head capture.Header, limit int64) (*Body, error) {
	raw, err := from.Body(ctx, id, side)
	if errors.Is(err, capture.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if raw.Size() == 0 {
		return nil, raw.Close()
	}
	b := &Body{Kept: raw.Size(), body: raw, head: head}
	if len(content.Codings(head)) > 0 {
		b.Coded = true
		var whole bool
		if b.Size, b.Text, whole = b.scan(ctx, limit); !whole {
			b.Coded = false
		}
	}
	if !b.Coded {
		b.Size, b.Text, _ = b.scan(ctx, b.Kept)
	}
	if err := ctx.Err(); err != nil {
		raw.Close()
		return nil, err
	}
	return b, nil
}

// Close closes the body.
func (b *Body) Close() error { return b.body.Close() }

// kept reads the body as transferred. A body that still grows ends where it ended when it was opened.
func (b *Body) kept() io.Reader { return io.NewSectionReader(b.body, 0, b.Kept) }

// decoded reads the body with its codings undone, if they were. A body that was cut ends where decoding does.
func (b *Body) decoded() (io.ReadCloser, error) {
	if !b.Coded {
		return io.NopCloser(b.kept()), nil
	}
	return content.Decode(b.head, b.kept())
}

func (b *Body) scan(ctx context.Context, limit int64) (size int64, text, whole bool) {
	r, err := b.decoded()
	if err != nil {
		return 0, false, false
	}
	defer r.Close()
	text = true
	buf := make([]byte, 32<<10)
	rest := 0
	for ctx.Err() == nil {
		n, err := r.Read(buf[rest:])
		size += int64(n)
		if size > limit {
			return size, false, false
		}
		p := buf[:rest+n]
		if text {
			cut := len(p) - incomplete(p)
			text = utf8.Valid(p[:cut])
			rest = copy(buf, p[cut:])
		}
		if !text {
			rest = 0
		}
		if err != nil {
			cut := err == io.ErrUnexpectedEOF
			return size, text && rest == 0, err == io.EOF || cut && size > 0
		}
	}
	return size, false, false
}

// incomplete is the number of bytes at the end of p that begin a rune.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if utf8.RuneStart(p[len(p)-n]) {
			if utf8.FullRune(p[len(p)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// WriteText writes the decoded body as a JSON string.
func (b *Body) WriteText(w *bufio.Writer) error {
	return b.write(func(r io.Reader) error { return WriteText(w, io.LimitReader(r, b.Size)) })
}

// WriteBase64 writes the decoded body as a JSON string in base64.
func (b *Body) WriteBase64(w *bufio.Writer) error {
	return b.write(func(r io.Reader) error { return WriteBase64(w, io.LimitReader(r, b.Size)) })
}

func (b *Body) write(to func(io.Reader) error) error {
	r, err := b.decoded()
	if err != nil {
		return err
	}
	defer r.Close()
	// What decoding cannot go on with was measured by scan: it is a body that was cut.
	return to(r)
}

// WriteKept writes the body as transferred, as a JSON string in base64.
func (b *Body) WriteKept(w *bufio.Writer) error { return WriteBase64(w, b.kept()) }

// WriteBase64 writes what r has as a JSON string in base64.
func WriteBase64(w *bufio.Writer, r io.Reader) error {
	w.WriteByte('"')
	e := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.Copy(e, r); err != nil {
		return err
	}
	e.Close()
	return w.WriteByte('"')
}

// WriteText writes what r has as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func WriteText(w *bufio.Writer, r io.Reader) error {
	const hex = "0123456789abcdef"
	w.WriteByte('"')
	buf := make([]byte, 32<<10)
	rest := 0
	for {
		n, err := r.Read(buf[rest:])
		p := buf[:rest+n]
		end := err != nil
		cut := len(p)
		if !end {
			cut -= incomplete(p)
		}
		start := 0
		for i := 0; i < cut; {
			c := p[i]
			if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
				i++
				continue
			}
			size := 1
			if c >= utf8.RuneSelf {
				var r rune
				r, size = utf8.DecodeRune(p[i:cut])
				// The last two end a line in JavaScript.
				if (r != utf8.RuneError || size > 1) && r != '\u2028' && r != '\u2029' {
					i += size
					continue
				}
				w.Write(p[start:i])
				switch r {
				case '\u2028':
					w.WriteString(`\u2028`)
				case '\u2029':
					w.WriteString(`\u2029`)
				default:
					w.WriteString(`\ufffd`)
				}
			} else {
				w.Write(p[start:i])
				switch c {
				case '"', '\\':
					w.WriteByte('\\')
					w.WriteByte(c)
				case '\n':
					w.WriteString(`\n`)
				case '\r':
					w.WriteString(`\r`)
				case '\t':
					w.WriteString(`\t`)
				default:
					w.WriteString(`\u00`)
					w.WriteByte(hex[c>>4])
					w.WriteByte(hex[c&15])
				}
			}
			i += size
			start = i
		}
		w.Write(p[start:cut])
		rest = copy(buf, p[cut:])
		if end {
			if err != io.EOF {
				return err
			}
			return w.WriteByte('"')
		}
	}
}
