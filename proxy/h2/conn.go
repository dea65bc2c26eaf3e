package h2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// streamWindow bounds what is held of one request's body, connWindow what is held of all of a connection.
	streamWindow = 1 << 20
	connWindow   = 16 << 20
	// defaultWindow and frameSize are what RFC 9113, 6.5.2 begins with.
	defaultWindow = 64<<10 - 1
	frameSize     = 16 << 10
	maxWindow     = 1<<31 - 1
	maxTable      = 64 << 10
	bufferSize    = 16 << 10
	// prefaceTimeout is how long a client may take to begin.
	prefaceTimeout = 15 * time.Second
	// remembered is how many streams that have ended are remembered, to tell late frames from wrong ones.
	remembered = 256
	// lastWords is how long a client may take to read why its connection ends.
	lastWords = 500 * time.Millisecond
)

// ending is how a stream has ended.
type ending uint8

const (
	_          ending = iota // not known any more, or never begun
	endedWhole               // both sides were through
	resetHere                // the client may not know yet
	resetThere
)

// Config is what a connection needs.
type Config struct {
	// Handler serves one stream. When it returns without having ended the answer, the stream is reset. Required.
	Handler func(*Stream)
	// Malformed is told of a request that is refused for what its head says; the stream's methods must not be called.
	// May be nil.
	Malformed func(s *Stream, why string)
	// MaxStreams is how many streams a client may have at once; default 1000.
	MaxStreams int
	// MaxHead bounds the size of a head (RFC 9113, 6.5.2); default 1 MiB.
	MaxHead int
}

// Conn is a client's connection.
type Conn struct {
	cfg Config
	nc  net.Conn
	fr  *http2.Framer

	// Writing. Whoever is the last to write flushes, if anybody asked for it.
	writers atomic.Int32
	wmu     sync.Mutex
	bw      *bufio.Writer
	wanted  bool
	henc    *hpack.Encoder
	hbuf    bytes.Buffer

	handlers atomic.Int32
	running  sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc

	mu        sync.Mutex
	room      *sync.Cond // a sending window has grown, or sending has ended
	streams   map[uint32]*Stream
	ended     map[uint32]ending // streams that have ended of late
	order     []uint32          // the keys of ended, oldest first
	maxID     uint32
	maxFrame  int
	window    int64 // of the client, for streams to come
	sendable  int64 // of the client, for the connection
	taken     int64 // received and not given back, of connWindow
	unacked   int64 // of that, read by somebody
	leaving   bool
	err       error
	idleSince time.Time
}

// NewConn makes a connection of nc, which it owns from then on.
func NewConn(nc net.Conn, cfg Config) *Conn {
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 1000
	}
	if cfg.MaxHead <= 0 {
		cfg.MaxHead = 1 << 20
	}
	c := &Conn{
		cfg: cfg, nc: nc, bw: bufio.NewWriterSize(nc, bufferSize),
		streams: make(map[uint32]*Stream), ended: make(map[uint32]ending),
		maxFrame: frameSize, window: defaultWindow, sendable: defaultWindow, idleSince: time.Now(),
	}
	c.room = sync.NewCond(&c.mu)
	c.henc = hpack.NewEncoder(&c.hbuf)
	return c
}

// Serve serves the connection until it ends, or ctx does, and closes it. It returns when all handlers have.
func (c *Conn) Serve(ctx context.Context) {
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer c.cancel()
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()
	err := c.serve()
	c.mu.Lock()
	c.err = err
	streams := make([]*Stream, 0, len(c.streams))
	for _, s := range c.streams {
		streams = append(streams, s)
	}
	c.room.Broadcast()
	c.mu.Unlock()
	var broken http2.ConnectionError
	if errors.As(err, &broken) {
		_ = c.nc.SetWriteDeadline(time.Now().Add(lastWords))
		c.mu.Lock()
		last := c.maxID
		c.mu.Unlock()
		c.control(func() { _ = c.fr.WriteGoAway(last, http2.ErrCode(broken), nil) })
		c.linger()
	}
	c.nc.Close()
	for _, s := range streams {
		s.end(errGone, resetThere)
	}
	c.running.Wait()
}

