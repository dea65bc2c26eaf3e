// Package hop makes connections through parent proxies: one after the other, each with its own protocol, TLS and
// authentication.
//
// # Guarantees
//
// A connection that is handed back leads to its target through every proxy of the chain, in order, and has lost no byte
// that came behind a proxy's answer. Of each proxy there is a receipt, also where the way ended at it. An error is an
// *Error; it names the proxy at which the way ended, and what is known of why.
//
// Credentials are shown to the proxy that they belong to and to nobody else, and only once it has asked for a scheme that
// may be used. They are part of no error and no receipt. What a proxy asks for without end is refused after a few rounds.
//
// NTLM and Negotiate authenticate a connection and not a request: whoever pools a connection must not hand it to somebody
// with other credentials.
package hop

import (
	"context"
	"net"
	"strconv"
)

// Kind is the protocol that a parent proxy speaks.
type Kind string

// The kinds of hop.
const (
	HTTP   Kind = "http"
	HTTPS  Kind = "https"   // HTTP within TLS
	SOCKS4 Kind = "socks4a" // names are looked up by the proxy
	SOCKS5 Kind = "socks5"  // names are looked up by the proxy
)

// Hop is a parent proxy.
type Hop struct {
	Kind Kind
	Host string
	Port int
	// Credentials are what the proxy may be shown; nil: none.
	Credentials *Credentials
}

// Address is the proxy's host and port.
func (h Hop) Address() string { return net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) }

// String names the proxy without its credentials.
func (h Hop) String() string { return string(h.Kind) + " proxy " + h.Address() }

// SpeaksHTTP says whether the proxy takes requests, and not only connections.
func (h Hop) SpeaksHTTP() bool { return h.Kind == HTTP || h.Kind == HTTPS }

// Credentials are what a proxy may be shown when it asks. They are compared by ID: connections are never shared between
// different ones.
type Credentials struct {
	ID string
	// User may be DOMAIN\user or user@REALM.
	User string
	// Password gives the password when it is needed; nil: there is none. It is never kept.
	Password func(context.Context) (string, error)
	// Keytab, CCache and Krb5Conf are files for Kerberos; "" means what the environment says.
	Keytab, CCache, Krb5Conf string
	// ServiceName is the Kerberos principal of the proxy; "" means HTTP/ and its host.
	ServiceName string
	// Schemes are those that may be used (basic, digest, ntlm, negotiate); empty: all.
	Schemes []string
}
