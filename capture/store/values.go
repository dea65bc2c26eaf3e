package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"eaves/capture/filter"
)

// Limits of a question for values.
const (
	// valueSample is how many of the newest exchanges are looked at where no index has the values.
	valueSample = 50_000
	// enoughValues is for how many of the exchanges that a filter lets through no more are looked for.
	enoughValues = 1_000
	// headerSample is that for the names of header fields, which have to be decoded.
	headerSample = 2_000
	// valueBudget is how long one question may take.
	valueBudget = 300 * time.Millisecond
	// longestValue is the length from which on a value is nothing to choose from a list.
	longestValue = 200
	// mergedValues is how many groups are read where values are taken apart afterwards.
	mergedValues = 1000
)

// ValueQuery asks which values a field of the filter language has, and how often.
type ValueQuery struct {
	Field string
	// Contains is a part that they have, in any case.
	Contains string
	// Filter says which exchanges count; nil: all.
	Filter *filter.Filter
	Limit  int
}

// Values is the answer to a ValueQuery: the commonest first, those that begin with what was asked for before the others.
type Values struct {
	Values []Value
	// Of is the number of exchanges that were looked at: the newest, or all.
	Of int64
	// All says that there are no others.
	All bool
}

// Value is one value and the number of exchanges that have it.
type Value struct {
	Text  string
	Count int64
}

// valueColumn is the expression over x whose values a field has; "" for one whose values are nothing to choose from.
func valueColumn(field string) string {
	switch field {
	case "method", "scheme", "host", "path", "proto", "kind", "type", "run", "connection", "answered", "bypass", "alpn", "sni", "mark":
		return "x." + field
	case "port", "status":
		return "CAST(x." + field + " AS TEXT)"
	case "hop":
		return "x.hop"
	case "hop.status":
		return "CAST(x.hop_status AS TEXT)"
	case "tls.version", "tls.cipher", "cert.sent", "cert.rule", "cert.verdict":
		return "x." + strings.ReplaceAll(field, ".", "_")
	case "alert":
		return "x.cert_alert"
	case "error":
		return "x.error_stage"
	case "client":
		// Without the port, which is another one for each connection.
		return "rtrim(rtrim(x.client, '0123456789'), ':')"
	case "route":
		// The source: what follows names the origin, too.
		return "substr(x.route, 1, instr(x.route || ' ', ' ') - 1)"
	case "verified", "cert.asked":
		return "CASE x." + strings.ReplaceAll(field, ".", "_") + " WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END"
	}
	return ""
}

// Values tells the values of a field among what is kept, at a bounded price: hosts of all exchanges stand in an index, marks
// in another; anything else is counted in the newest exchanges. What takes too long comes from fewer of them.
func (s *Store) Values(ctx context.Context, q ValueQuery) (v Values, err error) {
	ctx, cancel := context.WithTimeout(ctx, valueBudget)
	defer cancel()
	err = s.pool.lend(ctx, func(c *conn) error {
		for _, ask := range s.valueQuestions(q) {
			got, err := ask.run(ctx, c, q)
			if ctx.Err() != nil {
				return nil // what there is has to do
			}
			if err != nil {
				return err
			}
			if v = got; v.All || ask.filtered && v.Of >= enoughValues {
				break
			}
		}
		return nil
	})
	if err != nil && classify(err) == troubleCorrupt {
		s.pool.damaged(err)
	}
	if ctx.Err() != nil && err == ctx.Err() {
		err = nil // every connection was busy for as long as this may take
	}
	return v, err
}

// valueQuestion is one statement that counts values.
type valueQuestion struct {
	// seen gives rows of (v, n): values, NULL where there is none, and how often.
	seen string
	args []any
	// all says that it looks at everything, sample at how many rows it stops.
	all    bool
	sample int64
	// filtered says that it looks at what a filter lets through.
	filtered bool
}

// valueQuestions are the ways to ask, each wider than the one before.
func (s *Store) valueQuestions(q ValueQuery) []valueQuestion {
	if strings.HasSuffix(q.Field, "header") {
		return []valueQuestion{s.headerQuestion(q)}
	}
	column := valueColumn(q.Field)
	if column == "" {
		return nil
	}
	now := time.Now()
	if empty(q.Filter) {
		if q.Field == "mark" {
			return []valueQuestion{{seen: "SELECT x.mark AS v, count(*) AS n FROM exchanges AS x WHERE x.mark IS NOT NULL GROUP BY x.mark", all: true}}
		}
		var all []valueQuestion
		for _, sample := range []int64{valueSample / 10, valueSample} {
			all = append(all, valueQuestion{
				seen: "SELECT v, count(*) AS n FROM (SELECT " + column + " AS v FROM exchanges AS x ORDER BY x.id DESC LIMIT ?) GROUP BY v",
				args: []any{sample}, sample: sample,
			})
		}
		if q.Field == "host" {
			all[1] = valueQuestion{seen: "SELECT x.host AS v, count(*) AS n FROM exchanges AS x GROUP BY x.host", all: true}
		}
		return all
	}
	// What a filter lets through may be rare: wider windows, as long as there is time.
	var all []valueQuestion
	for window := int64(valueSample / 10); window <= valueSample*20; window *= 10 {
		sel := s.selection(q.Filter, bodySearch{hi: 1 << 62}, now)
		all = append(all, valueQuestion{
			seen: "SELECT v, count(*) AS n FROM (SELECT " + column + " AS v FROM " + sel.from +
				clause(append(sel.where, "x.id > (SELECT max(id) FROM exchanges) - ?")) + " ORDER BY x.id DESC LIMIT ?) GROUP BY v",
			args: append(sel.args, window, valueSample), filtered: true,
		})
	}
	return all
}

