package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	// assumedStreams is how many streams a server is trusted to take before it has said how many.
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
	seen atomic.Int64 // when the last frame came, in Unix nanoseconds

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
	maxFrame  int
	window    int64 // of the peer, for streams to come
	sendable  int64 // of the peer, for the connection
	taken     int64 // received and not given back, of connWindow
	unacked   int64 // of that, read by somebody since the window was last given back
	goAway    *goAwayError
	closing   bool
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

// startH2 begins HTTP/2 on a connection. clear says that nobody has said yet that the server speaks it.
func (h *host) startH2(ctx context.Context, l *link, clear bool, r *Receipt) (*h2conn, *Error) {
	cc := &h2conn{
		link: l, host: h, br: bufio.NewReaderSize(l, h2Buffer), bw: bufio.NewWriterSize(l, h2Buffer),
		streams: make(map[uint32]*h2stream), nextID: 1, max: assumedStreams, maxFrame: defaultFrame,
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
		return nil, fail(capture.StageHTTP, err, "%s: HTTP/2 could not be started: the connection was %s", l.where, plain(err))
	}
	go cc.read()
	return cc, nil
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
var errDead = errors.New("dead: the server did not answer on it any more")

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
func (cc *h2conn) hearOut() {
	cc.mu.Lock()
	cc.closing = true
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
	case len(cc.streams)+cc.reserved >= int(cc.max):
		return roomNone
	}
	cc.reserved++
	return roomFree
}

// read handles what the server sends, until the connection ends.
func (cc *h2conn) read() {
	err := cc.readFrames()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // io.EOF is the end of an answer that is whole
	}
	cc.mu.Lock()
	if cc.err == nil {
		cc.err = err
	} else {
		err = cc.err
	}
	streams := make([]*h2stream, 0, len(cc.streams))
	for _, s := range cc.streams {
		streams = append(streams, s)
	}
	clear(cc.streams)
	cc.room.Broadcast()
	cc.mu.Unlock()
	var broken http2.ConnectionError
	if errors.As(err, &broken) {
		// A moment is enough: a server that breaks the protocol may not read either.
		_ = cc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		cc.control(func() { _ = cc.fr.WriteGoAway(0, http2.ErrCode(broken), nil) })
	}
	cc.abort()
	cc.host.removeH2(cc)
	for _, s := range streams {
		s.end(err)
	}
}

// removeH2 forgets a connection that has ended.
func (h *host) removeH2(cc *h2conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.h2, cc); i >= 0 {
		h.h2 = slices.Delete(h.h2, i, i+1)
	}
}

func (cc *h2conn) readFrames() error {
	for first := true; ; first = false {
		f, err := cc.fr.ReadFrame()
		cc.seen.Store(time.Now().UnixNano())
		if err != nil {
			var se http2.StreamError
			if errors.As(err, &se) {
				cc.resetStream(se.StreamID, se.Code, &protocolError{se.Code, fmt.Sprint(se.Cause)})
				continue
			}
			var ce http2.ConnectionError
			if errors.As(err, &ce) {
				detail := "frame error"
				if d := cc.fr.ErrorDetail(); d != nil {
					detail = d.Error()
				}
				return fmt.Errorf("%s: %w", detail, ce)
			}
			if errors.Is(err, http2.ErrFrameTooLarge) {
				return fmt.Errorf("a frame is too large, or no frame at all: %w", http2.ConnectionError(http2.ErrCodeFrameSize))
			}
			return err
		}
		if _, ok := f.(*http2.SettingsFrame); first && !ok {
			return fmt.Errorf("the first frame is not SETTINGS: %w", http2.ConnectionError(http2.ErrCodeProtocol))
		}
		if err := cc.handle(f); err != nil {
			return err
		}
	}
}

func (cc *h2conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return cc.gotHeaders(f)
	case *http2.DataFrame:
		return cc.gotData(f)
	case *http2.RSTStreamFrame:
		if s := cc.stream(f.StreamID); s != nil {
			s.reset(f.ErrCode)
		}
	case *http2.SettingsFrame:
		return cc.gotSettings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			cc.control(func() { _ = cc.fr.WritePing(true, f.Data) })
		}
	case *http2.GoAwayFrame:
		cc.gotGoAway(f)
	case *http2.WindowUpdateFrame:
		return cc.gotWindow(f)
	case *http2.PushPromiseFrame:
		return fmt.Errorf("PUSH_PROMISE, though push is off: %w", http2.ConnectionError(http2.ErrCodeProtocol))
	}
	return nil // RFC 9113, 4.1: unknown frames are ignored
}

func (cc *h2conn) stream(id uint32) *h2stream {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.streams[id]
}

// known says whether a frame may name that stream: one that was opened at some time.
func (cc *h2conn) known(id uint32) error {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if id%2 == 0 || id >= cc.nextID {
		return fmt.Errorf("a frame for stream %d, which does not exist: %w", id, http2.ConnectionError(http2.ErrCodeProtocol))
	}
	return nil
}

