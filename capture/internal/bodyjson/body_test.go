package bodyjson

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"eaves/capture"
	"eaves/capture/internal/sample"
)

func FuzzWriteText(f *testing.F) {
	f.Add([]byte("a\"\\\n\x00\u2028é日\xff\xf0\x9f"))
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, r := range []io.Reader{bytes.NewReader(p), iotest.OneByteReader(bytes.NewReader(p)), iotest.DataErrReader(bytes.NewReader(p))} {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			if err := WriteText(w, r); err != nil {
				t.Fatal(err)
			}
			w.Flush()
			var s string
			if err := json.Unmarshal(out.Bytes(), &s); err != nil {
				t.Fatalf("%q: %v", out.String(), err)
			}
			if utf8.Valid(p) && s != string(p) {
				t.Fatalf("got %q for %q", s, p)
			}
		}
	})
}

const limit = 4 << 20

func opened(t *testing.T, body []byte, head capture.Header) *Body {
	t.Helper()
	b, err := open(context.Background(), &sample.Source{Bodies: map[sample.Key][]byte{{ID: 1, Side: capture.SideResponse}: body}}, 1, capture.SideResponse, head, limit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBodies(t *testing.T) {
	pack := func(s string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.Bytes()
	}
	gzipped := capture.Header{{Name: "content-encoding", Value: "gzip"}}
	long := strings.Repeat("日本語 ", 50_000)
	for _, c := range []struct {
		name        string
		body        []byte
		head        capture.Header
		want        string
		text, coded bool
	}{
		{"text", []byte("héllo"), nil, "héllo", true, false},
		{"binary", []byte{0xff, 0}, nil, "\xff\x00", false, false},
		{"rune cut", []byte("h\xc3"), nil, "h\xc3", false, false},
		{"long", []byte(long), nil, long, true, false},
		{"gzip", pack(long), gzipped, long, true, true},
		{"gzip of binary", pack("\xff"), gzipped, "\xff", false, true},
		{"said to be gzip", []byte("plain"), gzipped, "plain", true, false},
		{"unknown coding", []byte("plain"), capture.Header{{Name: "Content-Encoding", Value: "zap"}}, "plain", true, false},
		{"bomb", pack(strings.Repeat("\x00", limit+1)), gzipped, string(pack(strings.Repeat("\x00", limit+1))), false, false},
	} {
		b := opened(t, c.body, c.head)
		if b.Text != c.text || b.Coded != c.coded || b.Size != int64(len(c.want)) || b.Kept != int64(len(c.body)) {
			t.Errorf("%s: text %v, coded %v, size %d, kept %d", c.name, b.Text, b.Coded, b.Size, b.Kept)
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		var err error
		if c.text {
			err = b.WriteText(w)
		} else {
			err = b.WriteBase64(w)
		}
		w.Flush()
		var got string
		if jerr := json.Unmarshal(out.Bytes(), &got); err != nil || jerr != nil {
			t.Fatalf("%s: %v, %v", c.name, err, jerr)
		}
		if !c.text {
			p, err := base64.StdEncoding.DecodeString(got)
			if err != nil {
				t.Fatal(err)
			}
			got = string(p)
		}
		if got != c.want {
			t.Errorf("%s: got %d bytes, want %d", c.name, len(got), len(c.want))
		}
		out.Reset()
		b.WriteKept(w)
		w.Flush()
		if want := `"` + base64.StdEncoding.EncodeToString(c.body) + `"`; out.String() != want {
			t.Errorf("%s: kept", c.name)
		}
		b.Close()
	}
	if opened(t, nil, nil) != nil {
		t.Error("an empty body is none")
	}
}

// A coded body that was cut is written as far as it decodes.
func TestCutBody(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	text := strings.Repeat("0123456789", 10_000)
	io.WriteString(z, text)
	z.Flush()
	b := opened(t, packed.Bytes(), capture.Header{{Name: "Content-Encoding", Value: "gzip"}})
	if !b.Coded || !b.Text || b.Size == 0 {
		t.Fatalf("%+v", b)
	}
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := b.WriteText(w); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	var got string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != text[:b.Size] {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}
