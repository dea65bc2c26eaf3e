package wire

import (
	"net/http"
	"net/textproto"
	"slices"
)

// Merge brings edits of a map back to the lines it was made from. before is the map as hooks were given it, after as they
// left it; names that have the same values in both (or are in neither) keep their lines. Of a name that changed, the
// lines are replaced where they stand, one by one: a value that stayed keeps its line, further values follow the last
// line, lines too many go. Names that are in after alone are appended, sorted. With before nil, after is compared with
// wire's own values. Keys are compared without case.
func Merge(wire Fields, before, after http.Header) Fields {
	if before != nil && sameHeader(before, after) || before == nil && same(wire, after) {
		return wire
	}
	m := merger{before: canonical(before), after: canonical(after)}
	if before == nil {
		m.before = wire.Map()
	}
	out := make(Fields, 0, len(wire)+4)
	// used counts, for each changed name, the lines that have been passed.
	used := map[string]int{}
	for i := range wire {
		key := textproto.CanonicalMIMEHeaderKey(wire[i].Name)
		if !m.changed(key) {
			out = append(out, wire[i])
			continue
		}
		now := m.after[key]
		n := used[key]
		used[key]++
		if n < len(now) {
			out = append(out, withValue(wire[i], now[n]))
		}
		if n+1 < len(now) && !wire[i+1:].Has(key) {
			for _, v := range now[n+1:] {
				out = append(out, Field{Name: wire[i].Name, Value: v})
			}
		}
	}
	var added []string
	for name := range after {
		if key := textproto.CanonicalMIMEHeaderKey(name); m.changed(key) && used[key] == 0 {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	for _, name := range added {
		for _, v := range after[name] {
			out = append(out, Field{Name: name, Value: v})
		}
	}
	return out
}

// quickLines is up to how many lines it is worth to look at all of them for each.
const quickLines = 100

// same says whether a map has just these few lines' values: nearly always it has, and then nothing needs to be built.
func same(f Fields, h http.Header) bool {
	if len(f) > quickLines {
		return false
	}
	lines, names := 0, 0
	for i := range f {
		vs := h[textproto.CanonicalMIMEHeaderKey(f[i].Name)]
		k := 0 // lines of that name before this one
		for j := range i {
			if len(f[j].Name) == len(f[i].Name) && equalFold(f[j].Name, f[i].Name) {
				k++
			}
		}
		if k >= len(vs) || vs[k] != f[i].Value {
			return false
		}
		if k == 0 {
			names++
			lines += len(vs)
		}
	}
	return lines == len(f) && names == len(h)
}

type merger struct{ before, after http.Header }

func (m merger) changed(key string) bool { return !slices.Equal(m.before[key], m.after[key]) }

// withValue returns f with that value; with its line, if it had it already.
func withValue(f Field, value string) Field {
	if f.Value == value {
		return f
	}
	return Field{Name: f.Name, Value: value}
}

func sameHeader(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name, vs := range a {
		if other, ok := b[name]; !ok || !slices.Equal(vs, other) {
			return false
		}
	}
	return true
}

// canonical returns h with canonical keys: h itself, where it has no others.
func canonical(h http.Header) http.Header {
	odd := false
	for name := range h {
		if textproto.CanonicalMIMEHeaderKey(name) != name {
			odd = true
			break
		}
	}
	if !odd {
		return h
	}
	out := make(http.Header, len(h))
	for _, f := range FromMap(h) {
		out.Add(f.Name, f.Value)
	}
	return out
}
