package webui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
	"eaves/capture/filter"
)

// The messages of the stream, beside the one that shows an exchange (see frameCache).
type (
	helloMessage struct {
		Type    string `json:"type"`
		Seq     int64  `json:"seq"`
		Store   string `json:"store"`
		Version string `json:"version"`
	}
	removedMessage struct {
		Type string  `json:"type"`
		Seq  int64   `json:"seq"`
		IDs  []int64 `json:"ids"`
	}
	gapMessage struct {
		Type string `json:"type"`
		From int64  `json:"from"`
		To   int64  `json:"to"`
	}
	resetMessage struct {
		Type string `json:"type"`
	}
	statusMessage struct {
		Type string `json:"type"`
		status
	}
	// command is what a client asks for.
	command struct {
		Type     string `json:"type"`
		Exchange int64  `json:"exchange"`
		After    int64  `json:"after"`
	}
)

// command does what the client asks for.
func (c *console) command(b []byte) error {
	var in command
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return refusal("not understood: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	if in.Exchange < 1 || in.After < 0 {
		return refusal("exchange is an id, after a number from 0")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch in.Type {
	case "subscribe":
		if c.subs[in.Exchange] == nil && len(c.subs) >= maxSubscriptions {
			return refusal(fmt.Sprintf("at most %d exchanges can be subscribed to", maxSubscriptions))
		}
		c.subs[in.Exchange] = &messageCursor{after: in.After, more: true}
		signal(c.wake)
	case "unsubscribe":
		delete(c.subs, in.Exchange)
	default:
		return refusal("type is subscribe or unsubscribe")
	}
	return nil
}

// send tells the console what waits, in flushes.
func (c *console) send(ctx context.Context) error {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	c.out.begin()
	if err := c.write(helloMessage{"hello", c.start, c.s.cfg.Store.ID(), c.s.cfg.Version}); err != nil {
		return err
	}
	c.mu.Lock()
	reset := c.reset
	c.reset = false
	c.mu.Unlock()
	if reset {
		if err := c.write(resetMessage{"reset"}); err != nil {
			return err
		}
	}
	if err := c.sendStatus(ctx, new(int)); err != nil {
		return err
	}
	if err := c.out.end(); err != nil {
		return err
	}
	signal(c.wake)
	var flush <-chan time.Time
	statusDue := false
	earliest := time.Now().Add(flushEvery)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ping.C:
			if err := c.ping(); err != nil {
				return err
			}
		case <-tick.C:
			// It goes with the next flush, which is one batch with it.
			statusDue = true
			signal(c.wake)
		case <-c.wake:
			if flush == nil {
				flush = time.After(time.Until(earliest))
			}
		case <-flush:
			flush = nil
			n, err := c.flush(ctx, statusDue)
			if err != nil {
				return err
			}
			statusDue = false
			// What was large is paid for by waiting.
			earliest = time.Now().Add(max(flushEvery, time.Duration(n)*time.Second/bytesASecond))
		}
	}
}

// flush sends one portion, with a status or without, and returns its size.
func (c *console) flush(ctx context.Context, withStatus bool) (int, error) {
	c.mu.Lock()
	reset := c.reset
	items := c.queue.take(flushBytes)
	if len(items) > 0 {
		c.sent = items[len(items)-1].seq
	}
	var gap *gapMessage
	var gone []int64
	switch {
	case c.behind:
		gap, gone = &gapMessage{"gap", c.sent, c.read}, c.gone
		c.sent = c.read
	case c.queue.count == 0:
		c.sent = c.read
	default:
		signal(c.wake)
	}
	c.reset, c.behind, c.gone = false, false, nil
	c.mu.Unlock()
	signal(c.space)

	c.out.begin()
	n := 0
	if reset {
		gap, gone = nil, nil
		if err := c.count(&n, resetMessage{"reset"}); err != nil {
			return n, err
		}
	}
	if err := c.sendItems(ctx, items, &n); err != nil {
		return n, err
	}
	// Deletions first: a console that is told of the gap, and leaves, never asks for them.
	if len(gone) > 0 {
		if err := c.count(&n, removedMessage{"removed", gap.From, gone}); err != nil {
			return n, err
		}
	}
	if gap != nil && gap.From < gap.To {
		if err := c.count(&n, gap); err != nil {
			return n, err
		}
	}
	if err := c.sendMessages(ctx, &n); err != nil {
		return n, err
	}
	if withStatus {
		if err := c.sendStatus(ctx, &n); err != nil {
			return n, err
		}
	}
	return n, c.out.end()
}

