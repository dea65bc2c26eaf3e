package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// groupsBy asks until everything is covered.
func groupsBy(t testing.TB, s *Store, f string, by capture.Grouping) map[string]capture.Totals {
	t.Helper()
	for range 1000 {
		g, err := s.Groups(testContext(t), parse(t, f), by)
		if err != nil {
			t.Fatalf("groups by %s of %q: %v", by, f, err)
		}
		if g.Covered < 1 {
			continue
		}
		got := make(map[string]capture.Totals)
		var all capture.Totals
		for _, x := range g.Groups {
			got[x.Name] = x.Totals
			all.Add(x.Totals)
		}
		if len(got) != len(g.Groups) || all != g.All {
			t.Fatalf("groups by %s of %q: %d names of %d groups, all %+v, want %+v", by, f, len(got), len(g.Groups), g.All, all)
		}
		return got
	}
	t.Fatalf("groups by %s of %q are never covered", by, f)
	return nil
}

// recount adds up what List shows.
func recount(t testing.TB, s *Store, f string, name func(x *capture.Exchange) string) map[string]capture.Totals {
	t.Helper()
	want := make(map[string]capture.Totals)
	for before := int64(0); ; {
		p, err := s.List(testContext(t), Query{Filter: parse(t, f), Limit: maxLimit, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p.Exchanges {
			one := capture.Totals{Count: 1, First: x.Started.UTC(), Last: x.Started.UTC(), Bytes: max(x.Request.BodySize, 0), Took: max(x.Time, 0)}
			if x.Response != nil {
				one.Bytes += max(x.Response.BodySize, 0)
			}
			if x.State == capture.StateFailed {
				one.Failed = 1
			} else if x.Response != nil && x.Response.Status >= 400 {
				one.Refused = 1
			}
			sum := want[name(x)]
			sum.Add(one)
			want[name(x)] = sum
			before = x.ID
		}
		if len(p.Exchanges) < maxLimit {
			return want
		}
	}
}

func hostOf(x *capture.Exchange) string { return filter.Row(nil, x)[12].(string) }

func sameTotals(t testing.TB, what string, got, want map[string]capture.Totals) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d groups, want %d", what, len(got), len(want))
	}
	for name, w := range want {
		if g := got[name]; g != w {
			t.Errorf("%s: %s is %+v, want %+v", what, name, g, w)
		}
	}
}

// recordMany records exchanges of several clients and connections, in more than one block of those that filters of headers have.
func recordMany(t testing.TB, s *Store, n int) {
	t.Helper()
	for i := range n {
		x := sample(i)
		x.Started = time.UnixMicro(1_700_000_000_000_000 + int64(i)*1_000_000)
		x.Client.Address = fmt.Sprintf("192.0.2.%d:%d", i%3, 1000+i)
		switch i % 50 {
		case 0:
			x.Client.Run = "tests"
		case 1:
			x.Client.Address = "[2001:db8::7]:443"
		case 2:
			x.Client.Address = ""
		}
		x.Connection = fmt.Sprint(i / 10)
		r := s.Begin(x)
		if i%11 == 0 {
			r.Finish(func(x *capture.Exchange) {
				x.State, x.Time, x.Error = capture.StateFailed, 3, &capture.Error{Stage: capture.StageConnect, Message: "refused"}
			})
			continue
		}
		r.Update(answer([]int{200, 200, 404, 503}[i%4], "text/plain"))
		r.Body(capture.SideResponse, make([]byte, i%100))
		r.Finish(func(x *capture.Exchange) { x.State, x.Time = capture.StateDone, float64(i%16) })
	}
	flush(t, s)
}

func TestGroups(t *testing.T) {
	s := openStore(t, Config{})
	if got := groupsBy(t, s, "", capture.ByHost); len(got) != 0 {
		t.Errorf("an empty store has groups: %v", got)
	}
	recordMany(t, s, 5000)
	for _, f := range []string{"", "status:404", "header[accept] host:host3.test", "is:failed", "at:5m..", "body:nothing"} {
		sameTotals(t, "host "+f, groupsBy(t, s, f, capture.ByHost), recount(t, s, f, hostOf))
		sameTotals(t, "connection "+f, groupsBy(t, s, f, capture.ByConnection), recount(t, s, f, func(x *capture.Exchange) string { return x.Connection }))
		sameTotals(t, "path "+f, groupsBy(t, s, f, capture.ByPath), recount(t, s, f, func(*capture.Exchange) string { return "/item/" }))
		sameTotals(t, "client "+f, groupsBy(t, s, f, capture.ByClient), recount(t, s, f, func(x *capture.Exchange) string {
			switch {
			case x.Client.Run != "":
				return "run " + x.Client.Run
			case x.Client.Address == "":
				return ""
			case x.Client.Address[0] == '[':
				return "[2001:db8::7]"
			}
			return x.Client.Address[:len("192.0.2.0")]
		}))
	}
	if _, err := s.Groups(testContext(t), nil, "colour"); err == nil {
		t.Error("groups by colour are given")
	}
}

