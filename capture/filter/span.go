package filter

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// span is an interval of numbers.
type span struct {
	lo, hi         float64
	loOpen, hiOpen bool // the end itself does not belong
	// An end may be relative: microseconds to add to now.
	loNow, hiNow bool
}

func everything() span { return span{lo: math.Inf(-1), hi: math.Inf(1)} }

// at resolves the relative ends.
func (s span) at(now time.Time) span {
	if s.loNow {
		s.lo, s.loNow = s.lo+float64(now.UnixMicro()), false
	}
	if s.hiNow {
		s.hi, s.hiNow = s.hi+float64(now.UnixMicro()), false
	}
	return s
}

func (s span) single() bool {
	return s.lo == s.hi && !s.loOpen && !s.hiOpen && !s.loNow && !s.hiNow
}

func (s span) contains(v float64) bool {
	return (v > s.lo || v == s.lo && !s.loOpen) && (v < s.hi || v == s.hi && !s.hiOpen)
}

// sql compares a column with a span whose ends are resolved. NULL lies in no span.
func (s span) sql(b *builder, column string) string {
	if s.single() {
		return column + " = " + b.arg(sqlNumber(s.lo))
	}
	var parts []string
	if !math.IsInf(s.lo, -1) {
		op := " >= "
		if s.loOpen {
			op = " > "
		}
		parts = append(parts, column+op+b.arg(sqlNumber(s.lo)))
	}
	if !math.IsInf(s.hi, 1) {
		op := " <= "
		if s.hiOpen {
			op = " < "
		}
		parts = append(parts, column+op+b.arg(sqlNumber(s.hi)))
	}
	if len(parts) == 0 {
		return column + " IS NOT NULL"
	}
	return join(parts, " AND ")
}

// sqlNumber is an integer wherever it can be, which is how most columns are stored.
func sqlNumber(v float64) any {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v)
	}
	return v
}

// compare returns the span of what compares so with s: less than a span is less than all of it.
func (s span) compare(o op) span {
	r := everything()
	switch o {
	case opLess:
		r.hi, r.hiOpen, r.hiNow = s.lo, !s.loOpen, s.loNow
	case opLessEqual:
		r.hi, r.hiOpen, r.hiNow = s.hi, s.hiOpen, s.hiNow
	case opGreater:
		r.lo, r.loOpen, r.loNow = s.hi, !s.hiOpen, s.hiNow
	case opGreaterEqual:
		r.lo, r.loOpen, r.loNow = s.lo, s.loOpen, s.loNow
	default:
		return s
	}
	return r
}

