package webui

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// TestGroupFilterFindsItsGroup holds the filter of a group against exchanges in it and beside it.
func TestGroupFilterFindsItsGroup(t *testing.T) {
	x := func(address, client, run, connection string) *capture.Exchange {
		return &capture.Exchange{Kind: capture.KindHTTP, State: capture.StateDone, Started: time.Now(), Connection: connection,
			Client: capture.Client{Address: client, Run: run}, Request: capture.Request{Method: "GET", URL: address}}
	}
	for _, c := range []struct {
		by      capture.Grouping
		name    string
		in, out *capture.Exchange
	}{
		{capture.ByHost, "a.test", x("https://a.test/", "", "", ""), x("https://b.a.test/", "", "", "")},
		{capture.ByHost, "2001:db8::1", x("https://[2001:db8::1]:8443/", "", "", ""), x("https://[2001:db8::11]/", "", "", "")},
		{capture.ByHost, `we"ird\*(x)`, x(`http://we"ird\*(x)/`, "", "", ""), x("http://weird/", "", "", "")},
		{capture.ByHost, "", x("nothing", "", "", ""), x("http://a.test/", "", "", "")},
		{capture.ByClient, "127.0.0.1", x("http://a.test/", "127.0.0.1:5000", "", ""), x("http://a.test/", "127.0.0.11:5000", "", "")},
		{capture.ByClient, "[::1]", x("http://a.test/", "[::1]:5000", "", ""), x("http://a.test/", "127.0.0.1:5000", "", "")},
		{capture.ByClient, `run my "tests"`, x("http://a.test/", "127.0.0.1:5000", `my "tests"`, ""), x("http://a.test/", "127.0.0.1:5000", "my", "")},
		{capture.ByClient, "", x("http://a.test/", "", "", ""), x("http://a.test/", "127.0.0.1:1", "", "")},
		{capture.ByConnection, "17", x("http://a.test/", "", "", "17"), x("http://a.test/", "", "", "171")},
		{capture.ByConnection, "", x("http://a.test/", "", "", ""), x("http://a.test/", "", "", "171")},
		{capture.ByPath, "/api/", x("http://a.test/api/v1?q", "", "", ""), x("http://a.test/api", "", "", "")},
		{capture.ByPath, "/a.b", x("http://a.test/a.b", "", "", ""), x("http://a.test/axb", "", "", "")},
		{capture.ByPath, `/"q(/`, x(`http://a.test/"q(/x`, "", "", ""), x("http://a.test/q/", "", "", "")},
		{capture.ByPath, "/", x("http://a.test/", "", "", ""), x("http://a.test/b", "", "", "")},
	} {
		text := groupFilter(c.by, c.name)
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s %q: %s: %v", c.by, c.name, text, err)
			continue
		}
		if !f.Match(filter.Subject{Exchange: c.in}) {
			t.Errorf("%s %q: %s does not find %s", c.by, c.name, text, c.in.Request.URL)
		}
		if f.Match(filter.Subject{Exchange: c.out}) {
			t.Errorf("%s %q: %s finds %s, too", c.by, c.name, text, c.out.Request.URL)
		}
	}
}

func TestGroupsAreSortedAndLimited(t *testing.T) {
	l := newLab(t)
	for i, host := range []string{"b", "a", "b", "c", "b", "c"} {
		l.store.put(&capture.Exchange{ID: int64(i + 1), Kind: capture.KindHTTP, State: capture.StateDone, Started: time.UnixMicro(int64(i)), Request: capture.Request{Method: "GET", URL: "http://" + host + "/"}})
	}
	for query, want := range map[string]string{
		"":                                      "bca",
		"&reverse=true":                         "acb",
		"&sort=name":                            "abc",
		"&sort=name&reverse=true":               "cba",
		"&sort=last":                            "cba",
		"&limit=1":                              "b",
		"&filter=" + url.QueryEscape("-host:b"): "ca",
	} {
		a := l.ask("GET", base+"/groups?by=host"+query, "")
		var p groupPage
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		got := ""
		for _, g := range p.Groups {
			got += g.Name
		}
		if got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
