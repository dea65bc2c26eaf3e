package store

import (
	"fmt"
	"sort"
	"sync"

	"eaves/capture"
)

const (
	feedChanges = 8192
	feedBytes   = 16 << 20
)

// ErrGap says that a subscriber was too slow to be told every change: those with a seq after From and up to To are
// missing. The subscription goes on after To; what was missed is read by seq.
type ErrGap struct{ From, To int64 }

func (e *ErrGap) Error() string {
	return fmt.Sprintf("too slow: changes %d to %d were not sent", e.From+1, e.To)
}

// feed keeps the latest changes for all subscribers together, so that a slow one costs no memory of its own.
type feed struct {
	mu      sync.Mutex
	ring    []capture.Change
	sizes   []int64
	first   int // of the ring
	n       int
	bytes   int64
	seq     int64 // of the last change published
	since   int64 // every change after this seq is in the ring
	removed int64 // the seq of the last removal that is not in the ring any more
	subs    int
	changed chan struct{} // closed at the next change; nil while nobody waits
}

func (f *feed) init(seq, removed int64) { f.seq, f.since, f.removed = seq, seq, removed }

// publish makes changes known, in order of their seq.
func (f *feed) publish(changes []capture.Change, sizes []int64) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = changes[len(changes)-1].Seq
	if f.subs == 0 {
		// Nobody listens; who comes later reads the database.
		for i := range changes {
			f.forget(&changes[i])
		}
		return
	}
	if f.ring == nil {
		f.ring, f.sizes = make([]capture.Change, feedChanges), make([]int64, feedChanges)
	}
	for i, c := range changes {
		for f.n > 0 && (f.n == len(f.ring) || f.bytes+sizes[i] > feedBytes) {
			f.drop()
		}
		at := (f.first + f.n) % len(f.ring)
		f.ring[at], f.sizes[at] = c, sizes[i]
		f.n++
		f.bytes += sizes[i]
	}
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// drop forgets the oldest change.
func (f *feed) drop() {
	f.forget(&f.ring[f.first])
	f.bytes -= f.sizes[f.first]
	f.ring[f.first] = capture.Change{}
	f.first = (f.first + 1) % len(f.ring)
	f.n--
}

// forget notes that a change is not in the ring.
func (f *feed) forget(c *capture.Change) {
	f.since = c.Seq
	if len(c.Removed) > 0 {
		f.removed = c.Seq
	}
}

func (f *feed) join() {
	f.mu.Lock()
	f.subs++
	f.mu.Unlock()
}

func (f *feed) leave() {
	f.mu.Lock()
	if f.subs--; f.subs == 0 {
		for f.n > 0 {
			f.drop()
		}
		f.ring, f.sizes = nil, nil
	}
	f.mu.Unlock()
}

// known says how much of what came after seq can still be told: all of it from the ring (covered), or all of it with the
// database's help (told).
func (f *feed) known(seq int64) (covered, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return seq >= f.since, seq >= f.removed && seq <= f.seq
}

// after returns up to limit changes after seq; if there are none yet, a channel that is closed when there are. Where
// the ring does not go back to seq, ok is false and since says how far it goes.
func (f *feed) after(seq int64, limit int) (changes []capture.Change, wait <-chan struct{}, since int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq < f.since {
		return nil, nil, f.since, false
	}
	i := sort.Search(f.n, func(i int) bool { return f.ring[(f.first+i)%len(f.ring)].Seq > seq })
	if i == f.n {
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		return nil, f.changed, f.since, true
	}
	changes = make([]capture.Change, 0, min(limit, f.n-i))
	for ; i < f.n && len(changes) < limit; i++ {
		changes = append(changes, f.ring[(f.first+i)%len(f.ring)])
	}
	return changes, nil, f.since, true
}

func (f *feed) last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}
