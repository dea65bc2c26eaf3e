//go:build unix

package vault

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestAPipeIsNotWaitedFor: nobody may ever write to it.
func TestAPipeIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("mkfifo: ", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := v.Resolve(t.Context(), "file:"+pipe)
		done <- err
	}()
	select {
	case err := <-done:
		wantError(t, err, ErrForm, "is not a file")
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}
