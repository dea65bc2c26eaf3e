package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/proxy/upstream/hop/hoptest"
	"eaves/webui"
)

// situation is one way to an origin, or to a failure before it.
type situation struct {
	name string
	// on is the eaves: "" has a rule for each situation, others decide by what they were started with.
	on string
	// via are the stations of the rule: see chainLab.way. user, password and schemes are the rule's own.
	via            []string
	user, password string
	schemes        []string
	// protocols are those that it is tried with: http, h1 and h2 (to an https origin), ws and wss.
	protocols string
	// host and path are what is asked for where it is not localhost and /; port is a port where no origin listens.
	host, path string
	closed     bool
	// args are more arguments for curl.
	args []string

	// status is what the client gets; where stage says where it failed, that is 502. body is what is in what it gets. cut says
	// that the answer breaks off.
	status int
	body   string
	cut    bool
	stage  capture.Stage
	by     capture.Answerer
	// source and reason are the route's: {NAME} is the address of a proxy. hops are its stations, with authentication and
	// status of CONNECT.
	source, reason, hops string
	// words must all be among message and hint; not none of them.
	words, not []string
	// slow is one that takes until something gives up waiting.
	slow bool
}

// chainRun is a situation with a protocol.
type chainRun struct {
	situation
	protocol string
	port     int

	got    string // what the client got
	status int
	err    error
	asked  *askedAbout
}

// id is what its requests are told by.
func (r *chainRun) id() string { return "run=" + r.name + "." + r.protocol + "." }

func (r *chainRun) hostname() string {
	if r.situation.host != "" {
		return r.situation.host
	}
	return "localhost"
}

func (r *chainRun) secure() bool { return slices.Contains([]string{"h1", "h2", "wss"}, r.protocol) }

func (r *chainRun) socket() bool { return r.protocol == "ws" || r.protocol == "wss" }

// target is what is asked for.
func (r *chainRun) target() string {
	path := r.path
	switch {
	case path == "" && r.socket():
		path = "/ws"
	case path == "":
		path = "/"
	}
	return path + "?" + r.id()
}

// chainEaves is an eaves that runs for these tests.
type chainEaves struct {
	*instance
	t   *testing.T
	dir string
	api *client.Client
	end func()
}

func newChainEaves(t *testing.T, dir string, i *instance) *chainEaves {
	e := &chainEaves{instance: i, t: t, dir: dir, api: client.New(i.run.Console, i.run.Token, true, nil)}
	e.end = sync.OnceFunc(func() {
		e.api.Close()
		if took, err := i.stop(syscall.SIGTERM); err != nil || took > busy {
			t.Errorf("stopping took %s and gave %v\n%s", took, err, i.err)
		}
		e.keptNoSecret()
	})
	t.Cleanup(e.end)
	return e
}

