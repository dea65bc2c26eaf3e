package apistore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/capture/store"
	"eaves/webui"
)

const (
	token    = "token-of-this-test"
	deadline = 60 * time.Second
)

// lab is a console over a real store.
type lab struct {
	t     *testing.T
	store *store.Store
	host  string
	http  *http.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := webui.New(webui.Config{Token: token, Store: New(s), Log: func(line string) { t.Error(line) }})
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), ln) }()
	l := &lab{t: t, store: s, host: ln.Addr().String(), http: &http.Client{Timeout: deadline}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		l.http.CloseIdleConnections()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
		if err := s.Close(ctx); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return l
}

// get asks the API and reads the answer into v.
func (l *lab) get(path string, query url.Values, v any) {
	l.t.Helper()
	req, err := http.NewRequest("GET", "http://"+l.host+"/api/v1"+path+"?"+query.Encode(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil || resp.StatusCode != 200 {
		l.t.Fatalf("GET %s: %d %v", path, resp.StatusCode, err)
	}
}

// viewer keeps a table current by the stream alone, as a console does.
type viewer struct {
	l      *lab
	filter string
	conn   *websocket.Conn
	rows   map[int64]*capture.Exchange
	cursor int64
	// seen are the revisions told, so that none is told twice.
	seen  map[int64]bool
	gaps  int
	reset int
}

// event is any message of the stream.
type event struct {
	Type     string          `json:"type"`
	Seq      int64           `json:"seq"`
	IDs      []int64         `json:"ids"`
	From     int64           `json:"from"`
	To       int64           `json:"to"`
	Exchange json.RawMessage `json:"exchange"`
}

func (v *viewer) connect() {
	v.l.t.Helper()
	q := url.Values{"after": {fmt.Sprint(v.cursor)}, "filter": {v.filter}}
	d := websocket.Dialer{HandshakeTimeout: deadline}
	conn, resp, err := d.Dial("ws://"+v.l.host+"/api/v1/stream?"+q.Encode(), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		v.l.t.Fatalf("opening the stream: %v %v", err, resp)
	}
	v.conn = conn
}

// errLost says that the connection was cut, as it is for a console that takes nothing for too long.
var errLost = errors.New("connection lost")

// read takes one message.
func (v *viewer) read() error {
	var e event
	_ = v.conn.SetReadDeadline(time.Now().Add(deadline))
	_, b, err := v.conn.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure || errors.Is(err, os.ErrDeadlineExceeded) {
		return err // it says why, or says nothing at all
	}
	if err != nil {
		return fmt.Errorf("%w: %v", errLost, err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("%w: %s", err, b)
	}
	switch e.Type {
	case "exchange":
		x := &capture.Exchange{}
		if err := json.Unmarshal(e.Exchange, x); err != nil {
			return err
		}
		if v.seen[e.Seq] || e.Seq != x.Seq || e.Seq <= v.cursor {
			return fmt.Errorf("revision %d (of exchange %d in revision %d) is told at %d", e.Seq, x.ID, x.Seq, v.cursor)
		}
		v.seen[e.Seq] = true
		v.rows[x.ID] = x
	case "removed":
		for _, id := range e.IDs {
			delete(v.rows, id)
		}
	case "gap":
		v.gaps++
		if e.From < v.cursor || e.To <= e.From {
			return fmt.Errorf("gap from %d to %d at %d", e.From, e.To, v.cursor)
		}
		v.list(e.From)
		e.Seq = e.To
	case "reset":
		v.reset++
		clear(v.rows)
		v.list(0)
	}
	if e.Type == "hello" && e.Seq == 0 {
		// A reset comes next; until it has been read, nothing that is known counts.
		v.cursor = 0
		clear(v.seen)
	}
	if e.Seq < v.cursor && e.Type != "reset" {
		return fmt.Errorf("%s goes back from %d to %d", e.Type, v.cursor, e.Seq)
	}
	v.cursor = max(v.cursor, e.Seq)
	return nil
}

// list reads what changed after a revision, page by page.
func (v *viewer) list(after int64) {
	for {
		var p struct {
			Exchanges []*capture.Exchange `json:"exchanges"`
			Seq       int64               `json:"seq"`
		}
		v.l.get("/exchanges", url.Values{"changedAfter": {fmt.Sprint(after)}, "filter": {v.filter}, "limit": {"1000"}}, &p)
		for _, x := range p.Exchanges {
			if have := v.rows[x.ID]; have == nil || have.Seq < x.Seq {
				v.rows[x.ID] = x
			}
			after = x.Seq
		}
		if len(p.Exchanges) < 1000 {
			return
		}
	}
}

// traffic records exchanges until it is told to stop: quick ones, ones that last, conversations; and deletes and marks.
func traffic(t *testing.T, l *lab, stop <-chan struct{}, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	type running struct {
		r capture.Recording
	}
	var open []running
	finish := func(k int) {
		status := 200 + 200*rng.IntN(2)
		open[k].r.Body(capture.SideResponse, fmt.Appendf(nil, "body with word%d in it", rng.IntN(3)))
		open[k].r.Finish(func(x *capture.Exchange) {
			x.State, x.Time = capture.StateDone, 1
			x.Response = &capture.Response{Status: status, HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Content-Type", Value: "text/plain"}}, HeadersSize: 10}
			x.AnsweredBy = capture.AnsweredByOrigin
		})
		open = slices.Delete(open, k, k+1)
	}
	defer func() {
		for len(open) > 0 {
			finish(0)
		}
	}()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		for range 1 + rng.IntN(8) {
			r := l.store.Begin(&capture.Exchange{Kind: capture.KindHTTP, State: capture.StateOpen, Started: time.Now(), Time: -1, Source: capture.SourceProxy, Timings: capture.NoTimings(),
				Request: capture.Request{Method: "GET", URL: fmt.Sprintf("http://%c.test/%d", 'a'+rune(rng.IntN(3)), n), HTTPVersion: "HTTP/1.1", HeadersSize: 1}})
			open = append(open, running{r})
			if rng.IntN(4) > 0 {
				finish(len(open) - 1)
			}
		}
		for len(open) > 40 {
			finish(rng.IntN(len(open)))
		}
		id := 1 + rng.Int64N(int64(n*4+1))
		switch rng.IntN(40) {
		case 0:
			f, err := filter.Parse(fmt.Sprintf("id:%d..%d", id, id+3))
			if err != nil {
				t.Error(err)
			}
			if _, err := l.store.Delete(t.Context(), f); err != nil {
				t.Error(err)
			}
		case 1:
			mark := []string{"", "x"}[rng.IntN(2)]
			if err := l.annotate(id, mark); err != nil {
				t.Error(err)
			}
		}
	}
}

// annotate goes through the API, as every annotation does.
func (l *lab) annotate(id int64, mark string) error {
	b, _ := json.Marshal(map[string]string{"mark": mark})
	req, err := http.NewRequest("PATCH", fmt.Sprintf("http://%s/api/v1/exchanges/%d", l.host, id), bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 200 && resp.StatusCode != 404 {
		return fmt.Errorf("marking exchange %d: %d", id, resp.StatusCode)
	}
	return nil
}

// TestReconnectingMissesAndRepeatsNothing: while exchanges are recorded, end, are marked and deleted, consoles with
// different filters lose their connection at random and come back with their cursor. At the end each table is what the
// store holds.
func TestReconnectingMissesAndRepeatsNothing(t *testing.T) {
	l := newLab(t)
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for seed := range uint64(2) {
		writers.Add(1)
		go func() {
			defer writers.Done()
			traffic(t, l, stop, seed)
		}()
	}
	filters := []string{"", "is:open", "-status:400", "host:a.test", "mark:x", "status:400 -mark", `resp.body:word1`, `is:open or resp.body:word2`, "resp.size>10 -host:b.test"}
	var last atomic.Int64
	last.Store(-1)
	for n, text := range filters {
		v := &viewer{l: l, filter: text, rows: map[int64]*capture.Exchange{}, seen: map[int64]bool{}}
		readers.Add(1)
		go func() {
			defer readers.Done()
			rng := rand.New(rand.NewPCG(uint64(n), 2))
			breaks := 0
			v.connect()
			defer func() { v.conn.Close() }()
			until := time.Now().Add(deadline)
			for last.Load() < 0 || v.cursor < last.Load() {
				err := v.read()
				if err != nil && !errors.Is(err, errLost) {
					t.Errorf("filter %q: %v", text, err)
					return
				}
				if err != nil || rng.IntN(60) == 0 && last.Load() < 0 {
					v.conn.Close()
					v.connect()
					breaks++
				}
				if time.Now().After(until) {
					t.Errorf("filter %q: at %d of %d in the end", text, v.cursor, last.Load())
					return
				}
			}
			v.same(t)
			t.Logf("filter %q: %d rows after %d breaks, %d gaps, %d resets", text, len(v.rows), breaks, v.gaps, v.reset)
		}()
	}
	<-time.After(4 * time.Second)
	close(stop)
	writers.Wait()
	if err := l.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	last.Store(l.store.Seq())
	readers.Wait()
}

// same compares the table with what the store holds.
func (v *viewer) same(t *testing.T) {
	f, err := filter.Parse(v.filter)
	if err != nil {
		t.Error(err)
		return
	}
	want := map[int64]int64{}
	for after := int64(-1); ; {
		p, err := v.l.store.List(context.Background(), store.Query{Filter: f, Limit: 5000, After: after})
		if err != nil {
			t.Error(err)
			return
		}
		for _, x := range p.Exchanges {
			want[x.ID] = x.Seq
			after = x.ID
		}
		if len(p.Exchanges) < 5000 {
			break
		}
	}
	missing, stale, extra := 0, 0, 0
	for id, seq := range want {
		switch x := v.rows[id]; {
		case x == nil:
			missing++
		case x.Seq != seq:
			stale++
		}
	}
	for id := range maps.Keys(v.rows) {
		if _, ok := want[id]; !ok {
			extra++
		}
	}
	if missing+stale+extra > 0 {
		t.Errorf("filter %q: of %d exchanges %d are missing, %d stale, %d too many", v.filter, len(want), missing, stale, extra)
	}
}
