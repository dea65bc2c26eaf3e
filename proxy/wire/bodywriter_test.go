package wire

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

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
