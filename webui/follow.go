package webui

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// follow reads the changes and queues what the console is to be told.
func (c *console) follow(ctx context.Context) error {
	for {
		changes, err := c.changes.Next(ctx)
		var gap *GapError
		switch {
		case errors.As(err, &gap):
			err = c.bridge(ctx, gap)
		case errors.Is(err, ErrReset):
			err = c.startOver(ctx)
		}
		if err != nil {
			return err
		}
		for i := range changes {
			if err := c.note(ctx, &changes[i]); err != nil {
				return err
			}
		}
		signal(c.wake)
		if err := c.idle(ctx); err != nil {
			return err
		}
	}
}

// idle lets the feed run on. Who has caught up reads again in a while: the writer sends no oftener, and each exchange for
// itself would wake every console. While the console is behind, what comes is only counted, and a dead one is to cost next
// to nothing.
func (c *console) idle(ctx context.Context) error {
	now := c.s.cfg.Store.Seq()
	c.mu.Lock()
	behind, caughtUp := c.behind, c.read >= now
	c.mu.Unlock()
	wait, space := readEvery, (chan struct{})(nil)
	switch {
	case behind:
		wait, space = flushEvery, c.space
	case !caughtUp:
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-space:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// baseline learns which open exchanges match now: those the console may have been shown. Behind a gap, what changed in it
// and does not match is taken away: the console may have it from before, or from a list it read meanwhile.
func (c *console) baseline(ctx context.Context, gap *GapError) error {
	if c.fixed {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leaveOut(gap)
		return nil
	}
	open, err := filter.Parse("( " + c.filter.String() + " ) is:open")
	if err != nil {
		return fmt.Errorf("asking for open exchanges: %w", err)
	}
	page, err := c.s.cfg.Store.List(ctx, Query{Filter: open, Limit: maxShown})
	if err != nil {
		return err
	}
	// What ended before the list was made, but is told only after it, is in neither: up to there, nothing is certain. A
	// revision can be read a moment before the feed tells of it.
	certain := c.s.cfg.Store.Seq()
	ahead, err := c.s.cfg.Store.List(ctx, Query{ByChange: true, ChangedAfter: certain, Limit: maxLimit})
	if err != nil {
		return err
	}
	for _, x := range ahead.Exchanges {
		certain = max(certain, x.Seq)
	}
	var gone []int64
	if gap != nil {
		if gone, err = c.unmatched(ctx, gap.From); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveOut(gap)
	c.missGone(gone...)
	c.live = max(c.live, certain)
	c.shown = make(map[int64]bool, len(page.Exchanges))
	for _, x := range page.Exchanges {
		c.shown[x.ID] = true
	}
	if len(c.shown) == maxShown {
		c.shown = nil
	}
	return nil
}

// unmatched returns the exchanges that changed after a revision and do not match now, or more than maxGone of them.
func (c *console) unmatched(ctx context.Context, after int64) (ids []int64, err error) {
	not, err := filter.Parse("not ( " + c.filter.String() + " )")
	if err != nil {
		return nil, fmt.Errorf("asking what does not match: %w", err)
	}
	for len(ids) <= maxGone {
		page, err := c.s.cfg.Store.List(ctx, Query{Filter: not, ByChange: true, ChangedAfter: after, Limit: maxLimit})
		if err != nil {
			return nil, err
		}
		for _, x := range page.Exchanges {
			ids, after = append(ids, x.ID), x.Seq
		}
		if len(page.Exchanges) < maxLimit {
			break
		}
	}
	return ids, nil
}

// leaveOut says that the store left changes out. The lock is held.
func (c *console) leaveOut(gap *GapError) {
	if gap != nil {
		c.fallBehind()
		c.read, c.live = max(c.read, gap.To), max(c.live, gap.To)
	}
}

// show remembers that the console has an open exchange. The lock is held.
func (c *console) show(id int64) {
	if c.fixed || c.shown == nil {
		return
	}
	if c.shown[id] = true; len(c.shown) > maxShown {
		c.shown = nil
	}
}

// bridge goes on where the store left changes out.
func (c *console) bridge(ctx context.Context, gap *GapError) error {
	// Can what came after the gap's beginning be told from what is kept, so that no deletion is lost?
	again, err := c.s.cfg.Store.Changes(gap.From)
	if errors.Is(err, ErrReset) {
		return c.startOver(ctx)
	}
	if err != nil {
		return err
	}
	if gap.From < c.live {
		// A console that is still catching up goes on from there, at its own pace.
		c.changes.Close()
		c.changes = again
		return nil
	}
	again.Close()
	return c.baseline(ctx, gap)
}

// startOver goes on from now, and says that nothing the console knows can be relied on.
func (c *console) startOver(ctx context.Context) error {
	now := c.s.cfg.Store.Seq()
	again, err := c.s.cfg.Store.Changes(now)
	if err != nil {
		return err
	}
	c.changes.Close()
	c.changes = again
	c.mu.Lock()
	c.startAnew()
	// What has been sent stays as it is until the reset has been: who left between, and came back with a status's seq, would
	// never hear of it.
	c.read, c.live = now, now
	c.mu.Unlock()
	return c.baseline(ctx, nil)
}

// startAnew forgets what waits; the console is told to read everything. The lock is held.
func (c *console) startAnew() {
	c.queue.clear()
	c.reset, c.behind, c.gone = true, false, nil
}

// fallBehind leaves out what waits and what comes, until the writer has told of it. What is to be taken away is not left
// out: of that, no list can tell. The lock is held.
func (c *console) fallBehind() {
	c.behind = true
	items := c.queue.items
	c.queue.clear()
	for k := range items {
		i := &items[k]
		switch {
		case i.ids != nil:
			c.missGone(i.ids...)
		case i.seq == 0:
		case i.show == nil:
			c.missGone(i.id)
		case i.ask:
			if c.mayHave(i) {
				c.missGone(i.id)
			}
			c.shownOrDone(i)
		}
	}
}

// missGone remembers what a console that is behind has to take away. The lock is held.
func (c *console) missGone(ids ...int64) {
	if len(c.gone)+len(ids) > maxGone {
		c.startAnew()
	}
	if !c.reset {
		c.gone = append(c.gone, ids...)
	}
}

// note queues what the console is to be told of one change.
func (c *console) note(ctx context.Context, ch *capture.Change) error {
	i := item{seq: ch.Seq}
	matches := false
	if x := ch.Exchange; x != nil {
		i.id, i.open, i.unseen = x.ID, x.State == capture.StateOpen, ch.Latest
		switch {
		case c.filter == nil:
			matches = true
		case c.filter.NeedsBody() && !i.open:
			i.ask, matches = true, true
		default:
			// Of one that goes on no body is found. It must not wait for the store's word: if it matches now, a console that
			// lists has it from there, and has to be told when it ends and matches no more.
			matches = c.filter.Match(filter.Subject{Exchange: x, Now: c.s.cfg.Now()})
		}
	}
	if err := c.room(ctx, ch.Seq); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if matches && !c.behind {
		i.show = ch.Exchange.Summary() // the heads, which it does not show, need not wait with it
	}
	if cursor := c.subs[about(ch)]; cursor != nil {
		cursor.more = true
	}
	if len(ch.Removed) > 0 {
		c.delete(ch)
	}
	if ch.Exchange != nil {
		c.tell(&i, matches)
	}
	c.read = max(c.read, ch.Seq)
	if c.queue.bytes >= maxQueue && ch.Seq > c.live {
		c.fallBehind()
	}
	return nil
}

// room waits until a change can be queued, and returns with the lock held. Catching up is paced by the console; live
// changes never wait.
func (c *console) room(ctx context.Context, seq int64) error {
	for {
		c.mu.Lock()
		if c.queue.bytes < maxQueue || c.behind || seq > c.live {
			return nil
		}
		c.mu.Unlock()
		signal(c.wake)
		select {
		case <-c.space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell queues what the console is to know of an exchange. The lock is held.
func (c *console) tell(i *item, matches bool) {
	switch {
	case matches && !i.ask:
		c.shownOrDone(i)
		if !c.behind {
			c.queue.push(*i)
		}
	case matches && !c.behind:
		c.queue.push(*i)
	case c.behind:
		// What may match still, the console reads again behind the gap.
		if c.mayHave(i) {
			c.missGone(i.id)
		}
		if i.ask {
			c.shownOrDone(i)
		}
	case c.mayHave(i):
		c.queue.push(*i)
	default:
		c.queue.drop(i.id)
	}
}

// about is the exchange that may have new messages. What the store tells from before its feed are exchanges only.
func about(ch *capture.Change) int64 {
	if ch.Exchange != nil {
		return ch.Exchange.ID
	}
	return ch.MessageOf
}

// shownOrDone remembers what the console has of an exchange: only open ones change, and need to be known. The lock is held.
func (c *console) shownOrDone(i *item) {
	if i.open {
		c.show(i.id)
	} else if c.shown != nil {
		delete(c.shown, i.id)
	}
}

// mayHave says whether the console may have been shown an exchange that does not match now, and forgets it. The lock is
// held.
func (c *console) mayHave(i *item) bool {
	if c.fixed {
		return false
	}
	has := i.seq <= c.live || i.unseen || c.shown == nil || c.shown[i.id] || c.s.edited.contains(i.id)
	if c.shown != nil {
		delete(c.shown, i.id)
	}
	return has
}

// delete queues deletions. The lock is held.
func (c *console) delete(ch *capture.Change) {
	for _, id := range ch.Removed {
		c.queue.drop(id)
		delete(c.subs, id)
		if c.shown != nil {
			delete(c.shown, id)
		}
	}
	switch {
	case c.behind:
		c.missGone(ch.Removed...)
	case len(ch.Removed) > maxGone:
		// To read everything anew is less than to be told of so many.
		c.startAnew()
	default:
		c.queue.push(item{seq: ch.Seq, ids: ch.Removed})
	}
}
