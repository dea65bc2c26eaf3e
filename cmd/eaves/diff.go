package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"eaves/capture/diff"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) diffCommand() *cobra.Command {
	var asJSON bool
	var mask string
	c := &cobra.Command{
		Use:   "diff ID ID",
		Short: "two exchanges side by side",
		Example: `  eaves diff 42 57
  eaves diff 42 57 --mask noise   dates, ids and random tokens make no difference
  eaves diff 42 57 --json`,
		Long: `diff compares heads, bodies (JSON by its structure), TLS, route and timings, one difference a line: - is the first
exchange, + the second. The exit status is diff's: 0 when they are the same, 1 when they differ. What only says when an
exchange happened (timings, the header Date) is shown, marked with ~, and makes no difference, and so is what --mask names.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var pair [2]int64
			for i, a := range args {
				var err error
				if pair[i], err = oneID(cmd, a); err != nil {
					return err
				}
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				r, err := compare(cmd.Context(), api, pair[0], pair[1], mask)
				if err != nil {
					return err
				}
				if asJSON {
					enc := json.NewEncoder(p.out)
					for _, d := range r.Differences {
						if err := enc.Encode(d); err != nil {
							return err
						}
					}
				} else {
					printDifferences(p.out, r.Differences)
				}
				for _, note := range r.Notes {
					p.say("note: " + note)
				}
				if r.More > 0 {
					p.say(fmt.Sprintf("note: there are %d more differences", r.More))
				}
				if !r.Same {
					return failure.Status(1)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&mask, "mask", "", "let `KINDS` of noise make no difference: dates, ids, tokens, numbers, or noise for the first three")
	c.Flags().BoolVar(&asJSON, "json", false, "print each difference as a line of JSON")
	return c
}

// printDifferences prints differences for a person.
func printDifferences(w io.Writer, ds []diff.Difference) {
	for _, d := range ds {
		mark := ""
		if d.Incidental || len(d.Masked) > 0 {
			mark = "~ "
		}
		fmt.Fprintf(w, "%s%s\n", mark, harmless(d.Where))
		if d.A != nil {
			fmt.Fprintf(w, "  - %s\n", harmless(*d.A))
		}
		if d.B != nil {
			fmt.Fprintf(w, "  + %s\n", harmless(*d.B))
		}
	}
}

// compare asks what differs between two exchanges. mask names the kinds of noise that make no difference.
func compare(ctx context.Context, api *client.Client, first, second int64, mask string) (diff.Result, error) {
	q := url.Values{"a": {strconv.FormatInt(first, 10)}, "b": {strconv.FormatInt(second, 10)}}
	if mask != "" {
		q.Set("mask", mask)
	}
	var r diff.Result
	err := api.Do(ctx, http.MethodGet, "/diff", q, nil, &r)
	return r, err
}
