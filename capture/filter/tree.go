package filter

import (
	"strings"
	"time"
)

// A node of the tree answers for one subject, as SQL, and as text of the language. SQL that is NULL stands for false.
type node interface {
	match(*subject) bool
	sql(*builder) string
	text(level int) string
	// words says what it asks, or that it is not so.
	words(negated bool) string
}

// Levels of binding, for parentheses.
const (
	levelOr = iota
	levelAnd
	levelNot
)

// builder collects the arguments of a condition.
type builder struct {
	bodies Bodies
	now    time.Time
	args   []any
	// negated counts the "not" around what is being built.
	negated int
}

func (b *builder) arg(v any) string {
	b.args = append(b.args, v)
	return "?"
}

// listNode is true when all (or any) of its children are. It has at least two.
type listNode struct {
	or       bool
	children []node
}

func (l *listNode) match(s *subject) bool {
	for _, child := range l.children {
		if child.match(s) == l.or {
			return l.or
		}
	}
	return !l.or
}

func (l *listNode) sql(b *builder) string {
	parts := make([]string, len(l.children))
	for i, child := range l.children {
		parts[i] = child.sql(b)
	}
	if l.or {
		return join(parts, " OR ")
	}
	return join(parts, " AND ")
}

// join builds a balanced expression, since SQLite limits the depth of one.
func join(parts []string, op string) string {
	switch len(parts) {
	case 1:
		return parts[0]
	case 2, 3, 4, 5, 6, 7, 8:
		return "(" + strings.Join(parts, op) + ")"
	}
	half := len(parts) / 2
	return "(" + join(parts[:half], op) + op + join(parts[half:], op) + ")"
}

func (l *listNode) text(level int) string {
	own, op := levelAnd, " and "
	if l.or {
		own, op = levelOr, " or "
	}
	parts := make([]string, len(l.children))
	for i, child := range l.children {
		parts[i] = child.text(own + 1)
	}
	s := strings.Join(parts, op)
	if level > own {
		return "(" + s + ")"
	}
	return s
}

// notNode is true when its child is not, also where the child compares with what is absent.
type notNode struct{ child node }

func (n *notNode) match(s *subject) bool { return !n.child.match(s) }

func (n *notNode) sql(b *builder) string {
	b.negated++
	defer func() { b.negated-- }()
	return "((" + n.child.sql(b) + ") IS NOT TRUE)"
}

func (n *notNode) text(int) string { return "not " + n.child.text(levelNot) }

// op is an operator of the language.
type op string

const (
	opPresent      op = ""
	opNatural      op = ":"
	opEqual        op = "="
	opNotEqual     op = "!="
	opLess         op = "<"
	opLessEqual    op = "<="
	opGreater      op = ">"
	opGreaterEqual op = ">="
	opRegexp       op = "~"
	opIn           op = "in"
)

// value is an operand as it was written.
type value struct {
	text   string
	quoted bool
	column int
}

func (v value) String() string {
	if !v.quoted {
		if strings.Contains(v.text, "(") {
			// The parenthesis shall not take one that follows into the word.
			return v.text + " "
		}
		return v.text
	}
	return Quote(v.text)
}

// atom compares one field.
type atom struct {
	field  *field
	header string // the name in header[name], lower case
	op     op
	values []value
	column int
	// bare says that the field's name was left out: a word looked for in the URL.
	bare bool
	test test
}

// test is what an atom means.
type test interface {
	match(*subject) bool
	sql(*builder) string
}

func (a *atom) match(s *subject) bool { return a.test.match(s) }

func (a *atom) sql(b *builder) string { return a.test.sql(b) }

func (a *atom) name() string {
	if a.field.class == classHeader {
		return a.field.name + "[" + a.header + "]"
	}
	return a.field.name
}

func (a *atom) text(int) string {
	if a.bare {
		if a.op == opRegexp {
			return value{text: "/" + a.values[0].text + "/"}.String()
		}
		return a.values[0].String()
	}
	switch a.op {
	case opPresent:
		return a.name()
	case opIn:
		texts := make([]string, len(a.values))
		for i, v := range a.values {
			texts[i] = v.String()
		}
		return a.name() + " in (" + strings.Join(texts, ", ") + ")"
	}
	v := a.values[0].String()
	if strings.HasPrefix(v, "=") {
		v = " " + v
	}
	return a.name() + string(a.op) + v
}

// requestOnly says whether the atom can be answered when a request's head has been read.
func (a *atom) requestOnly() bool {
	if a.field.class != classIs {
		return a.field.request
	}
	for _, v := range a.values {
		if !strings.EqualFold(v.text, "replay") {
			return false
		}
	}
	return true
}

// Quote writes a text as a quoted value of the language, which stands for just this text.
func Quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
