package webui

import (
	"errors"
	"fmt"
	"net/http"

	"eaves/capture"
	"eaves/capture/diff"
)

// diff compares two exchanges.
func (s *Server) diff(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	var id [2]int64
	for i, name := range []string{"a", "b"} {
		n, has, err := number(values, name)
		if err != nil {
			return err
		}
		if !has || n < 1 {
			return bad(name, "a and b name the two exchanges to compare")
		}
		id[i] = n
	}
	masks, err := diff.ParseMasks(values.Get("mask"))
	if err != nil {
		return bad("mask", err.Error())
	}
	var x [2]*capture.Exchange
	for i := range id {
		x[i], err = s.cfg.Store.Get(r.Context(), id[i])
		if errors.Is(err, capture.ErrNotFound) {
			return problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("exchange %d: %v", id[i], err)}
		}
		if err != nil {
			return err
		}
	}
	found, err := diff.Compare(r.Context(), x[0], x[1], s.cfg.Store, masks)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, found)
}
