package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// runs are the situations with their protocols, each with an origin and a rule of its own.
func (l *chainLab) runs(e *chainEaves) []*chainRun {
	var all []*chainRun
	for _, s := range situations() {
		ports := map[bool]int{} // with TLS, and without
		protocols := s.protocols
		if protocols == "" {
			protocols = "http h1 h2 ws wss"
		}
		for _, p := range strings.Fields(protocols) {
			r := &chainRun{situation: s, protocol: p}
			at := "127.0.0.1"
			if net.ParseIP(s.host) != nil {
				at = s.host
			}
			all = append(all, r)
			if port, ok := ports[r.secure()]; ok {
				r.port = port
				continue
			}
			if r.port = l.origin.listen(at, r.secure()); s.closed {
				r.port = l.deadPort()
			}
			ports[r.secure()] = r.port
			if s.on == "" {
				e.add(map[string]any{"host": net.JoinHostPort(r.hostname(), strconv.Itoa(r.port)), "via": l.way(s.via...), "user": s.user, "password": s.password, "schemes": s.schemes})
			}
		}
	}
	return all
}

// runAll runs them, some at a time; those that wait for something to give up do not keep others from theirs.
func runAll(l *chainLab, runs []*chainRun, eaves map[string]*chainEaves, curl string) map[*chainRun]chan struct{} {
	done := make(map[*chainRun]chan struct{})
	places := make(chan struct{}, 4)
	for _, r := range runs {
		end := make(chan struct{})
		done[r] = end
		go func() {
			defer close(end)
			if !r.slow {
				places <- struct{}{}
				defer func() { <-places }()
			}
			r.do(l, eaves[r.on], curl)
		}()
	}
	return done
}

// do asks for the origin through eaves.
func (r *chainRun) do(l *chainLab, e *chainEaves, curl string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	host := net.JoinHostPort(r.hostname(), strconv.Itoa(r.port))
	if r.socket() {
		var ws *webSocket
		ws, r.status, r.got, r.err = dialWebSocket(ctx, e.run, r.secure(), host, r.target())
		if r.err != nil || ws == nil {
			return
		}
		if r.got, r.err = ws.say(1, "said and repeated"); r.err == nil {
			r.err = ws.end()
		}
		return
	}
	scheme, version := "http", "--http1.1"
	if r.secure() {
		scheme = "https"
	}
	if r.protocol == "h2" {
		version = "--http2"
	}
	file, err := os.CreateTemp(e.dir, "got")
	if err != nil {
		r.err = err
		return
	}
	file.Close()
	defer os.Remove(file.Name())
	args := append([]string{"-sS", version, "--noproxy", "", "--proxy", "http://" + e.run.Proxy, "--cacert", e.run.CA, "-o", file.Name(), "-w", "%{http_code}"}, r.args...)
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, curl, append(args, scheme+"://"+host+r.target())...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	r.status, _ = strconv.Atoi(string(out))
	if err != nil {
		r.err = fmt.Errorf("%w: %s", err, &said)
	}
	b, _ := os.ReadFile(file.Name())
	r.got = string(b)
	if r.asks() {
		// Marked by nothing that stands in an exchange's URL: doctor sends a request of its own.
		r.asked = r.ask(ctx, e, scheme+"://"+host+strings.Split(r.target(), "?")[0])
	}
}