func (e *chainEaves) do(method, path string, query url.Values, in, out any) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := e.api.Do(ctx, method, path, query, in, out); err != nil {
		e.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// add adds a rule for one port of an origin.
func (e *chainEaves) add(in map[string]any) (id int64) {
	e.t.Helper()
	var added webui.ProxyRoute
	e.do(http.MethodPost, proxyRoutes.path, nil, in, &added)
	return added.ID
}

// secretForms are the secrets, in the forms in which they could stand anywhere.
func secretForms() []string {
	var forms []string
	for _, v := range chainSecrets {
		quoted, _ := json.Marshal(v)
		forms = append(forms, v, strings.Trim(string(quoted), `"`), url.PathEscape(v), url.QueryEscape(v))
		for _, user := range []string{hoptest.User, hoptest.Domain + `\` + hoptest.User} {
			forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+":"+v)))
		}
	}
	// Of what answers challenges nothing is kept either: NTLM's messages, SPNEGO's tokens, Digest's answers.
	return append(forms, "TlRMTVNTUAAB", "TlRMTVNTUAAC", "TlRMTVNTUAAD", "YIIC", `nonce="`, `cnonce`)
}

func holdsNoSecret(t *testing.T, what string, b []byte) {
	t.Helper()
	for _, form := range secretForms() {
		if i := bytes.Index(b, []byte(form)); i >= 0 {
			t.Errorf("%s holds %q: %q", what, form, b[max(0, i-80):min(len(b), i+80)])
		}
	}
}

// keptNoSecret looks through everything that eaves has written. It has ended by then.
func (e *chainEaves) keptNoSecret() {
	holdsNoSecret(e.t, "what it printed", e.err.Bytes())
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil {
			holdsNoSecret(e.t, d.Name(), b)
		}
		return err
	})
	if err != nil {
		e.t.Error(err)
	}
}

// tellsNoSecret looks at what eaves hands out while it runs.
func (e *chainEaves) tellsNoSecret() {
	for _, format := range exportFormats {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		resp, err := e.api.Request(ctx, http.MethodGet, "/export", url.Values{"format": {format}, "secrets": {"true"}}, "", nil)
		var out []byte
		if err == nil {
			out, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		cancel()
		if err != nil || len(out) == 0 {
			e.t.Errorf("the export as %s: %d bytes, %v", format, len(out), err)
		}
		holdsNoSecret(e.t, "the export as "+format, out)
	}
	for _, path := range []string{"/routes", "/status", "/secrets"} {
		var out json.RawMessage
		e.do(http.MethodGet, path, nil, nil, &out)
		holdsNoSecret(e.t, path, out)
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", e.run.PID)); err == nil {
		holdsNoSecret(e.t, "the process list", line)
	}
}

// TestProxyChains: real parent proxies, and broken ones, alone and in chains; real clients, and what eaves says of the way.
func TestProxyChains(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many servers")
	}
	curl := need(t, "curl")
	l := startChainLab(t)
	eaves := map[string]*chainEaves{
		"": l.run(nil),
		"custom": l.run(nil, append([]string{"--bypass", "bypassed.localhost, .suffix.localhost; *.wild.localhost,127.0.2.0/24"},
			flags("--upstream-proxy", l.way("basic", "open"))...)...),
		"system": l.run([]string{"http_proxy=" + l.way("open")[0], "HTTPS_PROXY=http://alice:" + url.PathEscape(hoptest.Password) + "@" + l.address("basic"),
			"NO_PROXY=direct.corp.test,.elsewhere.test"}),
		"pac": l.run(nil, "--upstream-proxy", "pac+"+l.pac()),
	}
	eaves[""].do(http.MethodPost, "/client-certificates", nil, map[string]any{"host": l.address("mtls"), "for": "proxy", "certificateFile": l.clientCertificate, "keyFile": l.clientKey}, nil)
	l.loop(eaves[""])
	t.Cleanup(func() { // all at the same time
		var wg sync.WaitGroup
		for _, e := range eaves {
			wg.Go(e.end)
		}
		wg.Wait()
	})
	runs := l.runs(eaves[""])
	done := runAll(l, runs, eaves, curl)
	names := map[string]bool{}
	t.Run("situations", func(t *testing.T) {
		for _, r := range runs {
			names[r.name] = true
			t.Run(r.name+"/"+r.protocol, func(t *testing.T) {
				<-done[r]
				r.check(t, l, eaves[r.on])
			})
		}
	})
	if len(names) != len(situations()) {
		t.Errorf("%d names for %d situations", len(names), len(situations()))
	}
	t.Run("comes back", func(t *testing.T) { l.comesBack(t, eaves[""], curl) })
	t.Run("switched under way", func(t *testing.T) { l.switched(t, eaves[""]) })
	for _, e := range eaves {
		e.tellsNoSecret()
	}
	if told := l.origin.wasTold(); len(told) > 0 {
		t.Errorf("the origin was told what is for proxies: %q", told)
	}
}

func flags(name string, values []string) (args []string) {
	for _, v := range values {
		args = append(args, name, v)
	}
	return args
}
