package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// digest is the SHA-256 of a body: the name of its file.
type digest [sha256.Size]byte

// bodyFiles is the directory of bodies too large for a row. A body is written under a name of its own, in tmp, while it
// grows; when it is whole, the writer renames it to its content's address, so that equal bodies meet. Only the writer
// renames and removes there: that is what makes "is it there, then count it" safe.
type bodyFiles struct {
	dir  string
	next atomic.Int64
}

func openBodyFiles(dir string) (*bodyFiles, error) {
	b := &bodyFiles{dir: dir}
	if err := os.MkdirAll(b.tmpDir(), 0o700); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bodyFiles) tmpDir() string { return filepath.Join(b.dir, "tmp") }

// path is where a whole body is. One directory for each first byte keeps directories small.
func (b *bodyFiles) path(d digest) string {
	name := hex.EncodeToString(d[:])
	return filepath.Join(b.dir, name[:2], name)
}

// create makes a file for a body that grows. Its name says whose body it is, so that it can be kept after a crash.
func (b *bodyFiles) create(id int64, side string) (*os.File, error) {
	name := strconv.FormatInt(id, 10) + "-" + side + "-" + strconv.FormatInt(b.next.Add(1), 10)
	return os.OpenFile(filepath.Join(b.tmpDir(), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// adopt moves a whole body from tmp to its address, or drops it where an equal one is already there.
func (b *bodyFiles) adopt(tmp string, d digest, size int64) error {
	path := b.path(d)
	if fi, err := os.Stat(path); err == nil && fi.Size() == size {
		return remove(tmp)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := os.Rename(tmp, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Some systems do not rename what somebody reads. The one in tmp is swept at the next start.
		err = copyFile(tmp, path)
	}
	return err
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	return err
}

// remove is os.Remove, content with what is already gone.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// leftover is a file that an earlier run left in tmp.
type leftover struct {
	path string
	id   int64
	side string
	size int64
}

// leftovers lists what is in tmp.
func (b *bodyFiles) leftovers() ([]leftover, error) {
	entries, err := os.ReadDir(b.tmpDir())
	if err != nil {
		return nil, err
	}
	var found []leftover
	for _, e := range entries {
		l := leftover{path: filepath.Join(b.tmpDir(), e.Name())}
		if parts := strings.Split(e.Name(), "-"); len(parts) == 3 {
			l.id, _ = strconv.ParseInt(parts[0], 10, 64)
			l.side = parts[1]
		}
		if fi, err := e.Info(); err == nil {
			l.size = fi.Size()
		}
		found = append(found, l)
	}
	return found, nil
}

// each calls f for each whole body in the directory.
func (b *bodyFiles) each(f func(d digest) error) error {
	shelves, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, shelf := range shelves {
		if len(shelf.Name()) != 2 {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(b.dir, shelf.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			raw, err := hex.DecodeString(e.Name())
			if err != nil || len(raw) != len(digest{}) {
				continue
			}
			if err := f(digest(raw)); err != nil {
				return err
			}
		}
	}
	return nil
}
