package webui

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"eaves/capture/filter"
	"eaves/capture/hostpattern"
)

// maxRules bounds the list: each rule is asked for each request.
const maxRules = 1000

// ruleList is the answer that lists the rules, in order.
type ruleList struct {
	Rules []Rule `json:"rules"`
}

// ruleInput is a rule as it comes in. An id is given to what has none; enabled is the default.
type ruleInput struct {
	ID      int64  `json:"id"`
	Enabled *bool  `json:"enabled"`
	Filter  string `json:"filter"`
	Action  string `json:"action"`
	// Position is where a new rule is put, from 0; behind all others unless given.
	Position *int `json:"position"`
}

// rule checks the input and makes a rule of it. Where no field is named, prefix is that of the list.
func (in *ruleInput) rule() (Rule, error) {
	rule := Rule{ID: in.ID, Enabled: in.Enabled == nil || *in.Enabled, Filter: in.Filter, Action: in.Action}
	if in.ID < 0 {
		return rule, bad("id", "an id is a whole number above 0")
	}
	if len(in.Filter) > maxFilter {
		return rule, bad("filter", fmt.Sprintf("a filter is at most %d bytes long", maxFilter))
	}
	switch in.Action {
	case "passthrough":
		// Whether to intercept is decided before there is a request: a host is all that is known.
		if _, err := hostpattern.Parse(in.Filter); err != nil {
			return rule, bad("filter", "passthrough takes a host pattern such as *.example.com: "+err.Error())
		}
		return rule, nil
	case "ignore", "block":
	default:
		return rule, bad("action", "action is ignore, block or passthrough")
	}
	f, err := filter.Parse(in.Filter)
	if err != nil {
		return rule, err
	}
	return rule, f.RequestOnly()
}

var errNoRules = problem{Status: http.StatusServiceUnavailable, Detail: "rules are kept by a running eaves (eaves run); this one only reads"}

// ruleResource is the rules as a list of the API.
func (s *Server) ruleResource() resource[Rule, ruleInput] {
	c := resource[Rule, ruleInput]{path: "/rules", name: "rule", limit: maxJSON, list: func(rules []Rule) any { return ruleList{Rules: rules} }, id: func(r Rule) int64 { return r.ID }}
	if s.cfg.Rules != nil {
		c.items = ruleItems{s}
	}
	return c
}

// ruleItems are the rules, each for itself.
type ruleItems struct{ s *Server }

func (c ruleItems) List(context.Context) ([]Rule, error) { return c.s.cfg.Rules.Rules(), nil }

func (s *Server) editRules(edit func([]Rule) ([]Rule, error)) error {
	if s.cfg.Rules == nil {
		return errNoRules
	}
	return s.cfg.Rules.EditRules(func(rules []Rule) ([]Rule, error) {
		rules, err := edit(slices.Clone(rules))
		if err == nil && len(rules) > maxRules {
			err = problem{Status: http.StatusConflict, Detail: fmt.Sprintf("there can be at most %d rules", maxRules)}
		}
		return rules, err
	})
}

// Add adds a rule behind all others, unless its position says where.
func (c ruleItems) Add(_ context.Context, in ruleInput) (Rule, error) {
	if in.ID != 0 {
		return Rule{}, bad("id", "an id is given to a rule, not chosen for it")
	}
	rule, err := in.rule()
	if err != nil {
		return Rule{}, err
	}
	before := make(map[int64]bool)
	err = c.s.editRules(func(rules []Rule) ([]Rule, error) {
		at := len(rules)
		if in.Position != nil {
			if *in.Position < 0 || *in.Position > at {
				return nil, bad("position", fmt.Sprintf("position is a number from 0 to %d", at))
			}
			at = *in.Position
		}
		for _, old := range rules {
			before[old.ID] = true
		}
		return slices.Insert(rules, at, rule), nil
	})
	if err != nil {
		return Rule{}, err
	}
	for _, now := range c.s.cfg.Rules.Rules() {
		if !before[now.ID] && now.Filter == rule.Filter && now.Action == rule.Action {
			return now, nil
		}
	}
	return Rule{}, fmt.Errorf("the rule was added, but is gone already")
}

