package filter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits keep the SQL within what SQLite takes, and matching within what a stream can afford.
const (
	maxBytes   = 64 << 10
	maxDepth   = 64
	maxAtoms   = 500
	maxOperand = 5000
)

// SyntaxError is a mistake in a filter.
type SyntaxError struct {
	Column  int // in characters, from 1
	Message string
}

// Error returns the message with its column.
func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Message) }

// Parse reads a filter. An error is a *SyntaxError.
func Parse(s string) (*Filter, error) {
	p := &parser{s: s}
	if len(s) > maxBytes {
		return nil, &SyntaxError{Column: 1, Message: fmt.Sprintf("the filter is longer than %d bytes", maxBytes)}
	}
	for i, r := range s {
		if _, n := utf8.DecodeRuneInString(s[i:]); r == 0 || r == utf8.RuneError && n == 1 {
			return nil, p.errorAt(i, "a byte that is not text")
		}
	}
	p.space()
	if p.end() {
		return &Filter{}, nil
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.end() {
		// or stops early at nothing but this.
		return nil, p.errorAt(p.pos, "this parenthesis closes nothing")
	}
	return &Filter{root: root}, nil
}

type parser struct {
	s     string
	pos   int
	depth int
	// atoms and operands are counted.
	atoms, operands int
}

func (p *parser) errorAt(pos int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Column: p.column(pos), Message: fmt.Sprintf(format, args...)}
}

func (p *parser) column(pos int) int { return utf8.RuneCountInString(p.s[:pos]) + 1 }

func (p *parser) end() bool { return p.pos == len(p.s) }

// space skips white space.
func (p *parser) space() {
	p.pos = len(p.s) - len(strings.TrimLeftFunc(p.s[p.pos:], unicode.IsSpace))
}

func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.s[p.pos]
}

// keyword takes a keyword that stands alone, and the space behind it.
func (p *parser) keyword(word string) bool {
	if !p.isKeyword(word) {
		return false
	}
	p.pos += len(word)
	p.space()
	return true
}

func (p *parser) isKeyword(word string) bool {
	rest := p.s[p.pos:]
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return false
	}
	rest = rest[len(word):]
	if rest == "" || rest[0] == '(' || rest[0] == ')' {
		return true
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsSpace(r)
}

func (p *parser) or() (node, error) {
	return p.list(true, p.and, func() bool { return p.keyword("or") })
}

func (p *parser) and() (node, error) {
	return p.list(false, p.not, func() bool {
		return p.keyword("and") || !p.end() && p.peek() != ')' && !p.isKeyword("or")
	})
}

func (p *parser) list(or bool, child func() (node, error), more func() bool) (node, error) {
	var children []node
	for {
		n, err := child()
		if err != nil {
			return nil, err
		}
		children = append(children, n)
		p.space()
		if !more() {
			break
		}
	}
	if len(children) == 1 {
		return children[0], nil
	}
	return &listNode{or: or, children: children}, nil
}

func (p *parser) not() (node, error) {
	start := p.pos
	negated := false
	if p.keyword("not") {
		negated = true
	} else if p.peek() == '-' && p.pos+1 < len(p.s) {
		if r, _ := utf8.DecodeRuneInString(p.s[p.pos+1:]); !unicode.IsSpace(r) && r != ')' {
			p.pos++
			negated = true
		}
	}
	if !negated {
		return p.atom()
	}
	if err := p.deeper(start); err != nil {
		return nil, err
	}
	child, err := p.not()
	p.depth--
	if err != nil {
		return nil, err
	}
	return &notNode{child: child}, nil
}

func (p *parser) deeper(pos int) error {
	if p.depth++; p.depth > maxDepth {
		return p.errorAt(pos, "nested more than %d deep", maxDepth)
	}
	return nil
}

func (p *parser) atom() (node, error) {
	start := p.pos
	switch {
	case p.end():
		return nil, p.errorAt(start, "something to look for is missing")
	case p.peek() == '(':
		if err := p.deeper(start); err != nil {
			return nil, err
		}
		p.pos++
		p.space()
		if p.peek() == ')' && !p.end() {
			return nil, p.errorAt(start, "nothing stands between the parentheses")
		}
		n, err := p.or()
		p.depth--
		if err != nil {
			return nil, err
		}
		if p.peek() != ')' {
			return nil, p.errorAt(start, "this parenthesis is not closed")
		}
		p.pos++
		return n, nil
	case p.peek() == ')':
		return nil, p.errorAt(start, "something to look for is missing before this parenthesis")
	case p.isKeyword("or"), p.isKeyword("and"):
		return nil, p.errorAt(start, `something to look for is missing before this word (quote it to look for it)`)
	}
	if p.atoms++; p.atoms > maxAtoms {
		return nil, p.errorAt(start, "more than %d things to look for", maxAtoms)
	}
	a, err := p.fieldAtom()
	if a == nil && err == nil {
		a, err = p.bareAtom(start)
	}
	if err != nil {
		return nil, err
	}
	if err := a.compile(); err != nil {
		return nil, err
	}
	return a, nil
}

