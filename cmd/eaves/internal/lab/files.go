package lab

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// File is a certificate to try: where it and its key are.
type File struct{ Certificate, Key string }

// Failing is a certificate that the origin refuses.
type Failing struct {
	File
	// Label is its name below the origin's, About says what is wrong with it.
	Label, About string
}

// Files are the certificates of a lab.
type Files struct {
	// CA is the root that the origin's certificate and all good client certificates come from.
	CA string
	// Client and Admin are accepted. PFX is the client's too, in a file of its own, with the password PFXPassword.
	Client, Admin File
	PFX           string
	Failing       []Failing

	root File
}

// PFXPassword opens Files.PFX.
const PFXPassword = "lab"

// organization marks what the lab issued.
const organization = "eaves lab"

const day = 24 * time.Hour

// place names the files of a directory.
func place(dir string) Files {
	at := func(name string) File {
		return File{Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
	}
	return Files{
		CA: at("ca").Certificate, root: at("ca"), Client: at("client"), Admin: at("admin"), PFX: filepath.Join(dir, "client.p12"),
		Failing: []Failing{
			{at("expired"), "expired", "Expired yesterday"},
			{at("early"), "early", "Not valid yet"},
			{at("foreign"), "foreign", "Issued by a CA that the origin does not know"},
			{at("usage"), "usage", "Made for servers, not for clients (extended key usage)"},
			{at("incomplete"), "incomplete", "Good, but without the CA between it and the root"},
		},
	}
}

// prepare finds the certificates in dir, or makes them all. It returns the root, which signs the origin's own.
func prepare(dir string, now time.Time) (Files, *Authority, error) {
	f := place(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, nil, err
	}
	root, err := f.root.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if others := f.others(); others != "" {
			return f, nil, fmt.Errorf("%s is none of a lab's, and is left alone: name another directory", others)
		}
	case err != nil:
		return f, nil, err
	case !slices.Contains(root.Certificate.Subject.Organization, organization):
		return f, nil, fmt.Errorf("%s is no CA of a lab's, and is left alone: name another directory", f.CA)
	case f.complete(now):
		return f, &Authority{Certificate: root.Certificate, Key: root.Key}, nil
	}
	a, err := f.make(now)
	return f, a, err
}

// others is a file that somebody else has put where one of ours would be; "": there is none.
func (f Files) others() string {
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	all := []File{f.root, f.Client, f.Admin}
	for _, bad := range f.Failing {
		all = append(all, bad.File)
	}
	for _, file := range all {
		switch b, err := os.ReadFile(file.Certificate); {
		case errors.Is(err, fs.ErrNotExist) && exists(file.Key):
			return file.Key
		case err == nil && !ours(b):
			return file.Certificate
		}
	}
	if exists(f.PFX) && !exists(f.Client.Certificate) {
		return f.PFX
	}
	return ""
}

// ours says whether a file holds a certificate that a lab issued.
func ours(b []byte) bool {
	block, _ := pem.Decode(b)
	if block == nil {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return err == nil && slices.Contains(c.Subject.Organization, organization)
}

// complete says whether everything is there, and good for another week.
func (f Files) complete(now time.Time) bool {
	for _, file := range []File{f.root, f.Client, f.Admin} {
		if i, err := file.load(); err != nil || now.Add(7*day).After(i.Certificate.NotAfter) {
			return false
		}
	}
	for _, bad := range f.Failing {
		if _, err := bad.load(); err != nil {
			return false
		}
	}
	_, err := os.Stat(f.PFX)
	return err == nil
}

// make makes everything anew.
func (f Files) make(now time.Time) (*Authority, error) {
	root, err := NewRoot("eaves lab root", nil)
	if err != nil {
		return nil, err
	}
	sub, err := root.Sub("eaves lab client CA", nil)
	if err != nil {
		return nil, err
	}
	foreign, err := NewRoot("somebody else's CA", nil)
	if err != nil {
		return nil, err
	}
	silent := &Authority{Certificate: sub.Certificate, Key: sub.Key} // what it issues goes without its own certificate
	valid := func(from, to time.Time) func(*x509.Certificate) {
		return func(c *x509.Certificate) { ForClients(c); c.NotBefore, c.NotAfter = from, to }
	}
	for _, one := range []struct {
		file File
		by   *Authority
		name string
		edit func(*x509.Certificate)
	}{
		{f.Client, sub, "alice", ForClients},
		{f.Admin, sub, adminName, ForClients},
		{f.Failing[0].File, sub, "expired", valid(now.Add(-30*day), now.Add(-day))},
		{f.Failing[1].File, sub, "early", valid(now.Add(5*lifetime), now.Add(6*lifetime))},
		{f.Failing[2].File, foreign, "foreign", ForClients},
		{f.Failing[3].File, sub, "usage", ForServers},
		{f.Failing[4].File, silent, "incomplete", ForClients},
	} {
		identity, err := one.by.Issue(one.name, one.edit)
		if err == nil {
			err = one.file.write(identity)
		}
		if err == nil && one.file == f.Client {
			err = f.writePFX(identity)
		}
		if err != nil {
			return nil, err
		}
	}
	// The root last: where it is, all is there.
	return root, f.root.write(&Identity{Certificate: root.Certificate, Key: root.Key})
}

func (f Files) writePFX(i *Identity) error {
	b, err := pkcs12.Modern.Encode(i.Key, i.Certificate, i.Chain, PFXPassword)
	if err != nil {
		return err
	}
	return replace(f.PFX, b)
}

// load reads a certificate with its chain, and its key.
func (f File) load() (*Identity, error) {
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, err
	}
	return fromTLS(pair)
}

// write writes certificate, chain and key; the certificate first, which says whose the key is.
func (f File) write(i *Identity) error {
	key, err := i.KeyPEM()
	if err != nil {
		return err
	}
	if err := replace(f.Certificate, i.PEM()); err != nil {
		return err
	}
	return replace(f.Key, key)
}

// replace replaces a file by rename, readable by its owner only.
func replace(path string, b []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = t.Write(b)
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		os.Remove(t.Name())
	}
	return err
}