// headerQuestion counts the exchanges that have a header field of each name.
func (s *Store) headerQuestion(q ValueQuery) valueQuestion {
	sel := s.selection(q.Filter, bodySearch{hi: 1 << 62}, time.Now())
	if !strings.Contains(sel.from, "details") {
		sel.from += " LEFT JOIN details AS d ON d.id = x.id"
	}
	newest := "SELECT x.id, d.req_headers AS q, d.resp_headers AS a FROM " + sel.from +
		clause(append(sel.where, "x.id > (SELECT max(id) FROM exchanges) - ?")) + " ORDER BY x.id DESC LIMIT ?"
	var sides []string
	for _, side := range []struct{ field, column string }{{"req.header", "q"}, {"resp.header", "a"}} {
		if q.Field == side.field || q.Field == "header" {
			sides = append(sides, "SELECT w.id, lower(json_extract(h.value, '$.name')) AS v FROM w, json_each(CASE WHEN json_valid(w."+side.column+") THEN w."+side.column+" ELSE '[]' END) AS h")
		}
	}
	return valueQuestion{
		// The row without a value counts what was looked at: names are of the same exchanges over and over.
		seen: "WITH w AS MATERIALIZED (" + newest + ") SELECT v, count(DISTINCT id) AS n FROM (" + strings.Join(sides, " UNION ALL ") + ") GROUP BY v UNION ALL SELECT NULL, count(*) FROM w",
		args: append(sel.args, valueSample, headerSample),
	}
}

func (ask valueQuestion) run(ctx context.Context, c *conn, q ValueQuery) (Values, error) {
	v := Values{All: ask.all}
	limit := max(q.Limit, 1)
	wanted := limit
	if q.Field == "hop" {
		wanted = mergedValues // several proxies stand in one value
	}
	of := "(SELECT sum(n) FROM seen)"
	if strings.HasSuffix(q.Field, "header") {
		of = "(SELECT n FROM seen WHERE v IS NULL)"
	}
	part := filter.Fold(q.Contains)
	has, begins := "instr(lower(v), ?) > 0", "instr(lower(v), ?) = 1"
	if part == "" {
		// Every text has an empty part, at its beginning.
		has, begins = "? = ''", "? = ''"
	} else if strings.ContainsFunc(part, func(r rune) bool { return r >= utf8.RuneSelf }) {
		// SQLite's lower knows ASCII only.
		has, begins = "eaves_text(v, ':', ?)", "eaves_text(substr(v, 1, length(?)), ':', ?)"
	}
	sql := "WITH seen AS MATERIALIZED (" + ask.seen + ") SELECT v, n, " + of + " FROM (" +
		"SELECT v, n FROM seen WHERE v IS NOT NULL AND length(v) BETWEEN 1 AND ? AND " + has +
		" ORDER BY " + begins + " DESC, n DESC, v LIMIT ?) UNION ALL SELECT NULL, 0, " + of
	args := append(slices.Clone(ask.args), longestValue)
	for range strings.Count(has+begins, "?") {
		args = append(args, part)
	}
	args = append(args, wanted)
	var dest [3]driver.Value
	err := c.each(ctx, sql, named(args), dest[:], func() error {
		v.Of = asInt(dest[2])
		if dest[0] != nil {
			v.Values = append(v.Values, Value{asString(dest[0]), asInt(dest[1])})
		}
		return nil
	})
	if err != nil {
		return v, err
	}
	if ask.sample > 0 && v.Of < ask.sample {
		v.All = true
	}
	if q.Field == "hop" {
		v.Values = apart(v.Values, part)
	}
	v.Values = v.Values[:min(limit, len(v.Values))]
	return v, nil
}

// apart takes values that are lists apart.
func apart(lists []Value, part string) []Value {
	var out []Value
	for _, l := range lists {
		for _, one := range strings.Fields(l.Text) {
			if !strings.Contains(filter.Fold(one), part) {
				continue
			}
			i := slices.IndexFunc(out, func(v Value) bool { return v.Text == one })
			if i < 0 {
				i = len(out)
				out = append(out, Value{Text: one})
			}
			out[i].Count += l.Count
		}
	}
	slices.SortStableFunc(out, func(a, b Value) int { return cmp.Compare(b.Count, a.Count) })
	return out
}
