package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// responseCase is a response on the wire, as an answer to method, and what becomes of it.
type responseCase struct {
	name, method, raw string
	// broken: it is an error, of the head, its framing or its body.
	broken bool
	kind   Kind
	body   string
	rest   string
	// fields is what is sent on to an HTTP/1.1 client, a line each; "" means that it is what came.
	fields string
	// notes counts the notes.
	notes int
}

const ok = "HTTP/1.1 200 OK\r\n"

var responseCases = []responseCase{
	{name: "plain", raw: ok + "Content-Length: 2\r\n\r\nokHTTP", kind: Length, body: "ok", rest: "HTTP"},
	{name: "until close", raw: ok + "\r\nall of it\r\n\r\n", kind: UntilClose, body: "all of it\r\n\r\n", fields: "Connection: close"},
	{name: "until close, which it says", raw: ok + "coNNection:  close\r\nX: y\r\n\r\nz", kind: UntilClose, body: "z"},
	{name: "until close, with keep-alive", raw: ok + "Connection: keep-alive\r\n\r\nz", kind: UntilClose, body: "z", fields: "Connection: close"},
	{name: "chunked", raw: ok + "transfer-ENCODING:chunked\r\nA: b\r\n\r\n2\r\nok\r\n0\r\n\r\nrest", kind: Chunked, body: "ok", rest: "rest"},
	{name: "no reason", raw: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", kind: Length},
	{name: "no space behind status", raw: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", kind: Length, notes: 1},
	{name: "odd reason", raw: "HTTP/1.1 200 It's  \tgr\xe9at (really) \r\nContent-Length: 0\r\n\r\n", kind: Length},
	{name: "unknown status", raw: "HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n", kind: Length},
	{name: "1.0", raw: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", kind: Length, body: "ok"},
	{name: "1.0 with chunks", raw: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", kind: Chunked, body: "x", notes: 1},
	{name: "bare LF throughout", raw: "HTTP/1.1 200 OK\nX: y\nContent-Length: 2\n\nok", kind: Length, body: "ok", fields: "X: y|Content-Length: 2", notes: 1},
	{name: "bare LF as empty line", raw: ok + "Content-Length: 2\r\n\nok", kind: Length, body: "ok", notes: 1},
	{name: "obs-fold", raw: ok + "X: a\r\n  b\r\n\tc \r\nContent-Length: 0\r\n\r\n", kind: Length, fields: "X: a b c|Content-Length: 0", notes: 1},
	{name: "obs-fold of an empty value", raw: ok + "X:\r\n a\r\nContent-Length: 0\r\n\r\n", kind: Length, fields: "X: a|Content-Length: 0", notes: 1},
	{name: "obs-fold of nothing", raw: ok + "X: a\r\n \r\nContent-Length: 0\r\n\r\n", kind: Length, fields: "X: a|Content-Length: 0", notes: 1},
	{name: "space before colon", raw: ok + "X : a\r\nContent-Length \t: 0\r\n\r\n", kind: Length, fields: "X: a|Content-Length: 0", notes: 1},
	{name: "space before colon of Transfer-Encoding", raw: ok + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", kind: Chunked, fields: "Transfer-Encoding: chunked", notes: 1},
	{name: "odd name", raw: ok + "X[1]: a\r\nContent-Length: 0\r\n\r\n", kind: Length, notes: 1},
	{name: "odd name, mended", raw: ok + "X[1] : a\r\n b\r\nContent-Length: 0\r\n\r\n", kind: Length, fields: "X[1]: a b|Content-Length: 0", notes: 3},
	{name: "control character in value", raw: ok + "X: a\x01b\r\nContent-Length: 0\r\n\r\n", kind: Length, notes: 1},
	{name: "control character in reason", raw: "HTTP/1.1 200 a\x01b\r\nContent-Length: 0\r\n\r\n", kind: Length, notes: 1},
	{name: "obs-text in value", raw: ok + "X: \xe4\xff\r\nContent-Length: 0\r\n\r\n", kind: Length},
	{name: "length and chunks", raw: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", kind: Chunked, body: "ok", fields: "Transfer-Encoding: chunked", notes: 1},
	{name: "one length twice", raw: ok + "Content-Length: 2\r\nX: y\r\nContent-Length: 2\r\n\r\nok", kind: Length, body: "ok", fields: "Content-Length: 2|X: y"},
	{name: "one length as list", raw: ok + "Content-Length: 2, 2\r\n\r\nok", kind: Length, body: "ok", fields: "Content-Length: 2"},
	{name: "identity", raw: ok + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", kind: Length, body: "ok", fields: "Content-Length: 2", notes: 1},
	{name: "identity until close", raw: ok + "Transfer-Encoding: identity\r\n\r\nok", kind: UntilClose, body: "ok", fields: "Connection: close", notes: 1},
	{name: "chunk size with spaces", raw: ok + "Transfer-Encoding: chunked\r\n\r\n2  \r\nok\r\n0 \r\n\r\n", kind: Chunked, body: "ok"},
	{name: "HEAD", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\nrest", rest: "rest"},
	{name: "HEAD with chunks", method: "HEAD", raw: ok + "Transfer-Encoding: chunked\r\n\r\nrest", rest: "rest"},
	{name: "HEAD with both", method: "HEAD", raw: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", fields: "Transfer-Encoding: chunked", notes: 1},
	{name: "HEAD without framing", method: "HEAD", raw: ok + "X: y\r\n\r\n"},
	{name: "304 with length", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nrest", rest: "rest"},
	{name: "204", raw: "HTTP/1.1 204 No Content\r\nX: y\r\n\r\nrest", rest: "rest"},
	{name: "204 with length 0", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nrest", rest: "rest"},
	{name: "204 with length", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\nX: y\r\n\r\nrest", rest: "rest", fields: "X: y"},
	{name: "204 with chunks", raw: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n0\r\n\r\n", rest: "0\r\n\r\n", fields: "X: y"},
	{name: "205 with length", raw: "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok", kind: Length, body: "ok"},
	{name: "100", raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP", rest: "HTTP"},
	{name: "103", raw: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok, rest: ok},
	{name: "103 with length", raw: "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </x>\r\n\r\n" + ok, rest: ok, fields: "Link: </x>"},
	{name: "101", raw: "HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n\x81\x00", rest: "\x81\x00"},
	{name: "CONNECT", method: "CONNECT", raw: "HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n\x16\x03", rest: "\x16\x03", fields: "Content-Length: 5"},
	{name: "CONNECT refused", method: "CONNECT", raw: "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", kind: Length, body: "no"},

	{name: "ICY", raw: "ICY 200 OK\r\n\r\n", broken: true},
	{name: "garbage in front", raw: "\x00\x01" + ok + "\r\n", broken: true},
	{name: "empty line in front", raw: "\r\n" + ok + "\r\n", broken: true},
	{name: "space in front", raw: " " + ok + "\r\n", broken: true},
	{name: "HTTP/0.9", raw: "<html></html>\n\n", broken: true},
	{name: "SSH", raw: "SSH-2.0-OpenSSH_9\r\n", broken: true},
	{name: "lower case version", raw: "http/1.1 200 OK\r\n\r\n", broken: true},
	{name: "HTTP/2", raw: "HTTP/2 200\r\n\r\n", broken: true},
	{name: "HTTP/2.0", raw: "HTTP/2.0 200 OK\r\n\r\n", broken: true},
	{name: "HTTP/1.10", raw: "HTTP/1.10 200 OK\r\n\r\n", broken: true},
	{name: "no status", raw: "HTTP/1.1\r\n\r\n", broken: true},
	{name: "status of two digits", raw: "HTTP/1.1 20 OK\r\n\r\n", broken: true},
	{name: "status of four digits", raw: "HTTP/1.1 2000 OK\r\n\r\n", broken: true},
	{name: "status with sign", raw: "HTTP/1.1 +20 OK\r\n\r\n", broken: true},
	{name: "status below 100", raw: "HTTP/1.1 099 OK\r\n\r\n", broken: true},
	{name: "two spaces before status", raw: "HTTP/1.1  200 OK\r\n\r\n", broken: true},
	{name: "tab before status", raw: "HTTP/1.1\t200 OK\r\n\r\n", broken: true},
	{name: "text at status", raw: "HTTP/1.1 200OK\r\n\r\n", broken: true},
	{name: "NUL in reason", raw: "HTTP/1.1 200 O\x00K\r\n\r\n", broken: true},
	{name: "CR in reason", raw: "HTTP/1.1 200 O\rK\r\n\r\n", broken: true},
	{name: "CR before LF in reason", raw: "HTTP/1.1 200 OK\r\r\n\r\n", broken: true},
	{name: "white space before first field", raw: ok + " X: y\r\n\r\n", broken: true},
	{name: "no colon", raw: ok + "X\r\n\r\n", broken: true},
	{name: "empty name", raw: ok + ": x\r\n\r\n", broken: true},
	{name: "until close behind a field", raw: ok + "X: y\r\n\r\n", kind: UntilClose, fields: "X: y|Connection: close"},
	{name: "space in name", raw: ok + "X Y: z\r\n\r\n", broken: true},
	{name: "NUL in name", raw: ok + "X\x00: z\r\n\r\n", broken: true},
	{name: "obs-text in name", raw: ok + "X\xe9: z\r\n\r\n", broken: true},
	{name: "NUL in value", raw: ok + "X: a\x00b\r\n\r\n", broken: true},
	{name: "CR in value", raw: ok + "X: a\rb\r\n\r\n", broken: true},
	{name: "CR CR LF", raw: ok + "X: a\r\r\n\r\n", broken: true},
	{name: "CR in folded value", raw: ok + "X: a\r\n b\rc\r\n\r\n", broken: true},
	{name: "different lengths", raw: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk", broken: true},
	{name: "different lengths in a list", raw: ok + "Content-Length: 2, 3\r\n\r\nokk", broken: true},
	{name: "different lengths of HEAD", method: "HEAD", raw: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", broken: true},
	{name: "negative length", raw: ok + "Content-Length: -1\r\n\r\n", broken: true},
	{name: "signed length", raw: ok + "Content-Length: +1\r\n\r\nx", broken: true},
	{name: "empty length", raw: ok + "Content-Length:\r\n\r\nx", broken: true},
	{name: "too large a length", raw: ok + "Content-Length: 99999999999999999999\r\n\r\nx", broken: true},
	{name: "folded length", raw: ok + "Content-Length: 1\r\n 2\r\n\r\n0123456789ab", broken: true},
	{name: "xchunked", raw: ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", broken: true},
	{name: "chunked twice", raw: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", broken: true},
	{name: "gzip, chunked", raw: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", broken: true},
	{name: "chunked with vertical tab", raw: ok + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", broken: true},
	{name: "cut head", raw: ok + "Content-Length: 2\r\n", broken: true},
	{name: "cut body", raw: ok + "Content-Length: 3\r\n\r\nok", broken: true},
	{name: "cut chunk", raw: ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nok", broken: true},
	{name: "chunks without end", raw: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", broken: true},
	{name: "chunks without trailer's end", raw: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", broken: true},
	{name: "text for chunks", raw: ok + "Transfer-Encoding: chunked\r\n\r\nhello", broken: true},
}

func TestReadResponseHead(t *testing.T) {
	for _, c := range responseCases {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range readers(c.raw) {
				testResponse(t, how, c, r)
			}
		})
	}
}

func testResponse(t *testing.T, how string, c responseCase, r *bufio.Reader) {
	if c.method == "" {
		c.method = "GET"
	}
	h, err := ReadResponseHead(r, Limits{})
	var p *ParseError
	if err != nil {
		if !c.broken || !errors.As(err, &p) || p.Status != 0 || !strings.HasPrefix(c.raw, string(p.Head)) {
			t.Fatalf("%s: %+v", how, err)
		}
		return
	}
	f, err := h.Framing(c.method)
	if err != nil {
		if !c.broken || !errors.As(err, &p) || p.Status != 0 {
			t.Fatalf("%s: %+v", how, err)
		}
		return
	}
	b := NewBody(r, f, Limits{})
	body, err := io.ReadAll(b)
	if c.broken {
		if err == nil || b.Complete() {
			t.Fatalf("%s: not broken: %+v, body %q", how, h, body)
		}
		return
	}
	if err != nil || string(body) != c.body || f.Kind != c.kind || !b.Complete() {
		t.Fatalf("%s: kind %d, body %q, %v", how, f.Kind, body, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != c.rest {
		t.Errorf("%s: behind the body is %q", how, rest)
	}
	if len(h.Notes) != c.notes {
		t.Errorf("%s: notes %q", how, h.Notes)
	}
	if h.Size != len(h.Raw) || !strings.HasPrefix(c.raw, h.Raw) {
		t.Errorf("%s: Raw %q", how, h.Raw)
	}
	wantResponseSentOn(t, c, h, f, body)
}

// wantResponseSentOn sends the response on, looks at its fields and lets net/http read it.
func wantResponseSentOn(t *testing.T, c responseCase, h *ResponseHead, f Framing, body []byte) {
	t.Helper()
	fields := NormaliseResponse(h.Fields, h.Status, f)
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := WriteResponseHead(w, "HTTP/1.1", h.Status, h.Reason, fields); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	want := c.fields
	if want == "" {
		_, want, _ = strings.Cut(h.Raw, "\n")
		want = strings.ReplaceAll(strings.TrimRight(strings.ReplaceAll(want, "\r\n", "\n"), "\n"), "\n", "|")
	}
	_, got, _ := strings.Cut(out.String(), "\r\n")
	got = strings.ReplaceAll(strings.TrimRight(got, "\r\n"), "\r\n", "|")
	if got != want {
		t.Errorf("sent on as %q, want %q", got, want)
	}
	if h.Status < 200 || c.method == "CONNECT" || h.Status > 599 {
		return
	}
	bw := NewBodyWriter(w, f)
	if _, err := bw.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := bw.Close(nil); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(&out), &http.Request{Method: c.method})
	if err != nil {
		if strings.HasPrefix(err.Error(), "malformed MIME header line") && c.notes > 0 {
			return // net/http is stricter with what cannot be misunderstood
		}
		t.Fatalf("net/http refuses it: %v", err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, body) {
		t.Errorf("net/http reads body %q, %v", got, err)
	}
}

func TestNotesAreSaidOnce(t *testing.T) {
	raw := ok + "A : 1\r\nB : 2\r\nC: d\r\n e\r\nF: g\r\n h\r\n\r\n"
	h, err := ReadResponseHead(bufio.NewReader(strings.NewReader(raw)), Limits{})
	if err != nil || len(h.Notes) != 2 || len(slices.Compact(slices.Clone(h.Notes))) != 2 {
		t.Fatal(h, err)
	}
}

func TestResponseIsRefusedEarly(t *testing.T) {
	for _, start := range []string{"SSH-2.0-x\r\n", "220 mail.test ESMTP\r\n", "<", "ICY 200 OK\r\n", "HTTP/2", "HTTP/1.1 20", "\x16\x03"} {
		server, client := pipe(t)
		go func() {
			io.WriteString(client, start)
			if start == "HTTP/1.1 20" {
				client.Close()
			}
		}()
		h, err := ReadResponseHead(bufio.NewReader(server), Limits{})
		var p *ParseError
		if !errors.As(err, &p) || string(p.Head) != start || p.Status != 0 {
			t.Errorf("%q: %v, %v", start, h, err)
		}
	}
}

func TestResponseKeepAlive(t *testing.T) {
	for raw, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                                    true,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n":                                    false,
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n":                               true,
		"HTTP/1.0 200 OK\r\n\r\n":                                                         false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n":      false,
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n": false,
	} {
		h, err := ReadResponseHead(bufio.NewReader(strings.NewReader(raw)), Limits{})
		if err != nil || h.KeepAlive() != want {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}
