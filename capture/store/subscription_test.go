package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"eaves/capture"
)

// follow reads changes until one has at least that seq.
func follow(t *testing.T, sub *Subscription, upTo int64) []capture.Change {
	t.Helper()
	var all []capture.Change
	for len(all) == 0 || all[len(all)-1].Seq < upTo {
		changes, err := sub.Next(testContext(t))
		if err != nil {
			t.Fatalf("after %d changes: %v", len(all), err)
		}
		all = append(all, changes...)
	}
	return all
}

func subscribe(t *testing.T, s *Store, after int64) *Subscription {
	t.Helper()
	sub, err := s.Changes(after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

func TestChangesNeitherMissNorRepeat(t *testing.T) {
	s := openStore(t, Config{})
	sub := subscribe(t, s, 0)
	var wg sync.WaitGroup
	const each, writers = 200, 4
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				record(s, w*each+i, 200, "body")
			}
		})
	}
	// Others come and go meanwhile, from where they were.
	for range 3 {
		wg.Go(func() {
			seen := make(map[int64]int64)
			cursor := int64(0)
			for len(seen) < each*writers {
				sub, err := s.Changes(cursor)
				if err != nil {
					t.Error(err)
					return
				}
				for range 1 + rand.IntN(5) {
					changes, err := sub.Next(testContext(t))
					if err != nil {
						t.Error(err)
						break
					}
					for _, c := range changes {
						if c.Seq <= cursor {
							t.Errorf("seq %d after %d", c.Seq, cursor)
						}
						cursor = c.Seq
						if before, again := seen[c.Exchange.ID]; again {
							t.Errorf("exchange %d told with seq %d and %d", c.Exchange.ID, before, c.Seq)
						}
						seen[c.Exchange.ID] = c.Seq
					}
					if len(seen) == each*writers {
						break
					}
				}
				sub.Close()
			}
		})
	}
	wg.Wait()
	flush(t, s)
	all := follow(t, sub, s.Seq())
	if len(all) != each*writers {
		t.Errorf("%d changes, want %d", len(all), each*writers)
	}
	for i, c := range all {
		if c.Seq != int64(i+1) || c.Exchange.State != capture.StateDone || c.Exchange.Request.Header == nil {
			t.Fatalf("change %d: %+v", i, c)
		}
	}
}

func TestChangesFromTheDatabase(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	a := record(s, 1, 200, "a")
	flush(t, s)
	cursor := s.Seq()
	b := record(s, 2, 200, "b")
	flush(t, s)
	mark := "red"
	if err := s.Annotate(testContext(t), a, &mark, nil); err != nil {
		t.Fatal(err)
	}
	// Nobody listened: b, then a again, each once.
	for range 2 {
		all := follow(t, subscribe(t, s, cursor), s.Seq())
		if len(all) != 2 || all[0].Exchange.ID != b || all[1].Exchange.ID != a || all[1].Exchange.Mark != "red" || all[1].Exchange.Request.Header == nil {
			t.Fatalf("got %+v", all)
		}
		if !all[0].Latest || !all[1].Latest {
			t.Fatalf("the database does not know what was before: %+v", all)
		}
		// The same after a restart.
		seq, id := s.Seq(), s.ID()
		closeStore(t, s)
		s = openStore(t, Config{Dir: dir})
		if s.Seq() != seq || s.ID() != id {
			t.Fatalf("seq %d and id %s, before %d and %s", s.Seq(), s.ID(), seq, id)
		}
	}
	if _, err := s.Changes(s.Seq() + 1); !errors.Is(err, ErrReset) {
		t.Errorf("cursor from the future: %v", err)
	}
	// What was removed is told to who listens, and to nobody else.
	sub := subscribe(t, s, s.Seq())
	if n, err := s.Delete(testContext(t), parse(t, "is:marked")); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if all := follow(t, sub, s.Seq()); len(all) != 1 || all[0].Latest || !slices.Equal(all[0].Removed, []int64{a}) {
		t.Errorf("got %+v", all)
	}
	sub.Close()
	if _, err := s.Changes(cursor); !errors.Is(err, ErrReset) {
		t.Errorf("cursor from before the removal: %v", err)
	}
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir})
	if _, err := s.Changes(cursor); !errors.Is(err, ErrReset) {
		t.Errorf("cursor from before the removal, after a restart: %v", err)
	}
	if sub, err := s.Changes(s.Seq()); err != nil {
		t.Errorf("cursor from after the removal: %v", err)
	} else {
		sub.Close()
	}
}

func TestSlowSubscriberIsToldOfItsGap(t *testing.T) {
	s := openStore(t, Config{})
	slow := subscribe(t, s, 0)
	record(s, 0, 200, "x")
	flush(t, s)
	first := follow(t, slow, 1)
	for i := range feedChanges + 100 {
		record(s, i, 200, "x")
	}
	flush(t, s)
	_, err := slow.Next(testContext(t))
	var gap *ErrGap
	if !errors.As(err, &gap) || gap.From != first[len(first)-1].Seq || gap.To <= gap.From {
		t.Fatalf("got %v", err)
	}
	rest := follow(t, slow, s.Seq())
	if rest[0].Seq != gap.To+1 || int64(len(rest)) != s.Seq()-gap.To {
		t.Errorf("%d changes from %d after %v", len(rest), rest[0].Seq, gap)
	}
}

func TestRunningExchangesAreSeen(t *testing.T) {
	s := openStore(t, Config{})
	sub := subscribe(t, s, 0)
	r := s.Begin(sample(1))
	all := follow(t, sub, 1)
	if x := all[0].Exchange; x.ID != r.ID() || x.State != capture.StateOpen || x.Time != -1 {
		t.Fatalf("got %+v", x)
	}
	r.Update(answer(200, "text/event-stream"))
	r.Message(capture.Message{Kind: "event", Direction: "received", Data: []byte("tick")})
	var message, revision bool
	for !message || !revision {
		changes, err := sub.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			message = message || c.Message != nil && c.MessageOf == r.ID() && string(c.Message.Data) == "tick" && c.Message.N == 1
			revision = revision || c.Exchange != nil && c.Exchange.Response != nil && c.Exchange.Messages == 1
		}
	}
	// A body that grows is a change as well.
	r.Body(capture.SideResponse, []byte("data: tick\n\n"))
	for grown := false; !grown; {
		changes, err := sub.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			grown = grown || c.Exchange != nil && c.Exchange.Response.BodySize == 12
		}
	}
	r.Finish(done)
	var ended *capture.Exchange
	for ended == nil {
		changes, err := sub.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Exchange != nil && c.Exchange.State != capture.StateOpen {
				ended = c.Exchange
			}
		}
	}
	if ended.State != capture.StateDone || ended.Time < 250 {
		t.Errorf("got %+v", ended)
	}
}

func TestNextEndsWithItsContextAndTheStore(t *testing.T) {
	s := openStore(t, Config{})
	sub := subscribe(t, s, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	record(s, 1, 200, "x")
	closeStore(t, s)
	if changes, err := sub.Next(testContext(t)); err != nil || len(changes) != 1 {
		t.Errorf("got %d, %v", len(changes), err)
	}
	if _, err := sub.Next(testContext(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Changes(0); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if r := s.Begin(sample(1)); r.ID() != 0 {
		t.Errorf("begun after Close: %d", r.ID())
	}
}
