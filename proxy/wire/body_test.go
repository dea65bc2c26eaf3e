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
