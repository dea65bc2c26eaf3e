package filter

import "slices"

// Field tells of one field of the language what who writes a filter needs to know.
type Field struct {
	Name string `json:"name"`
	// About says in a line what it is.
	About string `json:"about"`
	// Kind is how it is compared: text, name, enum, number, status, duration, size, time, host, address, bool, header, body,
	// is or error.
	Kind string `json:"kind"`
	// Operators are those that it takes, ":" first.
	Operators []string `json:"operators"`
	// Choices are its values, where they are known beforehand.
	Choices []string `json:"choices"`
}

// kinds names the classes.
func (c class) kind() string {
	return [...]string{"text", "name", "enum", "number", "status", "duration", "size", "time", "host", "address", "bool", "header", "body", "is", "error"}[c]
}

// Fields lists the fields of the language.
func Fields() []Field {
	all := make([]Field, len(fields))
	for i := range fields {
		f := &fields[i]
		all[i] = Field{Name: f.name, About: f.about, Kind: f.class.kind(), Operators: f.operators(), Choices: slices.Clone(f.choices)}
		if f.class == classBool {
			all[i].Choices = []string{"yes", "no"}
		}
		if all[i].Choices == nil {
			all[i].Choices = []string{}
		}
	}
	return all
}

// operators lists the operators of a field, the natural one first.
func (f *field) operators() []string {
	out := []string{string(opNatural), string(opEqual), string(opNotEqual)}
	order := []op{opLess, opLessEqual, opGreater, opGreaterEqual}
	add := func(list ...op) {
		for _, o := range list {
			out = append(out, string(o))
		}
	}
	switch f.class {
	case classNumber, classStatus, classDuration, classSize, classTime:
		add(order...)
	case classHeader:
		add(order...)
		add(opRegexp)
	case classBool, classIs:
	default:
		if f.ordered {
			add(order...)
		}
		add(opRegexp)
	}
	add(opIn)
	return out
}
