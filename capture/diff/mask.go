package diff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mask is a kind of noise: what differs between any two exchanges without meaning anything.
type Mask struct {
	Name string `json:"name"`
	// Hides says in words what it takes for noise.
	Hides string `json:"hides"`

	re   *regexp.Regexp
	only func(string) bool // nil: whatever re finds
}

// Masks are all there are, in the order in which they are tried.
func Masks() []Mask { return slices.Clone(masks) }

var masks = []Mask{
	{Name: "dates", Hides: "dates, times of day, and seconds or milliseconds since 1970",
		re: regexp.MustCompile(`(?i)\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?\b|` +
			`\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*, \d\d[ -][a-z]{3}[ -]\d{2,4} \d\d:\d\d:\d\d(?: gmt)?\b|` +
			`\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b|\b1[3-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b`)},
	{Name: "ids", Hides: "UUIDs, ULIDs, hexadecimal ids, trace ids, and whole numbers of five digits and more",
		re:   regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-7][0-9a-hjkmnp-tv-z]{25}\b|\b[0-9a-f]{8,128}\b|\b\d{5,}\b`),
		only: func(s string) bool { return strings.ContainsAny(s, "0123456789") }},
	{Name: "tokens", Hides: "random text: JSON Web Tokens, and words of sixteen characters and more that mix letters and digits",
		re:   regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.[\w-]*|[A-Za-z0-9_~-]{16,}={0,2}|[A-Za-z0-9+/]{32,}={0,2}`),
		only: random},
	{Name: "numbers", Hides: "every number",
		re: regexp.MustCompile(`\d+(?:\.\d+)?`)},
}

// random says whether text looks as if it was drawn: digits among letters, or both cases mixed up.
func random(s string) bool {
	digits, upper, lower := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		}
	}
	return digits >= 2 && upper+lower >= 2 || upper >= 4 && lower >= 4 && digits >= 1
}

// ParseMasks reads names with commas between them; noise means all that are usually wanted.
func ParseMasks(names string) ([]Mask, error) {
	var out []Mask
	for _, name := range strings.Split(names, ",") {
		name = strings.TrimSpace(name)
		switch i := slices.IndexFunc(masks, func(m Mask) bool { return m.Name == name }); {
		case name == "":
		case name == "noise":
			out = append(out, masks[:3]...)
		case i >= 0:
			out = append(out, masks[i])
		default:
			return nil, fmt.Errorf("%q is no mask: there are dates, ids, tokens and numbers, and noise for the first three", name)
		}
	}
	return out, nil
}

// apply writes a sign in the place of each piece of noise.
func (m Mask) apply(s string) string {
	return m.re.ReplaceAllStringFunc(s, func(found string) string {
		if m.only != nil && !m.only(found) {
			return found
		}
		return "\x00" + m.Name + "\x00"
	})
}

// fold takes out of text what may be noise, roughly and fast: each run of word characters, dots, colons and dashes that is
// five long and has a digit. Elements and lines that are the same then are held against one another.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if !foldable(s[i]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		from, digit := i, false
		for ; i < len(s) && foldable(s[i]); i++ {
			digit = digit || s[i] >= '0' && s[i] <= '9'
		}
		if digit && i-from >= 5 {
			b.WriteByte('#')
		} else {
			b.WriteString(s[from:i])
		}
	}
	return b.String()
}

func foldable(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c == ':' || c == '_' || c == '+'
}

// explain names the masks under which a and b are the same; nil: they differ.
func explain(list []Mask, a, b string) []string {
	for _, m := range list {
		if m.apply(a) == m.apply(b) {
			return []string{m.Name}
		}
	}
	var names []string
	for _, m := range list {
		ma, mb := m.apply(a), m.apply(b)
		if ma != a || mb != b {
			names = append(names, m.Name)
		}
		a, b = ma, mb
	}
	if a == b && len(names) > 0 {
		return names
	}
	return nil
}
