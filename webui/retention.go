package webui

import (
	"context"
	"net/http"
	"time"
)

// Limit is one limit of what is kept.
type Limit struct {
	Value int64 `json:"value"`
	// Source says what gave it: flag, environment, file, settings or default. The first three lock it.
	Source string `json:"source"`
	Locked bool   `json:"locked"`
}

// Retention is how much is kept, and for how long.
type Retention struct {
	// Keep is how many bytes of a body are kept at most, MaxSize how large the store may grow in bytes, MaxAge how old an
	// exchange may get in milliseconds; of the latter two 0 is no limit.
	Keep    Limit `json:"keep"`
	MaxSize Limit `json:"maxSize"`
	MaxAge  Limit `json:"maxAge"`
}

// RetentionInput is the retention as it comes in. What is nil stays as it is.
type RetentionInput struct {
	Keep    *int64 `json:"keep"`
	MaxSize *int64 `json:"maxSize"`
	MaxAge  *int64 `json:"maxAge"`
}

// Stored is what there is now.
type Stored struct {
	Exchanges int64 `json:"exchanges"`
	// Database and Bodies are bytes on the disk; Used is what of them is in use, which is what MaxSize bounds.
	Database int64 `json:"database"`
	Bodies   int64 `json:"bodies"`
	Used     int64 `json:"used"`
	// Oldest is when the first exchange began.
	Oldest *time.Time `json:"oldest"`
}

// Retainer says how much is kept.
type Retainer interface {
	Retention() Retention
	// SetRetention changes it from now on. What cannot be is a *Refusal.
	SetRetention(in RetentionInput) error
	Stored(ctx context.Context) (Stored, error)
}

// retention is the answer to who asks.
type retention struct {
	Retention
	Stored Stored `json:"stored"`
}

var errNoRetention = problem{Status: http.StatusServiceUnavailable, Detail: "how much is kept is for a running eaves to say (eaves run); this one only reads"}

func (s *Server) getRetention(w http.ResponseWriter, r *request) error {
	if s.cfg.Retention == nil {
		return errNoRetention
	}
	stored, err := s.cfg.Retention.Stored(r.Context())
	if err != nil {
		return err
	}
	if o := stored.Oldest; o != nil {
		t := o.UTC().Truncate(time.Millisecond)
		stored.Oldest = &t
	}
	return writeJSON(w, r, http.StatusOK, retention{s.cfg.Retention.Retention(), stored})
}

func (s *Server) putRetention(w http.ResponseWriter, r *request) error {
	var in RetentionInput
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	switch {
	case s.cfg.Retention == nil:
		return errNoRetention
	case in.Keep != nil && *in.Keep < 1:
		return bad("keep", "keep is a number of bytes, above 0")
	case in.MaxSize != nil && *in.MaxSize < 0:
		return bad("maxSize", "maxSize is a number of bytes; 0 is no limit")
	case in.MaxAge != nil && *in.MaxAge < 0:
		return bad("maxAge", "maxAge is a number of milliseconds; 0 is no limit")
	}
	if err := s.cfg.Retention.SetRetention(in); err != nil {
		return err
	}
	return s.getRetention(w, r)
}
