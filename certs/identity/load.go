package identity

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"eaves/certs/keyfile"
	"eaves/certs/mistake"
)

// Secrets resolves references such as env:NAME to what they refer to.
type Secrets interface {
	Resolve(ctx context.Context, ref string) ([]byte, error)
}

// Token is a key on a PKCS#11 token, with its certificate.
type Token interface {
	Certificate() *tls.Certificate
	Close() error
}

// Sources is where passphrases and keys on tokens come from. Either may be nil: entries that need it cannot be loaded.
type Sources struct {
	Secrets Secrets
	// Tokens opens what a PKCS#11 URI names.
	Tokens func(uri string, pin []byte) (Token, error)
}

const (
	// secretTimeout bounds how long a secret may take to be fetched.
	secretTimeout = 20 * time.Second
	// maxFile bounds what is read as a certificate or key.
	maxFile = 4 << 20
)

// Loaded is a certificate with its key, as its files are now.
type Loaded struct {
	// ID changes with the certificate, its chain and its key; that of a key on a token with each session.
	ID          string
	Certificate *tls.Certificate // its Leaf is set
	// Chain is the leaf and what is sent with it, Roots what else the files hold.
	Chain, Roots []*x509.Certificate
	// Key says what kind of key it is: RSA 2048.
	Key string

	token Token
}

// Load reads the entry's files. The error is a *mistake.Error that names the field which is wrong.
func Load(ctx context.Context, e Entry, from Sources) (*Loaded, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	secret, err := resolve(ctx, e.Passphrase, from.Secrets)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	if e.Token != "" {
		return fromToken(e, secret, from.Tokens)
	}
	pair, err := readPair(&e, secret)
	if err != nil {
		return nil, err
	}
	return &Loaded{ID: fingerprint(e.ID, pair.Chain), Certificate: pair.TLS(), Chain: pair.Chain, Roots: pair.Roots, Key: pair.KeyName()}, nil
}

// Close gives a token up.
func (l *Loaded) Close() error {
	if l == nil || l.token == nil {
		return nil
	}
	return l.token.Close()
}

// Warnings are what a server might refuse.
func (l *Loaded) Warnings(now time.Time) []keyfile.Warning {
	return keyfile.Check(slices.Concat(l.Chain, l.Roots), now)
}

func resolve(ctx context.Context, ref string, secrets Secrets) ([]byte, error) {
	if ref == "" {
		return nil, nil
	}
	if secrets == nil {
		return nil, mistake.In("passphrase", "", "references to secrets cannot be resolved here")
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	secret, err := secrets.Resolve(ctx, ref)
	if err != nil {
		next := ""
		if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
			next = h.Hint()
		}
		return nil, &mistake.Error{Field: "passphrase", What: "the passphrase cannot be had: " + err.Error(), Next: next, Err: err}
	}
	return secret, nil
}

func fromToken(e Entry, pin []byte, open func(string, []byte) (Token, error)) (*Loaded, error) {
	if open == nil {
		return nil, mistake.In("token", "", "tokens cannot be opened here")
	}
	t, err := open(e.Token, pin)
	if err != nil {
		return nil, explain("token", err)
	}
	c := t.Certificate()
	l := &Loaded{Certificate: c, token: t}
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Close()
			return nil, mistake.In("token", "", "the token's certificate cannot be read: %v", err)
		}
		l.Chain = append(l.Chain, cert)
	}
	if len(l.Chain) == 0 {
		t.Close()
		return nil, mistake.In("token", "put the certificate beside its key", "the token holds no certificate")
	}
	// Its key is that of a session, which ends: who has the one before must not take this for the same.
	session := make([]byte, 4)
	rand.Read(session)
	l.ID = fingerprint(e.ID, l.Chain) + "-" + hex.EncodeToString(session)
	if signer, ok := c.PrivateKey.(crypto.Signer); ok {
		l.Key = (&keyfile.Pair{Key: signer}).KeyName()
	}
	return l, nil
}

func readPair(e *Entry, secret []byte) (*keyfile.Pair, error) {
	if e.PFXFile != "" {
		b, err := readFile("pfxFile", e.PFXFile)
		if err != nil {
			return nil, err
		}
		defer clear(b)
		pair, err := keyfile.ReadPFX(b, secret)
		if err != nil {
			return nil, explain("pfxFile", err)
		}
		return pair, nil
	}
	cert, err := readFile("certificateFile", e.CertificateFile)
	if err != nil {
		return nil, err
	}
	defer clear(cert)
	field := "certificateFile"
	var key []byte
	if e.KeyFile != "" {
		field = "keyFile"
		if key, err = readFile(field, e.KeyFile); err != nil {
			return nil, err
		}
		defer clear(key)
	}
	pair, err := keyfile.ReadPEM(cert, key, secret)
	if err != nil {
		return nil, explain(field, err)
	}
	return pair, nil
}

// readFile reads a file that is named in a field.
func readFile(field, path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, mistake.In(field, "", "%s is not a file", path)
	case info.Size() > maxFile:
		return nil, mistake.In(field, "", "%s has %d bytes: too much for a certificate", path, info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err == nil {
		return b, nil
	}
	m := &mistake.Error{Field: field, What: path + ": " + reason(err), Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m.Next = "look at the path; eaves reads the file where it lies"
	case errors.Is(err, fs.ErrPermission):
		m.Next = "let the user who runs eaves read it"
	}
	return nil, m
}

// reason is an error of the file system without the path, which is said before it.
func reason(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// explain says an error of the readers as a mistake in the field that it is about.
func explain(field string, err error) error {
	m := &mistake.Error{Field: field, What: err.Error(), Err: err}
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
		m.Next = h.Hint()
	}
	var k *keyfile.Error
	if errors.As(err, &k) {
		m.What, m.Next = k.What, k.Hint
		switch k.Kind {
		case keyfile.WrongPassphrase, keyfile.NeedsPassphrase:
			m.Field = "passphrase"
		case keyfile.NoCertificate:
			if field == "keyFile" {
				m.Field = "certificateFile"
			}
		}
	}
	m.What = strings.TrimSuffix(m.What, ".")
	return m
}

// lasting says of an error that reading the same files again will not help: and asking a token for a wrong PIN once more
// might lock it.
func lasting(err error) bool {
	var k *keyfile.Error
	return errors.As(err, &k) && k.Kind == keyfile.WrongPassphrase
}

// fingerprint names a certificate with its chain; the public key, and with it the private one, is part of it.
func fingerprint(id int64, chain []*x509.Certificate) string {
	h := sha256.New()
	for _, c := range chain {
		fmt.Fprintf(h, "%d:", len(c.Raw))
		h.Write(c.Raw)
	}
	return strconv.FormatInt(id, 10) + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}
