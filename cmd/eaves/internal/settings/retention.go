package settings

import (
	"errors"
	"fmt"
)

// Retention is how much is kept, as it was set here. What is nil was not: the configuration says it.
type Retention struct {
	// Keep is how many bytes of a body are kept at most, MaxSize how large the store may grow in bytes and MaxAge how old an
	// exchange may get in milliseconds; of the latter two 0 is no limit.
	Keep    *int64 `json:"keep,omitempty"`
	MaxSize *int64 `json:"maxSize,omitempty"`
	MaxAge  *int64 `json:"maxAge,omitempty"`
}

// maxAge is the longest age there can be, in milliseconds: some 292 years are what a time.Duration holds.
const maxAge = int64(1<<63-1) / 1_000_000

func (r Retention) validate() error {
	switch {
	case r.Keep != nil && *r.Keep < 1:
		return errors.New("keep is a number of bytes, above 0")
	case r.MaxSize != nil && *r.MaxSize < 0:
		return errors.New("maxSize is a number of bytes; 0 is no limit")
	case r.MaxAge != nil && (*r.MaxAge < 0 || *r.MaxAge > maxAge):
		return fmt.Errorf("maxAge is from 0 to %d milliseconds; 0 is no limit", maxAge)
	}
	return nil
}

// SetRetention changes how much is kept: what change makes of it.
func (f *File) SetRetention(change func(Retention) (Retention, error)) error {
	return f.change(func(s *Settings) (err error) {
		s.Retention, err = change(s.Retention)
		return err
	})
}
