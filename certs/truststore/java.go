package truststore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
)

// java is the store of the Java installation that JAVA_HOME or the keytool on the path belongs to. On Debian the
// system's store feeds it, so it is looked through by fingerprint rather than by alias.
type java struct{}

// storePassword opens Java's own store; it is public.
const storePassword = "changeit"

// find returns keytool and the store it belongs to.
func (java) find(m *machine) (keytool, keystore string, ok bool) {
	program := "keytool"
	if m.goos == "windows" {
		program = "keytool.exe"
	}
	var homes []string
	if home := m.Getenv("JAVA_HOME"); home != "" {
		homes = append(homes, home)
	}
	if path, err := m.LookPath(program); err == nil {
		// /usr/bin/keytool is a link to a link into the installation.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(real)))
		}
	}
	for _, home := range homes {
		keytool := filepath.Join(home, "bin", program)
		if _, err := os.Stat(keytool); err != nil {
			continue
		}
		// Java 9 and later; Java 8 as a runtime; Java 8 as a development kit.
		for _, p := range []string{"lib/security/cacerts", "jre/lib/security/cacerts"} {
			if file, err := filepath.EvalSymlinks(filepath.Join(home, filepath.FromSlash(p))); err == nil {
				return keytool, file, true
			}
		}
	}
	return "", "", false
}

var noJava = Step{Store: "Java", Status: Skipped, Message: "no Java found (JAVA_HOME, keytool)"}

func (s java) install(ctx context.Context, m *machine) []Step {
	keytool, keystore, ok := s.find(m)
	if !ok {
		return []Step{noJava}
	}
	step := Step{Store: "Java " + keystore}
	aliases, err := s.aliases(ctx, m, keytool, keystore)
	switch {
	case err != nil:
		step.Status, step.Message = Failed, err.Error()
		return []Step{step}
	case len(aliases) > 0:
		step.Status, step.Message = Already, "trusted as "+strings.Join(aliases, ", ")
		return []Step{step}
	}
	args := func(file string) []string {
		return []string{"-importcert", "-noprompt", "-keystore", keystore, "-storepass", storePassword, "-alias", m.slug, "-file", file}
	}
	step.Commands = []string{s.byHand(m, keytool, args(m.CertFile))}
	if err := writable(keystore); err != nil {
		return []Step{refused(step, err, step.Commands)}
	}
	err = m.withFile(func(file string) error {
		if out, err := m.Run(ctx, keytool, args(file)...); err != nil {
			return keytoolError(out, err)
		}
		return nil
	})
	if err != nil {
		step.Status, step.Message = Failed, err.Error()
		return []Step{step}
	}
	step.Status, step.Message, step.Commands = Done, "trusted as "+m.slug, []string{commandLine(keytool, args(m.CertFile)...)}
	return []Step{step}
}

func (s java) uninstall(ctx context.Context, m *machine) []Step {
	keytool, keystore, ok := s.find(m)
	if !ok {
		return []Step{noJava}
	}
	step := Step{Store: "Java " + keystore}
	aliases, err := s.aliases(ctx, m, keytool, keystore)
	switch {
	case err != nil:
		step.Status, step.Message = Failed, err.Error()
		return []Step{step}
	case len(aliases) == 0:
		step.Status, step.Message = Already, "not there"
		return []Step{step}
	}
	args := func(alias string) []string {
		return []string{"-delete", "-noprompt", "-keystore", keystore, "-storepass", storePassword, "-alias", alias}
	}
	for _, alias := range aliases {
		step.Commands = append(step.Commands, s.byHand(m, keytool, args(alias)))
	}
	if err := writable(keystore); err != nil {
		return []Step{refused(step, err, step.Commands)}
	}
	step.Commands = nil
	for _, alias := range aliases {
		if out, err := m.Run(ctx, keytool, args(alias)...); err != nil {
			step.Status, step.Message = Failed, keytoolError(out, err).Error()
			return []Step{step}
		}
		step.Commands = append(step.Commands, commandLine(keytool, args(alias)...))
	}
	step.Status, step.Message = Done, "removed "+strings.Join(aliases, ", ")
	return []Step{step}
}

func (java) byHand(m *machine, keytool string, args []string) string {
	if m.goos == "windows" {
		return commandLine(keytool, args...)
	}
	return commandLine("sudo", append([]string{keytool}, args...)...)
}

// writable says whether the store can be changed, without changing it.
func writable(keystore string) error {
	f, err := os.OpenFile(keystore, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// aliases returns the names under which the certificate stands in the store. keytool -list prints for each entry a line
// "alias, date, trustedCertEntry," and one with its SHA-256 in pairs of digits.
func (java) aliases(ctx context.Context, m *machine, keytool, keystore string) ([]string, error) {
	out, err := m.Run(ctx, keytool, "-J-Duser.language=en", "-list", "-keystore", keystore, "-storepass", storePassword)
	if err != nil {
		return nil, keytoolError(out, err)
	}
	var aliases []string
	alias := ""
	for line := range bytes.Lines(out) {
		text := strings.TrimSpace(string(line))
		if _, digits, ok := strings.Cut(text, "(SHA-256): "); ok {
			if strings.EqualFold(strings.ReplaceAll(digits, ":", ""), m.sha256()) && alias != "" {
				aliases = append(aliases, alias)
			}
			continue
		}
		if strings.Contains(text, "trustedCertEntry") {
			alias, _, _ = strings.Cut(text, ", ")
		}
	}
	return aliases, nil
}

func keytoolError(out []byte, err error) error {
	return &commandError{"keytool: " + failure(out, err), err}
}

// commandError is what a program said, with its exit status as cause.
type commandError struct {
	message string
	err     error
}

func (e *commandError) Error() string { return e.message }
func (e *commandError) Unwrap() error { return e.err }
