package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/capture"
	"eaves/proxy/h2"
	"eaves/proxy/wire"
)

// maxInformationalSize bounds the 1xx answers of one request, as they may come faster than they are passed on.
const maxInformationalSize = 1 << 20

// errSlow says that no answer came in time.
var errSlow = errors.New("no answer in time")

// h2stream is one request and its answer on an HTTP/2 connection. It is the answer's body.
type h2stream struct {
	cc    *h2conn
	id    uint32
	call  *Call
	ctx   context.Context
	stop  func() bool
	begun time.Time
	// bodyBegun says that of the client's body some may be gone.
	bodyBegun bool

	// Guarded by cc.mu.
	sendable          int64 // the peer's window
	taken, unacked    int64 // as in h2conn
	sentEnd, received bool  // either direction has ended
	gone              bool  // reset by either side, or done

	mu       sync.Mutex
	cond     sync.Cond
	heads    []*http2.MetaHeadersFrame // not read yet
	informal int                       // heads that have come
	// informalSize is how large those of them are that were informational.
	informalSize int
	answered     bool // the final head has come
	data         h2.Buffer
	trailer      wire.Fields
	err          error // why nothing more comes; io.EOF: the end
	clientIs     error
	sendErr      error
	sentAt       time.Time
	at           time.Time // when the final head came
	timer        *time.Timer
	remaining    int64 // of the answer's body by its Content-Length, -1: not said
	read         int64
}

// half notes that one direction has ended, and forgets the stream when both have.
func (s *h2stream) half(end func()) {
	cc := s.cc
	cc.mu.Lock()
	end()
	done := s.sentEnd && s.received && !s.gone
	if done {
		s.leave()
	}
	cc.mu.Unlock()
	if done {
		cc.closeIfDone()
	}
}

// leave takes the stream off the connection. cc.mu is held.
func (s *h2stream) leave() {
	s.gone = true
	delete(s.cc.streams, s.id)
	if len(s.cc.streams) == 0 {
		s.cc.idleSince = time.Now()
	}
	s.cc.room.Broadcast()
}

// end ends the stream without telling the server.
func (s *h2stream) end(err error) bool {
	s.cc.mu.Lock()
	was := s.gone
	s.leave()
	s.cc.mu.Unlock()
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	s.cc.closeIfDone()
	return !was
}

// abort ends the stream and tells the server. Until it has been told, the stream counts as one of those it allows.
func (s *h2stream) abort(code http2.ErrCode, err error) {
	s.cc.mu.Lock()
	was := s.gone
	if !was {
		s.cc.reserved++
	}
	s.cc.mu.Unlock()
	if was {
		return
	}
	if s.end(err) {
		s.cc.control(func() { _ = s.cc.fr.WriteRSTStream(s.id, code) })
	}
	s.cc.unreserve()
}

// reset is RST_STREAM from the server.
func (s *h2stream) reset(code http2.ErrCode) {
	s.mu.Lock()
	whole := s.err == io.EOF
	s.mu.Unlock()
	if whole { // RFC 9113, 8.1: the answer is whole, the rest of the request is not wanted
		s.end(io.EOF)
		return
	}
	s.end(http2.StreamError{StreamID: s.id, Code: code, Cause: errReset})
}

// errReset marks a http2.StreamError as the server's.
var errReset = errors.New("received from the server")

// gotHeaders takes a head, or the trailer section.
func (s *h2stream) gotHeaders(f *http2.MetaHeadersFrame) {
	status := f.PseudoValue("status")
	s.mu.Lock()
	switch {
	case s.err != nil:
		s.mu.Unlock()
		return
	case f.Truncated:
		s.mu.Unlock()
		s.abort(http2.ErrCodeProtocol, &protocolError{http2.ErrCodeProtocol, "the answer's head is too large"})
		return
	case s.answered:
		if status != "" || !f.StreamEnded() {
			s.mu.Unlock()
			s.abort(http2.ErrCodeProtocol, &protocolError{http2.ErrCodeProtocol, "a second head came after the final one"})
			return
		}
		s.trailer = fieldsOf(f)
	default:
		code, err := strconv.Atoi(status)
		informational := code >= 100 && code < 200
		if informational {
			for i := range f.Fields {
				s.informalSize += int(f.Fields[i].Size())
			}
			if s.informalSize > maxInformationalSize {
				s.mu.Unlock()
				s.abort(http2.ErrCodeEnhanceYourCalm, &protocolError{http2.ErrCodeEnhanceYourCalm, "its informational answers (1xx) are too large"})
				return
			}
		}
		if s.informal++; err != nil || len(status) != 3 || code < 100 || code == 101 || informational && (f.StreamEnded() || s.informal > maxInformational) {
			s.mu.Unlock()
			s.abort(http2.ErrCodeProtocol, &protocolError{http2.ErrCodeProtocol, fmt.Sprintf("a head with the status %q cannot stand there", status)})
			return
		}
		if _, ok := contentLength(f.RegularFields()); !ok {
			s.mu.Unlock()
			s.abort(http2.ErrCodeProtocol, &protocolError{http2.ErrCodeProtocol, "its Content-Length is not one number"})
			return
		}
		if !informational {
			s.answered, s.at = true, time.Now()
		}
		s.heads = append(s.heads, f)
	}
	s.ending(f.StreamEnded())
}

// ending ends a frame's handling: s.mu is held, and released.
func (s *h2stream) ending(last bool) {
	if last {
		s.err = io.EOF
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	if last {
		s.half(func() { s.received = true })
	}
}

// gotData takes a piece of the body and returns how much of it is held.
func (s *h2stream) gotData(f *http2.DataFrame) int64 {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return 0
	}
	if !s.answered {
		s.mu.Unlock()
		s.abort(http2.ErrCodeProtocol, &protocolError{http2.ErrCodeProtocol, "data came before the answer's head"})
		return 0
	}
	data := f.Data()
	s.data.Write(data)
	s.ending(f.StreamEnded())
	return int64(len(data))
}

