package hop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"eaves/capture"
	"eaves/proxy/wire"
)

// Error is why there is no way through a chain of proxies.
type Error struct {
	// Index is the proxy's place in the chain, from 0.
	Index int
	Hop   Hop
	Stage capture.Stage
	// Message says what happened in plain words, Hint what to do next.
	Message, Hint string
	// Mend is what about the route would mend it; who knows the route says how.
	Mend Mend
	// Cause is what the system or a library said.
	Cause error
	// Unreachable says that there was no connection to the first proxy: nothing has been asked of it.
	Unreachable bool
	// Answered says that it is the proxy's own answer, and no lack of one. Answer is what an HTTP proxy said.
	Answered bool
	Answer   *Answer
}

// Mend is a change of a route.
type Mend uint8

// The changes that may help.
const (
	MendNothing     Mend = iota
	MendCredentials      // the proxy is to be shown credentials, or others
	MendDetour           // the host is to be reached another way
)

// Answer is what a proxy said instead of letting a connection through.
type Answer struct {
	Status int
	Reason string
	Fields wire.Fields
	// Body is the beginning of what came with it.
	Body []byte
}

func (e *Error) Error() string { return string(e.Stage) + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Cause }

func fail(h Hop, cause error, format string, a ...any) *Error {
	return &Error{Hop: h, Stage: capture.StageProxy, Message: h.String() + ": " + fmt.Sprintf(format, a...), Cause: cause}
}

func (e *Error) hint(format string, a ...any) *Error {
	e.Hint = fmt.Sprintf(format, a...)
	return e
}

// mend says which change of the route may help.
func (e *Error) mend(m Mend) *Error {
	e.Mend = m
	return e
}

// no makes it an answer of the proxy's.
func (e *Error) no() *Error {
	e.Answered = true
	return e
}

// late makes it an error of time.
func (e *Error) late() *Error {
	e.Stage = capture.StageTimeout
	return e
}

// broken says why reading or writing failed while doing something.
func (d *Dialer) broken(h Hop, err error, doing string) *Error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fail(h, err, "no answer within %v while %s", d.cfg.Timeout, doing).late().
			hint("the proxy takes connections but does not answer: check that it speaks %s on this port, and whether it can reach the target", h.Kind)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fail(h, err, "it closed the connection while %s", doing).hint("%s", h.WhereItHangsUp())
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fail(h, err, "it reset the connection while %s", doing).hint("%s", h.WhereItHangsUp())
	}
	var op *net.OpError
	why := err
	if errors.As(err, &op) && op.Err != nil {
		why = op.Err
		if op.Op == "remote error" {
			return fail(h, err, "it ended TLS with the alert %q while %s", strings.TrimPrefix(why.Error(), "tls: "), doing).hint("%s", h.WhereItHangsUp())
		}
	}
	return fail(h, err, "%v while %s", why, doing).hint("%s", h.WhereItHangsUp())
}

// WhereItHangsUp is what to do about a proxy that ends a connection without an answer.
func (h Hop) WhereItHangsUp() string {
	switch h.Kind {
	case HTTP:
		return "what listens there may speak TLS (https://" + h.Address() + ") or SOCKS (socks5://" + h.Address() + "); else the proxy's log may say why"
	case HTTPS:
		return "a proxy that demands a client certificate says so only now under TLS 1.3: eaves cert add " + h.Address() + " --proxy configures one; else its log may say why"
	}
	return "check that it speaks " + string(h.Kind) + " on this port; its log may say why"
}
