package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"eaves/capture"
)

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain é ☂":           "plain é ☂",
		"\x1b[2Jgone":         "\uFFFD[2Jgone",
		"a\r\nb\tc\x00":       "a\uFFFD\uFFFDb\uFFFDc\uFFFD",
		"\u202egnp.exe":       "\uFFFDgnp.exe",
		"line\u2028break":     "line\uFFFDbreak",
		"\x9b31m":             "\uFFFD31m",
		"zero\u200bwidth":     "zero\uFFFDwidth",
		"bad utf-8 \xff here": "bad utf-8 \uFFFD here",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got, want := harmlessText("a\tb\r\n\x1b[1mc\n"), "a\tb\n\uFFFD[1mc\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChangedHeader(t *testing.T) {
	h := capture.Header{{Name: "Host", Value: "a"}, {Name: "X", Value: "1"}, {Name: "Accept", Value: "*/*"}, {Name: "x", Value: "2"}}
	for _, c := range []struct {
		set, want capture.Header
	}{
		{nil, h},
		{capture.Header{{Name: "X", Value: "9"}}, capture.Header{{Name: "Host", Value: "a"}, {Name: "X", Value: "9"}, {Name: "Accept", Value: "*/*"}}},
		{capture.Header{{Name: "x", Value: ""}}, capture.Header{{Name: "Host", Value: "a"}, {Name: "Accept", Value: "*/*"}}},
		{capture.Header{{Name: "New", Value: "n"}}, append(append(capture.Header{}, h...), capture.Field{Name: "New", Value: "n"})},
		// Twice in one command: both are meant.
		{capture.Header{{Name: "N", Value: "1"}, {Name: "n", Value: "2"}}, append(append(capture.Header{}, h...), capture.Field{Name: "N", Value: "1"}, capture.Field{Name: "n", Value: "2"})},
	} {
		before := fmt.Sprint(h)
		if got := changedHeader(h, c.set); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.set, got, c.want)
		}
		if fmt.Sprint(h) != before {
			t.Fatal("the captured header was changed")
		}
	}
}

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

func TestLinesGiveUpOnWhatIsTooFarApart(t *testing.T) {
	var a, b []string
	for i := range 3 * maxEdits {
		a, b = append(a, fmt.Sprint("a", i)), append(b, fmt.Sprint("b", i))
	}
	c := &comparer{}
	c.lines("body", a, b)
	if len(c.found) < len(a) || !differ(c.found) {
		t.Errorf("%d differences", len(c.found))
	}
}

func TestCompareJSON(t *testing.T) {
	parse := func(s string) any {
		v, ok := parseJSON([]byte(s))
		if !ok {
			t.Fatalf("%s is no JSON", s)
		}
		return v
	}
	for _, c := range []struct{ a, b, want string }{
		{`{"a":1,"b":2}`, `{"b":2, "a":1}`, ""},
		{`{"a":1}`, `{"a":2}`, "body.a 1 2"},
		{`{"a":1}`, `{"a":"1"}`, `body.a 1 "1"`},
		{`{"a":{"b":[1,2,3]}}`, `{"a":{"b":[1,5]}}`, "body.a.b[1] 2 5; body.a.b[2] 3 -"},
		{`{"a":null}`, `{}`, "body.a null -"},
		{`[1]`, `{"0":1}`, `body [1] {"0":1}`},
		{`{"n":12345678901234567890}`, `{"n":12345678901234567891}`, "body.n 12345678901234567890 12345678901234567891"},
	} {
		cmp := &comparer{}
		cmp.json("body", parse(c.a), parse(c.b))
		var got []string
		for _, d := range cmp.found {
			side := func(s *string) string {
				if s == nil {
					return "-"
				}
				return *s
			}
			got = append(got, d.Where+" "+side(d.A)+" "+side(d.B))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.a, c.b, strings.Join(got, "; "), c.want)
		}
	}
	for _, s := range []string{"", "text", "5", "{", `{"a":1} {"b":2}`} {
		if _, ok := parseJSON([]byte(s)); ok {
			t.Errorf("%q is compared as JSON", s)
		}
	}
}

func TestRow(t *testing.T) {
	cols, err := pickColumns("id, status,PATH")
	if err != nil {
		t.Fatal(err)
	}
	x := &capture.Exchange{ID: 7, Request: capture.Request{URL: "http://a.test/b?c=d"}, Response: &capture.Response{Status: 200}}
	if got, want := row(cols, 0, func(c column) string { return c.text(x) }), "     7  200     /b?c=d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := row(cols, 12, func(c column) string { return c.text(x) }), "     7  200…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range columns() {
		_ = c.text(&capture.Exchange{}) // an empty exchange breaks none
	}
	if _, err := pickColumns("id,nosuch"); err == nil {
		t.Error("an unknown column is taken")
	}
}
