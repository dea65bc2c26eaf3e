package filter

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"eaves/capture/hostpattern"
)

// wordsOf bounds how many values of a list are named in words.
const wordsOf = 5

// Words says in a sentence without its full stop what the filter asks for; "every exchange" for the empty one.
func (f *Filter) Words() string {
	if f.root == nil {
		return "every exchange"
	}
	return f.root.words(false)
}

func (n *notNode) words(negated bool) string { return n.child.words(!negated) }

func (l *listNode) words(negated bool) string {
	parts := make([]string, len(l.children))
	mixed := false
	for i, child := range l.children {
		parts[i] = child.words(false)
		if _, ok := child.(*listNode); ok {
			parts[i] = "(" + parts[i] + ")"
		} else if l.sentNone(i) {
			parts[i] = "none was sent"
		}
		mixed = mixed || strings.Contains(parts[i], ", ") || strings.Contains(parts[i], " or ") || strings.Contains(parts[i], " and ")
	}
	word := "and"
	if l.or {
		word = "or"
	}
	said := enumerate(parts, word, mixed)
	if negated {
		return "it is not so that (" + said + ")"
	}
	return said
}

// sentNone says whether a child is that no certificate was sent, right behind that one was asked for.
func (l *listNode) sentNone(i int) bool {
	if l.or || i == 0 {
		return false
	}
	asked, ok := l.children[i-1].(*atom)
	if !ok || asked.field.name != "cert.asked" || asked.op != opPresent {
		return false
	}
	n, ok := l.children[i].(*notNode)
	if !ok {
		return false
	}
	sent, ok := n.child.(*atom)
	return ok && sent.field.name == "cert.sent" && sent.op == opPresent
}

// enumerate joins parts as a sentence does. Parts that have commas or conjunctions of their own are set apart by
// semicolons.
func enumerate(parts []string, word string, mixed bool) string {
	n := len(parts) - 1
	if n == 0 {
		return parts[0]
	}
	if mixed {
		return strings.Join(parts[:n], "; ") + "; " + word + " " + parts[n]
	}
	return strings.Join(parts[:n], ", ") + " " + word + " " + parts[n]
}

// words says what the atom asks, or that it is not so.
func (a *atom) words(negated bool) string {
	switch a.field.class {
	case classBool:
		return a.boolWords(negated)
	case classIs:
		return a.isWords(negated)
	case classTime:
		if a.op != opPresent {
			return a.timeWords(negated)
		}
	case classHost, classAddress:
		if a.op != opPresent && a.op != opRegexp {
			return a.saying("is", "is not", a.among(a.hostWords), negated)
		}
	case classNumber, classStatus, classDuration, classSize:
		if a.op != opPresent {
			return a.saying("is", "is not", a.among(a.numberWords), negated)
		}
	case classError:
		if a.op != opPresent {
			return a.errorWords(negated)
		}
	}
	if a.op == opPresent {
		return a.presentWords(negated)
	}
	return a.textWords(negated)
}

// subject is what the atom is about, and whether "no" stands in its place where nothing is such.
func (a *atom) subject() (noun string, indefinite bool) {
	switch {
	case a.bare:
		return "the URL", false
	case a.field.class == classHeader:
		side := ""
		switch {
		case strings.HasPrefix(a.field.name, "req."):
			side = " of the request"
		case strings.HasPrefix(a.field.name, "resp."):
			side = " of the response"
		}
		return "a header " + a.header + side, true
	case strings.HasPrefix(a.field.noun, "a "):
		return a.field.noun, true
	}
	return a.field.noun, false
}

// saying puts a sentence together.
func (a *atom) saying(verb, negative, rest string, negated bool) string {
	noun, indefinite := a.subject()
	switch {
	case !negated:
	case indefinite:
		noun = "no " + strings.TrimPrefix(noun, "a ")
	default:
		verb = negative
	}
	return noun + " " + verb + " " + rest
}

func (a *atom) presentWords(negated bool) string {
	yes, no := "", ""
	switch a.field.name {
	case "cert.sent":
		yes, no = "a client certificate was sent", "no client certificate was sent"
	case "cert.rule":
		yes, no = "a rule for client certificates matched", "no rule for client certificates matched"
	case "cert.verdict":
		yes, no = "something is known of a client certificate", "nothing is known of a client certificate"
	case "cert.expires":
		yes, no = "the end of the client certificate is known", "the end of a client certificate is not known"
	case "error":
		yes, no = "it has an error", "it has no error"
	case "replay.of":
		yes, no = "it was sent again", "it was not sent again"
	case "mark":
		yes, no = "it has a mark", "it has no mark"
	case "comment":
		yes, no = "it has a comment", "it has no comment"
	case "alert":
		yes, no = "the server sent a TLS alert", "the server sent no TLS alert"
	case "size", "body":
		yes, no = "there is a body", "there is no body"
	case "req.size", "req.body":
		yes, no = "the request has a body", "the request has no body"
	case "resp.size", "resp.body":
		yes, no = "the response has a body", "the response has no body"
	case "hop":
		yes, no = "it went through a proxy", "it went through no proxy"
	case "bypass":
		yes, no = "an entry of the bypass list held", "no entry of the bypass list held"
	case "status":
		yes, no = "there is an answer", "there is no answer"
	default:
		noun, indefinite := a.subject()
		if indefinite {
			return pickWords(negated, "there is "+noun, "there is no "+strings.TrimPrefix(noun, "a "))
		}
		return pickWords(negated, noun+" is known", noun+" is not known")
	}
	return pickWords(negated, yes, no)
}

