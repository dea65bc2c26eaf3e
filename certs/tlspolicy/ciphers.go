package tlspolicy

import (
	"crypto/tls"
	"slices"
	"strings"

	"eaves/certs/mistake"
)

// Suites are the cipher suites that a policy can name, insecure ones included: to reach an old server with them is what a
// policy is for.
func Suites() []*tls.CipherSuite {
	var all []*tls.CipherSuite
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !only13(s) {
			all = append(all, s)
		}
	}
	return all
}

// only13 says that a suite is one of TLS 1.3, which cannot be chosen.
func only13(s *tls.CipherSuite) bool {
	return len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13
}

// suite finds a suite by its IANA name or by that of OpenSSL.
func suite(name string) *tls.CipherSuite {
	for _, s := range Suites() {
		if strings.EqualFold(s.Name, name) || strings.EqualFold(OpenSSLName(s.Name), name) {
			return s
		}
	}
	return nil
}

// ciphers turns names into numbers.
func ciphers(names []string) ([]uint16, error) {
	var ids []uint16
	for _, name := range names {
		s := suite(name)
		if s == nil {
			for _, s := range tls.CipherSuites() {
				if only13(s) && strings.EqualFold(s.Name, name) {
					return nil, mistake.In("ciphers", "bound the versions with min and max instead", "%s is a suite of TLS 1.3, and those cannot be chosen in Go", s.Name)
				}
			}
			var known []string
			for _, s := range Suites() {
				known = append(known, s.Name)
			}
			return nil, mistake.In("ciphers", "name one of "+strings.Join(known, ", "), "%q is no cipher suite that Go speaks", name)
		}
		ids = append(ids, s.ID)
	}
	return ids, nil
}

// OpenSSLName is what OpenSSL and curl call a suite of TLS up to 1.2.
func OpenSSLName(name string) string {
	name = strings.TrimPrefix(name, "TLS_")
	exchange, rest, _ := strings.Cut(name, "_WITH_")
	if exchange == "RSA" {
		exchange = ""
	} else {
		exchange = strings.ReplaceAll(exchange, "_", "-") + "-"
	}
	r := strings.NewReplacer("AES_128_CBC_", "AES128-", "AES_256_CBC_", "AES256-", "AES_128_GCM_", "AES128-GCM-", "AES_256_GCM_", "AES256-GCM-",
		"3DES_EDE_CBC_", "DES-CBC3-", "RC4_128_", "RC4-", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305")
	return exchange + r.Replace(rest)
}
