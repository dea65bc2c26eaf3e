package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// Totals are summed up in blocks of ids, and what a block came to is kept for as long as nothing in it changes: asking
// again costs only the blocks that did, most often the newest.
const (
	// blockBits is how many bits of an id tell the rows of a block apart; fewer where a row takes longer to look at.
	blockBits      = 14
	slowBlockBits  = 11
	totalsFor      = 200 * time.Millisecond // how long one question may look at blocks
	totalsKept     = 8                      // questions whose blocks are kept
	totalsIdle     = 5 * time.Minute        // and for how long after they were last asked
	totalsRelative = 10 * time.Second       // the age up to which "now" counts as the same
	maxTotals      = 400_000                // totals of one question, of all its blocks, and of all questions; what is older is not covered
	timelineFine   = 1024                   // buckets that a timeline is kept in, at least half as many
)

// totalsKey is what rows are summed up by: a name, or a stretch of time.
type totalsKey struct {
	name string
	n    int64
}

// rollup is one question's blocks. It is used by one goroutine at a time.
type rollup struct {
	mu       sync.Mutex
	question string
	key      string // of the rows, in SQL
	filter   *filter.Filter
	now      time.Time // what the filter's relative times count from
	relative bool
	used     time.Time // guarded by rollups.mu, like weight
	weight   int       // totals, as of when they were last counted

	bits    uint
	seq     int64 // changes up to this one are in the blocks
	removed int64 // and removals up to this one
	blocks  map[int64]block
	totals  int // in all blocks

	// Of a timeline.
	bounded  bool // it is of a part of the capture
	shift    uint // a stretch is 1<<shift microseconds
	from, to int64
}

type block struct {
	totals map[totalsKey]capture.Totals
	rows   int64 // in the table, whether they match or not
}

// rollups keeps the questions that were asked lately.
type rollups struct {
	mu   sync.Mutex
	list []*rollup
}

// find returns the question's rollup, a new one if there is none that can be used.
func (rs *rollups) find(question string, begin func() *rollup) *rollup {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	now := time.Now()
	kept := make([]*rollup, 0, totalsKept)
	var found *rollup
	for _, r := range rs.list {
		switch {
		case now.Sub(r.used) > totalsIdle, r.relative && now.Sub(r.now) > totalsRelative:
		case r.question == question:
			found = r
		default:
			kept = append(kept, r)
		}
	}
	if found == nil {
		found = begin()
	}
	found.used = now
	if len(kept) >= totalsKept {
		kept = kept[1:]
	}
	rs.list = append(kept, found)
	return found
}

// weigh notes how many totals a question has, and forgets those asked longest ago while all have too many.
func (rs *rollups) weigh(r *rollup, totals int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.weight = totals
	all := 0
	for i, one := range slices.Backward(rs.list) {
		if all += one.weight; all > maxTotals && one != r {
			rs.list = slices.Delete(rs.list, 0, i+1)
			return
		}
	}
}

// expire forgets what nobody has asked for a while.
func (rs *rollups) expire(now time.Time) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.list = slices.DeleteFunc(rs.list, func(r *rollup) bool { return now.Sub(r.used) > totalsIdle })
}

var groupingSQL = map[capture.Grouping]string{
	capture.ByHost: "+x.host",
	capture.ByClient: "CASE WHEN x.run IS NOT NULL THEN 'run ' || x.run " +
		"WHEN x.client GLOB '*:[0-9]*' THEN rtrim(rtrim(x.client, '0123456789'), ':') ELSE x.client END",
	capture.ByConnection: "+x.connection",
	capture.ByPath:       "CASE instr(substr(x.path, 2), '/') WHEN 0 THEN x.path ELSE substr(x.path, 1, instr(substr(x.path, 2), '/') + 1) END",
}

// Groups sums up what matches a filter, by a property.
func (s *Store) Groups(ctx context.Context, f *filter.Filter, by capture.Grouping) (out capture.Groups, err error) {
	key, ok := groupingSQL[by]
	if !ok {
		return out, fmt.Errorf("exchanges are not grouped by %s", by)
	}
	err = s.rolledUp(ctx, string(by), key, f, nil, func(r *rollup, covered float64) {
		sums := r.sums(func(k totalsKey) totalsKey { return k })
		out.Covered = covered
		out.Groups = make([]capture.Group, 0, len(sums))
		for k, t := range sums {
			out.Groups = append(out.Groups, capture.Group{Name: k.name, Totals: t})
			out.All.Add(t)
		}
	})
	return out, err
}

// minBuckets is the least number of buckets that any span can be divided into: their bounds are multiples of their width
// from 1970 on, so what begins before and what ends after that have no bucket in common, however wide.
const minBuckets = 2