// linger lets the client read the last frame: closing at once with bytes unread would reset the connection.
func (c *Conn) linger() {
	if cw, ok := c.nc.(interface{ CloseWrite() error }); ok && cw.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(lastWords))
		_, _ = io.CopyN(io.Discard, c.nc, 1<<20)
	}
}

func (c *Conn) serve() error {
	br := bufio.NewReaderSize(c.nc, bufferSize)
	_ = c.nc.SetReadDeadline(time.Now().Add(prefaceTimeout))
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(br, preface); err != nil {
		return err
	}
	c.fr = http2.NewFramer(c.bw, br)
	if string(preface) != http2.ClientPreface {
		return fmt.Errorf("the preface is wrong: %w", http2.ConnectionError(http2.ErrCodeProtocol))
	}
	c.fr.SetReuseFrames()
	c.fr.SetMaxReadFrameSize(frameSize)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.fr.MaxHeaderListSize = uint32(c.cfg.MaxHead)
	c.control(func() {
		_ = c.fr.WriteSettings(
			http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.cfg.MaxStreams)},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
			http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.cfg.MaxHead)})
		_ = c.fr.WriteWindowUpdate(0, connWindow-defaultWindow)
	})
	for first := true; ; first = false {
		f, err := c.fr.ReadFrame()
		if first {
			_ = c.nc.SetReadDeadline(time.Time{})
		}
		if err != nil {
			var se http2.StreamError
			if errors.As(err, &se) {
				if e := c.malformed(se); e != nil {
					return e
				}
				continue
			}
			if errors.Is(err, http2.ErrFrameTooLarge) {
				return http2.ConnectionError(http2.ErrCodeFrameSize)
			}
			return err
		}
		if s, ok := f.(*http2.SettingsFrame); first && (!ok || s.IsAck()) {
			return fmt.Errorf("the first frame is not SETTINGS: %w", http2.ConnectionError(http2.ErrCodeProtocol))
		}
		if err := c.handle(f); err != nil {
			var se http2.StreamError
			if !errors.As(err, &se) {
				return err
			}
			c.reset(se.StreamID, se.Code)
		}
	}
}

// malformed handles a frame that the framer found fault with, for its stream alone.
func (c *Conn) malformed(se http2.StreamError) error {
	c.mu.Lock()
	fresh := se.StreamID%2 == 1 && se.StreamID > c.maxID
	if fresh {
		c.maxID = se.StreamID
	}
	c.mu.Unlock()
	if fresh && c.cfg.Malformed != nil {
		why := "its head is malformed"
		if d := c.fr.ErrorDetail(); d != nil {
			why = d.Error()
		}
		c.cfg.Malformed(&Stream{Length: -1}, why)
	}
	c.reset(se.StreamID, se.Code)
	return nil
}

func (c *Conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return c.gotHeaders(f)
	case *http2.DataFrame:
		return c.gotData(f)
	case *http2.RSTStreamFrame:
		s, err := c.known(f.StreamID)
		if s != nil {
			s.end(fmt.Errorf("the client reset the stream: %v", f.ErrCode), resetThere)
		}
		return err
	case *http2.SettingsFrame:
		return c.gotSettings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.control(func() { _ = c.fr.WritePing(true, f.Data) })
		}
	case *http2.WindowUpdateFrame:
		return c.gotWindow(f)
	case *http2.PriorityFrame:
		if f.StreamDep == f.StreamID { // RFC 7540, 5.3.1
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
		}
	case *http2.GoAwayFrame:
		c.mu.Lock()
		c.leaving = true
		c.mu.Unlock()
		c.closeIfDone()
	case *http2.PushPromiseFrame:
		return fmt.Errorf("PUSH_PROMISE from a client: %w", http2.ConnectionError(http2.ErrCodeProtocol))
	}
	return nil // RFC 9113, 4.1: unknown frames are ignored
}

