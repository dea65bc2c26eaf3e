package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"

	"eaves/capture"
)

// task is work for the writer that somebody waits for.
type task struct {
	// run works inside a transaction of its own; it returns the ids that it removed.
	run func(w *writer) (removed []int64, err error)
	// after runs when that is committed.
	after func()
	// outside says that the work is no part of a transaction.
	outside bool
	// barrier says that the task is to wait for what was queued before it: it fails while that cannot be written.
	barrier bool
	done    chan error
}

// writer is the one connection that writes, and the one goroutine that uses it.
type writer struct {
	store *Store
	conn  *conn
	rows  *rowEncoder
	seq   int64 // of the last revision in this transaction
	lease int64 // ids up to here may be given out
	saved int64 // the seq that a restart would find, as of the last commit

	begin, commit, rollback                                               *statement
	insert, replace, insertDetails, replaceDetails                        *statement
	insertMessage, countFile, insertReceipt, insertCertificate, setNumber *statement

	statements []*statement // all of them
	noted      []*statement // those that the tail holds, by their numbers in it

	// A transaction that is left open, under load, to take more: what it has so far stands in the tail.
	tail      *tail
	pending   []entry
	waiting   atomic.Bool // there are some
	rowSeq    int64       // the seq that a restart would find if it were committed
	commitAt  *time.Timer
	dueAt     time.Time
	finishing bool // the store closes: nothing is left open
	singly    bool // one of several entries cannot be written: it is looked for

	receipts  *receipts
	headers   [3][]byte        // buffers
	published []capture.Change // by this transaction
	sizes     []int64
	pages     int64 // in the write-ahead log since the last checkpoint, roughly
	retryAt   time.Time
	lastBatch time.Time
	recent    int          // entries since the last sweep
	loaded    bool         // they were many
	busySince atomic.Int64 // microseconds since 1970; 0: not in a commit
	slow      atomic.Bool  // the last commit took long
}

// prepare makes the writer's statements.
func (w *writer) prepare() error {
	w.rows, w.receipts = newRowEncoder(), newReceipts(w)
	details := " INTO details (id, req_headers, resp_headers, rest, tls, req_file, resp_file, req_body, resp_body) VALUES (?,?,?,?,?,?,?,?,?)"
	var noted []string
	for _, st := range []struct {
		into **statement
		note bool // it is part of what the tail holds
		sql  string
	}{
		{&w.begin, false, "BEGIN IMMEDIATE"},
		{&w.commit, false, "COMMIT"},
		{&w.rollback, false, "ROLLBACK"},
		{&w.insert, true, insertExchange("INSERT")},
		{&w.replace, true, insertExchange("REPLACE")},
		{&w.insertDetails, true, "INSERT" + details},
		{&w.replaceDetails, true, "REPLACE" + details},
		{&w.insertMessage, true, "REPLACE INTO messages (exchange, n, sent, kind, time, size, truncated, file, data, injected) VALUES (?,?,?,?,?,?,?,?,?,?)"},
		{&w.countFile, true, "INSERT INTO files (hash, size, refs) VALUES (?,?,1) ON CONFLICT (hash) DO UPDATE SET refs = refs + 1"},
		{&w.insertReceipt, true, "INSERT INTO receipts (hash, receipt) VALUES (?,?) ON CONFLICT (hash) DO NOTHING"},
		{&w.insertCertificate, true, "REPLACE INTO certificates (sha256, kind, certificate, host, exchange, seen) VALUES (?,?,?,?,?,?)"},
		{&w.setNumber, true, "INSERT INTO store (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"},
	} {
		made, err := w.conn.prepare(st.sql)
		if err != nil {
			return err
		}
		*st.into = made
		w.statements = append(w.statements, made)
		if st.note {
			made.number = uint8(len(w.noted))
			w.noted, noted = append(w.noted, made), append(noted, st.sql)
		}
	}
	w.tail = newTail(filepath.Join(w.store.cfg.Dir, "eaves.tail"), noted)
	return nil
}

// note says whether statements are noted for the tail.
func (w *writer) note(on bool) {
	var t *tail
	if on {
		t = w.tail
	}
	for _, st := range w.noted {
		st.tail = t
	}
}

