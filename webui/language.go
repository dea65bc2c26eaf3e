package webui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"eaves/capture/filter"
)

// Values tells which values fields of the filter language have.
type Values interface {
	Values(ctx context.Context, q ValueQuery) (FieldValues, error)
}

// ValueQuery asks for the values of a field that contain a text, among the exchanges that a filter lets through.
type ValueQuery struct {
	Field, Contains string
	// Filter may be nil: everything.
	Filter *filter.Filter
	Limit  int
}

// FieldValues are values, the commonest first.
type FieldValues struct {
	Values []Value `json:"values"`
	// Of is how many exchanges were looked at, newest first.
	Of int64 `json:"of"`
	// All says that these were all there are.
	All bool `json:"all"`
}

// Value is a value and how many exchanges have it.
type Value struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// How many values are told if nothing is asked, and at most.
const (
	defaultValues = 20
	maxValues     = 200
)

// parsed is a filter as it was understood, or why it was not.
type parsed struct {
	// Filter is its canonical form, Words what it asks for.
	Filter string `json:"filter"`
	Words  string `json:"words"`
	// Problem is nil where there is none.
	Problem *mistake `json:"problem"`
}

// mistake is one in a filter.
type mistake struct {
	// Column is counted in characters, from 1.
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// readFilter says how a filter is understood. A mistake in it is an answer, not a failure: it is what was asked for.
func (s *Server) readFilter(w http.ResponseWriter, r *request) error {
	text := r.URL.Query().Get("filter")
	if len(text) > maxFilter {
		return bad("filter", fmt.Sprintf("a filter is at most %d bytes long", maxFilter))
	}
	f, err := filter.Parse(text)
	if wrong := (*filter.SyntaxError)(nil); errors.As(err, &wrong) {
		return writeJSON(w, r, http.StatusOK, parsed{Problem: &mistake{wrong.Column, wrong.Message}})
	} else if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, parsed{Filter: f.String(), Words: f.Words()})
}

func (s *Server) filterFields(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r, http.StatusOK, struct {
		Fields []filter.Field `json:"fields"`
	}{filter.Fields()})
}

func (s *Server) values(w http.ResponseWriter, r *request) error {
	in := r.URL.Query()
	q := ValueQuery{Field: in.Get("field"), Contains: in.Get("contains")}
	known := slices.ContainsFunc(filter.Fields(), func(f filter.Field) bool { return f.Name == q.Field })
	if !known {
		return bad("field", "this is no field of the filter language; "+base+"/filter/fields lists them")
	}
	if len(q.Contains) > maxFilter {
		return bad("contains", fmt.Sprintf("a value is at most %d bytes long", maxFilter))
	}
	var err error
	if q.Filter, err = parseFilter(in.Get("filter")); err != nil {
		return err
	}
	if q.Limit, err = upTo(in, "limit", defaultValues, maxValues); err != nil {
		return err
	}
	v, err := s.cfg.Store.Values(r.Context(), q)
	if err != nil {
		return err
	}
	if v.Values == nil {
		v.Values = []Value{}
	}
	return writeJSON(w, r, http.StatusOK, v)
}
