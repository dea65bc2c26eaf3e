package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

// question is a URL to ask about, with what is to be otherwise than configured.
type question struct {
	URL         string   `json:"url"`
	Certificate string   `json:"certificate,omitempty"`
	Via         []string `json:"via,omitempty"`
	Verify      *bool    `json:"verify,omitempty"`
}

// flags adds the flags that change what is configured; the returned function reads them once they are parsed.
func (q *question) flags(c *cobra.Command) func() error {
	var verify string
	c.Flags().StringVar(&q.Certificate, "cert", "", "with client certificate `N`, or none, in place of what the rules say")
	c.Flags().StringArrayVar(&q.Via, "via", nil, "the `WAY` in place of what the rules say: direct, system, pac+URL, or a proxy, repeated to make a chain")
	c.Flags().StringVar(&verify, "verify", "", "`on or off`: whether the server's certificate is verified, in place of what the rules say")
	return func() (err error) {
		if q.Via, err = ways(q.Via); err != nil {
			return failure.New(c.Name(), err, "")
		}
		switch verify {
		case "":
		case "on", "off":
			on := verify == "on"
			q.Verify = &on
		default:
			return failure.Wrong(c.Name(), fmt.Errorf("--verify %q: expected on or off", verify), "")
		}
		return nil
	}
}

func (p *program) explainCommand() *cobra.Command {
	var asJSON bool
	var q question
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "what would be done for a URL: route, client certificate, trust, TLS",
		Example: `  eaves explain https://api.bank.test/
  eaves explain api.bank.test:8443 --json
  eaves explain https://api.bank.test/ --via http://proxy.corp.test:3128`,
		Long: `explain says which route a request to URL would take and why, which client certificate would be sent if the server asks
for one, by whom the server's certificate may be signed, and how TLS would be spoken. It sends nothing (a PAC file may ask
DNS); eaves doctor really connects.`,
		Args: cobra.ExactArgs(1),
	}
	read := q.flags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		q.URL = args[0]
		if err := read(); err != nil {
			return err
		}
		query := url.Values{"url": {q.URL}}
		if q.Certificate != "" {
			query.Set("certificate", q.Certificate)
		}
		if len(q.Via) > 0 {
			query["via"] = q.Via
		}
		if q.Verify != nil {
			query.Set("verify", strconv.FormatBool(*q.Verify))
		}
		return p.withAPI(cmd, func(api *client.Client) error {
			var x capture.Explanation
			if err := api.Do(cmd.Context(), http.MethodGet, "/explain", query, nil, &x); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(x)
			}
			return writeExplanation(p.out, &x)
		})
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

// writeExplanation says an explanation in sections.
func writeExplanation(w io.Writer, x *capture.Explanation) error {
	out := &sectionWriter{w: w}
	out.section("route", x.Why...)
	out.section("client certificate", x.ClientCertificate.Explanation)
	for _, c := range x.ClientCertificate.Candidates {
		mark := "-"
		if c.Matches {
			mark = "+"
		}
		out.line("%s %d  %s  %s: %s", mark, c.ID, c.Rule, c.Subject, c.Reason)
	}
	out.section("trust", x.Trust.Explanation)
	for _, a := range x.Trust.Added {
		host := a.Host
		if host == "" {
			host = "every host"
		}
		out.line("+ %d  %s  for %s", a.ID, a.Subject, host)
	}
	out.section("tls", x.TLS.Explanation)
	return out.err
}

// sectionWriter writes titled sections of harmless lines.
type sectionWriter struct {
	w   io.Writer
	err error
}

func (s *sectionWriter) section(title string, lines ...string) {
	s.print("%s\n", title)
	for _, l := range lines {
		s.line("%s", l)
	}
}

func (s *sectionWriter) line(format string, args ...any) {
	s.print("  %s\n", harmless(fmt.Sprintf(format, args...)))
}

func (s *sectionWriter) print(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}
