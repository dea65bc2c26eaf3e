package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/proxy/wire"
)

// errGone says that the stream was ended by somebody.
var errGone = errors.New("the HTTP/2 stream has ended")

// Stream is one request and its answer.
type Stream struct {
	// The request's head. Fields have lower-case names; HeadSize counts as RFC 9113, 6.5.2 does, without its surcharge.
	Method, Scheme, Authority, Path string
	Fields                          wire.Fields
	HeadSize                        int
	// Bodiless says that the request ended with its head. Length is what Content-Length says, -1: nothing.
	Bodiless bool
	Length   int64

	c      *Conn
	id     uint32
	ctx    context.Context
	cancel context.CancelFunc

	// Guarded by c.mu.
	sendable            int64 // the client's window
	taken, unacked      int64 // as in Conn
	remoteEnd, localEnd bool
	gone                bool

	mu   sync.Mutex
	cond sync.Cond
	data Buffer
	got  int64
	// answered says that the final answer has begun.
	answered bool
	trailer  wire.Fields
	err      error // why nothing more comes; io.EOF: the end
}

// newStream makes a stream of its head, and says what is wrong with it (RFC 9113, 8.3.1).
func newStream(c *Conn, f *http2.MetaHeadersFrame) (s *Stream, why string) {
	s = &Stream{c: c, id: f.StreamID, Length: -1, Bodiless: f.StreamEnded()}
	s.cond.L = &s.mu
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	if s.Bodiless {
		s.remoteEnd, s.err = true, io.EOF
	}
	for _, p := range f.PseudoFields() {
		s.HeadSize += len(p.Name) + len(p.Value)
		switch p.Name {
		case ":method":
			s.Method = p.Value
		case ":scheme":
			s.Scheme = p.Value
		case ":authority":
			s.Authority = p.Value
		case ":path":
			s.Path = p.Value
		case ":protocol":
			why = "extended CONNECT was not offered"
		default:
			why = "the pseudo field " + p.Name + " has no place in a request"
		}
	}
	regular := f.RegularFields()
	s.Fields = make(wire.Fields, len(regular))
	for i, h := range regular {
		s.HeadSize += len(h.Name) + len(h.Value)
		s.Fields[i] = wire.Field{Name: h.Name, Value: h.Value}
		if connectionField(h.Name, h.Value) {
			why = "the field " + h.Name + " has no place in HTTP/2"
		}
		if h.Name == "content-length" {
			n, err := strconv.ParseUint(h.Value, 10, 63)
			if err != nil || s.Length >= 0 && s.Length != int64(n) {
				why = "Content-Length is invalid"
			}
			s.Length = int64(n)
		}
		// RFC 9113, 8.3.1. Two of them would be an ambiguous request in HTTP/1.
		if h.Name == "host" && (s.Fields[:i].Has("host") || s.Authority != "" && !strings.EqualFold(h.Value, s.Authority)) {
			why = "Host is not what :authority says"
		}
	}
	switch {
	case why != "":
	case f.Truncated:
		why = "the head is too large"
	case s.Method == "CONNECT":
		if s.Scheme != "" || s.Path != "" || s.Authority == "" {
			why = "a CONNECT has :authority alone"
		}
	case s.Method == "" || s.Scheme == "" || s.Path == "":
		why = "a request has :method, :scheme and :path"
	case s.Path != "*" && s.Path[0] != '/':
		why = "the :path does not begin with a slash"
	case strings.ContainsAny(s.Path, " #"):
		why = "the :path has a space or a fragment in it"
	case s.Bodiless && s.Length > 0:
		why = "Content-Length says there is a body, and there is none"
	}
	if why != "" {
		s.cancel()
	}
	return s, why
}

// Context ends with the stream.
func (s *Stream) Context() context.Context { return s.ctx }

