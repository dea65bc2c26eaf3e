package diff

import (
	"strings"
	"testing"
)

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
		{`[1,2,3]`, `[0,1,2,3]`, "body[0] - 0"},
		{`[{"id":1,"x":"a"},{"id":2}]`, `[{"id":1,"x":"b"},{"id":2}]`, `body[0].x "a" "b"`},
		{`{"a":"<&>"}`, `{"a":"<&"}`, `body.a "<&>" "<&"`},
		{`{"a":null}`, `{}`, "body.a null -"},
		{`[1]`, `{"0":1}`, `body [1] {"0":1}`},
		{`{"n":12345678901234567890}`, `{"n":12345678901234567891}`, "body.n 12345678901234567890 12345678901234567891"},
	} {
		cmp := &comparer{}
		cmp.json("body", parse(c.a), parse(c.b))
		var got []string
		for _, d := range cmp.out.Differences {
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
