package wire

// Limits bound what is read. A zero value stands for its default.
type Limits struct {
	// Line bounds one line, in bytes: the request line, a field. Default 256 KiB.
	Line int
	// Head bounds a whole head, or trailer section, in bytes. Default 1 MiB.
	Head int
	// Fields bounds the number of fields of a head or trailer section. Default 1000.
	Fields int
}

func (l Limits) orDefaults() Limits {
	if l.Line <= 0 {
		l.Line = 256 << 10
	}
	if l.Head <= 0 {
		l.Head = 1 << 20
	}
	if l.Fields <= 0 {
		l.Fields = 1000
	}
	return l
}
