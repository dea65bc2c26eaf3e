package wire

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Field is one header line.
type Field struct {
	// Name and Value are parts of the line; the white space around the value is not part of it.
	Name, Value string
	// Line is the line as received, without its line end (in a response, as mended: unfolded, without white space before
	// the colon). It is empty for a field that a program made: that is written as "Name: Value".
	Line string
}

// Valid says whether the field is one that every reader takes: its name is a token, its value has no control character
// but tabs. HTTP/2 has no others.
func (f Field) Valid() bool { return isToken(f.Name) && all(f.Value, valueChar) }

// Fields are header lines in the order of the wire.
type Fields []Field

// Get returns the first value of the named field, compared without case, or "".
func (f Fields) Get(name string) string {
	for i := range f {
		if len(f[i].Name) == len(name) && strings.EqualFold(f[i].Name, name) {
			return f[i].Value
		}
	}
	return ""
}

// Values returns all values of the named field, in order.
func (f Fields) Values(name string) []string {
	var vs []string
	for i := range f {
		if len(f[i].Name) == len(name) && strings.EqualFold(f[i].Name, name) {
			vs = append(vs, f[i].Value)
		}
	}
	return vs
}

// Has says whether the named field is there.
func (f Fields) Has(name string) bool {
	for i := range f {
		if len(f[i].Name) == len(name) && strings.EqualFold(f[i].Name, name) {
			return true
		}
	}
	return false
}

// HasToken says whether the comma-separated list in the named field's lines has token among its members, compared
// without case.
func (f Fields) HasToken(name, token string) bool {
	for i := range f {
		if len(f[i].Name) != len(name) || !strings.EqualFold(f[i].Name, name) {
			continue
		}
		for rest, more := f[i].Value, true; more; {
			var t string
			t, rest, more = strings.Cut(rest, ",")
			if strings.EqualFold(trim(t), token) {
				return true
			}
		}
	}
	return false
}

// Del returns the fields without the named one. f itself is left alone.
func (f Fields) Del(name string) Fields {
	if !f.Has(name) {
		return f
	}
	out := make(Fields, 0, len(f))
	for i := range f {
		if !strings.EqualFold(f[i].Name, name) {
			out = append(out, f[i])
		}
	}
	return out
}

// Set returns the fields with the named one having one value, in the place of its first line, else at the end. f itself
// is left alone; a line that has that value already stays as it is.
func (f Fields) Set(name, value string) Fields {
	out := make(Fields, 0, len(f)+1)
	done := false
	for i := range f {
		switch {
		case !strings.EqualFold(f[i].Name, name):
			out = append(out, f[i])
		case done:
		case f[i].Value == value:
			out, done = append(out, f[i]), true
		default:
			out, done = append(out, Field{Name: f[i].Name, Value: value}), true
		}
	}
	if !done {
		out = append(out, Field{Name: name, Value: value})
	}
	return out
}

// Clone returns a copy.
func (f Fields) Clone() Fields { return slices.Clone(f) }

// Map returns the fields as net/http has them: canonical keys, the values of each in order.
func (f Fields) Map() http.Header {
	m := make(http.Header, len(f))
	// One array for all values, as net/textproto has it: nearly every field has one.
	values := make([]string, len(f))
	for i := range f {
		key := textproto.CanonicalMIMEHeaderKey(f[i].Name)
		vs := m[key]
		if vs == nil {
			vs, values = values[:1:1], values[1:]
			vs[0] = f[i].Value
			m[key] = vs
		} else {
			m[key] = append(vs, f[i].Value)
		}
	}
	return m
}

// FromMap returns the fields of a map as net/http has them, sorted by name.
func FromMap(h http.Header) Fields {
	names := make([]string, 0, len(h))
	n := 0
	for name, vs := range h {
		names = append(names, name)
		n += len(vs)
	}
	slices.Sort(names)
	f := make(Fields, 0, n)
	for _, name := range names {
		for _, v := range h[name] {
			f = append(f, Field{Name: name, Value: v})
		}
	}
	return f
}
