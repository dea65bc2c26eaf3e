// Package content undoes what a body went through on its way: content codings and character sets. Bodies are kept as they
// were transferred; this is for showing and searching them.
//
// # Guarantees
//
// Everything streams in bounded memory, whatever the body claims: a decoder's window is at most 8 MiB (16 MiB for br),
// and at most five codings are undone. How much comes out is the caller's to limit: a few bytes can become gigabytes. A
// body that was cut gives what can be decoded of it, then io.ErrUnexpectedEOF.
package content

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"eaves/capture"
)

const (
	// maxCodings is more than anybody sends on purpose.
	maxCodings = 5
	// maxWindow is what browsers take (RFC 8878, 3.1.1.1.2 recommends it as well).
	maxWindow = 8 << 20
)

// UnsupportedError names a content coding that is not known here.
type UnsupportedError struct{ Coding string }

func (e *UnsupportedError) Error() string { return "content coding " + e.Coding + " is not known" }

// ErrTooManyCodings says that a body claims more codings than anybody sends.
var ErrTooManyCodings = errors.New("too many content codings")

// Codings lists the codings that were applied to a body, in the order they were applied (RFC 9110, 8.4), in lower case,
// identity left out.
func Codings(h capture.Header) []string {
	var codings []string
	for _, f := range h {
		if !strings.EqualFold(f.Name, "Content-Encoding") {
			continue
		}
		for _, c := range strings.Split(f.Value, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				codings = append(codings, c)
			}
		}
	}
	return codings
}

// Decode returns the body with its codings undone. Closing the result does not close body.
func Decode(h capture.Header, body io.Reader) (io.ReadCloser, error) {
	codings := Codings(h)
	if len(codings) > maxCodings {
		return nil, ErrTooManyCodings
	}
	d := &decoder{taken: counter{Reader: body}}
	d.Reader = &d.taken
	for i := len(codings) - 1; i >= 0; i-- {
		if err := d.undo(codings[i]); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// decoder is a chain of decoders.
type decoder struct {
	io.Reader
	closers []func()
	// taken counts what was read of the body, ahead what of that the first decoder has not looked at yet.
	taken counter
	ahead func() int
}

// counter counts what is read through it.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// Taken is how many of the transferred bytes have gone into what was read so far. Where decoders read ahead on their own
// (br, zstd) it is that much larger.
func (d *decoder) Taken() int64 {
	if d.ahead == nil {
		return d.taken.n
	}
	return d.taken.n - int64(d.ahead())
}

func (d *decoder) Close() error {
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
	d.closers = nil
	return nil
}

func (d *decoder) undo(coding string) error {
	switch coding {
	case "gzip", "x-gzip":
		d.Reader = d.lazy(openGzip)
	case "deflate":
		d.Reader = d.lazy(openDeflate)
	case "br":
		d.Reader = d.lazy(func(br *bufio.Reader) (io.Reader, error) { return brotli.NewReader(br), nil })
	case "zstd":
		z, err := zstd.NewReader(d.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		d.closers = append(d.closers, z.Close)
		d.Reader = z
	default:
		return &UnsupportedError{coding}
	}
	return nil
}

// lazy puts a decoder at the end of the chain. The first one knows how much it has read ahead.
func (d *decoder) lazy(open func(*bufio.Reader) (io.Reader, error)) io.Reader {
	l := &lazy{src: d.Reader, open: open}
	if d.Reader == &d.taken {
		d.ahead = l.buffered
	}
	return l
}

// lazy opens its decoder at the first read, so that an empty body is empty and not a mistake: answers to HEAD, 304 and
// many servers' empty answers have a coding and no bytes.
type lazy struct {
	src  io.Reader
	open func(*bufio.Reader) (io.Reader, error)
	br   *bufio.Reader
	r    io.Reader
	err  error
}

func (l *lazy) buffered() int {
	if l.br == nil {
		return 0
	}
	return l.br.Buffered()
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.br = bufio.NewReader(l.src)
		if _, err := l.br.Peek(1); err != nil {
			l.err = err
		} else if l.r, err = l.open(l.br); err != nil {
			l.err = cut(err)
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	return n, cut(err)
}

// cut makes one error of the several ways to meet a body's early end.
func cut(err error) error {
	if err == io.EOF || err == nil {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// gzipReader reads members one after the other, and what is no member behind the last one is left alone: browsers and
// curl ignore such trailing bytes.
type gzipReader struct {
	br *bufio.Reader
	z  *gzip.Reader
}

func openGzip(br *bufio.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(br)
	if err != nil {
		return nil, early(err)
	}
	z.Multistream(false)
	return &gzipReader{br, z}, nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if err != io.EOF || n > 0 {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		head, _ := g.br.Peek(2)
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			return 0, io.EOF
		}
		if err := g.z.Reset(g.br); err != nil {
			return 0, early(err)
		}
		g.z.Multistream(false)
	}
}

// early is the error of a stream that ends inside its header.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// openDeflate takes a zlib stream, which is what the name means (RFC 9110, 8.4.1.2), or the bare deflate stream that
// some servers send.
func openDeflate(br *bufio.Reader) (io.Reader, error) {
	head, _ := br.Peek(2)
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(br)
		if err != nil {
			return nil, early(err)
		}
		return z, nil
	}
	return flate.NewReader(br), nil
}
