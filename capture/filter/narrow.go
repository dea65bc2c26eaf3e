package filter

import (
	"encoding/json"
	"slices"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

// Narrower is a Bodies that can say beforehand where to look: it has an index of the terms of exchanges.
type Narrower interface {
	// Narrow returns a condition over x that is true of every exchange for which test is. test is a condition over x and d
	// that can only be true of exchanges which have a term that contains all pieces of one of the alternatives; whether it is
	// true depends on that one term alone. Where the index is of no help, ok is false.
	Narrow(test string, args []any, alternatives [][]string) (sql string, narrowArgs []any, ok bool)
}

// narrow puts a Narrower's condition before a test that was built from mark on.
func (b *builder) narrow(test string, mark int, alternatives ...[]string) string {
	n, ok := b.bodies.(Narrower)
	if !ok || b.negated > 0 || len(alternatives) == 0 {
		return test
	}
	own := slices.Clone(b.args[mark:])
	sql, args, ok := n.Narrow(test, own, alternatives)
	if !ok {
		return test
	}
	b.args = append(append(b.args[:mark], args...), own...)
	return "(" + sql + " AND " + test + ")"
}

// termColumns are the columns whose values are terms. They do not change once an exchange has ended. Of those that are
// lists of addresses each address is one; sparse ones are worth looking for by their being there.
var termColumns = []struct {
	name              string
	addresses, sparse bool
}{
	{name: "kind"}, {name: "source"}, {name: "client", addresses: true}, {name: "run", sparse: true}, {name: "method"}, {name: "url"},
	{name: "scheme"}, {name: "host"}, {name: "port"}, {name: "proto"}, {name: "type"}, {name: "answered"}, {name: "route"},
	{name: "hop", addresses: true, sparse: true}, {name: "hop_status", sparse: true}, {name: "bypass", sparse: true},
	{name: "tls_version"}, {name: "tls_cipher"}, {name: "alpn"}, {name: "sni"}, {name: "verified"}, {name: "cert_asked"},
	{name: "cert_sent", sparse: true}, {name: "cert_rule", sparse: true}, {name: "cert_verdict"}, {name: "cert_alert", sparse: true},
	{name: "cert_expires", sparse: true}, {name: "error_stage", sparse: true}, {name: "error", sparse: true},
}

// TermColumns returns the columns of exchanges that ColumnTerms is to be called for.
func TermColumns() []string {
	names := make([]string, len(termColumns))
	for i, c := range termColumns {
		names[i] = c.name
	}
	return names
}

// AppendColumnTerms appends the terms of the value of the i-th of TermColumns, as SQLite writes it as text.
func AppendColumnTerms(terms []string, i int, text string) []string {
	c := &termColumns[i]
	if !c.addresses {
		return append(terms, beginTerm(c.name)+Fold(text)+termEnd)
	}
	for _, address := range strings.Fields(text) {
		host, port := splitPort(address)
		terms = append(terms, beginTerm(c.name)+hostpattern.Normalize(host)+termPort+port+termEnd)
	}
	return terms
}

// HeaderFields calls yield with each field of a header in the API's JSON form: with the JSON of it, and with what it is.
// ok is false where the form is none that the store writes; then yield may have been called or not.
func HeaderFields(s string, yield func(raw string, field func() (capture.Field, error))) (ok bool) {
	if s == "[]" {
		return true
	}
	if !strings.HasPrefix(s, "[{") {
		return false
	}
	for s = s[1:]; ; {
		rest := s
		for _, before := range []string{`{"name":`, `,"value":`, `,"raw":`} {
			after, found := strings.CutPrefix(rest, before)
			if !found {
				if before == `,"raw":` {
					break
				}
				return false
			}
			var well bool
			if _, rest, well = scanString(after); !well {
				return false
			}
		}
		if !strings.HasPrefix(rest, "}") {
			return false
		}
		raw := s[:len(s)-len(rest)+1]
		yield(raw, func() (f capture.Field, err error) {
			err = json.Unmarshal([]byte(raw), &f)
			return f, err
		})
		switch s = rest[1:]; {
		case s == "]":
			return true
		case !strings.HasPrefix(s, ","):
			return false
		}
		s = s[1:]
	}
}

// HeaderTerm is the term of a header field of one side.
func HeaderTerm(side capture.Side, f capture.Field) string {
	return beginHeader(side, Fold(f.Name)) + Fold(latin1(f.Value)) + termEnd
}

// Terms begin and end so that a beginning and an end can be looked for, and so does a host in an address.
const (
	termEnd  = "\n"
	termPort = "\t"
)

func beginTerm(column string) string { return "\n" + column + "=" }

func beginHeader(side capture.Side, name string) string {
	if side == capture.SideRequest {
		return "\n>" + name + ":"
	}
	return "\n<" + name + ":"
}

// termColumn returns whether a column's values are terms, and whether few exchanges have one.
func termColumn(name string) (is, addresses, sparse bool) {
	for _, c := range termColumns {
		if c.name == name {
			return true, c.addresses, c.sparse
		}
	}
	return false, false, false
}

// within returns what a term that begins so has to contain for its text to match.
func (t textMatch) within(begin string) []string {
	switch t.mode {
	case modeEqual:
		return []string{begin + t.operand + termEnd}
	case modeContains:
		return []string{begin, t.operand}
	case modeGlob:
		pieces := slices.Clone(t.pieces)
		pieces[0] = begin + pieces[0]
		pieces[len(pieces)-1] += termEnd
		return pieces
	}
	return []string{begin}
}

// textPieces are those of a column's text; nil where the index is no help.
func (t textMatch) textPieces(column string) []string {
	switch t.mode {
	case modeEqual, modeContains, modeGlob:
	default:
		return nil
	}
	if column == "path" || column == "query" {
		// Both stand in the URL as they are, but for a path that is left out.
		if t.mode == modeGlob {
			return t.pieces
		}
		if t.operand == "/" {
			return nil
		}
		return []string{t.operand}
	}
	if is, addresses, _ := termColumn(column); !is || addresses {
		return nil
	}
	pieces := t.within(beginTerm(column))
	if column == "url" && t.mode == modeContains {
		pieces = pieces[1:] // every exchange has one, and what is looked for seldom stands elsewhere
	}
	return pieces
}

// hostPieces are what the term of a host that matches has to contain; nil where the index is no help.
func hostPieces(column string, p hostpattern.Pattern) []string {
	name, suffix := p.Host()
	end := termEnd
	if _, addresses, _ := termColumn(column); addresses {
		end = termPort
	}
	switch {
	case name != "":
		return []string{beginTerm(column) + name + end}
	case suffix != "":
		return []string{beginTerm(column), suffix + end}
	}
	if octets := p.Octets(); octets != "" {
		return []string{beginTerm(column) + octets}
	}
	return nil
}
