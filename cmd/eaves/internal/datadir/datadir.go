// Package datadir is the directory that one eaves owns at a time: its place, its modes, its lock, and the note by which
// other commands find the process that holds it.
//
// # Guarantees
//
// While a Dir is open no other process holds the same directory: the lock is the operating system's and ends with the
// process, however that ends. A note that a killed process left behind is removed by the next holder before it does
// anything else, so whoever finds the directory held and a note in it may believe the note. Files are replaced by
// rename, and only the owner may read them.
package datadir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"eaves/cmd/eaves/internal/failure"
)

// Names of the files in the directory that this package knows.
const (
	lockName     = "lock"
	runName      = "run.json"
	SettingsName = "settings.json"
	ConfigName   = "eaves.yaml"
	// CertificatesName is the directory that keeps copies of uploaded certificates and keys.
	CertificatesName = "certificates"
)

// Run is what a running eaves says of itself, in run.json and in the ready file.
type Run struct {
	PID     int    `json:"pid"`
	Proxy   string `json:"proxy"`
	Console string `json:"console"`
	Token   string `json:"token"`
	CA      string `json:"ca"`
	Data    string `json:"data"`
}

// HeldError says that another process holds the directory. Run is its note, nil where it has none: a command that is
// just working on the stopped store, or an eaves that is starting.
type HeldError struct {
	Dir string
	PID int
	Run *Run
}

// Error names the holder and where it listens.
func (e *HeldError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	if e.Run == nil {
		return fmt.Sprintf("%s is in use by %s", e.Dir, who)
	}
	return fmt.Sprintf("%s is in use by process %d (proxy %s, console %s)", e.Dir, e.Run.PID, e.Run.Proxy, e.Run.Console)
}

// Default is the data directory of this user.
func Default() (string, error) {
	home, err := os.UserHomeDir()
	base := ""
	switch runtime.GOOS {
	case "windows":
		base = os.Getenv("LocalAppData")
	case "darwin", "ios":
		if err == nil {
			base = filepath.Join(home, "Library", "Application Support")
		}
	default:
		// The XDG base directory specification: relative paths are to be ignored.
		if base = os.Getenv("XDG_DATA_HOME"); !filepath.IsAbs(base) {
			base = ""
			if err == nil {
				base = filepath.Join(home, ".local", "share")
			}
		}
	}
	if base == "" {
		return "", failure.Wrong("finding the data directory", errors.New("this user has no home directory"), "name one with --data DIR")
	}
	return filepath.Join(base, "eaves"), nil
}

// Dir is a data directory that this process holds.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the directory if need be and takes its lock. A directory that is held gives a *HeldError at once.
func Open(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failure.New("opening the data directory", err, "")
	}
	if err := Prepare(abs); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(abs, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failure.New("opening the data directory", err, "name one that you may write to with --data DIR")
	}
	held, err := tryLock(f)
	if err != nil {
		f.Close()
		return nil, failure.New("locking the data directory", err, "name one on a local disk with --data DIR")
	}
	if !held {
		f.Close()
		return nil, &HeldError{Dir: abs, PID: holderPID(abs), Run: readRun(abs)}
	}
	d := &Dir{path: abs, lock: f}
	if err := os.Remove(d.Join(runName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Close()
		return nil, failure.New("opening the data directory", err, "")
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		d.Close()
		return nil, failure.New("opening the data directory", err, "")
	}
	return d, nil
}

// Wait opens the directory like Open, but waits for a holder that has no note yet or any more: a command that is soon
// done, or an eaves that is starting or stopping. It gives up with a *HeldError when ctx ends, or at once when the
// holder is a running eaves.
func Wait(ctx context.Context, path string) (*Dir, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := Open(path)
		var held *HeldError
		if !errors.As(err, &held) || held.Run != nil {
			return d, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// Path is the directory's absolute path.
func (d *Dir) Path() string { return d.path }

// Join is the path of a file in the directory.
func (d *Dir) Join(name string) string { return filepath.Join(d.path, name) }

// Announce writes the note by which other commands find this process.
func (d *Dir) Announce(r Run) error { return WriteJSON(d.Join(runName), r) }

// Close removes the note and gives the directory up.
func (d *Dir) Close() error {
	err := os.Remove(d.Join(runName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	// Closing the file ends the lock; the file itself stays, since removing it would let two holders lock two files.
	return errors.Join(err, d.lock.Close())
}

// WriteJSON replaces the file by rename with v as JSON, readable by its owner only, so that a reader finds all of it or
// the one before.
func WriteJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Replace(path, append(b, '\n'))
}

// Replace replaces the file by rename, readable by its owner only, so that a reader, or the machine after a loss of
// power, finds all of it or the one before.
func Replace(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Prepare makes the directory, for its owner only. An existing one is closed to others if it is ours or empty; one that
// holds foreign files keeps its mode, since closing somebody's home or /tmp would do harm.
func Prepare(dir string) error {
	if err := prepare(dir); err != nil {
		return failure.New("opening the data directory", err, "name one that you may write to with --data DIR")
	}
	return nil
}

func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	ours, err := isOurs(dir)
	if err != nil || !ours {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// isOurs says whether everything in the directory is a file of eaves.
func isOurs(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		name := strings.TrimPrefix(e.Name(), ".")
		switch {
		case name == lockName, name == ConfigName, name == "bodies", name == CertificatesName,
			strings.HasPrefix(name, runName), strings.HasPrefix(name, SettingsName),
			strings.HasPrefix(name, "vault."), strings.HasPrefix(name, "ca."), strings.HasPrefix(name, "eaves.db"):
		default:
			return false, nil
		}
	}
	return true, nil
}

// holderPID is the process id that the holder wrote into the lock file, 0 where it cannot be read.
func holderPID(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, lockName))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// readRun is the holder's note, nil where there is none.
func readRun(dir string) *Run {
	b, err := os.ReadFile(filepath.Join(dir, runName))
	if err != nil {
		return nil
	}
	var r Run
	if json.Unmarshal(b, &r) != nil || r.Console == "" {
		return nil
	}
	return &r
}
