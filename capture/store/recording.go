package store

import (
	"crypto/sha256"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
)

// recording is one exchange while it runs, until its last revision is committed. The lock guards everything below it
// but the id. Whoever holds it takes no other lock but the queue's.
type recording struct {
	store *Store
	id    int64

	mu        sync.Mutex
	x         *capture.Exchange
	req, resp spool
	began     time.Time
	changed   uint64 // counts calls that changed the exchange
	grown     bool   // a body has grown since the last revision
	revised   uint64 // changed, as of the last revision queued
	revisedAt time.Time
	queued    bool // a revision is on its way to the database
	written   bool // the database has a row
	finished  bool // Finish was called
	committed bool // the last revision is in the database
	messages  int64
}

// Begin gives x an id and records it. After Close it records nothing.
func (s *Store) Begin(x *capture.Exchange) capture.Recording {
	if s.closing.Load() {
		return capture.Discard.Begin(x)
	}
	return s.begin(x)
}

func (s *Store) begin(x *capture.Exchange) *recording {
	r := &recording{store: s, id: s.ids.Add(1), x: x, began: time.Now()}
	x.ID, x.Seq, x.Messages = r.id, 0, 0
	if x.Kind == "" {
		x.Kind = capture.KindHTTP
	}
	if x.Source == "" {
		x.Source = capture.SourceProxy
	}
	if x.Started.IsZero() {
		x.Started = r.began
	}
	if x.State == "" {
		x.State = capture.StateOpen
	}
	if x.State == capture.StateOpen && x.Source != capture.SourceImport {
		x.Time = -1
	}
	s.open.add(r)
	return r
}

func (r *recording) ID() int64 { return r.id }

// Body records the next bytes of a body.
func (r *recording) Body(side capture.Side, p []byte) {
	if len(p) == 0 {
		return
	}
	s := r.store
	s.queue.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	sp := &r.resp
	if side == capture.SideRequest {
		sp = &r.req
	}
	limit := s.retention.Load().Keep
	if sp.kept >= pressedKeep && r.x.Source != capture.SourceImport && s.writer.behind() {
		// The disk does not keep up: what is large already stops here, visibly, before traffic has to wait.
		limit = sp.kept
	}
	if s.health.failing() && s.queue.bytes.Load() > failingBytes {
		// Nothing can be written: memory is for the rows.
		limit = min(limit, sp.kept)
	}
	inline := inlineLimit
	if s.held.Load() > heldLimit {
		inline = pressedLimit
	}
	before := len(sp.buf)
	err := sp.write(p, limit, inline, &s.buffers, func() (*os.File, error) { return s.files.create(r.id, string(side)) })
	s.held.Add(int64(len(sp.buf) - before))
	if err != nil {
		s.health.body(err)
	}
	r.grown = true
}

// Update changes the exchange.
func (r *recording) Update(f func(x *capture.Exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	f(r.x)
	r.x.ID, r.x.Messages = r.id, r.messages
	r.changed++
}

// Message records one message. The exchange itself is in the database before its first message.
func (r *recording) Message(m capture.Message) {
	s := r.store
	s.queue.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	e := entry{kind: entryMessage, r: r, message: &m}
	if m.Size < int64(len(m.Data)) {
		m.Size = int64(len(m.Data))
	}
	limit := min(s.retention.Load().Keep, maxMessage)
	if s.health.failing() && s.queue.bytes.Load() > failingBytes {
		limit = 0
	}
	if int64(len(m.Data)) > limit {
		m.Data, m.Truncated = m.Data[:limit:limit], true
	}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	if len(m.Data) > inlineLimit {
		if tmp, sum, err := s.files.put(r.id, "message", m.Data); err != nil {
			s.health.body(err)
			m.Data, m.Truncated = nil, true
		} else {
			e.tmp, e.sum, e.fileSize = tmp, sum, int64(len(m.Data))
			m.Data = nil
		}
	}
	if r.messages == 0 && !r.written && !r.queued {
		r.revise()
	}
	r.messages++
	m.N, r.x.Messages = r.messages, r.messages
	r.changed++
	e.size = int64(len(m.Data)) + messageOverhead
	if !s.queue.add(e) && e.tmp != "" {
		remove(e.tmp)
	}
}

// put writes a whole body to tmp.
func (b *bodyFiles) put(id int64, side string, data []byte) (tmp string, sum digest, err error) {
	f, err := b.create(id, side)
	if err != nil {
		return "", sum, err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		remove(f.Name())
		return "", sum, err
	}
	return f.Name(), sha256.Sum256(data), nil
}

// Finish makes the last change and hands the exchange to the writer.
func (r *recording) Finish(f func(x *capture.Exchange)) {
	r.store.queue.wait()
	r.finish(f)
}

func (r *recording) finish(f func(x *capture.Exchange)) {
	s := r.store
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	r.finished = true
	if f != nil {
		f(r.x)
	}
	x := r.x
	x.ID, x.Messages = r.id, r.messages
	if x.State == "" || x.State == capture.StateOpen {
		x.State = capture.StateDone
		if x.Error != nil {
			x.State = capture.StateFailed
		}
	}
	if x.Time < 0 && x.Source != capture.SourceImport {
		x.Time = capture.Milliseconds(time.Since(r.began))
	}
	for _, sp := range []*spool{&r.req, &r.resp} {
		s.held.Add(-int64(len(sp.buf))) // the queue counts it from here on
		if err := sp.end(); err != nil {
			s.health.body(err)
		}
	}
	r.measure(x)
	if !s.queue.add(entry{kind: entryFinal, r: r, x: x, size: r.weight()}) {
		s.health.lose(x.Started)
		r.forget()
	}
}

// forget ends a recording that cannot be written. The lock is held.
func (r *recording) forget() {
	s := r.store
	r.committed = true
	r.req.drop(&s.buffers)
	r.resp.drop(&s.buffers)
	s.open.remove(r.id)
}

// measure sets what the recorder itself knows of the exchange: sizes, and what was not kept.
func (r *recording) measure(x *capture.Exchange) {
	// A tunnel's bytes are counted by who passes them on; nobody records them.
	final := x.State != capture.StateOpen && x.Source != capture.SourceImport && x.Kind != capture.KindTunnel
	if r.req.total > 0 || final {
		x.Request.BodySize = r.req.total
	}
	x.Request.Truncated = x.Request.Truncated || r.req.cut
	if p := x.Response; p != nil {
		if r.resp.total > 0 || final {
			p.BodySize = r.resp.total
		}
		p.Content.Size = r.resp.kept
		p.Truncated = p.Truncated || r.resp.cut
		if p.Content.MimeType == "" {
			p.Content.MimeType = p.Header.Get("Content-Type")
		}
	}
}

// revise queues a revision of the exchange as it is. The lock is held.
func (r *recording) revise() {
	x := clone(r.x)
	r.measure(x)
	if r.store.queue.add(entry{kind: entryOpen, r: r, x: x, size: rowOverhead}) {
		r.queued, r.grown, r.revised, r.revisedAt = true, false, r.changed, time.Now()
	}
}

// snapshot returns the exchange as it is.
func (r *recording) snapshot() *capture.Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := clone(r.x)
	r.measure(x)
	return x
}