// sendItems tells of exchanges.
func (c *console) sendItems(ctx context.Context, items []item, n *int) error {
	if err := c.ask(ctx, items); err != nil {
		return err
	}
	var gone []int64
	var at int64
	tell := func() error {
		if len(gone) == 0 {
			return nil
		}
		err := c.count(n, removedMessage{"removed", at, gone})
		gone = nil
		return err
	}
	for _, i := range items {
		switch {
		case i.ids != nil:
			gone, at = append(gone, i.ids...), i.seq
		case i.show == nil && i.id != 0:
			gone, at = append(gone, i.id), i.seq
		case i.show != nil:
			if err := tell(); err != nil {
				return err
			}
			// Made once for all consoles.
			frame, err := c.s.frames.frame(i.show)
			if err != nil {
				return fmt.Errorf("writing exchange %d: %w", i.id, err)
			}
			if err := c.writeFrame(frame); err != nil {
				return err
			}
			*n += len(frame)
		}
	}
	return tell()
}

// ask lets the store say which of the items match, where only it can: it has the bodies.
func (c *console) ask(ctx context.Context, items []item) error {
	var ids strings.Builder
	n := 0
	for _, i := range items {
		if i.ask {
			if n++; n > 1 {
				ids.WriteByte(',')
			}
			ids.WriteString(strconv.FormatInt(i.id, 10))
		}
	}
	if n == 0 {
		return nil
	}
	f, err := filter.Parse("id in (" + ids.String() + ") ( " + c.filter.String() + " )")
	if err != nil {
		return fmt.Errorf("asking which exchanges match: %w", err)
	}
	page, err := c.s.cfg.Store.List(ctx, Query{Filter: f, Limit: n})
	if err != nil {
		return err
	}
	match := make(map[int64]bool, len(page.Exchanges))
	for _, x := range page.Exchanges {
		match[x.ID] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range items {
		i := &items[k]
		switch {
		case !i.ask:
		case match[i.id]:
			c.shownOrDone(i)
		case c.mayHave(i):
			i.show = nil
		default:
			*i = item{}
		}
	}
	return nil
}

// sendMessages tells of messages. They are read from the store as there is room: none waits in memory.
func (c *console) sendMessages(ctx context.Context, n *int) error {
	c.mu.Lock()
	var ids []int64
	for id, cursor := range c.subs {
		if cursor.more {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		if *n >= flushBytes {
			signal(c.wake)
			return nil
		}
		if err := c.sendMessagesOf(ctx, id, n); err != nil {
			return err
		}
	}
	return nil
}

func (c *console) sendMessagesOf(ctx context.Context, id int64, n *int) error {
	c.mu.Lock()
	cursor := c.subs[id]
	if cursor == nil {
		c.mu.Unlock()
		return nil
	}
	after := cursor.after
	cursor.more = false
	c.mu.Unlock()
	full := true
	for full && *n < flushBytes {
		messages, err := c.s.cfg.Store.Messages(ctx, id, after, messageStep)
		if err != nil && !errors.Is(err, capture.ErrNotFound) {
			return err
		}
		for _, m := range messages {
			frame, err := messageFrame(id, m)
			if err != nil {
				return err
			}
			if err := c.writeFrame(frame); err != nil {
				return err
			}
			*n += len(frame)
			after = m.N
		}
		full = len(messages) == messageStep
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The client may have subscribed anew meanwhile.
	if c.subs[id] == cursor {
		cursor.after = after
		cursor.more = cursor.more || full
		if full {
			signal(c.wake)
		}
	}
	return nil
}

// messageFrame writes a message of an exchange as the stream has it.
func messageFrame(id int64, m capture.Message) ([]byte, error) {
	b, err := m.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing message %d of exchange %d: %w", m.N, id, err)
	}
	frame := make([]byte, 0, len(b)+48)
	frame = append(frame, `{"type":"message","exchange":`...)
	frame = strconv.AppendInt(frame, id, 10)
	frame = append(frame, ',')
	return append(frame, b[1:]...), nil
}

// sendStatus tells how eaves is, if that has changed.
func (c *console) sendStatus(ctx context.Context, n *int) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	st, err := c.s.status.get(ctx, statusEvery*9/10)
	if err != nil {
		return nil // the next one may be better
	}
	// Here seq is the cursor: what the console has not been sent yet is not behind it.
	c.mu.Lock()
	if c.queue.count == 0 && !c.behind && !c.reset {
		c.sent = c.read
	}
	st.Seq = c.sent
	c.mu.Unlock()
	if st == c.lastStatus {
		return nil
	}
	c.lastStatus = st
	return c.count(n, statusMessage{"status", st})
}

// count writes a message and adds its size to n.
func (c *console) count(n *int, v any) error {
	frame, err := json.Marshal(v)
	if err != nil {
		return err
	}
	*n += len(frame)
	return c.writeFrame(frame)
}

func (c *console) write(v any) error {
	n := 0
	return c.count(&n, v)
}

func (c *console) writeFrame(frame []byte) error {
	return c.conn.WriteMessage(websocket.TextMessage, frame)
}
