package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

// exportFormats are what exchanges can be written as.
var exportFormats = [...]string{"har", "curl", "jsonl", "pcapng"}

func (p *program) exportCommand() *cobra.Command {
	var format, output string
	var secrets bool
	c := &cobra.Command{
		Use:   "export [FILTER] --format FORMAT [-o FILE]",
		Short: "write exchanges as HAR, curl commands, JSON lines or pcapng",
		Example: `  eaves export --format har -o all.har
  eaves export 'host:example.com status:5xx' --format curl
  eaves export --format pcapng -o all.pcapng && wireshark all.pcapng
  eaves export id:42 --format har --with-secrets -o one.har`,
		Long: `export writes the exchanges that match FILTER (all of them without one). Credentials (Authorization, Proxy-Authorization,
cookies, keys in URLs) are masked unless --with-secrets is given. Without -o it writes to standard output.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(exportFormats[:], format) {
				return failure.Wrong("export", fmt.Errorf("--format %q: expected one of %s", format, strings.Join(exportFormats[:], ", ")), "eaves export --format har -o all.har")
			}
			if _, tty := terminal(p.out); tty && output == "" && format == "pcapng" {
				return failure.Wrong("export", errors.New("pcapng is not for a terminal"), "add -o FILE")
			}
			query := filterQuery(strings.Join(args, " "))
			query.Set("format", format)
			if secrets {
				query.Set("secrets", "true")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				resp, err := api.Request(cmd.Context(), http.MethodGet, "/export", query, "", nil)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if output == "" || output == "-" {
					if _, err := io.Copy(p.out, resp.Body); err != nil {
						return failure.New("export", err, "")
					}
					return nil
				}
				bar := p.progress("exporting", resp.ContentLength)
				defer bar.done()
				mode := os.FileMode(0o644)
				if secrets {
					mode = 0o600
				}
				return writeFile(output, mode, func(f io.Writer) error {
					_, err := io.Copy(counted{Writer: f, bar: bar}, resp.Body)
					return err
				})
			})
		},
	}
	c.Flags().StringVar(&format, "format", "har", "`FORMAT`: "+strings.Join(exportFormats[:], ", "))
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`")
	c.Flags().BoolVar(&secrets, "with-secrets", false, "do not mask credentials")
	return c
}

// writeFile makes a file whole or not at all.
func writeFile(path string, mode os.FileMode, fill func(io.Writer) error) error {
	fail := func(err error) error { return failure.New("writing "+path, err, "") }
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe or a device is written to as it is
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return fail(err)
		}
		if err := errors.Join(fill(f), f.Close()); err != nil {
			return fail(err)
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fail(err)
	}
	err = fill(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fail(err)
	}
	return nil
}
