package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzRequestHead holds every request that is accepted to be what net/http takes it for: the same body, and the same
// bytes behind it. Both the bytes as they came and what is sent on are looked at.
func FuzzRequestHead(f *testing.F) {
	for _, c := range requestCases {
		f.Add([]byte(c.raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bufio.NewReader(bytes.NewReader(raw))
		h, err := ReadRequestHead(r, Limits{})
		piecewise, errPiecewise := ReadRequestHead(bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(raw)), 16), Limits{})
		if (err == nil) != (errPiecewise == nil) || err == nil && !reflect.DeepEqual(h, piecewise) {
			t.Fatalf("whole %+v, %v; in pieces %+v, %v", h, err, piecewise, errPiecewise)
		}
		if err != nil {
			if p := new(ParseError); errors.As(err, &p) && (p.Status < 400 || p.Reason == "") {
				t.Fatalf("%+v", p)
			}
			return
		}
		wantExact(t, string(raw), h)
		fr, err := h.Framing()
		if err != nil {
			t.Fatalf("accepted, but cannot be framed: %v", err)
		}
		b := NewBody(r, fr, Limits{})
		body, err := io.ReadAll(b)
		if err != nil {
			if b.Complete() || err == io.EOF {
				t.Fatal("a broken body is complete")
			}
			return
		}
		rest, _ := io.ReadAll(r)
		wantSameAsNetHTTP(t, h, fr, body)
		again, err := ReadRequestHead(bufio.NewReader(strings.NewReader(writeRequest(t, h.Method, h.Target, h.Proto, NormaliseRequest(h.Fields, fr, h.Authority)))), Limits{})
		if err != nil {
			t.Fatalf("what is sent on is refused: %v", err)
		}
		if got, err := again.Framing(); err != nil || got != fr {
			t.Fatalf("what is sent on is framed %v, %v; was %v", got, err, fr)
		}
		start := len(raw) - len(strings.TrimLeft(string(raw), "\r\n"))
		nr := bufio.NewReader(bytes.NewReader(raw[start:]))
		req, err := http.ReadRequest(nr)
		if err != nil {
			return // wantSameAsNetHTTP has looked at the reasons
		}
		netBody, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if netRest, _ := io.ReadAll(nr); !bytes.Equal(netBody, body) || !bytes.Equal(netRest, rest) {
			t.Fatalf("body %q, rest %q; net/http has body %q, rest %q", body, rest, netBody, netRest)
		}
	})
}

// FuzzResponseHead holds what is sent on of every response that is accepted to be what net/http reads the same body of,
// and the bytes as they came too, where net/http reads them.
func FuzzResponseHead(f *testing.F) {
	for _, c := range responseCases {
		f.Add([]byte(c.raw), c.method == "HEAD")
	}
	f.Fuzz(func(t *testing.T, raw []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		r := bufio.NewReader(bytes.NewReader(raw))
		h, err := ReadResponseHead(r, Limits{})
		piecewise, errPiecewise := ReadResponseHead(bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(raw)), 16), Limits{})
		if (err == nil) != (errPiecewise == nil) || err == nil && !reflect.DeepEqual(h, piecewise) {
			t.Fatalf("whole %+v, %v; in pieces %+v, %v", h, err, piecewise, errPiecewise)
		}
		if err != nil {
			return
		}
		fr, err := h.Framing(method)
		if err != nil {
			return
		}
		b := NewBody(r, fr, Limits{})
		body, err := io.ReadAll(b)
		if err != nil {
			if b.Complete() || err == io.EOF {
				t.Fatal("a broken body is complete")
			}
			return
		}
		rest, _ := io.ReadAll(r)
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := WriteResponseHead(w, "HTTP/1.1", h.Status, h.Reason, NormaliseResponse(h.Fields, h.Status, fr)); err != nil {
			t.Fatalf("cannot be sent on: %v", err)
		}
		bw := NewBodyWriter(w, fr)
		_, _ = bw.Write(body)
		if err := bw.Close(b.Trailer()); err != nil {
			t.Fatal(err)
		}
		sent := out.String()
		again, err := ReadResponseHead(bufio.NewReader(strings.NewReader(sent)), Limits{})
		if err != nil {
			t.Fatalf("what is sent on is refused: %v: %q", err, sent)
		}
		if got, err := again.Framing(method); err != nil || got != fr {
			t.Fatalf("what is sent on is framed %v, %v; was %v", got, err, fr)
		}
		wantNetHTTPResponse(t, sent, method, body, nil)
		// net/http passes over Transfer-Encoding of HTTP/1.0, and does not mend what RFC 9112, section 5.1 has mended.
		if h.Minor >= 1 && len(h.Notes) == 0 {
			wantNetHTTPResponse(t, string(raw), method, body, rest)
		}
	})
}

