package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) pruneCommand() *cobra.Command {
	var older, maxSize string
	c := &cobra.Command{
		Use:   "prune [FILTER] [--older AGE] [--max-size SIZE]",
		Short: "remove exchanges and give the space back",
		Example: `  eaves prune --older 7d
  eaves prune 'host:*.ads.test'
  eaves prune host:example.com --older 12h
  eaves prune --max-size 2g               the oldest go until the rest fits`,
		Long: `prune removes the exchanges that match FILTER and are older than AGE, then, with --max-size, the oldest ones that are not
marked until the store is no larger. It needs one of the three.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			what := map[string]any{}
			if f := strings.TrimSpace(strings.Join(args, " ")); f != "" {
				what["filter"] = f
			}
			if older != "" {
				age, err := config.ParseAge(older)
				if err != nil {
					return failure.Wrong("prune", fmt.Errorf("--older %w", err), "")
				}
				what["olderThan"] = capture.Milliseconds(age)
			}
			if maxSize != "" {
				size, err := config.ParseSize(maxSize)
				if err != nil {
					return failure.Wrong("prune", fmt.Errorf("--max-size %w", err), "")
				}
				if size < 1 {
					return failure.Wrong("prune", errors.New("--max-size must be above 0"), "eaves prune is:done removes everything that has ended")
				}
				what["maxSize"] = size
			}
			if len(what) == 0 {
				return failure.Wrong("prune", errors.New("say what to remove: FILTER, --older or --max-size"), "eaves prune --help")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				var done struct {
					Removed int64 `json:"removed"`
					Freed   int64 `json:"freed"`
				}
				bar := p.progress("pruning", 0)
				err := api.Do(cmd.Context(), http.MethodPost, "/prune", nil, what, &done)
				bar.done()
				if err != nil {
					return err
				}
				fmt.Fprintf(p.out, "removed %d exchanges, freed %d bytes\n", done.Removed, done.Freed)
				return nil
			})
		},
	}
	c.Flags().StringVar(&older, "older", "", "only what is older than `AGE`, such as 7d or 12h")
	c.Flags().StringVar(&maxSize, "max-size", "", "remove the oldest until the store is at most `SIZE`, such as 2g")
	return c
}
