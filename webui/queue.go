package webui

import (
	"strconv"
	"sync"

	"eaves/capture"
)

// item is something a console is to be told.
type item struct {
	seq int64
	// id is the exchange that this is about; 0: ids are exchanges that were deleted.
	id int64
	// show is the exchange's summary as it is to be shown; nil: it is to be taken away.
	show *capture.Exchange
	ids  []int64
	// open says that the exchange goes on, ask that only the store can say whether it matches, unseen that there may be
	// revisions before this one which the feed did not tell.
	open, ask, unseen bool
}

// itemCost and showCost are what an item takes, and what the message takes that shows an exchange, beside what is long in
// it.
const (
	itemCost = 128
	showCost = 768
)

// size is about how large the item's message is. The message itself is only made when it is sent: of a flood, most is
// never sent.
func (i *item) size() int {
	n := itemCost + 8*len(i.ids)
	if x := i.show; x != nil {
		n += showCost + len(x.Request.URL) + len(x.Comment)
		if x.Error != nil {
			n += len(x.Error.Message) + len(x.Error.Hint)
		}
	}
	return n
}

// queue holds what waits to be sent, in the order of revisions, the latest of each exchange only.
type queue struct {
	items []item // those with seq 0 have been superseded
	where map[int64]int
	bytes int
	count int
}

// push adds i, which supersedes what waits about the same exchange.
func (q *queue) push(i item) {
	if q.where == nil {
		q.where = make(map[int64]int)
	}
	if i.id != 0 {
		q.drop(i.id)
		q.where[i.id] = len(q.items)
	}
	q.items = append(q.items, i)
	q.bytes += i.size()
	q.count++
}

// drop forgets what waits about an exchange.
func (q *queue) drop(id int64) {
	n, ok := q.where[id]
	if !ok {
		return
	}
	q.bytes -= q.items[n].size()
	q.count--
	q.items[n] = item{}
	delete(q.where, id)
	if len(q.items) > 64 && q.count < len(q.items)/2 {
		q.compact()
	}
}

// compact closes the gaps that superseded items leave.
func (q *queue) compact() {
	kept := q.items[:0]
	for _, i := range q.items {
		if i.seq == 0 {
			continue
		}
		if i.id != 0 {
			q.where[i.id] = len(kept)
		}
		kept = append(kept, i)
	}
	clear(q.items[len(kept):])
	q.items = kept
}

// take removes and returns the first items, up to about budget bytes and at least one; never only some of one revision.
func (q *queue) take(budget int) []item {
	if q.count == 0 {
		q.clear()
		return nil
	}
	out := make([]item, 0, min(q.count, 256))
	n := 0
	for ; n < len(q.items); n++ {
		i := q.items[n]
		if i.seq == 0 {
			continue
		}
		if len(out) > 0 && budget <= 0 && i.seq != out[len(out)-1].seq {
			break
		}
		budget -= i.size()
		q.bytes -= i.size()
		q.count--
		delete(q.where, i.id)
		out = append(out, i)
	}
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	for id, at := range q.where {
		q.where[id] = at - n
	}
	return out
}

// clear forgets everything.
func (q *queue) clear() { *q = queue{} }

// longFrame is from which length on a message is not kept: URLs can have a megabyte.
const longFrame = 16 << 10

// frameCache makes the message that shows a revision of an exchange once for all consoles.
type frameCache struct {
	mu    sync.Mutex
	slots [1024]struct {
		id, seq int64
		frame   []byte
	}
}

// frame returns the message for x. Nobody writes to it.
func (c *frameCache) frame(x *capture.Exchange) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := &c.slots[uint64(x.Seq)%uint64(len(c.slots))]
	if slot.id == x.ID && slot.seq == x.Seq {
		return slot.frame, nil
	}
	summary, err := x.Summary().MarshalJSON()
	if err != nil {
		return nil, err
	}
	frame := make([]byte, 0, len(summary)+64)
	frame = append(frame, `{"type":"exchange","seq":`...)
	frame = strconv.AppendInt(frame, x.Seq, 10)
	frame = append(frame, `,"exchange":`...)
	frame = append(frame, summary...)
	frame = append(frame, '}')
	if len(frame) < longFrame {
		slot.id, slot.seq, slot.frame = x.ID, x.Seq, frame
	}
	return frame, nil
}

// idRing remembers the last ids it was given.
type idRing struct {
	mu   sync.Mutex
	ring [1024]int64
	next int
	has  map[int64]int
}

func (r *idRing) add(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.has == nil {
		r.has = make(map[int64]int)
	}
	old := r.ring[r.next]
	if r.has[old]--; r.has[old] <= 0 {
		delete(r.has, old)
	}
	r.ring[r.next] = id
	r.has[id]++
	r.next = (r.next + 1) % len(r.ring)
}

func (r *idRing) contains(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.has[id] > 0
}
