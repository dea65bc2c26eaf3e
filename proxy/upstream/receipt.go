package upstream

import (
	"sync"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// Sent is a request's head as it was really written.
type Sent struct {
	Proto  string // HTTP/1.1 or HTTP/2
	Method string
	Target string // HTTP/1: the request-target, HTTP/2: :path
	// Authority is :authority (HTTP/2); in HTTP/1 the Host field stands among Fields.
	Authority string
	Fields    wire.Fields
	HeadSize  int
}

// Facts are what a Receipt holds at one moment. What its pointers lead to is not written to any more.
type Facts struct {
	// Timings follow HAR 1.2: connect includes ssl. Receive is the caller's.
	Timings    capture.Timings
	ServerIP   string
	Connection string
	Reused     bool
	TLS        *capture.TLS
	Route      *capture.Route
	Sent       *Sent
	// AnsweredBy says whose answer it is, or who refused to pass the call on; "" where there is none.
	AnsweredBy capture.Answerer
}

// Receipt is filled while a call happens. It may be read at any time.
type Receipt struct {
	mu    sync.Mutex
	facts Facts
	begun bool
	watch func(Facts)
	way   *Route // what was decided for this very call
}

// Watched returns a receipt that tells of each step when it has been taken. watch is called in their order, one call at a
// time, and keeps the call waiting: it is to be quick, and must not use the receipt.
func Watched(watch func(Facts)) *Receipt { return &Receipt{watch: watch} }

// Snapshot returns what is known now.
func (r *Receipt) Snapshot() Facts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return Facts{Timings: capture.NoTimings()}
	}
	return r.facts
}

func (r *Receipt) update(f func(*Facts)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		r.begun, r.facts.Timings = true, capture.NoTimings()
	}
	f(&r.facts)
	// A pooled connection may have been made for a call that took the same way for another reason.
	if c := r.facts.Route; c != nil && r.way != nil && (c.Source != r.way.Source || c.Reason != r.way.Reason) {
		own := *c
		own.Source, own.Reason = r.way.Source, r.way.Reason
		r.facts.Route = &own
	}
	if r.watch != nil {
		r.watch(r.facts)
	}
}

// decided notes the way that a call takes.
func (r *Receipt) decided(w *Route) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = w
}

// arrived notes when the answer's head came to a request that was begun, and sent to its end, at those times.
func (r *Receipt) arrived(begun, sent, at time.Time) {
	r.update(func(f *Facts) {
		f.AnsweredBy = capture.AnsweredByOrigin
		if sent.IsZero() || sent.After(at) { // the answer came before the request's end
			f.Timings.Send, f.Timings.Wait = capture.Milliseconds(at.Sub(begun)), 0
			return
		}
		f.Timings.Send, f.Timings.Wait = capture.Milliseconds(sent.Sub(begun)), capture.Milliseconds(at.Sub(sent))
	})
}

func since(t time.Time) float64 { return capture.Milliseconds(time.Since(t)) }
