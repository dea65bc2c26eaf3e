package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

// rule is a rule as the API has it.
type rule struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Filter  string `json:"filter"`
	Action  string `json:"action"`
}

func (p *program) ruleCommand() *cobra.Command {
	return group("rule", "what happens to matching requests: ignore, block, passthrough", `  eaves rule add ignore 'host:*.ads.test'
  eaves rule add block method:DELETE
  eaves rule add passthrough '*.bank.test'
  eaves rule list
  eaves rule remove 2`, p.ruleAddCommand(), p.ruleListCommand(), p.ruleRemoveCommand())
}

func (p *program) ruleAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add ACTION FILTER",
		Short: "add a rule behind the others",
		Example: `  eaves rule add ignore 'host:*.ads.test'      pass on, do not record
  eaves rule add block method:DELETE           answer 403 in the origin's place
  eaves rule add passthrough '*.bank.test'     do not intercept this host's TLS`,
		Long: `add adds a rule: ACTION is ignore, block or passthrough, FILTER is in the filter language with fields of the request, for
passthrough it is a host pattern. The first rule that matches decides. It prints the new rule's id.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withAPI(cmd, func(api *client.Client) error {
				var added rule
				err := api.Do(cmd.Context(), http.MethodPost, "/rules", nil, map[string]any{"enabled": true, "action": args[0], "filter": strings.Join(args[1:], " ")}, &added)
				if err == nil {
					fmt.Fprintln(p.out, added.ID)
				}
				return err
			})
		},
	}
}

func (p *program) ruleListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "the rules in their order",
		Example: "  eaves rule list\n  eaves rule list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withAPI(cmd, func(api *client.Client) error {
				var list struct {
					Rules []rule `json:"rules"`
				}
				if err := api.Do(cmd.Context(), http.MethodGet, "/rules", nil, nil, &list); err != nil {
					return err
				}
				for _, r := range list.Rules {
					if asJSON {
						if err := json.NewEncoder(p.out).Encode(r); err != nil {
							return err
						}
						continue
					}
					state := ""
					if !r.Enabled {
						state = "  (off)"
					}
					fmt.Fprintf(p.out, "%-4d %-11s %s%s\n", r.ID, r.Action, harmless(r.Filter), state)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print each rule as a line of JSON")
	return c
}

func (p *program) ruleRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID…",
		Short:   "remove rules",
		Example: "  eaves rule remove 2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, ok := ids(args)
			if !ok {
				return failure.Wrong("rule remove", fmt.Errorf("%q is not a rule's id", strings.Join(args, " ")), "eaves rule list")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				for _, id := range all {
					err := api.Do(cmd.Context(), http.MethodDelete, "/rules/"+strconv.FormatInt(id, 10), nil, nil, nil)
					if problem := (*client.Problem)(nil); errors.As(err, &problem) && problem.Status == http.StatusNotFound {
						err = failure.New("rule remove", fmt.Errorf("there is no rule %d", id), "eaves rule list")
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
