package content

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"eaves/capture"
)

func header(encoding string) capture.Header {
	return capture.Header{{Name: "content-ENCODING", Value: encoding}}
}

func encode(t testing.TB, coding string, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, err = flate.NewWriter(&b, 6)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		return p
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(t testing.TB, h capture.Header, p []byte) ([]byte, error) {
	t.Helper()
	r, err := Decode(h, iotest.OneByteReader(bytes.NewReader(p)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

var sampleText = []byte(strings.Repeat("The quick brown fox. ", 500))

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, encoding string
		body, want     []byte
	}{
		{"none", "", sampleText, sampleText},
		{"identity", "identity", sampleText, sampleText},
		{"gzip", "gzip", encode(t, "gzip", sampleText), sampleText},
		{"x-gzip", "X-GZip", encode(t, "gzip", sampleText), sampleText},
		{"deflate", "deflate", encode(t, "deflate", sampleText), sampleText},
		{"deflate without zlib's head", "deflate", encode(t, "raw", sampleText), sampleText},
		{"br", "br", encode(t, "br", sampleText), sampleText},
		{"zstd", "zstd", encode(t, "zstd", sampleText), sampleText},
		{"two", "gzip, br", encode(t, "br", encode(t, "gzip", sampleText)), sampleText},
		{"three", "br,,identity, zstd , gzip", encode(t, "gzip", encode(t, "zstd", encode(t, "br", sampleText))), sampleText},
		{"members", "gzip", append(encode(t, "gzip", []byte("one ")), encode(t, "gzip", []byte("two"))...), []byte("one two")},
		{"frames", "zstd", append(encode(t, "zstd", []byte("one ")), encode(t, "zstd", []byte("two"))...), []byte("one two")},
		{"trailing bytes", "gzip", append(encode(t, "gzip", sampleText), "\r\njunk"...), sampleText},
		{"empty gzip", "gzip", nil, nil},
		{"empty deflate", "deflate", nil, nil},
		{"empty br", "br", nil, nil},
		{"empty zstd", "zstd", nil, nil},
	} {
		got, err := decode(t, header(c.encoding), c.body)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %d bytes of %d, %v", c.name, len(got), len(c.want), err)
		}
	}
	// Two fields are as one (RFC 9110, 5.2).
	h := append(header("gzip"), header("br")...)
	if got, err := decode(t, h, encode(t, "br", encode(t, "gzip", sampleText))); err != nil || !bytes.Equal(got, sampleText) {
		t.Errorf("two fields: got %d, %v", len(got), err)
	}
}

func TestCutBodiesGiveWhatTheyHave(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		var incompressible [100_000]byte
		for i := range incompressible {
			incompressible[i] = byte(i * i >> 3)
		}
		whole := encode(t, coding, incompressible[:])
		got, err := decode(t, header(coding), whole[:len(whole)*3/4])
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", coding, err)
		}
		if !bytes.HasPrefix(incompressible[:], got) || len(got) == 0 && coding != "zstd" {
			t.Errorf("%s: got %d bytes", coding, len(got))
		}
		if _, err := decode(t, header(coding), whole[:1]); err == nil {
			t.Errorf("%s: one byte is no body", coding)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var unsupported *UnsupportedError
	if _, err := Decode(header("gzip, compress"), nil); !errors.As(err, &unsupported) || unsupported.Coding != "compress" {
		t.Errorf("got %v", err)
	}
	if _, err := Decode(header("gzip,gzip,gzip,gzip,gzip,gzip"), nil); !errors.Is(err, ErrTooManyCodings) {
		t.Errorf("got %v", err)
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		if _, err := decode(t, header(coding), []byte("this was never encoded by anybody, ever")); err == nil {
			t.Errorf("%s: no error", coding)
		}
	}
}

// A bomb comes out as slowly as it is read, in bounded memory.
func TestBombsTakeNoMemory(t *testing.T) {
	zeros := make([]byte, 64<<20)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		bomb := encode(t, coding, zeros)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h := append(header(coding), capture.Field{Name: "Content-Type", Value: "application/octet-stream"})
		text, whole, err := Text(h, bytes.NewReader(bomb), 1<<20)
		if text != "" || err != nil || !whole {
			t.Errorf("%s: %d bytes of text, %v", coding, len(text), err)
		}
		h[1].Value = "text/plain"
		text, whole, err = Text(h, bytes.NewReader(bomb), 1<<20)
		if len(text) != 1<<20 || whole || err != nil {
			t.Errorf("%s: %d bytes of text, whole %v, %v", coding, len(text), whole, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 48<<20 {
			t.Errorf("%s: %d MiB allocated", coding, grown>>20)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "raw"} {
		f.Add(coding, encode(f, coding, []byte("hello hello hello")))
	}
	f.Add("gzip, br", []byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, codings string, body []byte) {
		h := append(header(codings), capture.Field{Name: "Content-Type", Value: "text/html"})
		text, _, _ := Text(h, bytes.NewReader(body), 1<<16)
		if len(text) > 4<<16 {
			t.Errorf("%d bytes of text", len(text))
		}
	})
}
