//go:build !cgo

package token

import (
	"crypto/tls"

	"eaves/certs/keyfile"
)

// Token is a private key on a card or in a module.
type Token struct{}

// Open says why it cannot: a PKCS#11 module is a library of C, and this eaves was built without.
func Open(uri string, _ []byte) (*Token, error) {
	if _, err := parse(uri); err != nil {
		return nil, err
	}
	return nil, &keyfile.Error{
		What: "this eaves was built without C (cgo), so it cannot load PKCS#11 modules", Kind: keyfile.Unsupported,
		Hint: "use one that was built with CGO_ENABLED=1 on the system it runs on",
	}
}

// Certificate returns nothing.
func (*Token) Certificate() *tls.Certificate { return nil }

// Close does nothing.
func (*Token) Close() error { return nil }