// run is the writer's goroutine. It ends when the store closes and everything queued is written, or cannot be.
func (w *writer) run() {
	s := w.store
	defer close(s.drained)
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	gather, commit := time.NewTimer(0), time.NewTimer(0)
	<-gather.C
	<-commit.C
	w.commitAt = commit
	var held []entry // what could not be written
	for {
		stopping := false
		select {
		case <-s.queue.wake:
		case <-ticker.C:
			now := time.Now()
			s.busy.Store(w.recent >= busyRows)
			w.loaded, w.recent = w.recent >= loadedRows, 0
			if !w.loaded && len(w.pending) == 0 {
				w.tail.empty()
			}
			for _, r := range s.open.all() {
				r.sweep(now)
			}
		case <-commit.C:
		case <-s.stop:
			stopping = true
		}
		if wait := gatherFor - time.Since(w.lastBatch); wait > 0 && w.loaded && !stopping && !s.queue.full() {
			gather.Reset(wait)
			select {
			case <-gather.C:
			case <-s.queue.wake:
				if !s.queue.full() {
					<-gather.C
				}
			case <-s.stop:
				stopping = true
			}
		}
		w.finishing = stopping // it may have begun to while more was gathered
		if len(held) > 0 && time.Now().Before(w.retryAt) && !stopping {
			held = w.keepSome(append(held, s.queue.take()...))
			continue
		}
		entries := s.queue.take()
		if len(held) > 0 {
			entries = append(held, entries...)
			held = nil
		}
		if len(entries) == 0 && len(w.pending) > 0 && !stopping && time.Now().Before(w.dueAt) {
			continue
		}
		if len(entries) == 0 && len(w.pending) == 0 && s.ids.Load() <= w.lease-leaseSize/2 && !(s.health.failing() && time.Now().After(w.retryAt)) {
			if stopping {
				return
			}
			continue
		}
		w.lastBatch = time.Now()
		w.recent += len(entries)
		rest, err := w.write(entries)
		if err != nil {
			s.health.fail(err)
			w.retryAt = time.Now().Add(retryEvery)
			if stopping {
				w.giveUp(rest)
				return
			}
			held = w.keepSome(append([]entry(nil), rest...))
			continue
		}
		s.queue.done(entries)
		if stopping && s.queue.len() == 0 {
			return
		}
		if stopping {
			s.queue.signal()
		}
	}
}

// behind says whether the disk does not keep up: the queue fills, and not because much comes at a time, but because
// commits take long.
func (w *writer) behind() bool {
	if !w.store.queue.halfFull() {
		return false
	}
	since := w.busySince.Load()
	return w.slow.Load() || since != 0 && time.Since(time.UnixMicro(since)) > slowAfter
}

// write commits entries, a batch at a time, or puts them into a transaction that is left open for a moment. On trouble
// with the disk it returns those that are not committed.
func (w *writer) write(entries []entry) ([]entry, error) {
	s := w.store
	for first := true; len(entries) > 0 || first; first = false {
		n := w.batch(entries)
		began := time.Now()
		w.busySince.Store(began.UnixMicro())
		err := w.transact(entries[:n])
		if err != nil && len(w.pending) > 0 {
			// Its transaction is gone, and what was in it with it.
			n += len(w.pending)
			entries = append(w.pending, entries...)
			w.pending = nil
		}
		w.busySince.Store(0)
		w.slow.Store(time.Since(began) > slowAfter)
		if err == nil && s.health.failing() && !outsideTask(entries[:n]) {
			if lost := s.health.recover(); lost.n > 0 {
				s.recordGap(lost)
			}
		}
		if err != nil && !classify(err).lasting() && !isDiskError(err) {
			// Not the disk: something about one of the entries. The others shall not suffer for it.
			if n > 1 {
				w.singly = true
				for i := range n {
					if rest, err := w.write(entries[i : i+1]); err != nil {
						w.singly = false
						return append(rest, entries[i+1:]...), err
					}
				}
				w.singly = false
				entries = entries[n:]
				continue
			}
			if n == 1 {
				w.refuse(entries[0], err)
				err = nil
			}
		}
		if err != nil {
			return entries, err
		}
		entries = entries[n:]
	}
	return nil, nil
}