// sweep queues a revision if the exchange lasts and the database does not know its latest state.
func (r *recording) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished || r.queued {
		return
	}
	switch {
	case !r.written:
		if now.Sub(r.began) >= lastsAfter {
			r.revise()
		}
	case r.changed != r.revised:
		if now.Sub(r.revisedAt) >= lastsAfter {
			r.revise()
		}
	case r.grown:
		if now.Sub(r.revisedAt) >= growthAfter {
			r.revise()
		}
	}
}

// settle queues a revision of whatever the database does not know yet, now. It returns false if an earlier revision is
// still on its way: then it has to be asked again.
func (r *recording) settle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished || r.written && r.changed == r.revised && !r.grown {
		return true
	}
	if r.queued {
		return r.changed == r.revised
	}
	r.revise()
	return true
}

// weight is what the exchange holds in memory, roughly.
func (r *recording) weight() int64 {
	n := int64(rowOverhead) + int64(len(r.req.buf)+len(r.resp.buf))
	for _, f := range r.x.Request.Header {
		n += int64(len(f.Name)+len(f.Value)) + 32
	}
	if r.x.Response != nil {
		for _, f := range r.x.Response.Header {
			n += int64(len(f.Name)+len(f.Value)) + 32
		}
	}
	return n + int64(len(r.x.Request.URL))
}

// clone copies an exchange as deep as a recording's owner writes: everything but the elements of headers and
// certificates.
func clone(x *capture.Exchange) *capture.Exchange {
	c := *x
	c.Response = copied(x.Response)
	c.Client.Request, c.Client.Response = copied(x.Client.Request), copied(x.Client.Response)
	c.Error, c.ClientTLS = copied(x.Error), copied(x.ClientTLS)
	c.TLS = cloneTLS(x.TLS)
	if x.Route != nil {
		c.Route = copied(x.Route)
		c.Route.Hops = slices.Clone(x.Route.Hops)
		for i := range c.Route.Hops {
			c.Route.Hops[i].TLS = cloneTLS(c.Route.Hops[i].TLS)
		}
	}
	return &c
}

func cloneTLS(t *capture.TLS) *capture.TLS {
	t = copied(t)
	if t != nil {
		t.ClientCertificate = copied(t.ClientCertificate)
	}
	return t
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// openSet is the recordings that are not in the database for good. Its locks are taken last. It is split so that exchanges which begin and end at
// once do not wait for one lock.
type openSet struct {
	shards [16]struct {
		mu sync.Mutex
		m  map[int64]*recording
		_  [40]byte // a cache line for each
	}
	n atomic.Int64
}

func (o *openSet) init() {
	for i := range o.shards {
		o.shards[i].m = make(map[int64]*recording)
	}
}

func (o *openSet) add(r *recording) {
	sh := &o.shards[r.id&15]
	sh.mu.Lock()
	sh.m[r.id] = r
	sh.mu.Unlock()
	o.n.Add(1)
}

func (o *openSet) get(id int64) *recording {
	sh := &o.shards[id&15]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m[id]
}

func (o *openSet) remove(id int64) {
	sh := &o.shards[id&15]
	sh.mu.Lock()
	if _, ok := sh.m[id]; ok {
		delete(sh.m, id)
		o.n.Add(-1)
	}
	sh.mu.Unlock()
}

// all returns the recordings in order of their ids.
func (o *openSet) all() []*recording {
	if o.n.Load() == 0 {
		return nil
	}
	var rs []*recording
	for i := range o.shards {
		sh := &o.shards[i]
		sh.mu.Lock()
		for _, r := range sh.m {
			rs = append(rs, r)
		}
		sh.mu.Unlock()
	}
	slices.SortFunc(rs, func(a, b *recording) int { return int(a.id - b.id) })
	return rs
}
