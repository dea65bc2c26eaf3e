package wire

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

// exchangeHeads are heads that must come out as they went in.
var requestHeads = []string{
	"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET /a%2Fb/../c?x=y#z HTTP/1.1\r\nhOST:a.test:80\r\naccept:  */* \t\r\nX-A: 1\r\nx-a: 2\r\nEmpty:\r\n\r\n",
	"POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 005\r\nX: caf\xe9\r\n\r\n",
	"get /\xc3\xa9 HTTP/1.0\r\n\r\n",
	"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n",
}

func TestRequestHeadRoundTrip(t *testing.T) {
	for _, raw := range requestHeads {
		r := bufio.NewReader(strings.NewReader(raw + "next"))
		h, err := ReadRequestHead(r, Limits{})
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := WriteRequestHead(w, h.Method, h.Target, h.Proto, h.Fields); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		w.Flush()
		if out.String() != raw || h.Raw != raw || h.Size != len(raw) {
			t.Errorf("got %q, want %q", out.String(), raw)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "next" {
			t.Errorf("%q: behind the head is %q", raw, rest)
		}
	}
}
