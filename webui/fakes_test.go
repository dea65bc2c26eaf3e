package webui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// deadline is how long a test waits for anything.
const deadline = 20 * time.Second

// fakeStore keeps exchanges in memory, and publishes as a store does.
type fakeStore struct {
	uncounted bool // counting takes too long
	mu        sync.Mutex
	changed   chan struct{}
	seq       int64
	rows      map[int64]*capture.Exchange
	bodies    map[int64]map[capture.Side][]byte
	messages  map[int64][]capture.Message
	log       []capture.Change
	// first is the revision before the first that log holds, removed that of the last removal that it does not.
	first    int64
	removed  int64
	stats    Stats
	statsErr error
	listErr  error
	getErr   map[int64]error
	panicGet bool
	subs     int
	lists    int
}

func newFakeStore() *fakeStore {
	return &fakeStore{changed: make(chan struct{}), rows: map[int64]*capture.Exchange{}, bodies: map[int64]map[capture.Side][]byte{}, messages: map[int64][]capture.Message{}}
}

// asked says how often a list was asked for.
func (f *fakeStore) asked() int { f.mu.Lock(); defer f.mu.Unlock(); return f.lists }

func (f *fakeStore) publish(c capture.Change) {
	f.seq++
	c.Seq = f.seq
	if c.Exchange != nil {
		x := *c.Exchange
		x.Seq = f.seq
		c.Exchange = &x
		f.rows[x.ID] = &x
	}
	f.log = append(f.log, c)
	close(f.changed)
	f.changed = make(chan struct{})
}

// put commits revisions at once.
func (f *fakeStore) put(revisions ...*capture.Exchange) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range revisions {
		f.publish(capture.Change{Exchange: x})
	}
	return f.seq
}

// outrun commits revisions faster than anybody is told of them.
func (f *fakeStore) outrun(revisions ...*capture.Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range revisions {
		f.publish(capture.Change{Exchange: x})
	}
	f.log, f.first = nil, f.seq
}

func (f *fakeStore) setBody(id int64, side capture.Side, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bodies[id] == nil {
		f.bodies[id] = map[capture.Side][]byte{}
	}
	f.bodies[id][side] = b
}

func (f *fakeStore) say(id int64, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := capture.Message{N: int64(len(f.messages[id]) + 1), Direction: "sent", Kind: "text", Time: time.UnixMilli(1), Size: int64(len(text)), Data: []byte(text)}
	f.messages[id] = append(f.messages[id], m)
	f.publish(capture.Change{MessageOf: id, Message: &m})
}

func (f *fakeStore) body(id int64) func(capture.Side) string {
	return func(s capture.Side) string { return string(f.bodies[id][s]) }
}

func (f *fakeStore) match(q *filter.Filter, x *capture.Exchange) bool {
	return q == nil || q.Match(filter.Subject{Exchange: x, Body: f.body(x.ID)})
}

func (f *fakeStore) List(ctx context.Context, q Query) (Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if f.listErr != nil {
		return Page{}, f.listErr
	}
	var p Page
	for _, x := range f.rows {
		if !f.match(q.Filter, x) {
			continue
		}
		p.Total++
		switch {
		case q.ByID && x.ID <= q.After, q.ByChange && x.Seq <= q.ChangedAfter, q.Before != 0 && x.ID >= q.Before:
		default:
			p.Exchanges = append(p.Exchanges, x.Summary())
		}
	}
	slices.SortFunc(p.Exchanges, func(a, b *capture.Exchange) int {
		switch {
		case q.ByChange:
			return int(a.Seq - b.Seq)
		case q.ByID:
			return int(a.ID - b.ID)
		}
		return int(b.ID - a.ID)
	})
	p.Exchanges = p.Exchanges[:min(q.Limit, len(p.Exchanges))]
	if f.uncounted {
		p.Total = -1
	}
	return p, nil
}

func (f *fakeStore) Groups(_ context.Context, q *filter.Filter, by capture.Grouping) (capture.Groups, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := capture.Groups{Covered: 1}
	sums := make(map[string]capture.Totals)
	for _, x := range f.rows {
		if f.match(q, x) {
			name := x.Client.Address
			if by == capture.ByHost {
				if u, err := url.Parse(x.Request.URL); err == nil {
					name = u.Hostname()
				}
			}
			one := capture.Totals{Count: 1, First: x.Started, Last: x.Started}
			sum := sums[name]
			sum.Add(one)
			sums[name] = sum
			out.All.Add(one)
		}
	}
	for name, sum := range sums {
		out.Groups = append(out.Groups, capture.Group{Name: name, Totals: sum})
	}
	return out, nil
}

