// Package vault keeps secrets (passphrases, passwords) sealed in the data directory, and resolves the references by
// which settings name a secret without holding it.
//
// # Guarantees
//
// A secret never stands in a file in clear: vault.json holds it sealed with AES-256-GCM under a key of its own, derived
// from the random key in vault.key, with its name as additional data, so that secrets cannot be exchanged for one
// another either. vault.key is readable by its owner only, and refused otherwise. Both files appear whole or not at all.
//
// Every call reads what is on the disk, so what another process changed is seen at once. A Vault is safe for concurrent
// use.
//
// No error holds a secret, nor the text of something that is no reference, since that may be a secret typed into the
// wrong place, nor what a command said.
//
// # Duties of the caller
//
// The data directory belongs to one process at a time while Set and Remove run.
package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"eaves/certs/internal/disk"
)

// The files of a vault in the data directory.
const (
	fileName = "vault.json"
	keyName  = "vault.key"
)

const (
	version = 1
	// maxFile and maxValue bound what is read, and what one secret may be: a long password, a token, a key file.
	maxFile  = 16 << 20
	maxValue = 256 << 10
	maxName  = 200
)

// What can be wrong, for errors.Is.
var (
	// ErrNotFound says that there is no secret, variable or file of that name.
	ErrNotFound = errors.New("no such secret")
	// ErrForm says that something is no reference, or no name for a secret.
	ErrForm = errors.New("not of the right form")
	// ErrExposed says that others on this machine can read the key.
	ErrExposed = errors.New("others can read the key")
	// ErrDamaged says that a file of the vault is damaged, or was sealed under another key.
	ErrDamaged = errors.New("damaged")
)

// Error is one line about what failed, with the next thing to do.
type Error struct {
	message string
	hint    string
	err     error
}

// Error returns the line.
func (e *Error) Error() string { return e.message }

// Hint returns what to do next.
func (e *Error) Hint() string { return e.hint }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Vault is the secrets of one data directory.
type Vault struct {
	dir      string
	patience time.Duration // with the command of a reference
	mu       sync.Mutex    // held while the files are read or written
}

// Secret is what may be told of a secret.
type Secret struct {
	Name    string
	Created time.Time
}

// document is vault.json.
type document struct {
	Version int              `json:"version"`
	Secrets map[string]entry `json:"secrets"`
}

type entry struct {
	Created time.Time `json:"created"`
	Sealed  []byte    `json:"sealed"` // nonce and ciphertext
}

// Open returns the vault of the data directory dir. Nothing is made before the first secret is set. A vault that cannot
// be used (a key that others can read, a damaged file) is refused.
func Open(dir string) (*Vault, error) {
	v := &Vault{dir: dir, patience: commandTime}
	d, err := v.read()
	if err != nil {
		return nil, err
	}
	if _, err := v.readKey(); err != nil && (!errors.Is(err, fs.ErrNotExist) || len(d.Secrets) > 0) {
		return nil, v.keyError(err)
	}
	return v, nil
}

func (v *Vault) path(name string) string { return filepath.Join(v.dir, name) }

// Set seals value under name, in the place of what was there.
func (v *Vault) Set(name string, value []byte) error {
	if err := validName(name); err != nil {
		return err
	}
	if len(value) > maxValue {
		return &Error{fmt.Sprintf("the secret is larger than %d KiB", maxValue>>10), "keep it in a file, and name that: file:PATH", ErrForm}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	d, err := v.read()
	if err != nil {
		return err
	}
	key, err := v.readKey()
	if errors.Is(err, fs.ErrNotExist) && len(d.Secrets) == 0 {
		key, err = v.makeKey()
	}
	if err != nil {
		return v.keyError(err)
	}
	sealed, err := seal(key, name, value)
	if err != nil {
		return err
	}
	d.Secrets[name] = entry{time.Now().UTC().Truncate(time.Millisecond), sealed}
	return v.write(d)
}

// Remove forgets a secret.
func (v *Vault) Remove(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	d, err := v.read()
	if err != nil {
		return err
	}
	if _, ok := d.Secrets[name]; !ok {
		return notFound(name)
	}
	delete(d.Secrets, name)
	return v.write(d)
}

// List returns what there is, by name. It is empty where the vault cannot be read: Open and Resolve say why.
func (v *Vault) List() []Secret {
	v.mu.Lock()
	defer v.mu.Unlock()
	d, err := v.read()
	if err != nil {
		return nil
	}
	var all []Secret
	for name, e := range d.Secrets {
		all = append(all, Secret{name, e.Created})
	}
	slices.SortFunc(all, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// get opens one secret.
func (v *Vault) get(name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	d, err := v.read()
	if err != nil {
		return nil, err
	}
	e, ok := d.Secrets[name]
	if !ok {
		return nil, notFound(name)
	}
	key, err := v.readKey()
	if err != nil {
		return nil, v.keyError(err)
	}
	value, err := open(key, name, e.Sealed)
	if err != nil {
		return nil, &Error{
			fmt.Sprintf("the secret %q cannot be opened: %s is not the key it was sealed under, or %s was changed", name, v.path(keyName), v.path(fileName)),
			"put both files back from one backup, or set the secret again", ErrDamaged,
		}
	}
	return value, nil
}

func notFound(name string) error {
	return &Error{fmt.Sprintf("the vault holds no secret %q", name), "set it again", ErrNotFound}
}

// read returns what vault.json holds; one that is not there is empty.
func (v *Vault) read() (*document, error) {
	d := &document{Version: version, Secrets: make(map[string]entry)}
	path := v.path(fileName)
	b, err := readLimited(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the vault: %w", err)
	}
	if err := json.Unmarshal(b, d); err != nil || d.Secrets == nil {
		return nil, &Error{"the vault is damaged: " + path + " is not what eaves wrote", "put it back from a backup, or move it away and set the secrets again", ErrDamaged}
	}
	if d.Version != version {
		return nil, &Error{fmt.Sprintf("the vault %s is of version %d, and this eaves knows version %d", path, d.Version, version), "use the eaves that wrote it, or a newer one", ErrDamaged}
	}
	return d, nil
}

func (v *Vault) write(d *document) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.Replace(v.path(fileName), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the vault: %w", err)
	}
	return nil
}

// validName keeps names to what can be typed, quoted and logged without surprise.
func validName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/@+", r))
	}) {
		return &Error{"a secret's name is of letters, digits and . _ - / @ +, " + fmt.Sprint(maxName) + " at most", "choose another name", ErrForm}
	}
	return nil
}

// readLimited reads a file that holds no more than limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}
