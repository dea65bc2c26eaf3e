package truststore

import (
	"bytes"
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
)

// nss are the databases of Firefox (one in each profile) and, on Linux, of Chromium. They belong to the user, so no
// other rights are needed; they are changed by certutil of the NSS tools.
type nss struct{}

// profileDirs are the directories that hold Firefox's profiles, below the home directory.
var profileDirs = map[string][]string{
	"linux": {
		".mozilla/firefox/*",
		".config/mozilla/firefox/*", // Firefox 147 and later, which follow the XDG directories
		"snap/firefox/common/.mozilla/firefox/*",
		".var/app/org.mozilla.firefox/.mozilla/firefox/*",
		".var/app/org.mozilla.firefox/config/mozilla/firefox/*",
		".librewolf/*",
	},
	"darwin":  {"Library/Application Support/Firefox/Profiles/*"},
	"windows": {"AppData/Roaming/Mozilla/Firefox/Profiles/*"},
}

// sharedDirs are the databases of Chromium on Linux.
var sharedDirs = map[string][]string{
	"linux": {".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb"},
}

// databases returns the directories that hold a database (cert9.db; the older cert8.db is unused since Firefox 58).
func (nss) databases(m *machine) []string {
	if m.Home == "" {
		return nil
	}
	var dirs []string
	for _, pattern := range append(append([]string(nil), sharedDirs[m.goos]...), profileDirs[m.goos]...) {
		// The home directory may hold characters that a pattern would read.
		found, err := filepath.Glob(filepath.Join(escapeGlob(m.Home), filepath.FromSlash(pattern), "cert9.db"))
		if err != nil {
			continue
		}
		for _, file := range found {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return dirs
}

func escapeGlob(s string) string {
	if filepath.Separator == '\\' {
		return s // Windows has no escapes in patterns
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// chromium says whether a browser is there that reads the shared database on Linux.
func (nss) chromium(m *machine) bool {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser"} {
		if m.has(name) {
			return true
		}
	}
	return false
}

// program returns the path of certutil. On Windows the name belongs to a program of the system.
func (nss) program(m *machine) (string, string) {
	switch m.goos {
	case "windows":
		return "", "Firefox on Windows reads the system's store (security.enterprise_roots.enabled); or import the file in its settings, under Certificates"
	case "darwin":
		for _, p := range []string{"certutil", "/opt/homebrew/opt/nss/bin/certutil", "/usr/local/opt/nss/bin/certutil"} {
			if path, err := m.LookPath(p); err == nil {
				return path, ""
			}
		}
		return "", "brew install nss"
	}
	if path, err := m.LookPath("certutil"); err == nil {
		return path, ""
	}
	switch {
	case m.has("apt-get"):
		return "", "sudo apt-get install libnss3-tools"
	case m.has("dnf"):
		return "", "sudo dnf install nss-tools"
	case m.has("zypper"):
		return "", "sudo zypper install mozilla-nss-tools"
	case m.has("pacman"):
		return "", "sudo pacman -S nss"
	}
	return "", "install certutil of the NSS tools"
}

func (s nss) install(ctx context.Context, m *machine) []Step {
	dbs := s.databases(m)
	var steps []Step
	certutil, missing := s.program(m)
	if len(dbs) == 0 && m.goos == "linux" && m.Home != "" && s.chromium(m) && certutil != "" {
		// Chromium makes its database when it first needs one; it reads one that is there before.
		dir := filepath.Join(m.Home, ".pki", "nssdb")
		step := Step{Store: "NSS " + dir, Commands: []string{commandLine("certutil", "-N", "--empty-password", "-d", "sql:"+dir)}}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			step.Status, step.Message = Failed, err.Error()
			return append(steps, step)
		}
		if out, err := m.Run(ctx, certutil, "-N", "--empty-password", "-d", "sql:"+dir); err != nil {
			step.Status, step.Message = Failed, "making the database: "+failure(out, err)
			return append(steps, step)
		}
		step.Status, step.Message = Done, "made the database that Chromium reads"
		steps, dbs = append(steps, step), []string{dir}
	}
	if len(dbs) == 0 {
		return append(steps, Step{Store: "NSS (Firefox, Chromium)", Status: Skipped, Message: "no profile found"})
	}
	for _, dir := range dbs {
		step := Step{Store: "NSS " + dir}
		byHand := commandLine("certutil", "-A", "-d", "sql:"+dir, "-t", "C,,", "-n", m.name, "-i", m.CertFile)
		switch {
		case certutil == "":
			step.Status, step.Message = Manual, "certutil is missing: "+missing
			if m.goos != "windows" {
				step.Commands = []string{missing, byHand}
			}
		case s.trusted(ctx, m, certutil, dir):
			step.Status, step.Message = Already, "trusted"
		default:
			step.Commands = []string{byHand}
			err := m.withFile(func(file string) error {
				out, err := m.Run(ctx, certutil, "-A", "-d", "sql:"+dir, "-t", "C,,", "-n", m.name, "-i", file)
				if err != nil {
					step.Status, step.Message = Failed, failure(out, err)
				}
				return nil
			})
			switch {
			case err != nil:
				step.Status, step.Message = Failed, err.Error()
			case step.Status == Failed:
			case !s.trusted(ctx, m, certutil, dir):
				step.Status, step.Message = Failed, "certutil said nothing, but the certificate is not in the database"
			default:
				step.Status, step.Message = Done, "trusted as "+m.name
			}
		}
		steps = append(steps, step)
	}
	return steps
}

func (s nss) uninstall(ctx context.Context, m *machine) []Step {
	dbs := s.databases(m)
	if len(dbs) == 0 {
		return []Step{{Store: "NSS (Firefox, Chromium)", Status: Skipped, Message: "no profile found"}}
	}
	certutil, missing := s.program(m)
	var steps []Step
	for _, dir := range dbs {
		step := Step{Store: "NSS " + dir}
		byHand := commandLine("certutil", "-D", "-d", "sql:"+dir, "-n", m.name)
		switch {
		case certutil == "":
			step.Status, step.Message = Manual, "certutil is missing: "+missing
			if m.goos != "windows" {
				step.Commands = []string{missing, byHand}
			}
		case !s.present(ctx, m, certutil, dir):
			step.Status, step.Message = Already, "not there"
		default:
			step.Commands = []string{byHand}
			if out, err := m.Run(ctx, certutil, "-D", "-d", "sql:"+dir, "-n", m.name); err != nil {
				step.Status, step.Message = Failed, failure(out, err)
			} else {
				step.Status, step.Message = Done, "removed "+m.name
			}
		}
		steps = append(steps, step)
	}
	return steps
}

// present says whether this very certificate is in the database.
func (nss) present(ctx context.Context, m *machine, certutil, dir string) bool {
	out, err := m.Run(ctx, certutil, "-L", "-d", "sql:"+dir, "-n", m.name, "-a")
	if err != nil {
		return false
	}
	for {
		block, rest := pem.Decode(out)
		if block == nil {
			return false
		}
		if bytes.Equal(block.Bytes, m.cert.Raw) {
			return true
		}
		out = rest
	}
}

// trusted says whether it is there as an authority for servers: in the list, the flags after the name read C,, (certutil
// shows CT,, for one that was trusted for clients too).
func (s nss) trusted(ctx context.Context, m *machine, certutil, dir string) bool {
	if !s.present(ctx, m, certutil, dir) {
		return false
	}
	out, err := m.Run(ctx, certutil, "-L", "-d", "sql:"+dir)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(out) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(string(line)), m.name)
		if !ok {
			continue
		}
		ssl, _, _ := strings.Cut(strings.TrimSpace(rest), ",")
		return strings.Contains(ssl, "C")
	}
	return false
}