func (f *fakeStore) Timeline(_ context.Context, q *filter.Filter, from, _ time.Time, buckets int) (capture.Timeline, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := capture.Timeline{Start: from, Step: time.Second, Buckets: buckets, Covered: 0.5}
	for _, x := range f.rows {
		if f.match(q, x) {
			out.All.Add(capture.Totals{Count: 1, First: x.Started, Last: x.Started})
		}
	}
	if out.All.Count > 0 {
		out.Points = []capture.Point{{Bucket: buckets - 1, Totals: out.All}}
	}
	return out, nil
}

func (f *fakeStore) Get(ctx context.Context, id int64) (*capture.Exchange, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panicGet {
		panic("a bug")
	}
	x := f.rows[id]
	if err := f.getErr[id]; err != nil {
		return nil, err
	}
	if x == nil {
		return nil, capture.ErrNotFound
	}
	return x, nil
}

type fakeBody struct{ *bytes.Reader }

func (fakeBody) Close() error { return nil }

func (f *fakeStore) Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows[id] == nil {
		return nil, capture.ErrNotFound
	}
	return fakeBody{bytes.NewReader(f.bodies[id][side])}, nil
}

func (f *fakeStore) Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []capture.Message
	for _, m := range f.messages[id] {
		if m.N > after && len(out) < limit {
			out = append(out, m)
		}
	}
	return out, nil
}

func (f *fakeStore) Delete(ctx context.Context, q *filter.Filter) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []int64
	for id, x := range f.rows {
		if f.match(q, x) {
			ids = append(ids, id)
			delete(f.rows, id)
		}
	}
	if len(ids) > 0 {
		slices.Sort(ids)
		f.publish(capture.Change{Removed: ids})
	}
	return int64(len(ids)), nil
}

func (f *fakeStore) Prune(ctx context.Context, p Prune) (Pruned, error) {
	n, err := f.Delete(ctx, p.Filter)
	return Pruned{Removed: n, Freed: n * 100}, err
}

func (f *fakeStore) Annotate(ctx context.Context, id int64, mark, comment *string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.rows[id]
	if x == nil {
		return capture.ErrNotFound
	}
	y := *x
	if mark != nil {
		y.Mark = *mark
	}
	if comment != nil {
		y.Comment = *comment
	}
	f.publish(capture.Change{Exchange: &y})
	return nil
}

func (f *fakeStore) Stats(context.Context) (Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.stats
	st.Exchanges = int64(len(f.rows))
	return st, f.statsErr
}

// fakeRecording puts an exchange into the store when it is finished.
type fakeRecorded struct {
	f *fakeStore
	x *capture.Exchange
}

func (f *fakeStore) Begin(x *capture.Exchange) capture.Recording {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.ID = int64(1000 + len(f.rows))
	return &fakeRecorded{f, x}
}
func (r *fakeRecorded) ID() int64 { return r.x.ID }
func (r *fakeRecorded) Body(side capture.Side, p []byte) {
	r.f.setBody(r.x.ID, side, append(r.f.bodies[r.x.ID][side], p...))
}
func (r *fakeRecorded) Update(f func(*capture.Exchange)) { f(r.x) }
func (r *fakeRecorded) Message(m capture.Message)        {}
func (r *fakeRecorded) Finish(f func(*capture.Exchange)) { f(r.x); r.f.put(r.x) }
func (f *fakeStore) Flush(context.Context) error         { return nil }

func (f *fakeStore) Seq() int64 { f.mu.Lock(); defer f.mu.Unlock(); return f.seq }
func (f *fakeStore) ID() string { return "0f8fad5b-d9cb-469f-a165-70867728950e" }

// forget makes the log begin after seq, where something was removed.
func (f *fakeStore) forget(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = f.log[seq-f.first:]
	f.first, f.removed = seq, seq
}

type fakeSubscription struct {
	f  *fakeStore
	at int64
}

