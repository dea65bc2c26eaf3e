package webui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"eaves/capture"
	"eaves/capture/content"
)

// decodedBody is a kept body with its codings undone. Going back means to begin anew.
type decodedBody struct {
	ctx    context.Context
	kept   capture.Body
	header capture.Header
	// cut says that not all of the body was kept: then the end may come where the coding does not expect it.
	cut bool

	in io.ReadCloser
	// at is where in is, want where the next read is to begin, length the whole once it is known.
	at, want, length int64
	known            bool
}

// check looks whether the body can be decoded at all.
func (d *decodedBody) check() error {
	var peek [1]byte
	_, err := d.Read(peek[:])
	d.want = 0
	if err == nil || err == io.EOF {
		return nil
	}
	if d.ctx.Err() != nil {
		return err
	}
	return d.problem(err)
}

// problem says where the decoding came to its end, in bytes as transferred, and how much came out before that.
func (d *decodedBody) problem(err error) error {
	p := problem{Status: http.StatusUnprocessableEntity, Parameter: "decoded", Hint: "ask for it without decoded"}
	codings := strings.Join(content.Codings(d.header), ", ")
	var unknown *content.UnsupportedError
	switch {
	case errors.Is(err, errBomb), d.in == nil, errors.As(err, &unknown):
		p.Detail = fmt.Sprintf("this body cannot be decoded as %s: %v", codings, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.Detail = fmt.Sprintf("at byte %d the transferred body ends within its %s coding; %d bytes could be decoded", d.taken(), codings, d.at)
	default:
		// Only these are read byte by byte.
		where := "before"
		if all := content.Codings(d.header); slices.Contains([]string{"gzip", "x-gzip", "deflate"}, all[len(all)-1]) {
			where = "at"
		}
		p.Detail = fmt.Sprintf("%s byte %d the transferred body stops being %s: %v; %d bytes could be decoded", where, d.taken(), codings, err, d.at)
	}
	return p
}

// taken is how many of the transferred bytes were decoded.
func (d *decodedBody) taken() int64 {
	if t, ok := d.in.(interface{ Taken() int64 }); ok {
		return t.Taken()
	}
	return d.kept.Size()
}

const (
	// enough is how much is decoded of any body, whatever it grows out of.
	enough = 256 << 20
	// steepest is how many times its size a longer body may grow to: text becomes ten to fifty times as large, made-up
	// bodies a thousand times and more.
	steepest = 200
)

var errBomb = fmt.Errorf("it grows to more than %d times its size: decoding stopped after %d MB", steepest, enough>>20)

// open begins anew.
func (d *decodedBody) open() error {
	d.Close()
	if _, err := d.kept.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in, err := content.Decode(d.header, d.kept)
	if err != nil {
		return err
	}
	d.in, d.at = in, 0
	return nil
}

// Close lets go of the decoder; the kept body stays open.
func (d *decodedBody) Close() {
	if d.in != nil {
		d.in.Close()
		d.in = nil
	}
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
	if d.at >= enough && d.at/steepest > d.kept.Size() {
		return 0, errBomb
	}
	n, err := d.in.Read(p)
	d.at += int64(n)
	if err == io.EOF || d.cut && errors.Is(err, io.ErrUnexpectedEOF) {
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
	if d.at >= to {
		return nil
	}
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
