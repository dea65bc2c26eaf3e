package webui

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// asked is a request as a browser sends it, begun so many milliseconds after the first.
func asked(id int64, after int, address, referer, dest string) *capture.Exchange {
	h := capture.Header{{Name: "Accept", Value: "*/*"}}
	if referer != "" {
		h = append(h, capture.Field{Name: "Referer", Value: referer})
	}
	if dest != "" {
		h = append(h, capture.Field{Name: "Sec-Fetch-Dest", Value: dest})
	}
	return &capture.Exchange{ID: id, Kind: capture.KindHTTP, State: capture.StateDone, Started: time.UnixMilli(1_700_000_000_000 + int64(after)), Time: 50, Source: capture.SourceProxy,
		Client: capture.Client{Address: fmt.Sprintf("192.0.2.7:%d", 4000+id)}, Timings: capture.NoTimings(),
		Request:  capture.Request{Method: "GET", URL: address, HTTPVersion: "HTTP/1.1", Header: h, HeadersSize: -1, BodySize: 0},
		Response: &capture.Response{Status: 200, HTTPVersion: "HTTP/1.1", HeadersSize: -1, BodySize: 10}}
}

func TestPageLoad(t *testing.T) {
	l := newLab(t)
	moved := asked(1, 0, "http://shop.test/", "", "document")
	moved.Response.Status, moved.Response.Header = 301, capture.Header{{Name: "Location", Value: "https://shop.test/#top"}}
	other := asked(8, 300, "https://shop.test/late.css", "https://shop.test/", "style")
	other.Client.Address = "192.0.2.8:9"
	lasts := asked(9, 310, "https://shop.test/events", "https://shop.test/", "")
	lasts.Kind, lasts.State, lasts.Time = capture.KindWebSocket, capture.StateOpen, -1
	program := asked(15, 335, "https://shop.test/feed", "", "")
	program.Request.Header = append(program.Request.Header, capture.Field{Name: "User-Agent", Value: "curl/8.0"})
	for _, x := range []*capture.Exchange{
		moved,
		asked(2, 60, "https://shop.test/", "", "document"),
		asked(3, 130, "https://cdn.test/a.css", "https://shop.test/", "style"),
		asked(4, 140, "https://cdn.test/font.woff2", "https://cdn.test/a.css", "font"), // asked for by what the page loaded
		asked(5, 150, "https://api.test/track", "", "empty"),                           // no Referer, as no-referrer has it
		asked(6, 200, "https://news.test/", "", "document"),                            // another tab
		asked(7, 260, "https://news.test/n.css", "https://news.test/", "style"),
		other, lasts,
		asked(10, 320, "https://api.test/basket", "https://shop.test/", "empty"),
		asked(11, 330, "https://api.test/ping", "", "empty"), // may be either one's: the later page takes it
		program,
		asked(12, 340, "https://elsewhere.test/x", "https://unknown.test/", "image"),
		asked(13, 2300, "https://shop.test/soon.js", "https://shop.test/", "script"),
		asked(14, 4400, "https://shop.test/later.js", "https://shop.test/", "script"), // after two idle seconds
	} {
		l.store.put(x)
	}
	for id, want := range map[int]string{1: "1 2 3 4 5 9 10 13", 6: "6 7 11", 14: "14", 8: "8"} {
		a := l.ask("GET", fmt.Sprintf("%s/exchanges/%d/page", base, id), "")
		var p pageLoad
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		var got []string
		for _, x := range p.Exchanges {
			got = append(got, fmt.Sprint(x.ID))
		}
		if strings.Join(got, " ") != want || !p.Complete {
			t.Errorf("page of %d: %v, complete %v, want %s", id, got, p.Complete, want)
		}
	}
}

func TestPageLoadIsBounded(t *testing.T) {
	l := newLab(t)
	for i := int64(1); i <= pageMost+500; i++ {
		l.store.put(asked(i, int(i), "https://shop.test/", "https://shop.test/", "image"))
	}
	a := l.ask("GET", base+"/exchanges/1/page", "")
	var p pageLoad
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Complete || len(p.Exchanges) < pageMost || len(p.Exchanges) > pageMost+pageStep {
		t.Errorf("%d exchanges, complete %v, %v", len(p.Exchanges), p.Complete, err)
	}
}
