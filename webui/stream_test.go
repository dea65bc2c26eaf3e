package webui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
)

// viewer is a client of the stream.
type viewer struct {
	t    *testing.T
	conn *websocket.Conn
}

// event is any message of the stream.
type event struct {
	Type     string            `json:"type"`
	Seq      int64             `json:"seq"`
	IDs      []int64           `json:"ids"`
	From     int64             `json:"from"`
	To       int64             `json:"to"`
	N        int64             `json:"n"`
	Text     string            `json:"text"`
	Store    string            `json:"store"`
	Version  string            `json:"version"`
	Problem  string            `json:"problem"`
	Exchange json.RawMessage   `json:"exchange"`
	x        *capture.Exchange // of an exchange message
	id       int64             // of a message message
}

func (l *lab) stream(query url.Values) *viewer {
	l.t.Helper()
	d := websocket.Dialer{HandshakeTimeout: deadline}
	conn, resp, err := d.Dial("ws://"+l.host+"/api/v1/stream?"+query.Encode(), http.Header{"Authorization": {"Bearer " + testToken}})
	if err != nil {
		l.t.Fatalf("opening the stream: %v (%v)", err, resp)
	}
	l.t.Cleanup(func() { conn.Close() })
	return &viewer{l.t, conn}
}

// next returns the next message that is not a status.
func (v *viewer) next() event {
	v.t.Helper()
	for {
		e, err := v.read()
		if err != nil {
			v.t.Fatalf("reading the stream: %v", err)
		}
		if e.Type != "status" {
			return e
		}
	}
}

func (v *viewer) read() (event, error) {
	var e event
	_ = v.conn.SetReadDeadline(time.Now().Add(deadline))
	_, b, err := v.conn.ReadMessage()
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("%w: %s", err, b)
	}
	switch e.Type {
	case "exchange":
		e.x = &capture.Exchange{}
		err = json.Unmarshal(e.Exchange, e.x)
	case "message":
		err = json.Unmarshal(e.Exchange, &e.id)
	}
	return e, err
}

// expect reads messages, each as a word: exchange 3, removed [3], gap, …
func (v *viewer) expect(want ...string) []event {
	v.t.Helper()
	var events []event
	for _, w := range want {
		e := v.next()
		got := e.Type
		switch e.Type {
		case "exchange":
			got = fmt.Sprintf("exchange %d", e.x.ID)
		case "removed":
			got = fmt.Sprintf("removed %v", e.IDs)
		case "message":
			got = fmt.Sprintf("message %d/%d %s", e.id, e.N, e.Text)
		}
		if got != w {
			v.t.Fatalf("got %s, want %s", got, w)
		}
		events = append(events, e)
	}
	return events
}

func (v *viewer) tell(text string) {
	v.t.Helper()
	if err := v.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		v.t.Fatal(err)
	}
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}

