package proxy

import (
	"errors"
	"io"
	"sync"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// Line is what the client of a recorded conversation said, and when.
type Line struct {
	Kind string // text, binary, ping or close, as recorded
	Data []byte
	// Pause is how long after the line before it came.
	Pause time.Duration
	// Heard is how many messages (text or binary) the origin had said by then. Where lines have no Pause, one waits for as many again.
	Heard int64
}

// patience is how long a line without a pause waits for the origin to have said as much as it had before.
const patience = 2 * time.Second

// talkingClient is the client of a replayed conversation: it says again what was said.
type talkingClient struct {
	discardClient
	script *script
}

func (c talkingClient) upgrade(int, string, wire.Fields) (io.ReadWriteCloser, error) {
	return c.script, nil
}

// script speaks for the client of a WebSocket: line by line, answering pings and the end.
type script struct {
	next  func() (Line, error)
	timed bool
	// ended is called when nothing more will be said.
	ended func()

	last   time.Time // when something was last said
	line   *Line
	spoken bool // all lines were said
	quiet  bool // a Close was said
	rest   []byte
	err    error

	hears *frameTap // reads what the origin says; Write's own

	mu     sync.Mutex
	answer []byte // to the latest ping, nil: it has been given; the others need none (RFC 6455, 5.5.3)
	heard  int64
	left   bool // the origin has said Close
	woken  chan struct{}
	closed chan struct{}
	once   sync.Once
}

// newScript makes a client that says what next gives, until io.EOF; timed: with its pauses.
func newScript(next func() (Line, error), timed bool) *script {
	return &script{next: next, timed: timed, ended: func() {}, woken: make(chan struct{}, 1), closed: make(chan struct{})}
}

// listen prepares for what the origin says.
func (s *script) listen() {
	s.hears = newFrameTap(hearing{capture.Discard.Begin(nil), s}, "received", nil)
	s.last = time.Now()
}

// hearing notes what the origin says.
type hearing struct {
	capture.Recording
	s *script
}

func (h hearing) Message(m capture.Message) {
	s := h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Kind {
	case "text", "binary":
		s.heard++
	case "ping":
		s.answer = wholeFrame(opPong, m.Data, true)
	case "close":
		s.left = true
	}
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Write takes what the origin says.
func (s *script) Write(p []byte) (int, error) {
	s.hears.pass(p)
	return len(p), nil
}

// Close ends it at once.
func (s *script) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Read gives the next bytes that the client says.
func (s *script) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		b, err := s.say()
		if err != nil {
			s.ended()
			return 0, err
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// say waits for what is to be said next.
func (s *script) say() ([]byte, error) {
	var timer *time.Timer
	for {
		if s.quiet {
			return nil, io.EOF
		}
		s.mu.Lock()
		answer, heard, left := s.answer, s.heard, s.left
		s.answer = nil
		s.mu.Unlock()
		switch {
		case answer != nil:
			return answer, nil
		case left:
			return s.bye(), nil
		}
		if s.line == nil && !s.spoken {
			if err := s.turn(); err != nil {
				s.err = err
				return nil, io.EOF
			}
		}
		wait := time.Until(s.due())
		if wait <= 0 || s.line != nil && !s.timed && heard >= s.line.Heard {
			return s.speak(), nil
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case <-s.woken:
		case <-timer.C:
		case <-s.closed:
			return nil, io.EOF
		}
	}
}

// turn reads the next line.
func (s *script) turn() error {
	l, err := s.next()
	if errors.Is(err, io.EOF) {
		s.spoken = true
		return nil
	}
	if err != nil {
		return err
	}
	s.line = &l
	return nil
}

// due is when the line, or the end, is to be said at the latest.
func (s *script) due() time.Time {
	switch {
	case s.line == nil:
		return s.last.Add(replayedConversation)
	case s.timed:
		return s.last.Add(s.line.Pause)
	}
	return s.last.Add(patience)
}

// bye is the end: nothing is said after it.
func (s *script) bye() []byte {
	s.quiet = true
	return wholeFrame(opClose, closing([]byte("1000 ")), true)
}

// speak says the line, or after the last one that the conversation ends.
func (s *script) speak() []byte {
	s.last = time.Now()
	if s.line == nil {
		return s.bye()
	}
	l := s.line
	s.line = nil
	op, _ := opcode(l.Kind)
	payload := l.Data
	if op == opClose {
		s.quiet, payload = true, closing(l.Data)
	}
	return wholeFrame(op, payload, true)
}
