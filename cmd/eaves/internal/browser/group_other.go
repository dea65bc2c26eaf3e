//go:build !unix

package browser

import "os/exec"

func isRoot() bool { return false }

// group does nothing: the browser's helpers end with it.
func group(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