func TestStreamTellsWhatIsCommitted(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	v := l.stream(nil)
	hello := v.expect("hello")[0]
	if hello.Seq != 1 || hello.Store != l.store.ID() || hello.Version != "1.2.3" {
		t.Fatalf("hello: %+v", hello)
	}
	l.store.put(opened(2))
	x := v.expect("exchange 2")[0]
	if x.Seq != 2 || x.x.Seq != 2 || x.x.State != capture.StateOpen || x.x.Request.Header != nil || x.x.Route != nil {
		t.Fatalf("exchange: %+v", x.x)
	}
	l.store.put(sample(2))
	l.store.put(sample(3))
	v.expect("exchange 2", "exchange 3")
	if _, err := l.store.Delete(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	v.expect("removed [1 2 3]")
}

func TestStreamGoesOnWhereItLeftOff(t *testing.T) {
	l := newLab(t)
	for id := range int64(5) {
		l.store.put(sample(id + 1))
	}
	v := l.stream(url.Values{"after": {"3"}})
	if hello := v.expect("hello")[0]; hello.Seq != 3 {
		t.Fatalf("hello: %+v", hello)
	}
	v.expect("exchange 4", "exchange 5")
	v = l.stream(url.Values{"after": {"3"}, "store": {l.store.ID()}})
	v.expect("hello", "exchange 4", "exchange 5")
	v = l.stream(url.Values{"after": {"3"}, "store": {"another"}})
	v.expect("hello", "reset")
	l.store.put(sample(6))
	v.expect("exchange 6")
	v = l.stream(url.Values{"after": {"100"}})
	if hello := v.expect("hello", "reset")[0]; hello.Seq != 0 {
		t.Fatalf("who leaves before it is told to reset comes back with %d", hello.Seq)
	}
	l.store.forget(4)
	v = l.stream(url.Values{"after": {"3"}})
	v.expect("hello", "reset")
	l.store.put(sample(7))
	v.expect("exchange 7")
}

func TestStreamFilter(t *testing.T) {
	l := newLab(t)
	l.store.put(opened(1)) // shown by a list, say
	l.store.put(opened(2))
	v := l.stream(url.Values{"filter": {"is:open host:a.test"}})
	v.expect("hello")
	other := sample(3)
	other.Request.URL = "http://b.test/"
	l.store.put(other)     // never matched: not a word
	l.store.put(sample(2)) // matched when the stream began
	v.expect("removed [2]")
	l.store.put(opened(4))
	v.expect("exchange 4")
	l.store.put(sample(4))
	v.expect("removed [4]")
	l.store.put(sample(5)) // never open to anybody
	l.store.put(opened(6))
	v.expect("exchange 6")

	v = l.stream(url.Values{"filter": {"mark:look"}})
	v.expect("hello")
	for _, c := range []struct{ mark, want string }{{"look", "exchange 5"}, {"", "removed [5]"}} {
		a := l.ask("PATCH", "/api/v1/exchanges/5", fmt.Sprintf(`{"mark":%q}`, c.mark))
		if a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		v.expect(c.want)
	}

	v = l.stream(url.Values{"filter": {`resp.body:needle`}})
	v.expect("hello")
	l.store.setBody(7, capture.SideResponse, []byte("hay"))
	l.store.put(opened(7))
	l.store.setBody(8, capture.SideResponse, []byte("a needle in hay"))
	l.store.put(sample(8))
	v.expect("exchange 8")
	l.store.setBody(7, capture.SideResponse, []byte("hay and needle"))
	l.store.put(sample(7))
	v.expect("exchange 7")
}

// A console lists while changes wait to be sent: what it sees there, though it is never told of, is taken away when it
// matches no more.
func TestStreamTakesAwayWhatAListHasShown(t *testing.T) {
	l := newLab(t)
	for _, text := range []string{"is:open", "is:open or resp.body:needle", "-resp.body:hay"} {
		v := l.stream(url.Values{"filter": {text}})
		v.expect("hello")
		// At once, so that the first revision is not told: between the two, it may have been listed.
		l.store.setBody(1, capture.SideResponse, []byte("hay"))
		l.store.put(opened(1), sample(1))
		v.expect("removed [1]")
		l.store.setBody(2, capture.SideResponse, nil)
		l.store.put(opened(2))
		v.expect("exchange 2")
	}
}

// What the store left out may have been listed as well.
func TestStreamTakesAwayWhatStoppedMatchingInAGap(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	l.store.put(sample(2))
	l.store.put(opened(3))
	v := l.stream(url.Values{"filter": {"-mark:done (host:a.test or is:open)"}})
	v.expect("hello")
	l.store.put(opened(5)) // the feed has been read up to here when it is told
	v.expect("exchange 5")
	marked, ended, other := sample(1), sample(3), sample(4)
	marked.Mark = "done"
	ended.Request.URL, other.Request.URL = "http://b.test/", "http://b.test/"
	begun := opened(4)
	begun.Request.URL = other.Request.URL
	l.store.outrun(marked, ended, begun, other, sample(6))
	e := v.expect("removed [1 3 4]", "gap")
	if e[1].From != 4 || e[1].To != 9 {
		t.Errorf("gap from %d to %d", e[1].From, e[1].To)
	}
	l.store.put(sample(5))
	v.expect("exchange 5")
}

// Of a revision that is told alone for all before it, nobody knows what a list has shown of those.
func TestStreamTakesAwayWhatTheFeedDidNotTell(t *testing.T) {
	f := mustFilter(t, "is:open")
	for _, latest := range []bool{false, true} {
		c := &console{s: newLab(t).server, filter: f, shown: map[int64]bool{}, wake: make(chan struct{}, 1), space: make(chan struct{}, 1)}
		if err := c.note(t.Context(), &capture.Change{Seq: 7, Exchange: sample(1), Latest: latest}); err != nil {
			t.Fatal(err)
		}
		items := c.queue.take(1)
		if taken := len(items) == 1 && items[0].id == 1 && items[0].show == nil; taken != latest {
			t.Errorf("latest %v: %+v", latest, items)
		}
	}
}

func TestStreamFilterWhileCatchingUp(t *testing.T) {
	l := newLab(t)
	seq := l.store.put(opened(1))
	l.store.put(sample(1))
	v := l.stream(url.Values{"filter": {"is:open"}, "after": {fmt.Sprint(seq)}})
	v.expect("hello", "removed [1]")
	// What a request is does not change: nothing has to be taken away.
	l.store.put(sample(2))
	v = l.stream(url.Values{"filter": {"host:b.test"}, "after": {fmt.Sprint(seq)}})
	v.expect("hello")
	x := sample(3)
	x.Request.URL = "http://b.test/"
	l.store.put(x)
	v.expect("exchange 3")
}

func TestStreamRefusesBadRequests(t *testing.T) {
	l := newLab(t)
	if p := l.ask("GET", "/api/v1/stream?filter=%28", "").problem(t, 400); p.Column != 2 {
		t.Errorf("column %d: %s", p.Column, p.Detail)
	}
	l.ask("GET", "/api/v1/stream?after=x", "").problem(t, 400)
	l.ask("GET", "/api/v1/stream?afterr=1", "").problem(t, 400)
	l.ask("GET", "/api/v1/stream", "").problem(t, 426)
	l.ask("GET", "/api/v1/stream", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "8").problem(t, 400)
	l.ask("GET", "/api/v1/stream", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "short").problem(t, 400)
	if l.store.subs != 0 {
		t.Errorf("%d subscriptions are left", l.store.subs)
	}
}

func TestStreamMessages(t *testing.T) {
	l := newLab(t)
	l.store.put(opened(1))
	for i := range 40 {
		l.store.say(1, fmt.Sprint("m", i+1))
	}
	v := l.stream(nil)
	v.expect("hello")
	v.tell(`{"type":"subscribe","exchange":1,"after":2}`)
	for i := 3; i <= 40; i++ {
		v.expect(fmt.Sprintf("message 1/%d m%d", i, i))
	}
	l.store.say(1, "live")
	v.expect("message 1/41 live")
	l.store.say(2, "of another")
	v.tell(`{"type":"unsubscribe","exchange":1}`)
	v.tell(`{"type":"subscribe","exchange":2}`)
	v.expect("message 2/1 of another")
	l.store.say(1, "nobody asked")
	l.store.say(2, "second")
	v.expect("message 2/2 second")
}

func TestStreamClosesOnMistakes(t *testing.T) {
	l := newLab(t)
	many := func(v *viewer) {
		for i := range maxSubscriptions + 1 {
			v.tell(fmt.Sprintf(`{"type":"subscribe","exchange":%d}`, i+1))
		}
	}
	for name, tell := range map[string]func(*viewer){
		"no JSON":        func(v *viewer) { v.tell(`{`) },
		"unknown type":   func(v *viewer) { v.tell(`{"type":"dance","exchange":1}`) },
		"unknown field":  func(v *viewer) { v.tell(`{"type":"subscribe","exchange":1,"x":1}`) },
		"no exchange":    func(v *viewer) { v.tell(`{"type":"subscribe"}`) },
		"negative after": func(v *viewer) { v.tell(`{"type":"subscribe","exchange":1,"after":-1}`) },
		"too many":       many,
		"binary":         func(v *viewer) { _ = v.conn.WriteMessage(websocket.BinaryMessage, []byte(`{}`)) },
	} {
		v := l.stream(nil)
		tell(v)
		var err error
		for err == nil {
			_, err = v.read()
		}
		if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := l.stream(nil)
	v.tell(`{"type":"subscribe","exchange":1,"x":"` + strings.Repeat("x", maxClientMessage) + `"}`)
	var err error
	for err == nil {
		_, err = v.read()
	}
	if !websocket.IsCloseError(err, websocket.CloseMessageTooBig, websocket.ClosePolicyViolation) {
		t.Errorf("large message: %v", err)
	}
	eventually(t, "all consoles gone", func() bool { return l.server.consolesOpen() == 0 })
}

func TestStreamStatus(t *testing.T) {
	l := newLab(t)
	v := l.stream(nil)
	var times []time.Time
	for range 3 {
		e, err := v.read()
		for err == nil && e.Type != "status" {
			e, err = v.read()
		}
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Now())
		l.store.mu.Lock()
		l.store.stats.QueueDepth++
		l.store.stats.Problem = "disk full"
		l.store.mu.Unlock()
	}
	if e := times[2].Sub(times[1]); e < 800*time.Millisecond {
		t.Errorf("two statuses within %v", e)
	}
}

func TestStreamSaysGoodbye(t *testing.T) {
	l := newLab(t)
	v := l.stream(nil)
	v.expect("hello")
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- l.server.Shutdown(ctx) }()
	var err error
	for err == nil {
		_, err = v.read()
	}
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("closed with %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("shutting down: %v", err)
	}
	if l.store.subs != 0 {
		t.Errorf("%d subscriptions are left", l.store.subs)
	}
}

