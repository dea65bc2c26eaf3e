package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"

	"eaves/capture"
	"eaves/proxy/wire"
)

// invalidHead says what came instead of an answer's head.
func invalidHead(where, scheme string, p *wire.ParseError) *Error {
	head := p.Head
	var timeout net.Error
	switch {
	case len(head) >= 3 && (head[0] == 0x15 || head[0] == 0x16) && head[1] == 3 && scheme == "http":
		return fail(capture.StageHTTP, p, "%s answers in TLS: this port does not speak plain HTTP", where).hint("use https:// for it")
	case len(head) >= 9 && head[0] == 0 && head[3] == 4 && bytes.Equal(head[5:9], make([]byte, 4)):
		return fail(capture.StageHTTP, p, "%s answers in HTTP/2, though HTTP/1.1 was asked for", where)
	case errors.As(p.Err, &timeout) && timeout.Timeout():
		return fail(capture.StageTimeout, p, "%s: the answer's head did not come to its end in time", where)
	case errors.Is(p.Err, io.ErrUnexpectedEOF), p.Err != nil:
		return fail(capture.StageHTTP, p, "%s: %s within the answer's head, after %d bytes", where, plain(p.Err), len(head))
	}
	const few = 40
	if len(head) > few {
		head = head[:few]
	}
	return fail(capture.StageHTTP, p, "%s sent an invalid answer: %s; it begins %q", where, p.Reason, head).hint("check what listens on this port")
}
