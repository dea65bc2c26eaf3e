package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"eaves/capture/filter"
	"eaves/cmd/eaves/internal/settings"
	"eaves/webui"
)

// maxFilters bounds the list of saved filters.
const maxFilters = 500

// filterKeeper is the settings' saved filters as the console knows them.
type filterKeeper struct{ f *settings.File }

func (k filterKeeper) List(context.Context) ([]webui.SavedFilter, error) {
	list := k.f.Get().Filters
	out := make([]webui.SavedFilter, len(list))
	for i, f := range list {
		out[i] = webui.SavedFilter(f)
	}
	return out, nil
}

func (k filterKeeper) Add(_ context.Context, in webui.SavedFilterInput) (webui.SavedFilter, error) {
	return k.put(0, in)
}

func (k filterKeeper) Replace(_ context.Context, id int64, in webui.SavedFilterInput) (webui.SavedFilter, error) {
	return k.put(id, in)
}

func (k filterKeeper) Remove(_ context.Context, id int64) error {
	_, err := k.f.EditFilters(func(now []settings.SavedFilter) ([]settings.SavedFilter, error) {
		i := slices.IndexFunc(now, func(f settings.SavedFilter) bool { return f.ID == id })
		if i < 0 {
			return nil, webui.ErrNoItem
		}
		return slices.Delete(now, i, i+1), nil
	})
	return err
}

// put adds a saved filter (id 0) or changes one.
func (k filterKeeper) put(id int64, in webui.SavedFilterInput) (webui.SavedFilter, error) {
	at := 0
	now, err := k.f.EditFilters(func(now []settings.SavedFilter) ([]settings.SavedFilter, error) {
		one := settings.SavedFilter{}
		at = len(now)
		if id != 0 {
			if at = slices.IndexFunc(now, func(f settings.SavedFilter) bool { return f.ID == id }); at < 0 {
				return nil, webui.ErrNoItem
			}
			one = now[at]
		} else if at >= maxFilters {
			return nil, &webui.Refusal{Conflict: true, Detail: fmt.Sprintf("there are %d saved filters, which is as many as there can be", maxFilters), Hint: "remove one first"}
		}
		assign(&one.Name, in.Name)
		assign(&one.Filter, in.Filter)
		one.Name, one.Filter = strings.TrimSpace(one.Name), strings.TrimSpace(one.Filter)
		if err := refuseFilter(now, one); err != nil {
			return nil, err
		}
		if id == 0 {
			return append(now, one), nil
		}
		now[at] = one
		return now, nil
	})
	if err != nil {
		return webui.SavedFilter{}, refusal(err, nil)
	}
	return webui.SavedFilter(now[at]), nil
}

// refuseFilter says at which field a saved filter is wrong.
func refuseFilter(now []settings.SavedFilter, one settings.SavedFilter) error {
	switch {
	case one.Name == "":
		return &webui.Refusal{Parameter: "name", Detail: "give the filter a name"}
	case one.Filter == "":
		return &webui.Refusal{Parameter: "filter", Detail: "the filter is empty: it lets everything through"}
	case slices.ContainsFunc(now, func(f settings.SavedFilter) bool {
		return f.ID != one.ID && strings.EqualFold(f.Name, one.Name)
	}):
		return &webui.Refusal{Parameter: "name", Detail: fmt.Sprintf("a filter is saved as %q already", one.Name), Hint: "take another name, or remove that one"}
	}
	if _, err := filter.Parse(one.Filter); err != nil {
		return &webui.Refusal{Parameter: "filter", Detail: err.Error()}
	}
	return nil
}
