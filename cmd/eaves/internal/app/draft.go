package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"eaves/certs/mistake"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/settings"
	"eaves/webui"
)

// draft is what has been put beside the settings for a change of them, which is taken away again if the change does not
// come about: copies of uploaded files, and secrets.
type draft struct {
	c       *core
	files   []string
	secrets []string
	kept    bool
}

// upload keeps a copy of an uploaded file, and returns its path.
func (d *draft) upload(b []byte, ending string) (string, error) {
	dir := d.c.dir.Join(datadir.CertificatesName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keeping the upload: %w", err)
	}
	name, err := random()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name+ending)
	if err := datadir.Replace(path, b); err != nil {
		return "", fmt.Errorf("keeping the upload: %w", err)
	}
	d.files = append(d.files, path)
	return path, nil
}

// These begin the names of the secrets that are sealed for a client certificate or a route.
const (
	sealedCertificate = "client-certificate-"
	sealedRoute       = "route-"
)

// seal puts a secret into the vault under a name that begins so, and returns a reference to it.
func (d *draft) seal(begin, secret string) (string, error) {
	name, err := random()
	if err != nil {
		return "", err
	}
	name = begin + name
	if err := d.c.vault.Set(name, []byte(secret)); err != nil {
		return "", fmt.Errorf("sealing the secret: %w", err)
	}
	d.secrets = append(d.secrets, name)
	return "vault:" + name, nil
}

func random() (string, error) {
	b := make([]byte, 6)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

// keep says that the change has come about: what was put beside the settings belongs to them.
func (d *draft) keep() { d.kept = true }

// drop takes everything away again, unless it is kept.
func (d *draft) drop() {
	if d.kept {
		return
	}
	for _, f := range d.files {
		_ = os.Remove(f)
	}
	for _, s := range d.secrets {
		_ = d.c.vault.Remove(s)
	}
}

// forget takes away what an entry no longer refers to, unless something else in the settings does: files that are copies,
// secrets that were sealed for it.
func (c *core) forget(before ...string) {
	name := func(s string) string {
		if c.isCopy(s) {
			return filepath.Clean(s)
		}
		return s
	}
	kept := map[string]bool{"": true}
	for _, k := range c.referred() {
		kept[name(k)] = true
	}
	for _, b := range before {
		secret, isReference := strings.CutPrefix(b, "vault:")
		switch {
		case kept[name(b)]:
		case c.isCopy(b):
			_ = os.Remove(name(b))
		case isReference && (strings.HasPrefix(secret, sealedCertificate) || strings.HasPrefix(secret, sealedRoute)):
			_ = c.vault.Remove(secret)
		}
	}
}

// referred are the files and secrets that the settings refer to.
func (c *core) referred() []string {
	now := c.settings.Get()
	var all []string
	for _, e := range now.ClientCertificates {
		all = append(all, belongings(e)...)
	}
	for _, e := range now.Trust {
		all = append(all, e.File)
	}
	for _, e := range now.Routes {
		all = append(all, e.Password)
	}
	return all
}

// refusal says a mistake as the API does. renamed are fields that came under another name.
func refusal(err error, renamed map[string]string) error {
	var m *mistake.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &m):
		field := m.Field
		if r, ok := renamed[field]; ok {
			field = r
		}
		return &webui.Refusal{Parameter: field, Detail: m.What, Hint: m.Next}
	case errors.Is(err, settings.ErrInvalid):
		return &webui.Refusal{Detail: err.Error()}
	}
	return err
}

// assign sets what is given.
func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// placed puts an entry among the others, behind them where it is new, else in the place of the same one; at is where.
func placed[E any](now []E, e E, same func(E) bool, isNew bool) (_ []E, at int, err error) {
	if isNew {
		return append(now, e), len(now), nil
	}
	if at = slices.IndexFunc(now, same); at < 0 {
		return nil, 0, webui.ErrNoItem
	}
	now[at] = e
	return now, at, nil
}
