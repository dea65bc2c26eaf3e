package filter

import (
	"strings"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

// presentTest: there is one.
type presentTest struct{ columns []*column }

func (t presentTest) match(s *subject) bool {
	for _, c := range t.columns {
		if c.value(s) != nil {
			return true
		}
	}
	return false
}

func (t presentTest) sql(*builder) string {
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = "x." + c.name + " IS NOT NULL"
	}
	return join(parts, " OR ")
}

// differsTest: there is one, and it is not so.
type differsTest struct{ present, same test }

func (t differsTest) match(s *subject) bool { return t.present.match(s) && !t.same.match(s) }

func (t differsTest) sql(b *builder) string {
	return "(" + t.present.sql(b) + " AND (" + t.same.sql(b) + ") IS NOT TRUE)"
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

func (t textTest) sql(b *builder) string { return t.text.sql(b, "x."+t.column.name) }

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
	args := make([]any, len(t.values))
	for i, v := range t.values {
		args[i] = v
	}
	return oneOf(b, "x."+t.column.name, args)
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
		if !one.single() {
			parts = append(parts, one.at(b.now).sql(b, column))
		}
	}
	return join(parts, " OR ")
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
		parts = append(parts, oneOf(b, column, exact))
	}
	for _, p := range t.patterns {
		if _, ok := bareHost(p); ok {
			continue
		}
		var part string
		switch name, suffix := p.Host(); {
		case name != "":
			part = column + " = " + b.arg(name)
		case suffix != "":
			// The underscore stands for the first letter of the label that has to be there.
			part = column + " LIKE " + b.arg("_%"+likeEscape(suffix)) + ` ESCAPE '\'`
		case p.Any():
			part = column + " IS NOT NULL"
		default:
			// Addresses of the block's family; the function costs more than a comparison.
			family := column + " >= '0' AND " + column + " < ':'"
			if strings.Contains(p.String(), "[") {
				family = column + " LIKE '%:%'"
			}
			part = "(" + family + " AND eaves_host(" + column + ", " + b.arg(p.String()) + "))"
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
		parts[i] = "eaves_address(x." + t.column.name + ", " + b.arg(p.String()) + ")"
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
	var parts []string
	for _, side := range []struct {
		side   capture.Side
		column string
	}{{capture.SideRequest, "d.req_headers"}, {capture.SideResponse, "d.resp_headers"}} {
		if t.side == "" || t.side == side.side {
			parts = append(parts, t.sqlSide(b, side.column))
		}
	}
	return join(parts, " OR ")
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