// wantNetHTTPResponse holds net/http to the same body and rest, if it reads raw at all.
func wantNetHTTPResponse(t *testing.T, raw, method string, body, rest []byte) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(raw))
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil || res.StatusCode < 200 {
		return
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return
	}
	if left, _ := io.ReadAll(r); !bytes.Equal(got, body) || !bytes.Equal(left, rest) {
		t.Fatalf("%q: body %q, rest %q; net/http has body %q, rest %q", raw, body, rest, got, left)
	}
}

// FuzzChunked holds chunks that are accepted to be what net/http takes them for, and reading them in whatever pieces to
// come to the same.
func FuzzChunked(f *testing.F) {
	for _, c := range chunkCases {
		f.Add([]byte(c.raw), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, size uint8) {
		r := bufio.NewReader(bytes.NewReader(raw))
		b := NewBody(r, Framing{Kind: Chunked}, Limits{})
		body, err := io.ReadAll(struct{ io.Reader }{b})
		rest, _ := io.ReadAll(r)

		var copied bytes.Buffer
		other := NewBody(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(raw))), Framing{Kind: Chunked}, Limits{})
		_, otherErr := other.WriteTo(&copied)
		third := NewBody(bufio.NewReader(bytes.NewReader(raw)), Framing{Kind: Chunked}, Limits{})
		pieces, thirdErr := readPieces(third, int(size)+1)
		if (err == nil) != (otherErr == nil) || (err == nil) != (thirdErr == nil) || !bytes.Equal(copied.Bytes(), body) || !bytes.Equal(pieces, body) {
			t.Fatalf("read %q, %v; copied %q, %v; in pieces %q, %v", body, err, copied.Bytes(), otherErr, pieces, thirdErr)
		}
		if !slices.Equal(b.Trailer(), other.Trailer()) || b.Complete() != (err == nil) || b.Count() != int64(len(body)) {
			t.Fatalf("trailers %q and %q, complete %v, count %d", b.Trailer(), other.Trailer(), b.Complete(), b.Count())
		}
		if err != nil {
			return
		}
		nr := bufio.NewReader(io.MultiReader(strings.NewReader(chunks), bytes.NewReader(raw)))
		req, err := http.ReadRequest(nr)
		if err != nil {
			t.Fatal(err)
		}
		netBody, err := io.ReadAll(req.Body)
		if err != nil {
			if strings.Contains(err.Error(), "suspiciously long trailer") {
				return // net/http takes what fits its buffer, we what Limits say
			}
			t.Fatalf("net/http refuses it: %v", err)
		}
		if netRest, _ := io.ReadAll(nr); !bytes.Equal(netBody, body) || !bytes.Equal(netRest, rest) {
			t.Fatalf("body %q, rest %q; net/http has body %q, rest %q", body, rest, netBody, netRest)
		}
	})
}

func readPieces(r io.Reader, size int) (all []byte, err error) {
	p := make([]byte, size)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// FuzzMerge holds merged fields to have the values that hooks left, and lines that hooks left alone to be there still.
func FuzzMerge(f *testing.F) {
	f.Add("A: 1\r\na:2\r\nB: x\r\n", "A: 3\r\nC: d\r\n")
	f.Add("A: 1\r\n", "")
	f.Fuzz(func(t *testing.T, wire, edited string) {
		read := func(s string) (Fields, bool) {
			f, err := parseFields(s+"\r\n", Limits{}.orDefaults(), nil)
			return f, err == nil
		}
		if strings.Contains(wire+edited, "\r\n\r\n") || strings.HasPrefix(wire, "\r\n") || strings.HasPrefix(edited, "\r\n") ||
			wire != "" && !strings.HasSuffix(wire, "\r\n") || edited != "" && !strings.HasSuffix(edited, "\r\n") {
			return
		}
		was, ok := read(wire)
		now, ok2 := read(edited)
		if !ok || !ok2 {
			return
		}
		before, after := was.Map(), now.Map()
		for _, got := range []Fields{Merge(was, before, after), Merge(was, nil, after)} {
			if !reflect.DeepEqual(got.Map(), after) {
				t.Fatalf("merged %q, want %q", got.Map(), after)
			}
			for _, f := range was {
				if slices.Equal(before.Values(f.Name), after.Values(f.Name)) && !slices.Contains(got, f) {
					t.Fatalf("%q is gone from %q", f, got)
				}
			}
			if !slices.Equal(got, Merge(was, before, after)) {
				t.Fatal("merging twice gives different results")
			}
		}
	})
}
