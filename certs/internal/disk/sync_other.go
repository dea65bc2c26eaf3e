//go:build !unix

package disk

// Sync does nothing: directories cannot be flushed here.
func Sync(string) error { return nil }