func (f *fakeStore) Changes(after int64) (Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if after < f.removed || after > f.seq {
		return nil, ErrReset
	}
	f.subs++
	return &fakeSubscription{f, after}, nil
}

func (s *fakeSubscription) Next(ctx context.Context) ([]capture.Change, error) {
	for {
		s.f.mu.Lock()
		if s.at < s.f.first {
			gap := &GapError{s.at, s.f.first}
			s.at = s.f.first
			s.f.mu.Unlock()
			return nil, gap
		}
		changes := s.f.log[s.at-s.f.first:]
		changes = slices.Clone(changes[:min(256, len(changes))])
		changed := s.f.changed
		s.f.mu.Unlock()
		if len(changes) > 0 {
			s.at = changes[len(changes)-1].Seq
			return changes, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *fakeSubscription) Close() { s.f.mu.Lock(); s.f.subs--; s.f.mu.Unlock() }

// fakeSender remembers what it was given to send.
type fakeSender struct {
	got      Outgoing
	body     []byte
	injected Injection
	into     int64
	err      error
}

func (f *fakeSender) Send(ctx context.Context, o Outgoing) (int64, error) {
	f.got, f.body = o, nil
	if o.Body != nil {
		f.body, _ = io.ReadAll(o.Body)
		o.Body.Close()
	}
	return 99, f.err
}

// Inject notes what is put into a conversation.
func (f *fakeSender) Inject(id int64, m Injection) error {
	f.injected, f.into = m, id
	return f.err
}

type fakeRecording struct{ on bool }

func (f *fakeRecording) Recording() bool { return f.on }
func (f *fakeRecording) SetRecording(on bool) error {
	f.on = on
	return nil
}

type fakeRules struct {
	mu    sync.Mutex
	rules []Rule
	next  int64
}

func (f *fakeRules) Rules() []Rule { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.rules) }
func (f *fakeRules) EditRules(edit func([]Rule) ([]Rule, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	rules, err := edit(slices.Clone(f.rules))
	if err != nil {
		return err
	}
	for i := range rules {
		if rules[i].ID == 0 {
			f.next++
			rules[i].ID = f.next
		}
	}
	f.rules = rules
	return nil
}

// lab is a console over fakes, listening on a port of its own.
type lab struct {
	t      *testing.T
	store  *fakeStore
	sender *fakeSender
	rules  *fakeRules
	server *Server
	host   string // with port
	url    string
	logged *strings.Builder
}

const testToken = "s3cret-token-of-this-test"

func newLab(t *testing.T, change ...func(*Config)) *lab {
	t.Helper()
	l := &lab{t: t, store: newFakeStore(), sender: &fakeSender{}, rules: &fakeRules{}, logged: &strings.Builder{}}
	var mu sync.Mutex
	cfg := Config{
		Token: testToken, Version: "1.2.3", Store: l.store, Sender: l.sender, Injector: l.sender, Rules: l.rules, Recording: &fakeRecording{on: true}, Diagnostician: fakeDiagnostician{}, Inventory: fakeInventory{}, Retention: &fakeRetention{keep: 1 << 30},
		About:       About{Proxy: "127.0.0.1:8484", Console: "http://127.0.0.1:8485", CA: "/data/ca.pem", Data: "/data"},
		Certificate: func() []byte { return []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n") },
		Assets:      fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>eaves</title>")}, "app.js": {Data: []byte("'use strict'")}, "a/b.css": {Data: []byte("p{}")}},
		Log:         func(line string) { mu.Lock(); defer mu.Unlock(); l.logged.WriteString(line + "\n") },
	}
	for _, f := range change {
		f(&cfg)
	}
	l.server = New(cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.host = ln.Addr().String()
	l.url = "http://" + l.host
	served := make(chan error, 1)
	go func() { served <- l.server.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := l.server.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return l
}

// ask sends a request with the token, and headers in pairs.
func (l *lab) ask(method, path, body string, headers ...string) *answered {
	l.t.Helper()
	return l.askWithout(method, path, body, append([]string{"Authorization", "Bearer " + testToken}, headers...)...)
}

// answered is an answer that has been read.
type answered struct {
	*http.Response
	body []byte
}

func (l *lab) askWithout(method, path, body string, headers ...string) *answered {
	l.t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, l.url+path, rd)
	if err != nil {
		l.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	client := &http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answered{resp, b}
}

// json reads an answer of the given status into v.
func (a *answered) json(t *testing.T, status int, v any) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// problem is an answer's problem document, which it must be.
func (a *answered) problem(t *testing.T, status int) problem {
	t.Helper()
	var p problem
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("Content-Type %q with status %d: %s", ct, a.StatusCode, a.body)
	}
	a.json(t, status, &p)
	if p.Status != status || p.Title == "" || p.Detail == "" {
		t.Fatalf("not a whole problem document: %s", a.body)
	}
	return p
}

// sample is an exchange that ended well.
func sample(id int64) *capture.Exchange {
	return &capture.Exchange{
		ID: id, Kind: capture.KindHTTP, State: capture.StateDone, Started: time.UnixMilli(1700000000000), Time: 12.5, Source: capture.SourceProxy,
		Client:  capture.Client{Address: "127.0.0.1:5000", HTTPVersion: "HTTP/1.1"},
		Request: capture.Request{Method: "GET", URL: "http://a.test/path", HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Host", Value: "a.test"}, {Name: "accept", Value: "*/*"}}, HeadersSize: 40},
		Response: &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Content-Type", Value: "text/plain"}},
			Content: capture.Content{Size: 5, MimeType: "text/plain"}, BodySize: 5, HeadersSize: 60},
		Timings: capture.NoTimings(), AnsweredBy: capture.AnsweredByOrigin,
		Route: &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: "127.0.0.1:80", DNS: -1, Connect: 1}}},
	}
}

// opened is an exchange that is under way.
func opened(id int64) *capture.Exchange {
	x := sample(id)
	x.State, x.Time, x.Response, x.AnsweredBy = capture.StateOpen, -1, nil, ""
	return x
}

var errTest = errors.New("the disk is full")

func mustFilter(t *testing.T, text string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fakeDiagnostician knows that ftp leads nowhere.
type fakeDiagnostician struct{}

func (fakeDiagnostician) Explain(_ context.Context, q Question) (*capture.Explanation, error) {
	if strings.HasPrefix(q.URL, "ftp:") {
		return nil, &Refusal{Parameter: "url", Detail: "ftp leads nowhere", Hint: "use https"}
	}
	return &capture.Explanation{
		URL: q.URL, Why: []string{"Nothing says otherwise."},
		Route:             &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: "a.test:443", DNS: -1, Connect: -1}}},
		ClientCertificate: capture.CertificateRule{Candidates: []capture.Candidate{{ID: 1, Rule: "*", Subject: "CN=a", Reason: "switched off"}}},
		Trust:             capture.TrustRule{Roots: "system + 1 added", Added: []capture.Anchor{{ID: 1, Subject: "CN=ca"}}},
		TLS:               capture.TLSRule{Ciphers: []string{}, ALPN: []string{"h2"}},
	}, nil
}

func (d fakeDiagnostician) Examine(ctx context.Context, q Question, emit func(capture.DoctorStage)) error {
	if _, err := d.Explain(ctx, q); err != nil {
		return err
	}
	emit(capture.DoctorStage{Stage: capture.DoctorDNS, Title: "Looking up", Status: capture.DoctorOK, Facts: []capture.Fact{{Name: "address", Value: "127.0.0.1"}}})
	emit(capture.DoctorStage{Stage: capture.DoctorResult, Title: "Result", Status: capture.DoctorFailed, Time: -1, Facts: []capture.Fact{}, Message: "no", Hint: "try"})
	return nil
}

// fakeInventory knows one certificate that was seen and one that was not.
type fakeInventory struct{}

func (fakeInventory) Inventory(context.Context) ([]InventoryItem, error) {
	c := capture.Certificate{Subject: "CN=a", Issuer: "CN=b", Serial: "1", SHA256: "ab"}
	return []InventoryItem{
		{Kind: "client", Certificate: c, UsedBy: []string{"client certificate 1 for a.test:443"}, Warnings: []Warning{{"expired", "it has expired"}},
			Seen: &Sighting{Host: "a.test", Exchange: 1, Time: time.Unix(1, 0).UTC()}, LastAccepted: &capture.CertificateUse{Exchange: 1, Time: time.Unix(1, 0).UTC(), Host: "a.test:443"}},
		{Kind: "ca", Certificate: c, UsedBy: []string{}, Warnings: []Warning{}},
	}, nil
}