func (cc *h2conn) gotSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	var table uint32
	hasTable := false
	cc.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return fmt.Errorf("SETTINGS %v: %w", s, err)
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			cc.max = min(s.Val, 1<<20)
		case http2.SettingMaxFrameSize:
			cc.maxFrame = int(min(s.Val, h2Buffer))
		case http2.SettingInitialWindowSize:
			delta := int64(s.Val) - cc.window
			cc.window = int64(s.Val)
			for _, st := range cc.streams {
				if st.sendable += delta; st.sendable > maxWindow {
					return fmt.Errorf("a window is too large: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
				}
			}
			cc.room.Broadcast()
		case http2.SettingHeaderTableSize:
			table, hasTable = s.Val, true
		}
		return nil
	})
	cc.mu.Unlock()
	if err != nil {
		return err
	}
	cc.control(func() {
		if hasTable {
			cc.henc.SetMaxDynamicTableSizeLimit(min(table, 64<<10))
			cc.henc.SetMaxDynamicTableSize(min(table, 64<<10))
		}
		_ = cc.fr.WriteSettingsAck()
	})
	return nil
}

func (cc *h2conn) gotGoAway(f *http2.GoAwayFrame) {
	const few = 200
	debug := f.DebugData()
	away := &goAwayError{last: f.LastStreamID, code: f.ErrCode, debug: string(debug[:min(len(debug), few)])}
	cc.mu.Lock()
	cc.goAway = away
	var refused []*h2stream
	for id, s := range cc.streams {
		if id > away.last {
			refused = append(refused, s)
		}
	}
	cc.mu.Unlock()
	for _, s := range refused {
		s.end(away)
	}
	cc.closeIfDone()
}

func (cc *h2conn) gotWindow(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		cc.mu.Lock()
		defer cc.mu.Unlock()
		if cc.sendable += int64(f.Increment); cc.sendable > maxWindow {
			return fmt.Errorf("the connection's window is too large: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
		}
		cc.room.Broadcast()
		return nil
	}
	if err := cc.known(f.StreamID); err != nil {
		return err
	}
	cc.mu.Lock()
	s := cc.streams[f.StreamID]
	over := false
	if s != nil {
		s.sendable += int64(f.Increment)
		over = s.sendable > maxWindow
		cc.room.Broadcast()
	}
	cc.mu.Unlock()
	if over {
		cc.resetStream(f.StreamID, http2.ErrCodeFlowControl, &protocolError{http2.ErrCodeFlowControl, "the stream's window is too large"})
	}
	return nil
}

// resetStream ends a stream for a fault of the server's.
func (cc *h2conn) resetStream(id uint32, code http2.ErrCode, err error) {
	s := cc.stream(id)
	if s == nil {
		cc.control(func() { _ = cc.fr.WriteRSTStream(id, code) })
		return
	}
	s.abort(code, err)
}

func (cc *h2conn) gotHeaders(f *http2.MetaHeadersFrame) error {
	if err := cc.known(f.StreamID); err != nil {
		return err
	}
	s := cc.stream(f.StreamID)
	if s == nil {
		return nil // it was given up, and the server does not know yet
	}
	s.gotHeaders(f)
	return nil
}

func (cc *h2conn) gotData(f *http2.DataFrame) error {
	if err := cc.known(f.StreamID); err != nil {
		return err
	}
	n := int64(f.Length) // with padding: RFC 9113, 6.9
	cc.mu.Lock()
	s := cc.streams[f.StreamID]
	cc.taken += n
	over := cc.taken > connWindow
	if s != nil {
		s.taken += n
		if s.taken > streamWindow {
			over = true
		}
	}
	cc.mu.Unlock()
	if over {
		return fmt.Errorf("more data than the window allows: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
	}
	kept := int64(0)
	if s != nil {
		kept = s.gotData(f)
	}
	if kept < n {
		cc.consumed(s, n-kept)
	}
	return nil
}

// consumed gives window back for data that somebody has read, or nobody will.
func (cc *h2conn) consumed(s *h2stream, n int64) {
	var conn, stream int64
	cc.mu.Lock()
	cc.unacked += n
	if cc.unacked >= connWindow/4 {
		conn, cc.unacked = cc.unacked, 0
		cc.taken -= conn
	}
	if s != nil {
		s.unacked += n
		if s.unacked >= streamWindow/4 && !s.received && !s.gone {
			stream, s.unacked = s.unacked, 0
			s.taken -= stream
		}
	}
	cc.mu.Unlock()
	if conn == 0 && stream == 0 {
		return
	}
	cc.control(func() {
		if conn > 0 {
			_ = cc.fr.WriteWindowUpdate(0, uint32(conn))
		}
		if stream > 0 {
			_ = cc.fr.WriteWindowUpdate(s.id, uint32(stream))
		}
	})
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
