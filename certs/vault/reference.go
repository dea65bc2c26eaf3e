package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// commandTime is how long the command of a reference may take: an unlocked password manager answers at once, and one
// that waits for somebody would hold up a handshake.
const commandTime = 10 * time.Second

const referenceHint = "write env:NAME, file:PATH, cmd:COMMAND or vault:NAME"

// Valid says whether ref has the form of a reference, without looking at what it names.
func Valid(ref string) error {
	kind, rest, ok := strings.Cut(ref, ":")
	switch {
	case !ok || kind != "env" && kind != "file" && kind != "cmd" && kind != "vault":
		// Not what it says instead: that may be the secret itself.
		return &Error{"it is no reference to a secret", referenceHint, ErrForm}
	case strings.TrimSpace(rest) == "":
		return &Error{"the reference " + kind + ": names nothing", referenceHint, ErrForm}
	case strings.ContainsRune(rest, 0):
		return &Error{"the reference " + kind + ": holds a zero byte", referenceHint, ErrForm}
	case kind == "env" && strings.ContainsAny(rest, "= \t\r\n"):
		return &Error{"the reference env: does not name a variable", "write env:NAME, without a value", ErrForm}
	case kind == "vault":
		return validName(rest)
	}
	return nil
}

// Resolve returns the secret that ref names. A line break at the end of a file or of a command's output is not part of
// it.
func (v *Vault) Resolve(ctx context.Context, ref string) ([]byte, error) {
	if err := Valid(ref); err != nil {
		return nil, err
	}
	switch kind, rest, _ := strings.Cut(ref, ":"); kind {
	case "env":
		value, ok := os.LookupEnv(rest)
		if !ok {
			return nil, &Error{"the variable " + rest + " is not set", "set it in the environment that eaves runs in", ErrNotFound}
		}
		return []byte(value), nil
	case "file":
		return fromFile(rest)
	case "cmd":
		return fromCommand(ctx, rest, v.patience)
	default:
		return v.get(rest)
	}
}

func fromFile(path string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, rest)
	}
	// To open a pipe that nobody writes to would hold up a handshake for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &Error{path + " is not a file, so that no secret is read from it", "name a file; what comes by a pipe can be had with cmd:cat", ErrForm}
	}
	b, err := readLimited(path, maxValue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{"the file " + path + " that holds the secret is not there", "put it there, or name another one", ErrNotFound}
	}
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	return trimLine(b), nil
}

// fromCommand runs a command line by the shell. What it writes to its standard error goes nowhere: it may hold what is
// not to be recorded, and an error of ours is.
func fromCommand(caller context.Context, line string, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(caller, patience)
	defer cancel()
	shell, flag := "/bin/sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd.exe", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, line)
	group(cmd)
	// What the command started in turn may hold its output open.
	cmd.WaitDelay = time.Second
	var out limited
	cmd.Stdout = &out
	err := cmd.Run()
	name := "the command " + firstWord(line) + " of a secret"
	const hint = "run it by hand to see what it says; it must print the secret, and ask for nothing"
	switch {
	case caller.Err() != nil:
		return nil, caller.Err()
	case ctx.Err() != nil:
		return nil, &Error{fmt.Sprintf("%s did not end within %s", name, patience), hint, context.DeadlineExceeded}
	case out.over:
		return nil, &Error{fmt.Sprintf("%s printed more than %d KiB", name, maxValue>>10), hint, ErrForm}
	case err != nil:
		return nil, &Error{name + " failed: " + err.Error(), hint, err}
	case out.buf.Len() == 0:
		return nil, &Error{name + " printed nothing", hint, ErrNotFound}
	}
	return trimLine(out.buf.Bytes()), nil
}

// firstWord names a command without its arguments, which may be secrets.
func firstWord(line string) string {
	word := strings.Fields(line)[0]
	if strings.Contains(word, "=") { // an assignment before the command
		return "line"
	}
	return filepath.Base(word)
}

func trimLine(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// limited collects output up to a limit.
type limited struct {
	buf  bytes.Buffer
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.buf.Len()+len(p) > maxValue {
		l.over = true
		return 0, errors.New("too much output")
	}
	return l.buf.Write(p)
}

// readAll reads no more than limit bytes, and says so where there are more.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("larger than %d KiB", limit>>10)
	}
	return b, err
}
