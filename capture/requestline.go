package capture

import (
	"fmt"
	"strings"
)

// RequestTarget is the request-target as it stood in the request line (RFC 9112, 3.2), or what it must have been.
func (x *Exchange) RequestTarget() string {
	if x.Request.Target != "" {
		return x.Request.Target
	}
	_, rest, ok := strings.Cut(x.Request.URL, "://")
	if !ok {
		return x.Request.URL
	}
	rest, _, _ = strings.Cut(rest, "#")
	if x.Request.Method == "CONNECT" && x.Kind != KindWebSocket {
		return rest
	}
	switch i := strings.IndexAny(rest, "/?"); {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	default:
		return rest[i:]
	}
}

// RequestLine is the request's first line, as HTTP/1 writes it.
func (x *Exchange) RequestLine() string {
	return x.Request.Method + " " + x.RequestTarget() + " " + x.Request.HTTPVersion
}

// StatusLine is the answer's first line, as HTTP/1 writes it.
func (r *Response) StatusLine() string {
	return fmt.Sprintf("%s %d %s", r.HTTPVersion, r.Status, r.StatusText)
}
