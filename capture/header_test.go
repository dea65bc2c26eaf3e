package capture

import (
	"encoding/json"
	"testing"
	"time"
)

func TestFieldKeepsBytesThatAreNotUTF8(t *testing.T) {
	in := Header{{"X-Name", "caf\xe9"}, {"x-name", "plain"}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `[{"name":"X-Name","value":"café","raw":"Y2Fm6Q=="},{"name":"x-name","value":"plain"}]`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	var out Header
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out[0] != in[0] || out[1] != in[1] {
		t.Fatalf("got %q, want %q", out, in)
	}
}

func TestExchangeJSONRoundTrip(t *testing.T) {
	in := Exchange{ID: 42, Kind: KindHTTP, State: StateDone, Started: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Timings: NoTimings(),
		Request:  Request{Method: "GET", URL: "http://a.test/", Header: Header{}},
		Response: &Response{Status: 200, Header: Header{{"A", "b"}}}}
	b, err := json.Marshal(&in)
	if err != nil {
		t.Fatal(err)
	}
	var out Exchange
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if !out.Started.Equal(in.Started) || out.Response.Header[0] != in.Response.Header[0] || out.ID != 42 {
		t.Fatalf("got %+v from %s", out, b)
	}
	if s := in.Summary(); s.Response.Header != nil || s.Request.Header != nil || in.Response.Header == nil {
		t.Fatal("a summary leaves out headers, and leaves its exchange alone")
	}
}

func TestMessageJSONRoundTrip(t *testing.T) {
	for _, in := range []Message{{N: 1, Kind: "text", Data: []byte("héllo"), Time: time.UnixMilli(5)}, {N: 2, Kind: "binary", Data: []byte{0, 255}, Time: time.UnixMilli(5)}} {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Message
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		if string(out.Data) != string(in.Data) || !out.Time.Equal(in.Time) || out.N != in.N {
			t.Fatalf("got %+v from %s", out, b)
		}
	}
}
