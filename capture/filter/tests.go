package filter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

// presentTest: there is one.
type presentTest struct{ columns []*column }

func (t presentTest) match(s *subject) bool {
	for _, c := range t.columns {
		if c.value(s, nil) != nil {
			return true
		}
	}
	return false
}

func (t presentTest) sql(b *builder) string {
	parts := make([]string, len(t.columns))
	var alternatives [][]string
	for i, c := range t.columns {
		parts[i] = "x." + c.name + " IS NOT NULL"
		if _, _, sparse := termColumn(c.name); sparse {
			alternatives = append(alternatives, []string{beginTerm(c.name)})
		}
	}
	test := join(parts, " OR ")
	if len(alternatives) < len(parts) {
		return test
	}
	return b.narrow(test, len(b.args), alternatives...)
}

// differsTest: there is one, and it is not so.
type differsTest struct{ present, same test }

func (t differsTest) match(s *subject) bool { return t.present.match(s) && !t.same.match(s) }

func (t differsTest) sql(b *builder) string {
	present := t.present.sql(b)
	b.negated++
	defer func() { b.negated-- }()
	return "(" + present + " AND (" + t.same.sql(b) + ") IS NOT TRUE)"
}

// anyTest: one of them is so.
type anyTest []test

func (t anyTest) match(s *subject) bool {
	for _, one := range t {
		if one.match(s) {
			return true
		}
	}
	return false
}

func (t anyTest) sql(b *builder) string {
	parts := make([]string, len(t))
	for i, one := range t {
		parts[i] = one.sql(b)
	}
	return join(parts, " OR ")
}

// textTest compares a column of text.
type textTest struct {
	column *column
	text   textMatch
}

func (t textTest) match(s *subject) bool {
	v := t.column.get(s)
	return (v != "" || t.column.always) && t.text.match(v)
}

func (t textTest) sql(b *builder) string {
	mark := len(b.args)
	test := t.text.sql(b, "x."+t.column.name)
	if pieces := t.text.textPieces(t.column.name); pieces != nil {
		return b.narrow(test, mark, pieces)
	}
	if t.column.name == "mark" || t.column.name == "comment" {
		// In so many words, so that the indexes of the few that have one serve.
		return "(x." + t.column.name + " IS NOT NULL AND " + test + ")"
	}
	return test
}

// enumTest compares a column whose values are stored folded.
type enumTest struct {
	column *column
	values []string
}

func (t enumTest) match(s *subject) bool {
	v := t.column.get(s)
	if v == "" && !t.column.always {
		return false
	}
	for _, one := range t.values {
		if v == one {
			return true
		}
	}
	return false
}

func (t enumTest) sql(b *builder) string {
	if t.column.name == "state" && len(t.values) == 1 {
		// In so many words, so that the indexes of the few that are open or failed serve.
		return "x.state = '" + strings.ReplaceAll(t.values[0], "'", "''") + "'"
	}
	mark := len(b.args)
	args := make([]any, len(t.values))
	var alternatives [][]string
	is, _, _ := termColumn(t.column.name)
	for i, v := range t.values {
		args[i] = v
		if is {
			alternatives = append(alternatives, []string{beginTerm(t.column.name) + v + termEnd})
		}
	}
	return b.narrow(oneOf(b, "x."+t.column.name, args), mark, alternatives...)
}

// oneOf compares a bare column with values, so that an index serves.
func oneOf(b *builder, column string, values []any) string {
	if len(values) == 1 {
		return column + " = " + b.arg(values[0])
	}
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = b.arg(v)
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")"
}

// numberTest says whether a number lies in one of the spans. Where there are two columns, their sum is the number.
type numberTest struct {
	columns []*column
	spans   []span
}

func (t numberTest) match(s *subject) bool {
	sum, known := 0.0, false
	for _, c := range t.columns {
		if v, ok := c.number(s); ok {
			sum, known = sum+v, true
		}
	}
	if !known {
		return false
	}
	for _, one := range t.spans {
		if one.at(s.Now).contains(sum) {
			return true
		}
	}
	return false
}

func (t numberTest) sql(b *builder) string {
	mark := len(b.args)
	column := "x." + t.columns[0].name
	if len(t.columns) == 2 {
		other := "x." + t.columns[1].name
		column = "coalesce(" + column + " + " + other + ", " + column + ", " + other + ")"
	}
	var singles []any
	var parts []string
	for _, one := range t.spans {
		if one.single() {
			singles = append(singles, sqlNumber(one.lo))
		}
	}
	if len(singles) > 0 {
		parts = append(parts, oneOf(b, column, singles))
	}
	for _, one := range t.spans {
		if one.single() {
			continue
		}
		if codes := statusCodes(t.columns[0], one); codes != "" {
			parts = append(parts, column+" IN ("+codes+")")
			continue
		}
		parts = append(parts, one.at(b.now).sql(b, column))
	}
	test := join(parts, " OR ")
	if len(t.columns) == 2 {
		return test
	}
	return b.narrow(t.guarded(b, test), mark, t.alternatives()...)
}

