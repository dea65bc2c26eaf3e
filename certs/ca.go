package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/user"
	"strings"
	"time"
)

const (
	// caLife is how long an authority lives: long enough that nobody has to install one twice on a machine's life.
	// The limits of browsers (398, 200 days) are about leaves, not about roots that a user installed.
	caLife = 10 * 365 * 24 * time.Hour
	// clockSkew is how far into the past certificates reach, for clients whose clock is behind (phones, virtual
	// machines that slept).
	clockSkew = 24 * time.Hour
)

// CA is the certificate authority of one data directory. It is safe for concurrent use.
type CA struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey // nil: only the certificate is there
	dir   string
	now   func() time.Time
	ecdsa minter
	rsa   minter // for clients that take nothing newer
	cache leafCache
}

// newCA joins a certificate and its key (which may be nil).
func newCA(dir string, cert *x509.Certificate, key *ecdsa.PrivateKey) *CA {
	c := &CA{cert: cert, key: key, dir: dir, now: time.Now, ecdsa: minter{make: newLeafKey}, rsa: minter{make: newRSAKey}}
	c.cache.init(leafCacheSize)
	return c
}

// Certificate returns the authority's certificate; it is shared and must not be changed.
func (c *CA) Certificate() *x509.Certificate { return c.cert }

// CanSign says whether the key is there.
func (c *CA) CanSign() bool { return c.key != nil }

// DER returns the certificate as X.509 DER.
func (c *CA) DER() []byte { return append([]byte(nil), c.cert.Raw...) }

// PEM returns the certificate as PEM.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// Name returns the subject's common name: how people recognise the authority in a list.
func (c *CA) Name() string { return c.cert.Subject.CommonName }

// Fingerprint returns the SHA-256 of the certificate in lower-case hexadecimal.
func (c *CA) Fingerprint() string {
	sum := sha256.Sum256(c.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// SPKIHash returns the base64 SHA-256 of the public key, the form that Chromium's --ignore-certificate-errors-spki-list
// takes (and that RFC 7469, section 2.4, calls a pin).
func (c *CA) SPKIHash() string {
	sum := sha256.Sum256(c.cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// newKey makes a key of the authority or of the leaves. P-256: every TLS client of the last ten years takes it, its
// signature costs a thirtieth of RSA-2048's, and the certificates stay small.
func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// selfSign makes the authority's certificate for key.
func selfSign(key *ecdsa.PrivateKey, owner string, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      caSubject(owner, id),
		SubjectKeyId: id,
		NotBefore:    now.Add(-clockSkew).UTC().Truncate(time.Second),
		NotAfter:     now.Add(caLife).UTC().Truncate(time.Second),

		// It signs certificates. It signs no revocation lists, so it does not claim to (RFC 5280, 4.2.1.3).
		KeyUsage: x509.KeyUsageCertSign,
		// Platforms read the extended usage of an authority as a limit on what it may sign for. RFC 5280, 4.2.1.12, does not
		// ask for one in an authority; a root that user trusts for web servers need not be trusted for programs and mail.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
		IsCA:                  true,
		// It signs leaves itself. With a path length of zero a leaf cannot be turned into an authority below it.
		MaxPathLenZero: true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

// caSubject names the authority after the person and machine it was made for. The key's identifier is part of the name:
// it tells an old authority from its successor in a list, and two authorities of one name but different keys make
// clients report a bad signature where they mean an unknown issuer.
func caSubject(owner string, id []byte) pkix.Name {
	const upperBound = 64 // ub-common-name and ub-organizational-unit-name, RFC 5280, appendix A.1
	short := hex.EncodeToString(id[:4])
	return pkix.Name{
		Organization:       []string{"eaves interception CA"},
		OrganizationalUnit: []string{cut(owner, upperBound)},
		CommonName:         "eaves " + cut(owner, upperBound-len("eaves  ")-len(short)) + " " + short,
	}
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// owner returns user@host of this machine, in printable characters.
func owner() string {
	name := "user"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
		if i := strings.LastIndexByte(name, '\\'); i >= 0 { // Windows: DOMAIN\user
			name = name[i+1:]
		}
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '�' {
			return -1
		}
		return r
	}, name+"@"+host)
}

// newSerial returns 128 random bits (127, so that the number stays positive in 16 bytes): RFC 5280, 4.1.2.2, allows 20
// bytes, the CA/Browser Forum wants at least 64 bits that nobody can guess, and clients refuse two certificates of one
// issuer and serial.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil // zero is not positive
}

// keyID returns the identifier of a public key: the leftmost 160 bits of the SHA-256 of its bit string (RFC 7093,
// section 2, method 1).
func keyID(pub any) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	bits, err := publicKeyBits(spki)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bits)
	return sum[:20], nil
}

// validNow returns an error if the authority is not valid at this time.
func (c *CA) validNow() error {
	now := c.now()
	switch {
	case now.After(c.cert.NotAfter):
		return &Error{
			message: fmt.Sprintf("CA expired on %s: %s", c.cert.NotAfter.Format(time.DateOnly), c.path(certFile)),
			hint:    command("ca rotate", c.dir),
			err:     ErrExpired,
		}
	case now.Before(c.cert.NotBefore):
		return &Error{
			message: fmt.Sprintf("CA is valid from %s, and this machine's clock says %s: %s",
				c.cert.NotBefore.Format(time.DateOnly), now.UTC().Format(time.DateOnly), c.path(certFile)),
			hint: "set the clock, or make a new CA: " + command("ca rotate", c.dir),
			err:  ErrExpired,
		}
	}
	return nil
}
