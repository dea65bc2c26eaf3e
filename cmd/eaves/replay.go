package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/capture/diff"
	"eaves/capture/filter"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) replayCommand() *cobra.Command {
	r := &replayer{p: p}
	c := &cobra.Command{
		Use:   "replay ID…|FILTER",
		Short: "send exchanges again",
		Example: `  eaves replay 42
  eaves replay 42 --set method=PUT --set header:X-Debug=1 --set body=@new.json
  eaves replay 42 --cert 2                  with another client certificate; none: without one
  eaves replay 42 --verify off              whoever the server is
  eaves replay 42 --via http://p.test:3128  through this proxy; direct: through none
  eaves replay 42 --times 100 --concurrency 10
  eaves replay 'host:api.test method:GET' --expect 'status:2xx took<500ms' --junit replay.xml
  eaves replay 42 --diff`,
		Long: `replay sends captured requests again, oldest first, through the same pipeline as live traffic, and records each result as a
new exchange whose replayOf names the old one. A WebSocket is opened anew, and what its client said is said again, each
message once the origin has said as much as it had before. It prints a line for each: the old id, the new id, status, method, URL, time.

The exit status is 1 when a request failed or a result does not match --expect.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.keepTiming && !cmd.Flags().Changed("concurrency") {
				r.concurrency = maxOverlap // requests that overlapped are to overlap again
			}
			if err := r.check(); err != nil {
				return failure.Within("replay", err)
			}
			return p.withAPI(cmd, func(api *client.Client) error { return r.run(cmd.Context(), api, args) })
		},
	}
	f := c.Flags()
	f.StringArrayVar(&r.set, "set", nil, "change the request: method=…, url=…, header:Name=… (empty: leave out), body=… or body=@`FILE`")
	f.StringVar(&r.cert, "cert", "", "show the client certificate `ID`, or none")
	f.StringArrayVar(&r.via, "via", nil, "`WAY`: direct, system, pac+URL, or a proxy, repeated to make a chain")
	f.StringVar(&r.verify, "verify", "", "`on|off`: verify the server or not, whatever is configured")
	f.IntVar(&r.times, "times", 1, "send each `N` times")
	f.IntVar(&r.concurrency, "concurrency", 1, "send up to `N` at once (with --keep-timing: as many as there were)")
	f.BoolVar(&r.keepTiming, "keep-timing", false, "send with the pauses that were between the captured requests, and the messages of a WebSocket")
	f.BoolVar(&r.diff, "diff", false, "print what differs between each result and what it repeats")
	f.StringVar(&r.expect, "expect", "", "fail unless every result matches `FILTER`")
	f.StringVar(&r.junit, "junit", "", "write the results to `FILE` as JUnit XML")
	f.BoolVar(&r.json, "json", false, "print each result as a line of JSON")
	return c
}

// maxOverlap is how many requests are under way at most where only their timing says how many.
const maxOverlap = 1000

// replayer sends exchanges again as its flags say.
type replayer struct {
	p                          *program
	set                        []string
	times, concurrency         int
	keepTiming, diff, json     bool
	expect, junit              string
	cert, verify               string
	via                        []string
	changes                    changes
	mu                         sync.Mutex // over output and results
	results                    []result
	failed, unexpected, passed int
}

// result is one replay and what came of it.
type result struct {
	of  *capture.Exchange
	got *capture.Exchange
	err error
}

// check looks at the flags before anything is sent.
func (r *replayer) check() error {
	if r.times < 1 || r.concurrency < 1 {
		return failure.Wrong("", errors.New("--times and --concurrency must be at least 1"), "")
	}
	if r.expect != "" {
		if _, err := filter.Parse(r.expect); err != nil {
			return failure.Wrong("--expect", err, "")
		}
	}
	var err error
	if r.changes, err = parseChanges(r.set, r.p.in); err != nil {
		return err
	}
	r.changes.certificate = r.cert
	if r.changes.via, err = ways(r.via); err != nil {
		return err
	}
	if r.keepTiming {
		r.changes.pauses = "recorded"
	}
	r.changes.verify, err = onOff("--verify", r.verify)
	return err
}

func (r *replayer) run(ctx context.Context, api *client.Client, args []string) error {
	targets, err := r.targets(ctx, api, args)
	if err != nil {
		return err
	}
	w, err := watch(ctx, api)
	if err != nil {
		return err
	}
	defer w.close()
	bar := r.p.progress("replaying", int64(len(targets)*r.times))
	if len(targets)*r.times == 1 {
		bar = nil
	}
	slots := make(chan struct{}, r.concurrency)
	var wg sync.WaitGroup
	began := time.Now()
send:
	for range r.times {
		round := time.Since(began)
		for _, x := range targets {
			if r.keepTiming {
				due := time.NewTimer(x.Started.Sub(targets[0].Started) - (time.Since(began) - round))
				select {
				case <-due.C:
				case <-ctx.Done():
					due.Stop()
					break send
				}
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				break send
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				r.one(ctx, api, w, x)
				bar.add(1)
			}()
		}
	}
	wg.Wait()
	bar.done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.junit != "" {
		if err := writeFile(r.junit, 0o644, r.writeJUnit); err != nil {
			return err
		}
	}
	switch {
	case r.failed > 0:
		return failure.New("replay", fmt.Errorf("%d of %d failed", r.failed, len(r.results)), "eaves list is:failed is:replay --columns id,url,error")
	case r.unexpected > 0:
		return failure.New("replay", fmt.Errorf("%d of %d results do not match %s", r.unexpected, len(r.results), r.expect), "")
	}
	return nil
}

// targets are the exchanges to send again, oldest first.
func (r *replayer) targets(ctx context.Context, api *client.Client, args []string) ([]*capture.Exchange, error) {
	var targets []*capture.Exchange
	if named, ok := ids(args); ok {
		for _, id := range named {
			x, err := api.Exchange(ctx, id)
			if err != nil {
				return nil, err
			}
			targets = append(targets, x)
		}
		return targets, nil
	}
	f := strings.Join(args, " ")
	// What this command itself records must not be replayed by it: the list is made before the first is sent.
	err := api.Each(ctx, f, func(x *capture.Exchange) error {
		targets = append(targets, x)
		return nil
	})
	if err == nil && len(targets) == 0 {
		err = failure.New("replay", fmt.Errorf("no exchange matches %s", f), "eaves list")
	}
	return targets, err
}

// one sends one exchange again and waits for what comes of it.
func (r *replayer) one(ctx context.Context, api *client.Client, w *watcher, x *capture.Exchange) {
	res := result{of: x}
	res.got, res.err = r.send(ctx, api, w, x)
	if res.err == nil && r.expect != "" && res.got.State != capture.StateFailed {
		var page client.Page
		q := url.Values{"filter": {fmt.Sprintf("id:%d (%s)", res.got.ID, r.expect)}, "limit": {"1"}}
		if err := api.Do(ctx, http.MethodGet, "/exchanges", q, nil, &page); err != nil {
			res.err = err
		} else if len(page.Exchanges) == 0 {
			res.err = errUnexpected
		}
	}
	var differences []diff.Difference
	if r.diff && res.got != nil {
		found, err := compare(ctx, api, x.ID, res.got.ID, "")
		if err != nil && res.err == nil {
			res.err = err
		}
		differences = found.Differences
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, res)
	switch {
	case res.failure() != nil:
		r.failed++
	case res.err != nil:
		r.unexpected++
	default:
		r.passed++
	}
	switch {
	case res.got == nil:
		r.p.say(fmt.Sprintf("replaying %d: %v", x.ID, res.err))
	case r.json:
		_ = json.NewEncoder(r.p.out).Encode(res.got)
	default:
		text := harmless(fmt.Sprintf("%d → %d  %s  %s %s  %s", x.ID, res.got.ID, status(res.got), res.got.Request.Method, res.got.Request.URL, milliseconds(res.got.Time)))
		if res.got.Error != nil {
			text += harmless("  " + res.got.Error.Error())
		}
		fmt.Fprintln(r.p.out, text)
	}
	printDifferences(r.p.out, differences)
}

var errUnexpected = errors.New("does not match what was expected")

// failure is why there is no answer, nil if there is one.
func (r result) failure() error {
	switch {
	case r.err != nil && !errors.Is(r.err, errUnexpected):
		return r.err
	case r.got != nil && r.got.State == capture.StateFailed && r.got.Error != nil:
		return r.got.Error
	case r.got != nil && r.got.State == capture.StateFailed:
		return errors.New("failed")
	}
	return nil
}

func (r *replayer) send(ctx context.Context, api *client.Client, w *watcher, x *capture.Exchange) (*capture.Exchange, error) {
	overrides, err := r.changes.overrides(ctx, api, x.ID)
	if err != nil {
		return nil, err
	}
	var sent struct {
		ID int64 `json:"id"`
	}
	if err := api.Do(ctx, http.MethodPost, "/exchanges/"+strconv.FormatInt(x.ID, 10)+"/replay", nil, overrides, &sent); err != nil {
		return nil, err
	}
	return w.wait(ctx, sent.ID)
}

// changes are what --set changes in each request.
type changes struct {
	method, url string
	headers     []capture.Field // an empty value: leave out
	body        *[]byte
	certificate string
	via         []string
	verify      *bool
	pauses      string // of a WebSocket's messages
}

// parseChanges reads the values of --set.
func parseChanges(set []string, stdin interface{ Read([]byte) (int, error) }) (changes, error) {
	var c changes
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		header, isHeader := strings.CutPrefix(name, "header:")
		switch {
		case ok && name == "method" && value != "":
			c.method = value
		case ok && name == "url" && value != "":
			c.url = value
		case ok && isHeader && header != "":
			c.headers = append(c.headers, capture.Field{Name: header, Value: value})
		case ok && name == "body":
			b := []byte(value)
			if file, isFile := strings.CutPrefix(value, "@"); isFile {
				var err error
				if b, err = readAll(file, stdin); err != nil {
					return c, failure.New("--set body", err, "")
				}
			}
			c.body = &b
		default:
			return c, failure.Wrong("--set", fmt.Errorf("%q: expected method=…, url=…, header:Name=… or body=…", s), "eaves replay --help")
		}
	}
	return c, nil
}

// overrides are the changes as the API takes them. Headers are given as a whole, so the captured ones are asked for.
func (c changes) overrides(ctx context.Context, api *client.Client, id int64) (map[string]any, error) {
	o := map[string]any{}
	if c.method != "" {
		o["method"] = c.method
	}
	if c.url != "" {
		o["url"] = c.url
	}
	if c.body != nil {
		o["bodyBase64"] = *c.body
	}
	if c.certificate != "" {
		o["certificate"] = c.certificate
	}
	if len(c.via) > 0 {
		o["via"] = strings.Join(c.via, ",")
	}
	if c.verify != nil {
		o["verify"] = *c.verify
	}
	if c.pauses != "" {
		o["pauses"] = c.pauses
	}
	if len(c.headers) > 0 {
		x, err := api.Exchange(ctx, id)
		if err != nil {
			return nil, err
		}
		o["headers"] = changedHeader(x.Request.Header, c.headers)
	}
	return o, nil
}

// changedHeader puts each change in the place of the first field of its name, or behind the others.
func changedHeader(h capture.Header, set []capture.Field) capture.Header {
	out := append(capture.Header{}, h...)
	done := map[string]bool{}
	for _, s := range set {
		name := strings.ToLower(s.Name)
		place := len(out)
		if !done[name] {
			kept := out[:0:0]
			for i, f := range out {
				if strings.EqualFold(f.Name, s.Name) {
					place = min(place, i)
					continue
				}
				kept = append(kept, f)
			}
			place = min(place, len(kept))
			out = kept
		}
		done[name] = true
		if s.Value != "" {
			out = append(out[:place:place], append(capture.Header{s}, out[place:]...)...)
		}
	}
	return out
}

// readAll reads a file, or standard input for "-".
func readAll(file string, stdin interface{ Read([]byte) (int, error) }) ([]byte, error) {
	if file == "-" {
		return readFrom(stdin)
	}
	return os.ReadFile(file)
}
