package diff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What is captured may be made to be hard to compare: names are told in part, structure is looked into so deep.
func TestCompareJSONMadeToBeHard(t *testing.T) {
	compare := func(ctx context.Context, a, b string) (Result, error) {
		return Compare(ctx, sample(1, ""), sample(2, ""), kept{"1 response": a, "2 response": b}, nil)
	}
	members := func(value string) string {
		var s strings.Builder
		for i := range 6000 {
			fmt.Fprintf(&s, `"%d":%s,`, i, value)
		}
		return `{"` + strings.Repeat("é", 1<<20) + `":{` + s.String() + `"":0}}`
	}
	r, err := compare(t.Context(), members("1"), members("2"))
	if err != nil || len(r.Differences)+r.More < 6000 {
		t.Fatalf("%v, %d differences", err, len(r.Differences)+r.More)
	}
	for _, d := range r.Differences {
		if len(d.Where) > maxWhere+len("…") {
			t.Fatalf("a place is named in %d bytes", len(d.Where))
		}
	}
	nested := func(value string) string {
		return strings.Repeat("[0,", 9000) + `"` + strings.Repeat("x", 1<<21) + value + `"` + strings.Repeat("]", 9000)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if r, err = compare(ctx, nested("a"), nested("b")); err != nil || r.Same || len(r.Differences) < 1 {
		t.Errorf("%v, %d differences", err, len(r.Differences))
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err = compare(ctx, `[1]`, `[2]`); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it any more: %v", err)
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
		{`[1,2,3]`, `[0,1,2,3]`, "body[0] - 0"},
		{`[{"id":1,"x":"a"},{"id":2}]`, `[{"id":1,"x":"b"},{"id":2}]`, `body[0].x "a" "b"`},
		{`{"a":"<&>"}`, `{"a":"<&"}`, `body.a "<&>" "<&"`},
		{`{"a":null}`, `{}`, "body.a null -"},
		{`[1]`, `{"0":1}`, `body [1] {"0":1}`},
		{`{"n":12345678901234567890}`, `{"n":12345678901234567891}`, "body.n 12345678901234567890 12345678901234567891"},
	} {
		cmp := &comparer{ctx: t.Context(), sums: newSums(false)}
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
