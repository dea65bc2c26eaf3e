package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func openStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(testContext(t)); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(testContext(t)); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

func parse(t testing.TB, s string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return f
}

// sample is an exchange as a proxy records it.
func sample(i int) *capture.Exchange {
	return &capture.Exchange{
		Kind: capture.KindHTTP, Source: capture.SourceProxy, Started: time.Now(), Timings: capture.NoTimings(),
		Client:  capture.Client{Address: "127.0.0.1:5000", HTTPVersion: "HTTP/1.1"},
		Request: capture.Request{Method: "GET", URL: fmt.Sprintf("https://host%d.test/item/%d?q=1", i%10, i), HTTPVersion: "HTTP/1.1", HeadersSize: 100, BodySize: -1, Header: capture.Header{{Name: "Host", Value: "host.test"}, {Name: "Accept", Value: "*/*"}}},
	}
}

func answer(status int, mime string) func(x *capture.Exchange) {
	return func(x *capture.Exchange) {
		x.Response = &capture.Response{Status: status, StatusText: "OK", HTTPVersion: "HTTP/1.1", HeadersSize: 80, BodySize: -1, Header: capture.Header{{Name: "Content-Type", Value: mime}}}
		x.Timings = capture.Timings{Blocked: 0.1, DNS: -1, Connect: -1, SSL: -1, Send: 0.02, Wait: 12.345, Receive: 3}
	}
}

func done(x *capture.Exchange) { x.State = capture.StateDone }

// record records one exchange from beginning to end.
func record(s *Store, i int, status int, body string) int64 {
	r := s.Begin(sample(i))
	r.Update(answer(status, "application/json; charset=utf-8"))
	r.Body(capture.SideResponse, []byte(body))
	r.Finish(done)
	return r.ID()
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s *Store, id int64) *capture.Exchange {
	t.Helper()
	x, err := s.Get(testContext(t), id)
	if err != nil {
		t.Fatalf("exchange %d: %v", id, err)
	}
	return x
}

func readBody(t testing.TB, s *Store, id int64, side capture.Side) []byte {
	t.Helper()
	b, err := s.Body(testContext(t), id, side)
	if err != nil {
		t.Fatalf("body of %d: %v", id, err)
	}
	defer b.Close()
	p, err := io.ReadAll(b)
	if err != nil {
		t.Fatalf("body of %d: %v", id, err)
	}
	if b.Size() != int64(len(p)) {
		t.Fatalf("body of %d: size %d, read %d", id, b.Size(), len(p))
	}
	return p
}

