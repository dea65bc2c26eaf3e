package store

import (
	"context"
	"errors"

	"eaves/capture"
)

// ErrReset says that a cursor is of another store, or so old that what was removed since is not known any more: the
// subscriber starts anew.
var ErrReset = errors.New("the cursor is of another store, or too old")

const subscriptionPage = 256

// Subscription tells changes in order of their seq. It is used by one goroutine.
type Subscription struct {
	store  *Store
	cursor int64
	live   bool // the cursor is, or was, in the feed
	closed bool
}

// Changes tells what changes after the revision with that seq. What the feed still has is told change by change; of what
// came before, each exchange once in its latest revision. Messages from before the feed are not told: an exchange's
// revision says how many there are, and Messages reads them.
func (s *Store) Changes(after int64) (*Subscription, error) {
	if s.closing.Load() {
		return nil, ErrClosed
	}
	s.feed.join()
	covered, told := s.feed.known(after)
	if !told {
		s.feed.leave()
		return nil, ErrReset
	}
	return &Subscription{store: s, cursor: after, live: covered}, nil
}

// Next waits for changes. After *ErrGap it goes on behind the gap; after ErrReset it does not go on.
func (sub *Subscription) Next(ctx context.Context) ([]capture.Change, error) {
	s := sub.store
	for {
		changes, wait, since, ok := s.feed.after(sub.cursor, subscriptionPage)
		switch {
		case ok && wait == nil:
			sub.live = true
			sub.cursor = changes[len(changes)-1].Seq
			return changes, nil
		case ok:
			sub.live = true
			select {
			case <-wait:
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-s.closed:
				// What was published last is still to be told.
				if s.feed.last() == sub.cursor {
					return nil, ErrClosed
				}
			}
		case sub.live:
			gap := &ErrGap{From: sub.cursor, To: since}
			sub.cursor = since
			return nil, gap
		default:
			// The database has everything up to since, but for what was removed.
			if _, told := s.feed.known(sub.cursor); !told {
				return nil, ErrReset
			}
			changes, err := s.changed(ctx, sub.cursor, since, subscriptionPage)
			if err != nil {
				return nil, err
			}
			if len(changes) > 0 {
				sub.cursor = changes[len(changes)-1].Seq
				return changes, nil
			}
			sub.cursor = since
		}
	}
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	if !sub.closed {
		sub.closed = true
		sub.store.feed.leave()
	}
}
