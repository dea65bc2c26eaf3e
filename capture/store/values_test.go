package store

import (
	"fmt"
	"slices"
	"testing"

	"eaves/capture"
)

// valueStore has twenty exchanges of ten hosts, one in four of them a 404, four marked, two through two proxies.
func valueStore(t *testing.T) *Store {
	t.Helper()
	s := openStore(t, Config{})
	for i := range 20 {
		x := sample(i)
		x.Client.Address = fmt.Sprintf("192.0.2.%d:%d", i%2, 5000+i)
		if i < 2 {
			x.Route = &capture.Route{Source: "rule", Reason: "corp", Hops: []capture.Hop{{Kind: "http", Address: "p1.test:3128", Status: 407}, {Kind: "http", Address: "p2.test:3128"}, {Kind: "origin", Address: "192.0.2.9:443"}}}
		}
		if i < 4 {
			x.Mark = "look \"here\""
		}
		r := s.Begin(x)
		status := 200
		if i%4 == 0 {
			status = 404
		}
		r.Update(answer(status, "application/json; charset=utf-8"))
		r.Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
	}
	if err := s.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestValues(t *testing.T) {
	s := valueStore(t)
	for _, c := range []struct {
		q    ValueQuery
		want []Value
		of   int64
	}{
		{ValueQuery{Field: "host", Limit: 2}, []Value{{"host0.test", 2}, {"host1.test", 2}}, 20},
		{ValueQuery{Field: "host", Contains: "T7", Limit: 5}, []Value{{"host7.test", 2}}, 20},
		{ValueQuery{Field: "host", Filter: parse(t, "status:404"), Limit: 1}, []Value{{"host0.test", 1}}, 5},
		{ValueQuery{Field: "status", Limit: 5}, []Value{{"200", 15}, {"404", 5}}, 20},
		{ValueQuery{Field: "status", Contains: "4", Limit: 5}, []Value{{"404", 5}}, 20},
		{ValueQuery{Field: "type", Limit: 5}, []Value{{"application/json", 20}}, 20},
		{ValueQuery{Field: "client", Limit: 5}, []Value{{"192.0.2.0", 10}, {"192.0.2.1", 10}}, 20},
		{ValueQuery{Field: "hop", Limit: 5}, []Value{{"p1.test:3128", 2}, {"p2.test:3128", 2}}, 20},
		{ValueQuery{Field: "hop", Contains: "p2", Limit: 5}, []Value{{"p2.test:3128", 2}}, 20},
		{ValueQuery{Field: "hop.status", Limit: 5}, []Value{{"407", 2}}, 20},
		{ValueQuery{Field: "route", Limit: 5}, []Value{{"rule", 2}}, 20},
		{ValueQuery{Field: "mark", Limit: 5}, []Value{{`look "here"`, 4}}, 4},
		{ValueQuery{Field: "header", Limit: 5}, []Value{{"accept", 20}, {"content-type", 20}, {"host", 20}}, 20},
		{ValueQuery{Field: "req.header", Contains: "OS", Limit: 5}, []Value{{"host", 20}}, 20},
		{ValueQuery{Field: "resp.header", Filter: parse(t, "header[accept] status:404"), Limit: 5}, []Value{{"content-type", 5}}, 5},
		{ValueQuery{Field: "alert", Limit: 5}, nil, 20},
		{ValueQuery{Field: "size", Limit: 5}, nil, 0},
	} {
		got, err := s.Values(testContext(t), c.q)
		if err != nil {
			t.Errorf("%+v: %v", c.q, err)
			continue
		}
		if !slices.Equal(got.Values, c.want) || got.Of != c.of {
			t.Errorf("%s %q: %v of %d, want %v of %d", c.q.Field, c.q.Contains, got.Values, got.Of, c.want, c.of)
		}
	}
}

// A name that begins as was asked stands before a commoner one that only has it.
func TestValuesThatBeginSoComeFirst(t *testing.T) {
	s := openStore(t, Config{})
	for i := range 5 {
		x := sample(i)
		x.Request.URL = "https://api.bank.test/"
		if i == 4 {
			x.Request.URL = "https://bank.test/"
		}
		s.Begin(x).Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
	}
	if err := s.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Values(testContext(t), ValueQuery{Field: "host", Contains: "bank", Limit: 5})
	if err != nil || !slices.Equal(got.Values, []Value{{"bank.test", 1}, {"api.bank.test", 4}}) {
		t.Errorf("%v, %v", got, err)
	}
}

// Letters beyond ASCII are told apart from their capitals as little as others, as in filters.
func TestValuesInAnyCase(t *testing.T) {
	s := openStore(t, Config{})
	for i, run := range []string{"die Ärzte", "Ärzte", "ärzte", "Aerzte", "die Ärzte"} {
		x := sample(i)
		x.Client.Run = run
		s.Begin(x).Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
	}
	flush(t, s)
	for _, part := range []string{"är", "ÄR"} {
		got, err := s.Values(testContext(t), ValueQuery{Field: "run", Contains: part, Limit: 5})
		if err != nil || !slices.Equal(got.Values, []Value{{"Ärzte", 1}, {"ärzte", 1}, {"die Ärzte", 2}}) {
			t.Errorf("%s: %v, %v", part, got, err)
		}
	}
}

func TestValuesOfAnEmptyStore(t *testing.T) {
	s := openStore(t, Config{})
	for _, field := range []string{"host", "status", "mark", "header", "hop"} {
		got, err := s.Values(testContext(t), ValueQuery{Field: field, Limit: 5})
		if err != nil || len(got.Values) > 0 || got.Of != 0 {
			t.Errorf("%s: %v, %v", field, got, err)
		}
	}
}
