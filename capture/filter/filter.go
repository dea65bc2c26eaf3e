// Package filter is the one filter language of eaves. The console, list, export, replay, prune, expectations, rules and
// the stream all speak it.
//
// # The language
//
//	expr = or ; or = and { "or" and } ; and = not { ["and"] not } ; not = ["not" | "-"] atom
//	atom = "(" expr ")" | field [ op value ] | word | "quoted" | /regexp/
//	op   = ":" (the field's natural match) | "=" "!=" "<" "<=" ">" ">=" | "~" (regexp) | "in" "(" v {"," v} ")"
//
// A bare word is looked for in the URL; a field's name alone asks whether there is one. The table in fields.go says what
// each field is. In text a star stands for any run of characters, unless the value is quoted. With ":" it may stand
// anywhere in fields that are searched for a substring; with "=" the whole value has to match.
//
// # Guarantees
//
// A filter is parsed once and compiled to SQL and to a Go predicate, which give the same answer. A comparison with what
// an exchange does not have is false, whatever the operator, and its "not" is true. Letters are compared without case,
// also beyond ASCII (a letter that is not ASCII never equals one that is). Bytes of a header that are not UTF-8 are read
// as ISO-8859-1. Filters are safe for concurrent use.
//
// # For the store
//
// Row derives every column that a filter compares from an exchange; the store inserts what it returns, so that both
// compilations see the same values. Functions are to be registered on each SQLite connection, as pure functions.
// Simple comparisons of id, kind, state, source, scheme, host, port, status, sizes and times are plain SQL on bare
// columns, which indexes serve; method compares with COLLATE NOCASE.
package filter

import (
	"time"

	"eaves/capture"
)

// Filter is a parsed filter. The empty filter matches everything.
type Filter struct {
	root node // nil: matches everything
}

// Subject is what a filter's predicate looks at.
type Subject struct {
	Exchange *capture.Exchange
	// Body returns one side's decoded body, "" where there is none. It is called only when NeedsBody; where it is nil,
	// no body contains anything.
	Body func(capture.Side) string
	// Now is what relative times (at:10m..) count from. The zero value stands for the time of the call.
	Now time.Time
}

// Bodies answers for bodies in SQL; the store gives it. Side "" asks whether either side does. The expressions are over
// x (exchanges), are never NULL, and use their arguments in order.
type Bodies interface {
	// Contains asks whether the decoded body contains needle as Contains does. The needle is not empty.
	Contains(side capture.Side, needle string) (sql string, args []any)
	// Matches asks whether the decoded body is there and matches the pattern, a regexp for regexp.Compile as it stands.
	Matches(side capture.Side, pattern string) (sql string, args []any)
}

// Match says whether the subject's exchange is one the filter asks for.
func (f *Filter) Match(s Subject) bool {
	if f.root == nil {
		return true
	}
	if s.Now.IsZero() {
		s.Now = time.Now()
	}
	return f.root.match(&subject{Subject: s})
}

// SQL returns the filter as a condition over `exchanges AS x` and, where NeedsDetails, `details AS d` (d.id = x.id), with
// its arguments. Relative times count from now.
func (f *Filter) SQL(bodies Bodies) (where string, args []any) {
	return f.SQLAt(bodies, time.Now())
}

// SQLAt is SQL with relative times counted from the given one.
func (f *Filter) SQLAt(bodies Bodies, now time.Time) (where string, args []any) {
	if f.root == nil {
		return "1", nil
	}
	b := &builder{bodies: bodies, now: now}
	where = f.root.sql(b)
	return where, b.args
}

// NeedsDetails says whether the SQL refers to the details table.
func (f *Filter) NeedsDetails() bool {
	return f.any(func(a *atom) bool { return a.field.class == classHeader })
}

// NeedsBody says whether the filter looks into bodies.
func (f *Filter) NeedsBody() bool {
	return f.any(func(a *atom) bool { return a.field.class == classBody && a.op != opPresent })
}

// RequestOnly returns an error that names the first field which is not known when a request's head has been read; a rule
// can have no such field.
func (f *Filter) RequestOnly() error {
	var err error
	f.any(func(a *atom) bool {
		if a.requestOnly() {
			return false
		}
		message := a.name() + " is not known when a request comes in; rules look at method, url, scheme, host, port, path, query, proto, client, run, at and req.header[…]"
		if a.field.class == classHeader {
			message = a.name() + " looks at the answer too; use req.header[" + a.header + "]"
		}
		err = &SyntaxError{Column: a.column, Message: message}
		return true
	})
	return err
}

// Empty says whether the filter matches everything because nothing is asked.
func (f *Filter) Empty() bool { return f.root == nil }

// String returns the filter in the language; it parses to a filter of the same meaning.
func (f *Filter) String() string {
	if f.root == nil {
		return ""
	}
	return f.root.text(levelOr)
}

// any says whether g is true of one of the filter's atoms, asked in order.
func (f *Filter) any(g func(*atom) bool) bool {
	return f.root != nil && anyAtom(f.root, g)
}

func anyAtom(n node, g func(*atom) bool) bool {
	switch n := n.(type) {
	case *atom:
		return g(n)
	case *notNode:
		return anyAtom(n.child, g)
	case *listNode:
		for _, child := range n.children {
			if anyAtom(child, g) {
				return true
			}
		}
	}
	return false
}
