package truststore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// linux is the store in /etc that OpenSSL, GnuTLS, Go and curl read. Distributions differ in where an administrator's
// certificates lie and in the program that makes the bundle of them.
type linux struct{}

type distribution struct {
	name string
	dir  string
	// ext: update-ca-certificates ignores what does not end in .crt.
	ext string
	// update and remove rebuild the bundle after a file came or went.
	update, remove []string
}

// distributions are told apart by the directory that is there; some have several, so the order counts.
var distributions = [...]distribution{
	{"Fedora, RHEL", "/etc/pki/ca-trust/source/anchors", ".pem", []string{"update-ca-trust", "extract"}, []string{"update-ca-trust", "extract"}},
	{"Arch", "/etc/ca-certificates/trust-source/anchors", ".crt", []string{"trust", "extract-compat"}, []string{"trust", "extract-compat"}},
	{"openSUSE", "/etc/pki/trust/anchors", ".pem", []string{"update-ca-certificates"}, []string{"update-ca-certificates"}},
	// Without --fresh Debian's script leaves the removed certificate's links in /etc/ssl/certs.
	{"Debian, Ubuntu", "/usr/local/share/ca-certificates", ".crt", []string{"update-ca-certificates"}, []string{"update-ca-certificates", "--fresh"}},
}

func (linux) find(m *machine) (distribution, bool) {
	for _, d := range distributions {
		if st, err := os.Stat(m.path(d.dir)); err == nil && st.IsDir() && m.has(d.update[0]) {
			return d, true
		}
	}
	return distribution{}, false
}

var noSystemStore = Step{Store: "system", Status: Skipped, Message: "no trust store of a known distribution (is the package ca-certificates installed?)"}

func (s linux) install(ctx context.Context, m *machine) []Step {
	d, ok := s.find(m)
	if !ok {
		return []Step{noSystemStore}
	}
	file := filepath.Join(m.path(d.dir), m.slug+d.ext)
	step := Step{Store: "system (" + d.name + ")"}
	if b, err := os.ReadFile(file); err == nil && bytes.Equal(b, m.pem) {
		step.Status, step.Message = Already, file+" is there"
		return []Step{step}
	}
	byHand := []string{
		commandLine("sudo", "install", "-m", "644", m.CertFile, file),
		commandLine("sudo", d.update...),
	}
	if err := writeFile(file, m.pem); err != nil {
		return []Step{refused(step, err, byHand)}
	}
	step.Commands = []string{commandLine(d.update[0], d.update[1:]...)}
	if out, err := m.Run(ctx, d.update[0], d.update[1:]...); err != nil {
		// The file stays out of the directory, or the next update of anything would take it in without a word.
		os.Remove(file)
		step.Status, step.Message = Failed, step.Commands[0]+": "+failure(out, err)
		return []Step{step}
	}
	step.Status, step.Message = Done, "wrote "+file+" and ran "+step.Commands[0]
	return []Step{step}
}

func (s linux) uninstall(ctx context.Context, m *machine) []Step {
	d, ok := s.find(m)
	if !ok {
		return []Step{noSystemStore}
	}
	file := filepath.Join(m.path(d.dir), m.slug+d.ext)
	step := Step{Store: "system (" + d.name + ")"}
	byHand := []string{commandLine("sudo", "rm", file), commandLine("sudo", d.remove...)}
	switch err := os.Remove(file); {
	case errors.Is(err, fs.ErrNotExist):
		step.Status, step.Message = Already, "not there"
		return []Step{step}
	case err != nil:
		return []Step{refused(step, err, byHand)}
	}
	step.Commands = []string{commandLine(d.remove[0], d.remove[1:]...)}
	if out, err := m.Run(ctx, d.remove[0], d.remove[1:]...); err != nil {
		step.Status, step.Message = Failed, "removed "+file+", but "+step.Commands[0]+": "+failure(out, err)
		return []Step{step}
	}
	step.Status, step.Message = Done, "removed "+file+" and ran "+step.Commands[0]
	return []Step{step}
}

// refused makes step one for the user where the rights are missing, else a failed one.
func refused(step Step, err error, byHand []string) Step {
	step.Status, step.Message, step.Commands = Failed, err.Error(), byHand
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly) {
		step.Status, step.Message = Manual, "needs the administrator's rights: "+err.Error()
	}
	return step
}

// writeFile writes a file that everybody may read, which appears whole.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".eaves-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
