//go:build unix

package vault

import (
	"os/exec"
	"syscall"
)

// group makes the command the head of a process group, so that what it has started ends with it, and keeps a Ctrl-C at
// the terminal from it.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
