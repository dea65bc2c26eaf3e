package datadir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary a second process that holds a directory until its standard input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DATADIR_TEST_HOLD"); dir != "" {
		d, err := Open(dir)
		if err == nil {
			err = d.Announce(Run{PID: os.Getpid(), Proxy: "127.0.0.1:1", Console: "http://127.0.0.1:2", Token: "t"})
		}
		fmt.Println("held", err)
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts the second process. It is ended by kill, as kill -9 does.
func hold(t *testing.T, dir string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DATADIR_TEST_HOLD="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "held <nil>\n" {
		t.Fatalf("the holder says %q", line)
	}
	return kill
}

func TestOneProcessAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	kill := hold(t, dir)
	_, err := Open(dir)
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	if held.Run == nil || held.Run.Console != "http://127.0.0.1:2" || held.PID != held.Run.PID {
		t.Fatalf("got %+v", held)
	}
	if s := held.Error(); !strings.Contains(s, fmt.Sprint(held.PID)) || !strings.Contains(s, "127.0.0.1:1") || !strings.Contains(s, "127.0.0.1:2") {
		t.Fatalf("%q does not name pid and addresses", s)
	}
	kill()
	d, err := Open(dir)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if _, err := os.Stat(d.Join(runName)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the killed holder's note is still there: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWaitOutlastsAHolderWithoutANote(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	var held *HeldError
	if _, err := Wait(ctx, dir); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("got %v, want a HeldError of this process", err)
	}
	got := make(chan error, 1)
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() {
		d, err := Wait(ctx, dir)
		if err == nil {
			err = d.Close()
		}
		got <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "data")
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Announce(Run{Console: "x"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, d.Join(runName): 0o600, d.Join(lockName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", path, got, want)
		}
	}
}

func TestAnExistingDirectoryIsClosedToOthersOnlyIfItIsOurs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	for name, c := range map[string]struct {
		file string
		want os.FileMode
	}{"empty": {"", 0o700}, "ours": {ConfigName, 0o700}, "somebody's": {"thesis.tex", 0o755}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, c.file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			d, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			info, err := os.Stat(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != c.want {
				t.Errorf("got %o, want %o", got, c.want)
			}
		})
	}
}

func TestReplaceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, want := range []string{"one", "two"} {
		if err := Replace(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %v, %v", entries, err)
	}
	if err := Replace(filepath.Join(dir, "none", "f"), nil); err == nil {
		t.Fatal("no error for a directory that is not there")
	}
}
