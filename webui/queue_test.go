package webui

import (
	"strings"
	"testing"

	"eaves/capture"
)

// What waits for a console is as large as it counts for: the heads of an exchange, which can have megabytes, do not wait with it.
func TestQueueHoldsNoHeads(t *testing.T) {
	c := &console{s: newLab(t).server, shown: make(map[int64]bool), wake: make(chan struct{}, 1), fixed: true}
	x := sample(1)
	x.Request.Header = capture.Header{{Name: "Cookie", Value: strings.Repeat("x", 1<<20)}}
	if err := c.note(t.Context(), &capture.Change{Seq: 1, Exchange: x}); err != nil {
		t.Fatal(err)
	}
	items := c.queue.take(maxQueue)
	if len(items) != 1 || items[0].show == nil {
		t.Fatalf("%+v wait", items)
	}
	if show := items[0].show; show.Request.Header != nil || show.Response.Header != nil || show.TLS != nil || show.Request.URL != x.Request.URL {
		t.Errorf("%+v waits", show)
	}
}

// A message that is long is made anew rather than kept: there are a thousand places.
func TestFrameCacheKeepsNoLongFrames(t *testing.T) {
	var c frameCache
	x := sample(1)
	x.Seq = 1
	first, err := c.frame(x)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.frame(x); err != nil || &again[0] != &first[0] {
		t.Errorf("a short one is made twice, %v", err)
	}
	x = sample(2)
	x.Seq, x.Request.URL = 2, "http://a.test/"+strings.Repeat("x", longFrame)
	if first, err = c.frame(x); err != nil || len(first) < longFrame {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if again, err := c.frame(x); err != nil || &again[0] == &first[0] || string(again) != string(first) {
		t.Errorf("a long one is kept, %v", err)
	}
}
