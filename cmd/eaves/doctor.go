package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

// maxStage bounds a line of the doctor's answer.
const maxStage = 1 << 20

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	var q question
	c := &cobra.Command{
		Use:   "doctor URL",
		Short: "connect to a URL hop by hop and say what happens at each stage",
		Example: `  eaves doctor https://api.bank.test/
  eaves doctor https://api.bank.test/ --cert 2
  eaves doctor https://api.bank.test/ --via http://proxy.corp.test:3128 --json`,
		Long: `doctor connects to the origin of URL as the proxy would and asks for it with GET. It prints each stage as it is passed:
route, DNS, TCP, each parent proxy with its answer and authentication, TLS, whether a client certificate was asked for and
which went out, the first answer, and what the server made of it all; for a failure its cause and the next step. Nothing
is recorded. The exit status is 1 unless the origin answered and nothing was wrong with the client certificate.`,
		Args: cobra.ExactArgs(1),
	}
	read := q.flags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		q.URL = args[0]
		if err := read(); err != nil {
			return err
		}
		return p.examine(cmd, "/doctor", q, asJSON)
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print each stage as a line of JSON")
	return c
}

// examine asks a question that is answered stage by stage, and prints the stages.
func (p *program) examine(cmd *cobra.Command, path string, question any, asJSON bool) error {
	return p.withAPI(cmd, func(api *client.Client) error {
		body, err := json.Marshal(question)
		if err != nil {
			return err
		}
		resp, err := api.Request(cmd.Context(), http.MethodPost, path, nil, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return p.tellStages(bufio.NewScanner(resp.Body), asJSON)
	})
}

// tellStages prints stages as they come. Its error is the status of the result.
func (p *program) tellStages(lines *bufio.Scanner, asJSON bool) error {
	lines.Buffer(nil, maxStage)
	var last capture.DoctorStage
	for lines.Scan() {
		last = capture.DoctorStage{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return failure.New("reading the answer of eaves", err, "")
		}
		if asJSON {
			fmt.Fprintf(p.out, "%s\n", lines.Bytes())
			continue
		}
		p.tellStage(last)
	}
	if err := lines.Err(); err != nil {
		return failure.New("reading the answer of eaves", err, "")
	}
	switch {
	case last.Stage != capture.DoctorResult:
		return failure.New("doctor", errors.New("the examination was broken off"), "try again")
	case last.Status == capture.DoctorFailed:
		return failure.Status(failure.Work)
	}
	return nil
}

// tellStage prints one stage.
func (p *program) tellStage(s capture.DoctorStage) {
	word := map[capture.DoctorStatus]string{
		capture.DoctorOK: "ok", capture.DoctorFailed: "FAILED", capture.DoctorWarning: "warning", capture.DoctorSkipped: "-", capture.DoctorInfo: "-",
	}[s.Status]
	took := ""
	if s.Time >= 0 {
		took = fmt.Sprintf("  (%.1f ms)", s.Time)
	}
	fmt.Fprintf(p.out, "%-8s %s%s\n", word, harmless(s.Title), took)
	if s.Message != "" {
		fmt.Fprintf(p.out, "         %s\n", harmless(s.Message))
	}
	for _, f := range s.Facts {
		fmt.Fprintf(p.out, "         %s: %s\n", harmless(f.Name), harmless(f.Value))
	}
	if s.Hint != "" {
		fmt.Fprintf(p.out, "         next: %s\n", harmless(s.Hint))
	}
}
