package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"eaves/capture/filter"
	"eaves/certs/mistake"
)

// maxFilterName bounds the name of a saved filter, in characters; maxFilterText its text in bytes: the API takes no longer
// one to filter by.
const (
	maxFilterName = 100
	maxFilterText = 16 << 10
)

// SavedFilter is a filter of the console that is kept under a name.
type SavedFilter struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Filter string `json:"filter"`
}

// validate checks one saved filter.
func (f *SavedFilter) validate() error {
	switch {
	case strings.TrimSpace(f.Name) == "":
		return errors.New("a name is missing")
	case utf8.RuneCountInString(f.Name) > maxFilterName:
		return mistake.In("name", "", "the name is longer than %d characters", maxFilterName)
	case len(f.Filter) > maxFilterText:
		return mistake.In("filter", "", "the filter is longer than %d bytes", maxFilterText)
	case strings.TrimSpace(f.Filter) == "":
		return errors.New("the filter is empty: it lets everything through")
	}
	if _, err := filter.Parse(f.Filter); err != nil {
		return fmt.Errorf("filter %q: %w", f.Filter, err)
	}
	return nil
}

// EditFilters edits the saved filters; see edit.
func (f *File) EditFilters(change func([]SavedFilter) ([]SavedFilter, error)) ([]SavedFilter, error) {
	return edit(f, savedFilters(), change)
}

func savedFilters() list[SavedFilter] {
	return list[SavedFilter]{"saved filter", func(s *Settings) (*[]SavedFilter, *int64) { return &s.Filters, &s.NextFilter }, func(f *SavedFilter) *int64 { return &f.ID }, (*SavedFilter).validate}
}
