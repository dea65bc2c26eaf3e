package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"eaves/capture"
)

// TestFileSystemWithoutSpace fills a real file system, which only root can make.
func TestFileSystemWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("no file system to fill (%v); TestFullDisk fills the database alone", err)
		return
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var said logged
	s := openStore(t, Config{Dir: filepath.Join(dir, "data"), Log: said.log})
	record(s, 0, 200, "before")
	flush(t, s)
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(chunk)
	}
	f.Close()
	// A large body cannot go to a file, small ones not into the database.
	large := recordBody(s, 1, bytes.Repeat([]byte("large "), 100_000))
	eventually(t, "failing", func() bool {
		record(s, 2, 200, strings.Repeat("small ", 1000))
		return s.Health().State == HealthFailing
	})
	if h := s.Health(); !strings.Contains(h.Message, "disk is full") {
		t.Errorf("health %+v", h)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "going on", func() bool { return s.Health().State == HealthOK })
	flush(t, s)
	if x := get(t, s, large); !x.Response.Truncated || x.Response.BodySize != 600_000 {
		t.Errorf("got %+v", x.Response)
	} else if b := readBody(t, s, large, capture.SideResponse); int64(len(b)) != x.Response.Content.Size {
		t.Errorf("kept %d, row says %d", len(b), x.Response.Content.Size)
	}
	again := recordBody(s, 1, bytes.Repeat([]byte("large "), 100_000))
	flush(t, s)
	if x := get(t, s, again); x.Response.Truncated {
		t.Errorf("got %+v", x.Response)
	}
	checkIntegrity(t, s)
	closeStore(t, s)
}