// known is the stream a frame names; nil where it has ended. A stream that never was is an error.
func (c *Conn) known(id uint32) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.maxID || id%2 == 0 {
		return nil, fmt.Errorf("a frame for stream %d, which is idle: %w", id, http2.ConnectionError(http2.ErrCodeProtocol))
	}
	return c.streams[id], nil
}

func (c *Conn) gotSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	table, hasTable := uint32(0), false
	c.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return fmt.Errorf("SETTINGS %v: %w", s, err)
		}
		switch s.ID {
		case http2.SettingMaxFrameSize:
			c.maxFrame = int(min(s.Val, 4*frameSize))
		case http2.SettingInitialWindowSize:
			delta := int64(s.Val) - c.window
			c.window = int64(s.Val)
			for _, st := range c.streams {
				if st.sendable += delta; st.sendable > maxWindow {
					return fmt.Errorf("a window is too large: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
				}
			}
			c.room.Broadcast()
		case http2.SettingHeaderTableSize:
			table, hasTable = s.Val, true
		}
		return nil
	})
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.control(func() {
		if hasTable {
			c.henc.SetMaxDynamicTableSizeLimit(min(table, maxTable))
			c.henc.SetMaxDynamicTableSize(min(table, maxTable))
		}
		_ = c.fr.WriteSettingsAck()
	})
	return nil
}

func (c *Conn) gotWindow(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.sendable += int64(f.Increment); c.sendable > maxWindow {
			return fmt.Errorf("the connection's window is too large: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
		}
		c.room.Broadcast()
		return nil
	}
	s, err := c.known(f.StreamID)
	if s == nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.sendable += int64(f.Increment); s.sendable > maxWindow {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
	}
	c.room.Broadcast()
	return nil
}

func (c *Conn) gotHeaders(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	if id%2 == 0 {
		return fmt.Errorf("a client opened stream %d, which is even: %w", id, http2.ConnectionError(http2.ErrCodeProtocol))
	}
	c.mu.Lock()
	s := c.streams[id]
	if s == nil && id <= c.maxID {
		how := c.ended[id]
		c.mu.Unlock()
		switch how {
		case resetHere:
			return nil // the client does not know yet
		case resetThere:
			return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
		case endedWhole:
			return fmt.Errorf("HEADERS for stream %d, which has ended: %w", id, http2.ConnectionError(http2.ErrCodeStreamClosed))
		}
		return fmt.Errorf("stream %d comes after stream %d: %w", id, c.maxID, http2.ConnectionError(http2.ErrCodeProtocol))
	}
	if s != nil {
		over := s.remoteEnd
		c.mu.Unlock()
		if over {
			return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
		}
		return s.gotTrailer(f)
	}
	c.maxID = id
	leaving, full := c.leaving, len(c.streams) >= c.cfg.MaxStreams
	window := c.window
	c.mu.Unlock()
	if f.HasPriority() && f.Priority.StreamDep == id {
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	}
	if leaving || full {
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream}
	}
	if int(c.handlers.Load()) >= 2*c.cfg.MaxStreams {
		// Streams are opened and reset faster than they can be served.
		return fmt.Errorf("too many streams were reset: %w", http2.ConnectionError(http2.ErrCodeEnhanceYourCalm))
	}
	s, why := newStream(c, f)
	if why != "" {
		if c.cfg.Malformed != nil {
			c.cfg.Malformed(s, why)
		}
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	}
	s.sendable = window
	c.mu.Lock()
	c.streams[id] = s
	c.mu.Unlock()
	c.handlers.Add(1)
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		defer c.handlers.Add(-1)
		defer s.finish()
		c.cfg.Handler(s)
	}()
	return nil
}

