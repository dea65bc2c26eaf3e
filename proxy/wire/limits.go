package wire

// Limits bound what is read. A zero value stands for its default, which is more than servers commonly take: what two
// sides agree on should not fail between them.
type Limits struct {
	// Line bounds one line, in bytes: the request line, a field. Default 1 MiB.
	Line int
	// Head bounds a whole head, or trailer section, in bytes. Default 2 MiB.
	Head int
	// Fields bounds the number of fields of a head or trailer section. Default 10,000.
	Fields int
}

func (l Limits) orDefaults() Limits {
	if l.Line <= 0 {
		l.Line = 1 << 20
	}
	if l.Head <= 0 {
		l.Head = 2 << 20
	}
	if l.Fields <= 0 {
		l.Fields = 10_000
	}
	return l
}
