package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"hash/maphash"
	"io"
	"strings"

	"eaves/capture"
	"eaves/capture/filter"
)

// The heads of exchanges, which are their header fields and most of their columns, are indexed beside the texts of their
// bodies. They repeat themselves: of the exchanges of a block, which is 64 with neighbouring ids, only the first one to
// have a term is indexed with it. Who looks for a term finds the block by it, and then looks at all of the block. A block
// whose first one has been removed is found all the same: what is not there counts as having the term.
const (
	termBlockBits = 6
	termBlockMask = 1<<termBlockBits - 1
	// blocksKnown is of how many blocks it is known what terms they have. Others only take more space.
	blocksKnown = 32
)

// blockIDs are what is added to a block's first id.
var blockIDs = func() string {
	var offsets [termBlockMask + 1]int
	for i := range offsets {
		offsets[i] = i
	}
	b, _ := json.Marshal(offsets)
	return string(b)
}()

// knownTerms remembers what terms the latest blocks have.
type knownTerms struct {
	seed   maphash.Seed
	blocks map[int64]map[uint64]struct{}
	order  []int64
}

// forget forgets everything: after a rollback, what was taken for indexed is not.
func (k *knownTerms) forget() { k.blocks, k.order = nil, nil }

// forgetBlock forgets one block.
func (k *knownTerms) forgetBlock(block int64) { clear(k.blocks[block]) }

// add returns whether a block has a value of something for the first time.
func (k *knownTerms) add(block int64, of, value string) bool {
	if k.blocks == nil {
		k.seed, k.blocks = maphash.MakeSeed(), make(map[int64]map[uint64]struct{})
	}
	known := k.blocks[block]
	if known == nil {
		if len(k.order) >= blocksKnown {
			delete(k.blocks, k.order[0])
			k.order = k.order[1:]
		}
		known = make(map[uint64]struct{})
		k.blocks[block] = known
		k.order = append(k.order, block)
	}
	var m maphash.Hash
	m.SetSeed(k.seed)
	m.WriteString(of)
	m.WriteByte(0)
	m.WriteString(value)
	h := m.Sum64()
	if _, ok := known[h]; ok {
		return false
	}
	known[h] = struct{}{}
	return true
}

// columnEnd ends each value of headColumns.
const columnEnd = "\x1f"

// headColumns is one text of all columns that have terms, of exchanges AS x: one value is read for far less than thirty.
var headColumns = "coalesce(x." + strings.Join(filter.TermColumns(), ", '') || char(31) || coalesce(x.") + ", '')"

// addHead indexes an exchange's head, of which reqHeaders and respHeaders are the JSON. What stands there does not change
// any more, so one that is indexed stays so.
func (x *textIndex) addHead(id int64, reqHeaders, respHeaders, columns driver.Value) error {
	block := id >> termBlockBits
	x.terms = x.terms[:0]
	for i, side := range []capture.Side{capture.SideRequest, capture.SideResponse} {
		headers := asString([]driver.Value{reqHeaders, respHeaders}[i])
		if headers == "" {
			continue
		}
		add := func(raw string, field func() (capture.Field, error)) {
			// What the block has already is most, and is not even taken apart.
			if !x.known.add(block, string(side), raw) {
				return
			}
			if f, err := field(); err == nil {
				x.terms = append(x.terms, filter.HeaderTerm(side, f))
			}
		}
		if !filter.HeaderFields(headers, add) {
			var h capture.Header
			if json.Unmarshal([]byte(headers), &h) != nil {
				continue // it cannot be searched either
			}
			for _, f := range h {
				x.terms = append(x.terms, filter.HeaderTerm(side, f))
			}
		}
	}
	values := strings.Split(asString(columns), columnEnd)
	if len(values) != len(columnNames) {
		// A value has what ends them.
		var err error
		if values, err = x.columns(id); err != nil {
			return err
		}
	}
	for i, v := range values {
		if v != "" && x.known.add(block, columnNames[i], v) {
			x.terms = filter.AppendColumnTerms(x.terms, i, v)
		}
	}
	if len(x.terms) == 0 {
		return nil
	}
	if id <= x.lastHead {
		there, err := x.conn.integer(context.Background(), "SELECT 1 FROM head_docsize WHERE id = ?", id)
		if err != nil {
			return err
		}
		if there != 0 {
			// Indexed before, when this was not known: its mark was changed. All that is new in this block it has already.
			return nil
		}
	}
	x.lastHead = max(x.lastHead, id)
	return x.insertHead.with(id, strings.ReplaceAll(strings.Join(x.terms, ""), "\x00", "\x01"))
}

var columnNames = filter.TermColumns()

// columns reads the columns that have terms, each for itself.
func (x *textIndex) columns(id int64) ([]string, error) {
	dest := make([]driver.Value, len(columnNames))
	err := x.store.pool.use(context.Background(), func(c *conn) error {
		return c.row(context.Background(), "SELECT CAST(x."+strings.Join(columnNames, " AS TEXT), CAST(x.")+" AS TEXT) FROM exchanges AS x WHERE x.id = ?", []any{id}, dest)
	})
	values := make([]string, len(columnNames))
	if err == io.EOF {
		return values, nil // removed meanwhile
	}
	for i, v := range dest {
		values[i] = asString(v)
	}
	return values, err
}

