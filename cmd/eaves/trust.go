package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// trustAnchors is the list of CAs that servers may be signed by.
var trustAnchors = list{path: "/trust", field: "trust", noun: "trust anchor", listing: "eaves trust list"}

func (p *program) trustCommand() *cobra.Command {
	return group("trust", "CAs that origins and parent proxies may be signed by", `  eaves trust add corp-ca.pem
  eaves trust add bank-ca.pem --host '*.bank.test'
  eaves trust list
  eaves trust remove 1`,
		p.trustAddCommand(), listCommand(p, trustAnchors, "the CAs that were added to those of this machine", p.printTrust),
		p.removeCommand(trustAnchors, "do not trust CAs any more; the files stay where they are"))
}

func (p *program) trustAddCommand() *cobra.Command {
	var host string
	c := &cobra.Command{
		Use:   "add FILE [--host PATTERN]",
		Short: "trust the CAs in a file, beside those of this machine",
		Example: `  eaves trust add corp-ca.pem                            for every host
  eaves trust add bank-ca.pem --host '*.bank.test'`,
		Long: `add has eaves accept servers that are signed by the CAs in FILE (PEM, DER or PKCS#7), beside those of the system or
SSL_CERT_FILE: any server, or those that match a host pattern. The file is read where it lies, and again when it changes. It
prints the new id.

This is about whom eaves trusts. To have a browser or a device trust eaves itself: eaves ca install.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := whole(args[0])
			if err != nil {
				return failure.New("trust add", err, "")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				var added webui.TrustAnchor
				if err := api.Do(cmd.Context(), http.MethodPost, trustAnchors.path, nil, map[string]any{"file": file, "host": host}, &added); err != nil {
					return err
				}
				fmt.Fprintln(p.out, added.ID)
				p.warn(added.Warnings)
				return nil
			})
		},
	}
	c.Flags().StringVar(&host, "host", "", "only for hosts that match `PATTERN`")
	return c
}

func (p *program) printTrust(t webui.TrustAnchor) {
	host, state := t.Host, ""
	if host == "" {
		host = "every host"
	}
	if !t.Enabled {
		state = "  (off)"
	}
	fmt.Fprintln(p.out, harmless(fmt.Sprintf("%-4d %-28s %s%s", t.ID, host, t.File, state)))
	for _, c := range t.Certificates {
		fmt.Fprintln(p.out, harmless(strings.TrimRight(fmt.Sprintf("     %-60s %s", c.Subject, countdown(c.NotAfter, time.Now())), " ")))
	}
	for _, w := range t.Warnings {
		fmt.Fprintf(p.out, "     warning: %s\n", harmless(w.Message))
	}
	if t.Problem != "" {
		fmt.Fprintf(p.out, "     cannot be used: %s\n", harmless(t.Problem))
	}
}
