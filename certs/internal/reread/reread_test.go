package reread

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var errBroken = errors.New("broken")

// text reads a file whose content may be anything but "broken".
func text(path string, reads *int) func() (string, error) {
	return func() (string, error) {
		*reads++
		b, err := os.ReadFile(path)
		if err == nil && string(b) == "broken" {
			err = errBroken
		}
		return string(b), err
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, s State[string], value string, err error) {
	t.Helper()
	if s.Value != value || s.Good != (value != "") || !errors.Is(s.Err, err) {
		t.Fatalf("got %q (good: %v), %v; want %q, %v", s.Value, s.Good, s.Err, value, err)
	}
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	reads := 0
	v := New([]string{path}, text(path, &reads), nil, nil)
	expect(t, v.Get(), "one", nil)
	expect(t, v.Look(), "one", nil)
	if reads != 1 {
		t.Fatalf("read %d times", reads)
	}
	// In its place, by rename.
	write(t, path+".new", "two")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	expect(t, v.Look(), "two", nil)
	// In place.
	write(t, path, "three")
	expect(t, v.Look(), "three", nil)
	// A broken one leaves what was, and so does one that is away.
	write(t, path, "broken")
	expect(t, v.Look(), "three", errBroken)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(t, v.Look(), "three", os.ErrNotExist)
	write(t, path, "four!")
	expect(t, v.Look(), "four!", nil)
}

// TestALinkThatPointsElsewhere is how Kubernetes replaces a mounted secret: f → ..data/f, ..data → ..1 becomes ..2.
func TestALinkThatPointsElsewhere(t *testing.T) {
	dir := t.TempDir()
	for i := 1; i <= 2; i++ {
		version := filepath.Join(dir, fmt.Sprintf("..%d", i))
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(version, "f"), fmt.Sprintf("v%d", i))
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, "tmp")); err != nil {
			t.Skip("symlink: ", err)
		}
		if err := os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link(filepath.Join("..data", "f"), "f")
	reads := 0
	path := filepath.Join(dir, "f")
	v := New([]string{path}, text(path, &reads), nil, nil)
	expect(t, v.Get(), "v1", nil)
	link("..2", "..data")
	expect(t, v.Look(), "v2", nil)
}

func TestWhatCannotBeReadIsNotTriedAllTheTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "broken")
	reads, changes := 0, 0
	v := New([]string{path}, text(path, &reads), func(error) bool { return false }, func(_, _ State[string]) { changes++ })
	for range 3 {
		expect(t, v.Look(), "", errBroken)
	}
	if reads != 1 || changes != 0 {
		t.Fatalf("%d reads, %d changes", reads, changes)
	}
	v.Forget()
	expect(t, v.Get(), "", errBroken)
	if reads != 2 || changes != 1 {
		t.Fatalf("after Forget: %d reads, %d changes", reads, changes)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	reads := 0
	v := New([]string{path}, text(path, &reads), nil, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				if s := v.Get(); !s.Good {
					t.Errorf("got %+v", s)
				}
			}
		}()
	}
	wg.Wait()
	if reads != 1 {
		t.Fatalf("read %d times", reads)
	}
}

// TestNobodyWaitsForWhatIsTriedAgain: a command that hangs would hold up a request each time.
func TestNobodyWaitsForWhatIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	first, release, done := true, make(chan struct{}), make(chan struct{})
	v := New([]string{path}, func() (string, error) {
		if first {
			first = false
			return "", errBroken
		}
		<-release
		return "one", nil
	}, nil, func(_, _ State[string]) { close(done) })
	expect(t, v.Get(), "", errBroken)
	v.mu.Lock()
	v.failed = time.Now().Add(-patience)
	v.looked.Store(0)
	v.mu.Unlock()
	got := make(chan State[string], 1)
	go func() { got <- v.Get() }()
	select {
	case s := <-got:
		expect(t, s, "", errBroken)
	case <-time.After(10 * time.Second):
		t.Error("it waits")
	}
	close(release)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it was not tried again")
	}
	expect(t, v.Last(), "one", nil)
}