// batch says how many entries go into one transaction: a task goes alone.
func (w *writer) batch(entries []entry) int {
	bytes := int64(0)
	for i, e := range entries {
		if e.kind == entryTask {
			return max(i, 1)
		}
		bytes += e.size
		if i == 4*batchRows || bytes > 4*batchBytes {
			return i + 1
		}
	}
	return len(entries)
}

// outsideTask says whether entries are one task that is no part of a transaction, and so proves nothing of writing.
func outsideTask(entries []entry) bool {
	return len(entries) == 1 && entries[0].task != nil && entries[0].task.outside
}

// transact writes entries in one transaction and publishes them; under load it may leave the transaction open, and what
// is in it pending, to take more.
func (w *writer) transact(entries []entry) (err error) {
	s := w.store
	if s.gone.Load() {
		w.abandon()
		return &diskError{errReplaced}
	}
	task := len(entries) == 1 && entries[0].task != nil
	if task && len(w.pending) > 0 {
		if err := w.finish(nil); err != nil {
			return err
		}
	}
	if outsideTask(entries) {
		_, err := entries[0].task.run(w)
		if err == nil {
			entries[0].task.done <- nil
		}
		return err
	}
	if len(w.pending) == 0 {
		if err := w.begin.run(); err != nil {
			return err
		}
		w.seq, w.rowSeq = s.seq, w.saved
		w.published, w.sizes = w.published[:0], w.sizes[:0]
	}
	wait := w.mayWait(entries, task)
	w.note(wait)
	for i := range entries {
		e := &entries[i]
		switch e.kind {
		case entryFinal, entryOpen:
			err = w.exchange(e)
			w.rowSeq = w.seq
		case entryMessage:
			err = w.message(e)
		case entryTask:
			err = w.task(e.task)
		}
		if err != nil {
			w.abandon()
			return err
		}
	}
	if wait && w.tail.write(s.seq) == nil {
		if len(w.pending) == 0 {
			w.dueAt = time.Now().Add(pendingFor)
			w.commitAt.Reset(pendingFor)
		}
		w.pending = append(w.pending, entries...)
		w.waiting.Store(true)
		return nil
	}
	return w.finish(entries)
}

// mayWait says whether a transaction with those entries may be left open.
func (w *writer) mayWait(entries []entry, task bool) bool {
	switch {
	case task || len(entries) == 0 || !w.loaded || w.finishing || w.singly || w.store.health.failing():
		return false
	case len(w.pending) > 0 && !time.Now().Before(w.dueAt):
		return false
	}
	bytes := int64(0)
	for i := range entries {
		bytes += entries[i].size
	}
	// Large bodies would be written twice for nothing.
	return len(w.pending)+len(entries) < pendingRows && bytes < int64(len(entries))*pendingBytes && !w.store.queue.halfFull()
}

// abandon rolls the transaction back. What was pending in it remains to be written.
func (w *writer) abandon() {
	w.note(false)
	w.waiting.Store(false)
	w.rollback.run()
	w.receipts.forget()
	clear(w.published)
	w.tail.reset()
}

// finish commits the transaction with what is pending and further entries, and publishes.
func (w *writer) finish(entries []entry) (err error) {
	s := w.store
	w.note(false)
	defer func() {
		if err != nil {
			w.abandon()
		}
	}()
	lease := w.lease
	if ids := s.ids.Load(); ids > w.lease-leaseSize/2 {
		lease = ids + leaseSize
		if err = w.setNumber.with("lease", lease); err != nil {
			return err
		}
	}
	if w.seq > w.rowSeq || len(entries)+len(w.pending) == 0 {
		// No row has the last seq, so a restart would not find it; or this is to see whether anything can be written.
		if err = w.setNumber.with("seq", w.seq); err != nil {
			return err
		}
		w.rowSeq = w.seq
	}
	if err = w.commit.run(); err != nil {
		return err
	}
	w.waiting.Store(false)
	w.tail.reset()
	w.lease, w.saved, s.seq = lease, w.rowSeq, w.seq
	all := entries
	if len(w.pending) > 0 {
		all = append(w.pending, entries...)
	}
	bytes := int64(0)
	for i := range all {
		w.settle(&all[i])
		bytes += all[i].size
	}
	w.pages += logPages(len(all), bytes)
	if w.pages >= checkpointPages {
		w.pages = 0
		s.checkpoint.due()
	}
	s.feed.publish(w.published, w.sizes)
	clear(w.published)
	s.queue.release(bytes)
	for i := range entries {
		if t := entries[i].task; t != nil {
			if t.after != nil {
				t.after()
			}
			t.done <- nil
		}
	}
	if len(w.pending) > 0 {
		clear(all)
		w.pending = all[:0]
	}
	return nil
}

