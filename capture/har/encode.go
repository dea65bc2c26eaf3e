package har

import (
	"bytes"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"eaves/capture"
	"eaves/capture/content"
)

// encode gives a body the codings that its head names, unless it has them already or one of them is not known. Tools
// write bodies decoded, while a kept body is one as transferred.
func encode(h capture.Header, body []byte) []byte {
	codings := content.Codings(h)
	if len(codings) == 0 || decodes(h, body) {
		return body
	}
	coded := body
	for _, coding := range codings {
		var b bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip", "x-gzip":
			w = gzip.NewWriter(&b)
		case "deflate":
			w = zlib.NewWriter(&b)
		case "br":
			w = brotli.NewWriterLevel(&b, brotli.DefaultCompression)
		case "zstd":
			z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
			if err != nil {
				return body
			}
			w = z
		default:
			return body
		}
		w.Write(coded)
		if w.Close() != nil {
			return body
		}
		coded = b.Bytes()
	}
	return coded
}

// decodes says whether a body has the codings that its head names.
func decodes(h capture.Header, body []byte) bool {
	r, err := content.Decode(h, bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer r.Close()
	// A body that is none of it fails at its first bytes; the limit is for bombs.
	const enough = 1 << 20
	n, err := io.CopyN(io.Discard, r, enough)
	return n == enough || err == io.EOF
}
