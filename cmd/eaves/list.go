package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) listCommand() *cobra.Command {
	var limit int
	var follow, asJSON bool
	var names string
	c := &cobra.Command{
		Use:   "list [FILTER]",
		Short: "captured exchanges, newest last",
		Example: `  eaves list
  eaves list 'host:*.example.com status:5xx' --limit 20
  eaves list --follow method:POST
  eaves list --columns id,status,url,error is:failed
  eaves list --json 'took>1s' | jq -r .request.url`,
		Long: `list prints the captured exchanges that match FILTER (all of them without one), newest last. With --json each line is
one exchange as the API gives it, without headers and bodies.

A filter is made of words and of fields with values, joined by and, or, not and parentheses; what stands side by side is
joined by and. A bare word is looked for in the URL, a bare field asks whether there is one. Operators are : = != < <= > >=
~ (a regular expression) and in (a,b); values are words, "quoted text", numbers with units (b k m g, ms s m h d), 4xx, a..b,
networks, and patterns with *. Fields:

  id method url scheme host port path query proto kind status type header[n] req.header[n] resp.header[n] body req.body
  resp.body size req.size resp.size took ttfb at client run answered route hop hop.status bypass tls.version tls.cipher
  alpn sni verified cert.asked cert.sent cert.rule cert.verdict cert.expires alert error replay.of mark comment
  is:open|done|failed|replay|marked|websocket`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return failure.Wrong("list", errors.New("--limit must not be negative"), "")
			}
			cols, err := pickColumns(names)
			if err != nil {
				return failure.Wrong("list", err, "")
			}
			l := &lister{out: p.out, cols: cols, json: asJSON}
			l.width, l.terminal = terminal(p.out)
			return p.withAPI(cmd, func(api *client.Client) error {
				f := strings.Join(args, " ")
				if follow {
					return l.follow(cmd, api, f, limit)
				}
				found, err := api.Newest(cmd.Context(), f, limit)
				if err != nil {
					return err
				}
				return l.print(found...)
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "print the `N` newest; 0: all")
	c.Flags().BoolVar(&follow, "follow", false, "go on printing exchanges as they end")
	c.Flags().StringVar(&names, "columns", defaultColumns, "columns to print, separated by commas")
	c.Flags().BoolVar(&asJSON, "json", false, "print each exchange as a line of JSON")
	return c
}

// lister prints exchanges.
type lister struct {
	out      io.Writer
	cols     []column
	json     bool
	terminal bool
	width    int
	headed   bool
}

// print prints exchanges as the flags say.
func (l *lister) print(list ...*capture.Exchange) error {
	for _, x := range list {
		if l.json {
			if err := json.NewEncoder(l.out).Encode(x); err != nil {
				return err
			}
			continue
		}
		if l.terminal && !l.headed {
			l.headed = true
			fmt.Fprintln(l.out, row(l.cols, l.width, func(c column) string { return c.name }))
		}
		if _, err := fmt.Fprintln(l.out, row(l.cols, l.width, func(c column) string { return c.text(x) })); err != nil {
			return err
		}
	}
	return nil
}

// follow prints what there is, then every exchange once when it has ended.
func (l *lister) follow(cmd *cobra.Command, api *client.Client, matching string, limit int) error {
	if !api.Live() {
		return failure.New("list --follow", errors.New("no eaves runs on this data directory, so nothing would ever come"), "eaves run")
	}
	ctx := cmd.Context()
	s, err := api.Stream(ctx, matching, -1)
	if err != nil {
		return err
	}
	defer s.Close()
	hello, err := s.Next()
	if err != nil {
		return failure.New("following the running eaves", err, "")
	}
	before, err := api.Newest(ctx, matching, limit)
	if err != nil {
		return err
	}
	printed := map[int64]bool{} // later revisions, of a comment say, are not news
	for _, x := range before {
		if x.State == capture.StateOpen || x.Seq > hello.Seq {
			continue // the stream will tell
		}
		printed[x.ID] = true
		if err := l.print(x); err != nil {
			return err
		}
	}
	ended := func(x *capture.Exchange) error {
		if x.State == capture.StateOpen || printed[x.ID] {
			return nil
		}
		printed[x.ID] = true
		return l.print(x)
	}
	for {
		e, err := s.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return failure.New("following the running eaves", errors.New("it has ended"), "")
		}
		switch e.Type {
		case "exchange":
			err = ended(e.Exchange)
		case "gap":
			err = api.ChangedAfter(ctx, matching, e.From, ended)
		case "removed":
			for _, id := range e.IDs {
				delete(printed, id)
			}
		}
		if err != nil {
			return err
		}
	}
}

// ids reads arguments that are all ids; false where one is not.
func ids(args []string) ([]int64, bool) {
	var all []int64
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil || id <= 0 {
			return nil, false
		}
		all = append(all, id)
	}
	return all, len(all) > 0
}

// oneID reads an argument that must be an id.
func oneID(cmd *cobra.Command, arg string) (int64, error) {
	all, ok := ids([]string{arg})
	if !ok {
		return 0, failure.Wrong(cmd.Name(), fmt.Errorf("%q is not an exchange's id", arg), "eaves list")
	}
	return all[0], nil
}

// filterQuery is a query with a filter, if there is one.
func filterQuery(f string) url.Values {
	q := url.Values{}
	if f != "" {
		q.Set("filter", f)
	}
	return q
}
