package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var chunkCases = []struct {
	name, raw string
	broken    bool // it is wrong, not only cut
	body      string
}{
	{"no data", "0\r\n\r\n", false, ""},
	{"one chunk", "3\r\nabc\r\n0\r\n\r\n", false, "abc"},
	{"CRLF as data", "2\r\n\r\n\r\n0\r\n\r\n", false, "\r\n"},
	{"16 digits", "0000000000000003\r\nabc\r\n0\r\n\r\n", false, "abc"},
	{"end of several zeros", "000\r\n\r\n", false, ""},
	{"extension", "3;x;y=z;q=\"a b\"\r\nabc\r\n0;last=1\r\n\r\n", false, "abc"},
	{"extension with an escaped quote", "3;q=\"\\\"\"\r\nabc\r\n0\r\n\r\n", false, "abc"},
	{"trailer", "0\r\nA: b\r\nC: d\r\n\r\n", false, ""},

	{"17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", true, ""},
	{"over int64", "8000000000000000\r\nabc", true, ""},
	{"over uint64", "10000000000000003\r\nabc\r\n0\r\n\r\n", true, ""},
	{"prefix 0x", "0x3\r\nabc\r\n0\r\n\r\n", true, ""},
	{"plus", "+3\r\nabc\r\n0\r\n\r\n", true, ""},
	{"minus", "-3\r\nabc\r\n0\r\n\r\n", true, ""},
	{"underscore", "0_3\r\nabc\r\n0\r\n\r\n", true, ""},
	{"space before size", " 3\r\nabc\r\n0\r\n\r\n", true, ""},
	{"space behind size", "3 \r\nabc\r\n0\r\n\r\n", true, ""},
	{"tab behind size", "3\t\r\nabc\r\n0\r\n\r\n", true, ""},
	{"space before semicolon", "3 ;x\r\nabc\r\n0\r\n\r\n", true, ""},
	{"two sizes", "3 4\r\nabc\r\n0\r\n\r\n", true, ""},
	{"letter behind size", "3g\r\nabc\r\n0\r\n\r\n", true, ""},
	{"empty line for size", "\r\nabc\r\n0\r\n\r\n", true, ""},
	{"extension alone", ";x\r\nabc\r\n0\r\n\r\n", true, ""},
	{"comma behind size", "3,x\r\nabc\r\n0\r\n\r\n", true, ""},
	{"NUL behind size", "3\x00\r\nabc\r\n0\r\n\r\n", true, ""},
	{"bare LF behind size", "3\nabc\r\n0\r\n\r\n", true, ""},
	{"bare LF in extension", "3;\nabc\r\n0\r\n\r\n", true, ""},
	{"bare LF in extension, TERM.EXT", "2;\nxx\r\n4c\r\n0\r\n\r\n", true, ""},
	{"bare CR in extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", true, ""},
	{"CR CR LF behind size", "3\r\r\nabc\r\n0\r\n\r\n", true, ""},
	{"NUL in extension", "3;a\x00\r\nabc\r\n0\r\n\r\n", true, ""},
	{"control character in quotes", "3;a=\"\x01\"\r\nabc\r\n0\r\n\r\n", true, ""},
	{"open quotes", "3;a=\"b\r\nabc\r\n0\r\n\r\n", true, ""},
	{"open escape", "3;a=\"b\\\r\nabc\r\n0\r\n\r\n", true, ""},
	{"text behind quotes", "3;a=\"b\"c\r\nabc\r\n0\r\n\r\n", true, ""},
	{"extension without name", "3;\r\nabc\r\n0\r\n\r\n", true, ""},
	{"extension without value", "3;a=\r\nabc\r\n0\r\n\r\n", true, ""},
	{"empty extension between", "3;;a\r\nabc\r\n0\r\n\r\n", true, ""},
	{"long extension", "3;" + strings.Repeat("a", maxChunkLine) + "\r\nabc\r\n0\r\n\r\n", true, ""},
	{"many extensions", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 40) + "0\r\n\r\n", true, strings.Repeat("x", 16)},
	{"no CRLF behind data", "3\r\nabc0\r\n\r\n", true, "abc"},
	{"bare LF behind data", "3\r\nabc\n0\r\n\r\n", true, "abc"},
	{"bare CR behind data", "3\r\nabc\r0\r\n\r\n", true, "abc"},
	{"data longer than size", "3\r\nabcd\r\n0\r\n\r\n", true, "abc"},
	{"any two bytes behind data", "3\r\nabcXX0\r\n\r\n", true, "abc"},
	{"bare LF behind last chunk", "0\n\n", true, ""},
	{"bare LF as end", "0\r\n\n", true, ""},
	{"bare LF in trailer", "0\r\nA: b\n\r\n", true, ""},
	{"obs-fold in trailer", "0\r\nA: b\r\n c\r\n\r\n", true, ""},
	{"no colon in trailer", "0\r\nA\r\n\r\n", true, ""},
	{"space before colon in trailer", "0\r\nA : b\r\n\r\n", true, ""},
	{"NUL in trailer", "0\r\nA: \x00\r\n\r\n", true, ""},
	{"request for trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", true, ""},
}

