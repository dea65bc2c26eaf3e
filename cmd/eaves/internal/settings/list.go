package settings

import (
	"fmt"
	"slices"

	"eaves/certs/identity"
	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/proxy/route"
)

// list is one of the lists in the settings. An item's id is given when it is added and to no other ever after.
type list[T any] struct {
	name string // of an item
	of   func(*Settings) (items *[]T, next *int64)
	id   func(*T) *int64
	// check says what is wrong with an item.
	check func(*T) error
}

// anyList is a list whatever its items are.
type anyList interface {
	clone(*Settings)
	settle(*Settings)
	carry(from, to *Settings)
	validate(*Settings) error
}

func rules() list[Rule] {
	return list[Rule]{"rule", func(s *Settings) (*[]Rule, *int64) { return &s.Rules, &s.NextRule }, func(r *Rule) *int64 { return &r.ID }, (*Rule).validate}
}

func clientCertificates() list[identity.Entry] {
	return list[identity.Entry]{"client certificate", func(s *Settings) (*[]identity.Entry, *int64) { return &s.ClientCertificates, &s.NextClientCertificate },
		func(e *identity.Entry) *int64 { return &e.ID }, (*identity.Entry).Validate}
}

func trust() list[trustanchor.Entry] {
	return list[trustanchor.Entry]{"trust", func(s *Settings) (*[]trustanchor.Entry, *int64) { return &s.Trust, &s.NextTrust },
		func(e *trustanchor.Entry) *int64 { return &e.ID }, (*trustanchor.Entry).Validate}
}

func tlsPolicies() list[tlspolicy.Entry] {
	return list[tlspolicy.Entry]{"TLS policy", func(s *Settings) (*[]tlspolicy.Entry, *int64) { return &s.TLSPolicies, &s.NextTLSPolicy },
		func(e *tlspolicy.Entry) *int64 { return &e.ID }, (*tlspolicy.Entry).Validate}
}

func routes() list[route.Entry] {
	return list[route.Entry]{"route", func(s *Settings) (*[]route.Entry, *int64) { return &s.Routes, &s.NextRoute },
		func(e *route.Entry) *int64 { return &e.ID }, (*route.Entry).Validate}
}

// lists are all lists.
func lists() []anyList {
	return []anyList{rules(), clientCertificates(), trust(), tlsPolicies(), routes(), savedFilters()}
}

// clone gives s items of its own to write to.
func (l list[T]) clone(s *Settings) {
	items, _ := l.of(s)
	*items = slices.Clone(*items)
}

// settle makes an empty list of none, and the next id one that no item has.
func (l list[T]) settle(s *Settings) {
	items, next := l.of(s)
	if *items == nil {
		*items = []T{}
	}
	*next = max(*next, 1)
	for i := range *items {
		*next = max(*next, *l.id(&(*items)[i])+1)
	}
}

// carry takes care that to gives no id that from has given.
func (l list[T]) carry(from, to *Settings) {
	_, given := l.of(from)
	_, next := l.of(to)
	*next = max(*next, *given)
}

// number gives an id to each item that has none.
func (l list[T]) number(s *Settings) {
	l.settle(s)
	items, next := l.of(s)
	for i := range *items {
		if id := l.id(&(*items)[i]); *id == 0 {
			*id = *next
			*next++
		}
	}
}

// validate checks all items.
func (l list[T]) validate(s *Settings) error {
	items, _ := l.of(s)
	seen := map[int64]bool{}
	for i := range *items {
		item := &(*items)[i]
		id := *l.id(item)
		if id <= 0 || seen[id] {
			return fmt.Errorf("%w %s: the id %d is not a new positive number", ErrInvalid, l.name, id)
		}
		seen[id] = true
		if err := l.check(item); err != nil {
			return fmt.Errorf("%w %s: %w", ErrInvalid, l.name, err)
		}
	}
	return nil
}

// edit replaces a list by what change makes of it, unless that fails or makes something invalid, and returns it. An item
// without an id is given one that no item of the list has had before. Nobody else edits meanwhile.
func edit[T any](f *File, l list[T], change func([]T) ([]T, error)) (now []T, err error) {
	err = f.change(func(s *Settings) error {
		items, _ := l.of(s)
		next, err := change(*items)
		if err != nil {
			return err
		}
		*items = next
		l.number(s)
		now = *items
		return nil
	})
	return now, err
}

// EditRules edits the rules; see edit.
func (f *File) EditRules(change func([]Rule) ([]Rule, error)) ([]Rule, error) {
	return edit(f, rules(), change)
}

// EditClientCertificates edits the client certificates; see edit.
func (f *File) EditClientCertificates(change func([]identity.Entry) ([]identity.Entry, error)) ([]identity.Entry, error) {
	return edit(f, clientCertificates(), change)
}

// EditTrust edits the trust anchors; see edit.
func (f *File) EditTrust(change func([]trustanchor.Entry) ([]trustanchor.Entry, error)) ([]trustanchor.Entry, error) {
	return edit(f, trust(), change)
}

// EditTLSPolicies edits the TLS policies; see edit.
func (f *File) EditTLSPolicies(change func([]tlspolicy.Entry) ([]tlspolicy.Entry, error)) ([]tlspolicy.Entry, error) {
	return edit(f, tlsPolicies(), change)
}

// EditRoutes edits the routes; see edit.
func (f *File) EditRoutes(change func([]route.Entry) ([]route.Entry, error)) ([]route.Entry, error) {
	return edit(f, routes(), change)
}