// gotTrailer takes the second head of a request.
func (s *Stream) gotTrailer(f *http2.MetaHeadersFrame) error {
	if !f.StreamEnded() || len(f.PseudoFields()) > 0 || f.Truncated {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	s.mu.Lock()
	for _, h := range f.RegularFields() {
		if !connectionField(h.Name, h.Value) {
			s.trailer = append(s.trailer, wire.Field{Name: h.Name, Value: h.Value})
		}
	}
	short := s.Length >= 0 && s.got != s.Length
	s.mu.Unlock()
	if short {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	s.bodyEnded()
	return nil
}

// gotData takes a piece of the body and returns how much of it is held.
func (s *Stream) gotData(f *http2.DataFrame) (int64, error) {
	data := f.Data()
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return 0, nil
	}
	s.got += int64(len(data))
	short := f.StreamEnded() && s.got < s.Length
	if s.Length >= 0 && s.got > s.Length || short && !s.answered {
		s.mu.Unlock()
		return 0, http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	if short {
		// Who has an answer already may give the request up like this (curl up to 7.88 does): it is cut, and malformed by RFC
		// 9113, 8.1.1, but to reset the stream would take the answer away as well.
		s.err = io.ErrUnexpectedEOF
	}
	s.data.Write(data)
	s.cond.Broadcast()
	s.mu.Unlock()
	if f.StreamEnded() {
		s.bodyEnded()
	}
	return int64(len(data)), nil
}

// bodyEnded notes that the request is whole.
func (s *Stream) bodyEnded() {
	s.mu.Lock()
	if s.err == nil {
		s.err = io.EOF
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	s.half(func() { s.remoteEnd = true })
	s.c.closeIfDone()
}

// half notes that one direction has ended, and forgets the stream when both have. The caller sees to closeIfDone.
func (s *Stream) half(end func()) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	end()
	if s.localEnd && s.remoteEnd && !s.gone {
		s.leave(endedWhole)
	}
}

// leave takes the stream off the connection. c.mu is held.
func (s *Stream) leave(how ending) {
	s.gone = true
	delete(s.c.streams, s.id)
	s.c.remember(s.id, how)
	if len(s.c.streams) == 0 {
		s.c.idleSince = time.Now()
	}
	s.c.room.Broadcast()
}

// end ends the stream without telling the client, and says whether it was still there.
func (s *Stream) end(err error, how ending) bool {
	s.c.mu.Lock()
	was := s.gone
	if !was {
		s.leave(how)
	}
	s.c.mu.Unlock()
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	if !was {
		s.cancel()
		s.c.closeIfDone()
	}
	return !was
}

// Reset ends the stream and tells the client.
func (s *Stream) Reset(code http2.ErrCode) {
	if s.end(errGone, resetHere) {
		s.c.control(func() { _ = s.c.fr.WriteRSTStream(s.id, code) })
	}
}

// finish is what happens when the handler has returned.
func (s *Stream) finish() {
	s.c.mu.Lock()
	whole, remote := s.localEnd, s.remoteEnd
	s.c.mu.Unlock()
	switch {
	case !whole:
		s.Reset(http2.ErrCodeInternal)
	case !remote:
		s.Reset(http2.ErrCodeNo) // RFC 9113, 8.1: the rest of the request is not needed
	}
	s.cancel()
	s.mu.Lock()
	held := s.data.Len()
	s.data.Free()
	if s.err == nil {
		s.err = errGone
	}
	s.mu.Unlock()
	if held > 0 {
		s.c.consumed(s, int64(held))
	}
}

// Read reads the request's body. A stream that was reset gives an error that says so.
func (s *Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	for s.data.Len() == 0 && s.err == nil && len(p) > 0 {
		s.cond.Wait()
	}
	n := s.data.Read(p)
	var err error
	if s.data.Len() == 0 {
		err = s.err
	}
	s.mu.Unlock()
	if n > 0 {
		s.c.consumed(s, int64(n))
		if err != io.EOF {
			err = nil // what has come first
		}
	}
	return n, err
}

// StopReading ends the reading of a body that has not come whole when d is over: what comes later is thrown away. What it
// returns takes that back.
func (s *Stream) StopReading(d time.Duration) (undo func()) {
	t := time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = os.ErrDeadlineExceeded
		}
		s.cond.Broadcast()
	})
	return func() { t.Stop() }
}

