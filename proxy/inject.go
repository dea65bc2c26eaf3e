package proxy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"eaves/capture"
)

var errNotOpen = errors.New("this conversation is no longer open")

// Injection is a message for an open WebSocket that neither of its sides says.
type Injection struct {
	// Direction is sent: to the origin as if the client said it; or received: to the client as if the origin did.
	Direction string
	// Kind is text, binary, ping or close.
	Kind string
	Data []byte
	// Code is the status code of a close, 0 for none; Data is then its reason.
	Code int
}

// Check says what in m no WebSocket can carry (RFC 6455).
func (m Injection) Check() error {
	switch {
	case m.Direction != "sent" && m.Direction != "received":
		return errors.New("a message is sent (to the origin) or received (by the client)")
	case m.Kind != "text" && m.Kind != "binary" && m.Kind != "ping" && m.Kind != "close":
		return errors.New("a message is text, binary, ping or close")
	case m.Kind == "text" && !utf8.Valid(m.Data):
		return errors.New("a text message is UTF-8 (RFC 6455, 5.6); send these bytes as binary")
	case m.Kind == "ping" && len(m.Data) > 125:
		return errors.New("a ping holds at most 125 bytes (RFC 6455, 5.5)")
	case m.Kind != "close" && m.Code != 0:
		return errors.New("only a close has a code")
	case m.Kind == "close" && (len(m.Data) > 123 || !utf8.Valid(m.Data)):
		return errors.New("a close's reason is UTF-8 of at most 123 bytes (RFC 6455, 5.5)")
	case m.Kind == "close" && m.Code == 0 && len(m.Data) > 0:
		return errors.New("a close that gives a reason gives a code, such as 1000")
	case m.Code != 0 && (m.Code < 1000 || m.Code > 4999 || m.Code == 1004 || m.Code == 1005 || m.Code == 1006 || m.Code == 1015):
		return fmt.Errorf("%d is no code that a close can carry (RFC 6455, 7.4)", m.Code)
	}
	return nil
}

// Inject puts a message into an open WebSocket. It is sent as soon as it can stand between what the side itself says, and
// recorded when it is. An error says why that cannot be.
func (p *Proxy) Inject(id int64, m Injection) error {
	if err := m.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	c := p.conversations[id]
	p.mu.Unlock()
	if c == nil {
		return errNotOpen
	}
	g := c.sent
	if m.Direction == "received" {
		g = c.received
	}
	said := capture.Message{Direction: m.Direction, Kind: m.Kind, Data: m.Data}
	if m.Kind == "close" && m.Code != 0 {
		said.Data = fmt.Appendf(nil, "%d %s", m.Code, m.Data)
	}
	return g.put(said)
}

// conversation is an open WebSocket: the ways into its two directions.
type conversation struct{ sent, received *gate }

// converse keeps a conversation where Inject finds it, until the returned function ends it.
func (p *Proxy) converse(id int64, c *conversation, agreed deflate) (end func()) {
	if agreed.other != "" {
		why := fmt.Errorf("both sides agreed on the extension %q, which eaves does not speak: it cannot say anything in their conversation", strings.ToValidUTF8(agreed.other, "?"))
		c.sent.refuse(why)
		c.received.refuse(why)
	}
	if id != 0 {
		p.mu.Lock()
		p.conversations[id] = c
		p.mu.Unlock()
	}
	return func() {
		p.mu.Lock()
		delete(p.conversations, id)
		p.mu.Unlock()
		c.sent.refuse(errNotOpen)
		c.received.refuse(errNotOpen)
	}
}
