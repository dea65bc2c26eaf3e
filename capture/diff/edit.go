package diff

import "bytes"

// maxEdits bounds the search for the shortest edit; what is further apart is compared from its beginning on.
const maxEdits = 2000

// edit is the shortest edit that makes one list of another (Myers, An O(ND) Difference Algorithm): for each element of
// both, '=' where it is kept, '-' where it is taken away, '+' where it is put in. Lists too far apart are replaced.
func edit(a, b []string) []byte {
	lead := 0
	for lead < len(a) && lead < len(b) && a[lead] == b[lead] {
		lead++
	}
	na, nb := len(a), len(b)
	for na > lead && nb > lead && a[na-1] == b[nb-1] {
		na, nb = na-1, nb-1
	}
	steps := bytes.Repeat([]byte{'='}, lead)
	middle, ok := shortestEdit(a[lead:na], b[lead:nb])
	if !ok {
		middle = append(bytes.Repeat([]byte{'-'}, na-lead), bytes.Repeat([]byte{'+'}, nb-lead)...)
	}
	return append(append(steps, middle...), bytes.Repeat([]byte{'='}, len(a)-na)...)
}

// pairs goes through an edit: what is kept and what is taken away with something put in its place has both positions, what
// is only taken away or put in has one, and -1 for the other.
func pairs(steps []byte, each func(i, j int)) {
	i, j := 0, 0
	for at := 0; at < len(steps); {
		if steps[at] == '=' {
			each(i, j)
			i, j, at = i+1, j+1, at+1
			continue
		}
		gone, come := 0, 0
		for ; at < len(steps) && steps[at] != '='; at++ {
			if steps[at] == '-' {
				gone++
			} else {
				come++
			}
		}
		for ; gone > 0 || come > 0; gone, come = gone-1, come-1 {
			a, b := -1, -1
			if gone > 0 {
				a = i
				i++
			}
			if come > 0 {
				b = j
				j++
			}
			each(a, b)
		}
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
