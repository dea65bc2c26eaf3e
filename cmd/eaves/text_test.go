package main

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"eaves/capture"
)

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain é ☂":           "plain é ☂",
		"\x1b[2Jgone":         "\uFFFD[2Jgone",
		"a\r\nb\tc\x00":       "a\uFFFD\uFFFDb\uFFFDc\uFFFD",
		"\u202egnp.exe":       "\uFFFDgnp.exe",
		"line\u2028break":     "line\uFFFDbreak",
		"\x9b31m":             "\uFFFD31m",
		"zero\u200bwidth":     "zero\uFFFDwidth",
		"bad utf-8 \xff here": "bad utf-8 \uFFFD here",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got, want := harmlessText("a\tb\r\n\x1b[1mc\n"), "a\tb\n\uFFFD[1mc\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChangedHeader(t *testing.T) {
	h := capture.Header{{Name: "Host", Value: "a"}, {Name: "X", Value: "1"}, {Name: "Accept", Value: "*/*"}, {Name: "x", Value: "2"}}
	for _, c := range []struct {
		set, want capture.Header
	}{
		{nil, h},
		{capture.Header{{Name: "X", Value: "9"}}, capture.Header{{Name: "Host", Value: "a"}, {Name: "X", Value: "9"}, {Name: "Accept", Value: "*/*"}}},
		{capture.Header{{Name: "x", Value: ""}}, capture.Header{{Name: "Host", Value: "a"}, {Name: "Accept", Value: "*/*"}}},
		{capture.Header{{Name: "New", Value: "n"}}, append(append(capture.Header{}, h...), capture.Field{Name: "New", Value: "n"})},
		// Twice in one command: both are meant.
		{capture.Header{{Name: "N", Value: "1"}, {Name: "n", Value: "2"}}, append(append(capture.Header{}, h...), capture.Field{Name: "N", Value: "1"}, capture.Field{Name: "n", Value: "2"})},
	} {
		before := fmt.Sprint(h)
		if got := changedHeader(h, c.set); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.set, got, c.want)
		}
		if fmt.Sprint(h) != before {
			t.Fatal("the captured header was changed")
		}
	}
}

func TestRow(t *testing.T) {
	cols, err := pickColumns("id, status,PATH")
	if err != nil {
		t.Fatal(err)
	}
	x := &capture.Exchange{ID: 7, Request: capture.Request{URL: "http://a.test/b?c=d"}, Response: &capture.Response{Status: 200}}
	if got, want := row(cols, 0, func(c column) string { return c.text(x) }), "     7  200         /b?c=d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := row(cols, 12, func(c column) string { return c.text(x) }), "     7  200…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range columns() {
		_ = c.text(&capture.Exchange{}) // an empty exchange breaks none
	}
	if _, err := pickColumns("id,nosuch"); err == nil {
		t.Error("an unknown column is taken")
	}
}

// An answer that was cut is not listed like a whole one.
func TestStatus(t *testing.T) {
	ok, own := &capture.Response{Status: 200}, &capture.Response{Status: 502}
	for want, x := range map[string]*capture.Exchange{
		"200":        {State: capture.StateDone, Response: ok},
		"200 failed": {State: capture.StateFailed, Response: ok},
		"502":        {State: capture.StateFailed, Response: own, AnsweredBy: capture.AnsweredByEaves},
		"failed":     {State: capture.StateFailed},
		"…":          {State: capture.StateOpen},
		"-":          {State: capture.StateDone},
	} {
		if got := status(x); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The phases of an exchange add up: TLS, which HAR counts into connect, is told once.
func TestReceiptsTellTLSOnce(t *testing.T) {
	x := &capture.Exchange{Timings: capture.NoTimings()}
	x.Timings.Connect, x.Timings.SSL, x.Timings.Wait = 4, 3.5, 1
	var out bytes.Buffer
	(&program{out: &out}).printReceipts(x)
	if want := "timings: connect 0.5ms, ssl 3.5ms, wait 1.0ms\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
