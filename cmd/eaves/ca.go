package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eaves/certs"
	"eaves/certs/truststore"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) caCommand() *cobra.Command {
	return group("ca", "the interception CA: show, export, rotate, install, uninstall", `  eaves ca show
  eaves ca export --format mobileconfig -o eaves.mobileconfig
  eaves ca install
  eaves ca rotate`, p.caShowCommand(), p.caExportCommand(), p.caRotateCommand(), p.caInstallCommand(), p.caUninstallCommand())
}

// ca loads the CA of the data directory, also one that cannot sign any more. If there is none yet it is made, as a first
// run would make it.
func (p *program) ca(cmd *cobra.Command) (*certs.CA, error) {
	cfg, err := config.Load(cmd.Flags())
	if err != nil {
		return nil, err
	}
	ca, err := certs.Load(cfg.Data)
	usual, _ := datadir.Default()
	if user := os.Getenv("SUDO_USER"); errors.Is(err, certs.ErrNoCA) && user != "" && os.Geteuid() == 0 && cfg.Data == usual {
		// Making one here would have root's machine trust a CA that the user's eaves does not use.
		return nil, failure.New("loading the CA", fmt.Errorf("%s has none: it is root's data directory, not that of %s", cfg.Data, user), "name the directory with --data, or run this without sudo: it prints what needs sudo")
	}
	if errors.Is(err, certs.ErrNoCA) {
		if err := datadir.Prepare(cfg.Data); err != nil {
			return nil, err
		}
		ca, err = certs.LoadOrCreate(cfg.Data)
	}
	if err != nil {
		return nil, failure.New("loading the CA", err, "")
	}
	return ca, nil
}

func (p *program) caShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "where the CA is, its name, validity and fingerprint",
		Example: "  eaves ca show",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ca, err := p.ca(cmd)
			if err != nil {
				return err
			}
			c := ca.Certificate()
			fmt.Fprintf(p.out, "file      %s\n", ca.CertificateFile())
			fmt.Fprintf(p.out, "name      %s\n", harmless(ca.Name()))
			fmt.Fprintf(p.out, "valid     %s to %s\n", c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"))
			fmt.Fprintf(p.out, "serial    %x\n", c.SerialNumber)
			fmt.Fprintf(p.out, "sha256    %s\n", ca.Fingerprint())
			fmt.Fprintf(p.out, "spki      %s\n", ca.SPKIHash())
			return nil
		},
	}
}

func (p *program) caExportCommand() *cobra.Command {
	var format, output string
	var names []string
	for _, f := range certs.Formats() {
		names = append(names, string(f))
	}
	c := &cobra.Command{
		Use:   "export [--format FORMAT] [-o FILE]",
		Short: "write the CA's certificate, never its key",
		Example: `  eaves ca export -o eaves.pem
  eaves ca export --format der -o eaves.crt
  eaves ca export --format p12 -o eaves.p12                     password: ` + certs.P12Password + `
  eaves ca export --format mobileconfig -o eaves.mobileconfig   a profile for iPhone, iPad and Mac`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			known := false
			for _, n := range names {
				known = known || n == format
			}
			if !known {
				return failure.Wrong("ca export", fmt.Errorf("--format %q: expected one of %s", format, strings.Join(names, ", ")), "")
			}
			if _, tty := terminal(p.out); tty && output == "" && (format == "der" || format == "p12") {
				return failure.Wrong("ca export", fmt.Errorf("%s is not for a terminal", format), "add -o FILE")
			}
			ca, err := p.ca(cmd)
			if err != nil {
				return err
			}
			file, err := ca.Export(certs.Format(format))
			if err != nil {
				return failure.New("ca export", err, "")
			}
			if output == "" || output == "-" {
				_, err = p.out.Write(file.Data)
				return err
			}
			return writeFile(output, 0o644, func(w io.Writer) error {
				_, err := w.Write(file.Data)
				return err
			})
		},
	}
	c.Flags().StringVar(&format, "format", "pem", "`FORMAT`: "+strings.Join(names, ", "))
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`")
	return c
}

func (p *program) caRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rotate",
		Short:   "replace the CA by a new one",
		Example: "  eaves ca rotate && eaves ca install",
		Long: `rotate makes a new CA with a new key. Clients that trusted the old one must be told to trust the new one. The old one is
