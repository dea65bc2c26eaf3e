package certs

import (
	"crypto/x509"

	"github.com/elazarl/goproxy"
)

// publicCA returns the authority whose key is printed in goproxy's source.
func publicCA() (*x509.Certificate, error) {
	return x509.ParseCertificate(goproxy.GoproxyCa.Certificate[0])
}
