package store

import "time"

// Retention is how much is kept, and for how long.
type Retention struct {
	// Keep is how much of one body is kept; 0 stands for 1 GiB. What is beyond is counted.
	Keep int64
	// MaxSize is how large the store may grow before the oldest unmarked exchanges go; 0 stands for 20 GiB, less for no
	// limit.
	MaxSize int64
	// MaxAge is how old an unmarked exchange may get; 0 for no limit.
	MaxAge time.Duration
}

const (
	defaultKeep    = 1 << 30
	defaultMaxSize = 20 << 30
)

// settled has the defaults where nothing was said.
func (r Retention) settled() *Retention {
	if r.Keep == 0 {
		r.Keep = defaultKeep
	}
	if r.MaxSize == 0 {
		r.MaxSize = defaultMaxSize
	}
	return &r
}

// SetRetention changes how much is kept from now on. What is too much already goes at once, in the background; what has
// been kept of bodies stays as it is.
func (s *Store) SetRetention(r Retention) {
	s.retention.Store(r.settled())
	select {
	case s.retained <- struct{}{}:
	default: // it is on its way to be applied
	}
}
