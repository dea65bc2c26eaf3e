// Package truststore puts a certificate authority into the trust stores of a machine, and takes it out again: the
// system's, those of Firefox and Chromium (NSS), and Java's.
//
// # Guarantees
//
// Every change is a Step that names the file or command, what came of it, and, where it could not be made, the exact
// commands that would make it. Nothing asks for a password and nothing runs with other rights than its caller's.
//
// Installing twice changes nothing the second time. Uninstalling takes out the given certificate and no other: entries
// are compared by the certificate itself, not by name.
//
// On macOS and Windows, where a change of the trust settings asks the user in a window, the commands are named and not
// run.
package truststore

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Status says what came of a step.
type Status string

// What can come of a step.
const (
	// Done: the store was changed.
	Done Status = "done"
	// Already: the store was as wanted.
	Already Status = "already"
	// Skipped: there is no such store here, or nothing that reads it.
	Skipped Status = "skipped"
	// Manual: the caller lacks the rights or a program; Commands are what to type.
	Manual Status = "manual"
	// Failed: it was tried and went wrong.
	Failed Status = "failed"
)

// Step is one thing that was done, or was to be done.
type Step struct {
	// Store is what was dealt with, such as "system (Debian)" or "NSS /home/me/.pki/nssdb".
	Store  string `json:"store"`
	Status Status `json:"status"`
	// Message says what happened, in one line.
	Message string `json:"message"`
	// Commands are those that were run, or (Manual, Failed) those to type.
	Commands []string `json:"commands,omitempty"`
}

// String returns the step as a line.
func (s Step) String() string { return s.Store + ": " + string(s.Status) + ": " + s.Message }

// Kind names a kind of trust store.
type Kind string

// The kinds of trust stores.
const (
	System Kind = "system"
	NSS    Kind = "nss"
	Java   Kind = "java"
)

// Kinds returns all kinds, in the order in which they are dealt with: on Debian the system's store feeds Java's.
func Kinds() []Kind { return []Kind{System, NSS, Java} }

// Options says where to look. The zero value is this machine as its user sees it.
type Options struct {
	// Kinds are the stores to deal with; none means all.
	Kinds []Kind
	// CertFile is where the certificate lies as PEM, for commands that the user is to type; without one they name
	// ca.pem.
	CertFile string
	// GOOS is the operating system; "" is this one.
	GOOS string
	// Root is put before every path of the system; "" is the real one.
	Root string
	// Home is the user's home; "" is the real one.
	Home string
	// Getenv looks up the environment; nil is os.Getenv.
	Getenv func(string) string
	// LookPath finds a program; nil is exec.LookPath.
	LookPath func(string) (string, error)
	// Run runs a program and returns what it printed; nil really runs it.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Install makes the stores trust cert. An error says that some step failed; which one, the steps say.
func Install(ctx context.Context, cert *x509.Certificate, o Options) ([]Step, error) {
	return each(ctx, cert, o, store.install)
}

// Uninstall takes cert out of the stores.
func Uninstall(ctx context.Context, cert *x509.Certificate, o Options) ([]Step, error) {
	return each(ctx, cert, o, store.uninstall)
}

// store is one kind of trust store on one operating system.
type store interface {
	install(context.Context, *machine) []Step
	uninstall(context.Context, *machine) []Step
}

func stores(goos string) (map[Kind]store, error) {
	switch goos {
	case "darwin":
		return map[Kind]store{System: keychain{}, NSS: nss{}, Java: java{}}, nil
	case "windows":
		return map[Kind]store{System: windowsRoot{}, NSS: nss{}, Java: java{}}, nil
	case "linux":
		return map[Kind]store{System: linux{}, NSS: nss{}, Java: java{}}, nil
	}
	return nil, fmt.Errorf("trust stores of %s are not known: add the certificate by hand", goos)
}

func each(ctx context.Context, cert *x509.Certificate, o Options, do func(store, context.Context, *machine) []Step) ([]Step, error) {
	m := newMachine(cert, o)
	all, err := stores(m.goos)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, kind := range Kinds() {
		if len(o.Kinds) > 0 && !slices.Contains(o.Kinds, kind) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return steps, err
		}
		steps = append(steps, do(all[kind], ctx, m)...)
	}
	var failed []string
	for _, s := range steps {
		if s.Status == Failed {
			failed = append(failed, s.Store)
		}
	}
	if len(failed) > 0 {
		return steps, errors.New("trust store not changed: " + strings.Join(failed, ", "))
	}
	return steps, nil
}

// machine is what stores see of the machine, and the certificate in the forms they need.
type machine struct {
	Options
	goos string
	cert *x509.Certificate
	pem  []byte
	// name is the authority's common name; slug is that as a file name.
	name, slug string
}

func newMachine(cert *x509.Certificate, o Options) *machine {
	m := &machine{Options: o, goos: o.GOOS, cert: cert, name: cert.Subject.CommonName}
	m.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if m.goos == "" {
		m.goos = runtime.GOOS
	}
	if m.Getenv == nil {
		m.Getenv = os.Getenv
	}
	if m.Home == "" {
		m.Home, _ = os.UserHomeDir()
	}
	if m.LookPath == nil {
		m.LookPath = exec.LookPath
	}
	if m.Run == nil {
		m.Run = run
	}
	if m.CertFile == "" {
		m.CertFile = "ca.pem"
	}
	if m.name == "" {
		m.name = "eaves " + m.sha256()[:8]
	}
	// The name of the file carries the certificate's fingerprint: another authority's file is never taken for this one's.
	m.slug = "eaves-" + m.sha256()[:16]
	return m
}

func (m *machine) path(p string) string { return filepath.Join(m.Root, p) }

func (m *machine) sha256() string {
	sum := sha256.Sum256(m.cert.Raw)
	return hex.EncodeToString(sum[:])
}

func (m *machine) sha1() string {
	sum := sha1.Sum(m.cert.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// has says whether a program is there.
func (m *machine) has(program string) bool {
	_, err := m.LookPath(program)
	return err == nil
}

// withFile calls f with a file that holds the certificate, for programs that read one.
func (m *machine) withFile(f func(path string) error) error {
	file, err := os.CreateTemp("", "eaves-ca-*.pem")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(m.pem)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return f(file.Name())
}

func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	// Without a terminal no program can ask for anything and wait for ever; in the C locale its output can be read.
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd.CombinedOutput()
}

// commandLine returns a command as a shell takes it.
func commandLine(name string, args ...string) string {
	var b strings.Builder
	b.WriteString(quote(name))
	for _, a := range args {
		b.WriteByte(' ')
		b.WriteString(quote(a))
	}
	return b.String()
}

func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%~", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// failure returns the last line that a program printed, or the error.
func failure(out []byte, err error) string {
	for line := range bytes.Lines(out) {
		if s := strings.TrimSpace(string(line)); s != "" {
			err = errors.New(s)
		}
	}
	return err.Error()
}
