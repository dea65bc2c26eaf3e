package upstream

import (
	"io"

	"eaves/proxy/wire"
)

// Call is one request. It is used once.
type Call struct {
	// Scheme (http or https), Host (lower case, without brackets) and Port say where to connect.
	Scheme, Host string
	Port         int
	// ServerName is the name sent as SNI and verified; "" means Host.
	ServerName string
	// Method and Target are written as they are; Target is in origin form or "*". Authority is the Host field's value or
	// :authority; "" means Host and Port.
	Method, Target, Authority string
	// Fields are the header lines in order, Host among them where there is one. Fields of the hop before have been
	// removed; fields about the framing follow Framing.
	Fields wire.Fields
	// Framing is how the client framed Body. Body may have a method Buffered() int that says how much of it can be read
	// without waiting.
	Framing wire.Framing
	Body    io.Reader
	// Trailer gives the trailer fields, once Body has ended. May be nil.
	Trailer func() wire.Fields
	// HTTP2 says that the client speaks HTTP/2: it is then offered to the origin too.
	HTTP2 bool
	// Upgrade, where not empty, asks for an upgrade to that protocol, on HTTP/1.1.
	Upgrade string
	// Informational takes answers before the final one (1xx, but 101) as they arrive. An error ends the call. May be nil.
	Informational func(status int, reason string, fields wire.Fields) error
	// Receipt is filled while it happens. May be nil.
	Receipt *Receipt
	// Choice is what this call does otherwise than the configuration says.
	Choice Choice

	sent chan struct{}
	// toProxy are fields that are for a parent proxy alone.
	toProxy wire.Fields
}

// Choice is what one call does otherwise than the configuration says: a replay with another identity, say.
type Choice struct {
	// Identities, where not nil, are shown in place of those configured for the host; an empty list: none is.
	Identities []Identity
	// Insecure, where not nil, turns verification of the origin off or on.
	Insecure *bool
	// Route, where not nil, is the way to the origin.
	Route *Route
}

// nobody is closed: there is no body to wait for.
var nobody = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Sent is closed once Body is not read any more. It is to be asked for after Do has returned.
func (c *Call) Sent() <-chan struct{} {
	if c.sent == nil {
		return nobody
	}
	return c.sent
}

// body says whether a body is to be sent.
func (c *Call) hasBody() bool {
	return c.Body != nil && c.Framing.Kind != wire.None && !(c.Framing.Kind == wire.Length && c.Framing.Length == 0)
}

// atHand says whether the whole body can be sent without waiting for the client.
func (c *Call) atHand() bool {
	const little = 16 << 10
	if c.Framing.Kind != wire.Length || c.Framing.Length > little {
		return false
	}
	b, ok := c.Body.(interface{ Buffered() int })
	return ok && int64(b.Buffered()) >= c.Framing.Length
}

// idempotent says whether sending the request twice is as good as sending it once (RFC 9110, 9.2.2).
func (c *Call) idempotent() bool {
	switch c.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// Response is the answer to a Call.
type Response struct {
	Proto        string
	Major, Minor int
	Status       int
	Reason       string
	Fields       wire.Fields
	HeadSize     int
	Framing      wire.Framing
	Body         io.ReadCloser
	// Trailer gives the trailer fields, once Body has ended.
	Trailer func() wire.Fields
	// Conn is the connection after 101, bytes that came behind the head included.
	Conn Duplex
	// Notes say what was not as it should be.
	Notes []string
}

// Duplex is a connection whose two directions can be ended one by one.
type Duplex interface {
	io.ReadWriteCloser
	CloseWrite() error
}
