package upstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// read handles what the server sends, until the connection ends.
func (cc *h2conn) read() {
	err := cc.readFrames()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // io.EOF is the end of an answer that is whole
	}
	cc.mu.Lock()
	if cc.broken != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = cc.broken
	}
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
	select {
	case <-cc.told:
	default:
		close(cc.told) // only this goroutine does
	}
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
		if first {
			cc.mu.Lock()
			cc.settled = true
			cc.mu.Unlock()
			close(cc.told)
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
