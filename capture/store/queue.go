package store

import (
	"sync"
	"sync/atomic"

	"eaves/capture"
)

// entryKind says what an entry of the queue is.
type entryKind uint8

const (
	entryFinal   entryKind = iota // the last revision of an exchange
	entryOpen                     // a revision of one that runs
	entryMessage                  // a message of one
	entryTask                     // work that somebody waits for
)

// entry is one thing for the writer to do.
type entry struct {
	kind entryKind
	r    *recording
	// x is the revision: r's own exchange when final, else a copy.
	x       *capture.Exchange
	message *capture.Message
	// A message's payload that is a file: where it is until it is adopted, and what it is.
	tmp      string
	sum      digest
	fileSize int64
	size     int64
	task     *task
}

// queue is what waits for the writer: bounded by what it holds in memory, not by how many.
type queue struct {
	mu      sync.Mutex
	room    sync.Cond
	entries []entry
	spare   []entry // the slice that the writer has done with
	// bytes counts what is queued and what the writer has in its hands, until it is committed.
	bytes  atomic.Int64
	urgent bool
	free   bool // nobody waits: the writer is stuck, failing or gone
	wake   chan struct{}
}

func (q *queue) init() {
	q.room.L = &q.mu
	q.wake = make(chan struct{}, 1)
}

// add queues e. It wakes the writer when it has nothing to do or enough, not for each entry. It returns false, and
// queues nothing, where nobody waits any more and much too much is queued already: the writer hangs.
func (q *queue) add(e entry) bool {
	bytes := q.bytes.Add(e.size)
	q.mu.Lock()
	if q.free && bytes >= 2*queueLimit && e.kind != entryTask {
		q.mu.Unlock()
		q.bytes.Add(-e.size)
		return false
	}
	q.entries = append(q.entries, e)
	n := len(q.entries)
	if e.kind == entryTask {
		q.urgent = true
	}
	q.mu.Unlock()
	if n == 1 || n == batchRows || e.kind == entryTask || bytes >= batchBytes && bytes-e.size < batchBytes {
		q.signal()
	}
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// full says whether the writer should start without gathering more.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.urgent || len(q.entries) >= batchRows || q.bytes.Load() >= batchBytes
}

// take returns everything queued.
func (q *queue) take() []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	es := q.entries
	q.entries, q.spare, q.urgent = q.spare, nil, false
	return es
}

// done gives a slice from take back, and room for the bytes that its entries held.
func (q *queue) done(es []entry) {
	clear(es)
	q.mu.Lock()
	if q.spare == nil && cap(es) <= 4*batchRows {
		q.spare = es[:0]
	}
	q.mu.Unlock()
}

// release makes room.
func (q *queue) release(bytes int64) {
	if after := q.bytes.Add(-bytes); after < queueLimit && after+bytes >= queueLimit {
		q.mu.Lock()
		q.room.Broadcast()
		q.mu.Unlock()
	}
}

// wait returns when there is room. It does not wait for a writer that cannot write.
func (q *queue) wait() {
	if q.bytes.Load() < queueLimit {
		return
	}
	q.mu.Lock()
	for q.bytes.Load() >= queueLimit && !q.free {
		q.room.Wait()
	}
	q.mu.Unlock()
}

// setFree says whether waiting is of no use.
func (q *queue) setFree(free bool) {
	q.mu.Lock()
	q.free = free
	if free {
		q.room.Broadcast()
	}
	q.mu.Unlock()
}

// halfFull says whether the writer is behind.
func (q *queue) halfFull() bool { return q.bytes.Load() >= queueLimit/2 }

// len says how many entries wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}