// TestGroupsFollow holds what is kept against what was changed, removed and added since.
func TestGroupsFollow(t *testing.T) {
	s := openStore(t, Config{})
	recordMany(t, s, 5000)
	check := func(what string) {
		t.Helper()
		for _, f := range []string{"", "is:marked", "header[accept]", "is:open"} {
			sameTotals(t, what+" "+f, groupsBy(t, s, f, capture.ByHost), recount(t, s, f, hostOf))
		}
	}
	check("at first")
	mark := "red"
	if err := s.Annotate(testContext(t), 17, &mark, nil); err != nil {
		t.Fatal(err)
	}
	check("one marked")
	if _, err := s.Delete(testContext(t), parse(t, "id in (16,18,4990)")); err != nil {
		t.Fatal(err)
	}
	check("three removed")
	r := s.Begin(sample(3))
	flush(t, s)
	check("one open")
	r.Finish(done)
	flush(t, s)
	check("it ended")
	if _, err := s.Delete(testContext(t), nil); err != nil {
		t.Fatal(err)
	}
	check("all removed")
}

// TestGroupsFrugal: asking again looks only at the block that changed.
func TestGroupsFrugal(t *testing.T) {
	s := openStore(t, Config{})
	recordMany(t, s, 3*1<<slowBlockBits)
	groupsBy(t, s, "header[accept]", capture.ByHost)
	r := s.rollups.list[0]
	before := make(map[int64]block)
	for at, b := range r.blocks {
		before[at] = b
	}
	record(s, 1, 200, "x")
	flush(t, s)
	groupsBy(t, s, "header[accept]", capture.ByHost)
	same := 0
	for at, b := range before {
		// A map's identity is told by a mark in it.
		b.totals[totalsKey{name: "mark"}] = capture.Totals{}
		if _, ok := r.blocks[at].totals[totalsKey{name: "mark"}]; ok {
			same++
		}
	}
	if same != len(before)-1 {
		t.Errorf("%d of %d blocks were kept, want all but the last", same, len(before))
	}
}

func TestTimeline(t *testing.T) {
	s := openStore(t, Config{})
	ask := func(f string, from, to time.Time, buckets int) capture.Timeline {
		t.Helper()
		for range 1000 {
			l, err := s.Timeline(testContext(t), parse(t, f), from, to, buckets)
			if err != nil {
				t.Fatal(err)
			}
			if l.Covered == 1 {
				return l
			}
		}
		t.Fatal("never covered")
		return capture.Timeline{}
	}
	if l := ask("", time.Time{}, time.Time{}, 10); len(l.Points) != 0 || l.Buckets != 1 {
		t.Errorf("of nothing: %+v", l)
	}
	recordMany(t, s, 4000)
	// One that began long before the first, as an imported one does.
	early := sample(1)
	early.Started, early.Source = time.UnixMicro(1_600_000_000_000_000), capture.SourceImport
	s.Begin(early).Finish(done)
	flush(t, s)
	first, last := time.UnixMicro(1_700_000_000_000_000), time.UnixMicro(1_700_003_999_000_000)
	for _, c := range []struct {
		filter   string
		from, to time.Time
		buckets  int
	}{
		{"", time.Time{}, time.Time{}, 100},
		{"status:404", time.Time{}, time.Time{}, 7},
		{"", first, last, 120},
		{"is:failed", first.Add(time.Minute), first.Add(2 * time.Minute), 60},
		{"", first, first, 5},
	} {
		l := ask(c.filter, c.from, c.to, c.buckets)
		if l.Buckets < 1 || l.Buckets > c.buckets {
			t.Errorf("%+v: %d buckets", c, l.Buckets)
		}
		want := make(map[int]capture.Totals)
		for _, one := range recount(t, s, c.filter, func(x *capture.Exchange) string { return fmt.Sprint(x.ID) }) {
			if !c.from.IsZero() && (one.First.Before(c.from) || one.First.After(c.to)) {
				continue
			}
			at := int(one.First.Sub(l.Start) / l.Step)
			sum := want[at]
			sum.Add(one)
			want[at] = sum
		}
		if len(want) != len(l.Points) {
			t.Errorf("%+v: %d points, want %d", c, len(l.Points), len(want))
		}
		for _, p := range l.Points {
			if want[p.Bucket] != p.Totals || p.Bucket < 0 || p.Bucket >= l.Buckets {
				t.Errorf("%+v: bucket %d of %d is %+v, want %+v", c, p.Bucket, l.Buckets, p.Totals, want[p.Bucket])
			}
		}
	}
	// What comes later lengthens it.
	late := sample(1)
	late.Started = last.Add(100 * time.Hour)
	s.Begin(late).Finish(done)
	flush(t, s)
	l := ask("", time.Time{}, time.Time{}, 100)
	if end := l.Start.Add(l.Step * time.Duration(l.Buckets)); end.Before(late.Started) || l.All.Count != 4002 {
		t.Errorf("ends at %v with %d, want %v with 4002", end, l.All.Count, late.Started)
	}
}

