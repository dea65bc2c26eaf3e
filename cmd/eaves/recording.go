package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) recordingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recording [on|off]",
		Short: "turn recording on or off; traffic flows either way",
		Example: `  eaves recording          says which it is
  eaves recording off
  eaves recording on`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != "on" && args[0] != "off" {
				return failure.Wrong("recording", fmt.Errorf("%q: expected on or off", args[0]), "")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				var state struct {
					Recording bool `json:"recording"`
				}
				if len(args) == 1 {
					state.Recording = args[0] == "on"
					return api.Do(cmd.Context(), http.MethodPut, "/recording", nil, state, nil)
				}
				if err := api.Do(cmd.Context(), http.MethodGet, "/recording", nil, nil, &state); err != nil {
					return err
				}
				word := "off"
				if state.Recording {
					word = "on"
				}
				fmt.Fprintln(p.out, word)
				return nil
			})
		},
	}
}
