package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"eaves/capture"
	"eaves/cmd/eaves/internal/failure"
)

// serve serves an API within the test and returns a client of it.
func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	l := NewPipeListener()
	s := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	c := New("http://eaves.invalid/", "secret", false, l.Dial)
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return c
}

func TestRequestCarriesTheToken(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path":%q,"token":%q,"host":%q}`, r.URL.String(), r.Header.Get("Authorization"), r.Host)
	}))
	var got struct{ Path, Token, Host string }
	if err := c.Do(context.Background(), http.MethodGet, "/status", nil, nil, &got); err != nil {
		t.Fatal(err)
	}
	if got.Path != "/api/v1/status" || got.Token != "Bearer secret" || got.Host != "eaves.invalid" {
		t.Errorf("got %+v", got)
	}
}

func TestProblemsBecomeFailures(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		want       string
		code       int
	}{
		{"a filter", `{"status":400,"title":"Bad Request","detail":"column 3: no","parameter":"filter"}`, 400, "filter: column 3: no", failure.Usage},
		{"another parameter", `{"title":"Bad Request","detail":"limit is a number","parameter":"limit"}`, 400, "limit is a number", failure.Usage},
		{"work", `{"title":"Conflict","detail":"this was a tunnel"}`, 409, "this was a tunnel", failure.Work},
		{"no detail", `{"title":"Internal Server Error"}`, 500, "Internal Server Error", failure.Work},
		{"no problem document", "plain words\n", 502, "plain words", failure.Work},
		{"nothing at all", "", 503, "Service Unavailable", failure.Work},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			err := c.Do(context.Background(), http.MethodGet, "/x", nil, nil, nil)
			var p *Problem
			if !errors.As(err, &p) || p.Status != tc.status || err.Error() != tc.want || failure.Code(err) != tc.code {
				t.Errorf("got %v (%+v), status %d", err, p, failure.Code(err))
			}
		})
	}
}

// pages is an API with so many exchanges.
func pages(total int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		limit, _ := strconv.Atoi(q.Get("limit"))
		p := Page{Exchanges: []*capture.Exchange{}}
		add := func(id int64) bool {
			p.Exchanges = append(p.Exchanges, &capture.Exchange{ID: id, Seq: id})
			return len(p.Exchanges) < limit
		}
		after, before := q.Get("after")+q.Get("changedAfter"), q.Get("before")
		if after != "" {
			n, _ := strconv.ParseInt(after, 10, 64)
			for id := n + 1; id <= total && add(id); id++ {
			}
		} else {
			from := total
			if before != "" {
				n, _ := strconv.ParseInt(before, 10, 64)
				from = n - 1
			}
			for id := from; id > 0 && add(id); id-- {
			}
		}
		_ = json.NewEncoder(w).Encode(p)
	})
}

func TestPaging(t *testing.T) {
	const total = 2*pageSize + 3
	c := serve(t, pages(total))
	ctx := context.Background()
	for limit, want := range map[int]int64{0: total, 1: 1, pageSize: pageSize, pageSize + 1: pageSize + 1, 2 * total: total} {
		list, err := c.Newest(ctx, "", limit)
		if err != nil || int64(len(list)) != want || list[0].ID != total-want+1 || list[want-1].ID != total {
			t.Errorf("the %d newest: %d, %v", limit, len(list), err)
		}
		if !slices.IsSortedFunc(list, func(a, b *capture.Exchange) int { return int(a.ID - b.ID) }) {
			t.Errorf("the %d newest are not oldest first", limit)
		}
	}
	for name, each := range map[string]func(fn func(*capture.Exchange) error) error{
		"all":     func(fn func(*capture.Exchange) error) error { return c.Each(ctx, "", fn) },
		"changed": func(fn func(*capture.Exchange) error) error { return c.ChangedAfter(ctx, "", 0, fn) },
	} {
		next := int64(1)
		err := each(func(x *capture.Exchange) error {
			if x.ID != next {
				return fmt.Errorf("%d, want %d", x.ID, next)
			}
			next++
			return nil
		})
		if err != nil || next != total+1 {
			t.Errorf("%s: got to %d, %v", name, next, err)
		}
	}
	boom := errors.New("boom")
	if err := c.Each(ctx, "", func(*capture.Exchange) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestPipeListenerEnds(t *testing.T) {
	l := NewPipeListener()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Dial(ctx, "tcp", "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody accepts: got %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v", err)
	}
	if _, err := l.Dial(context.Background(), "tcp", "x"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: got %v", err)
	}
}
