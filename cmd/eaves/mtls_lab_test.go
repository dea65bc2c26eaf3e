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
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/lab"
)

// mode is one way in which TLS with an origin, or its view of our certificate, comes out; mostly badly.
type mode struct {
	// name is also the host's: NAME.localhost, so that each mode has rules of its own.
	name string
	// at is the counterpart; host, scheme and path are what is asked for where it is not https://NAME.localhost/.
	at, host, scheme, path string
	// cert is the client certificate that is configured for it, on every port or on that of pattern.
	cert, pattern string
	// policy is its TLS policy.
	policy map[string]any
	// args are more arguments for curl, times is how often it is called.
	args  []string
	times int

	// status is what curl gets; where stage says where it failed, that is 502.
	status         int
	stage          capture.Stage
	verdict, alert string
	// words must all be among message, hint, explanation and verification error; not none of them.
	words, not []string
	// doctor is the stage that eaves doctor finds at fault, "" where it goes through and none where it cannot be asked
	// about this. What it says has the same words.
	doctor string
}

// none marks what doctor cannot be asked about, as it sends one small GET.
const none = "none"

// library is what an error of a library looks like. Users are told what happened in their own words.
var library = regexp.MustCompile(`x509: |tls: |remote error|local error|(read|write|dial) tcp|i/o timeout|\bEOF\b|syscall|http2: |net/http|use of closed`)

// told is the part of an exchange that explains it.
type told struct {
	ID    int64           `json:"id"`
	State string          `json:"state"`
	Error *capture.Error  `json:"error"`
	TLS   *capture.TLS    `json:"tls"`
	Route *capture.Route  `json:"route"`
	Resp  json.RawMessage `json:"response"`
}

func (e *told) words() string {
	var all []string
	if e.Error != nil {
		all = append(all, e.Error.Message, e.Error.Hint)
	}
	if e.TLS != nil {
		all = append(all, e.TLS.VerifyError)
		if cc := e.TLS.ClientCertificate; cc != nil {
			all = append(all, cc.Explanation, cc.Note)
		}
	}
	return strings.Join(all, "\n")
}

// TestFailureModes: for each way in which TLS fails, a real server that fails so, a real client, and what eaves says of it.
func TestFailureModes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many servers")
	}
	curl := need(t, "curl")
	c := startCounterparts(t)
	c.write("large", make([]byte, 3<<20))
	i := running(t, lab.PEM(c.root.Certificate))
	api := client.New(i.run.Console, i.run.Token, true, nil)
	t.Cleanup(api.Close)
	configure(t, c, api)
	t.Run("modes", func(t *testing.T) {
		seen := map[string]bool{}
		for _, m := range failureModes() {
			if seen[m.name] {
				t.Errorf("there are two %s", m.name)
			}
			seen[m.name] = true
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				m.run(t, c, i, api, curl)
			})
		}
	})
}

// configure adds each mode's client certificate and TLS policy.
func configure(t *testing.T, c *counterparts, api *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for _, m := range failureModes() {
		if m.cert != "" {
			pattern := m.pattern
			if pattern == "" {
				pattern = ":*"
			}
			add := map[string]any{"host": m.hostname() + pattern, "certificateFile": c.file(m.cert + ".pem"), "keyFile": c.file(m.cert + ".key")}
			c.check(api.Do(ctx, http.MethodPost, "/client-certificates", nil, add, nil))
		}
		if m.policy != nil {
			m.policy["host"] = m.hostname()
			c.check(api.Do(ctx, http.MethodPost, "/tls-policies", nil, m.policy, nil))
		}
	}
}

func (m *mode) hostname() string {
	if m.host != "" {
		return m.host
	}
	return m.name + ".localhost"
}

func (m *mode) url(c *counterparts) string {
	u := url.URL{Scheme: "https", Host: fmt.Sprintf("%s:%d", m.hostname(), c.at[m.at]), Path: "/", RawQuery: "mode=" + m.name + "."}
	if m.scheme != "" {
		u.Scheme = m.scheme
	}
	if m.path != "" {
		u.Path = m.path
	}
	return u.String()
}

