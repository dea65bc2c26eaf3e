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

	// A console is sent at most 10 batches and 1 MB in any second: the batch that goes beyond the rate is in the second, too.
	flushEvery   = 110 * time.Millisecond
	flushBytes   = 96 << 10
	bytesASecond = 850_000
	// readEvery is how often the changes are read.
	readEvery     = 50 * time.Millisecond
	statusEvery   = time.Second
	statusTimeout = 2 * time.Second
	pingEvery     = 5 * time.Second
	pongTimeout   = 10 * time.Second
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
	// start is what hello says.
	start int64
	// live is the revision at which the stream had caught up. What was before it, the console may have been shown by a
	// list; from there on, the console knows of open exchanges only those in shown.
	live  int64
	shown map[int64]bool // nil: too many to know
	// behind: everything after sent is left out, until a gap is told. gone are deletions meanwhile.
	behind bool
	gone   []int64
	reset  bool
	subs   map[int64]*messageCursor
	// asked: a ping was sent, and nothing has come since.
	asked bool

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
	if err := c.baseline(r.Context(), nil); err != nil {
		return err
	}
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
	if c.start = from; c.reset {
		// Who leaves between hello and reset, and comes back with what hello said, must be told to start over again.
		c.start = 0
	}
	return err
}

// run serves the console until it leaves, is too slow, or the server stops.
func (c *console) run(ctx context.Context) {
	defer c.conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.s.quit, func() {
		cancel(errStopping)
		c.out.hurry(goodbyeWithin)
	})
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
	c.out.hurry(goodbyeWithin)
	if c.out.end() != nil {
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

// listen takes what the client asks for.
func (c *console) listen(ctx context.Context) error {
	c.conn.SetReadLimit(maxClientMessage)
	c.conn.SetPongHandler(func(string) error { return c.alive() })
	for {
		kind, b, err := c.conn.ReadMessage()
		if err != nil {
			if errors.Is(err, websocket.ErrReadLimit) {
				return refusal("a message to the stream is small")
			}
			return err
		}
		if err := c.alive(); err != nil {
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

// ping asks for a sign of life. Only who was asked can owe one: while the writer waits, for the store say, nobody does.
func (c *console) ping() error {
	c.mu.Lock()
	var err error
	if !c.asked {
		// Real time: it is the connection's.
		c.asked, err = true, c.conn.SetReadDeadline(time.Now().Add(pongTimeout))
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(sendTimeout))
}

// alive notes a sign of life.
func (c *console) alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = false
	return c.conn.SetReadDeadline(time.Time{})
}