kept beside it, as ca.XXXXXXXX.pem and .key, which nothing reads. It needs eaves to be stopped.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			dir, err := datadir.Open(cfg.Data)
			if held := (*datadir.HeldError)(nil); errors.As(err, &held) {
				return failure.New("ca rotate", err, "stop it first; a running eaves goes on with the CA it began with")
			}
			if err != nil {
				return err
			}
			defer dir.Close()
			ca, old, err := certs.Rotate(cfg.Data)
			if err != nil {
				return failure.New("ca rotate", err, "")
			}
			fmt.Fprintf(p.out, "%s\n", ca.CertificateFile())
			fmt.Fprintf(p.out, "sha256 %s\n", ca.Fingerprint())
			if old != nil {
				p.say("the old CA is kept as " + strings.Join(old.Files, " and "))
			}
			p.say("clients that trusted the old CA must trust the new one: eaves ca install, and the devices that were set up by hand")
			return nil
		},
	}
}

func (p *program) caInstallCommand() *cobra.Command {
	return p.storeCommand("install", "make this machine trust the CA", truststore.Install, `  eaves ca install
  eaves ca install --store nss        only Firefox and Chromium of this user
  eaves ca install --store java`)
}

func (p *program) caUninstallCommand() *cobra.Command {
	return p.storeCommand("uninstall", "take the CA out of the trust stores again", truststore.Uninstall, `  eaves ca uninstall
  eaves ca uninstall --store nss`)
}

// storeCommand is install or uninstall: it says what was done to each store, and what is left to type.
func (p *program) storeCommand(name, short string, do func(context.Context, *x509.Certificate, truststore.Options) ([]truststore.Step, error), example string) *cobra.Command {
	var stores []string
	var asJSON bool
	var known []string
	for _, k := range truststore.Kinds() {
		known = append(known, string(k))
	}
	c := &cobra.Command{
		Use:     name,
		Short:   short,
		Example: example,
		Long: "Trust stores are the system's, those of Firefox and Chromium (NSS), and Java's. Each line says what became of one of them. What\n" +
			"needs rights or programs that are not there is printed as the commands to type, and the exit status is then 1.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var o truststore.Options
			for _, s := range stores {
				if !slices.Contains(known, s) {
					return failure.Wrong("ca "+name, fmt.Errorf("--store %q: expected %s", s, strings.Join(known, ", ")), "")
				}
				o.Kinds = append(o.Kinds, truststore.Kind(s))
			}
			ca, err := p.ca(cmd)
			if err != nil {
				return err
			}
			o.CertFile = ca.CertificateFile()
			steps, err := do(cmd.Context(), ca.Certificate(), o)
			left := 0
			for _, s := range steps {
				toType := s.Commands
				if s.Status != truststore.Manual && s.Status != truststore.Failed {
					toType = nil
				}
				left += len(toType)
				if asJSON {
					if err := json.NewEncoder(p.out).Encode(s); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintln(p.out, s)
				for _, c := range toType {
					fmt.Fprintln(p.out, "    "+c)
				}
			}
			hint := ""
			if left > 0 {
				hint = "type the commands above"
				if err == nil {
					err = errors.New("some stores are left to you")
				}
			}
			if err != nil {
				return failure.New("ca "+name, err, hint)
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&stores, "store", nil, "only this `STORE`: "+strings.Join(known, ", "))
	c.Flags().BoolVar(&asJSON, "json", false, "print each step as a line of JSON")
	return c
}