// fieldAtom reads an atom that begins with a field's name. It returns nil where none does.
func (p *parser) fieldAtom() (*atom, error) {
	start := p.pos
	i := start
	for i < len(p.s) && isNameByte(p.s[i]) {
		i++
	}
	name := p.s[start:i]
	if name == "" {
		return nil, nil
	}
	f := fieldNamed(name)
	header := ""
	bracket := i
	if i < len(p.s) && p.s[i] == '[' && (f == nil || f.class == classHeader) {
		n := strings.IndexAny(p.s[i:], "] \t\r\n")
		if n < 0 || p.s[i+n] != ']' {
			if f != nil {
				return nil, p.errorAt(i, "this bracket is not closed")
			}
			return nil, nil
		}
		header = p.s[i+1 : i+n]
		i += n + 1
	}
	if f == nil {
		if strings.HasPrefix(p.s[i:], ":") && !strings.HasPrefix(p.s[i:], "://") {
			return nil, p.errorAt(start, "there is no field %q (quote the word to look for it)", name)
		}
		return nil, nil
	}
	a := &atom{field: f, header: Fold(header), column: p.column(start)}
	p.pos = i
	if err := p.operator(a); err != nil {
		return nil, err
	}
	if a.op == opPresent && !p.end() && p.peek() != ')' {
		if r, _ := utf8.DecodeRuneInString(p.s[p.pos:]); !unicode.IsSpace(r) {
			// The name is the beginning of a longer word.
			p.pos = start
			return nil, nil
		}
	}
	if f.class == classHeader && header == "" {
		if a.op == opPresent && bracket == i {
			p.pos = start
			return nil, nil // the plain word "header"
		}
		return nil, p.errorAt(bracket, "a header's name is missing: %s[name]", f.name)
	}
	return a, nil
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.'
}

// operator reads the operator behind a field's name and its values. It leaves a.op empty where none follows.
func (p *parser) operator(a *atom) error {
	start := p.pos
	if p.peek() == ':' && !p.end() {
		p.pos++
		a.op = opNatural
		return p.operand(a, start)
	}
	p.space()
	for _, o := range []op{opNotEqual, opLessEqual, opGreaterEqual, opEqual, opLess, opGreater, opRegexp} {
		if strings.HasPrefix(p.s[p.pos:], string(o)) {
			p.pos += len(o)
			p.space()
			a.op = o
			return p.operand(a, start)
		}
	}
	if p.pos > start && p.keyword("in") {
		if p.peek() == '(' && !p.end() {
			a.op = opIn
			return p.set(a)
		}
	}
	p.pos = start
	return nil
}

func (p *parser) operand(a *atom, start int) error {
	if r, _ := utf8.DecodeRuneInString(p.s[p.pos:]); p.end() || unicode.IsSpace(r) || r == ')' {
		return p.errorAt(start, "a value is missing after %s%s", a.name(), a.op)
	} else if r == '(' && a.op != opRegexp {
		return p.errorAt(p.pos, "a value is missing; several are written %s in (…)", a.name())
	}
	v, err := p.value(false)
	if err != nil {
		return err
	}
	a.values = []value{v}
	return nil
}

// set reads the values behind "in".
func (p *parser) set(a *atom) error {
	open := p.pos
	p.pos++
	for {
		p.space()
		if p.end() {
			return p.errorAt(open, "this parenthesis is not closed")
		}
		if c := p.peek(); c == ')' || c == ',' || c == '(' {
			return p.errorAt(p.pos, "a value is missing in the list")
		}
		v, err := p.value(true)
		if err != nil {
			return err
		}
		if p.operands++; p.operands > maxOperand {
			return p.errorAt(p.pos, "more than %d values in lists", maxOperand)
		}
		a.values = append(a.values, v)
		p.space()
		switch {
		case p.end():
			return p.errorAt(open, "this parenthesis is not closed")
		case p.peek() == ')':
			p.pos++
			return nil
		case p.peek() != ',':
			return p.errorAt(p.pos, "a comma is missing in the list")
		}
		p.pos++
	}
}

// value reads a word or a quoted text.
func (p *parser) value(inList bool) (value, error) {
	v := value{column: p.column(p.pos)}
	if p.peek() != '"' {
		v.text = p.word(inList)
		return v, nil
	}
	v.quoted = true
	start := p.pos
	var text strings.Builder
	for i := start + 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '\\' && i+1 < len(p.s) && (p.s[i+1] == '"' || p.s[i+1] == '\\'):
			i++
			text.WriteByte(p.s[i])
		case c == '"':
			p.pos = i + 1
			v.text = text.String()
			r, _ := utf8.DecodeRuneInString(p.s[p.pos:])
			if !p.end() && !unicode.IsSpace(r) && r != ')' && (r != ',' || !inList) {
				return v, p.errorAt(p.pos, "a space is missing after the quote")
			}
			return v, nil
		default:
			text.WriteByte(c)
		}
	}
	return v, p.errorAt(start, "this quote is not closed")
}

// word reads up to white space, a parenthesis that was not opened in the word, or a comma in a list. A backslash hides
// the parenthesis behind it, for regexps.
func (p *parser) word(inList bool) string {
	start, depth := p.pos, 0
	for i, r := range p.s[start:] {
		escaped := i > 0 && p.s[start+i-1] == '\\' && !evenBackslashes(p.s[start:start+i])
		switch {
		case unicode.IsSpace(r), r == ',' && inList && depth == 0:
			p.pos = start + i
			return p.s[start:p.pos]
		case escaped:
		case r == '(':
			depth++
		case r == ')':
			if depth--; depth < 0 {
				p.pos = start + i
				return p.s[start:p.pos]
			}
		}
	}
	p.pos = len(p.s)
	return p.s[start:]
}

func evenBackslashes(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 0
}

// bareAtom reads a word, a quoted text or a regexp to look for in the URL.
func (p *parser) bareAtom(start int) (*atom, error) {
	a := &atom{field: fieldNamed("url"), op: opNatural, column: p.column(start), bare: true}
	v, err := p.value(false)
	if err != nil {
		return nil, err
	}
	if n := len(v.text); !v.quoted && n > 2 && v.text[0] == '/' && v.text[n-1] == '/' {
		a.op = opRegexp
		v.text = v.text[1 : n-1]
	}
	a.values = []value{v}
	return a, nil
}
