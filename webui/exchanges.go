package webui

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// How many rows a page has if nothing is asked, and at most.
const (
	defaultLimit = 100
	maxLimit     = 5000
)

// sortColumns are what a list can be sorted by.
var sortColumns = []string{"started", "took", "size", "status", "method", "host", "path", "type", "client", "route", "protocol"}

// page is a page of exchanges as the API gives it. Seq is a cursor: a stream opened with after=Seq tells everything that
// this page does not.
type page struct {
	Exchanges []*capture.Exchange `json:"exchanges"`
	Total     *int64              `json:"total,omitempty"`
	Seq       int64               `json:"seq"`
}

func (s *Server) list(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	var q Query
	var err error
	if q.Filter, err = parseFilter(values.Get("filter")); err != nil {
		return err
	}
	if q.Limit, err = upTo(values, "limit", defaultLimit, maxLimit); err != nil {
		return err
	}
	given := 0
	for _, p := range []struct {
		name string
		to   *int64
	}{{"before", &q.Before}, {"after", &q.After}, {"changedAfter", &q.ChangedAfter}} {
		n, has, err := number(values, p.name)
		if err != nil {
			return err
		}
		if has {
			given++
			*p.to = n
		}
	}
	if given > 1 {
		return bad("", "before, after and changedAfter exclude one another")
	}
	if values.Has("sort") {
		if q.Sort = values.Get("sort"); !slices.Contains(sortColumns, q.Sort) {
			return bad("sort", "a list is sorted by "+strings.Join(sortColumns, ", "))
		}
		if given > 0 {
			return bad("sort", "a sorted list has one page: sort excludes before, after and changedAfter")
		}
	}
	if q.Ascending, err = boolean(values, "ascending"); err != nil {
		return err
	}
	q.ByID, q.ByChange = values.Has("after"), values.Has("changedAfter")
	if q.Total, err = boolean(values, "total"); err != nil {
		return err
	}
	// Read first: what is committed while the page is made is then behind the cursor.
	seq := s.cfg.Store.Seq()
	got, err := s.cfg.Store.List(r.Context(), q)
	if err != nil {
		return err
	}
	out := page{Exchanges: got.Exchanges, Seq: seq}
	if out.Exchanges == nil {
		out.Exchanges = []*capture.Exchange{}
	}
	if q.Total && got.Total >= 0 { // else counting would have taken too long
		out.Total = &got.Total
	}
	return writeJSON(w, r, http.StatusOK, out)
}

func (s *Server) get(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, x)
}

// removed says how many exchanges an operation removed, and the bytes it gave back to the disk.
type removed struct {
	Removed int64  `json:"removed"`
	Freed   *int64 `json:"freed,omitempty"`
}

func (s *Server) remove(w http.ResponseWriter, r *request) error {
	f, err := parseFilter(r.URL.Query().Get("filter"))
	if err != nil {
		return err
	}
	n, err := s.cfg.Store.Delete(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, removed{Removed: n})
}

// prune removes what is asked for; where nothing is, what the configured retention says.
func (s *Server) prune(w http.ResponseWriter, r *request) error {
	var in struct {
		Filter string `json:"filter"`
		// OlderThan is an age in milliseconds, MaxSize a size in bytes.
		OlderThan *float64 `json:"olderThan"`
		MaxSize   *int64   `json:"maxSize"`
	}
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	var p Prune
	var err error
	if p.Filter, err = parseFilter(in.Filter); err != nil {
		return err
	}
	if in.OlderThan != nil {
		if *in.OlderThan < 0 || *in.OlderThan > float64(1<<63-1)/1e6 {
			return bad("olderThan", "olderThan is an age in milliseconds")
		}
		p.OlderThan = time.Duration(*in.OlderThan * float64(time.Millisecond))
	}
	if in.MaxSize != nil {
		if *in.MaxSize < 1 {
			return bad("maxSize", "maxSize is a size in bytes, above 0")
		}
		p.MaxSize = *in.MaxSize
	}
	n, err := s.cfg.Store.Prune(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, removed{Removed: n.Removed, Freed: &n.Freed})
}

// maxNote bounds a mark and a comment.
const maxNote = 64 << 10

func (s *Server) annotate(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	var in struct {
		Mark    *string `json:"mark"`
		Comment *string `json:"comment"`
	}
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	if in.Mark == nil && in.Comment == nil {
		return bad("body", "give mark, comment or both")
	}
	for name, v := range map[string]*string{"mark": in.Mark, "comment": in.Comment} {
		if v != nil && len(*v) > maxNote {
			return bad(name, fmt.Sprintf("%s is at most %d bytes long", name, maxNote))
		}
	}
	// Streams must know that this exchange, though finished, may stop matching.
	s.edited.add(id)
	if err := s.cfg.Store.Annotate(r.Context(), id, in.Mark, in.Comment); err != nil {
		return err
	}
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, x)
}

// parseFilter reads a filter; the empty one is nil.
func parseFilter(text string) (*filter.Filter, error) {
	if len(text) > maxFilter {
		return nil, bad("filter", fmt.Sprintf("a filter is at most %d bytes long", maxFilter))
	}
	f, err := filter.Parse(text)
	if err != nil {
		return nil, err
	}
	if f.Empty() {
		return nil, nil
	}
	return f, nil
}

// maxFilter bounds a filter's text.
const maxFilter = 16 << 10

// number reads a parameter that is a whole number from 0.
func number(values url.Values, name string) (n int64, has bool, err error) {
	if !values.Has(name) {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(values.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, true, bad(name, name+" is a whole number from 0")
	}
	return n, true, nil
}

// boolean reads a parameter that is true or false.
func boolean(values url.Values, name string) (bool, error) {
	switch values.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
		if !values.Has(name) {
			return false, nil
		}
	}
	return false, bad(name, name+" is true or false")
}
