// Package identity is the registry of client certificates: which there are, for whom, and what their files say now.
//
// # Guarantees
//
// Whom a certificate is for is decided by host and port against a host pattern, never by the text of a URL. A pattern
// without a port means port 443. A certificate for origins is never given for a parent proxy, nor the other way round.
//
// Files are read when a certificate is first needed, and again when they change. New files that cannot be used leave the
// certificate before them in use, with a note that says so; an entry that never could be loaded is left out, and says why.
// Nothing here logs or keeps a passphrase.
package identity

import (
	"os"
	"path/filepath"
	"strings"

	"eaves/capture/hostpattern"
	"eaves/certs/mistake"
)

// The servers that a certificate may be for.
const (
	ForOrigin = "origin"
	ForProxy  = "proxy"
)

// DefaultPort is the port that a pattern without one means.
const DefaultPort = 443

// Entry is one client certificate as it is configured.
type Entry struct {
	ID      int64 `json:"id"`
	Enabled bool  `json:"enabled"`
	// Host is a host pattern.
	Host string `json:"host"`
	// For is origin or proxy.
	For  string `json:"for"`
	Name string `json:"name,omitempty"`
	// Where it comes from: a certificate file with its key file (or both in one), a PKCS#12 file, or a PKCS#11 URI.
	CertificateFile string `json:"certificateFile,omitempty"`
	KeyFile         string `json:"keyFile,omitempty"`
	PFXFile         string `json:"pfxFile,omitempty"`
	Token           string `json:"token,omitempty"`
	// Uploaded says that the files are copies in the data directory.
	Uploaded bool `json:"uploaded,omitempty"`
	// Passphrase refers to the secret that opens the key, or the token's PIN: env:NAME, file:PATH, cmd:COMMAND, vault:NAME.
	Passphrase string `json:"passphrase,omitempty"`
}

// Validate says what in the entry cannot be, without reading any file.
func (e *Entry) Validate() error {
	if _, err := hostpattern.Parse(e.Host); err != nil {
		return mistake.In("host", "name a host such as api.bank.test, *.bank.test or *.bank.test:8443", "%v", err)
	}
	if e.For != ForOrigin && e.For != ForProxy {
		return mistake.In("for", "", "a client certificate is for origin or proxy, not %q", e.For)
	}
	sources := 0
	for _, s := range []string{e.CertificateFile, e.PFXFile, e.Token} {
		if s != "" {
			sources++
		}
	}
	switch {
	case sources == 0 && e.KeyFile != "":
		return mistake.In("certificateFile", "name the certificate, too", "a key alone is no identity")
	case sources == 0:
		return mistake.In("certificateFile", "name a certificate and its key, a PKCS#12 file, or a PKCS#11 token", "it is not said where the certificate comes from")
	case sources > 1:
		return mistake.In("certificateFile", "leave all but one of them out", "certificate file, PKCS#12 file and token exclude one another")
	case e.KeyFile != "" && e.CertificateFile == "":
		return mistake.In("keyFile", "leave the key file out", "a PKCS#12 file or a token brings its own key")
	case e.Token != "" && !strings.HasPrefix(e.Token, "pkcs11:"):
		return mistake.In("token", "", "a token is named by a PKCS#11 URI such as pkcs11:token=name;object=label (RFC 7512)")
	}
	for field, path := range map[string]string{"certificateFile": e.CertificateFile, "keyFile": e.KeyFile, "pfxFile": e.PFXFile, "passphrase": e.passphraseFile()} {
		if path != "" && !filepath.IsAbs(path) {
			return mistake.In(field, "give the whole path", "%q is not an absolute path: eaves may run in another directory", path)
		}
	}
	return nil
}

// Rule is the entry's pattern with its port, as receipts name it.
func (e *Entry) Rule() string {
	p, err := hostpattern.Parse(e.Host)
	if err != nil {
		return e.Host
	}
	return ruleOf(p)
}

func ruleOf(p hostpattern.Pattern) string {
	text := p.String()
	if _, ok := p.Port(); !ok && !strings.HasSuffix(text, ":*") {
		text += ":443"
	}
	return text
}

// paths are the files that the certificate depends on.
func (e *Entry) paths() []string {
	var all []string
	for _, p := range []string{e.CertificateFile, e.KeyFile, e.PFXFile, e.passphraseFile()} {
		if p != "" {
			all = append(all, p)
		}
	}
	return all
}

// passphraseFile is the file that the passphrase is in; "" where it is elsewhere.
func (e *Entry) passphraseFile() string {
	path, ok := strings.CutPrefix(e.Passphrase, "file:")
	if !ok {
		return ""
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// SameSource says whether both are the same certificate from the same place, opened the same way.
func (e Entry) SameSource(other Entry) bool { return e.source() == other.source() }

// source is the entry without what says where and whether it is used.
func (e Entry) source() Entry {
	return Entry{ID: e.ID, CertificateFile: e.CertificateFile, KeyFile: e.KeyFile, PFXFile: e.PFXFile, Token: e.Token, Passphrase: e.Passphrase}
}
