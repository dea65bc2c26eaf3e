package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/capture"
)

// The client of HTTP/2 is written on the framer and not on the transport of x/net: that one orders and rewrites header
// fields, drops some, and stops sending a request when its answer is an error.
const (
	// streamWindow bounds what is held of an answer that nobody reads, connWindow the same of all on a connection.
	streamWindow = 2 << 20
	connWindow   = 32 << 20
	// defaultWindow and defaultFrame are what RFC 9113, 6.5.2 begins with.
	defaultWindow = 64<<10 - 1
	defaultFrame  = 16 << 10
	maxWindow     = 1<<31 - 1
	// assumedStreams is how many streams a server is trusted to take that does not say how many.
	assumedStreams = 100
	// maxStreamID is where a connection is left for another: identifiers are 31 bits.
	maxStreamID = 1<<31 - 1<<16
	// h2Buffer is the size of a connection's buffers.
	h2Buffer = 32 << 10
	// prefaceTimeout is how long a server without TLS is waited for to show that it speaks HTTP/2.
	prefaceTimeout = 3 * time.Second
)

// room says whether a connection takes a further stream.
type room uint8

const (
	roomNone room = iota
	roomFree
	roomNever
)

// h2conn is a connection that speaks HTTP/2.
type h2conn struct {
	*link
	host *host
	fr   *http2.Framer
	br   *bufio.Reader
	seen atomic.Int64  // when the last frame came, in Unix nanoseconds
	told chan struct{} // closed when the server's SETTINGS have been read, or nothing more is

	// Writing. Whoever is the last to write flushes.
	writers atomic.Int32
	wmu     sync.Mutex
	bw      *bufio.Writer
	henc    *hpack.Encoder
	hbuf    bytes.Buffer

	mu        sync.Mutex
	room      *sync.Cond // a sending window has grown, or sending has ended
	streams   map[uint32]*h2stream
	nextID    uint32
	reserved  int
	max       uint32 // of concurrent streams
	settled   bool   // max is what the server said, or it has not said it in time
	maxFrame  int
	window    int64 // of the peer, for streams to come
	sendable  int64 // of the peer, for the connection
	taken     int64 // received and not given back, of connWindow
	unacked   int64 // of that, read by somebody since the window was last given back
	goAway    *goAwayError
	closing   bool
	broken    error // why it cannot be written to
	err       error // why the connection has ended
	idleSince time.Time
}

// goAwayError is a server's farewell.
type goAwayError struct {
	last  uint32
	code  http2.ErrCode
	debug string
}

func (e *goAwayError) Error() string {
	return fmt.Sprintf("GOAWAY with %v %q", e.code, e.debug)
}

// startH2 begins HTTP/2 on a connection, which has room reserved for one stream: that one needs not wait for the server's
// SETTINGS. clear says that nobody has said yet that the server speaks it.
func (h *host) startH2(ctx context.Context, l *link, clear bool, r *Receipt) (*h2conn, *Error) {
	cc := &h2conn{
		link: l, host: h, told: make(chan struct{}), br: bufio.NewReaderSize(l, h2Buffer), bw: bufio.NewWriterSize(l, h2Buffer),
		streams: make(map[uint32]*h2stream), nextID: 1, reserved: 1, max: assumedStreams, maxFrame: defaultFrame,
		window: defaultWindow, sendable: defaultWindow, idleSince: time.Now(),
	}
	cc.seen.Store(time.Now().UnixNano())
	cc.room = sync.NewCond(&cc.mu)
	cc.fr = http2.NewFramer(cc.bw, cc.br)
	cc.fr.SetReuseFrames()
	cc.fr.SetMaxReadFrameSize(defaultFrame)
	cc.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	limit := uint32(h.client.cfg.Limits.Head)
	if limit == 0 {
		limit = 1 << 20
	}
	cc.fr.MaxHeaderListSize = limit
	cc.henc = hpack.NewEncoder(&cc.hbuf)
	stop := context.AfterFunc(ctx, l.abort)
	defer stop()
	cc.lock()
	_, _ = cc.bw.WriteString(http2.ClientPreface)
	_ = cc.fr.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: limit})
	_ = cc.fr.WriteWindowUpdate(0, connWindow-defaultWindow)
	err := cc.unlock()
	if err == nil && clear {
		err = cc.awaitPreface()
	}
	if err != nil {
		if !clear { // an alert may say more than that it cannot be written to
			_ = cc.SetReadDeadline(time.Now().Add(lastWords))
			if _, rerr := cc.br.Peek(1); rerr != nil {
				err = rerr
			}
		}
		l.abort()
		if e := cancelled(ctx, "starting HTTP/2 with "+l.where); e != nil {
			return nil, e
		}
		if e := l.alerted(r, err); e != nil {
			return nil, e
		}
		return nil, unstarted(l, err)
	}
	go cc.read()
	return cc, nil
}

// unstarted is the error of a connection on which HTTP/2 did not begin.
func unstarted(l *link, err error) *Error {
	return fail(capture.StageHTTP, err, "%s: HTTP/2 could not be started: %s", l.where, plain(err))
}

// settle waits until is known how many streams the server takes. Where the connection ends before it says so, the error
// is what the server has against us, and the receipt is told.
func (cc *h2conn) settle(r *Receipt) *Error {
	timer := time.NewTimer(cc.host.client.settingsTimeout)
	defer timer.Stop()
	select {
	case <-cc.told:
	case <-timer.C:
	}
	cc.mu.Lock()
	settled, err := cc.settled, cc.err
	cc.settled = true
	cc.mu.Unlock()
	if settled || err == nil {
		return nil
	}
	e := cc.alerted(r, err)
	if e == nil {
		e = unstarted(cc.link, err)
		cc.left(r, e)
	}
	return e
}

