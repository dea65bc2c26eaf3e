package webui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Collection keeps the items of one list. An unknown id is ErrNoItem; what cannot be is a *Refusal.
type Collection[T, In any] interface {
	List(ctx context.Context) ([]T, error)
	Add(ctx context.Context, in In) (T, error)
	// Replace changes an item; what In leaves out stays.
	Replace(ctx context.Context, id int64, in In) (T, error)
	Remove(ctx context.Context, id int64) error
}

// ErrNoItem says that no item has the id that was named.
var ErrNoItem = errors.New("no item has this id, or it has been removed")

// Refusal is why something cannot be as it was asked for.
type Refusal struct {
	// Parameter is the field that is wrong, Detail what is wrong with it, Hint what to do.
	Parameter, Detail, Hint string
	// Conflict says that nothing is wrong with what was asked: something else stands against it.
	Conflict bool
}

func (r *Refusal) Error() string { return r.Detail }

// resource is a list of the API: its path lists and takes items, the paths below it are one item each.
type resource[T, In any] struct {
	path string // /rules
	name string // of an item, in sentences: rule
	// limit bounds the body of a request.
	limit int64
	// items may be nil: this eaves keeps none.
	items Collection[T, In]
	// list is the answer that lists items, id an item's id.
	list func([]T) any
	id   func(T) int64
}

// routes are the resource's operations.
func (c resource[T, In]) routes() []route {
	return []route{
		{"GET", c.path, nil, c.get},
		{"POST", c.path, nil, c.post},
		{"PUT", c.path + "/{id}", nil, c.put},
		{"DELETE", c.path + "/{id}", nil, c.remove},
	}
}

func (c resource[T, In]) get(w http.ResponseWriter, r *request) error {
	items := []T{}
	if c.items != nil {
		list, err := c.items.List(r.Context())
		if err != nil {
			return err
		}
		items = append(items, list...)
	}
	return writeJSON(w, r, http.StatusOK, c.list(items))
}

func (c resource[T, In]) post(w http.ResponseWriter, r *request) error {
	var in In
	if err := readJSON(w, r, c.limit, false, &in); err != nil {
		return err
	}
	if c.items == nil {
		return c.none()
	}
	item, err := c.items.Add(r.Context(), in)
	if err != nil {
		return c.problem(err)
	}
	w.Header().Set("Location", fmt.Sprintf("%s%s/%d", base, c.path, c.id(item)))
	return writeJSON(w, r, http.StatusCreated, item)
}

func (c resource[T, In]) put(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	var in In
	if err := readJSON(w, r, c.limit, false, &in); err != nil {
		return err
	}
	if c.items == nil {
		return c.none()
	}
	item, err := c.items.Replace(r.Context(), id, in)
	if err != nil {
		return c.problem(err)
	}
	return writeJSON(w, r, http.StatusOK, item)
}

func (c resource[T, In]) remove(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	if c.items == nil {
		return c.none()
	}
	if err := c.items.Remove(r.Context(), id); err != nil {
		return c.problem(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// none is the answer of an eaves that keeps no such items.
func (c resource[T, In]) none() error {
	return problem{Status: http.StatusServiceUnavailable, Detail: "this is kept by a running eaves (eaves run); this one only reads"}
}

// problem says which item is not there.
func (c resource[T, In]) problem(err error) error {
	if errors.Is(err, ErrNoItem) {
		return problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("no %s has this id, or it has been removed", c.name)}
	}
	return err
}

// listedAs makes the answer that lists items under a name.
func listedAs[T any](name string) func([]T) any {
	return func(items []T) any { return map[string][]T{name: items} }
}
