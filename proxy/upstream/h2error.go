package upstream

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"

	"eaves/capture"
)

// failed says why a stream ended before its end.
func (s *h2stream) failed(err error) *Error {
	cc := s.cc
	s.stop()
	s.mu.Lock()
	clientIs, answered, read := s.clientIs, s.answered, s.read
	informal := s.informal
	s.mu.Unlock()
	if clientIs != nil {
		return fail(capture.StageClient, clientIs, "the request's body was cut by the client: %s", plain(clientIs))
	}
	before, doing := "", "waiting for"
	if answered {
		doing = "reading"
		before = fmt.Sprintf("the answer's body was cut after %d bytes: ", read)
	}
	if e := cancelled(s.ctx, doing+" the answer of "+cc.where); e != nil {
		return e
	}
	again := func(e *Error, sure bool) *Error {
		e.unsent = !answered && informal == 0 && !s.bodyBegun && (sure || s.call.idempotent())
		e.again = sure
		return e
	}
	var stream http2.StreamError
	var own *protocolError
	var away *goAwayError
	var conn http2.ConnectionError
	switch {
	case errors.Is(err, errSlow):
		return fail(capture.StageTimeout, err, "%s: no answer within %s", cc.where, seconds(cc.host.client.cfg.ResponseTimeout))
	case errors.As(err, &stream):
		e := fail(capture.StageHTTP, stream, "%s: %sthe server reset the stream with %v (%s)", cc.where, before, stream.Code, codeWords(stream.Code))
		if stream.Code == http2.ErrCodeHTTP11Required {
			cc.host.fallBack()
			return again(e.hint("send it again: HTTP/1.1 is used with this host from now on"), true)
		}
		if stream.Code == http2.ErrCodeRefusedStream {
			return again(e, true)
		}
		return e
	case errors.As(err, &away):
		words := fmt.Sprintf("%s: %sthe server ended the HTTP/2 connection with GOAWAY %v (%s)", cc.where, before, away.code, codeWords(away.code))
		if away.debug != "" {
			words += fmt.Sprintf(", saying %q", away.debug)
		}
		return again(fail(capture.StageHTTP, err, "%s", words), true)
	case errors.As(err, &own):
		return fail(capture.StageHTTP, err, "%s: %sthe server broke HTTP/2: %s (%v)", cc.where, before, own.detail, own.code)
	case errors.As(err, &conn):
		return fail(capture.StageHTTP, err, "%s: %sthe server broke HTTP/2: %v", cc.where, before, err)
	}
	if e := cc.alerted(s.call.Receipt, err); e != nil {
		return e
	}
	cc.mu.Lock()
	goAway := cc.goAway
	cc.mu.Unlock()
	if goAway != nil && goAway.code != http2.ErrCodeNo {
		return fail(capture.StageHTTP, goAway, "%s: %sthe server ended the HTTP/2 connection with GOAWAY %v (%s) %q", cc.where, before, goAway.code, codeWords(goAway.code), goAway.debug)
	}
	if answered {
		return fail(capture.StageHTTP, err, "%s: %s%s (HTTP/2)", cc.where, before, plain(err)).hint("%s", cc.whereCut())
	}
	return again(fail(capture.StageHTTP, err, "%s: %s without an answer (HTTP/2)", cc.where, plain(err)).hint("the server's log may say why"), false)
}

// fallBack notes that the host wants HTTP/1.1 (RFC 9113, 7: HTTP_1_1_REQUIRED).
func (h *host) fallBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spoken = speaksH1
}

// codeWords says what an error code of HTTP/2 means (RFC 9113, 7).
func codeWords(c http2.ErrCode) string {
	switch c {
	case http2.ErrCodeNo:
		return "no error"
	case http2.ErrCodeProtocol:
		return "the other side broke the protocol"
	case http2.ErrCodeInternal:
		return "an error within the server"
	case http2.ErrCodeFlowControl:
		return "flow control was broken"
	case http2.ErrCodeSettingsTimeout:
		return "settings were not acknowledged"
	case http2.ErrCodeStreamClosed:
		return "the stream had ended already"
	case http2.ErrCodeFrameSize:
		return "a frame had the wrong size"
	case http2.ErrCodeRefusedStream:
		return "it was not processed"
	case http2.ErrCodeCancel:
		return "it is not wanted any more"
	case http2.ErrCodeCompression:
		return "header compression is out of step"
	case http2.ErrCodeConnect:
		return "the tunnel's connection was reset"
	case http2.ErrCodeEnhanceYourCalm:
		return "it got more than it likes"
	case http2.ErrCodeInadequateSecurity:
		return "TLS is too weak"
	case http2.ErrCodeHTTP11Required:
		return "HTTP/1.1 is required"
	}
	return "unknown code"
}
