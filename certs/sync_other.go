//go:build !unix

package certs

// syncDir does nothing: directories cannot be flushed here.
func syncDir(string) error { return nil }