func (c *Conn) gotData(f *http2.DataFrame) error {
	s, err := c.known(f.StreamID)
	if err != nil {
		return err
	}
	n := int64(f.Length) // with padding: RFC 9113, 6.9
	c.mu.Lock()
	c.taken += n
	over := c.taken > connWindow
	closed, silent := s == nil, false
	if s != nil {
		closed = s.remoteEnd
		if !closed {
			s.taken += n
			over = over || s.taken > streamWindow
		}
	} else {
		silent = c.ended[f.StreamID] == resetHere
	}
	c.mu.Unlock()
	switch {
	case over:
		return fmt.Errorf("more data than the window allows: %w", http2.ConnectionError(http2.ErrCodeFlowControl))
	case closed:
		c.consumed(nil, n)
		if silent {
			return nil
		}
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeStreamClosed}
	}
	kept, err := s.gotData(f)
	if kept < n {
		c.consumed(s, n-kept)
	}
	return err
}

// consumed gives window back for data that somebody has read, or nobody will.
func (c *Conn) consumed(s *Stream, n int64) {
	var conn, stream int64
	c.mu.Lock()
	if c.unacked += n; c.unacked >= connWindow/4 {
		conn, c.unacked = c.unacked, 0
		c.taken -= conn
	}
	if s != nil {
		if s.unacked += n; s.unacked >= streamWindow/4 && !s.remoteEnd && !s.gone {
			stream, s.unacked = s.unacked, 0
			s.taken -= stream
		}
	}
	c.mu.Unlock()
	if conn == 0 && stream == 0 {
		return
	}
	c.control(func() {
		if conn > 0 {
			_ = c.fr.WriteWindowUpdate(0, uint32(conn))
		}
		if stream > 0 {
			_ = c.fr.WriteWindowUpdate(s.id, uint32(stream))
		}
	})
}

// reset ends a stream from here.
func (c *Conn) reset(id uint32, code http2.ErrCode) {
	c.mu.Lock()
	s := c.streams[id]
	if s == nil {
		c.remember(id, resetHere)
	}
	c.mu.Unlock()
	if s != nil {
		s.Reset(code)
		return
	}
	c.control(func() { _ = c.fr.WriteRSTStream(id, code) })
}

// remember notes how a stream has ended. c.mu is held.
func (c *Conn) remember(id uint32, how ending) {
	if _, ok := c.ended[id]; !ok {
		if len(c.order) >= remembered {
			delete(c.ended, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, id)
	}
	c.ended[id] = how
}

// lock begins writing.
func (c *Conn) lock() {
	c.writers.Add(1)
	c.wmu.Lock()
}

// unlock ends writing. With flush what was written goes out: now, or with what somebody else is about to write.
func (c *Conn) unlock(flush bool) error {
	c.wanted = c.wanted || flush
	var err error
	if c.writers.Add(-1) == 0 && c.wanted {
		c.wanted = false
		err = c.bw.Flush()
	}
	c.wmu.Unlock()
	return err
}

// control writes frames that belong to no answer. Where it fails, reading will say why.
func (c *Conn) control(write func()) {
	c.lock()
	if c.fr != nil {
		write()
	}
	_ = c.unlock(true)
}

// Shutdown lets no further stream begin, and the connection ends with the last one.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	was, last := c.leaving, c.maxID
	c.leaving = true
	c.mu.Unlock()
	if !was {
		_ = c.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		go func() { // writing waits for whoever is writing to a client that does not read
			c.control(func() { _ = c.fr.WriteGoAway(last, http2.ErrCodeNo, nil) })
			c.closeIfDone()
		}()
	}
}

// CloseIfIdle closes a connection that had no stream for so long.
func (c *Conn) CloseIfIdle(now time.Time, d time.Duration) {
	c.mu.Lock()
	idle := len(c.streams) == 0 && now.Sub(c.idleSince) >= d
	c.mu.Unlock()
	if idle {
		c.Shutdown()
	}
}

func (c *Conn) closeIfDone() {
	c.mu.Lock()
	done := c.leaving && len(c.streams) == 0
	c.mu.Unlock()
	if done {
		c.nc.Close()
	}
}

// connectionField says whether a field is of HTTP/1 connections, which HTTP/2 has no place for (RFC 9113, 8.2.2).
func connectionField(name, value string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return true
	case "te":
		return !strings.EqualFold(value, "trailers")
	}
	return false
}
