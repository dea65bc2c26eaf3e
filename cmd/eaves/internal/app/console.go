package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/capture/store"
	"eaves/cmd/eaves/internal/settings"
	"eaves/proxy"
	"eaves/webui"
)

// storeView is the store as the console sees it.
type storeView struct {
	s        *store.Store
	fullText bool
}

func (v storeView) List(ctx context.Context, q webui.Query) (webui.Page, error) {
	in := store.Query{Filter: q.Filter, Limit: q.Limit, Before: q.Before, Total: q.Total}
	// The store pages backwards unless an id or a revision is given; none has either below 0.
	if q.ByID {
		in.After = orNone(q.After)
	}
	if q.ByChange {
		in.ChangedAfter = orNone(q.ChangedAfter)
	}
	p, err := v.s.List(ctx, in)
	return webui.Page(p), err
}

func orNone(cursor int64) int64 {
	if cursor == 0 {
		return -1
	}
	return cursor
}

func (v storeView) Get(ctx context.Context, id int64) (*capture.Exchange, error) {
	return v.s.Get(ctx, id)
}

func (v storeView) Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error) {
	return v.s.Messages(ctx, id, after, limit)
}

func (v storeView) Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error) {
	return v.s.Body(ctx, id, side)
}

func (v storeView) Delete(ctx context.Context, f *filter.Filter) (int64, error) {
	return v.s.Delete(ctx, f)
}

func (v storeView) Prune(ctx context.Context, p webui.Prune) (webui.Pruned, error) {
	r, err := v.s.Prune(ctx, store.Prune(p))
	return webui.Pruned{Removed: r.Exchanges, Freed: r.Bytes}, err
}

func (v storeView) Annotate(ctx context.Context, id int64, mark, comment *string) error {
	return v.s.Annotate(ctx, id, mark, comment)
}

func (v storeView) Changes(after int64) (webui.Subscription, error) {
	s, err := v.s.Changes(after)
	if err != nil {
		return nil, feedError(err)
	}
	return subscription{s}, nil
}

func (v storeView) Seq() int64 { return v.s.Seq() }
func (v storeView) ID() string { return v.s.ID() }

func (v storeView) Stats(ctx context.Context) (webui.Stats, error) {
	s, err := v.s.Stats(ctx)
	h := v.s.Health()
	return webui.Stats{
		Exchanges: s.Exchanges, Open: s.Open, QueueDepth: s.Queued, DatabaseSize: s.DatabaseBytes, BodiesSize: s.BodyBytes, FullText: v.fullText,
		Health: h.State, Problem: h.Message, Hint: h.Hint, Lost: h.Lost,
	}, err
}

// subscription is the store's, with the console's errors.
type subscription struct{ s *store.Subscription }

func (s subscription) Next(ctx context.Context) ([]capture.Change, error) {
	changes, err := s.s.Next(ctx)
	return changes, feedError(err)
}

func (s subscription) Close() { s.s.Close() }

func feedError(err error) error {
	var gap *store.ErrGap
	switch {
	case errors.As(err, &gap):
		return &webui.GapError{From: gap.From, To: gap.To}
	case errors.Is(err, store.ErrReset):
		return webui.ErrReset
	}
	return err
}

// sender sends through the proxy's pipeline.
type sender struct{ p *proxy.Proxy }

func (s sender) Send(ctx context.Context, o webui.Outgoing) (int64, error) {
	header := o.Header
	if o.Body != nil && o.Size == 0 && !o.Edited && !header.Has("Content-Length") && !header.Has("Transfer-Encoding") {
		// A request that had no body is sent without one, not with an empty one that would have to be announced.
		o.Body.Close()
		o.Body = nil
	}
	if o.Edited {
		// What the header said of the body was said of another one.
		header = without(header, "Content-Length", "Transfer-Encoding", "Trailer")
	}
	return s.p.Replay(ctx, proxy.ReplayRequest{
		Method: o.Method, URL: o.URL, Header: header, HTTPVersion: o.HTTPVersion,
		Body: o.Body, Length: o.Size, Trailer: o.Trailer, ReplayOf: o.ReplayOf,
	}, nil)
}

// without returns the header without the named fields.
func without(h capture.Header, names ...string) capture.Header {
	var out capture.Header
	for _, f := range h {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name) }) {
			out = append(out, f)
		}
	}
	return out
}

// recordingSwitch is the settings' recording switch.
type recordingSwitch struct{ f *settings.File }

func (r recordingSwitch) Recording() bool            { return r.f.Get().Recording }
func (r recordingSwitch) SetRecording(on bool) error { return r.f.SetRecording(on) }

// ruleKeeper is the settings' rules as the console knows them.
type ruleKeeper struct{ f *settings.File }

func (k ruleKeeper) Rules() []webui.Rule { return toConsole(k.f.Get().Rules) }

func (k ruleKeeper) EditRules(edit func([]webui.Rule) ([]webui.Rule, error)) error {
	return k.f.EditRules(func(now []settings.Rule) ([]settings.Rule, error) {
		next, err := edit(toConsole(now))
		if err != nil {
			return nil, err
		}
		rules := make([]settings.Rule, 0, len(next))
		for _, r := range next {
			rules = append(rules, settings.Rule{ID: r.ID, Enabled: r.Enabled, Filter: r.Filter, Action: settings.Action(r.Action)})
		}
		return rules, nil
	})
}

func toConsole(list []settings.Rule) []webui.Rule {
	rules := make([]webui.Rule, 0, len(list))
	for _, r := range list {
		rules = append(rules, webui.Rule{ID: r.ID, Enabled: r.Enabled, Filter: r.Filter, Action: string(r.Action)})
	}
	return rules
}