// run calls the counterpart through eaves and looks at what was recorded.
func (m *mode) run(t *testing.T, c *counterparts, i *instance, api *client.Client, curl string) {
	if c.at[m.at] == 0 {
		t.Fatalf("there is no counterpart %q", m.at)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	for range max(m.times, 1) {
		args := append([]string{"-sS", "--noproxy", "", "--proxy", "http://" + i.run.Proxy, "--cacert", i.run.CA, "-o", filepath.Join(t.TempDir(), "body"), "-w", "%{http_code}"}, m.args...)
		cmd := exec.CommandContext(ctx, curl, append(args, m.url(c))...)
		cmd.Dir = c.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		want := m.status
		if m.stage != "" {
			want = http.StatusBadGateway
			if m.stage == capture.StageTimeout {
				want = http.StatusGatewayTimeout
			}
		}
		if string(out) != strconv.Itoa(want) {
			t.Errorf("curl got status %s, want %d", out, want)
		}
	}
	e := m.recorded(ctx, t, api)
	if m.doctor != none {
		m.examine(ctx, t, c, api)
	}
	text := e.words()
	stage := capture.Stage("")
	if e.Error != nil {
		stage = e.Error.Stage
		if e.Error.Hint == "" {
			t.Error("there is no hint")
		}
	}
	if stage != m.stage {
		t.Errorf("it failed at stage %q, want %q", stage, m.stage)
	}
	verdict, alert := "", ""
	if e.TLS != nil && e.TLS.ClientCertificate != nil {
		verdict, alert = e.TLS.ClientCertificate.Verdict, e.TLS.ClientCertificate.Alert
	}
	if m.verdict != "" && verdict != m.verdict {
		t.Errorf("verdict %q, want %q", verdict, m.verdict)
	}
	if alert != m.alert {
		t.Errorf("alert %q, want %q", alert, m.alert)
	}
	m.check(t, "the exchange", text)
	if m.cert != "" && !slices.Contains([]string{"not-requested", "no-rule", "unknown"}, verdict) && e.TLS.ClientCertificate.Rule == "" {
		t.Error("it names no rule")
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("eaves says:\n%s", text)
	}
}

// check looks for what has to be said, and what must not be.
func (m *mode) check(t *testing.T, who, text string) {
	t.Helper()
	for _, w := range m.words {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q", who, w)
		}
	}
	for _, w := range m.not {
		if strings.Contains(text, w) {
			t.Errorf("%s says %q", who, w)
		}
	}
	if found := library.FindString(text); found != "" {
		t.Errorf("%s speaks like a library: %q", who, found)
	}
}

// examine asks doctor about the same URL.
func (m *mode) examine(ctx context.Context, t *testing.T, c *counterparts, api *client.Client) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"url": m.url(c)})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.Request(ctx, http.MethodPost, "/doctor", nil, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	var failed []string
	var last capture.DoctorStage
	for dec := json.NewDecoder(resp.Body); ; {
		last = capture.DoctorStage{}
		if err := dec.Decode(&last); errors.Is(err, io.EOF) {
			t.Fatal("doctor came to no result")
		} else if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %s: %s\n", last.Status, last.Title, last.Message)
		for _, f := range last.Facts {
			fmt.Fprintf(&text, "    %s: %s\n", f.Name, f.Value)
		}
		if last.Hint != "" {
			fmt.Fprintf(&text, "    next: %s\n", last.Hint)
		}
		if last.Stage == capture.DoctorResult {
			break
		}
		if last.Status == capture.DoctorFailed {
			failed = append(failed, last.Stage)
		}
	}
	before := t.Failed()
	if at := strings.Join(failed, ", "); at != m.doctor {
		t.Errorf("doctor finds %q at fault, want %q", at, m.doctor)
	}
	switch {
	case (last.Status == capture.DoctorFailed) != (m.doctor != ""):
		t.Errorf("doctor's result is %s", last.Status)
	case last.Message == "" || m.doctor != "" && last.Hint == "":
		t.Error("doctor's result has no cause or no hint")
	}
	m.check(t, "doctor", text.String())
	if t.Failed() && !before || testing.Verbose() {
		t.Logf("doctor says:\n%s", &text)
	}
}

// recorded waits for the mode's exchanges to end, and returns the latest.
func (m *mode) recorded(ctx context.Context, t *testing.T, api *client.Client) *told {
	t.Helper()
	for {
		var list struct {
			Exchanges []told `json:"exchanges"`
		}
		if err := api.Do(ctx, http.MethodGet, "/exchanges", url.Values{"filter": {`"mode=` + m.name + `."`}}, nil, &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Exchanges) >= max(m.times, 1) && !slices.ContainsFunc(list.Exchanges, func(e told) bool { return e.State == "open" }) {
			var e told
			if err := api.Do(ctx, http.MethodGet, fmt.Sprintf("/exchanges/%d", list.Exchanges[0].ID), nil, nil, &e); err != nil {
				t.Fatal(err)
			}
			return &e
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d exchanges were recorded: %+v", len(list.Exchanges), list.Exchanges)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
