package hop

import (
	"context"
	"encoding/base64"
)

// Tickets makes the first token of a Negotiate handshake (RFC 4559), by Kerberos.
type Tickets interface {
	// Token makes one for a service such as HTTP/proxy.corp.test. password may be "" where there is none. An error says
	// what is wrong in words that users understand.
	Token(ctx context.Context, c *Credentials, password, service string) ([]byte, error)
	// Refused says that a service did not take a token: what it was made from is not to be used again.
	Refused(c *Credentials, service string)
}

// negotiate is RFC 4559 with Kerberos: one token, on one connection.
type negotiate struct {
	service string
	done    bool
}

func (*negotiate) bound() bool { return true }

func (n *negotiate) answer(ctx context.Context, _ *Challenge, a *Auth, _ request) (string, error) {
	if n.done {
		a.dialer.cfg.Tickets.Refused(a.hop.Credentials, n.service)
		return "", errRefused
	}
	n.done = true
	password := ""
	if a.hop.Credentials.Password != nil {
		var err error
		if password, err = a.password(ctx); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.dialer.cfg.Timeout)
	defer cancel()
	token, err := a.dialer.cfg.Tickets.Token(ctx, a.hop.Credentials, password, n.service)
	if err != nil {
		return "", err
	}
	return "Negotiate " + base64.StdEncoding.EncodeToString(token), nil
}
