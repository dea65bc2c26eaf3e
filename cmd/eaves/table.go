package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"eaves/capture"
)

// column is one column of a list of exchanges.
type column struct {
	name  string
	width int // of a column that is padded; negative: to the right
	text  func(*capture.Exchange) string
}

// columns are all columns that list knows.
func columns() []column {
	u := func(get func(*url.URL) string) func(*capture.Exchange) string {
		return func(x *capture.Exchange) string {
			parsed, err := url.Parse(x.Request.URL)
			if err != nil {
				return ""
			}
			return get(parsed)
		}
	}
	return []column{
		{"id", -6, func(x *capture.Exchange) string { return number(x.ID) }},
		{"seq", -6, func(x *capture.Exchange) string { return number(x.Seq) }},
		{"time", 12, func(x *capture.Exchange) string { return x.Started.Local().Format("15:04:05.000") }},
		{"started", 24, func(x *capture.Exchange) string { return x.Started.UTC().Format(capture.TimeFormat) }},
		{"status", 10, status},
		{"method", 7, func(x *capture.Exchange) string { return x.Request.Method }},
		{"url", 0, func(x *capture.Exchange) string { return x.Request.URL }},
		{"scheme", 5, u(func(u *url.URL) string { return u.Scheme })},
		{"host", 24, u(func(u *url.URL) string { return u.Host })},
		{"port", -5, u((*url.URL).Port)},
		{"path", 0, u(func(u *url.URL) string {
			if u.Scheme == "tcp" { // a tunnel has no path
				return ""
			}
			return u.RequestURI()
		})},
		{"query", 0, u(func(u *url.URL) string { return u.RawQuery })},
		{"kind", 9, func(x *capture.Exchange) string { return string(x.Kind) }},
		{"state", 6, func(x *capture.Exchange) string { return string(x.State) }},
		{"source", 7, func(x *capture.Exchange) string { return string(x.Source) }},
		{"proto", 8, func(x *capture.Exchange) string { return x.Request.HTTPVersion }},
		{"type", 24, func(x *capture.Exchange) string {
			if x.Response == nil {
				return ""
			}
			return x.Response.Content.MimeType
		}},
		{"req.size", -9, func(x *capture.Exchange) string { return number(x.Request.BodySize) }},
		{"size", -9, func(x *capture.Exchange) string {
			if x.Response == nil {
				return ""
			}
			return number(x.Response.BodySize)
		}},
		{"took", -9, func(x *capture.Exchange) string { return milliseconds(x.Time) }},
		{"client", 21, func(x *capture.Exchange) string { return x.Client.Address }},
		{"answered", 8, func(x *capture.Exchange) string { return string(x.AnsweredBy) }},
		{"messages", -8, func(x *capture.Exchange) string { return number(x.Messages) }},
		{"replayof", -8, func(x *capture.Exchange) string {
			if x.ReplayOf == 0 {
				return ""
			}
			return number(x.ReplayOf)
		}},
		{"mark", 8, func(x *capture.Exchange) string { return x.Mark }},
		{"comment", 0, func(x *capture.Exchange) string { return x.Comment }},
		{"error", 0, func(x *capture.Exchange) string {
			if x.Error == nil {
				return ""
			}
			return x.Error.Error()
		}},
	}
}

// defaultColumns are what list shows unless told otherwise: those of any length last, so that the others stand in line.
const defaultColumns = "id,time,status,method,size,took,host,path,type"

// pickColumns finds the named columns, separated by commas.
func pickColumns(names string) ([]column, error) {
	all := columns()
	var picked []column
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(all, func(c column) bool { return c.name == strings.ToLower(strings.TrimSpace(name)) })
		if i < 0 {
			var known []string
			for _, c := range all {
				known = append(known, c.name)
			}
			return nil, fmt.Errorf("unknown column %q: there are %s", name, strings.Join(known, ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// row formats one exchange; width is that of the terminal, 0 where lines are not cut.
func row(cols []column, width int, text func(column) string) string {
	var b strings.Builder
	for i, c := range cols {
		if i > 0 {
			b.WriteString("  ")
		}
		s := harmless(text(c))
		pad := max(c.width, -c.width) - utf8.RuneCountInString(s)
		switch {
		case pad <= 0:
			b.WriteString(s)
		case c.width < 0:
			b.WriteString(strings.Repeat(" ", pad) + s)
		default:
			b.WriteString(s)
			if i < len(cols)-1 {
				b.WriteString(strings.Repeat(" ", pad))
			}
		}
	}
	return cut(b.String(), width)
}

// cut shortens a line to a terminal's width, 0 for no limit.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// harmless replaces what would move a terminal's cursor or change its state: captured text is a stranger's.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// harmlessText is harmless for text of several lines.
func harmlessText(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		parts := strings.Split(strings.TrimSuffix(l, "\r"), "\t")
		for j := range parts {
			parts[j] = harmless(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// status is an answer's status, or what there is instead of one.
func status(x *capture.Exchange) string {
	switch {
	case x.Response != nil && x.Response.Status > 0 && x.State == capture.StateFailed && x.AnsweredBy != capture.AnsweredByEaves:
		return strconv.Itoa(x.Response.Status) + " failed" // a good answer, by its head
	case x.Response != nil && x.Response.Status > 0:
		return strconv.Itoa(x.Response.Status)
	case x.State == capture.StateFailed:
		return "failed"
	case x.State == capture.StateOpen:
		return "…"
	}
	return "-"
}

// number writes a count, nothing where it is unknown.
func number(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// milliseconds writes a duration, nothing where the phase did not happen.
func milliseconds(ms float64) string {
	if ms < 0 {
		return ""
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
}
