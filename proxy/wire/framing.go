package wire

import (
	"math"
	"net/http"
	"strings"
)

// Kind says how the end of a body is found.
type Kind uint8

// The kinds of framing.
const (
	None       Kind = iota // there is no body
	Length                 // Content-Length says
	Chunked                // chunks, and a trailer section behind the last
	UntilClose             // the connection's end is the body's: responses alone
)

// Framing is how a message's body is framed.
type Framing struct {
	Kind Kind
	// Length is the body's length where Kind is Length.
	Length int64
	// Lenient lets chunk lines end in white space, as old servers send them. It is set for responses alone.
	Lenient bool
}

// framed is what the fields say about framing.
type framed struct {
	length   int64  // -1: no Content-Length
	codings  string // the value of Transfer-Encoding, all lines joined
	encoding bool   // there is a Transfer-Encoding
}

// inspect reads Content-Length and Transfer-Encoding. Content-Length that says the same several times says it once
// (RFC 9112, section 6.3, item 5).
func inspect(fields Fields) (framed, error) {
	v := framed{length: -1}
	text := ""
	for i := range fields {
		f := &fields[i]
		switch len(f.Name) {
		case len("content-length"):
			if !equal(f.Name, "content-length") {
				continue
			}
			for rest, more := f.Value, true; more; {
				var one string
				one, rest, more = strings.Cut(rest, ",")
				one = trim(one)
				n, ok := parseLength(one)
				if !ok {
					return v, bad("Content-Length is not a number, or too large")
				}
				if v.length >= 0 && one != text {
					return v, bad("there are different Content-Lengths")
				}
				v.length, text = n, one
			}
		case len("transfer-encoding"):
			if !equal(f.Name, "transfer-encoding") {
				continue
			}
			if v.encoding {
				v.codings += ", "
			}
			v.codings += f.Value
			v.encoding = true
		}
	}
	return v, nil
}

// parseLength takes digits alone: no sign, no space, no other base.
func parseLength(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// Framing says how the request's body is framed (RFC 9112, section 6.3). What leaves a choice is an error, a *ParseError
// with the status to answer.
func (h *RequestHead) Framing() (Framing, error) {
	v, err := inspect(h.Fields)
	if err != nil {
		return Framing{}, err
	}
	if v.encoding {
		switch {
		case v.length >= 0:
			return Framing{}, bad("there are both Content-Length and Transfer-Encoding")
		case h.Minor < 1:
			return Framing{}, bad("Transfer-Encoding in an HTTP/1.0 request")
		case h.Method == http.MethodConnect:
			return Framing{}, bad("CONNECT has a body")
		case equal(v.codings, "chunked"):
			return Framing{Kind: Chunked}, nil
		case knownCodings(v.codings):
			return Framing{}, &ParseError{Status: http.StatusNotImplemented, Reason: "the transfer coding is not supported"}
		}
		return Framing{}, bad("Transfer-Encoding is not chunked")
	}
	if v.length < 0 {
		return Framing{}, nil
	}
	// RFC 9110, section 9.3.6: what follows the head of CONNECT belongs to the tunnel. Some clients say that there is
	// nothing.
	if h.Method == http.MethodConnect {
		if v.length > 0 {
			return Framing{}, bad("CONNECT has a body")
		}
		return Framing{}, nil
	}
	return Framing{Kind: Length, Length: v.length}, nil
}

// knownCodings says whether s is a list of compressions (RFC 9112, section 7.2) and a last chunked.
func knownCodings(s string) bool {
	for more := true; more; {
		var one string
		one, s, more = strings.Cut(s, ",")
		switch one = trim(one); {
		case equal(one, "gzip"), equal(one, "x-gzip"), equal(one, "deflate"), equal(one, "compress"), equal(one, "x-compress"):
		case equal(one, "chunked"):
			return !more
		default:
			return false
		}
	}
	return false
}

// Framing says how the response's body is framed, as an answer to a request with that method (RFC 9112, section 6.3).
// Where both Content-Length and Transfer-Encoding are there, the latter counts, and [NormaliseResponse] drops the former.
func (h *ResponseHead) Framing(requestMethod string) (Framing, error) {
	if h.Status < 200 || h.Status == http.StatusNoContent ||
		requestMethod == http.MethodConnect && h.Status < 300 {
		return Framing{}, nil
	}
	v, err := inspect(h.Fields)
	if err != nil {
		return Framing{}, responseError(err)
	}
	f := Framing{Kind: UntilClose}
	switch {
	case v.encoding && equal(v.codings, "identity"):
		// Of RFC 2616; it says nothing.
		h.note("Transfer-Encoding: identity was ignored")
		if v.length >= 0 {
			f = Framing{Kind: Length, Length: v.length}
		}
	case v.encoding:
		if v.length >= 0 {
			h.note("there are both Content-Length and Transfer-Encoding: the latter counts")
		}
		if h.Minor < 1 {
			h.note("Transfer-Encoding in an HTTP/1.0 response")
		}
		// We ask for no other coding (TE is of one hop), and a client could not tell what to make of one.
		if !equal(v.codings, "chunked") {
			return Framing{}, responseError(bad("Transfer-Encoding is not chunked"))
		}
		f.Kind, f.Lenient = Chunked, true
	case v.length >= 0:
		f = Framing{Kind: Length, Length: v.length}
	}
	if requestMethod == http.MethodHead || h.Status == http.StatusNotModified {
		return Framing{}, nil
	}
	return f, nil
}

func responseError(err error) error {
	if p, ok := err.(*ParseError); ok {
		p.Status = 0
	}
	return err
}