// replaceRules replaces the whole list, and with it its order. A rule with an id keeps it.
func (s *Server) replaceRules(w http.ResponseWriter, r *request) error {
	var in struct {
		Rules *[]ruleInput `json:"rules"`
	}
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	if in.Rules == nil {
		return bad("rules", "give the whole list as rules")
	}
	next := make([]Rule, 0, len(*in.Rules))
	for i := range *in.Rules {
		rule, err := (*in.Rules)[i].rule()
		if err == nil && (*in.Rules)[i].Position != nil {
			err = bad("position", "a rule's position is its place in the list")
		}
		if err != nil {
			p := problemOf(err)
			p.Detail = fmt.Sprintf("rule %d: %s", i+1, p.Detail)
			return p
		}
		next = append(next, rule)
	}
	err := s.editRules(func(rules []Rule) ([]Rule, error) {
		known := make(map[int64]bool)
		for _, old := range rules {
			known[old.ID] = true
		}
		for i, rule := range next {
			if rule.ID != 0 && !known[rule.ID] {
				return nil, problem{Status: http.StatusConflict, Parameter: "id", Detail: fmt.Sprintf("rule %d: no rule has the id %d (any more), or it is given twice", i+1, rule.ID)}
			}
			delete(known, rule.ID)
		}
		return next, nil
	})
	if err != nil {
		return err
	}
	return s.ruleResource().get(w, r)
}

// Replace replaces a rule, in its place.
func (c ruleItems) Replace(_ context.Context, id int64, in ruleInput) (Rule, error) {
	switch {
	case in.ID != 0 && in.ID != id:
		return Rule{}, bad("id", "a rule's id does not change")
	case in.Position != nil:
		return Rule{}, bad("position", "a rule keeps its position; give the whole list to change the order")
	}
	rule, err := in.rule()
	if err != nil {
		return Rule{}, err
	}
	rule.ID = id
	return rule, c.at(id, func(rules []Rule, i int) []Rule {
		rules[i] = rule
		return rules
	})
}

// Remove removes a rule.
func (c ruleItems) Remove(_ context.Context, id int64) error {
	return c.at(id, func(rules []Rule, i int) []Rule { return slices.Delete(rules, i, i+1) })
}

// at edits the list at the rule that has an id.
func (c ruleItems) at(id int64, edit func(rules []Rule, i int) []Rule) error {
	return c.s.editRules(func(rules []Rule) ([]Rule, error) {
		i := slices.IndexFunc(rules, func(old Rule) bool { return old.ID == id })
		if i < 0 {
			return nil, ErrNoItem
		}
		return edit(rules, i), nil
	})
}

// recording is the switch as the API has it.
type recording struct {
	Recording bool `json:"recording"`
}

func (s *Server) isRecording() bool { return s.cfg.Recording == nil || s.cfg.Recording.Recording() }

func (s *Server) getRecording(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r, http.StatusOK, recording{s.isRecording()})
}

func (s *Server) putRecording(w http.ResponseWriter, r *request) error {
	var in struct {
		Recording *bool `json:"recording"`
	}
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	if in.Recording == nil {
		return bad("recording", "recording is true or false")
	}
	if s.cfg.Recording == nil {
		return problem{Status: http.StatusServiceUnavailable, Detail: "recording is switched at a running eaves (eaves run); this one only reads"}
	}
	if err := s.cfg.Recording.SetRecording(*in.Recording); err != nil {
		return err
	}
	s.status.forget()
	return writeJSON(w, r, http.StatusOK, recording{s.isRecording()})
}

func (s *Server) certificate(w http.ResponseWriter, r *request) error {
	if s.cfg.Certificate == nil {
		return problem{Status: http.StatusNotFound, Detail: "this eaves has no interception CA yet; eaves run makes one"}
	}
	pem := s.cfg.Certificate()
	h := w.Header()
	h.Set("Content-Type", "application/x-pem-file")
	h.Set("Content-Disposition", `attachment; filename="eaves-ca.pem"`)
	h.Set("Content-Length", fmt.Sprint(len(pem)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(pem)
	}
	return nil
}
