package wire

import (
	"errors"
	"net/http"
)

// ParseError says why something on the wire is not the HTTP/1 that it should be.
type ParseError struct {
	// Status is what a client that sent this may be answered: 400, 408, 414, 431, 501, 505. It is 0 where a response
	// was read.
	Status int
	// Reason says what is wrong, in words.
	Reason string
	// Head is what was read of the head, and what of it had come already: for recording. It is nil for a body.
	Head []byte
	// Err is what reading failed with, if it did: io.ErrUnexpectedEOF where the peer went away.
	Err error
}

// Error returns the reason.
func (e *ParseError) Error() string {
	if e.Err != nil {
		return e.Reason + ": " + e.Err.Error()
	}
	return e.Reason
}

// Unwrap returns what reading failed with.
func (e *ParseError) Unwrap() error { return e.Err }

func bad(reason string) *ParseError {
	return &ParseError{Status: http.StatusBadRequest, Reason: reason}
}

// Errors of bodies.
var (
	// ErrShortBody: fewer bytes were written than Content-Length says. The connection cannot be used further.
	ErrShortBody = errors.New("body is shorter than its Content-Length")
	// ErrLongBody: more bytes were written than Content-Length says, or a body where there can be none.
	ErrLongBody = errors.New("body is longer than its Content-Length")
	// ErrBodyClosed: a body was read or written after it was closed.
	ErrBodyClosed = errors.New("body is closed")
)
