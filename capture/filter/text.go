package filter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold brings text to the form in which it is compared: each letter in lower case. A letter beyond ASCII stays beyond it
// (the Kelvin sign is no k), so that SQLite's own comparisons, which know ASCII only, agree wherever one side is ASCII.
func Fold(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	return strings.Map(foldRune, s)
}

func foldRune(r rune) rune {
	low := unicode.ToLower(r)
	if low < utf8.RuneSelf && r >= utf8.RuneSelf {
		return r
	}
	return low
}

// Contains says whether s contains needle, compared as filters compare.
func Contains(s, needle string) bool { return strings.Contains(Fold(s), Fold(needle)) }

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// mode is how a text is compared. Its values are an argument of the SQL functions.
type mode string

const (
	modePresent  mode = ""
	modeEqual    mode = "="
	modeContains mode = ":"
	modeGlob     mode = "*"
	modeRegexp   mode = "~"
	// The others are an operator for the order of letters, or "n" and an operator for the order of numbers.
)

// A textMatch compares text with an operand.
type textMatch struct {
	mode    mode
	operand string // folded; a pattern for modeRegexp
	pieces  []string
	re      *regexp.Regexp
	number  float64
}

func newTextMatch(m mode, operand string) (textMatch, error) {
	t := textMatch{mode: m, operand: operand}
	switch {
	case m == modeRegexp:
		re, err := regexp.Compile(operand)
		if err != nil {
			return t, err
		}
		t.re = re
		return t, nil
	case strings.HasPrefix(string(m), "n"):
		n, err := strconv.ParseFloat(operand, 64)
		if err != nil {
			return t, fmt.Errorf("%q is not a number", operand)
		}
		t.number = n
		return t, nil
	}
	t.operand = Fold(operand)
	if m == modeGlob {
		t.pieces = strings.Split(t.operand, "*")
	}
	return t, nil
}

// insensitive is the pattern that a regexp of the language stands for.
func insensitive(pattern string) string { return "(?i)" + pattern }

func (t textMatch) match(s string) bool {
	switch t.mode {
	case modePresent:
		return true
	case modeRegexp:
		return t.re.MatchString(s)
	case modeEqual:
		return Fold(s) == t.operand
	case modeContains:
		return strings.Contains(Fold(s), t.operand)
	case modeGlob:
		return globMatch(t.pieces, Fold(s))
	}
	op, numeric := strings.CutPrefix(string(t.mode), "n")
	var order int
	if numeric {
		n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return false
		}
		switch {
		case n < t.number:
			order = -1
		case n > t.number:
			order = 1
		}
	} else {
		order = strings.Compare(Fold(s), t.operand)
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return false
}

// globMatch matches what a pattern has between its stars; it takes time linear in s for each piece.
func globMatch(pieces []string, s string) bool {
	last := len(pieces) - 1
	if last == 0 {
		return s == pieces[0]
	}
	s, ok := strings.CutPrefix(s, pieces[0])
	if !ok {
		return false
	}
	for _, piece := range pieces[1:last] {
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s = s[i+len(piece):]
	}
	return strings.HasSuffix(s, pieces[last])
}

// Beyond these LIKE could take long, or be refused by SQLite.
const (
	maxLikeStars = 4
	maxLikeBytes = 1000
)

// sql compares a column of text.
func (t textMatch) sql(b *builder, column string) string {
	if ascii(t.operand) && len(t.operand) <= maxLikeBytes {
		switch {
		case t.mode == modeEqual:
			return column + " = " + b.arg(t.operand) + " COLLATE NOCASE"
		case t.mode == modeContains:
			return column + " LIKE " + b.arg("%"+likeEscape(t.operand)+"%") + ` ESCAPE '\'`
		case t.mode == modeGlob && len(t.pieces) <= maxLikeStars+1:
			pieces := make([]string, len(t.pieces))
			for i, piece := range t.pieces {
				pieces[i] = likeEscape(piece)
			}
			return column + " LIKE " + b.arg(strings.Join(pieces, "%")) + ` ESCAPE '\'`
		}
	}
	before := ""
	if run := t.asciiRun(); run != "" {
		// The function costs far more than LIKE, which knows ASCII only.
		before = column + " LIKE " + b.arg("%"+likeEscape(run)+"%") + ` ESCAPE '\' AND `
	}
	return "(" + before + "eaves_text(" + column + ", " + b.arg(string(t.mode)) + ", " + b.arg(t.operand) + "))"
}

// asciiRun is the longest piece of ASCII that text has to contain in order to match, "" where there is none worth
// looking for.
func (t textMatch) asciiRun() string {
	if t.mode != modeEqual && t.mode != modeContains && t.mode != modeGlob {
		return ""
	}
	longest := ""
	for _, run := range strings.FieldsFunc(t.operand, func(r rune) bool { return r >= utf8.RuneSelf || t.mode == modeGlob && r == '*' }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	if len(longest) < 2 {
		return ""
	}
	return longest[:min(len(longest), maxLikeBytes)]
}

func likeEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// latin1 reads bytes that are not UTF-8 as ISO-8859-1 (RFC 9110, 5.5).
func latin1(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
