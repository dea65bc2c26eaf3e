// Package browser opens a browser whose traffic goes through eaves: with a profile of its own that is thrown away, the
// proxy set for every host (this machine's too), and the interception CA trusted by that profile alone.
//
// Nothing of the user's own browser is read or changed. The CA is not put into any store of the machine: Chromium is
// told its key on the command line, Firefox gets it in its new profile.
package browser

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Kind is a family of browsers that are started alike.
type Kind string

// The kinds of browser.
const (
	Chromium Kind = "chromium"
	Firefox  Kind = "firefox"
)

// Kinds returns all kinds, the one that is tried first at the front.
func Kinds() []Kind { return []Kind{Chromium, Firefox} }

// Config says what to open and where its traffic goes.
type Config struct {
	// Kind is the kind of browser; "" is the first that is installed.
	Kind Kind
	// Proxy is the address of the proxy. Required.
	Proxy string
	// CA is what the browser is to trust. Required.
	CA *x509.Certificate
	// URL is the page to open; "" is the onboarding page, whose check shows that all is well.
	URL string
	// Args are further arguments for the browser.
	Args []string
	// Say is told in one line each what the user should know. May be nil.
	Say func(string)
}

// Start is the page that is opened where none is named.
const Start = "http://eaves.test/"

// Error is a browser that could not be opened, with what to do about it.
type Error struct {
	message, hint string
	err           error
}

// Error returns what failed.
func (e *Error) Error() string { return e.message }

// Hint returns what to do next.
func (e *Error) Hint() string { return e.hint }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// stopTime is how long a browser has to close its windows, and then to let go of its profile.
const stopTime = 5 * time.Second

// Run opens the browser and waits until it has been closed or ctx is done, which closes it. Its profile is gone when
// Run returns.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	if cfg.URL == "" {
		cfg.URL = Start
	}
	if _, _, err := net.SplitHostPort(cfg.Proxy); err != nil {
		return fmt.Errorf("the proxy's address: %w", err)
	}
	// An argument that begins with a hyphen would be read as an option.
	if u, err := url.Parse(cfg.URL); err != nil || u.Scheme == "" {
		return &Error{message: fmt.Sprintf("%q is not a URL", cfg.URL), hint: "write it with its scheme: https://…"}
	}
	kind, program, err := find(cfg.Kind)
	if err != nil {
		return err
	}
	dir, err := makeProfile(program)
	if err != nil {
		return fmt.Errorf("making a profile: %w", err)
	}
	defer func() { err = errors.Join(err, removeProfile(dir)) }()

	var args, env []string
	switch kind {
	case Chromium:
		args = chromiumArgs(cfg, dir, isRoot())
		if isRoot() {
			cfg.Say("running as root: Chromium's sandbox is off, since it does not start with it")
		}
	case Firefox:
		if err := prepareFirefox(ctx, cfg, dir); err != nil {
			return err
		}
		args, env = firefoxArgs(cfg, dir), firefoxEnv()
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	return wait(ctx, cmd)
}

// wait runs the browser with all its processes as one group.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	said := &tail{max: 4096}
	cmd.Stdout, cmd.Stderr = io.Discard, said
	cmd.WaitDelay = stopTime
	group(cmd)
	err := cmd.Run()
	endGroup(cmd)
	if ctx.Err() != nil {
		return nil // it was closed on purpose
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		message := fmt.Sprintf("%s ended: %v", filepath.Base(cmd.Path), err)
		if last := said.last(); last != "" {
			message += ": " + last
		}
		return &Error{message: message, hint: displayHint(), err: err}
	}
	return nil
}

func displayHint() string {
	if runtime.GOOS == "linux" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return "there is no display here; a browser elsewhere can use the proxy: the steps are at " + Start
	}
	return ""
}

// makeProfile makes an empty directory for the profile.
func makeProfile(program string) (string, error) {
	parent := ""
	// A snap sees neither the machine's /tmp nor hidden directories.
	if name, ok := snap(program); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		parent = filepath.Join(home, "snap", name, "common")
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(parent, "eaves-browser-")
}

// snap returns the name of the snap that a program belongs to.
func snap(program string) (string, bool) {
	if rest, ok := strings.CutPrefix(program, "/snap/bin/"); ok {
		name, _, _ := strings.Cut(rest, ".")
		return name, true
	}
	// Ubuntu's packages are scripts that start the snap.
	if b, err := os.ReadFile(program); err == nil && bytes.HasPrefix(b, []byte("#!")) && bytes.Contains(b, []byte("exec /snap/bin/")) {
		return strings.TrimSuffix(filepath.Base(program), "-browser"), true
	}
	return "", false
}

// removeProfile removes the profile; processes that are on their way out may hold it, or write into it, for a moment.
func removeProfile(dir string) error {
	deadline := time.Now().Add(stopTime)
	for {
		err := os.RemoveAll(dir)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return &Error{message: "the profile was not removed: " + err.Error(), hint: "remove " + dir + " by hand", err: err}
		}
		<-time.After(50 * time.Millisecond)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	max int
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > t.max {
		t.b = append(t.b[:0], t.b[len(t.b)-t.max:]...)
	}
	return len(p), nil
}

// last returns the last line that says something.
func (t *tail) last() string {
	lines := strings.FieldsFunc(string(t.b), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if s := strings.TrimSpace(lines[i]); s != "" {
			return s
		}
	}
	return ""
}
