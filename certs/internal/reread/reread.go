// Package reread keeps what was read from files and reads it again when they change.
//
// # Guarantees
//
// Files are looked at when they are used, by stat and at most every Interval: a rename in their place, a symbolic link
// that points elsewhere (as Kubernetes mounts secrets), a file system without change notices and a directory that is away
// for a moment are all noticed or survived the same way, and nothing runs while nobody asks. Who asks never waits for a
// reading that another began, except for the very first, nor for one of the same files that only tries again what failed:
// it may take as long as a command that hangs. What was read before stays when the new content cannot be read; the State
// says both.
package reread

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Interval is how often files are looked at, at most.
	Interval = 250 * time.Millisecond
	// patience is how long a failed reading is not repeated while the files stay as they are.
	patience = 10 * time.Second
)

// State is what is known.
type State[T any] struct {
	// Value is what was read last; Good says that there is one.
	Value T
	Good  bool
	// Err is why the files as they are now cannot be used.
	Err error
}

// Value is something that is read from files. Its methods are safe for concurrent use.
type Value[T any] struct {
	paths  []string
	read   func() (T, error)
	again  func(error) bool
	change func(before, after State[T])

	state  atomic.Pointer[State[T]]
	looked atomic.Int64

	mu     sync.Mutex // of the one who reads
	seen   []os.FileInfo
	failed time.Time
	forced bool
}

// New makes a value of what read makes of the files at paths. again says of an error whether reading the same files anew
// may end better; change is told of every reading behind the first. Both may be nil. It reads nothing yet.
func New[T any](paths []string, read func() (T, error), again func(error) bool, change func(before, after State[T])) *Value[T] {
	if again == nil {
		again = func(error) bool { return true }
	}
	return &Value[T]{paths: paths, read: read, again: again, change: change}
}

// Get returns what is known, and looks at the files if that is due.
func (v *Value[T]) Get() State[T] {
	s := v.state.Load()
	if s == nil {
		return v.Look()
	}
	now := time.Now().UnixNano()
	if last := v.looked.Load(); now-last < int64(Interval) && now >= last || !v.looked.CompareAndSwap(last, now) || !v.mu.TryLock() {
		return *s
	}
	defer v.mu.Unlock()
	return v.look(false)
}

// Look looks at the files now, and waits for what comes of it.
func (v *Value[T]) Look() State[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.look(true)
}

// Last returns what is known without looking at anything.
func (v *Value[T]) Last() State[T] {
	if s := v.state.Load(); s != nil {
		return *s
	}
	return State[T]{}
}

// Forget has the next look read again what could not be read, also where the files are the same.
func (v *Value[T]) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forced = true
	v.looked.Store(0)
}

// look reads if there is a reason to; unless wait, what only is tried again is so behind the caller's back. The lock is
// held.
func (v *Value[T]) look(wait bool) State[T] {
	v.looked.Store(time.Now().UnixNano())
	before := v.state.Load()
	// Looked at before they are read: what changes meanwhile is seen the next time.
	seen := stat(v.paths)
	if before != nil && same(v.seen, seen) {
		retry := before.Err != nil && (v.forced || v.again(before.Err) && time.Since(v.failed) >= patience)
		if !retry {
			return *before
		}
		if !wait && !v.forced {
			v.failed = time.Now() // one at a time
			go func() {
				v.mu.Lock()
				defer v.mu.Unlock()
				if v.state.Load() == before { // nobody was faster
					v.take(seen)
				}
			}()
			return *before
		}
	}
	return v.take(seen)
}

// take reads files that look like this. The lock is held.
func (v *Value[T]) take(seen []os.FileInfo) State[T] {
	before := v.state.Load()
	v.seen, v.forced = seen, false
	after := State[T]{}
	value, err := v.read()
	switch {
	case err == nil:
		after.Value, after.Good = value, true
	case before != nil:
		after = *before
	}
	if after.Err = err; err != nil {
		v.failed = time.Now()
	}
	v.state.Store(&after)
	if before != nil && v.change != nil {
		v.change(*before, after)
	}
	return after
}

// stat returns what the paths lead to; nil for what is not there.
func stat(paths []string) []os.FileInfo {
	all := make([]os.FileInfo, len(paths))
	for i, p := range paths {
		if info, err := os.Stat(p); err == nil {
			all[i] = info
		}
	}
	return all
}

func same(a, b []os.FileInfo) bool {
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) {
			return false
		}
		if a[i] != nil && (!os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime())) {
			return false
		}
	}
	return true
}
