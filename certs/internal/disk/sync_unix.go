//go:build unix

package disk

import "os"

// Sync makes a rename or link in dir survive a power cut.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
