//go:build unix

package truststore

import "syscall"

// errReadOnly is what writing to an immutable system (NixOS, Silverblue, a container) fails with.
const errReadOnly = syscall.EROFS