// Timeline sums up what matches a filter over time, in at most the given number of buckets, or two: from one time to
// another, or over the whole capture where both are zero.
func (s *Store) Timeline(ctx context.Context, f *filter.Filter, from, to time.Time, buckets int) (out capture.Timeline, err error) {
	question := fmt.Sprint("time ", from.UnixMicro(), " ", to.UnixMicro())
	ranged := func(ctx context.Context, c *conn, r *rollup) error { return r.span(ctx, c, from, to) }
	err = s.rolledUp(ctx, question, "", f, ranged, func(r *rollup, covered float64) {
		// Rows that began before the first one or after the last by their ids, as imported ones do, are there too.
		for {
			for k := range r.sums(func(k totalsKey) totalsKey { return k }) {
				if at := k.n << r.shift; !r.bounded {
					r.from, r.to = min(r.from, at), max(r.to, at)
				}
			}
			if r.to>>r.shift-r.from>>r.shift < 2*timelineFine {
				break
			}
			r.coarsen()
		}
		shift := r.shift
		for r.to>>shift-r.from>>shift+1 > int64(max(buckets, minBuckets)) {
			shift++
		}
		first := r.from >> shift
		out = capture.Timeline{Start: time.UnixMicro(first << shift).UTC(), Step: time.Duration(1<<shift) * time.Microsecond, Buckets: int(r.to>>shift-first) + 1, Covered: covered}
		for k, t := range r.sums(func(k totalsKey) totalsKey { return totalsKey{n: k.n>>(shift-r.shift) - first} }) {
			out.Points = append(out.Points, capture.Point{Bucket: int(k.n), Totals: t})
			out.All.Add(t)
		}
	})
	return out, err
}

