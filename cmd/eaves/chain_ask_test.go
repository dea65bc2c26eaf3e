package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"eaves/capture"
)

// askedAbout is what eaves says when it is asked about a run's URL, and not for it.
type askedAbout struct {
	explained struct {
		Route *capture.Route `json:"route"`
		Why   []string       `json:"why"`
	}
	explainErr error

	// doctor is what doctor printed, result its last stage.
	doctor    string
	result    capture.DoctorStage
	doctorErr error
}

// asks says whether a run is one to ask about: what doctor sends is one small GET.
func (r *chainRun) asks() bool { return r.protocol == "h1" && r.args == nil && !r.cut && !r.slow }

// ask has the run's URL explained and examined.
func (r *chainRun) ask(ctx context.Context, e *chainEaves, address string) *askedAbout {
	a := new(askedAbout)
	a.explainErr = e.api.Do(ctx, http.MethodGet, "/explain", url.Values{"url": {address}}, nil, &a.explained)
	body, err := json.Marshal(map[string]any{"url": address})
	if err != nil {
		a.doctorErr = err
		return a
	}
	resp, err := e.api.Request(ctx, http.MethodPost, "/doctor", nil, "application/json", bytes.NewReader(body))
	if err != nil {
		a.doctorErr = err
		return a
	}
	defer resp.Body.Close()
	var text strings.Builder
	for dec := json.NewDecoder(resp.Body); a.result.Stage != capture.DoctorResult; {
		a.result = capture.DoctorStage{}
		if err := dec.Decode(&a.result); errors.Is(err, io.EOF) {
			a.doctorErr = errors.New("doctor came to no result")
			break
		} else if err != nil {
			a.doctorErr = err
			break
		}
		fmt.Fprintf(&text, "%s %s: %s\n", a.result.Status, a.result.Title, a.result.Message)
		for _, f := range a.result.Facts {
			fmt.Fprintf(&text, "    %s: %s\n", f.Name, f.Value)
		}
		if a.result.Hint != "" {
			fmt.Fprintf(&text, "    next: %s\n", a.result.Hint)
		}
	}
	a.doctor = text.String()
	return a
}

// check holds what is explained and what doctor says to what happens.
func (a *askedAbout) check(t *testing.T, l *chainLab, r *chainRun, status int) {
	t.Helper()
	switch {
	case r.stage == capture.StageRoute && r.on == "pac":
		for _, w := range r.words {
			if a.explainErr == nil || !strings.Contains(a.explainErr.Error(), w) {
				t.Errorf("explain does not say %q of the PAC file: %v", w, a.explainErr)
			}
		}
	case a.explainErr != nil:
		t.Errorf("explain: %v", a.explainErr)
	case a.explained.Route == nil:
		t.Error("explain knows no route")
	default:
		source := r.source
		if source == "" {
			source = "rule"
		}
		// What cannot be reached is known only once it has been tried.
		reason := l.fill(r.reason)
		if r.on == "" || strings.HasSuffix(reason, "cannot be reached") {
			reason = ""
		}
		if got := a.explained.Route; got.Source != source || !strings.Contains(got.Reason, reason) {
			t.Errorf("explain says %s, %q; want %s, %q", got.Source, got.Reason, source, reason)
		}
	}
	failed := r.stage != "" || r.by == capture.AnsweredByProxy // an origin may answer what it likes
	switch {
	case a.doctorErr != nil:
		t.Errorf("doctor: %v", a.doctorErr)
	case failed != (a.result.Status == capture.DoctorFailed):
		t.Errorf("doctor's result is %s where the client got %d", a.result.Status, status)
	case a.result.Message == "" || r.stage != "" && a.result.Hint == "":
		t.Error("doctor's result has no cause or no hint")
	}
	for _, w := range r.words {
		if !strings.Contains(a.doctor, l.fill(w)) {
			t.Errorf("doctor does not say %q", l.fill(w))
		}
	}
	if found := libraryWords.FindString(a.doctor); found != "" {
		t.Errorf("doctor speaks like a library: %q", found)
	}
	holdsNoSecret(t, "what doctor says", []byte(a.doctor))
	explained, _ := json.Marshal(a.explained)
	holdsNoSecret(t, "what is explained", explained)
	if t.Failed() {
		t.Logf("explain says %s\ndoctor says\n%s", explained, a.doctor)
	}
}
