package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"github.com/rogpeppe/go-internal/testscript"

	"eaves/proxy/upstream/hop/hoptest"
)

// TestMain lets the scripts run this very program as eaves, and squid as the helper that verifies NTLM.
func TestMain(m *testing.M) {
	hoptest.Main()
	testscript.Main(m, map[string]func(){"eaves": main})
}

// TestScript runs testdata/script: one file for each behaviour of the command line. Beside testscript's own commands
// there are
//
//	up [FLAG…]          starts eaves run on $DATA with free ports and waits until it is ready
//	down [SIGNAL]       stops it (TERM, INT, KILL) and checks its exit status; it has five seconds
//	get URL [FLAG…]     asks URL through the proxy: -method M, -body B, -h2, -header N=V; prints status and body
//	settle N            waits until N exchanges have ended and are committed
//	mode FILE MODE      checks a file's mode
//	lines FILE N        waits until FILE has N lines
//
// and the variables $HTTP, $HTTPS (a go-httpbin), $PARENT (a parent proxy that wants user and password), and, once it is up, $PROXY, $CONSOLE, $TOKEN, $PID.
func TestScript(t *testing.T) {
	bin := httpbin.New()
	plain := httptest.NewServer(bin)
	t.Cleanup(plain.Close) // not deferred: the scripts run in parallel, after this function has returned
	secure, err := serveTLS(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secure.Close)
	parent := httptest.NewServer(parentProxy{user: "alice", password: "open-sesame"})
	t.Cleanup(parent.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			roots := filepath.Join(env.WorkDir, "origin.pem")
			if err := os.WriteFile(roots, certPEM(secure.Certificate()), 0o600); err != nil {
				return err
			}
			env.Setenv("SSL_CERT_FILE", roots)
			env.Setenv("HTTP", plain.URL)
			env.Setenv("HTTPS", secure.URL)
			env.Setenv("PARENT", strings.TrimPrefix(parent.URL, "http://"))
			env.Setenv("HTTPHOST", strings.TrimPrefix(plain.URL, "http://"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_DATA_HOME", "")
			env.Setenv("XDG_CONFIG_HOME", "")
			env.Setenv("DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("EAVES_DATA", filepath.Join(env.WorkDir, "data"))
			s := &scriptState{}
			env.Values[stateKey{}] = s
			env.Defer(s.kill)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"up": up, "down": down, "get": get, "settle": settle, "mode": checkMode, "lines": lines,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

type stateKey struct{}

// scriptState is the eaves that a script has up.
type scriptState struct{ *instance }

func (s *scriptState) kill() {
	if s.instance != nil {
		s.instance.kill()
		s.instance = nil
	}
}

func state(ts *testscript.TestScript) *scriptState { return ts.Value(stateKey{}).(*scriptState) }

func up(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("up cannot be negated: use ! exec eaves run")
	}
	s := state(ts)
	if s.instance != nil {
		ts.Fatalf("it is up already")
	}
	var env []string
	for _, name := range []string{"PATH", "HOME", "SSL_CERT_FILE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "EAVES_DATA", "EAVES_KEEP", "EAVES_READY_FILE", "SSLKEYLOGFILE", "OPENED", "TMPDIR", "GOCOVERDIR", "GORACE", "http_proxy", "SESAME"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	i, err := start(ts.MkAbs("."), env, args...)
	ts.Check(err)
	s.instance = i
	ts.Setenv("PROXY", i.run.Proxy)
	ts.Setenv("CONSOLE", i.run.Console)
	ts.Setenv("TOKEN", i.run.Token)
	ts.Setenv("PID", strconv.Itoa(i.run.PID))
}

func down(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	if s.instance == nil {
		ts.Fatalf("it is not up")
	}
	sig := syscall.SIGTERM
	if len(args) > 0 {
		var ok bool
		if sig, ok = map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[args[0]]; !ok {
			ts.Fatalf("unknown signal %s", args[0])
		}
	}
	i := s.instance
	s.instance = nil
	took, err := i.stop(sig)
	ts.Check(os.WriteFile(ts.MkAbs("eaves.err"), i.err.Bytes(), 0o600))
	switch {
	case sig == syscall.SIGKILL:
	case took > busy:
		ts.Fatalf("stopping took %s", took)
	case (err != nil) != neg:
		ts.Fatalf("it ended with %v\n%s", err, i.err)
	}
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: get URL [-method M] [-body B] [-h2] [-header N=V]")
	}
	s := state(ts)
	method, body, h2 := http.MethodGet, "", false
	header := http.Header{}
	for rest := args[1:]; len(rest) > 0; {
		if rest[0] == "-h2" {
			h2, rest = true, rest[1:]
			continue
		}
		if len(rest) < 2 {
			ts.Fatalf("%s needs a value", rest[0])
		}
		switch rest[0] {
		case "-method":
			method = rest[1]
		case "-body":
			body = rest[1]
		case "-header":
			n, v, _ := strings.Cut(rest[1], "=")
			header.Add(n, v)
		default:
			ts.Fatalf("unknown flag %s", rest[0])
		}
		rest = rest[2:]
	}
	client, err := proxied(s.run, h2)
	ts.Check(err)
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, args[0], strings.NewReader(body))
	ts.Check(err)
	if body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	for n, v := range header {
		req.Header[n] = v
	}
	resp, err := client.Do(req)
	if err != nil {
		if !neg {
			ts.Fatalf("%v", err)
		}
		fmt.Fprintln(ts.Stderr(), err)
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if (err != nil) != neg {
		ts.Fatalf("status %d, reading the body: %v", resp.StatusCode, err)
	}
	fmt.Fprintf(ts.Stdout(), "%s %d\n%s", resp.Proto, resp.StatusCode, b)
}

func settle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: settle N")
	}
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	if err := settled(state(ts).run, want); err != nil {
		ts.Fatalf("%v", err)
	}
}

func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE MODE")
	}
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s: mode %s, want %s", args[0], got, args[1])
	}
}

func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	limit := time.Now().Add(deadline)
	for {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && bytes.Count(b, []byte("\n")) >= want {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%s has not %d lines: %q, %v", args[0], want, b, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}
