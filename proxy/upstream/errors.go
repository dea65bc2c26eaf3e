package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"eaves/capture"
)

// Error is why a call failed.
type Error struct {
	Stage capture.Stage
	// Message says what happened in plain words, Hint what to do next.
	Message, Hint string
	// Cause is what the system or a library said.
	Cause error
	// Status is the answer that fits: 502, 504, or 403 for what may not be connected to.
	Status int
	// unreachable says that the first proxy of the route could not be connected to: another way may be tried.
	unreachable bool
	// answered says that it is a parent proxy's answer.
	answered bool
	// Late says of a refusal in TLS that it came after the handshake.
	Late bool
	// unsent says that the call cannot have reached an application: it may be sent again.
	unsent bool
	// again says that so it may also where the connection was new: the server said that it did not act upon the call.
	again bool
}

func (e *Error) Error() string { return string(e.Stage) + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// Timeout says whether a limit of time ran out.
func (e *Error) Timeout() bool { return e.Status == http.StatusGatewayTimeout }

// Capture returns e as it is recorded.
func (e *Error) Capture() *capture.Error {
	return &capture.Error{Stage: e.Stage, Message: e.Message, Hint: e.Hint}
}

func fail(stage capture.Stage, cause error, format string, a ...any) *Error {
	e := &Error{Stage: stage, Message: fmt.Sprintf(format, a...), Cause: cause, Status: http.StatusBadGateway}
	if stage == capture.StageTimeout {
		e.Status = http.StatusGatewayTimeout
	}
	return e
}

func (e *Error) hint(format string, a ...any) *Error {
	e.Hint = fmt.Sprintf(format, a...)
	return e
}

// cancelled returns the error of a call whose context has ended, or nil.
func cancelled(ctx context.Context, doing string) *Error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return fail(capture.StageTimeout, cause, "the call's time ran out while %s", doing)
	}
	return fail(capture.StageClient, cause, "given up by the client while %s", doing)
}

// plain says in plain words what an error of reading or writing a connection means.
func plain(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by the other side"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset by the other side"
	case errors.Is(err, syscall.EPIPE):
		return "connection closed by the other side while it was written to"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNABORTED):
		return "connection aborted"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to the host"
	case errors.Is(err, syscall.ENETUNREACH):
		return "network unreachable"
	case errors.Is(err, syscall.ETIMEDOUT):
		return "connection lost (the system got no answer)"
	case errors.Is(err, net.ErrClosed):
		return "connection closed"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many open files here"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no local address or port left for it"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "not permitted by this system (firewall?)"
	case errors.Is(err, syscall.EINVAL):
		return "not an address that can be connected to"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "nothing came in time"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	return strings.TrimPrefix(err.Error(), "tls: ")
}

// seconds writes a limit of time.
func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d ms", d/time.Millisecond)
}