func pickWords(negated bool, yes, no string) string {
	if negated {
		return no
	}
	return yes
}

// among says the values of the atom: one, or one of several. An operator != is said of them, too.
func (a *atom) among(say func(value) string) string {
	said := said(a.values, say)
	if a.op == opNotEqual {
		return "something other than " + said
	}
	return said
}

func said(values []value, say func(value) string) string {
	parts := make([]string, 0, wordsOf+1)
	for i, v := range values {
		if i == wordsOf && len(values) > wordsOf+1 {
			parts = append(parts, fmt.Sprintf("one of %d more", len(values)-wordsOf))
			break
		}
		parts = append(parts, say(v))
	}
	return enumerate(parts, "or", false)
}

// quoted sets a text off from the sentence.
func quoted(s string) string { return "“" + s + "”" }

// textWords: what a text contains, is, matches.
func (a *atom) textWords(negated bool) string {
	contains := a.op == opNatural && (a.field.class == classText || a.field.class == classHeader || a.field.class == classBody)
	say := func(v value) string {
		if a.field.class == className || a.field.class == classEnum {
			if !v.quoted && !v.isGlob() {
				return v.text
			}
		}
		if v.isGlob() && a.op != opRegexp && !contains {
			return "like " + quoted(v.text)
		}
		return quoted(v.text)
	}
	switch {
	case a.op == opRegexp:
		return a.saying("matches", "does not match", "/"+a.values[0].text+"/", negated)
	case a.op == opLess, a.op == opLessEqual, a.op == opGreater, a.op == opGreaterEqual:
		return a.saying("is", "is not", compared(a.op)+" "+a.values[0].text, negated)
	case contains:
		return a.saying("contains", "does not contain", said(a.values, say), negated)
	}
	return a.saying("is", "is not", a.among(say), negated)
}

func compared(o op) string {
	switch o {
	case opLess:
		return "less than"
	case opLessEqual:
		return "at most"
	case opGreater:
		return "more than"
	case opGreaterEqual:
		return "at least"
	}
	return ""
}

// numberWords says a number, a class or a range under the atom's operator.
func (a *atom) numberWords(v value) string {
	if c := compared(a.op); c != "" {
		return c + " " + a.unitWords(v.text)
	}
	from, to, isRange := strings.Cut(v.text, "..")
	switch {
	case !isRange:
		return a.unitWords(v.text)
	case from == "":
		return "at most " + a.unitWords(to)
	case to == "":
		return "at least " + a.unitWords(from)
	}
	return "from " + a.unitWords(from) + " to " + a.unitWords(to)
}

// unitWords writes one number with its unit.
func (a *atom) unitWords(s string) string {
	parts := numberForm.FindStringSubmatch(strings.ToLower(s))
	if parts == nil || a.field.class == classStatus {
		return strings.ToLower(s)
	}
	unit := parts[2]
	switch a.field.class {
	case classDuration:
		if unit == "" {
			unit = "ms"
		}
		return parts[1] + " " + unitName(parts[1], unit)
	case classSize:
		switch unit {
		case "", "b":
			if parts[1] == "1" {
				return "1 byte"
			}
			return parts[1] + " bytes"
		case "k", "kb", "kib":
			return parts[1] + " KiB"
		case "m", "mb", "mib":
			return parts[1] + " MiB"
		}
		return parts[1] + " GiB"
	}
	return parts[1]
}

// unitName writes out a unit of time.
func unitName(n, unit string) string {
	name := ""
	switch unit {
	case "us", "µs":
		return "µs"
	case "s":
		name = "second"
	case "m":
		name = "minute"
	case "h":
		name = "hour"
	case "d":
		name = "day"
	default:
		return unit
	}
	if v, err := strconv.ParseFloat(n, 64); err != nil || v != 1 {
		name += "s"
	}
	return name
}

// timeWords says when something was, or will be.
func (a *atom) timeWords(negated bool) string {
	say := func(v value) string {
		s, err := parseSpan(a.field, v.text)
		if err != nil {
			return v.text // an atom that was compiled has none
		}
		from, to, isRange := strings.Cut(v.text, "..")
		if c := a.op; c == opLess || c == opLessEqual || c == opGreater || c == opGreaterEqual {
			s = s.compare(c)
			from, to = v.text, v.text
		} else if !isRange {
			one := s.since(a.field)
			if !one.loNow && !one.hiNow {
				return "at " + quotedTime(v.text)
			}
			s, from, to = one, v.text, v.text
		}
		return a.spanWords(s, from, to)
	}
	rest := a.among(say)
	if a.field.future {
		return pickWords(negated, "the client certificate ends ", "the client certificate does not end ") + rest
	}
	return pickWords(negated, "it began ", "it did not begin ") + rest
}