// rolledUp brings a question's blocks up to date, as far as time allows, and gives them to use.
func (s *Store) rolledUp(ctx context.Context, name, key string, f *filter.Filter, ranged func(context.Context, *conn, *rollup) error, use func(r *rollup, covered float64)) error {
	if empty(f) {
		f = nil
	}
	question := name + "\x00"
	if f != nil {
		question += f.String()
	}
	r := s.rollups.find(question, func() *rollup {
		r := &rollup{question: question, key: key, filter: f, now: time.Now(), bits: blockBits, blocks: make(map[int64]block)}
		if f != nil {
			_, a := f.SQLAt(bodySearch{}, r.now)
			_, b := f.SQLAt(bodySearch{}, r.now.Add(time.Hour))
			r.relative = !reflect.DeepEqual(a, b)
			if f.NeedsBody() || f.NeedsDetails() {
				r.bits = slowBlockBits
			}
		}
		return r
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	run := func(c *conn) error {
		if ranged != nil {
			if err := ranged(ctx, c, r); err != nil {
				return err
			}
		}
		covered, err := s.refresh(ctx, c, r)
		s.rollups.weigh(r, r.totals)
		if err == nil {
			use(r, covered)
		}
		return err
	}
	if f != nil && f.NeedsBody() && s.index != nil {
		return s.pool.lend(ctx, run)
	}
	return s.pool.use(ctx, run)
}

// refresh forgets the blocks in which something changed and sums up those that are not there, newest first. It says what
// share of the ids that there are is in blocks then.
func (s *Store) refresh(ctx context.Context, c *conn, r *rollup) (covered float64, err error) {
	seq := s.Seq() // what comes later is looked at next time
	first, err := c.integer(ctx, "SELECT min(id) FROM exchanges")
	if err != nil {
		return 0, err
	}
	last, err := c.integer(ctx, "SELECT max(id) FROM exchanges")
	if err != nil {
		return 0, err
	}
	removed, err := c.integer(ctx, "SELECT value FROM store WHERE key = 'removed'")
	if err != nil {
		return 0, err
	}
	if len(r.blocks) > 0 {
		var n [1]driver.Value
		err := c.each(ctx, "SELECT DISTINCT id >> ? FROM exchanges INDEXED BY exchanges_seq WHERE seq > ?", named([]any{int64(r.bits), r.seq}), n[:], func() error {
			r.forget(asInt(n[0]))
			return nil
		})
		if err == nil && removed != r.removed {
			err = r.forgetRemoved(ctx, c)
		}
		if err != nil {
			return 0, err
		}
	}
	r.seq, r.removed = seq, removed
	if last == 0 {
		return 1, nil
	}
	end := time.Now().Add(totalsFor)
	at := last >> r.bits
	for ; at >= first>>r.bits; at-- {
		if _, ok := r.blocks[at]; ok {
			continue
		}
		if r.totals > maxTotals || time.Now().After(end) {
			break
		}
		if err := s.sumUp(ctx, c, r, at); err != nil {
			return 0, err
		}
	}
	if at < first>>r.bits {
		return 1, nil
	}
	seen := last - max(first, (at+1)<<r.bits) + 1
	return float64(max(seen, 0)) / float64(last-first+1), nil
}

// sumUp sums up one block.
func (s *Store) sumUp(ctx context.Context, c *conn, r *rollup, at int64) error {
	lo, hi := at<<r.bits, (at+1)<<r.bits-1
	sel := s.selection(r.filter, bodySearch{s.index, lo, hi, heads(c, s.index != nil), ctx}, r.now)
	key := r.key
	if key == "" {
		key = fmt.Sprintf("x.started >> %d", r.shift)
	}
	where, args := append(sel.where, "x.id >= ?", "x.id <= ?"), append(sel.args, lo, hi)
	if r.bounded {
		where, args = append(where, "x.started >= ?", "x.started <= ?"), append(args, r.from, r.to)
	}
	b := block{totals: make(map[totalsKey]capture.Totals)}
	var err error
	if b.rows, err = c.integer(ctx, "SELECT count(*) FROM exchanges NOT INDEXED WHERE id >= ? AND id <= ?", lo, hi); err != nil {
		return err
	}
	var v [8]driver.Value
	sql := "SELECT " + key + ", count(*), sum(x.state = 'failed'), sum(x.state <> 'failed' AND ifnull(x.status, 0) >= 400), " +
		"sum(ifnull(x.req_size, 0) + ifnull(x.resp_size, 0)), total(x.took), min(x.started), max(x.started) FROM " + sel.from + clause(where) + " GROUP BY 1"
	err = c.each(ctx, sql, named(args), v[:], func() error {
		k := totalsKey{name: asString(v[0])}
		if r.key == "" {
			k = totalsKey{n: asInt(v[0])}
		}
		b.totals[k] = capture.Totals{Count: asInt(v[1]), Failed: asInt(v[2]), Refused: asInt(v[3]), Bytes: asInt(v[4]), Took: asFloat(v[5]),
			First: time.UnixMicro(asInt(v[6])).UTC(), Last: time.UnixMicro(asInt(v[7])).UTC()}
		return nil
	})
	if err != nil {
		return err
	}
	r.blocks[at] = b
	r.totals += len(b.totals)
	return nil
}

func (r *rollup) forget(at int64) {
	r.totals -= len(r.blocks[at].totals)
	delete(r.blocks, at)
}

// forgetRemoved forgets the blocks that have fewer rows than when they were summed up.
func (r *rollup) forgetRemoved(ctx context.Context, c *conn) error {
	rows := make(map[int64]int64)
	var v [2]driver.Value
	err := c.each(ctx, "SELECT id >> ?, count(*) FROM exchanges INDEXED BY exchanges_seq GROUP BY 1", named([]any{int64(r.bits)}), v[:], func() error {
		rows[asInt(v[0])] = asInt(v[1])
		return nil
	})
	if err != nil {
		return err
	}
	for at, b := range r.blocks {
		if rows[at] != b.rows {
			r.forget(at)
		}
	}
	return nil
}

// sums adds the blocks up, under the keys that key makes of theirs.
func (r *rollup) sums(key func(totalsKey) totalsKey) map[totalsKey]capture.Totals {
	all := make(map[totalsKey]capture.Totals)
	for _, b := range r.blocks {
		for k, t := range b.totals {
			k = key(k)
			sum := all[k]
			sum.Add(t)
			all[k] = sum
		}
	}
	return all
}

// span says what time a timeline is of, and in what stretches.
func (r *rollup) span(ctx context.Context, c *conn, from, to time.Time) error {
	lo, hi := from.UnixMicro(), to.UnixMicro()
	r.bounded = !from.IsZero()
	if !r.bounded {
		var v [1]driver.Value
		for order, to := range map[string]*int64{"": &lo, " DESC": &hi} {
			if err := c.row(ctx, "SELECT started FROM exchanges ORDER BY id"+order+" LIMIT 1", nil, v[:]); err != nil && err != io.EOF {
				return err
			}
			*to = asInt(v[0])
		}
	}
	hi = max(lo, hi)
	if len(r.blocks) == 0 {
		r.shift, r.from, r.to = 0, lo, hi
	}
	r.from, r.to = min(r.from, lo), max(r.to, hi)
	for r.to>>r.shift-r.from>>r.shift >= timelineFine {
		r.coarsen()
	}
	return nil
}

// coarsen doubles the stretches of a timeline.
func (r *rollup) coarsen() {
	r.shift++
	r.totals = 0
	for at, b := range r.blocks {
		merged := make(map[totalsKey]capture.Totals, len(b.totals))
		for k, t := range b.totals {
			k.n >>= 1
			sum := merged[k]
			sum.Add(t)
			merged[k] = sum
		}
		r.blocks[at] = block{merged, b.rows}
		r.totals += len(merged)
	}
}
