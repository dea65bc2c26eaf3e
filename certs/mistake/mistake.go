// Package mistake is how the configuration of certificates, trust and TLS says what in an entry is wrong: the field, what
// is wrong with it, and the next thing to do.
package mistake

import "fmt"

// Error is one mistake.
type Error struct {
	// Field names what is wrong as files and API spell it: keyFile, passphrase. "" where it is the entry as a whole.
	Field string
	// What is wrong, in one sentence without a full stop.
	What string
	// Next is what to do about it; may be "".
	Next string
	// Err is the cause; may be nil.
	Err error
}

// In is a mistake in a field.
func In(field, next, format string, args ...any) *Error {
	return &Error{Field: field, What: fmt.Sprintf(format, args...), Next: next}
}

// Error returns what is wrong.
func (e *Error) Error() string { return e.What }

// Hint returns what to do about it.
func (e *Error) Hint() string { return e.Next }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