func TestRollupsAreBounded(t *testing.T) {
	var rs rollups
	ask := func(question string, totals int) {
		r := rs.find(question, func() *rollup { return &rollup{question: question} })
		rs.weigh(r, totals)
	}
	kept := func() (questions string) {
		for _, r := range rs.list {
			questions += r.question
		}
		return questions
	}
	for i := range totalsKept + 3 {
		ask(string(rune('a'+i)), maxTotals/100)
	}
	if got := kept(); got != "defghijk" {
		t.Errorf("%d small ones leave %s", totalsKept+3, got)
	}
	ask("e", maxTotals-3*maxTotals/100)
	if got := kept(); got != "ijke" {
		t.Errorf("a large one leaves %s", got)
	}
	ask("i", 2*maxTotals)
	if got := kept(); got != "i" {
		t.Errorf("one that is too large for itself leaves %s", got)
	}
	rs.expire(time.Now())
	if got := kept(); got != "i" {
		t.Errorf("just asked, %s is left", got)
	}
	rs.expire(time.Now().Add(2 * totalsIdle))
	if got := kept(); got != "" {
		t.Errorf("long after it was asked, %s is left", got)
	}
}

// Stretches of time are counted from 1970: one before and one after it never become one.
func TestTimelineFromBefore1970(t *testing.T) {
	s := openStore(t, Config{})
	record(s, 1, 200, "body")
	flush(t, s)
	got := make(chan capture.Timeline, 1)
	go func() {
		line, err := s.Timeline(testContext(t), nil, time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), 1)
		if err != nil {
			t.Error(err)
		}
		got <- line
	}()
	select {
	case line := <-got:
		if line.Buckets != 2 || line.All.Count != 1 {
			t.Errorf("got %+v", line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestSortedList(t *testing.T) {
	s := openStore(t, Config{})
	recordMany(t, s, 500)
	for _, c := range []struct {
		sort      Sort
		ascending bool
		less      func(a, b *capture.Exchange) bool
	}{
		{"took", false, func(a, b *capture.Exchange) bool { return a.Time > b.Time }},
		{"took", true, func(a, b *capture.Exchange) bool { return a.Time < b.Time }},
		{"started", true, func(a, b *capture.Exchange) bool { return a.Started.Before(b.Started) }},
		{"host", true, func(a, b *capture.Exchange) bool { return hostOf(a) < hostOf(b) }},
	} {
		p, err := s.List(testContext(t), Query{Sort: c.sort, Ascending: c.ascending, Limit: 1000})
		if err != nil || len(p.Exchanges) != 500 {
			t.Fatalf("%s: %d, %v", c.sort, len(p.Exchanges), err)
		}
		for i, x := range p.Exchanges[1:] {
			if c.less(x, p.Exchanges[i]) {
				t.Errorf("sorted by %s, %v: #%d comes before #%d", c.sort, c.ascending, p.Exchanges[i].ID, x.ID)
				break
			}
		}
	}
	// What failed before an answer has no status, and comes last either way.
	for _, ascending := range []bool{true, false} {
		p, err := s.List(testContext(t), Query{Sort: "status", Ascending: ascending, Limit: 1000})
		if err != nil || p.Exchanges[499].Response != nil || p.Exchanges[0].Response == nil {
			t.Errorf("by status, %v: %v", ascending, err)
		}
	}
	if _, err := s.List(context.Background(), Query{Sort: "colour"}); err == nil {
		t.Error("a list is sorted by colour")
	}
}
