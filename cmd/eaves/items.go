package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// list is a list resource of the API as commands handle it.
type list struct {
	path    string // /rules
	field   string // of the answer that lists: rules
	noun    string // rule
	listing string // the command that lists: eaves rule list
}

// listCommand is "list": each item as a line of JSON, or as print has it.
func listCommand[T any](p *program, l list, short string, print func(T)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   short,
		Example: fmt.Sprintf("  %[1]s\n  %[1]s --json", l.listing),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withAPI(cmd, func(api *client.Client) error {
				items, err := itemsOf[T](cmd, api, l)
				if err != nil {
					return err
				}
				for _, item := range items {
					if !asJSON {
						print(item)
					} else if err := json.NewEncoder(p.out).Encode(item); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print each "+l.noun+" as a line of JSON")
	return c
}

// itemsOf asks for a list.
func itemsOf[T any](cmd *cobra.Command, api *client.Client, l list) ([]T, error) {
	var answer map[string]json.RawMessage
	if err := api.Do(cmd.Context(), http.MethodGet, l.path, nil, nil, &answer); err != nil {
		return nil, err
	}
	var items []T
	if err := json.Unmarshal(answer[l.field], &items); err != nil {
		return nil, failure.New("reading the answer of eaves", err, "")
	}
	return items, nil
}

// removeCommand is "remove ID…".
func (p *program) removeCommand(l list, short string) *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID…",
		Short:   short,
		Example: "  " + strings.TrimSuffix(l.listing, "list") + "remove 2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := itemIDs(cmd, l, args)
			if err != nil {
				return err
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				for _, id := range all {
					if err := onItem(cmd, api, l, http.MethodDelete, id, nil, nil); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// itemIDs are arguments that must be ids.
func itemIDs(cmd *cobra.Command, l list, args []string) ([]int64, error) {
	all, ok := ids(args)
	if !ok {
		return nil, failure.Wrong(strings.TrimPrefix(cmd.CommandPath(), "eaves "), fmt.Errorf("%q is not a %s's id", strings.Join(args, " "), l.noun), l.listing)
	}
	return all, nil
}

// onItem does something with one item, and says where there is none.
func onItem(cmd *cobra.Command, api *client.Client, l list, method string, id int64, in, out any) error {
	err := api.Do(cmd.Context(), method, l.path+"/"+strconv.FormatInt(id, 10), nil, in, out)
	if problem := (*client.Problem)(nil); errors.As(err, &problem) && problem.Status == http.StatusNotFound {
		return failure.New("", fmt.Errorf("there is no %s %d", l.noun, id), l.listing)
	}
	return err
}

// warn tells the user what may not work.
func (p *program) warn(warnings []webui.Warning) {
	for _, w := range warnings {
		p.say("warning: " + harmless(w.Message))
	}
}

// whole is a path that means the same wherever eaves runs; "" stays "".
func whole(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}
