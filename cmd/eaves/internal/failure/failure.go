// Package failure is how a command of eaves says what went wrong: what failed, why, what to type next, and the exit
// status that tells a script which kind of failure it was.
package failure

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit statuses of eaves.
const (
	Done  = 0
	Work  = 1 // the work failed: an assertion, a refused connection
	Usage = 2 // wrong usage or configuration
)

// Error is a failure in the words of the user: What was being done, Err why it failed, Hint what to type next.
type Error struct {
	What string
	Err  error
	Hint string
	// Code is the exit status; 0 means Work.
	Code int
}

// Error returns what failed and why, without the hint.
func (e *Error) Error() string {
	if e.What == "" {
		return e.Err.Error()
	}
	return e.What + ": " + e.Err.Error()
}

// Unwrap returns why it failed.
func (e *Error) Unwrap() error { return e.Err }

// New says that what failed because of err.
func New(what string, err error, hint string) *Error {
	return &Error{What: what, Err: err, Hint: hint}
}

// Wrong is a failure of usage or configuration.
func Wrong(what string, err error, hint string) *Error {
	return &Error{What: what, Err: err, Hint: hint, Code: Usage}
}

// Within says what was being done when err came about; its hint and status stay.
func Within(what string, err error) error {
	e := &Error{What: what, Err: err, Code: Code(err)}
	if inner := (*Error)(nil); errors.As(err, &inner) {
		e.Hint = inner.Hint
	}
	return e
}

// Status is an exit status that needs no words: the output has said it all, as diff(1) does.
type Status int

// Error returns the status in words.
func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Code is the exit status of err.
func Code(err error) int {
	var s Status
	var e *Error
	switch {
	case err == nil:
		return Done
	case errors.As(err, &s):
		return int(s)
	case errors.As(err, &e) && e.Code != 0:
		return e.Code
	}
	return Work
}

// Print writes err as lines "eaves: what failed: why", one for each of several mistakes, and below them its hint: the
// Error's own, else that of whatever error below it has a method Hint.
func Print(w io.Writer, err error) {
	var s Status
	if err == nil || errors.As(err, &s) {
		return
	}
	prefix, why, hint := "eaves: ", err, ""
	var e *Error
	if errors.As(err, &e) {
		hint = e.Hint
		if e == err && e.What != "" {
			prefix, why = prefix+e.What+": ", e.Err
		}
	}
	var h interface{ Hint() string }
	if hint == "" && errors.As(err, &h) {
		hint = h.Hint()
	}
	for _, one := range flatten(why) {
		fmt.Fprintln(w, prefix+oneLine(one.Error()))
	}
	if hint != "" {
		fmt.Fprintln(w, "hint: "+hint)
	}
}

// flatten returns the errors that were joined.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// oneLine joins lines, since an error is one line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