// awaitPreface looks whether the server begins as HTTP/2 does, with SETTINGS (RFC 9113, 3.4).
func (cc *h2conn) awaitPreface() error {
	_ = cc.SetReadDeadline(time.Now().Add(prefaceTimeout))
	b, err := cc.br.Peek(9)
	if err != nil {
		return err
	}
	if b[3] != byte(http2.FrameSettings) || b[4] != 0 || !bytes.Equal(b[5:9], make([]byte, 4)) {
		return errors.New("the server does not speak HTTP/2")
	}
	return cc.SetReadDeadline(time.Time{})
}

// lock begins writing.
func (cc *h2conn) lock() {
	cc.writers.Add(1)
	cc.wmu.Lock()
}

// unlock ends writing. What was written goes out, if not now then with what somebody else is about to write.
func (cc *h2conn) unlock() error {
	var err error
	if cc.writers.Add(-1) == 0 {
		err = cc.bw.Flush()
	}
	cc.wmu.Unlock()
	return err
}

// errDead says that a connection is open to us, but not to the server.
var errDead = errors.New("connection dead: the server did not answer on it any more")

// probe asks whether a connection over which nothing has come for long is alive. The writing lock is held.
func (cc *h2conn) probe() {
	c := cc.host.client
	asked := time.Now()
	if asked.UnixNano()-cc.seen.Load() < int64(c.pingAfter) {
		return
	}
	_ = cc.fr.WritePing(false, [8]byte{'e', 'a', 'v', 'e', 's'})
	time.AfterFunc(c.pingTimeout, func() {
		if cc.seen.Load() > asked.UnixNano() {
			return
		}
		cc.mu.Lock()
		if cc.err == nil {
			cc.err = errDead
		}
		cc.mu.Unlock()
		cc.abort()
	})
}

// hearOut ends a connection that cannot be written to any more: whoever reads says why, and is given a moment, as the
// server may have said it.
func (cc *h2conn) hearOut(err error) {
	cc.mu.Lock()
	cc.closing, cc.broken = true, err
	cc.mu.Unlock()
	_ = cc.SetReadDeadline(time.Now().Add(lastWords))
}

// control writes a frame that belongs to no request. Where it fails, reading will say why.
func (cc *h2conn) control(write func()) {
	cc.lock()
	write()
	_ = cc.unlock()
}

// reserve takes room for one stream.
func (cc *h2conn) reserve() room {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	switch {
	case cc.err != nil || cc.goAway != nil || cc.closing || cc.nextID > maxStreamID:
		return roomNever
	case !cc.settled:
		return roomNone
	case len(cc.streams)+cc.reserved >= int(cc.max):
		return roomNone
	case cc.taken-cc.unacked > connWindow/2:
		return roomNone // answers that nobody reads fill it: what comes now shall not wait for them
	}
	cc.reserved++
	return roomFree
}

// closeIfDone closes a connection that takes no more streams and has none.
func (cc *h2conn) closeIfDone() {
	cc.mu.Lock()
	done := len(cc.streams) == 0 && cc.reserved == 0 && (cc.goAway != nil || cc.closing)
	cc.mu.Unlock()
	if done {
		cc.abort()
	}
}

// closeIfIdle closes a connection that was unused for so long.
func (cc *h2conn) closeIfIdle(now time.Time, d time.Duration) {
	cc.mu.Lock()
	idle := len(cc.streams) == 0 && cc.reserved == 0 && now.Sub(cc.idleSince) >= d
	cc.mu.Unlock()
	if idle {
		cc.shutdown()
	}
}

// shutdown lets no further stream begin, and closes the connection with the last.
func (cc *h2conn) shutdown() {
	cc.mu.Lock()
	farewell := !cc.closing && len(cc.streams) == 0
	cc.closing = true
	cc.mu.Unlock()
	if farewell {
		_ = cc.SetWriteDeadline(time.Now().Add(time.Second))
		cc.control(func() { _ = cc.fr.WriteGoAway(0, http2.ErrCodeNo, nil) })
	}
	cc.closeIfDone()
}

// protocolError is a fault of the server's on one stream.
type protocolError struct {
	code   http2.ErrCode
	detail string
}

func (e *protocolError) Error() string { return fmt.Sprintf("%v: %s", e.code, e.detail) }

// errGone says that a stream was given up here.
var errGone = errors.New("the stream was given up")

func (cc *h2conn) roundTrip(ctx context.Context, call *Call, reused bool) (*Response, *Error) {
	fields, err := call.h2Fields()
	if err != nil {
		cc.unreserve()
		return nil, fail(capture.StageHTTP, err, "the request cannot be sent over HTTP/2: %v", err)
	}
	s := &h2stream{cc: cc, call: call, ctx: ctx, begun: time.Now(), bodyBegun: call.hasBody(), remaining: -1}
	s.cond.L = &s.mu
	if e := s.open(fields, reused); e != nil {
		return nil, e
	}
	s.stop = context.AfterFunc(ctx, func() { s.abort(http2.ErrCodeCancel, errGone) })
	switch {
	case !call.hasBody():
		s.noteSent(nil)
	case call.atHand():
		s.noteSent(s.sendBody())
	default:
		call.sent = make(chan struct{})
		go func() {
			defer close(call.sent)
			s.noteSent(s.sendBody())
		}()
	}
	return s.receive()
}

func (cc *h2conn) unreserve() {
	cc.mu.Lock()
	cc.reserved--
	cc.mu.Unlock()
	cc.closeIfDone()
}
