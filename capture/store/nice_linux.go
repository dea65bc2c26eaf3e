package store

import (
	"runtime"
	"syscall"
)

// yielding ties the goroutine to a thread that the system runs when others have nothing to do: on Linux a priority is a
// thread's. It has to be ended by ending the goroutine, with which the thread goes.
func yielding() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), 15)
}