// statusCodes writes out the few numbers of a class of status codes, so that an index finds those of each newest first;
// "" where they are not few or not of a status.
func statusCodes(c *column, s span) string {
	lo, hi := math.Ceil(s.lo), math.Floor(s.hi)
	if c.name != "status" && c.name != "hop_status" || s.contains(200) || !(lo >= 100 && hi-lo < 200 && hi >= lo) || s.loOpen && lo == s.lo || s.hiOpen && hi == s.hi {
		return ""
	}
	codes := make([]string, 0, 200)
	for code := int64(lo); code <= int64(hi); code++ {
		codes = append(codes, strconv.FormatInt(code, 10))
	}
	return strings.Join(codes, ", ")
}

// guarded adds to a test what says that one of the partial indexes serves: of those that answered 200, or took no time
// worth a question, none has an entry.
func (t numberTest) guarded(b *builder, test string) string {
	for _, guard := range []struct {
		column, sql string
		holds       func(span) bool
	}{
		{"status", "x.status <> 200", func(s span) bool { return !s.contains(200) }},
		{"took", "x.took >= 1000", func(s span) bool { return s.lo >= 1000 }},
		{"resp_size", "x.resp_size >= 1048576", func(s span) bool { return s.lo >= 1<<20 }},
	} {
		if t.columns[0].name == guard.column && !slices.ContainsFunc(t.spans, func(s span) bool { return !guard.holds(s.at(b.now)) }) {
			return "(" + guard.sql + " AND " + test + ")"
		}
	}
	return test
}

// alternatives are what the terms of numbers in the spans contain.
func (t numberTest) alternatives() [][]string {
	name := t.columns[0].name
	is, _, sparse := termColumn(name)
	if !is {
		return nil
	}
	var alternatives [][]string
	for _, one := range t.spans {
		switch {
		case one.single():
			alternatives = append(alternatives, []string{fmt.Sprint(beginTerm(name), sqlNumber(one.lo), termEnd)})
		case sparse:
			alternatives = append(alternatives, []string{beginTerm(name)})
		default:
			return nil
		}
	}
	return alternatives
}

// hostTest compares a host, and its port where there is a second column, with patterns.
type hostTest struct {
	host, port *column
	patterns   []hostpattern.Pattern
}

func (t hostTest) match(s *subject) bool {
	host := t.host.get(s)
	port := 0
	if t.port != nil {
		if v, ok := t.port.number(s); ok {
			port = int(v)
		}
	}
	for _, p := range t.patterns {
		if p.Match(host, port) {
			return true
		}
	}
	return false
}

func (t hostTest) sql(b *builder) string {
	column := "x." + t.host.name
	var exact []any
	var parts []string
	for _, p := range t.patterns {
		if name, ok := bareHost(p); ok {
			exact = append(exact, name)
		}
	}
	if len(exact) > 0 {
		mark := len(b.args)
		part := oneOf(b, column, exact)
		if t.host.name != "host" { // which has an index of its own
			var alternatives [][]string
			for _, name := range exact {
				alternatives = append(alternatives, []string{fmt.Sprint(beginTerm(t.host.name), name, termEnd)})
			}
			part = b.narrow(part, mark, alternatives...)
		}
		parts = append(parts, part)
	}
	for _, p := range t.patterns {
		if _, ok := bareHost(p); ok {
			continue
		}
		var part string
		mark := len(b.args)
		switch name, suffix := p.Host(); {
		case name != "":
			part = column + " = " + b.arg(name)
		case suffix != "":
			// The underscore stands for the first letter of the label that has to be there.
			part = b.narrow(column+" LIKE "+b.arg("_%"+likeEscape(suffix))+` ESCAPE '\'`, mark, hostPieces(t.host.name, p))
		case p.Any():
			part = column + " IS NOT NULL"
		default:
			// Addresses of the block's family; the function costs more than a comparison.
			family := column + " >= '0' AND " + column + " < ':'"
			if strings.Contains(p.String(), "[") {
				family = column + " LIKE '%:%'"
			}
			part = "(" + family + " AND eaves_host(" + column + ", " + b.arg(p.String()) + "))"
			if pieces := hostPieces(t.host.name, p); pieces != nil {
				part = b.narrow(part, mark, pieces)
			}
		}
		if port, ok := p.Port(); ok && t.port != nil {
			part = "(" + part + " AND x." + t.port.name + " = " + b.arg(int64(port)) + ")"
		}
		parts = append(parts, part)
	}
	return join(parts, " OR ")
}

// bareHost returns the host of a pattern that names one, at any port.
func bareHost(p hostpattern.Pattern) (string, bool) {
	name, _ := p.Host()
	_, port := p.Port()
	return name, name != "" && !port
}

