package upstream

import (
	"strconv"

	"eaves/proxy/wire"
)

// headSize is how many bytes the head has on the wire.
func headSize(call *Call, fields wire.Fields) int {
	n := len(call.Method) + 1 + len(call.Target) + len(" HTTP/1.1\r\n\r\n")
	for i := range fields {
		if fields[i].Line != "" {
			n += len(fields[i].Line) + 2
		} else {
			n += len(fields[i].Name) + 2 + len(fields[i].Value) + 2
		}
	}
	return n
}

// h1Fields are the call's fields with what HTTP/1.1 needs.
func (c *Call) h1Fields() wire.Fields {
	fr := c.Framing
	if c.Body == nil && fr.Kind == wire.Chunked {
		fr = wire.Framing{}
	}
	host, connection, upgrade, fits := false, false, false, true
	lengths, encodings := 0, 0
	for i := range c.Fields {
		f := &c.Fields[i]
		switch len(f.Name) {
		case 4:
			host = host || equal(f.Name, "host")
		case 7:
			upgrade = upgrade || equal(f.Name, "upgrade")
		case 10:
			connection = connection || equal(f.Name, "connection")
		case 14:
			if equal(f.Name, "content-length") {
				lengths++
				n, err := strconv.ParseInt(f.Value, 10, 64)
				fits = fits && err == nil && fr.Kind == wire.Length && n == fr.Length
			}
		case 17:
			if equal(f.Name, "transfer-encoding") {
				encodings++
				fits = fits && fr.Kind == wire.Chunked && equal(f.Value, "chunked")
			}
		}
	}
	switch fr.Kind {
	case wire.Length:
		fits = fits && lengths == 1
	case wire.Chunked:
		fits = fits && encodings == 1
	}
	addUpgrade := c.Upgrade != "" && !(connection && upgrade)
	if fits && host && !addUpgrade {
		return c.Fields
	}
	f := c.Fields
	if !host {
		f = append(wire.Fields{{Name: "Host", Value: c.authority()}}, f...)
	}
	if !fits {
		f = wire.NormaliseRequest(f, fr, "", wire.KeepTrailers|wire.KeepUpgrade)
	}
	if addUpgrade {
		f = append(f.Del("Connection").Del("Upgrade").Clone(), wire.Field{Name: "Connection", Value: "Upgrade"}, wire.Field{Name: "Upgrade", Value: c.Upgrade})
	}
	return f
}

// authority is the Host of a request that came without one.
func (c *Call) authority() string {
	if c.Authority != "" {
		return c.Authority
	}
	return c.hostPort()
}

// hostPort is host and port, the port only where it is not the scheme's.
func (c *Call) hostPort() string {
	if c.Scheme == "http" && c.Port == 80 || c.Scheme == "https" && c.Port == 443 {
		hostname := joinHostPort(c.Host, 0)
		return hostname[:len(hostname)-len(":0")]
	}
	return joinHostPort(c.Host, c.Port)
}

// equal compares a name with a lower-case one.
func equal(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