func TestRecordAndRead(t *testing.T) {
	s := openStore(t, Config{})
	x := sample(1)
	x.Request.Target = "*"
	x.ReplayOf, x.Connection, x.ServerIPAddress, x.Reused, x.AnsweredBy = 7, "c1", "10.0.0.1", true, capture.AnsweredByOrigin
	r := s.Begin(x)
	r.Body(capture.SideRequest, []byte("question"))
	r.Update(func(x *capture.Exchange) {
		x.Response = &capture.Response{Status: 200, StatusText: "Fine", HTTPVersion: "HTTP/2", HeadersSize: -1, Header: capture.Header{{Name: "Content-Type", Value: "text/HTML; charset=utf-8"}, {Name: "X", Value: "caf\xe9"}},
			Trailer: capture.Header{{Name: "T", Value: "1"}}, Informational: []capture.Informational{{Status: 103, Header: capture.Header{{Name: "Link", Value: "<a>"}}}}}
		x.TLS = &capture.TLS{Version: "TLS 1.3", PeerCertificates: []capture.Certificate{{Subject: "CN=a", DNSNames: []string{"a"}}}, ClientCertificate: &capture.ClientCertificate{Requested: true, Verdict: "accepted", AcceptableCAs: []string{"CN=ca"}}}
		x.ClientTLS = &capture.ClientTLS{ALPN: "h2"}
		x.Route = &capture.Route{Source: "custom", Hops: []capture.Hop{{Kind: "http", Address: "proxy:3128", Status: 200, StatusText: "Connection established", Time: 3.5,
			Authentication: "ntlm", ResponseHeader: capture.Header{{Name: "X-Office", Value: "Paris"}}, Reused: true, Error: "none"}, {Kind: "origin", Address: "a:443"}}}
		x.Client.Request = &capture.Request{Method: "POST", URL: "https://other/", Header: capture.Header{{Name: "A", Value: "b"}}}
	})
	r.Body(capture.SideResponse, []byte("ans"))
	r.Body(capture.SideResponse, []byte("wer"))
	r.Finish(func(x *capture.Exchange) {
		x.State, x.Time = capture.StateFailed, 12.5
		x.Error = &capture.Error{Stage: capture.StageHTTP, Message: "cut", Hint: "again"}
		x.Mark, x.Comment = "red", "look"
	})
	flush(t, s)
	got := get(t, s, r.ID())
	if got.Seq == 0 || got.Seq != x.Seq {
		t.Errorf("seq %d, recorded with %d", got.Seq, x.Seq)
	}
	if d := x.Started.Sub(got.Started); d < 0 || d > time.Microsecond {
		t.Errorf("started is %v off", d)
	}
	want := *x
	want.Started = got.Started
	want.Request.BodySize = 8
	want.Response.BodySize, want.Response.Content = 6, capture.Content{Size: 6, MimeType: "text/HTML; charset=utf-8"}
	if !reflect.DeepEqual(got, &want) {
		t.Errorf("got  %+v\nwant %+v", got, &want)
	}
	if b := readBody(t, s, r.ID(), capture.SideRequest); string(b) != "question" {
		t.Errorf("request body %q", b)
	}
	if b := readBody(t, s, r.ID(), capture.SideResponse); string(b) != "answer" {
		t.Errorf("response body %q", b)
	}
	page, err := s.List(testContext(t), Query{Total: true})
	if err != nil || len(page.Exchanges) != 1 || page.Total != 1 {
		t.Fatalf("got %+v, %v", page, err)
	}
	if sum := want.Summary(); !reflect.DeepEqual(page.Exchanges[0], sum) {
		t.Errorf("summary\ngot  %+v\nwant %+v", page.Exchanges[0], sum)
	}
	if _, err := s.Get(testContext(t), 99); !errors.Is(err, capture.ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
	if _, err := s.Body(testContext(t), 99, capture.SideRequest); !errors.Is(err, capture.ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func TestListPages(t *testing.T) {
	s := openStore(t, Config{})
	var ids []int64
	for i := range 25 {
		ids = append(ids, record(s, i, 200+i%2*204, `{"n":1}`))
	}
	flush(t, s)
	list := func(q Query) []int64 {
		t.Helper()
		page, err := s.List(testContext(t), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, x := range page.Exchanges {
			got = append(got, x.ID)
		}
		return got
	}
	for _, c := range []struct {
		name string
		q    Query
		want []int64
	}{
		{"newest first", Query{Limit: 3}, []int64{ids[24], ids[23], ids[22]}},
		{"before", Query{Limit: 2, Before: ids[22]}, []int64{ids[21], ids[20]}},
		{"after", Query{Limit: 2, After: ids[3]}, []int64{ids[4], ids[5]}},
		{"filter", Query{Limit: 2, Filter: parse(t, "status:404")}, []int64{ids[23], ids[21]}},
		{"host and status", Query{Limit: 5, Filter: parse(t, "host:host3.test status:404")}, []int64{ids[23], ids[13], ids[3]}},
		{"header", Query{Limit: 1, Filter: parse(t, "header[accept]:*")}, []int64{ids[24]}},
		{"body", Query{Limit: 1, Filter: parse(t, `body:"\"N\":1"`)}, []int64{ids[24]}},
		{"no body", Query{Limit: 1, Filter: parse(t, `req.body:n`)}, nil},
		{"by revision", Query{Limit: 30, ChangedAfter: get(t, s, ids[22]).Seq}, []int64{ids[23], ids[24]}},
	} {
		if got := list(c.q); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	page, err := s.List(testContext(t), Query{Filter: parse(t, "status:404"), Limit: 1, Total: true})
	if err != nil || page.Total != 12 {
		t.Errorf("total %d, %v", page.Total, err)
	}
}

func TestBodiesOfAllSizes(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	bodies := make(map[int64][]byte)
	for _, n := range []int{0, 1, 4095, 4097, 70_000, inlineLimit, inlineLimit + 1, 3 << 20} {
		for _, chunk := range []int{1 + n/7, 32 << 10} {
			body := bytes.Repeat([]byte(fmt.Sprint(n, chunk, " ")), n/6+1)[:n]
			r := s.Begin(sample(n))
			r.Update(answer(200, "text/plain"))
			for rest := body; len(rest) > 0; {
				k := min(chunk, len(rest))
				r.Body(capture.SideResponse, rest[:k])
				rest = rest[k:]
			}
			// Readable while open.
			if got := readBody(t, s, r.ID(), capture.SideResponse); !bytes.Equal(got, body) {
				t.Errorf("%d bytes while open: got %d", n, len(got))
			}
			open, err := s.Body(testContext(t), r.ID(), capture.SideResponse)
			if err != nil {
				t.Fatal(err)
			}
			r.Finish(done)
			flush(t, s)
			if got, err := io.ReadAll(open); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, opened before the end: got %d, %v", n, len(got), err)
			}
			open.Close()
			bodies[r.ID()] = body
		}
	}
	check := func(s *Store) {
		t.Helper()
		for id, body := range bodies {
			if got := readBody(t, s, id, capture.SideResponse); !bytes.Equal(got, body) {
				t.Errorf("%d bytes: got %d", len(body), len(got))
			}
			if x := get(t, s, id); x.Response.BodySize != int64(len(body)) || x.Response.Content.Size != int64(len(body)) || x.Response.Truncated {
				t.Errorf("%d bytes: %+v", len(body), x.Response)
			}
		}
	}
	check(s)
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d bytes held at the end", held)
	}
	closeStore(t, s)
	check(openStore(t, Config{Dir: dir}))
}

func TestMessages(t *testing.T) {
	s := openStore(t, Config{})
	x := sample(1)
	x.Kind = capture.KindWebSocket
	r := s.Begin(x)
	large := strings.Repeat("x", inlineLimit+5)
	for i, data := range []string{"hello", "", large} {
		r.Message(capture.Message{Direction: []string{"sent", "received"}[i%2], Kind: "text", Data: []byte(data)})
	}
	flush(t, s)
	ms, err := s.Messages(testContext(t), r.ID(), 0, 10)
	if err != nil || len(ms) != 3 {
		t.Fatalf("got %d, %v", len(ms), err)
	}
	if ms[0].N != 1 || string(ms[0].Data) != "hello" || ms[0].Direction != "sent" || ms[1].Direction != "received" || string(ms[2].Data) != large || ms[2].Size != int64(len(large)) {
		t.Errorf("got %+v", ms[:2])
	}
	if ms, err := s.Messages(testContext(t), r.ID(), 2, 10); err != nil || len(ms) != 1 || ms[0].N != 3 {
		t.Errorf("got %d, %v", len(ms), err)
	}
	if x := get(t, s, r.ID()); x.Messages != 3 || x.State != capture.StateOpen {
		t.Errorf("got %+v", x)
	}
	r.Finish(done)
	if _, err := s.Messages(testContext(t), 99, 0, 1); !errors.Is(err, capture.ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func TestCountingBesideTheTraffic(t *testing.T) {
	s := openStore(t, Config{})
	for i := range 100 {
		record(s, i, 200, "x")
	}
	flush(t, s)
	// As if the start had had no time for it.
	s.counted.Store(false)
	s.count.Store(0)
	stop := make(chan struct{})
	recorded := make(chan int64)
	go func() {
		n := int64(0)
		for i := 0; ; i++ {
			select {
			case <-stop:
				recorded <- n
				return
			default:
				record(s, i, 200, "x")
				n++
			}
		}
	}()
	s.countAll(testContext(t))
	close(stop)
	n := <-recorded
	flush(t, s)
	if got := s.count.Load(); got != 100+n || !s.counted.Load() {
		t.Errorf("counted %d, want %d", got, 100+n)
	}
	checkIntegrity(t, s)
}

// What a parent proxy had to do with an exchange can be asked for.
func TestRoutesAreFound(t *testing.T) {
	s := openStore(t, Config{})
	refused, passed := sample(1), sample(2)
	refused.Route = &capture.Route{Source: "rule", Reason: "*.corp.test", Hops: []capture.Hop{{Kind: "http", Address: "proxy.corp.test:3128", Status: 200}, {Kind: "http", Address: "second.test:8080", Status: 407},
		{Kind: "origin", Address: "a.test:443", DNS: -1, Connect: -1}}}
	refused.AnsweredBy = capture.AnsweredByProxy
	passed.Route = &capture.Route{Source: "custom", Reason: "bypass *.lan", Hops: []capture.Hop{{Kind: "origin", Address: "b.lan:443"}}}
	passed.AnsweredBy = capture.AnsweredByOrigin
	ids := make(map[string]int64)
	for name, x := range map[string]*capture.Exchange{"refused": refused, "passed": passed} {
		r := s.Begin(x)
		r.Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
		ids[name] = r.ID()
	}
	flush(t, s)
	for text, want := range map[string]string{
		"route:corp hop.status:407": "refused", "hop:second.test": "refused", "answered:proxy": "refused", "hop": "refused",
		"bypass:lan": "passed", "bypass=*.lan": "passed", "-hop": "passed", "answered:origin": "passed", "route:b.lan": "passed", "hop.status:200": "",
	} {
		page, err := s.List(testContext(t), Query{Filter: parse(t, text)})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var got []int64
		for _, x := range page.Exchanges {
			got = append(got, x.ID)
		}
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != ids[want]) {
			t.Errorf("%s found %v, want %s (%d)", text, got, want, ids[want])
		}
	}
}
