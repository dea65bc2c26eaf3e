package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"eaves/certs/internal/disk"
)

const keySize = 32

// aead returns the cipher for one secret. Each has its own key, derived by its name (HKDF, RFC 5869), so that the random
// nonces of one never meet those of another.
func aead(key []byte, name string) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, nil, "eaves vault secret: "+name, keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func seal(key []byte, name string, value []byte) ([]byte, error) {
	a, err := aead(key, name)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, value, []byte(name)), nil
}

func open(key []byte, name string, sealed []byte) ([]byte, error) {
	a, err := aead(key, name)
	if err != nil {
		return nil, err
	}
	return a.Open(nil, nil, sealed, []byte(name))
}

// readKey returns the key of the vault.
func (v *Vault) readKey() ([]byte, error) {
	path := v.path(keyName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// On Windows a file's mode says nothing of who may read it.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, &Error{
			fmt.Sprintf("others can read the vault's key: %s has mode %04o", path, info.Mode().Perm()),
			fmt.Sprintf("chmod 600 %s; if somebody may have read it, change the secrets too", quoted(path)), ErrExposed,
		}
	}
	b, err := readLimited(path, 1<<10)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != keySize {
		return nil, &Error{"the vault's key is damaged: " + path, "put it back from a backup, or move it and vault.json away and set the secrets again", ErrDamaged}
	}
	return key, nil
}

// makeKey makes the key, or takes the one that another process has just made.
func (v *Vault) makeKey() ([]byte, error) {
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, keySize)
	rand.Read(key)
	if err := disk.Create(v.path(keyName), []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		return nil, err
	}
	return v.readKey()
}

func (v *Vault) keyError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{
			fmt.Sprintf("the vault's key is missing: %s is there, %s is not", v.path(fileName), v.path(keyName)),
			"put it back from a backup, or move vault.json away and set the secrets again", fs.ErrNotExist,
		}
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("the vault's key: %w", err)
}

func quoted(path string) string {
	if strings.ContainsAny(path, " \t'\"\\$&;()*?[]<>|") {
		return fmt.Sprintf("%q", path)
	}
	return path
}