func quotedTime(s string) string { return strings.ToUpper(s) }

// spanWords says a span of time whose ends were written from and to.
func (a *atom) spanWords(s span, from, to string) string {
	openStart, openEnd := math.IsInf(s.lo, -1), math.IsInf(s.hi, 1)
	ago := func(text string) string {
		parts := numberForm.FindStringSubmatch(strings.ToLower(text))
		if parts == nil {
			return text
		}
		return parts[1] + " " + unitName(parts[1], parts[2])
	}
	past := func(text string, relative bool) string {
		switch {
		case !relative:
			return quotedTime(text)
		case a.field.future:
			return "in " + ago(text)
		}
		return ago(text) + " ago"
	}
	switch {
	case openStart && openEnd:
		return "at any time"
	case openEnd && s.loNow && !a.field.future:
		return "in the last " + ago(from)
	case openEnd && s.loNow:
		return "later than in " + ago(from)
	case openEnd && s.loOpen:
		return "after " + past(from, s.loNow)
	case openEnd:
		return "at " + past(from, false) + " or later"
	case openStart && s.hiNow && !a.field.future:
		return "more than " + ago(to) + " ago"
	case openStart && s.hiNow:
		return "within " + ago(to)
	case openStart:
		return "before " + past(to, s.hiNow)
	}
	return "between " + past(from, s.loNow) + " and " + past(to, s.hiNow)
}

// hostWords says a host pattern.
func (a *atom) hostWords(v value) string {
	p, err := hostpattern.Parse(v.text)
	if err != nil {
		return quoted(v.text)
	}
	port := ""
	if n, ok := p.Port(); ok {
		port = " at port " + strconv.Itoa(n)
	}
	switch name, suffix := p.Host(); {
	case name != "":
		return name + port
	case suffix != "":
		return "any under " + strings.TrimPrefix(suffix, ".") + port
	case p.Any():
		return "any" + port
	default:
		return "in " + p.String()
	}
}

func (a *atom) boolWords(negated bool) string {
	yes := a.op == opPresent
	for _, v := range a.values {
		switch Fold(v.text) {
		case "yes", "true", "1":
			yes = true
		}
	}
	if a.op == opIn && len(a.values) > 1 {
		return a.field.name + pickWords(negated, " is ", " is not ") + said(a.values, func(v value) string { return Fold(v.text) })
	}
	known := a.op != opPresent // with a value, there has to be something to say it of
	if a.op == opNotEqual {
		yes = !yes
	}
	if a.field.name == "verified" {
		switch {
		case negated && known && yes:
			return "the server’s certificate was not found good, or there was none"
		case negated && known:
			return "the server’s certificate was found good, or there was none"
		case negated:
			return "no certificate of the server was found good"
		case yes:
			return "the server’s certificate was found good"
		}
		return "the server’s certificate was not found good"
	}
	switch {
	case negated && known && !yes:
		return "a client certificate was asked for, or there was no TLS"
	case negated:
		return "no client certificate was asked for"
	case yes:
		return "a client certificate was asked for"
	}
	return "the server asked for no client certificate"
}

func (a *atom) isWords(negated bool) string {
	if len(a.values) == 1 && !a.values[0].isGlob() {
		switch v := Fold(a.values[0].text); v {
		case "failed":
			return pickWords(negated != (a.op == opNotEqual), "it failed", "it did not fail")
		default:
			return pickWords(negated != (a.op == opNotEqual), "it is ", "it is not ") + stateWords(v)
		}
	}
	return pickWords(negated, "it is ", "it is not ") + said(a.values, func(v value) string {
		if v.isGlob() {
			return "like " + quoted(v.text)
		}
		return stateWords(Fold(v.text))
	})
}

func stateWords(s string) string {
	switch s {
	case "replay":
		return "a replay"
	case "websocket":
		return "a WebSocket"
	}
	return s
}

// errorWords: stages are named, anything else is text of the message.
func (a *atom) errorWords(negated bool) string {
	if a.op == opRegexp {
		return pickWords(negated, "the error matches /", "no error matches /") + a.values[0].text + "/"
	}
	test, _ := a.test.(differsTest)
	stages := true
	for _, v := range a.values {
		stages = stages && !v.quoted && a.field.isChoice(v.text)
	}
	rest := said(a.values, func(v value) string {
		if stages {
			return Fold(v.text)
		}
		return quoted(v.text)
	})
	verb := "says "
	switch {
	case stages:
		verb = "is of stage "
	case a.op != opNatural:
		verb = "is "
	}
	if test.same != nil { // != : there is one, and it is another
		return pickWords(negated, "the error "+strings.TrimSuffix(verb, " ")+" something other than "+rest, "there is no error, or it "+verb+rest)
	}
	return pickWords(negated, "the error "+verb+rest, "no error "+verb+rest)
}

// isChoice says whether a text is one of the known values.
func (f *field) isChoice(s string) bool {
	for _, c := range f.choices {
		if c == Fold(s) {
			return true
		}
	}
	return false
}
