package webui

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"eaves/capture"
)

// contentCodings are the codings to undo, in the order in which they were applied.
func contentCodings(h capture.Header) []string {
	var codings []string
	for _, v := range h.Values("Content-Encoding") {
		for c := range strings.SplitSeq(v, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				codings = append(codings, c)
			}
		}
	}
	return codings
}

// maxCodings bounds how many codings are undone: each costs memory.
const maxCodings = 4

// undo undoes codings.
func undo(r io.Reader, codings []string) (io.Reader, func(), error) {
	var closers []func()
	closeAll := func() {
		for _, c := range closers {
			c()
		}
	}
	if len(codings) > maxCodings {
		return nil, nil, fmt.Errorf("%d codings one upon another", len(codings))
	}
	for i := len(codings) - 1; i >= 0; i-- {
		var err error
		switch codings[i] {
		case "gzip", "x-gzip":
			r, err = gzip.NewReader(r)
		case "deflate":
			// RFC 9110, 8.4.1.2 means zlib; some senders leave its head out.
			b := bufio.NewReader(r)
			if head, _ := b.Peek(2); len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
				r, err = zlib.NewReader(b)
			} else {
				r = flate.NewReader(b)
			}
		case "br":
			r = brotli.NewReader(r)
		case "zstd":
			var z *zstd.Decoder
			z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderLowmem(true))
			if err == nil {
				closers = append(closers, z.Close)
				r = z
			}
		default:
			err = fmt.Errorf("the coding %q is not known here", codings[i])
		}
		if err != nil {
			closeAll()
			return nil, nil, err
		}
	}
	return r, closeAll, nil
}

// decodedBody is a kept body with its codings undone. Going back means to begin anew.
type decodedBody struct {
	ctx     context.Context
	kept    capture.Body
	codings []string
	// cut says that not all of the body was kept: then the end may come where the coding does not expect it.
	cut bool

	in    io.Reader
	close func()
	// at is where in is, want where the next read is to begin, length the whole once it is known.
	at, want, length int64
	known            bool
}

// check looks whether the body can be decoded at all.
func (d *decodedBody) check() error {
	if d.kept.Size() == 0 {
		// An answer to HEAD, or 304, names a coding and has no body.
		d.known = true
		return nil
	}
	err := d.open()
	var peek [1]byte
	if err == nil {
		_, err = io.ReadFull(d.in, peek[:])
		if err == io.EOF {
			err = nil
		}
		d.at = 1
	}
	if err != nil && !(d.cut && ended(err)) {
		return problem{Status: http.StatusUnprocessableEntity, Parameter: "decoded",
			Detail: fmt.Sprintf("this body cannot be decoded as %s: %v", strings.Join(d.codings, ", "), err), Hint: "ask for it without decoded"}
	}
	if err != nil {
		d.known = true
	}
	return nil
}

// ended says whether an error is that of an input that ends too early.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// open begins anew.
func (d *decodedBody) open() error {
	d.Close()
	if _, err := d.kept.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in, done, err := undo(bufio.NewReaderSize(d.kept, 32<<10), d.codings)
	if err != nil {
		return err
	}
	d.in, d.close, d.at = in, done, 0
	return nil
}

// Close lets go of the decoder; the kept body stays open.
func (d *decodedBody) Close() {
	if d.close != nil {
		d.close()
	}
	d.in, d.close = nil, nil
}

func (d *decodedBody) Read(p []byte) (int, error) {
	if d.known && d.want >= d.length {
		return 0, io.EOF
	}
	if err := d.reach(); err != nil {
		return 0, err
	}
	n, err := d.read(p)
	d.want = d.at
	return n, err
}

// read reads on, and makes what ends too early end here where that is to be expected.
func (d *decodedBody) read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.in.Read(p)
	d.at += int64(n)
	if err != nil && ended(err) && (err == io.EOF || d.cut) {
		d.length, d.known = d.at, true
		err = io.EOF
	}
	return n, err
}

// reach brings the decoder to where the next read is to begin.
func (d *decodedBody) reach() error {
	if d.in == nil || d.at > d.want {
		if err := d.open(); err != nil {
			return err
		}
	}
	return d.skip(d.want)
}

// skip decodes and forgets up to a position, or to the end.
func (d *decodedBody) skip(to int64) error {
	buf := make([]byte, 32<<10)
	for d.at < to {
		if _, err := d.read(buf[:min(int64(len(buf)), to-d.at)]); err != nil {
			return err
		}
	}
	return nil
}

// Seek goes where the caller wants. The end is found by decoding everything once.
func (d *decodedBody) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += d.want
	case io.SeekEnd:
		if !d.known {
			if err := d.reach(); err != nil && err != io.EOF {
				return 0, err
			}
			if err := d.skip(1<<63 - 1); err != nil && err != io.EOF {
				return 0, err
			}
		}
		offset += d.length
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning")
	}
	d.want = offset
	return offset, nil
}
