package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
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

// A body that is cut anywhere gives io.ErrUnexpectedEOF, never io.EOF, whichever way it is read.
func TestCutBody(t *testing.T) {
	for _, c := range []struct {
		raw string
		f   Framing
	}{
		{"hello world", Framing{Kind: Length, Length: 11}},
		{"3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n", Framing{Kind: Chunked}},
		{"0\r\n\r\n", Framing{Kind: Chunked}},
	} {
		for i := range len(c.raw) {
			for how, r := range readers(c.raw[:i]) {
				b := NewBody(r, c.f, Limits{})
				if _, err := io.ReadAll(struct{ io.Reader }{b}); err != io.ErrUnexpectedEOF || b.Complete() {
					t.Errorf("%q, %s: %v", c.raw[:i], how, err)
				}
			}
			b := NewBody(bufio.NewReader(strings.NewReader(c.raw[:i])), c.f, Limits{})
			if _, err := io.Copy(io.Discard, b); err != io.ErrUnexpectedEOF || b.Complete() {
				t.Errorf("%q, copied: %v", c.raw[:i], err)
			}
		}
	}
}

// What a connection fails with is what a read returns.
func TestBodyOfBrokenConnection(t *testing.T) {
	broken := errors.New("connection reset")
	for _, f := range []Framing{{Kind: Length, Length: 10}, {Kind: Chunked}, {Kind: UntilClose}} {
		r := bufio.NewReader(io.MultiReader(strings.NewReader("5\r\nab"), iotest.ErrReader(broken)))
		b := NewBody(r, f, Limits{})
		if _, err := io.ReadAll(b); err != broken || b.Complete() {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestBodyWithoutBody(t *testing.T) {
	for _, f := range []Framing{{}, {Kind: Length}} {
		r := bufio.NewReader(iotest.ErrReader(errors.New("read")))
		b := NewBody(r, f, Limits{})
		if n, err := b.Read(make([]byte, 8)); n != 0 || err != io.EOF || !b.Complete() {
			t.Errorf("%v: %d, %v", f, n, err)
		}
		if n, err := b.WriteTo(io.Discard); n != 0 || err != nil {
			t.Errorf("%v: %d, %v", f, n, err)
		}
	}
}

// Reads give what is there; they do not wait for the rest of a piece, nor for the next chunk's line.
func TestBodyDoesNotWait(t *testing.T) {
	for name, c := range map[string]struct {
		f      Framing
		pieces []string
		want   []string
	}{
		"length":      {Framing{Kind: Length, Length: 100}, []string{"abc", "d", "ef"}, []string{"abc", "d", "ef"}},
		"until close": {Framing{Kind: UntilClose}, []string{"abc", "d"}, []string{"abc", "d"}},
		"chunks":      {Framing{Kind: Chunked}, []string{"3\r\nabc\r\n", "2\r\nde", "\r\n1\r\nf\r\n1\r", "\ng"}, []string{"abc", "de", "f", "g"}},
		"two at once": {Framing{Kind: Chunked}, []string{"1\r\na\r\n1\r\nb\r\n5\r\nc"}, []string{"abc"}},
	} {
		server, client := pipe(t)
		b := NewBody(bufio.NewReader(server), c.f, Limits{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 64)
			for _, want := range c.want {
				if n, err := b.Read(buf); string(buf[:n]) != want || err != nil {
					t.Errorf("%s: read %q, %v, want %q", name, buf[:n], err, want)
				}
			}
		}()
		for _, p := range c.pieces {
			io.WriteString(client, p)
		}
		<-done

		// The same for WriteTo.
		server, client = pipe(t)
		b = NewBody(bufio.NewReader(server), c.f, Limits{})
		got := make(chan string, 100)
		go b.WriteTo(writerFunc(func(p []byte) (int, error) { got <- string(p); return len(p), nil }))
		sent := 0
		for _, p := range c.pieces {
			io.WriteString(client, p)
		}
		all, want := "", strings.Join(c.want, "")
		for len(all) < len(want) {
			all += <-got
			sent++
		}
		if all != want {
			t.Errorf("%s: wrote %q, want %q", name, all, want)
		}
		client.Close()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// The last bytes of a body and of its chunks come with its end, where both have come: the connection is free at once.
func TestBodyEndsWithItsLastBytes(t *testing.T) {
	for raw, f := range map[string]Framing{"abc": {Kind: Length, Length: 3}, "3\r\nabc\r\n0\r\n\r\n": {Kind: Chunked}, "3\r\nabc\r\n0\r\nA: b\r\n\r\n": {Kind: Chunked}} {
		b := NewBody(bufio.NewReader(strings.NewReader(raw)), f, Limits{})
		if n, err := b.Read(make([]byte, 64)); n != 3 || err != io.EOF || !b.Complete() {
			t.Errorf("%q: %d, %v", raw, n, err)
		}
	}
}

func TestBuffered(t *testing.T) {
	for _, c := range []struct {
		f        Framing
		at, then int
	}{
		{Framing{}, 0, 0}, {Framing{Kind: Length, Length: 4}, 4, 3}, {Framing{Kind: Length, Length: 100}, 11, 10},
		{Framing{Kind: UntilClose}, 11, 10}, {Framing{Kind: Chunked}, 0, 2},
	} {
		r := bufio.NewReader(strings.NewReader("3\r\nabc\r\n0\r\n"))
		_, _ = r.Peek(1)
		b := NewBody(r, c.f, Limits{})
		at := b.Buffered()
		_, _ = b.Read(make([]byte, 1))
		if then := b.Buffered(); at != c.at || then != c.then {
			t.Errorf("%v: %d, then %d, want %d, %d", c.f, at, then, c.at, c.then)
		}
	}
}

func TestClosedBody(t *testing.T) {
	for _, f := range []Framing{{Kind: Length, Length: 5}, {Kind: Chunked}} {
		r := bufio.NewReader(strings.NewReader("5\r\nhello\r\n0\r\n\r\n"))
		b := NewBody(r, f, Limits{})
		b.Close()
		if _, err := b.Read(make([]byte, 5)); err != ErrBodyClosed || b.Complete() {
			t.Error(err)
		}
		if _, err := b.WriteTo(io.Discard); err != ErrBodyClosed {
			t.Error(err)
		}
		if r.Buffered() > 0 {
			t.Error("closing read something")
		}
	}
}

// A writer that fails, or takes less, ends the copy with its error.
func TestBodyToBrokenWriter(t *testing.T) {
	full := errors.New("full")
	for _, f := range []Framing{{Kind: Length, Length: 5}, {Kind: Chunked}, {Kind: UntilClose}} {
		for name, c := range map[string]struct {
			w    writerFunc
			want error
		}{
			"fails": {func(p []byte) (int, error) { return 2, full }, full},
			"short": {func(p []byte) (int, error) { return 2, nil }, io.ErrShortWrite},
		} {
			b := NewBody(bufio.NewReader(strings.NewReader("5\r\nhello\r\n0\r\n\r\n")), f, Limits{})
			if n, err := b.WriteTo(c.w); n != 2 || err != c.want {
				t.Errorf("%v, %s: %d, %v", f, name, n, err)
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

// Whatever the pieces, what is written is what is read.
func TestBodyRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, rng.IntN(200_000))
		for i := range data {
			data[i] = "0\r\nab;"[rng.IntN(6)]
		}
		f := []Framing{{Kind: Length, Length: int64(len(data))}, {Kind: Chunked}, {Kind: UntilClose}}[rng.IntN(3)]
		var out bytes.Buffer
		w := bufio.NewWriterSize(&out, 16<<rng.IntN(12))
		bw := NewBodyWriter(w, f)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), rng.IntN(40_000))
			if m, err := bw.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		trailer := Fields{{Name: "X", Value: "y"}, {Name: "Content-Length", Value: "5"}}
		if err := bw.Close(trailer); err != nil || bw.Count() != int64(len(data)) {
			t.Fatal(err)
		}
		if f.Kind != UntilClose {
			out.WriteString("rest")
		}
		r := bufio.NewReaderSize(&out, 16<<rng.IntN(12))
		b := NewBody(r, f, Limits{})
		var got bytes.Buffer
		var err error
		if rng.IntN(2) == 0 {
			_, err = b.WriteTo(&got)
		} else {
			_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{b}, make([]byte, 1+rng.IntN(70_000)))
		}
		if err != nil || !bytes.Equal(got.Bytes(), data) || b.Count() != int64(len(data)) {
			t.Fatalf("%v: %d of %d bytes, %v", f, got.Len(), len(data), err)
		}
		if f.Kind == Chunked && (len(b.Trailer()) != 1 || b.Trailer()[0].Line != "X: y") {
			t.Fatalf("trailer %q", b.Trailer())
		}
		if rest, _ := io.ReadAll(r); f.Kind != UntilClose && string(rest) != "rest" {
			t.Fatalf("behind it is %.20q", rest)
		}
	}
}

func TestBodyWriterHoldsToItsLength(t *testing.T) {
	w := bufio.NewWriter(io.Discard)
	b := NewBodyWriter(w, Framing{Kind: Length, Length: 3})
	if _, err := b.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Write([]byte("cd")); n != 0 || err != ErrLongBody {
		t.Error(n, err)
	}
	if err := b.Close(nil); err != ErrShortBody {
		t.Error(err)
	}
	if _, err := b.Write([]byte("c")); err != ErrShortBody {
		t.Error(err)
	}
	b = NewBodyWriter(w, Framing{})
	if _, err := b.Write([]byte("a")); err != ErrLongBody {
		t.Error(err)
	}
	if err := b.Close(nil); err != nil {
		t.Error(err)
	}
	if _, err := b.Write([]byte("a")); err != ErrBodyClosed {
		t.Error(err)
	}
	if err := b.Close(nil); err != nil {
		t.Error(err)
	}
}

// Nothing is sent before it is asked for, and an empty piece is not the end.
func TestBodyWriterChunks(t *testing.T) {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	b := NewBodyWriter(w, Framing{Kind: Chunked})
	b.Write(nil)
	b.Write([]byte("hello, world!!!!"))
	if out.Len() > 0 {
		t.Errorf("sent %q", out.String())
	}
	if err := b.Flush(); err != nil || out.String() != "10\r\nhello, world!!!!\r\n" {
		t.Errorf("sent %q, %v", out.String(), err)
	}
	if err := b.Close(Fields{{Name: "A", Value: "b\r\nC: d"}}); err == nil {
		t.Error("a line break in a trailer was written")
	}
	if strings.HasSuffix(out.String(), "0\r\n\r\n") {
		t.Errorf("the body looks whole: %q", out.String())
	}
	broken := NewBodyWriter(bufio.NewWriterSize(writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }), 16), Framing{Kind: Chunked})
	for range 5 {
		broken.Write([]byte("hello, world"))
	}
	if err := broken.Close(nil); err != io.ErrClosedPipe {
		t.Error(err)
	}
}