// forgetHeads drops what was removed from blocks, and indexes the rest of them anew: one of the others has to be the first
// to have the terms now.
func (x *textIndex) forgetHeads(ctx context.Context, removed []int64, rest func()) error {
	blocks := make(map[int64]bool)
	for _, id := range removed {
		blocks[id>>termBlockBits] = true
	}
	for block := range blocks {
		lo, hi := block<<termBlockBits, block<<termBlockBits|termBlockMask
		if err := x.dropHeads(lo, hi); err != nil {
			return err
		}
		x.known.forgetBlock(block)
		for from := lo; from <= hi; {
			rows, err := x.read(ctx, headOnly, "x.id BETWEEN ? AND ? AND x.state <> 'open' ORDER BY x.id LIMIT ?", from, hi, indexRows)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			for _, row := range rows {
				if err := x.addHead(asInt(row[1]), row[3], row[6], row[9]); err != nil {
					return err
				}
				from = asInt(row[1]) + 1
			}
		}
		rest()
	}
	return nil
}

// dropHeads removes the heads of a range of ids from the index.
func (x *textIndex) dropHeads(lo, hi int64) error {
	ids, err := x.conn.integers(context.Background(), "SELECT id FROM head_docsize WHERE id BETWEEN ? AND ?", lo, hi)
	for _, id := range ids {
		if err == nil {
			err = x.removeHead.with(id)
		}
	}
	return err
}

// candidateBlocks is a condition on x.id that no exchange fails for which test is true, a condition over x and d that can only be
// true where one term contains all pieces of an alternative. It is limited to ids from lo to hi.
func candidateBlocks(test string, testArgs []any, match string, lo, hi int64) (sql string, args []any) {
	details := ""
	if strings.Contains(test, "d.") {
		details = " LEFT JOIN details AS d ON d.id = h.rowid"
	}
	sql = `x.id IN (SELECT (b.block << 6) + o.value FROM (SELECT DISTINCT h.rowid >> 6 AS block FROM search.head AS h
			LEFT JOIN exchanges AS x ON x.id = h.rowid` + details + ` WHERE h.head MATCH ? AND h.rowid BETWEEN ? AND ? AND (x.id IS NULL OR ` + test + `)) AS b, json_each(?) AS o
		UNION ALL SELECT id FROM exchanges INDEXED BY exchanges_seq WHERE seq > (SELECT coalesce((SELECT value FROM search.state WHERE key = 'cursor'), 0)) AND id BETWEEN ? AND ?
		UNION ALL SELECT id FROM exchanges INDEXED BY exchanges_open WHERE state = 'open' AND id BETWEEN ? AND ?)`
	args = append([]any{match, lo &^ termBlockMask, hi | termBlockMask}, testArgs...)
	return sql, append(args, blockIDs, lo, hi, lo, hi)
}

// matchAlternatives asks FTS5 for all pieces of one of the alternatives, "" if one of them has nothing to ask for.
func matchAlternatives(alternatives [][]string) string {
	var matches []string
	for _, pieces := range alternatives {
		match := matchPieces(pieces)
		if match == "" {
			return ""
		}
		matches = append(matches, "("+match+")")
	}
	return strings.Join(matches, " OR ")
}

// matchPieces asks FTS5 for trigrams of all pieces, "" if they have none.
func matchPieces(pieces []string) string {
	var matches []string
	for _, p := range pieces {
		if m := matchExpression(p); m != "" {
			matches = append(matches, m)
		}
	}
	return strings.Join(matches, " AND ")
}

// Bounds of what is asked of the index of heads at once.
const (
	maxAlternatives = 32
	fewCandidates   = 16
	mostCandidates  = 50_000
)

// Narrow implements filter.Narrower. What every few exchanges have is no help: to look at all is quicker then. How many
// have it is counted up to that.
func (b bodySearch) Narrow(test string, args []any, alternatives [][]string) (string, []any, bool) {
	if b.heads == nil || len(alternatives) > maxAlternatives {
		return "", nil, false
	}
	match := matchAlternatives(alternatives)
	if match == "" {
		return "", nil, false
	}
	share := uint64(b.hi-b.lo) / (4 << termBlockBits)
	if strings.Contains(test, "d.") {
		share *= 8 // to look into details costs far more than into a row
	}
	most := min(fewCandidates+share, mostCandidates)
	n, err := b.heads.integer(b.ctx, "SELECT count(*) FROM (SELECT 1 FROM search.head WHERE head MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)", match, b.lo, b.hi, int64(most))
	if err != nil || n >= int64(most) {
		return "", nil, false
	}
	sql, args := candidateBlocks(test, args, match, b.lo, b.hi)
	return sql, args, true
}
