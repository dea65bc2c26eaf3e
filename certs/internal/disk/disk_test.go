package disk_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"eaves/certs/internal/disk"
)

// TestCreateKeepsReplaceReplaces: and neither leaves anything beside the file.
func TestCreateKeepsReplaceReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for i, step := range []struct {
		write func() error
		want  string
	}{
		{func() error { return disk.Create(path, []byte("one"), 0o400) }, "one"},
		{func() error { return disk.Create(path, []byte("two"), 0o400) }, "one"},
		{func() error { return disk.Replace(path, []byte("three"), 0o600) }, "three"},
	} {
		if err := step.write(); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != step.want {
			t.Errorf("step %d: %q (%v), want %q", i, b, err, step.want)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v (%v)", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}