func TestSlowConsoleIsToldOfItsGap(t *testing.T) {
	l := newLab(t)
	big := func(id int64) *capture.Exchange {
		x := sample(id)
		x.Request.URL += "?" + strings.Repeat("x", 8<<10)
		return x
	}
	v := l.stream(nil)
	hello := v.expect("hello")[0]
	const n = 3000 // 24 MB
	for id := range int64(n) {
		l.store.put(big(id + 1))
	}
	if _, err := l.store.Delete(context.Background(), mustFilter(t, "id:7")); err != nil {
		t.Fatal(err)
	}
	// What is told, and what the gaps leave to be read, is everything.
	seen := map[int64]bool{}
	at, gaps, gone := hello.Seq, 0, false
	for at < n+1 {
		e := v.next()
		switch e.Type {
		case "exchange":
			if e.Seq <= at {
				t.Fatalf("seq %d after %d", e.Seq, at)
			}
			if seen[e.x.ID] {
				t.Fatalf("exchange %d is told twice", e.x.ID)
			}
			seen[e.x.ID] = true
			at = e.Seq
		case "gap":
			if e.From < at || e.To <= e.From {
				t.Fatalf("gap from %d to %d at %d", e.From, e.To, at)
			}
			gaps++
			for seq := e.From + 1; seq <= e.To; seq++ {
				seen[seq] = true
			}
			at = e.To
		case "removed":
			gone = slices.Equal(e.IDs, []int64{7})
			at = max(at, e.Seq)
		}
	}
	if gaps == 0 {
		t.Error("24 MB came without a gap")
	}
	if !gone {
		t.Error("a deletion was lost in a gap")
	}
	for id := range int64(n) {
		if !seen[id+1] {
			t.Fatalf("exchange %d was neither told nor in a gap", id+1)
		}
	}
}

