package store

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The states of a store's health.
const (
	HealthOK       = "ok"
	HealthDegraded = "degraded" // rows are written, some bodies are not
	HealthFailing  = "failing"  // nothing is written
)

// Health is how recording goes, for people.
type Health struct {
	State   string    `json:"state"`
	Message string    `json:"message,omitempty"`
	Hint    string    `json:"hint,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Lost counts exchanges that were not recorded since then.
	Lost int64 `json:"lost,omitempty"`
}

// health is said once when it changes, and shown as long as it lasts.
type health struct {
	mu      sync.Mutex
	now     Health
	bodyAt  time.Time // when a body last failed
	damaged bool      // a reader has met damage
	lost    lostSpan
	lines   chan string   // what is to be said
	said    chan struct{} // closed: all of it has been
	broken  func(bool)    // told when writing begins or ceases to fail
	down    atomic.Bool
}

// lostSpan is what was not recorded.
type lostSpan struct {
	n           int64
	first, last time.Time
	reason      string
}

// degradedFor is how long a body that could not be kept is shown.
const degradedFor = time.Minute

// Health says how recording goes.
func (s *Store) Health() Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	h := s.health.now
	if h.State == HealthDegraded && !s.health.damaged && time.Since(s.health.bodyAt) > degradedFor {
		s.health.now = Health{State: HealthOK}
		h = s.health.now
	}
	h.Lost = s.health.lost.n
	return h
}

func (h *health) failing() bool { return h.down.Load() }

// fail notes that nothing can be written.
func (h *health) fail(err error) {
	message, hint := explain(err)
	h.mu.Lock()
	began := h.now.State != HealthFailing
	if began || h.now.Message != message {
		since := h.now.Since
		if began {
			since = time.Now()
		}
		h.now = Health{State: HealthFailing, Message: message, Hint: hint, Since: since}
		h.say("recording stands still: " + message + "; traffic goes on (" + hint + ")")
	}
	h.down.Store(true)
	h.mu.Unlock()
	if began {
		h.broken(true)
	}
}

// body notes that a body could not be kept.
func (h *health) body(err error) {
	message, hint := explain(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodyAt = time.Now()
	if h.now.State != HealthOK {
		return
	}
	h.now = Health{State: HealthDegraded, Message: "bodies are cut: " + message, Hint: hint, Since: h.bodyAt}
	h.say("a body was cut: " + message + " (" + hint + ")")
}

// damage notes that what was recorded cannot be read any more. It does not pass by itself.
func (h *health) damage(err error) {
	message, hint := explain(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.State == HealthFailing || h.damaged {
		return
	}
	h.damaged = true
	h.say(message + "; what is recorded from now on may be lost (" + hint + ")")
	h.now = Health{State: HealthDegraded, Message: message, Hint: hint, Since: time.Now()}
}

// lose counts an exchange that is not recorded.
func (h *health) lose(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost.n == 0 {
		h.lost.first, h.lost.last, h.lost.reason = at, at, h.now.Message
	}
	h.lost.n++
	// They are lost in the order in which they end, which is not that in which they began.
	if at.Before(h.lost.first) {
		h.lost.first = at
	}
	if at.After(h.lost.last) {
		h.lost.last = at
	}
}

// recover notes that rows are written again, and returns what was lost.
func (h *health) recover() lostSpan {
	h.mu.Lock()
	was := h.now.State == HealthFailing
	lost := h.lost
	if was {
		h.now, h.lost = Health{State: HealthOK}, lostSpan{}
		h.down.Store(false)
		message := "recording goes on"
		if lost.n > 0 {
			message += fmt.Sprintf("; %d exchanges were not recorded between %s and %s", lost.n, lost.first.Format(time.TimeOnly), lost.last.Format(time.TimeOnly))
		}
		h.say(message)
	}
	h.mu.Unlock()
	if was {
		h.broken(false)
	}
	return lost
}

// say says a line to people. It does not wait for them: they may read slowly, and traffic is what calls.
func (h *health) say(message string) {
	select {
	case h.lines <- message:
	default:
	}
}

// talk hands what is said to log, until it is told to be quiet.
func (h *health) talk(log func(string)) {
	h.lines, h.said = make(chan string, 64), make(chan struct{})
	go func() {
		defer close(h.said)
		for line := range h.lines {
			if line == "" {
				return
			}
			if log != nil {
				log(line)
			}
		}
	}()
}

// quiet returns when everything has been said.
func (h *health) quiet() {
	h.lines <- ""
	<-h.said
}

// explain turns an error of the disk or the database into words and the next thing to do.
func explain(err error) (message, hint string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), classify(err) == troubleFull:
		return "the disk is full", "free some space, or run eaves prune"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), classify(err) == troubleReadOnly:
		return "the data directory cannot be written: " + err.Error(), "check its permissions and that its disk is mounted for writing"
	case classify(err) == troubleCorrupt:
		return "the database is damaged: " + err.Error(), "stop eaves and move eaves.db, eaves.db-wal and eaves.db-shm away; it starts with a new one"
	case classify(err) == troubleBusy:
		return "another program holds the database", "close the program that has eaves.db open"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many open files", "raise the limit with ulimit -n"
	case errors.Is(err, errReplaced):
		return err.Error(), "restart eaves"
	case errors.Is(err, errStuck):
		return err.Error(), "see whether the disk of the data directory hangs"
	}
	return err.Error(), "see the disk and the data directory"
}

var errStuck = errors.New("the disk does not answer")

var errReplaced = errors.New("eaves.db was removed or replaced while eaves runs")
