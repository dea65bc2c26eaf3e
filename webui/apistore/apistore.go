// Package apistore fits the store to what the console asks for: it is the one place that knows both by type.
package apistore

import (
	"context"
	"errors"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/capture/store"
	"eaves/webui"
)

// New makes a console's store of a store.
func New(s *store.Store) webui.Store { return adapter{s} }

type adapter struct{ *store.Store }

func (a adapter) List(ctx context.Context, q webui.Query) (webui.Page, error) {
	in := store.Query{Filter: q.Filter, Limit: q.Limit, Before: q.Before, Total: q.Total, Sort: store.Sort(q.Sort), Ascending: q.Ascending}
	// To the store, 0 means that the order is not asked for; what comes after nothing comes after -1.
	if q.ByID {
		in.After = orMinus(q.After)
	}
	if q.ByChange {
		in.ChangedAfter = orMinus(q.ChangedAfter)
	}
	p, err := a.Store.List(ctx, in)
	return webui.Page{Exchanges: p.Exchanges, Total: p.Total}, err
}

func orMinus(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func (a adapter) Delete(ctx context.Context, f *filter.Filter) (int64, error) {
	return a.Store.Delete(ctx, f)
}

func (a adapter) Prune(ctx context.Context, p webui.Prune) (webui.Pruned, error) {
	r, err := a.Store.Prune(ctx, store.Prune{Filter: p.Filter, OlderThan: p.OlderThan, MaxSize: p.MaxSize})
	return webui.Pruned{Removed: r.Exchanges, Freed: r.Bytes}, err
}

func (a adapter) Stats(ctx context.Context) (webui.Stats, error) {
	st, err := a.Store.Stats(ctx)
	h := a.Health()
	return webui.Stats{
		Exchanges: st.Exchanges, Open: st.Open, QueueDepth: st.Queued, DatabaseSize: st.DatabaseBytes, BodiesSize: st.BodyBytes, FullText: st.FullText,
		Health: h.State, Problem: h.Message, Hint: h.Hint, Lost: h.Lost,
	}, err
}

func (a adapter) Values(ctx context.Context, q webui.ValueQuery) (webui.FieldValues, error) {
	got, err := a.Store.Values(ctx, store.ValueQuery(q))
	v := webui.FieldValues{Values: make([]webui.Value, len(got.Values)), Of: got.Of, All: got.All}
	for i, one := range got.Values {
		v.Values[i] = webui.Value{Value: one.Text, Count: one.Count}
	}
	return v, err
}

func (a adapter) Changes(after int64) (webui.Subscription, error) {
	sub, err := a.Store.Changes(after)
	if err != nil {
		return nil, translate(err)
	}
	return subscription{sub}, nil
}

type subscription struct{ *store.Subscription }

func (s subscription) Next(ctx context.Context) ([]capture.Change, error) {
	changes, err := s.Subscription.Next(ctx)
	return changes, translate(err)
}

// translate says the store's errors as the console knows them.
func translate(err error) error {
	var gap *store.ErrGap
	switch {
	case err == nil:
		return nil
	case errors.As(err, &gap):
		return &webui.GapError{From: gap.From, To: gap.To}
	case errors.Is(err, store.ErrReset):
		return webui.ErrReset
	}
	return err
}
