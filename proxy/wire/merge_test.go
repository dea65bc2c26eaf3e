package wire

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// lines makes fields of lines, as they are read.
func lines(s ...string) (f Fields) {
	for _, line := range s {
		name, value, _ := strings.Cut(line, ":")
		f = append(f, Field{Name: name, Value: trim(value), Line: line})
	}
	return f
}

// written says what is written of fields; a field without its line is marked.
func written(f Fields) (out []string) {
	for _, one := range f {
		if one.Line != "" {
			out = append(out, one.Line)
		} else {
			out = append(out, one.Name+": "+one.Value+" (new)")
		}
	}
	return out
}

func wantFields(t *testing.T, name string, got Fields, want ...string) {
	t.Helper()
	if w := written(got); !reflect.DeepEqual(w, want) {
		t.Errorf("%s: got %q, want %q", name, w, want)
	}
}

func TestMerge(t *testing.T) {
	wire := lines("hOST:a.test", "X-A:  1", "x-a: 2 ", "Cookie: c", "X-B: 3")
	for _, c := range []struct {
		name string
		edit func(http.Header)
		want []string
	}{
		{"nothing", func(h http.Header) {}, written(wire)},
		{"removed", func(h http.Header) { h.Del("x-a") }, []string{"hOST:a.test", "Cookie: c", "X-B: 3"}},
		{"set to nil", func(h http.Header) { h["X-A"] = nil }, []string{"hOST:a.test", "Cookie: c", "X-B: 3"}},
		{"changed", func(h http.Header) { h.Set("Cookie", "d") }, []string{"hOST:a.test", "X-A:  1", "x-a: 2 ", "Cookie: d (new)", "X-B: 3"}},
		{"second of two changed", func(h http.Header) { h["X-A"][1] = "4" }, []string{"hOST:a.test", "X-A:  1", "x-a: 4 (new)", "Cookie: c", "X-B: 3"}},
		{"one of two left", func(h http.Header) { h["X-A"] = []string{"1"} }, []string{"hOST:a.test", "X-A:  1", "Cookie: c", "X-B: 3"}},
		{"one more", func(h http.Header) { h.Add("X-A", "5"); h.Add("X-A", "6") },
			[]string{"hOST:a.test", "X-A:  1", "x-a: 2 ", "x-a: 5 (new)", "x-a: 6 (new)", "Cookie: c", "X-B: 3"}},
		{"added", func(h http.Header) { h["Z"] = []string{"1", "2"}; h["Y"] = []string{"3"} }, append(written(wire), "Y: 3 (new)", "Z: 1 (new)", "Z: 2 (new)")},
		{"added in odd case", func(h http.Header) { h["y-z"] = []string{"3"} }, append(written(wire), "y-z: 3 (new)")},
		{"changed in odd case", func(h http.Header) { delete(h, "Cookie"); h["cookie"] = []string{"e"} },
			[]string{"hOST:a.test", "X-A:  1", "x-a: 2 ", "Cookie: e (new)", "X-B: 3"}},
		{"emptied", func(h http.Header) { clear(h) }, nil},
	} {
		before, after := wire.Map(), wire.Map()
		c.edit(after)
		wantFields(t, c.name, Merge(wire, before, after), c.want...)
		wantFields(t, c.name+", without before", Merge(wire, nil, after), c.want...)
	}
}

// Names that hooks were never shown (net/http keeps Host and Transfer-Encoding out of the map) are left alone, and names
// that they were shown, but that were not on the wire, are not added.
func TestMergeLeavesAloneWhatHooksWereNotShown(t *testing.T) {
	wire := lines("Host: a.test", "X: y")
	before, after := http.Header{"X": {"y"}, "User-Agent": nil, "Made": {"up"}}, http.Header{"X": {"z"}, "User-Agent": nil, "Made": {"up"}}
	wantFields(t, "merged", Merge(wire, before, after), "Host: a.test", "X: z (new)")
}

func TestMergeKeepsItsInput(t *testing.T) {
	wire := lines("A: 1", "B: 2")
	Merge(wire, nil, http.Header{"A": {"3"}})
	wantFields(t, "wire", wire, "A: 1", "B: 2")
}

