package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"eaves/certs/internal/disk"
)

// The files of an authority in the data directory.
const (
	certFile = "ca.pem"
	keyFile  = "ca.key"
	// A rotation writes its pair under these names, renames the key, then the certificate: see finishRotation.
	nextSuffix = ".next"
)

func (c *CA) path(name string) string { return filepath.Join(c.dir, name) }

// CertificateFile returns where the certificate lies, as PEM.
func (c *CA) CertificateFile() string { return c.path(certFile) }

// LoadOrCreate returns the authority of the data directory dir, making directory and authority on first run. What
// cannot be used is an *Error (a certificate without its key, a pair that does not fit, an expired authority, damage):
// it is never replaced in silence, since devices trust the one that is there.
func LoadOrCreate(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	c, err := Load(dir)
	if errors.Is(err, ErrNoCA) {
		if err := create(dir, owner(), time.Now()); err != nil {
			return nil, fmt.Errorf("making a CA: %w", err)
		}
		c, err = Load(dir)
	}
	if err != nil {
		return nil, err
	}
	if !c.CanSign() {
		return nil, &Error{
			message: fmt.Sprintf("CA without its key: %s is there, %s is not", c.path(certFile), c.path(keyFile)),
			hint:    "put ca.key back, or make a new CA: " + command("ca rotate", dir),
			err:     ErrNoKey,
		}
	}
	if err := c.validNow(); err != nil {
		return nil, err
	}
	return c, nil
}

// Load returns the authority of the data directory dir without making anything. One that has no key or has expired is
// returned too, for showing and uninstalling (see CanSign); without one the error is ErrNoCA.
func Load(dir string) (*CA, error) {
	if err := finishRotation(dir); err != nil {
		return nil, err
	}
	certPath, keyPath := filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	certPEM, err := os.ReadFile(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{message: "no CA in " + dir, hint: "it is made on first run: " + command("run", dir), err: ErrNoCA}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, damaged(dir, certPath, err)
	}
	if err := private(keyPath); err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return newCA(dir, cert, nil), nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &Error{message: "reading the CA's key: " + err.Error(), hint: "run as the user who owns it, or use another --data directory", err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CA's key: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, damaged(dir, keyPath, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, &Error{
			message: fmt.Sprintf("CA key does not fit its certificate: %s, %s", keyPath, certPath),
			hint:    "put the right pair back, or make a new CA: " + command("ca rotate", dir),
			err:     ErrMismatch,
		}
	}
	return newCA(dir, cert, key), nil
}

// private refuses a key that others on this machine can read: whoever has it can pose as any server to those who trust the
// authority. On Windows a file's mode says nothing of that.
func private(keyPath string) error {
	info, err := os.Stat(keyPath)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil // that it is not there, or cannot be reached, shows when it is read
	}
	return &Error{
		message: fmt.Sprintf("others can read the CA's key: %s has mode %04o", keyPath, info.Mode().Perm()),
		hint:    "chmod 600 " + quoted(keyPath) + "; if somebody may have read it, make a new CA: " + command("ca rotate", filepath.Dir(keyPath)),
		err:     ErrExposed,
	}
}

func damaged(dir, path string, why error) error {
	return &Error{
		message: fmt.Sprintf("CA file is damaged: %s: %v", path, why),
		hint:    "put it back from a backup, or make a new CA: " + command("ca rotate", dir),
		err:     ErrDamaged,
	}
}

// Retired is an authority that a rotation has replaced.
type Retired struct {
	// Certificate is nil where it could not be read.
	Certificate *x509.Certificate
	// Files are the copies that are kept of it.
	Files []string
}

