package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/browser"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) browserCommand() *cobra.Command {
	var open string
	var known []string
	for _, k := range browser.Kinds() {
		known = append(known, string(k))
	}
	c := &cobra.Command{
		Use:   "browser [" + strings.Join(known, "|") + "]",
		Short: "open a browser with a throw-away profile that uses the running eaves",
		Example: `  eaves browser
  eaves browser firefox
  eaves browser chromium --url https://example.com/`,
		Long: `browser opens a browser whose profile is new, sends everything (this machine's own addresses too) through the running
eaves and trusts its CA. The profile is thrown away when the browser is closed. Your own browser is not touched.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var kind browser.Kind
			if len(args) == 1 {
				kind = browser.Kind(args[0])
				if kind != browser.Chromium && kind != browser.Firefox {
					return failure.Wrong("browser", fmt.Errorf("%q: expected %s", args[0], strings.Join(known, " or ")), "")
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return p.withAPI(cmd, func(api *client.Client) error {
				if !api.Live() {
					return failure.New("browser", errors.New("no eaves runs on this data directory"), "eaves run")
				}
				var status struct {
					Proxy string `json:"proxy"`
					CA    string `json:"ca"`
				}
				if err := api.Do(ctx, http.MethodGet, "/status", nil, nil, &status); err != nil {
					return err
				}
				ca, err := readCertificate(status.CA)
				if err != nil {
					return failure.New("browser", err, "")
				}
				err = browser.Run(ctx, browser.Config{Kind: kind, Proxy: status.Proxy, CA: ca, URL: open, Say: p.say})
				if err != nil {
					return failure.New("browser", err, "")
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&open, "url", "", "open this `URL` instead of the page that checks proxy and trust")
	return c
}

// readCertificate reads a PEM file with one certificate.
func readCertificate(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}