// check looks at what the client got, and at what was recorded.
func (r *chainRun) check(t *testing.T, l *chainLab, e *chainEaves) {
	want := r.situation.status
	switch {
	case want != 0:
	case r.stage == capture.StageTimeout:
		want = http.StatusGatewayTimeout
	case r.cut:
		want = http.StatusOK
	case r.stage != "":
		want = http.StatusBadGateway
	case r.socket():
		want = http.StatusSwitchingProtocols
	default:
		want = http.StatusOK
	}
	if (r.err != nil) != r.cut {
		t.Fatalf("the client: %v", r.err)
	}
	if r.status != want {
		t.Errorf("the client got status %d, want %d: %.300s", r.status, want, r.got)
	}
	body := r.body
	if body == "" && want == http.StatusOK && !r.cut && r.path == "" {
		body = "origin GET / HTTP/1.1"
		if r.protocol == "h2" {
			body = "origin GET / HTTP/2.0"
		}
	}
	if want == http.StatusSwitchingProtocols {
		body = "said and repeated"
	}
	if !strings.Contains(r.got, body) {
		t.Errorf("the client got %.300q, which does not hold %q", r.got, body)
	}
	x, raw := r.recorded(t, e)
	holdsNoSecret(t, "the exchange", raw)
	if x.Request.Header.Get("Proxy-Authorization") != "" {
		t.Error("what was told to the proxy is in the request")
	}
	text, stage := "", capture.Stage("")
	if x.Error != nil {
		text, stage = x.Error.Message+"\n"+x.Error.Hint, x.Error.Stage
		if x.Error.Hint == "" {
			t.Error("there is no hint")
		}
	}
	if stage != r.stage {
		t.Errorf("it failed at stage %q, want %q", stage, r.stage)
	}
	by := r.by
	if by == "" {
		if by = capture.AnsweredByOrigin; r.stage != "" && !r.cut {
			by = capture.AnsweredByEaves
		}
	}
	if x.AnsweredBy != by {
		t.Errorf("answered by %q, want %q", x.AnsweredBy, by)
	}
	r.checkRoute(t, l, x.Route)
	if x.TLS != nil && x.TLS.ClientCertificate != nil && x.TLS.ClientCertificate.Sent != nil {
		t.Error("the origin was shown what is for a proxy")
	}
	r.checkFilters(t, e, x)
	for _, w := range r.words {
		if !strings.Contains(text, l.fill(w)) {
			t.Errorf("it does not say %q", l.fill(w))
		}
	}
	for _, w := range r.not {
		if strings.Contains(text, l.fill(w)) {
			t.Errorf("it says %q", l.fill(w))
		}
	}
	if found := libraryWords.FindString(text); found != "" {
		t.Errorf("it speaks like a library: %q", found)
	}
	if r.asked != nil {
		r.asked.check(t, l, r, want)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("eaves says:\n%s\n%s", text, showRouteOf(x.Route))
	}
}

func (r *chainRun) checkRoute(t *testing.T, l *chainLab, route *capture.Route) {
	t.Helper()
	if route == nil {
		if r.stage != capture.StageRoute {
			t.Error("there is no route in the receipt")
		}
		return
	}
	source := r.source
	if source == "" {
		source = "rule"
	}
	if route.Source != source {
		t.Errorf("source %q, want %q", route.Source, source)
	}
	reason := l.fill(r.reason)
	if r.on == "" {
		reason = ": " + r.hostname() + ":" + strconv.Itoa(r.port)
	}
	if !strings.Contains(route.Reason, reason) {
		t.Errorf("reason %q does not hold %q", route.Reason, reason)
	}
	want := r.hops
	if r.protocol == "http" {
		want = strings.ReplaceAll(want, "/200 origin", " origin")
	}
	if got := hopsOf(route); want != "" && got != want {
		t.Errorf("hops %q, want %q", got, want)
	}
	for i, h := range route.Hops[:len(route.Hops)-1] {
		if h.Kind == "https" && h.Status == http.StatusOK && (h.TLS == nil || !h.TLS.Verified || h.TLS.Version == "") {
			t.Errorf("hop %d says nothing of its TLS: %+v", i+1, h.TLS)
		}
		if h.Address == l.address("mtls") && h.Kind == "https" {
			if cc := h.TLS.ClientCertificate; cc == nil || cc.Sent == nil || cc.Verdict != "accepted" || !strings.Contains(cc.Sent.Subject, "eaves at the proxy") {
				t.Errorf("hop %d says of the client certificate: %+v", i+1, cc)
			}
		}
		if h.Address == "" || h.Error == "" && !h.Reused && (h.Connect < 0 || h.Status == http.StatusOK && h.Time <= 0) && !slices.ContainsFunc(route.Hops[:i], func(h capture.Hop) bool { return h.Error != "" }) {
			t.Errorf("hop %d has no address or no times: %+v", i+1, h)
		}
	}
	failed := slices.ContainsFunc(route.Hops, func(h capture.Hop) bool { return h.Error != "" })
	if (r.stage == capture.StageProxy && !r.cut) && !failed {
		t.Errorf("no hop of the receipt says that it failed: %+v", route.Hops)
	}
}