// Rotate replaces the authority of the data directory dir by a new one, also where the old one is damaged or missing.
// Clients have to be told to trust the new one. What was there is kept beside it, in files that nothing reads; old is nil
// if there was nothing.
func Rotate(dir string) (fresh *CA, old *Retired, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := finishRotation(dir); err != nil {
		return nil, nil, err
	}
	if old, err = retire(dir); err != nil {
		return nil, nil, fmt.Errorf("keeping the old CA: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	der, err := selfSign(key, owner(), time.Now())
	if err != nil {
		return nil, nil, err
	}
	if err := disk.Replace(filepath.Join(dir, certFile+nextSuffix), encodeCert(der), 0o644); err != nil {
		return nil, nil, fmt.Errorf("writing the new CA: %w", err)
	}
	// This rename is the turning point: before it the old authority holds, after it finishRotation completes the new one.
	if err := disk.Replace(filepath.Join(dir, keyFile), keyPEM, 0o400); err != nil {
		return nil, nil, fmt.Errorf("writing the new CA's key: %w", err)
	}
	if err := finishRotation(dir); err != nil {
		return nil, nil, err
	}
	fresh, err = Load(dir)
	return fresh, old, err
}

// retire keeps copies of the authority's files: ca.pem becomes ca.XXXXXXXX.pem, named after its content.
func retire(dir string) (*Retired, error) {
	var old *Retired
	name := ""
	for _, file := range []string{certFile, keyFile} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if old == nil {
			old = &Retired{}
			sum := sha256.Sum256(b)
			name = hex.EncodeToString(sum[:4])
		}
		if cert, err := parseCert(b); err == nil && file == certFile {
			old.Certificate = cert
		}
		kept := filepath.Join(dir, "ca."+name+filepath.Ext(file))
		if err := disk.Replace(kept, b, 0o400); err != nil {
			return nil, err
		}
		old.Files = append(old.Files, kept)
	}
	return old, nil
}

// finishRotation completes a rotation that was cut off: a waiting certificate that belongs to the key is put in place,
// one that does not (its key was never put in place) is removed.
func finishRotation(dir string) error {
	next := filepath.Join(dir, certFile+nextSuffix)
	b, err := os.ReadFile(next)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finishing a CA rotation: %w", err)
	}
	if belongs(b, filepath.Join(dir, keyFile)) {
		err = disk.Rename(next, filepath.Join(dir, certFile))
	} else {
		err = os.Remove(next)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process has finished it meanwhile
		return fmt.Errorf("finishing a CA rotation: %w", err)
	}
	return disk.Sync(dir)
}

func belongs(certPEM []byte, keyPath string) bool {
	cert, err := parseCert(certPEM)
	if err != nil {
		return false
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return false
	}
	key, err := parseKey(keyPEM)
	return err == nil && key.PublicKey.Equal(cert.PublicKey)
}

// create makes the key, then the certificate. Each file appears whole and only if it is not there yet, and the
// certificate is made for the key that lies in the directory, whoever made it. So a process that dies in between leaves
// a key which the next one completes, and two that start at once end up with one pair.
func create(dir, owner string, now time.Time) error {
	keyPath := filepath.Join(dir, keyFile)
	if _, err := os.Lstat(keyPath); errors.Is(err, fs.ErrNotExist) {
		key, err := newKey()
		if err != nil {
			return err
		}
		keyPEM, err := encodeKey(key)
		if err != nil {
			return err
		}
		if err := disk.Create(keyPath, keyPEM, 0o400); err != nil {
			return err
		}
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return damaged(dir, keyPath, err)
	}
	der, err := selfSign(key, owner, now)
	if err != nil {
		return err
	}
	return disk.Create(filepath.Join(dir, certFile), encodeCert(der), 0o644)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseCert reads the authority's certificate.
func parseCert(b []byte) (*x509.Certificate, error) {
	block, err := onePEM(b, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		return nil, err
	}
	if !cert.BasicConstraintsValid || !cert.IsCA {
		return nil, errors.New("the certificate is not one of an authority")
	}
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the certificate's key is not an ECDSA P-256 key")
	}
	return cert, nil
}

// parseKey reads the authority's key.
func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	block, err := onePEM(b, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("it is not an ECDSA P-256 key")
	}
	return ec, nil
}

// onePEM returns the content of a file that holds one PEM block of the given type.
func onePEM(b []byte, kind string) ([]byte, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, errors.New("the file is empty")
	}
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, errors.New("no PEM block in it")
	case block.Type != kind:
		return nil, fmt.Errorf("it holds %q instead of %q", block.Type, kind)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("it holds more than one PEM block")
	}
	return block.Bytes, nil
}
