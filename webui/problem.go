package webui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"eaves/capture"
	"eaves/capture/filter"
)

// problem is an error as RFC 9457 writes it. Its type is about:blank: title and status say what kind it is.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong, where, and what to do.
	Detail string `json:"detail,omitempty"`
	// Hint is the next thing to do, where there is one.
	Hint string `json:"hint,omitempty"`
	// Parameter names what in the request is wrong: a query parameter, or a field of the body.
	Parameter string `json:"parameter,omitempty"`
	// Column is where in a filter the mistake is, from 1.
	Column int `json:"column,omitempty"`
	// Allow are the methods of a path that was asked with another.
	Allow string `json:"-"`
}

func (p problem) Error() string { return p.Detail }

func (p problem) write(w http.ResponseWriter, r *http.Request) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	h := w.Header()
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="eaves"`)
	}
	// What an answer that did not come to be had said of itself.
	for _, name := range []string{"Content-Disposition", "Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p)
	}
}

// bad is a request that is wrong in the named parameter.
func bad(parameter, detail string) problem {
	return problem{Status: http.StatusBadRequest, Parameter: parameter, Detail: detail}
}

// problemOf says an error as a problem.
func problemOf(err error) problem {
	var p problem
	var syntax *filter.SyntaxError
	var tooLarge *http.MaxBytesError
	var refusal *Refusal
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		p = problem{Status: http.StatusBadRequest, Parameter: refusal.Parameter, Detail: refusal.Detail, Hint: refusal.Hint}
		if refusal.Conflict {
			p.Status = http.StatusConflict
		}
		return p
	case errors.As(err, &syntax):
		return problem{Status: http.StatusBadRequest, Parameter: "filter", Detail: syntax.Error(), Column: syntax.Column}
	case errors.As(err, &tooLarge):
		return problem{Status: http.StatusRequestEntityTooLarge, Detail: "the request's body is too large"}
	case errors.Is(err, capture.ErrNotFound):
		return problem{Status: http.StatusNotFound, Detail: "no exchange has this id, or it has been removed"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem{Status: http.StatusServiceUnavailable, Detail: "eaves did not finish this: " + err.Error()}
	default:
		return problem{Status: http.StatusInternalServerError, Detail: err.Error()}
	}
}