var (
	numberForm  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([a-z]*)$`)
	statusClass = regexp.MustCompile(`^[1-9](?:xx|[0-9]x)$`)
)

// parseSpan reads a number, a class or a range.
func parseSpan(f *field, s string) (span, error) {
	from, to, isRange := strings.Cut(s, "..")
	if !isRange {
		one, err := parseEnd(f, s)
		if err != nil {
			return span{}, err
		}
		return one, nil
	}
	if from == "" && to == "" {
		return span{}, errors.New("a range needs an end: a..b, a.. or ..b")
	}
	r := everything()
	if from != "" {
		end, err := parseEnd(f, from)
		if err != nil {
			return span{}, err
		}
		r.lo, r.loOpen, r.loNow = end.lo, end.loOpen, end.loNow
	}
	if to != "" {
		end, err := parseEnd(f, to)
		if err != nil {
			return span{}, err
		}
		r.hi, r.hiOpen, r.hiNow = end.hi, end.hiOpen, end.hiNow
	}
	if r.loNow == r.hiNow && r.lo > r.hi {
		return span{}, fmt.Errorf("the range %s ends before it begins", s)
	}
	return r, nil
}

// parseEnd reads one value as the span it stands for.
func parseEnd(f *field, s string) (span, error) {
	low := strings.ToLower(s)
	if f.class == classTime {
		return parseTime(f, s)
	}
	if f.class == classStatus && statusClass.MatchString(low) {
		lo, _ := strconv.Atoi(strings.ReplaceAll(low, "x", "0"))
		hi, _ := strconv.Atoi(strings.ReplaceAll(low, "x", "9"))
		return span{lo: float64(lo), hi: float64(hi)}, nil
	}
	parts := numberForm.FindStringSubmatch(low)
	if parts == nil {
		return span{}, fmt.Errorf("%q is not %s", s, f.wants())
	}
	v, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return span{}, fmt.Errorf("%q is too big", s)
	}
	unit, ok := f.unit(parts[2])
	if !ok {
		return span{}, fmt.Errorf("%q is not %s", s, f.wants())
	}
	return span{lo: v * unit, hi: v * unit}, nil
}

// unit returns what a unit counts in the field's own.
func (f *field) unit(name string) (float64, bool) {
	if name == "" {
		return 1, true
	}
	switch f.class {
	case classDuration:
		us, ok := microseconds(name)
		return us / 1000, ok
	case classSize:
		switch name {
		case "b":
			return 1, true
		case "k", "kb", "kib":
			return 1 << 10, true
		case "m", "mb", "mib":
			return 1 << 20, true
		case "g", "gb", "gib":
			return 1 << 30, true
		}
	}
	return 0, false
}

func microseconds(unit string) (float64, bool) {
	switch unit {
	case "us", "µs":
		return 1, true
	case "ms":
		return 1e3, true
	case "s":
		return 1e6, true
	case "m":
		return 60e6, true
	case "h":
		return 3600e6, true
	case "d":
		return 24 * 3600e6, true
	}
	return 0, false
}

// wants says what a value of the field looks like.
func (f *field) wants() string {
	switch f.class {
	case classStatus:
		return "a status (404), a class (4xx) or a range (400..404)"
	case classDuration:
		return "a duration (800ms, 2s) or a range of them; units are us ms s m h d"
	case classSize:
		return "a size (300, 10k) or a range of them; units are b k m g"
	case classTime:
		if f.future {
			return "a time (2026-01-31, 2026-01-31T10:00:00Z, 30d from now) or a range of them"
		}
		return "a time (2026-01-31, 2026-01-31T10:00:00Z, 10m ago) or a range of them"
	default:
		return "a number or a range (7..9)"
	}
}

// Forms of a time that are less than an instant, with how long what they name lasts. Without an offset they are local.
var timeForms = []struct {
	layout string
	lasts  func(time.Time) time.Time
}{
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
	{"2006-01-02T15:04:05Z07:00", func(t time.Time) time.Time { return t.Add(time.Second) }},
}

func parseTime(f *field, s string) (span, error) {
	low := strings.ToLower(s)
	if parts := numberForm.FindStringSubmatch(low); parts != nil && parts[2] != "" {
		unit, ok := microseconds(parts[2])
		v, err := strconv.ParseFloat(parts[1], 64)
		// No time is further away than this, and beyond it microseconds would not be exact.
		if v *= unit; ok && err == nil && v < 1<<52 {
			if !f.future {
				v = -v
			}
			v = math.Round(v)
			return span{lo: v, hi: v, loNow: true, hiNow: true}, nil
		}
		return span{}, fmt.Errorf("%q is not %s", s, f.wants())
	}
	up := strings.ToUpper(s)
	for _, form := range timeForms {
		t, err := time.ParseInLocation(form.layout, up, time.Local)
		if err != nil {
			continue
		}
		if strings.ContainsRune(s, '.') {
			// A fraction is an instant, read to the millisecond that is shown.
			return span{lo: float64(t.UnixMicro()), hi: float64(t.UnixMicro() + 999)}, nil
		}
		return span{lo: float64(t.UnixMicro()), hi: float64(form.lasts(t).UnixMicro() - 1)}, nil
	}
	return span{}, fmt.Errorf("%q is not %s", s, f.wants())
}

// since turns a lone relative time into what it can only mean: since then, or until then in the future.
func (s span) since(f *field) span {
	if !s.loNow || !s.hiNow || s.lo != s.hi {
		return s
	}
	if f.future {
		return s.compare(opLessEqual)
	}
	return s.compare(opGreaterEqual)
}
