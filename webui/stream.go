package webui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
	"eaves/capture/filter"
)

// Bounds of what one console costs.
const (
	maxConsoles      = 100
	maxQueue         = 768 << 10 // bytes that wait to be sent
	maxGone          = 16 << 10  // ids of exchanges deleted while a console was behind
	maxShown         = 8 << 10   // open exchanges of which is known that the console has them
	maxSubscriptions = 32
	maxClientMessage = 4 << 10
	messageStep      = 16

	flushEvery    = 100 * time.Millisecond
	flushBytes    = 96 << 10
	bytesASecond  = 1_000_000
	statusEvery   = time.Second
	pingEvery     = 5 * time.Second
	pongTimeout   = 15 * time.Second
	goodbyeWithin = time.Second
)

// console is one open stream.
type console struct {
	s       *Server
	conn    *websocket.Conn
	out     *batchConn
	filter  *filter.Filter // nil: everything
	changes Subscription
	// fixed: what the filter asks does not change while an exchange goes on, so that nothing ever stops matching.
	fixed bool

	// wake tells the writer that there is something to send, space tells the reader of changes that there is room.
	wake, space chan struct{}

	mu    sync.Mutex
	queue queue
	// read is the last revision seen, sent the last up to which the console knows everything.
	read, sent int64
	// live is the revision at which the stream had caught up. What was before it, the console may have been shown by a
	// list; from there on, the console knows of open exchanges only those in shown.
	live  int64
	shown map[int64]bool // nil: too many to know
	// behind: everything after sent is left out, until a gap is told. gone are deletions meanwhile.
	behind bool
	gone   []int64
	reset  bool
	subs   map[int64]*messageCursor

	lastStatus status
}

// messageCursor is how far a console has been told the messages of an exchange.
type messageCursor struct {
	after int64
	more  bool
}

func (s *Server) stream(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	f, err := parseFilter(values.Get("filter"))
	if err != nil {
		return err
	}
	after, resuming, err := number(values, "after")
	if err != nil {
		return err
	}
	if !websocket.IsWebSocketUpgrade(r.Request) {
		w.Header().Set("Upgrade", "websocket")
		return problem{Status: http.StatusUpgradeRequired, Detail: "the stream is a WebSocket (RFC 6455)"}
	}
	if r.ProtoMajor != 1 || r.Method != http.MethodGet || r.Header.Get("Sec-Websocket-Version") != "13" || r.Header.Get("Sec-Websocket-Key") == "" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		return bad("", "this is not a WebSocket handshake of version 13 (RFC 6455, 4.2.1)")
	}
	if !s.enter() {
		return problem{Status: http.StatusServiceUnavailable, Detail: fmt.Sprintf("eaves is stopping, or %d consoles are open", maxConsoles)}
	}
	defer s.leave()
	c := &console{s: s, filter: f, wake: make(chan struct{}, 1), space: make(chan struct{}, 1), shown: make(map[int64]bool), subs: make(map[int64]*messageCursor)}
	c.fixed = f == nil || f.RequestOnly() == nil
	if err := c.begin(after, resuming, values); err != nil {
		return err
	}
	defer func() { c.changes.Close() }()
	h := &batchHijacker{ResponseWriter: w}
	up := websocket.Upgrader{
		HandshakeTimeout: sendTimeout, ReadBufferSize: 1 << 10, WriteBufferSize: 4 << 10,
		// The guard has looked at the origin.
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			problem{Status: status, Detail: reason.Error()}.write(w, r)
		},
	}
	if c.conn, err = up.Upgrade(h, r.Request, nil); err != nil {
		return nil // the upgrader has answered
	}
	c.out = h.conn
	c.run(r.Context())
	return nil
}

// begin opens the subscription where the client left off, or now.
func (c *console) begin(after int64, resuming bool, values url.Values) error {
	store := c.s.cfg.Store
	now := store.Seq()
	from := now
	if resuming {
		from = after
		if id := values.Get("store"); id != "" && id != store.ID() || after > now {
			c.reset, from = true, now
		}
	}
	var err error
	c.changes, err = store.Changes(from)
	if errors.Is(err, ErrReset) {
		c.reset, from = true, store.Seq()
		c.changes, err = store.Changes(from)
	}
	c.read, c.sent, c.live = from, from, now
	return err
}

