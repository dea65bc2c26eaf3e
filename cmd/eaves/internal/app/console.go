package app

import (
	"context"
	"slices"
	"strings"

	"eaves/capture"
	"eaves/cmd/eaves/internal/settings"
	"eaves/proxy"
	"eaves/webui"
)

// sender sends through the proxy's pipeline.
type sender struct{ c *core }

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
	choice, err := s.c.choice(ctx, &o)
	if err != nil {
		if o.Body != nil {
			o.Body.Close()
		}
		return 0, err
	}
	var conversation func() (proxy.Line, error)
	if o.Conversation != nil {
		conversation = func() (proxy.Line, error) {
			l, err := o.Conversation()
			return proxy.Line(l), err
		}
	}
	return s.c.proxy.Replay(ctx, proxy.ReplayRequest{
		Method: o.Method, URL: o.URL, Target: o.Target, ServerName: o.ServerName, Header: header, HTTPVersion: o.HTTPVersion,
		Body: o.Body, Length: o.Size, Trailer: o.Trailer, ReplayOf: o.ReplayOf, Choice: choice,
		Conversation: conversation, Timed: o.Timed,
	}, nil)
}

// Inject puts a message into an open conversation.
func (s sender) Inject(id int64, m webui.Injection) error {
	said := proxy.Injection(m)
	if err := said.Check(); err != nil {
		return &webui.Refusal{Detail: err.Error()}
	}
	return s.c.proxy.Inject(id, said)
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
	_, err := k.f.EditRules(func(now []settings.Rule) ([]settings.Rule, error) {
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
	return err
}

func toConsole(list []settings.Rule) []webui.Rule {
	rules := make([]webui.Rule, 0, len(list))
	for _, r := range list {
		rules = append(rules, webui.Rule{ID: r.ID, Enabled: r.Enabled, Filter: r.Filter, Action: string(r.Action)})
	}
	return rules
}