// matchHost is the SQL function eaves_host: a host against a pattern whose port is compared elsewhere.
func matchHost(p hostpattern.Pattern, host string) bool {
	port, _ := p.Port()
	return p.Match(host, port)
}

// addressTest says whether one of a column's addresses matches one of the patterns.
type addressTest struct {
	column   *column
	patterns []hostpattern.Pattern
}

func (t addressTest) match(s *subject) bool {
	v := t.column.get(s)
	for _, p := range t.patterns {
		if matchAddresses(p, v) {
			return true
		}
	}
	return false
}

func (t addressTest) sql(b *builder) string {
	parts := make([]string, len(t.patterns))
	for i, p := range t.patterns {
		mark := len(b.args)
		parts[i] = "eaves_address(x." + t.column.name + ", " + b.arg(p.String()) + ")"
		if pieces := hostPieces(t.column.name, p); pieces != nil {
			parts[i] = b.narrow(parts[i], mark, pieces)
		} else {
			parts[i] = b.narrow(parts[i], mark, []string{beginTerm(t.column.name)})
		}
	}
	return join(parts, " OR ")
}

// matchAddresses is the SQL function eaves_address.
func matchAddresses(p hostpattern.Pattern, addresses string) bool {
	for _, address := range strings.Fields(addresses) {
		host, port := splitPort(address)
		if p.Match(host, parsePort(port)) {
			return true
		}
	}
	return false
}

// headerTest compares the values of a header field. Side "" stands for both.
type headerTest struct {
	side capture.Side
	name string // lower case
	text textMatch
}

func (t headerTest) match(s *subject) bool {
	x := s.Exchange
	return t.side != capture.SideResponse && matchHeader(x.Request.Header, t.name, t.text) ||
		t.side != capture.SideRequest && x.Response != nil && matchHeader(x.Response.Header, t.name, t.text)
}

// matchHeader is the heart of the SQL function eaves_header.
func matchHeader(h capture.Header, name string, text textMatch) bool {
	for _, f := range h {
		if Fold(f.Name) == name && text.match(latin1(f.Value)) {
			return true
		}
	}
	return false
}

func (t headerTest) sql(b *builder) string {
	mark := len(b.args)
	var parts []string
	for _, side := range []struct {
		side   capture.Side
		column string
	}{{capture.SideRequest, "d.req_headers"}, {capture.SideResponse, "d.resp_headers"}} {
		if t.side == "" || t.side == side.side {
			parts = append(parts, t.sqlSide(b, side.column))
		}
	}
	var alternatives [][]string
	for _, side := range []capture.Side{capture.SideRequest, capture.SideResponse} {
		if t.side == "" || t.side == side {
			alternatives = append(alternatives, t.text.within(beginHeader(side, t.name)))
		}
	}
	return b.narrow(join(parts, " OR "), mark, alternatives...)
}

// sqlSide leaves to the function, which costs far more than LIKE, only those rows that may match.
func (t headerTest) sqlSide(b *builder, column string) string {
	var before string
	if inJSON(t.name) {
		before = column + " LIKE " + b.arg(`%"name":"`+likeEscape(t.name)+`"%`) + ` ESCAPE '\' AND `
	}
	if run := t.text.asciiRun(); run != "" && inJSON(run) {
		before += column + " LIKE " + b.arg("%"+likeEscape(run)+"%") + ` ESCAPE '\' AND `
	}
	return "(" + before + "eaves_header(" + column + ", " + b.arg(t.name) + ", " + b.arg(string(t.text.mode)) + ", " + b.arg(t.text.operand) + "))"
}

// bodyTest looks into decoded bodies. Side "" stands for both.
type bodyTest struct {
	side capture.Side
	text textMatch // contains or regexp
}

func (t bodyTest) match(s *subject) bool {
	if s.Body == nil {
		return false
	}
	for _, side := range []capture.Side{capture.SideRequest, capture.SideResponse} {
		if t.side != "" && t.side != side {
			continue
		}
		if body := s.Body(side); body != "" && t.text.match(body) {
			return true
		}
	}
	return false
}

func (t bodyTest) sql(b *builder) string {
	if b.bodies == nil {
		return "0"
	}
	ask := b.bodies.Contains
	if t.text.mode == modeRegexp {
		ask = b.bodies.Matches
	}
	sql, args := ask(t.side, t.text.operand)
	b.args = append(b.args, args...)
	return "(" + sql + ")"
}

// sizedTest: there is a body on one of the sides.
type sizedTest struct{ columns []*column }

func (t sizedTest) match(s *subject) bool {
	for _, c := range t.columns {
		if v, ok := c.number(s); ok && v > 0 {
			return true
		}
	}
	return false
}

func (t sizedTest) sql(*builder) string {
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = "x." + c.name + " > 0"
	}
	return join(parts, " OR ")
}
