package pac

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
)

var (
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	months   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
)

// clock takes the time a function is to reckon with: the last argument GMT moves it there. It returns the other arguments.
func (m *machine) clock(c goja.FunctionCall) (time.Time, []goja.Value) {
	m.fickle = true
	now, args := m.script.env.Now(), c.Arguments
	if n := len(args); n > 0 && args[n-1].String() == "GMT" {
		now, args = now.UTC(), args[:n-1]
	}
	return now, args
}

// weekdayRange(wd1 [, wd2] [, "GMT"]): the range may go round the end of the week.
func (m *machine) weekdayRange(c goja.FunctionCall) goja.Value {
	now, args := m.clock(c)
	if len(args) == 0 {
		return m.bool(false)
	}
	from := slices.Index(weekdays, args[0].String())
	to := from
	if len(args) == 2 {
		to = slices.Index(weekdays, args[1].String())
	}
	if from < 0 || to < 0 {
		return m.bool(false)
	}
	return m.bool(within([]int{from}, []int{int(now.Weekday())}, []int{to}))
}

// within says whether x lies between from and to, both included; where to is before from, it goes round.
func within(from, x, to []int) bool {
	if slices.Compare(from, to) <= 0 {
		return slices.Compare(from, x) <= 0 && slices.Compare(x, to) <= 0
	}
	return slices.Compare(x, from) >= 0 || slices.Compare(x, to) <= 0
}

// partial is a date of which some parts are known; the others are negative.
type partial struct{ year, month, day int }

// partOf reads one argument of dateRange into d: a month's name, a day up to 31, or a year.
func (d *partial) take(v goja.Value) bool {
	s := strings.TrimSpace(v.String())
	if month := slices.Index(months, s); month >= 0 {
		d.month = month
		return true
	}
	digits := s
	if i := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' }); i >= 0 {
		digits = s[:i] // as parseInt does
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return false
	}
	if n < 32 {
		d.day = n
	} else {
		d.year = n
	}
	return true
}

// dateRange takes a day, month or year, or two dates made of the same parts; GMT may follow. The range may go round the
// end of the month or year. Unlike the reference, a month's last day is its last day: there, a range that ends with JUN
// takes the first of July in.
func (m *machine) dateRange(c goja.FunctionCall) goja.Value {
	now, args := m.clock(c)
	if n := len(args); n == 0 || n > 1 && n%2 != 0 || n > 6 {
		return m.bool(false)
	}
	from, to := partial{-1, -1, -1}, partial{-1, -1, -1}
	half := (len(args) + 1) / 2
	for i, v := range args {
		d := &from
		if i >= half {
			d = &to
		}
		if !d.take(v) {
			return m.bool(false)
		}
	}
	if len(args) == 1 {
		to = from
	}
	var lo, at, hi []int
	for _, part := range [][3]int{
		{from.year, now.Year(), to.year}, {from.month, int(now.Month()) - 1, to.month}, {from.day, now.Day(), to.day},
	} {
		switch {
		case part[0] < 0 && part[2] < 0:
		case part[0] < 0 || part[2] < 0:
			return m.bool(false) // a date that is no pair, such as 1, "JAN" and 2, 1999
		default:
			lo, at, hi = append(lo, part[0]), append(at, part[1]), append(hi, part[2])
		}
	}
	return m.bool(within(lo, at, hi))
}

// timeRange takes an hour, two hours (of which the second is included whole, and that do not go round midnight, as in the
// reference), two of hour and minute, or two of hour, minute and second, which do; GMT may follow.
func (m *machine) timeRange(c goja.FunctionCall) goja.Value {
	now, args := m.clock(c)
	n := make([]int, len(args))
	for i, v := range args {
		n[i] = int(v.ToInteger())
	}
	clock := []int{now.Hour(), now.Minute(), now.Second()}
	switch len(n) {
	case 0:
		return m.bool(false)
	case 1:
		return m.bool(n[0] == clock[0])
	case 2:
		return m.bool(n[0] <= clock[0] && clock[0] <= n[1])
	case 4:
		return m.bool(within([]int{n[0], n[1], 0}, clock, []int{n[2], n[3], 59}))
	case 6:
		return m.bool(within(n[:3], clock, n[3:]))
	}
	panic(m.vm.NewTypeError("timeRange takes 1, 2, 4 or 6 numbers"))
}
