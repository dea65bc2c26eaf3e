package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/webui"
)

// rules is the list of rules.
var rules = list{path: "/rules", field: "rules", noun: "rule", listing: "eaves rule list"}

func (p *program) ruleCommand() *cobra.Command {
	return group("rule", "what happens to matching requests: ignore, block, passthrough", `  eaves rule add ignore 'host:*.ads.test'
  eaves rule add block method:DELETE
  eaves rule add passthrough '*.bank.test'
  eaves rule list
  eaves rule remove 2`, p.ruleAddCommand(), listCommand(p, rules, "the rules in their order", p.printRule), p.removeCommand(rules, "remove rules"))
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
				var added webui.Rule
				err := api.Do(cmd.Context(), http.MethodPost, "/rules", nil, map[string]any{"enabled": true, "action": args[0], "filter": strings.Join(args[1:], " ")}, &added)
				if err == nil {
					fmt.Fprintln(p.out, added.ID)
				}
				return err
			})
		},
	}
}

// printRule prints one of a list.
func (p *program) printRule(r webui.Rule) {
	state := ""
	if !r.Enabled {
		state = "  (off)"
	}
	fmt.Fprintf(p.out, "%-4d %-11s %s%s\n", r.ID, r.Action, harmless(r.Filter), state)
}
