// Package hop makes connections through parent proxies: one after the other, each with its own protocol, TLS and
// authentication.
package hop

import "context"

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