func TestCatchingUpIsPacedNotCut(t *testing.T) {
	l := newLab(t)
	const n = 400 // 3.2 MB
	for id := range int64(n) {
		x := sample(id + 1)
		x.Request.URL += "?" + strings.Repeat("x", 8<<10)
		l.store.put(x)
	}
	v := l.stream(url.Values{"after": {"0"}})
	v.expect("hello")
	start := time.Now()
	for id := range int64(n) {
		v.expect(fmt.Sprintf("exchange %d", id+1))
	}
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("3.2 MB came within %v: more than a megabyte a second", took)
	}
}

// TestStatusNeverOvertakesAReset: a status that comes between the feed's loss and the reset that tells of it says the old
// cursor, so that a console which leaves there and comes back is reset all the same.
func TestStatusNeverOvertakesAReset(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	c := &console{s: l.server, shown: make(map[int64]bool), subs: make(map[int64]*messageCursor), fixed: true}
	if err := c.begin(0, true, url.Values{}); err != nil {
		t.Fatal(err)
	}
	before := c.sent
	for id := range int64(5) {
		l.store.put(sample(id + 10))
	}
	if err := c.startOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.changes.Close()
	if c.sent != before || !c.reset || c.read != l.store.Seq() {
		t.Errorf("sent up to %d (was %d), read up to %d of %d, reset %v", c.sent, before, c.read, l.store.Seq(), c.reset)
	}
}