// Buffered says how much can be read without waiting.
func (s *Stream) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Len()
}

// Trailer is the request's trailer section, once its body has ended.
func (s *Stream) Trailer() wire.Fields {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// WriteHead writes a head: the final one, or an informational one before it. Names must be lower case. It may stay in
// the buffer until Flush or the next piece. last says that there is no body.
func (s *Stream) WriteHead(status int, fields wire.Fields, last bool) error {
	return s.writeFields(status, fields, last, false)
}

// writeFields writes a header block; status 0: a trailer section.
func (s *Stream) writeFields(status int, fields wire.Fields, last, flush bool) error {
	c := s.c
	c.mu.Lock()
	gone, maxFrame := s.gone || s.localEnd || c.err != nil, c.maxFrame
	c.mu.Unlock()
	if gone {
		return errGone
	}
	c.lock()
	c.hbuf.Reset()
	if status > 0 {
		_ = c.henc.WriteField(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(status)})
	}
	for i := range fields {
		_ = c.henc.WriteField(hpack.HeaderField{Name: fields[i].Name, Value: fields[i].Value, Sensitive: fields[i].Name == "set-cookie"})
	}
	for block, first := c.hbuf.Bytes(), true; first || len(block) > 0; first = false {
		piece := block[:min(len(block), maxFrame)]
		block = block[len(piece):]
		if first {
			_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: piece, EndStream: last, EndHeaders: len(block) == 0})
		} else {
			_ = c.fr.WriteContinuation(s.id, len(block) == 0, piece)
		}
	}
	if last {
		s.half(func() { s.localEnd = true }) // before the client can see it
	}
	if status >= 200 {
		s.mu.Lock()
		s.answered = true
		s.mu.Unlock()
	}
	err := c.unlock(flush || last)
	c.closeIfDone()
	return err
}

// Write sends a piece of the answer's body as the windows allow.
func (s *Stream) Write(p []byte) (int, error) { return s.write(p, false) }

func (s *Stream) write(p []byte, last bool) (total int, err error) {
	c := s.c
	for first := true; first || len(p) > 0; first = false {
		n, err := s.awaitWindow(len(p))
		if err != nil {
			return total, err
		}
		c.lock()
		end := last && n == len(p)
		err = c.fr.WriteData(s.id, end, p[:n])
		if end {
			s.half(func() { s.localEnd = true }) // before the client can see it
		}
		if ferr := c.unlock(end); err == nil {
			err = ferr
		}
		if err != nil {
			return total, err
		}
		total += n
		p = p[n:]
	}
	return total, nil
}

// Flush sends what has been written.
func (s *Stream) Flush() error {
	s.c.lock()
	return s.c.unlock(true)
}

// Close ends the answer, with a trailer section if there is one.
func (s *Stream) Close(trailer wire.Fields) error {
	if len(trailer) > 0 {
		return s.writeFields(0, trailer, true, true)
	}
	s.c.mu.Lock()
	over := s.localEnd
	s.c.mu.Unlock()
	if over {
		return nil
	}
	_, err := s.write(nil, true)
	s.c.closeIfDone()
	return err
}

// awaitWindow takes up to want bytes from the windows, waiting until there are some. What is in the buffer goes out
// first: the client may need it to give window back.
func (s *Stream) awaitWindow(want int) (int, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for flushed := false; ; {
		switch {
		case s.gone || s.localEnd:
			return 0, errGone
		case c.err != nil:
			return 0, fmt.Errorf("%w: %w", errGone, c.err)
		case want == 0:
			return 0, nil
		case s.sendable > 0 && c.sendable > 0:
			n := min(int64(want), s.sendable, c.sendable, int64(c.maxFrame))
			s.sendable -= n
			c.sendable -= n
			return int(n), nil
		}
		if !flushed {
			flushed = true
			c.mu.Unlock()
			err := s.Flush()
			c.mu.Lock()
			if err != nil {
				return 0, err
			}
			continue
		}
		c.room.Wait()
	}
}
