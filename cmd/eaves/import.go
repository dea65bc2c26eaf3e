package main

import (
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "take the exchanges of a HAR file",
		Example: `  eaves import traffic.har
  gunzip -c traffic.har.gz | eaves import -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, size := p.in, int64(0)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return failure.New("import", err, "")
				}
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					return failure.New("import", err, "")
				}
				if info.IsDir() {
					return failure.New("import", fmt.Errorf("%s is a directory", args[0]), "")
				}
				in, size = f, info.Size()
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				bar := p.progress("importing", size)
				resp, err := api.Request(cmd.Context(), http.MethodPost, "/import", nil, "application/json", io.NopCloser(counted{Reader: in, bar: bar}))
				bar.done()
				if err != nil {
					return failure.Within("import "+args[0], err)
				}
				defer resp.Body.Close()
				var done struct {
					Imported int64 `json:"imported"`
				}
				if err := client.ReadJSON(resp.Body, &done); err != nil {
					return err
				}
				fmt.Fprintf(p.out, "imported %d exchanges\n", done.Imported)
				return nil
			})
		},
	}
}
