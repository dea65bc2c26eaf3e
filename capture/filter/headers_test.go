package filter

import (
	"encoding/json"
	"testing"

	"eaves/capture"
)

// Whatever the fast way understands, it understands as encoding/json does.
func FuzzScanHeader(f *testing.F) {
	for _, h := range []capture.Header{{}, {{Name: "X-A", Value: "b"}}, {{Name: "a", Value: "\"\\\n<é"}, {Name: "A", Value: "caf\xe9"}, {Name: "x\"y", Value: ""}}} {
		b, err := json.Marshal(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), "a", "b")
	}
	f.Add(`[{"name":"a","value":"b"}] `, "a", "b")
	f.Add(`[{"name":"b","value":"b","raw":"YQ=="}]`, "a", "b")
	f.Fuzz(func(t *testing.T, s, name, operand string) {
		m, err := newTextMatch(modeContains, operand)
		if err != nil {
			t.Fatal(err)
		}
		found, ok := scanHeader(s, Fold(name), m)
		if !ok {
			return
		}
		var h capture.Header
		if err := json.Unmarshal([]byte(s), &h); err != nil {
			return // the store writes what can be read
		}
		if want := matchHeader(h, Fold(name), m); found != want {
			t.Fatalf("%q: %s contains %q: got %v", s, name, operand, found)
		}
	})
}

func TestScanHeaderTakesWhatTheStoreWrites(t *testing.T) {
	h := capture.Header{{Name: "Accept", Value: "text/html"}, {Name: "X-Id", Value: `say "hi"`}, {Name: "X-Raw", Value: "caf\xe9"}}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ found, ok bool }{"x-id": {true, true}, "accept": {false, true}, "nope": {false, true}, "x-raw": {false, false}} {
		m, err := newTextMatch(modeContains, "HI")
		if err != nil {
			t.Fatal(err)
		}
		if found, ok := scanHeader(string(b), name, m); found != want.found || ok != want.ok {
			t.Errorf("%s: found %v, read %v", name, found, ok)
		}
	}
}