// checkFilters looks for the exchange by what is particular about it.
func (r *chainRun) checkFilters(t *testing.T, e *chainEaves, x *capture.Exchange) {
	t.Helper()
	terms := []string{strconv.Quote(r.id()), "answered:" + string(x.AnsweredBy)}
	if x.Error != nil {
		terms = append(terms, "error:"+string(x.Error.Stage))
	}
	if x.Route != nil {
		terms = append(terms, "route:"+x.Route.Source)
		status := 0 // that of the farthest proxy that said anything
		for _, h := range x.Route.Hops {
			if h.Status != 0 {
				status = h.Status
			}
			if h.Kind != "origin" {
				terms = append(terms, "hop:"+h.Address)
			}
		}
		if status != 0 {
			terms = append(terms, fmt.Sprint("hop.status:", status))
		}
		if _, entry, ok := strings.Cut(x.Route.Reason, "bypass "); ok {
			terms = append(terms, "bypass:"+strconv.Quote(entry))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	filter := strings.Join(terms, " ")
	found, err := e.api.Newest(ctx, filter, 10)
	if err != nil || !slices.ContainsFunc(found, func(f *capture.Exchange) bool { return f.ID == x.ID }) {
		t.Errorf("the filter %s finds %d others (%v)", filter, len(found), err)
	}
}

// hopsOf are the stations of a route in short.
func hopsOf(route *capture.Route) string {
	var all []string
	for _, h := range route.Hops {
		s := h.Kind
		if h.Authentication != "" {
			s += "/" + h.Authentication
		}
		if h.Status != 0 {
			s += "/" + strconv.Itoa(h.Status)
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func showRouteOf(route *capture.Route) string {
	if route == nil {
		return "no route"
	}
	return route.Source + ", " + route.Reason + ": " + hopsOf(route)
}

// recorded waits for the run's exchange to end.
func (r *chainRun) recorded(t *testing.T, e *chainEaves) (*capture.Exchange, []byte) {
	t.Helper()
	all := e.recorded(t, r.id(), 1)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var raw json.RawMessage
	if err := e.api.Do(ctx, http.MethodGet, fmt.Sprintf("/exchanges/%d", all[0].ID), nil, nil, &raw); err != nil {
		t.Fatal(err)
	}
	x := new(capture.Exchange)
	if err := json.Unmarshal(raw, x); err != nil {
		t.Fatal(err)
	}
	return x, raw
}

// recorded waits until n exchanges whose URL has id in it have ended, and returns them, the latest first.
func (e *chainEaves) recorded(t *testing.T, id string, n int) []*capture.Exchange {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for {
		var list struct {
			Exchanges []*capture.Exchange `json:"exchanges"`
		}
		err := e.api.Do(ctx, http.MethodGet, "/exchanges", url.Values{"filter": {strconv.Quote(id)}}, nil, &list)
		if err == nil && len(list.Exchanges) >= n && !slices.ContainsFunc(list.Exchanges, func(x *capture.Exchange) bool { return x.State == capture.StateOpen }) {
			return list.Exchanges
		}
		select {
		case <-ctx.Done():
			t.Fatalf("of %s %d exchanges were recorded: %v", id, len(list.Exchanges), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
