//go:build unix

package browser

import (
	"os"
	"os/exec"
	"syscall"
)

func isRoot() bool { return os.Geteuid() == 0 }

// group makes the browser the head of a process group, so that it ends with all its helpers; a Ctrl-C at the terminal
// then reaches eaves alone, which closes the browser.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// endGroup ends what is left of the group.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