// settle notes that an entry is committed.
func (w *writer) settle(e *entry) {
	r := e.r
	if r == nil || e.kind == entryMessage {
		return
	}
	r.mu.Lock()
	first := !r.written
	r.written = true
	if e.kind == entryFinal {
		r.committed = true
		r.req.release(&w.store.buffers)
		r.resp.release(&w.store.buffers)
	} else {
		r.queued = false
	}
	r.mu.Unlock()
	if first {
		w.store.count.Add(1)
	}
	if e.kind == entryFinal {
		w.store.open.remove(r.id)
	}
}

// exchange writes one revision.
func (w *writer) exchange(e *entry) error {
	s, r := w.store, e.r
	w.seq++
	r.mu.Lock()
	e.x.Seq = w.seq
	// An earlier revision may be in the database, or in this very transaction.
	exists := e.kind == entryOpen || !r.revisedAt.IsZero()
	r.mu.Unlock()
	// Nobody writes to e.x and, once r is finished, to its bodies.
	var files [2]driver.Value
	var bodies [2]driver.Value
	var kept [2]int64
	for i, sp := range []*spool{&r.req, &r.resp} {
		if e.kind == entryOpen {
			break
		}
		kept[i] = sp.kept
		switch {
		case sp.kept == 0:
			if sp.spilled() {
				remove(sp.tmp)
			}
		case sp.spilled():
			if err := s.files.adopt(sp.tmp, sp.sum, sp.kept); err != nil {
				return &diskError{err}
			}
			if err := w.countFile.with(sp.sum[:], sp.kept); err != nil {
				return err
			}
			files[i] = sp.sum[:]
		default:
			bodies[i] = sp.buf
		}
	}
	if e.kind == entryOpen && e.x.Response != nil {
		kept[1] = e.x.Response.Content.Size
	}
	statement, details := w.insert, w.insertDetails
	if exists {
		statement, details = w.replace, w.replaceDetails
	}
	for i, v := range w.rows.encode(e.x, kept[0], kept[1]) {
		statement.args[i].Value = v
	}
	if err := statement.run(); err != nil {
		return err
	}
	if err := w.details(details, e.x, files, bodies); err != nil {
		return err
	}
	w.published = append(w.published, capture.Change{Seq: w.seq, Exchange: e.x})
	size := rowOverhead + e.size
	if e.kind == entryFinal { // the bodies of one that goes on may grow right now, and are no part of its revision
		size -= int64(len(r.req.buf) + len(r.resp.buf))
	}
	w.sizes = append(w.sizes, size)
	return nil
}

func (w *writer) details(st *statement, x *capture.Exchange, files, bodies [2]driver.Value) error {
	var reqHeaders, respHeaders driver.Value
	if x.Request.Header != nil {
		w.headers[0] = appendHeader(w.headers[0][:0], x.Request.Header)
		reqHeaders = inPlace(w.headers[0])
	}
	if x.Response != nil && x.Response.Header != nil {
		w.headers[1] = appendHeader(w.headers[1][:0], x.Response.Header)
		respHeaders = inPlace(w.headers[1])
	}
	var rest driver.Value
	var err error
	if w.headers[2], err = appendRest(w.headers[2][:0], x); err != nil {
		return err
	}
	if len(w.headers[2]) > 0 {
		rest = inPlace(w.headers[2])
	}
	receipt, err := w.receipts.id(x)
	if err != nil {
		return err
	}
	return st.with(x.ID, reqHeaders, respHeaders, rest, receipt, files[0], files[1], bodies[0], bodies[1])
}

