package capture

import (
	"errors"
	"io"
	"time"
)

// Recorder takes exchanges as they happen. It is safe for concurrent use.
type Recorder interface {
	// Begin gives x an id and starts recording it; the recorder owns x from then on. What is begun is recorded whatever
	// happens: an exchange that lasts is written while it is open. Begin does not wait for the disk.
	Begin(x *Exchange) Recording
}

// Recording is one exchange being recorded. Its methods may be called from several goroutines; after Finish they do
// nothing. None of them fails: what the disk cannot take is said elsewhere, traffic goes on. They may wait, when the
// disk does not keep up.
type Recording interface {
	// ID is the exchange's id, 0 where nothing is recorded.
	ID() int64
	// Body records the next bytes of one side's body, as transferred (chunks undone). It does not keep p.
	Body(side Side, p []byte)
	// Update changes the exchange under the recording's lock. Body sizes, content sizes, Truncated through the keep
	// limit and Messages are the recorder's own business, but for a tunnel, whose bytes are only counted: its sizes are the
	// caller's. f must not block nor call the recording.
	Update(f func(x *Exchange))
	// Message records one message of a conversation; its N is given here. The recorder owns m.Data from then on.
	Message(m Message)
	// Finish makes the last change and ends the recording: f sets state, time and error.
	Finish(f func(x *Exchange))
}

// Discard is a Recorder that records nothing.
var Discard Recorder = discard{}

type discard struct{}

func (discard) Begin(*Exchange) Recording { return discard{} }
func (discard) ID() int64                 { return 0 }
func (discard) Body(Side, []byte)         {}
func (discard) Update(func(*Exchange))    {}
func (discard) Message(Message)           {}
func (discard) Finish(func(*Exchange))    {}

// Sentinel errors of whoever keeps exchanges.
var (
	// ErrNotFound: no exchange has that id, or it has been removed.
	ErrNotFound = errors.New("no such exchange")
)

// Body is a kept body, as transferred. An open exchange's body can be read while it grows: Size is what is there now.
type Body interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

// Change is one committed change, as published after the commit.
type Change struct {
	Seq int64
	// Exchange is the whole exchange in this revision; nobody writes to it any more. Latest says that it is told alone for
	// all revisions before it: some of them may not have been told.
	Exchange *Exchange
	Latest   bool
	// Removed are the ids that this change deleted.
	Removed []int64
	// Message is a message that was recorded for exchange MessageOf.
	MessageOf int64
	Message   *Message
}

// Milliseconds is d as the contract writes durations.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
