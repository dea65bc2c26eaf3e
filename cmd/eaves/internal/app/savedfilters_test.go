package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"eaves/cmd/eaves/internal/settings"
	"eaves/webui"
)

// Saved filters are kept in the settings, so that another browser and the next run find them.
func TestSavedFiltersAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	open := func() filterKeeper {
		f, err := settings.Open(path, func(line string) { t.Error(line) })
		if err != nil {
			t.Fatal(err)
		}
		return filterKeeper{f}
	}
	ctx := context.Background()
	text := func(s string) *string { return &s }
	k := open()
	slow, err := k.Add(ctx, webui.SavedFilterInput{Name: text(" slow "), Filter: text("took>1s")})
	if err != nil || slow != (webui.SavedFilter{ID: 1, Name: "slow", Filter: "took>1s"}) {
		t.Fatalf("%+v, %v", slow, err)
	}
	if _, err = k.Add(ctx, webui.SavedFilterInput{Name: text("bank"), Filter: text("host:*.bank.test")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, filter, at, says string }{
		{"", "took>1s", "name", "name"},
		{"SLOW", "took>2s", "name", "already"},
		{"other", " ", "filter", "empty"},
		{"other", "stauts:200", "filter", "column 1"},
		{strings.Repeat("x", 101), "took>1s", "name", "longer"},
		{"other", strings.Repeat("x", 16<<10+1), "filter", "longer"},
	} {
		_, err := k.Add(ctx, webui.SavedFilterInput{Name: &c.name, Filter: &c.filter})
		var r *webui.Refusal
		if !errors.As(err, &r) || r.Parameter != c.at || !strings.Contains(r.Detail, c.says) {
			t.Errorf("%q %q: %#v", c.name, c.filter, err)
		}
	}
	if _, err := k.Replace(ctx, slow.ID, webui.SavedFilterInput{Filter: text("took>2s")}); err != nil {
		t.Error(err)
	}
	if _, err := k.Replace(ctx, 9, webui.SavedFilterInput{}); !errors.Is(err, webui.ErrNoItem) {
		t.Error(err)
	}
	k = open()
	got, err := k.List(ctx)
	if err != nil || len(got) != 2 || got[0] != (webui.SavedFilter{ID: 1, Name: "slow", Filter: "took>2s"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := k.Remove(ctx, 1); err != nil {
		t.Error(err)
	}
	if err := k.Remove(ctx, 1); !errors.Is(err, webui.ErrNoItem) {
		t.Error(err)
	}
}
