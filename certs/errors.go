package certs

import (
	"errors"
	"strconv"
	"strings"
)

// What can be wrong with the files of an authority, for errors.Is.
var (
	// ErrNoCA says that the data directory holds no authority (yet).
	ErrNoCA = errors.New("no CA yet")
	// ErrNoKey says that the certificate is there and its key is not.
	ErrNoKey = errors.New("the key is missing")
	// ErrMismatch says that key and certificate are not a pair.
	ErrMismatch = errors.New("key and certificate do not belong together")
	// ErrDamaged says that a file is not what its name promises.
	ErrDamaged = errors.New("damaged")
	// ErrExposed says that others than its owner can read the key.
	ErrExposed = errors.New("the key is readable by others")
	// ErrExpired says that the authority's time is over, or has not begun by this machine's clock.
	ErrExpired = errors.New("not valid now")
)

// Error is one line about what failed, with the next thing to type.
type Error struct {
	message string
	hint    string
	err     error
}

// Error returns the line.
func (e *Error) Error() string { return e.message }

// Hint returns what to do next.
func (e *Error) Hint() string { return e.hint }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// command returns a command line of eaves for the data directory dir, ready to be typed.
func command(words, dir string) string {
	return "eaves " + words + " --data " + quoted(dir)
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t'\"\\$&;()*?[]<>|") {
		return strconv.Quote(path)
	}
	return path
}