// inPlace is the text that b holds, without a copy: for a statement that is run before b changes. The driver copies what
// it is given.
func inPlace(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// message writes one message.
func (w *writer) message(e *entry) error {
	m := e.message
	w.seq++
	var file, data driver.Value
	if e.tmp != "" {
		if err := w.store.files.adopt(e.tmp, e.sum, e.fileSize); err != nil {
			return &diskError{err}
		}
		if err := w.countFile.with(e.sum[:], e.fileSize); err != nil {
			return err
		}
		file = e.sum[:]
	} else if len(m.Data) > 0 {
		data = m.Data
	}
	if err := w.insertMessage.with(e.r.id, m.N, integer(m.Direction == "sent"), m.Kind, m.Time.UnixMicro(), m.Size, integer(m.Truncated), file, data, integer(m.Injected)); err != nil {
		return err
	}
	if len(m.Data) > feedMessage {
		short := *m
		short.Data = nil
		m = &short
	}
	w.published = append(w.published, capture.Change{Seq: w.seq, MessageOf: e.r.id, Message: m})
	w.sizes = append(w.sizes, int64(len(m.Data))+messageOverhead)
	return nil
}

func (w *writer) task(t *task) error {
	removed, err := t.run(w)
	if err != nil || len(removed) == 0 {
		return err
	}
	w.seq++
	if err := w.setNumber.with("removed", w.seq); err != nil {
		return err
	}
	w.published = append(w.published, capture.Change{Seq: w.seq, Removed: removed})
	w.sizes = append(w.sizes, int64(len(removed))*8+messageOverhead)
	return nil
}

// refuse ends an entry that cannot be written for a reason of its own.
func (w *writer) refuse(e entry, err error) {
	s := w.store
	if e.task != nil {
		e.task.done <- err
		return
	}
	s.health.say(fmt.Sprintf("exchange %d cannot be recorded: %v", e.r.id, err))
	w.drop(e)
}

// drop forgets an entry.
func (w *writer) drop(e entry) {
	s := w.store
	s.queue.release(e.size)
	switch e.kind {
	case entryTask:
		e.task.done <- errors.New("nothing can be written")
	case entryOpen:
		e.r.mu.Lock()
		e.r.queued = false
		e.r.mu.Unlock()
	case entryMessage:
		if e.tmp != "" {
			remove(e.tmp)
		}
	case entryFinal:
		e.r.mu.Lock()
		e.r.forget()
		e.r.mu.Unlock()
	}
}

// keepSome bounds what waits for the disk to come back: rows without their bodies, up to a number; the rest is counted.
func (w *writer) keepSome(entries []entry) []entry {
	s := w.store
	kept := entries[:0]
	finals := 0
	for _, e := range entries {
		switch e.kind {
		case entryTask:
			// To remove something may be what makes room.
			if e.task.barrier || w.transact([]entry{e}) != nil {
				e.task.done <- fmt.Errorf("nothing can be written: %s", s.Health().Message)
			}
			continue
		case entryFinal:
			if finals++; finals > failingRows && !w.exists(e.r) {
				s.health.lose(e.x.Started)
				w.drop(e)
				continue
			}
			if s.queue.bytes.Load() > failingBytes {
				e.size -= w.strip(&e)
			}
		case entryOpen, entryMessage:
			if s.queue.bytes.Load() > failingBytes {
				w.drop(e)
				continue
			}
		}
		kept = append(kept, e)
	}
	clear(entries[len(kept):])
	return kept
}

func (w *writer) exists(r *recording) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written
}

// strip drops a finished exchange's bodies and says how much memory that gave back.
func (w *writer) strip(e *entry) int64 {
	r := e.r
	r.mu.Lock()
	defer r.mu.Unlock()
	held := int64(len(r.req.buf) + len(r.resp.buf))
	r.req.drop(&w.store.buffers)
	r.resp.drop(&w.store.buffers)
	e.x.Request.Truncated = e.x.Request.Truncated || r.req.cut
	if p := e.x.Response; p != nil {
		p.Content.Size = r.resp.kept
		p.Truncated = p.Truncated || r.resp.cut
	}
	w.store.queue.release(held)
	return held
}

// giveUp ends what cannot be written at the end.
func (w *writer) giveUp(entries []entry) {
	for _, e := range append(entries, w.store.queue.take()...) {
		if e.kind == entryFinal {
			w.store.health.lose(e.x.Started)
		}
		w.drop(e)
	}
}

// diskError is an error of the file system, which the database knows nothing of.
type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }
func (e *diskError) Unwrap() error { return e.err }

func isDiskError(err error) bool {
	var d *diskError
	return errors.As(err, &d)
}
