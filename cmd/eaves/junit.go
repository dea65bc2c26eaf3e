package main

import (
	"encoding/xml"
	"fmt"
	"io"

	"eaves/capture"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
}

// writeJUnit writes the results as continuous integration servers read them: an unexpected answer is a failure, no answer
// an error.
func (r *replayer) writeJUnit(w io.Writer) error {
	s := junitSuite{Name: "eaves replay", Tests: len(r.results), Failures: r.unexpected, Errors: r.failed}
	total := 0.0
	for _, res := range r.results {
		name := fmt.Sprintf("%d %s %s", res.of.ID, res.of.Request.Method, res.of.Request.URL)
		c := junitCase{Class: "eaves.replay", Name: name, Time: "0"}
		if res.got != nil {
			c.Time = seconds(res.got)
			total += max(res.got.Time, 0)
		}
		switch {
		case res.failure() != nil:
			c.Error = &junitProblem{res.failure().Error()}
		case res.err != nil:
			c.Failure = &junitProblem{fmt.Sprintf("exchange %d (status %s) does not match %s", res.got.ID, status(res.got), r.expect)}
		}
		s.Cases = append(s.Cases, c)
	}
	s.Time = fmt.Sprintf("%.3f", total/1000)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(x *capture.Exchange) string { return fmt.Sprintf("%.3f", max(x.Time, 0)/1000) }
