package wire

import (
	"net/http"
	"slices"
	"strconv"
)

// NormaliseRequest returns fields fit to be sent to the next hop with a body framed as fr says. It guarantees:
//   - fields of one hop are out, as [HopByHop] has it;
//   - exactly the framing fields that fr needs are there: one Content-Length with fr's length, or one Transfer-Encoding,
//     or neither; a line that says just that keeps its place and spelling;
//   - with host not empty, there is one Host field, which names host. A line that does so already (compared without case)
//     stays as it is. RFC 9112, section 3.2.2: what an absolute-form target names replaces what Host said.
//
// All else, order and lines among it, is as it was.
func NormaliseRequest(f Fields, fr Framing, host string, keep ...Keep) Fields {
	f = hopByHop(f, join(keep), true, nil)
	if host != "" {
		f = setHost(f, host)
	}
	return frame(f, fr)
}

// NormaliseResponse returns fields fit to be sent to the client with a body framed as fr says, which need not be how it
// came: a chunked body goes to an HTTP/1.0 client UntilClose. It guarantees what [NormaliseRequest] does, and:
//   - where there is no body by rule (fr.Kind None), 1xx and 204 have no framing fields (but a 204 may say
//     "Content-Length: 0", as many do), and answers to HEAD and 304 at most one, which says what a body would have had;
//   - UntilClose says "Connection: close".
func NormaliseResponse(f Fields, status int, fr Framing, keep ...Keep) Fields {
	k := join(keep)
	if fr.Kind == UntilClose {
		k |= Closing
	}
	f = hopByHop(f, k, true, nil)
	if fr.Kind != None {
		return frame(f, fr)
	}
	v, err := inspect(f)
	switch {
	case err != nil:
	case status < 200 || status == http.StatusNoContent:
		if status == http.StatusNoContent && v.length == 0 {
			return frame(f, Framing{Kind: Length})
		}
	case equal(v.codings, "chunked"):
		return frame(f, Framing{Kind: Chunked})
	case v.length >= 0:
		return frame(f, Framing{Kind: Length, Length: v.length})
	}
	return frame(f, Framing{})
}

// frame makes the framing fields say fr. It works on f itself.
func frame(f Fields, fr Framing) Fields {
	v, err := inspect(f)
	keepEncoding := fr.Kind == Chunked && equal(v.codings, "chunked")
	lengths := 0
	out := f[:0]
	encoded := false
	for i := range f {
		one := f[i]
		switch {
		case equal(one.Name, "transfer-encoding"):
			if !keepEncoding {
				// One line of several may still say it: the place is kept.
				if fr.Kind != Chunked || encoded {
					continue
				}
				one = Field{Name: one.Name, Value: "chunked"}
			}
			encoded = true
		case equal(one.Name, "content-length"):
			if lengths++; fr.Kind != Length || lengths > 1 {
				continue
			}
			if n, ok := parseLength(one.Value); err != nil || !ok || n != fr.Length {
				one = Field{Name: one.Name, Value: strconv.FormatInt(fr.Length, 10)}
			}
		}
		out = append(out, one)
	}
	switch {
	case fr.Kind == Length && lengths == 0:
		out = append(out, Field{Name: "Content-Length", Value: strconv.FormatInt(fr.Length, 10)})
	case fr.Kind == Chunked && !encoded:
		out = append(out, Field{Name: "Transfer-Encoding", Value: "chunked"})
	}
	return out
}

// setHost makes the fields name one host. RFC 9110, section 7.2: Host stands first where a field has to be made.
func setHost(f Fields, host string) Fields {
	for i := range f {
		if equal(f[i].Name, "host") {
			if len(f[i].Value) == len(host) && equalFold(f[i].Value, host) {
				host = f[i].Value
			}
			if host == f[i].Value && !f[i+1:].Has("Host") {
				return f
			}
			return f.Set("Host", host)
		}
	}
	return slices.Insert(f, 0, Field{Name: "Host", Value: host})
}

func equalFold(a, b string) bool {
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
