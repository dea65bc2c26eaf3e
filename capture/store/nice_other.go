//go:build !linux

package store

// yielding does nothing where a thread has no priority of its own that it may lower.
func yielding() {}
