package webui

import (
	"context"
	"strings"
	"testing"

	"eaves/capture/filter"
)

// Values counts the hosts and methods of what the fake keeps.
func (f *fakeStore) Values(_ context.Context, q ValueQuery) (FieldValues, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listErr != nil {
		return FieldValues{}, f.listErr
	}
	count := map[string]int64{}
	v := FieldValues{All: true}
	for _, x := range f.rows {
		if !f.match(q.Filter, x) {
			continue
		}
		v.Of++
		if q.Field == "method" && strings.Contains(strings.ToLower(x.Request.Method), strings.ToLower(q.Contains)) {
			count[x.Request.Method]++
		}
	}
	for text, n := range count {
		v.Values = append(v.Values, Value{text, n})
	}
	return v, nil
}

func withFilters(c *Config) {
	c.Filters = &fakeCollection[SavedFilter, SavedFilterInput]{
		make: func(id int64, in SavedFilterInput) (SavedFilter, error) {
			if deref(in.Name) == "" {
				return SavedFilter{}, &Refusal{Parameter: "name", Detail: "give the filter a name"}
			}
			return SavedFilter{ID: id, Name: *in.Name, Filter: deref(in.Filter)}, nil
		},
		id: func(f SavedFilter) int64 { return f.ID },
	}
}

// filterCalls are the calls of TestAnswersAreAsDescribed to these operations.
func filterCalls() []call {
	return []call{
		{"GET", "/filter", "/filter?filter=host%3A*.a.test+-status%3A200", "", 200},
		{"GET", "/filter", "/filter?filter=(", "", 200},
		{"GET", "/filter", "", "", 200},
		{"GET", "/filter", "/filter?filter=" + strings.Repeat("x", maxFilter+1), "", 400},
		{"GET", "/filter/fields", "", "", 200},
		{"GET", "/values", "/values?field=method&contains=g&filter=host%3Aa.test&limit=3", "", 200},
		{"GET", "/values", "/values?field=body", "", 200},
		{"GET", "/values", "/values?field=nothing", "", 400},
		{"GET", "/values", "/values?field=host&filter=(", "", 400},
		{"GET", "/values", "/values?field=host&limit=0", "", 400},
		{"GET", "/values", "", "", 400},
		{"POST", "/filters", "", `{"name":"slow","filter":"took>1s"}`, 201},
		{"POST", "/filters", "", `{"filter":"took>1s"}`, 400},
		{"GET", "/filters", "", "", 200},
		{"PUT", "/filters/{id}", "/filters/1", `{"name":"slower","filter":"took>2s"}`, 200},
		{"PUT", "/filters/{id}", "/filters/77", `{"name":"x"}`, 404},
		{"DELETE", "/filters/{id}", "/filters/1", "", 204},
		{"DELETE", "/filters/{id}", "/filters/1", "", 404},
	}
}

func TestAFilterIsReadAndSaidBack(t *testing.T) {
	l := newLab(t)
	var p parsed
	l.ask("GET", "/api/v1/filter?filter=host%3A*.bank.test+cert.asked+-cert.sent", "").json(t, 200, &p)
	if p.Filter != "host:*.bank.test and cert.asked and not cert.sent" || p.Problem != nil ||
		p.Words != "the host is any under bank.test, a client certificate was asked for and none was sent" {
		t.Errorf("%+v", p)
	}
	p = parsed{}
	l.ask("GET", "/api/v1/filter?filter=%C3%BC+stauts%3A200", "").json(t, 200, &p)
	if p.Problem == nil || p.Problem.Column != 3 || !strings.Contains(p.Problem.Message, "stauts") || p.Words != "" {
		t.Errorf("%+v %+v", p, p.Problem)
	}
}

func TestValuesAreOfWhatTheFilterLetsThrough(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1), sample(2))
	post := sample(3)
	post.Request.Method = "POST"
	l.store.put(post)
	var v FieldValues
	l.ask("GET", "/api/v1/values?field=method&filter=method%3APOST", "").json(t, 200, &v)
	if len(v.Values) != 1 || v.Values[0] != (Value{"POST", 1}) || v.Of != 1 || !v.All {
		t.Errorf("%+v", v)
	}
}

// Every field that is told of can be asked for values.
func TestEveryFieldCanBeAskedForValues(t *testing.T) {
	l := newLab(t)
	for _, f := range filter.Fields() {
		if a := l.ask("GET", "/api/v1/values?field="+f.Name, ""); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", f.Name, a.StatusCode, a.body)
		}
	}
}
