package main

import (
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
	if got, want := row(cols, 0, func(c column) string { return c.text(x) }), "     7  200     /b?c=d"; got != want {
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
