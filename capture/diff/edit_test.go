package diff

import (
	"strings"
	"testing"
)

// apply makes b of a by the steps of an edit.
func apply(steps []byte, a, b []string) []string {
	var out []string
	i, j := 0, 0
	for _, s := range steps {
		switch s {
		case '=':
			out = append(out, a[i])
			i, j = i+1, j+1
		case '-':
			i++
		case '+':
			out = append(out, b[j])
			j++
		}
	}
	if i != len(a) || j != len(b) {
		return nil
	}
	return out
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "")
}

func TestShortestEdit(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		edits int
	}{
		{"", "", 0}, {"a", "a", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abcabba", "cbabac", 5}, {"abc", "xyz", 6}, {"ab", "ba", 2}, {"kitten", "sitting", 5},
	} {
		a, b := split(c.a), split(c.b)
		steps, ok := shortestEdit(a, b)
		if !ok {
			t.Fatalf("%s, %s: gave up", c.a, c.b)
		}
		if got := apply(steps, a, b); strings.Join(got, "") != c.b {
			t.Errorf("%s, %s: %s makes %v", c.a, c.b, steps, got)
		}
		if got := len(steps) - strings.Count(string(steps), "="); got != c.edits {
			t.Errorf("%s, %s: %s are %d edits, want %d", c.a, c.b, steps, got, c.edits)
		}
	}
}

func FuzzShortestEdit(f *testing.F) {
	f.Add("abcabba", "cbabac")
	f.Fuzz(func(t *testing.T, x, y string) {
		a, b := split(x), split(y)
		steps, ok := shortestEdit(a, b)
		if !ok {
			return
		}
		if got := apply(steps, a, b); strings.Join(got, "\x00") != strings.Join(b, "\x00") {
			t.Fatalf("%q, %q: %s makes %q", x, y, steps, got)
		}
	})
}

func TestPairs(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"", "", ""}, {"abc", "abc", "aa bb cc"}, {"abc", "axc", "aa bx cc"}, {"abc", "zabc", "-z aa bb cc"}, {"abc", "bc", "a- bb cc"}, {"ab", "xyz", "ax by -z"},
	} {
		a, b := split(c.a), split(c.b)
		var got []string
		pairs(edit(a, b), func(i, j int) {
			side := func(list []string, i int) string {
				if i < 0 {
					return "-"
				}
				return list[i]
			}
			got = append(got, side(a, i)+side(b, j))
		})
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q, %q: %q, want %q", c.a, c.b, strings.Join(got, " "), c.want)
		}
	}
}