func fieldsOf(f *http2.MetaHeadersFrame) wire.Fields {
	regular := f.RegularFields()
	fields := make(wire.Fields, len(regular))
	for i := range regular {
		fields[i] = wire.Field{Name: regular[i].Name, Value: regular[i].Value}
	}
	return fields
}

// receive waits for the final head.
func (s *h2stream) receive() (*Response, *Error) {
	for {
		s.mu.Lock()
		for len(s.heads) == 0 && s.err == nil {
			s.cond.Wait()
		}
		if len(s.heads) == 0 {
			err := s.err
			s.mu.Unlock()
			return nil, s.failed(err)
		}
		f := s.heads[0]
		s.heads = s.heads[1:]
		s.mu.Unlock()
		status, _ := strconv.Atoi(f.PseudoValue("status"))
		if status >= 200 {
			return s.answer(status, f), nil
		}
		if s.call.Informational == nil {
			continue
		}
		if err := s.call.Informational(status, "", fieldsOf(f)); err != nil {
			_ = s.Close() // what has come behind it is given back
			if e := cancelled(s.ctx, "an informational answer was passed on"); e != nil {
				return nil, e
			}
			return nil, fail(capture.StageClient, err, "an informational answer could not be passed on: %v", err)
		}
	}
}

// answer makes the Response of a final head.
func (s *h2stream) answer(status int, f *http2.MetaHeadersFrame) *Response {
	s.mu.Lock()
	at, sentAt := s.at, s.sentAt
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.call.Receipt.arrived(s.begun, sentAt, at)
	resp := &Response{Proto: "HTTP/2", Major: 2, Status: status, Fields: fieldsOf(f), Body: s, Trailer: s.trailers}
	for i := range resp.Fields {
		resp.HeadSize += len(resp.Fields[i].Name) + len(resp.Fields[i].Value) + 4
	}
	resp.HeadSize += len(":status") + 3 + 4
	s.remaining, _ = contentLength(f.RegularFields())
	switch {
	case s.call.Method == "HEAD" || status == 204 || status == 304:
		s.remaining = -1
	case f.StreamEnded() && s.remaining <= 0:
		resp.Framing = wire.Framing{Kind: wire.Length}
	case s.remaining >= 0:
		resp.Framing = wire.Framing{Kind: wire.Length, Length: s.remaining}
	default:
		resp.Framing = wire.Framing{Kind: wire.Chunked}
	}
	if f.StreamEnded() {
		s.stopIfDone()
	}
	return resp
}

// contentLength is what the fields say of the body's length, -1 where they say nothing. Saying two things, or none that
// is a number, makes an answer malformed (RFC 9113, 8.1.1).
func contentLength(f []hpack.HeaderField) (int64, bool) {
	length := int64(-1)
	for i := range f {
		if f[i].Name != "content-length" {
			continue
		}
		n, err := strconv.ParseUint(f[i].Value, 10, 63)
		if err != nil || length >= 0 && int64(n) != length {
			return -1, false
		}
		length = int64(n)
	}
	return length, true
}

func (s *h2stream) trailers() wire.Fields {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// Read reads the answer's body. Where it is cut the error is an *Error.
func (s *h2stream) Read(p []byte) (int, error) {
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
	return s.took(n, err)
}

// Buffered says how much can be read without waiting, at least.
func (s *h2stream) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Len()
}

// took accounts for n bytes that were read and says what err means.
func (s *h2stream) took(n int, err error) (int, error) {
	s.read += int64(n)
	if n > 0 {
		s.cc.consumed(s, int64(n))
	}
	if s.remaining >= 0 && (s.read > s.remaining || err == io.EOF && s.read < s.remaining) {
		if s.read > s.remaining { // never more than was announced
			n -= int(s.read - s.remaining)
		}
		s.abort(http2.ErrCodeProtocol, errGone)
		s.stop()
		return n, fail(capture.StageHTTP, nil, "%s: the answer's body has %d bytes, though its Content-Length is %d", s.cc.where, s.read, s.remaining)
	}
	switch {
	case err == nil:
		return n, nil
	case n > 0 && err != io.EOF:
		return n, nil // what has come first
	case err == io.EOF:
		s.stopIfDone()
		return n, err
	}
	s.stop()
	return n, s.failed(err)
}

// WriteTo copies the body to w as it comes.
func (s *h2stream) WriteTo(w io.Writer) (total int64, err error) {
	p := pieces.Get().(*[copySize]byte)
	defer pieces.Put(p)
	for {
		n, err := s.Read(p[:])
		if n > 0 {
			m, werr := w.Write(p[:n])
			total += int64(m)
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return total, werr
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Close ends the exchange, wherever it is. Where the answer was read to its end, what is left of the request is still
// sent: ending the call's context stops that.
func (s *h2stream) Close() error {
	s.mu.Lock()
	whole := s.err == io.EOF
	held := s.data.Len()
	s.data.Free()
	if s.err == nil {
		s.err = errGone
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	if held > 0 {
		s.cc.consumed(s, int64(held))
	}
	if !whole {
		s.abort(http2.ErrCodeCancel, errGone)
		s.stop()
		return nil
	}
	s.stopIfDone()
	return nil
}

// stopIfDone stops watching the context once both directions have ended.
func (s *h2stream) stopIfDone() {
	s.cc.mu.Lock()
	done := s.gone
	s.cc.mu.Unlock()
	if done {
		s.stop()
	}
}
