package filter

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

func parsePort(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// compile gives the atom its test.
func (a *atom) compile() error {
	if a.op == opPresent {
		if a.field.class == classIs {
			return a.mistake("is needs a value: is:" + strings.Join(a.field.choices, ", is:"))
		}
		a.test = a.present()
		return nil
	}
	same, err := a.same()
	if err != nil {
		return err
	}
	a.test = same
	if a.op == opNotEqual {
		a.test = differsTest{present: a.present(), same: same}
	}
	return nil
}

func (a *atom) mistake(message string) error {
	return &SyntaxError{Column: a.column, Message: message}
}

func (v value) mistake(message string) error {
	return &SyntaxError{Column: v.column, Message: message}
}

// operators checks that the atom's operator is one of those, beside : = != and in.
func (a *atom) operators(more ...op) error {
	switch a.op {
	case opNatural, opEqual, opNotEqual, opIn:
		return nil
	}
	if slices.Contains(more, a.op) {
		return nil
	}
	names := []string{":", "=", "!=", "in"}
	for _, o := range more {
		names = append(names, string(o))
	}
	return a.mistake(a.name() + " has no operator " + string(a.op) + ", only " + strings.Join(names, " "))
}

// present is the test for a field's name alone.
func (a *atom) present() test {
	switch a.field.class {
	case classSize:
		return sizedTest{a.fieldColumns()}
	case classBool:
		return numberTest{a.fieldColumns(), []span{{lo: 1, hi: 1}}}
	case classHost:
		return presentTest{a.fieldColumns()[:1]}
	case classHeader:
		return headerTest{side: a.side(), name: a.header}
	case classBody:
		var sized sizedTest
		if a.side() != capture.SideResponse {
			sized.columns = append(sized.columns, columnNamed("req_size"))
		}
		if a.side() != capture.SideRequest {
			sized.columns = append(sized.columns, columnNamed("resp_size"))
		}
		return sized
	case classIs:
		return presentTest{[]*column{columnNamed("id")}}
	default:
		return presentTest{a.fieldColumns()}
	}
}

func (a *atom) fieldColumns() []*column {
	cs := make([]*column, len(a.field.columns))
	for i := range cs {
		cs[i] = a.field.column(i)
	}
	return cs
}

func (a *atom) side() capture.Side {
	switch {
	case strings.HasPrefix(a.field.name, "req."):
		return capture.SideRequest
	case strings.HasPrefix(a.field.name, "resp."):
		return capture.SideResponse
	}
	return ""
}

// same is the test for the operator; for != it is that of =.
func (a *atom) same() (test, error) {
	switch a.field.class {
	case classText, className:
		return a.textSame()
	case classEnum:
		return a.enumSame()
	case classNumber, classStatus, classDuration, classSize, classTime:
		return a.numberSame()
	case classHost, classAddress:
		return a.hostSame()
	case classBool:
		return a.boolSame()
	case classHeader:
		return a.headerSame()
	case classBody:
		return a.bodySame()
	case classIs:
		return a.isSame()
	default:
		return a.errorSame()
	}
}

// matches are how the atom's values compare as text; substring says what ":" means.
func (a *atom) matches(substring bool) ([]textMatch, error) {
	var ms []textMatch
	for _, v := range a.values {
		texts := []string{v.text}
		if a.field.alias != nil && a.op != opRegexp {
			texts = a.field.alias(v.text)
		}
		if a.field.ordered && a.op != opNatural && a.op != opEqual && a.op != opNotEqual && a.op != opIn && a.op != opRegexp {
			texts = texts[:1]
		}
		for _, text := range texts {
			m, err := newTextMatch(v.mode(a.op, substring, &text), text)
			if err != nil {
				return nil, v.mistake(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			}
			ms = append(ms, m)
		}
	}
	return ms, nil
}

// isGlob says that the value's stars stand for any run of characters.
func (v value) isGlob() bool { return !v.quoted && strings.Contains(v.text, "*") }

// mode is how a value compares under an operator; text becomes the operand for it.
func (v value) mode(o op, substring bool, text *string) mode {
	switch o {
	case opRegexp:
		*text = insensitive(*text)
		return modeRegexp
	case opLess, opLessEqual, opGreater, opGreaterEqual:
		return mode(o)
	}
	substring = substring && o == opNatural
	switch {
	case v.isGlob() && substring:
		*text = "*" + *text + "*"
		return modeGlob
	case v.isGlob():
		return modeGlob
	case substring:
		return modeContains
	default:
		return modeEqual
	}
}

func (a *atom) textSame() (test, error) {
	more := []op{opRegexp}
	if a.field.ordered {
		more = append(more, opLess, opLessEqual, opGreater, opGreaterEqual)
	}
	if err := a.operators(more...); err != nil {
		return nil, err
	}
	ms, err := a.matches(a.field.class == classText)
	if err != nil {
		return nil, err
	}
	return textTests(a.field.column(0), ms), nil
}

func textTests(c *column, ms []textMatch) test {
	tests := make(anyTest, len(ms))
	for i, m := range ms {
		tests[i] = textTest{c, m}
	}
	if len(tests) == 1 {
		return tests[0]
	}
	return tests
}

func (a *atom) enumSame() (test, error) {
	if err := a.operators(opRegexp); err != nil {
		return nil, err
	}
	if a.op == opRegexp || a.field.choices == nil && slices.ContainsFunc(a.values, value.isGlob) {
		return a.textSame()
	}
	t := enumTest{column: a.field.column(0)}
	for _, v := range a.values {
		chosen, err := a.choices(v)
		if err != nil {
			return nil, err
		}
		t.values = append(t.values, chosen...)
	}
	return t, nil
}

// choices returns those of the field's known values that v names, at least one.
func (a *atom) choices(v value) ([]string, error) {
	if a.field.choices == nil {
		return []string{Fold(v.text)}, nil
	}
	m, err := newTextMatch(v.mode(opEqual, false, &v.text), v.text)
	if err != nil {
		return nil, err
	}
	var chosen []string
	for _, choice := range a.field.choices {
		if m.match(choice) {
			chosen = append(chosen, choice)
		}
	}
	if len(chosen) == 0 {
		return nil, v.mistake(a.name() + " is one of " + strings.Join(a.field.choices, ", "))
	}
	return chosen, nil
}

func (a *atom) numberSame() (test, error) {
	if err := a.operators(opLess, opLessEqual, opGreater, opGreaterEqual); err != nil {
		return nil, err
	}
	t := numberTest{columns: a.fieldColumns()}
	for _, v := range a.values {
		s, err := parseSpan(a.field, v.text)
		if err != nil {
			return nil, v.mistake(err.Error())
		}
		switch a.op {
		case opLess, opLessEqual, opGreater, opGreaterEqual:
			s = s.compare(a.op)
		default:
			s = s.since(a.field)
		}
		t.spans = append(t.spans, s)
	}
	return t, nil
}

func (a *atom) hostSame() (test, error) {
	if err := a.operators(opRegexp); err != nil {
		return nil, err
	}
	if a.op == opRegexp {
		return a.textSame()
	}
	var patterns []hostpattern.Pattern
	cs := a.fieldColumns()
	for _, v := range a.values {
		p, err := hostpattern.Parse(v.text)
		if err != nil {
			return nil, v.mistake(err.Error() + "; for parts of a name write " + a.name() + "~…")
		}
		if _, ok := p.Port(); ok && a.field.class == classHost && len(cs) == 1 {
			return nil, v.mistake(a.name() + " has no port")
		}
		patterns = append(patterns, p)
	}
	if a.field.class == classAddress {
		return addressTest{cs[0], patterns}, nil
	}
	t := hostTest{host: cs[0], patterns: patterns}
	if len(cs) == 2 {
		t.port = cs[1]
	}
	return t, nil
}

func (a *atom) boolSame() (test, error) {
	if err := a.operators(); err != nil {
		return nil, err
	}
	t := numberTest{columns: a.fieldColumns()}
	for _, v := range a.values {
		switch Fold(v.text) {
		case "yes", "true", "1":
			t.spans = append(t.spans, span{lo: 1, hi: 1})
		case "no", "false", "0":
			t.spans = append(t.spans, span{})
		default:
			return nil, v.mistake(a.name() + " is yes or no")
		}
	}
	return t, nil
}

func (a *atom) headerSame() (test, error) {
	if err := a.operators(opRegexp, opLess, opLessEqual, opGreater, opGreaterEqual); err != nil {
		return nil, err
	}
	var ms []textMatch
	switch a.op {
	case opLess, opLessEqual, opGreater, opGreaterEqual:
		m, err := newTextMatch("n"+mode(a.op), a.values[0].text)
		if err != nil {
			return nil, a.values[0].mistake(err.Error())
		}
		ms = append(ms, m)
	default:
		var err error
		if ms, err = a.matches(true); err != nil {
			return nil, err
		}
	}
	tests := make(anyTest, len(ms))
	for i, m := range ms {
		tests[i] = headerTest{a.side(), a.header, m}
	}
	return tests, nil
}

func (a *atom) bodySame() (test, error) {
	if err := a.operators(opRegexp); err != nil {
		return nil, err
	}
	var tests anyTest
	for _, v := range a.values {
		text := v.text
		m := v.mode(a.op, true, &text)
		switch {
		case m == modeContains && text == "":
			tests = append(tests, a.present())
			continue
		case m == modeEqual:
			m, text = modeRegexp, "(?is)^"+regexp.QuoteMeta(text)+`\z`
		case m == modeGlob:
			m, text = modeRegexp, "(?is)^"+strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*")+`\z`
		}
		match, err := newTextMatch(m, text)
		if err != nil {
			return nil, v.mistake(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		tests = append(tests, bodyTest{a.side(), match})
	}
	return tests, nil
}

func (a *atom) isSame() (test, error) {
	if err := a.operators(); err != nil {
		return nil, err
	}
	var tests anyTest
	for _, v := range a.values {
		chosen, err := a.choices(v)
		if err != nil {
			return nil, err
		}
		for _, choice := range chosen {
			switch choice {
			case "open", "done", "failed":
				tests = append(tests, enumTest{columnNamed("state"), []string{choice}})
			case "replay":
				tests = append(tests, enumTest{columnNamed("source"), []string{string(capture.SourceReplay)}})
			case "marked":
				tests = append(tests, presentTest{[]*column{columnNamed("mark")}})
			case "websocket":
				tests = append(tests, enumTest{columnNamed("kind"), []string{string(capture.KindWebSocket)}})
			}
		}
	}
	return tests, nil
}

// errorSame: the name of a stage asks for that stage, anything else for the message.
func (a *atom) errorSame() (test, error) {
	if err := a.operators(opRegexp); err != nil {
		return nil, err
	}
	var tests anyTest
	for _, v := range a.values {
		if a.op != opRegexp && !v.quoted && slices.Contains(a.field.choices, Fold(v.text)) {
			tests = append(tests, enumTest{a.field.column(0), []string{Fold(v.text)}})
			continue
		}
		text := v.text
		m, err := newTextMatch(v.mode(a.op, true, &text), text)
		if err != nil {
			return nil, v.mistake(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		tests = append(tests, textTest{a.field.column(1), m})
	}
	return tests, nil
}
