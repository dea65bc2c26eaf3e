package main

import "fmt"

// maxEdits bounds the search for the shortest edit; texts further apart are compared line by line.
const maxEdits = 2000

// lines compares two texts by the shortest edit that makes one of the other (Myers, An O(ND) Difference Algorithm).
func (c *comparer) lines(where string, a, b []string) {
	lead := 0
	for lead < len(a) && lead < len(b) && a[lead] == b[lead] {
		lead++
	}
	na, nb := len(a), len(b)
	for na > lead && nb > lead && a[na-1] == b[nb-1] {
		na, nb = na-1, nb-1
	}
	a, b = a[lead:na], b[lead:nb]
	steps, ok := shortestEdit(a, b)
	if !ok {
		steps = nil
		for range a {
			steps = append(steps, '-')
		}
		for range b {
			steps = append(steps, '+')
		}
	}
	i, j := 0, 0
	for _, s := range steps {
		d := difference{}
		switch s {
		case '=':
			i, j = i+1, j+1
			continue
		case '-':
			d.Where, d.A = fmt.Sprintf("%s line %d", where, lead+i+1), &a[i]
			i++
		case '+':
			d.Where, d.B = fmt.Sprintf("%s line %d", where, lead+j+1), &b[j]
			j++
		}
		// A line taken away and one put in its place are one difference.
		if last := len(c.found) - 1; s == '+' && last >= 0 && c.found[last].Where == d.Where && c.found[last].B == nil {
			c.found[last].B = d.B
			continue
		}
		c.found = append(c.found, d)
	}
}

// shortestEdit returns the steps from a to b: '=' keep, '-' take away, '+' put in. False: more than maxEdits.
func shortestEdit(a, b []string) ([]byte, bool) {
	limit := min(len(a)+len(b), maxEdits)
	v := make([]int, 2*limit+2)
	var trace [][]int
	for d := 0; d <= limit; d++ {
		trace = append(trace, append([]int(nil), v[max(0, limit-d-1):min(len(v), limit+d+2)]...))
		for k := -d; k <= d; k += 2 {
			x := 0
			switch {
			case k == -d || k != d && v[limit+k-1] < v[limit+k+1]:
				x = v[limit+k+1]
			default:
				x = v[limit+k-1] + 1
			}
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			v[limit+k] = x
			if x >= len(a) && x-k >= len(b) {
				return retrace(trace, limit, len(a), len(b)), true
			}
		}
	}
	return nil, false
}

// retrace walks from the end back to the beginning.
func retrace(trace [][]int, limit, x, y int) []byte {
	var steps []byte
	for d := len(trace) - 1; d > 0; d-- {
		base := max(0, limit-d-1)
		get := func(k int) int { return trace[d][limit+k-base] }
		k := x - y
		prev := k - 1
		if k == -d || k != d && get(k-1) < get(k+1) {
			prev = k + 1
		}
		px := get(prev)
		py := px - prev
		for x > px && y > py {
			steps = append(steps, '=')
			x, y = x-1, y-1
		}
		if prev == k+1 {
			steps = append(steps, '+')
			y--
		} else {
			steps = append(steps, '-')
			x--
		}
	}
	for ; x > 0 && y > 0; x, y = x-1, y-1 {
		steps = append(steps, '=')
	}
	for i, j := 0, len(steps)-1; i < j; i, j = i+1, j-1 {
		steps[i], steps[j] = steps[j], steps[i]
	}
	return steps
}