func TestFields(t *testing.T) {
	f := lines("A: 1", "b: x, Y ,,z", "a: 2", "C:")
	if f.Get("a") != "1" || f.Get("none") != "" || f.Get("C") != "" || !f.Has("c") || f.Has("d") || !reflect.DeepEqual(f.Values("A"), []string{"1", "2"}) {
		t.Error("lookup is wrong")
	}
	for token, want := range map[string]bool{"x": true, "y": true, "Z": true, "xy": false} {
		if f.HasToken("B", token) != want {
			t.Errorf("token %q", token)
		}
	}
	wantFields(t, "Del", f.Del("A"), "b: x, Y ,,z", "C:")
	wantFields(t, "Del of nothing", f.Del("none"), written(f)...)
	wantFields(t, "Set", f.Set("A", "3"), "A: 3 (new)", "b: x, Y ,,z", "C:")
	wantFields(t, "Set the same", f.Set("A", "1"), "A: 1", "b: x, Y ,,z", "C:")
	wantFields(t, "Set further", f.Set("D", "1"), append(written(f), "D: 1 (new)")...)
	wantFields(t, "f itself", f, "A: 1", "b: x, Y ,,z", "a: 2", "C:")
	for one, want := range map[Field]bool{{Name: "A"}: true, {Name: "a-!", Value: "b\t\xff"}: true, {Name: "", Value: "b"}: false, {Name: "A[", Value: "b"}: false, {Name: "A", Value: "\x01"}: false} {
		if one.Valid() != want {
			t.Errorf("%q: valid %v", one, !want)
		}
	}
	m := f.Map()
	if want := (http.Header{"A": {"1", "2"}, "B": {"x, Y ,,z"}, "C": {""}}); !reflect.DeepEqual(m, want) {
		t.Errorf("map %q", m)
	}
	// The values share one array: growing one must not reach into the next.
	m.Add("B", "more")
	if m.Get("C") != "" || m["A"][1] != "2" {
		t.Errorf("map %q", m)
	}
	wantFields(t, "FromMap", FromMap(http.Header{"B": {"1", "2"}, "A": {"3"}}), "A: 3 (new)", "B: 1 (new)", "B: 2 (new)")
}

// TestMergeSeesOneLineForTwo: the quick comparison must not take a line that is there twice for two names.
func TestMergeSeesOneLineForTwo(t *testing.T) {
	lines := Fields{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "1"}}
	got := Merge(lines, nil, http.Header{"X-A": {"1"}, "X-B": {"2"}})
	want := Fields{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Merge(lines, nil, http.Header{"X-A": {"1", "1"}}); !reflect.DeepEqual(got, lines) {
		t.Errorf("got %v, want %v", got, lines)
	}
	if got := Merge(lines, nil, http.Header{"X-A": {"1", "2"}}); got[1].Value != "2" {
		t.Errorf("got %v", got)
	}
}

// A head has up to 10,000 fields, by the default limits: none of them costs a look at all others.
func BenchmarkMergeUnchanged(b *testing.B) {
	for _, n := range []int{20, 10_000} {
		lines := make(Fields, n)
		for i := range lines {
			lines[i] = Field{Name: fmt.Sprintf("X-Name-Of-A-Field-%05d", i), Value: "1"}
		}
		same := lines.Map()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if len(Merge(lines, nil, same)) != n {
					b.Fatal("lines are gone")
				}
			}
		})
	}
}

func TestMergeOfManyLines(t *testing.T) {
	lines := make(Fields, 2*quickLines)
	for i := range lines {
		lines[i] = Field{Name: fmt.Sprintf("x-%d", i/2), Value: fmt.Sprint(i)}
	}
	h := lines.Map()
	if got := Merge(lines, nil, h); !reflect.DeepEqual(got, lines) {
		t.Errorf("unchanged, they are %v", got)
	}
	h["X-7"] = []string{"other"}
	if got := Merge(lines, nil, h); len(got) != len(lines)-1 || got.Get("X-7") != "other" || got[14].Name != "x-7" {
		t.Errorf("changed, they are %v", got)
	}
}