func TestChunks(t *testing.T) {
	for _, c := range chunkCases {
		for how, read := range map[string]func(*Body) ([]byte, error){
			"ReadAll":      func(b *Body) ([]byte, error) { return io.ReadAll(struct{ io.Reader }{b}) },
			"WriteTo":      func(b *Body) ([]byte, error) { var w bytes.Buffer; _, err := b.WriteTo(&w); return w.Bytes(), err },
			"byte by byte": func(b *Body) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(b)) },
		} {
			for piece, src := range map[string]io.Reader{"whole": strings.NewReader(c.raw + "rest"), "in bytes": iotest.OneByteReader(strings.NewReader(c.raw + "rest"))} {
				r := bufio.NewReader(src)
				b := NewBody(r, Framing{Kind: Chunked}, Limits{})
				got, err := read(b)
				var p *ParseError
				if errors.As(err, &p) != c.broken || err != nil && !c.broken || b.Complete() == c.broken {
					t.Errorf("%s, %s, %s: %v, complete %v", c.name, how, piece, err, b.Complete())
				}
				if string(got) != c.body || b.Count() != int64(len(c.body)) {
					t.Errorf("%s, %s, %s: body %q, %d counted", c.name, how, piece, got, b.Count())
				}
				if _, again := b.Read(make([]byte, 1)); !c.broken && again != io.EOF || c.broken && !errors.Is(again, err) {
					t.Errorf("%s, %s, %s: then %v", c.name, how, piece, again)
				}
				if rest, _ := io.ReadAll(r); !c.broken && string(rest) != "rest" {
					t.Errorf("%s, %s, %s: behind it is %q", c.name, how, piece, rest)
				}
			}
		}
	}
}

func TestTrailerLimits(t *testing.T) {
	for _, raw := range []string{"0\r\n" + strings.Repeat("A: b\r\n", 11) + "\r\n", "0\r\nA: " + strings.Repeat("b", 200) + "\r\n\r\n"} {
		b := NewBody(bufio.NewReader(strings.NewReader(raw)), Framing{Kind: Chunked}, Limits{Line: 100, Head: 1000, Fields: 10})
		if _, err := io.ReadAll(b); !errors.As(err, new(*ParseError)) {
			t.Errorf("%.20q: %v", raw, err)
		}
	}
}

func TestDroppedTrailers(t *testing.T) {
	b := NewBody(bufio.NewReader(strings.NewReader("0\r\nGrpc-Status: 0\r\nHOST: b\r\nX: y\r\nSet-Cookie: a=b\r\n\r\n")), Framing{Kind: Chunked}, Limits{})
	if _, err := io.ReadAll(b); err != nil {
		t.Fatal(err)
	}
	if tr, d := b.Trailer(), b.Dropped(); len(tr) != 2 || tr[0].Name != "Grpc-Status" || tr[1].Value != "y" || len(d) != 2 || d[0].Line != "HOST: b" {
		t.Errorf("trailer %q, dropped %q", tr, d)
	}
}