// run serves the console until it leaves, is too slow, or the server stops.
func (c *console) run(ctx context.Context) {
	defer c.conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.s.quit, func() { cancel(errStopping) })
	defer stop()
	var wg sync.WaitGroup
	for _, work := range []func(context.Context) error{c.listen, c.follow} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() {
				if e := recover(); e != nil {
					c.s.cfg.Log(fmt.Sprintf("console: stream: %v", e))
					cancel(errBroken)
				}
			}()
			cancel(work(ctx))
		}()
	}
	// A connection that is being written to is cut only by its deadline, so that a good-bye can still be said; one that is
	// being read from is cut below.
	err := c.send(ctx)
	cancel(err)
	c.goodbye(context.Cause(ctx))
	c.conn.Close()
	wg.Wait()
}

var (
	errStopping = errors.New("eaves is stopping")
	errBroken   = errors.New("eaves failed; its log says more")
)

// refusal is a client's mistake that ends the stream.
type refusal string

func (r refusal) Error() string { return string(r) }

// goodbye says why the stream ends, if somebody is there to hear it.
func (c *console) goodbye(cause error) {
	code, text := websocket.CloseInternalServerErr, ""
	var no refusal
	switch {
	case errors.Is(cause, errStopping):
		code, text = websocket.CloseGoingAway, cause.Error()
	case errors.As(cause, &no):
		code, text = websocket.ClosePolicyViolation, cause.Error()
	case errors.Is(cause, errBroken):
		text = cause.Error()
	default:
		return
	}
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(goodbyeWithin))
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// follow reads the changes and queues what the console is to be told.
func (c *console) follow(ctx context.Context) error {
	if err := c.baseline(ctx); err != nil {
		return err
	}
	for {
		changes, err := c.changes.Next(ctx)
		var gap *GapError
		switch {
		case errors.As(err, &gap):
			if err := c.bridge(ctx, gap); err != nil {
				return err
			}
		case errors.Is(err, ErrReset):
			if err := c.startOver(); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		for i := range changes {
			if err := c.note(ctx, &changes[i]); err != nil {
				return err
			}
		}
		signal(c.wake)
	}
}

// baseline learns which open exchanges match now: those the console may have been shown.
func (c *console) baseline(ctx context.Context) error {
	if c.fixed {
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
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range page.Exchanges {
		c.show(x.ID)
	}
	if len(page.Exchanges) == maxShown {
		c.shown = nil
	}
	return nil
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
		return c.startOver()
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	if gap.From < c.live {
		// A console that is still catching up goes on from there, at its own pace.
		c.mu.Unlock()
		c.changes.Close()
		c.changes = again
		return nil
	}
	again.Close()
	c.fallBehind()
	c.read = max(c.read, gap.To)
	c.live = max(c.live, gap.To)
	c.mu.Unlock()
	// Which exchanges have changed meanwhile is not known: whatever is open and matches, the console may have.
	return c.baseline(ctx)
}

// startOver goes on from now, and says that nothing the console knows can be relied on.
func (c *console) startOver() error {
	now := c.s.cfg.Store.Seq()
	again, err := c.s.cfg.Store.Changes(now)
	if err != nil {
		return err
	}
	c.changes.Close()
	c.changes = again
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.clear()
	c.reset, c.behind, c.gone = true, false, nil
	c.read, c.sent, c.live = now, now, now
	return nil
}

// fallBehind leaves out what waits and what comes, until the writer has told of it. The lock is held.
func (c *console) fallBehind() {
	// Deletions are not left out: what is deleted, no list can tell of.
	for _, i := range c.queue.items {
		c.forgetGone(i.ids)
	}
	c.queue.clear()
	c.behind = true
}

// forgetGone remembers deletions that could not be told. The lock is held.
func (c *console) forgetGone(ids []int64) {
	if len(c.gone)+len(ids) > maxGone {
		c.reset = true
	}
	if c.reset {
		c.gone = nil
		return
	}
	c.gone = append(c.gone, ids...)
}

// note queues what the console is to be told of one change.
func (c *console) note(ctx context.Context, ch *capture.Change) error {
	var show item
	var matches bool
	if x := ch.Exchange; x != nil {
		show = item{seq: ch.Seq, id: x.ID, open: x.State == capture.StateOpen}
		switch {
		case c.filter == nil:
			matches = true
		case c.filter.NeedsBody():
			show.ask, matches = true, true
		default:
			matches = c.filter.Match(filter.Subject{Exchange: x, Now: c.s.cfg.Now()})
		}
		if matches {
			var err error
			if show.frame, err = c.s.frames.frame(x); err != nil {
				return fmt.Errorf("writing exchange %d: %w", x.ID, err)
			}
		}
	}
	for {
		c.mu.Lock()
		if c.queue.bytes < maxQueue || c.behind || ch.Seq > c.live {
			break
		}
		// Catching up is paced by the console; only live changes are left out.
		c.mu.Unlock()
		signal(c.wake)
		select {
		case <-c.space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer c.mu.Unlock()
	if ch.MessageOf != 0 {
		if cursor := c.subs[ch.MessageOf]; cursor != nil {
			cursor.more = true
		}
	}
	if ch.Seq > c.read {
		c.read = ch.Seq
	}
	if len(ch.Removed) > 0 {
		c.delete(ch)
	}
	switch {
	case ch.Exchange == nil:
	case c.behind:
		// The gap will tell.
	case matches:
		c.queue.push(show)
		if !show.ask {
			c.shownOrDone(&show)
		}
	default:
		c.hide(show)
	}
	if c.queue.bytes >= maxQueue && ch.Seq > c.live {
		c.fallBehind()
	}
	return nil
}

// shownOrDone remembers what the console has of an exchange: only open ones change, and need to be known. The lock is held.
func (c *console) shownOrDone(i *item) {
	if i.open {
		c.show(i.id)
	} else if c.shown != nil {
		delete(c.shown, i.id)
	}
}

// hide takes an exchange away that does not match, if the console may have it. The lock is held.
func (c *console) hide(i item) {
	if c.mayHave(&i) {
		i.frame, i.ask = nil, false
		c.queue.push(i)
	} else {
		c.queue.drop(i.id)
	}
}

// mayHave says whether the console may have been shown an exchange that does not match now. The lock is held.
func (c *console) mayHave(i *item) bool {
	has := !c.fixed && (i.seq <= c.live || c.shown == nil || c.shown[i.id])
	if c.shown != nil {
		delete(c.shown, i.id)
	}
	return has || c.filter != nil && c.s.edited.contains(i.id)
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
		c.forgetGone(ch.Removed)
	case len(ch.Removed) > maxGone:
		// To read everything anew is less than to be told of so many.
		c.queue.clear()
		c.reset = true
	default:
		c.queue.push(item{seq: ch.Seq, ids: ch.Removed})
	}
}

// listen takes what the client asks for.
func (c *console) listen(ctx context.Context) error {
	c.conn.SetReadLimit(maxClientMessage)
	alive := func() error { return c.conn.SetReadDeadline(c.readDeadline()) }
	if err := alive(); err != nil {
		return err
	}
	c.conn.SetPongHandler(func(string) error { return alive() })
	for {
		kind, b, err := c.conn.ReadMessage()
		if err != nil {
			if errors.Is(err, websocket.ErrReadLimit) {
				return refusal("a message to the stream is small")
			}
			return err
		}
		if err := alive(); err != nil {
			return err
		}
		if kind != websocket.TextMessage {
			return refusal("a message to the stream is JSON text")
		}
		if err := c.command(b); err != nil {
			return err
		}
	}
}

// readDeadline is the time by which a sign of life must have come. Real time: it is the connection's.
func (c *console) readDeadline() time.Time { return time.Now().Add(pongTimeout) }
