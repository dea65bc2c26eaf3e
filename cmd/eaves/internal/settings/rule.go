package settings

import (
	"fmt"

	"eaves/capture/filter"
	"eaves/capture/hostpattern"
)

// Action is what a rule does with the exchanges that it matches.
type Action string

// The actions of rules.
const (
	// Ignore lets the exchange pass and does not record it.
	Ignore Action = "ignore"
	// Block answers 403 in the origin's place.
	Block Action = "block"
	// Passthrough does not intercept the TLS of a host; its filter is a host pattern.
	Passthrough Action = "passthrough"
)

// Rule is one rule. Filter is in the filter language, or a host pattern for passthrough.
type Rule struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Filter  string `json:"filter"`
	Action  Action `json:"action"`
}

// validate checks one rule.
func (r *Rule) validate() error {
	switch r.Action {
	case Passthrough:
		if _, err := hostpattern.Parse(r.Filter); err != nil {
			return fmt.Errorf("passthrough takes a host pattern: %w", err)
		}
		return nil
	case Ignore, Block:
	default:
		return fmt.Errorf("unknown action %q: expected ignore, block or passthrough", r.Action)
	}
	f, err := filter.Parse(r.Filter)
	if err != nil {
		return fmt.Errorf("filter %q: %w", r.Filter, err)
	}
	if err := f.RequestOnly(); err != nil {
		return fmt.Errorf("filter %q: %w", r.Filter, err)
	}
	return nil
}
