package apistore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// ask sends a request and returns the answer's body, which must be of the given status.
func (l *lab) ask(method, path, body string, status int) []byte {
	l.t.Helper()
	req, err := http.NewRequest(method, "http://"+l.host+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		l.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, resp.StatusCode, status, b, err)
	}
	return b
}

// record keeps an exchange that ended, with bodies.
func (l *lab) record(method, address, request, response string) int64 {
	r := l.store.Begin(&capture.Exchange{Kind: capture.KindHTTP, State: capture.StateOpen, Started: time.Now(), Time: -1, Source: capture.SourceProxy, Timings: capture.NoTimings(),
		Request: capture.Request{Method: method, URL: address, HTTPVersion: "HTTP/1.1", HeadersSize: 10, Header: capture.Header{{Name: "Host", Value: "a.test"}}}})
	r.Body(capture.SideRequest, []byte(request))
	r.Body(capture.SideResponse, []byte(response))
	r.Finish(func(x *capture.Exchange) {
		x.State, x.Time, x.AnsweredBy = capture.StateDone, 2, capture.AnsweredByOrigin
		x.Response = &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", HeadersSize: 10, Header: capture.Header{{Name: "content-type", Value: "text/plain"}}}
	})
	return r.ID()
}

func (l *lab) flush() {
	l.t.Helper()
	if err := l.store.Flush(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// ids asks for a list and returns its ids.
func (l *lab) ids(query string) string {
	l.t.Helper()
	var p struct {
		Exchanges []*capture.Exchange `json:"exchanges"`
		Total     *int64              `json:"total"`
	}
	if err := json.Unmarshal(l.ask("GET", "/exchanges"+query, "", 200), &p); err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, x := range p.Exchanges {
		out = append(out, fmt.Sprint(x.ID))
	}
	if p.Total != nil {
		out = append(out, fmt.Sprintf("of %d", *p.Total))
	}
	return strings.Join(out, " ")
}

func TestListsOfTheStore(t *testing.T) {
	l := newLab(t)
	var ids []any
	for n := range 5 {
		ids = append(ids, l.record("GET", fmt.Sprintf("http://%c.test/", 'a'+rune(n%2)), "", "word"))
	}
	l.flush()
	l.ask("PATCH", fmt.Sprintf("/exchanges/%d", ids[1]), `{"mark":"x"}`, 200)
	at := func(format string, n ...int) string {
		var args []any
		for _, k := range n {
			args = append(args, ids[k])
		}
		return fmt.Sprintf(format, args...)
	}
	for query, want := range map[string]string{
		"":                                       at("%d %d %d %d %d", 4, 3, 2, 1, 0),
		"?limit=2":                               at("%d %d", 4, 3),
		at("?limit=2&before=%d", 3):              at("%d %d", 2, 1),
		"?after=0":                               at("%d %d %d %d %d", 0, 1, 2, 3, 4),
		at("?limit=2&after=%d", 1):               at("%d %d", 2, 3),
		"?changedAfter=0":                        at("%d %d %d %d %d", 0, 2, 3, 4, 1),
		"?filter=host:a.test&total=true&limit=1": at("%d of 3", 4),
		"?filter=body:word+-host:a.test":         at("%d %d", 3, 1),
		"?filter=mark:x":                         at("%d", 1),
		"?filter=status:404&total=true":          "of 0",
	} {
		if got := l.ids(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	l.ask("PATCH", "/exchanges/999999", `{"mark":"x"}`, 404)
	l.ask("GET", "/exchanges/999999", "", 404)
	l.ask("GET", "/exchanges/999999/response/body", "", 404)
	if b := l.ask("DELETE", "/exchanges?filter=host:b.test", "", 200); string(b) != `{"removed":2}`+"\n" {
		t.Errorf("%s", b)
	}
	if got, want := l.ids(""), at("%d %d %d", 4, 2, 0); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if b := l.ask("POST", "/prune", `{"filter":"host:a.test"}`, 200); !strings.HasPrefix(string(b), `{"removed":3,"freed":`) {
		t.Errorf("%s", b)
	}
	var st struct {
		Health    string `json:"health"`
		Exchanges int64  `json:"exchanges"`
		Size      int64  `json:"databaseSize"`
		Store     string `json:"store"`
	}
	l.get("/status", nil, &st)
	if st.Health != "ok" || st.Exchanges != 0 || st.Size == 0 || st.Store != l.store.ID() {
		t.Errorf("%+v", st)
	}
}

func TestBodiesOfTheStore(t *testing.T) {
	l := newLab(t)
	big := strings.Repeat("0123456789abcdef", 64<<10) // a MiB, a file of its own
	id := l.record("PUT", "http://a.test/", big, "small")
	l.flush()
	if b := l.ask("GET", fmt.Sprintf("/exchanges/%d/request/body", id), "", 200); string(b) != big {
		t.Errorf("%d bytes", len(b))
	}
	if b := l.ask("GET", fmt.Sprintf("/exchanges/%d/response/body?decoded=true", id), "", 200); string(b) != "small" {
		t.Errorf("%q", b)
	}
	// One that grows can be read as far as it is.
	r := l.store.Begin(&capture.Exchange{Kind: capture.KindHTTP, State: capture.StateOpen, Started: time.Now(), Time: -1, Source: capture.SourceProxy, Timings: capture.NoTimings(),
		Request: capture.Request{Method: "PUT", URL: "http://a.test/", HTTPVersion: "HTTP/1.1"}})
	r.Body(capture.SideRequest, []byte("so far"))
	if b := l.ask("GET", fmt.Sprintf("/exchanges/%d/request/body", r.ID()), "", 200); string(b) != "so far" {
		t.Errorf("%q", b)
	}
	r.Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
}

func TestMessagesOfTheStore(t *testing.T) {
	l := newLab(t)
	r := l.store.Begin(&capture.Exchange{Kind: capture.KindWebSocket, State: capture.StateOpen, Started: time.Now(), Time: -1, Source: capture.SourceProxy, Timings: capture.NoTimings(),
		Request: capture.Request{Method: "GET", URL: "http://a.test/", HTTPVersion: "HTTP/1.1"}})
	say := func(n int) {
		r.Message(capture.Message{Direction: "sent", Kind: "text", Time: time.Now(), Size: 4, Data: fmt.Appendf(nil, "m%03d", n)})
	}
	for n := range 50 {
		say(n)
	}
	v := &viewer{l: l, rows: map[int64]*capture.Exchange{}, seen: map[int64]bool{}}
	v.connect()
	defer v.conn.Close()
	if err := v.conn.WriteMessage(1, fmt.Appendf(nil, `{"type":"subscribe","exchange":%d,"after":10}`, r.ID())); err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("x"), 300<<10)
	want, live := 11, false
	for want <= 152 {
		if want == 51 && !live { // all that were there have come: now live ones, among them a large one
			live = true
			for n := 50; n < 151; n++ {
				say(n)
			}
			r.Message(capture.Message{Direction: "received", Kind: "binary", Time: time.Now(), Size: int64(len(large)), Data: large})
		}
		_ = v.conn.SetReadDeadline(time.Now().Add(deadline))
		_, b, err := v.conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Type string
			N    int
			Text string
			Data []byte
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type != "message" {
			continue
		}
		if m.N != want || want < 152 && m.Text != fmt.Sprintf("m%03d", want-1) || want == 152 && !bytes.Equal(m.Data, large) {
			t.Fatalf("message %d %q (%d), want %d", m.N, m.Text, len(m.Data), want)
		}
		want++
	}
	var page struct{ Messages []capture.Message }
	l.get(fmt.Sprintf("/exchanges/%d/messages", r.ID()), url.Values{"after": {"150"}}, &page)
	if len(page.Messages) != 2 || page.Messages[1].N != 152 || len(page.Messages[1].Data) != len(large) {
		t.Errorf("%d messages", len(page.Messages))
	}
	r.Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
}

func TestExportIsImported(t *testing.T) {
	l := newLab(t)
	for n := range 20 {
		l.record("POST", fmt.Sprintf("http://a.test/%d?token=hush", n), fmt.Sprint("request ", n), fmt.Sprint("response ", n))
	}
	l.flush()
	file := l.ask("GET", "/export?format=har&secrets=true&filter=path:1", "", 200)
	other := newLab(t)
	if b := other.ask("POST", "/import", string(file), 200); string(b) != `{"imported":11}`+"\n" {
		t.Fatalf("%s", b)
	}
	var p struct{ Exchanges []*capture.Exchange }
	other.get("/exchanges", url.Values{"after": {"0"}}, &p)
	if len(p.Exchanges) != 11 || p.Exchanges[1].Request.URL != "http://a.test/10?token=hush" || p.Exchanges[1].Source != capture.SourceImport {
		t.Fatalf("%d exchanges", len(p.Exchanges))
	}
	if b := other.ask("GET", fmt.Sprintf("/exchanges/%d/response/body", p.Exchanges[1].ID), "", 200); string(b) != "response 10" {
		t.Errorf("%s", b)
	}
	for _, format := range []string{"har", "curl", "jsonl", "pcapng"} {
		if b := l.ask("GET", "/export?format="+format, "", 200); bytes.Contains(b, []byte("hush")) {
			t.Errorf("%s tells secrets", format)
		}
	}
}
