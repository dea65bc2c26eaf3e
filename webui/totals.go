package webui

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// How many groups and buckets an answer has if nothing is asked, and at most.
const (
	defaultGroups  = 200
	maxGroups      = 5000
	defaultBuckets = 120
	maxBuckets     = 500
)

// totals are what exchanges come to together, in the API's units.
type totals struct {
	Count   int64 `json:"count"`
	Failed  int64 `json:"failed"`
	Refused int64 `json:"refused"`
	Bytes   int64 `json:"bytes"`
	// Time is the sum of the times that they took.
	Time float64 `json:"time"`
}

// span is when the earliest and the latest began.
type span struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

type group struct {
	Name string `json:"name"`
	// Filter finds the group's exchanges.
	Filter string `json:"filter"`
	totals
	span
}

type groupPage struct {
	Groups []group `json:"groups"`
	// Total is how many groups there are, All what they come to together.
	Total   int     `json:"total"`
	All     totals  `json:"all"`
	Covered float64 `json:"covered"`
}

func inTotals(t capture.Totals) totals {
	return totals{Count: t.Count, Failed: t.Failed, Refused: t.Refused, Bytes: t.Bytes, Time: t.Took}
}

// groupOrders compare groups, what is most first.
var groupOrders = map[string]func(a, b *capture.Group) int{
	"count":   func(a, b *capture.Group) int { return cmp.Compare(b.Count, a.Count) },
	"failed":  func(a, b *capture.Group) int { return cmp.Compare(b.Failed, a.Failed) },
	"refused": func(a, b *capture.Group) int { return cmp.Compare(b.Refused, a.Refused) },
	"bytes":   func(a, b *capture.Group) int { return cmp.Compare(b.Bytes, a.Bytes) },
	"time":    func(a, b *capture.Group) int { return cmp.Compare(b.Took, a.Took) },
	"mean": func(a, b *capture.Group) int {
		return cmp.Compare(b.Took/float64(max(b.Count, 1)), a.Took/float64(max(a.Count, 1)))
	},
	"first": func(a, b *capture.Group) int { return b.First.Compare(a.First) },
	"last":  func(a, b *capture.Group) int { return b.Last.Compare(a.Last) },
	"name":  func(a, b *capture.Group) int { return strings.Compare(a.Name, b.Name) },
}

func (s *Server) groups(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	f, err := parseFilter(values.Get("filter"))
	if err != nil {
		return err
	}
	by := capture.Grouping(values.Get("by"))
	if !slices.Contains(capture.Groupings(), by) {
		return bad("by", "exchanges are grouped by host, client, connection or path")
	}
	limit, err := upTo(values, "limit", defaultGroups, maxGroups)
	if err != nil {
		return err
	}
	sort := "count"
	if values.Has("sort") {
		sort = values.Get("sort")
	}
	order, ok := groupOrders[sort]
	if !ok {
		return bad("sort", "groups are sorted by count, failed, refused, bytes, time, mean, first, last or name")
	}
	reverse, err := boolean(values, "reverse")
	if err != nil {
		return err
	}
	got, err := s.cfg.Store.Groups(r.Context(), f, by)
	if err != nil {
		return err
	}
	slices.SortFunc(got.Groups, func(a, b capture.Group) int {
		c := order(&a, &b)
		if reverse {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.Name, b.Name))
	})
	out := groupPage{Groups: []group{}, Total: len(got.Groups), All: inTotals(got.All), Covered: got.Covered}
	for _, g := range got.Groups[:min(limit, len(got.Groups))] {
		out.Groups = append(out.Groups, group{Name: g.Name, Filter: groupFilter(by, g.Name), totals: inTotals(g.Totals), span: span{g.First, g.Last}})
	}
	return writeJSON(w, r, http.StatusOK, out)
}

// groupFilter is a filter that finds a group's exchanges.
func groupFilter(by capture.Grouping, name string) string {
	if name == "" {
		return "-" + string(by)
	}
	candidates := []string{string(by) + "=" + filter.Quote(name)}
	switch by {
	case capture.ByHost:
		address := name
		if strings.Contains(name, ":") {
			address = "[" + name + "]"
		}
		// What is no host's name can only be looked for as it stands.
		candidates = []string{"host:" + address, "host~" + exactly(name)}
	case capture.ByClient:
		if run, ok := strings.CutPrefix(name, "run "); ok {
			return "run=" + filter.Quote(run)
		}
		candidates = []string{"client:" + name, "client~" + exactly(name)}
	case capture.ByPath:
		if strings.HasSuffix(name, "/") && name != "/" {
			candidates = []string{"path~" + strings.TrimSuffix(exactly(name), `$"`) + `"`}
		}
	}
	for _, text := range candidates {
		if _, err := parseFilter(text); err == nil {
			return text
		}
	}
	return candidates[0]
}

// exactly is a quoted regexp that matches one text.
func exactly(text string) string {
	var b strings.Builder
	b.WriteString(`"^`)
	for _, r := range text {
		switch {
		case strings.ContainsRune(`\"`, r):
			b.WriteString(map[rune]string{'\\': `\\\\`, '"': `\"`}[r])
		case strings.ContainsRune(".+*?()|[]{}^$", r):
			b.WriteString(`\\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `$"`
}

type point struct {
	Bucket int `json:"bucket"`
	totals
}

type timeline struct {
	Start time.Time `json:"start"`
	// Step is the width of a bucket in milliseconds.
	Step    float64 `json:"step"`
	Buckets int     `json:"buckets"`
	Points  []point `json:"points"`
	All     totals  `json:"all"`
	Covered float64 `json:"covered"`
}

func (s *Server) timeline(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	f, err := parseFilter(values.Get("filter"))
	if err != nil {
		return err
	}
	buckets, err := upTo(values, "buckets", defaultBuckets, maxBuckets)
	if err != nil {
		return err
	}
	var span [2]time.Time
	for i, name := range []string{"from", "to"} {
		if values.Has(name) {
			if span[i], err = time.Parse(time.RFC3339, values.Get(name)); err != nil {
				return bad(name, name+" is a time as in RFC 3339")
			}
		}
	}
	if span[0].IsZero() != span[1].IsZero() || span[1].Before(span[0]) {
		return bad("from", "give both from and to, the earlier first, or neither")
	}
	got, err := s.cfg.Store.Timeline(r.Context(), f, span[0], span[1], buckets)
	if err != nil {
		return err
	}
	slices.SortFunc(got.Points, func(a, b capture.Point) int { return a.Bucket - b.Bucket })
	out := timeline{Start: got.Start, Step: capture.Milliseconds(got.Step), Buckets: got.Buckets, Points: []point{}, All: inTotals(got.All), Covered: got.Covered}
	for _, p := range got.Points {
		out.Points = append(out.Points, point{p.Bucket, inTotals(p.Totals)})
	}
	return writeJSON(w, r, http.StatusOK, out)
}

// upTo reads a parameter that is a number from 1.
func upTo(values url.Values, name string, otherwise, most int) (int, error) {
	n, has, err := number(values, name)
	switch {
	case err != nil:
		return 0, err
	case !has:
		return otherwise, nil
	case n < 1 || n > int64(most):
		return 0, bad(name, fmt.Sprintf("%s is a number from 1 to %d", name, most))
	}
	return int(n), nil
}
