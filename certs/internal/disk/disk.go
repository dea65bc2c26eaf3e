// Package disk writes files that are whole or not there at all, whatever moment the process or the machine dies at.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a file that appears whole, with its mode, or not at all; one that is there already stays.
func Create(path string, data []byte, mode fs.FileMode) error {
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	// link(2) fails if the name exists, rename(2) would replace it.
	if err = os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without hard links (FAT, some mounts): the caller's lock has to do.
		if _, statErr := os.Lstat(path); errors.Is(statErr, fs.ErrNotExist) {
			err = os.Rename(tmp, path)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Replace writes a file that appears whole in the place of what was there.
func Replace(path string, data []byte, mode fs.FileMode) error {
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	if err := Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return Sync(filepath.Dir(path))
}

// Rename puts a file in the place of another, also where that is marked read-only.
func Rename(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrPermission) {
		// Windows does not replace a file that is marked read-only.
		if os.Chmod(to, 0o600) == nil {
			err = os.Rename(from, to)
		}
	}
	return err
}

// writeTemp writes data to a new file beside path and makes sure that it is on the disk.
func writeTemp(path string, data []byte, mode fs.FileMode) (name string, err error) {
	// CreateTemp's files have mode 0600: the key is at no moment readable by others.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return "", err
	}
	if err = f.Chmod(mode); err != nil {
		return "", err
	}
	if err = f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}
