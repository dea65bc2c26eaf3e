package wire

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// pipe returns both ends of a connection, which ends with the test.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, b = net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

// readers returns readers that give s in different pieces.
func readers(s string) map[string]*bufio.Reader {
	return map[string]*bufio.Reader{
		"whole":         bufio.NewReader(strings.NewReader(s)),
		"small buffer":  bufio.NewReaderSize(strings.NewReader(s), 16),
		"byte by byte":  bufio.NewReader(iotest.OneByteReader(strings.NewReader(s))),
		"data with EOF": bufio.NewReader(iotest.DataErrReader(strings.NewReader(s))),
	}
}

// endless gives one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

var _ io.Reader = endless(0)
