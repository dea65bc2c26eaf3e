package har

import (
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"eaves/capture"
	"eaves/capture/content"
)

// encode writes a body with the codings that head names, unless it has them already or one of them is not known. Tools
// write bodies decoded, while a kept body is one as transferred.
func encode(to io.Writer, head capture.Header, open func() (io.ReadCloser, error)) error {
	codings := content.Codings(head)
	if len(codings) > 0 {
		coded, err := decodes(head, open)
		if err != nil {
			return err
		}
		if coded {
			codings = nil
		}
	}
	body, err := open()
	if err != nil {
		return err
	}
	defer body.Close()
	w := &encoder{to: to}
	for i := len(codings) - 1; i >= 0 && w != nil; i-- {
		w = w.with(codings[i])
	}
	if w == nil {
		w = &encoder{to: to}
	}
	if _, err := io.Copy(w.to, body); err != nil {
		return err
	}
	return w.close()
}

// encoder is a chain of writers; the last one made is written to and closed first.
type encoder struct {
	to      io.Writer
	closers []io.Closer
}

// with puts a coding in front. It returns nil where the coding is not known.
func (e *encoder) with(coding string) *encoder {
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(e.to)
	case "deflate":
		w = zlib.NewWriter(e.to)
	case "br":
		w = brotli.NewWriterLevel(e.to, brotli.DefaultCompression)
	case "zstd":
		z, err := zstd.NewWriter(e.to, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			return nil
		}
		w = z
	default:
		return nil
	}
	return &encoder{to: w, closers: append(e.closers, w)}
}

func (e *encoder) close() error {
	for i := len(e.closers) - 1; i >= 0; i-- {
		if err := e.closers[i].Close(); err != nil {
			return err
		}
	}
	return nil
}

// decodes says whether a body has the codings that its head names.
func decodes(head capture.Header, open func() (io.ReadCloser, error)) (bool, error) {
	body, err := open()
	if err != nil {
		return false, err
	}
	defer body.Close()
	r, err := content.Decode(head, body)
	if err != nil {
		return false, nil
	}
	defer r.Close()
	// A body that is none of it fails at its first bytes; the limit is for bombs.
	const enough = 1 << 20
	n, err := io.CopyN(io.Discard, r, enough)
	return n == enough || err == io.EOF, nil
}
