package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/proxy/upstream/hop/hoptest"
)

// loop starts a squid that has this eaves as its own parent.
func (l *chainLab) loop(e *chainEaves) {
	l.t.Helper()
	host, port, err := net.SplitHostPort(e.run.Proxy)
	l.check(err)
	p := hoptest.Squid(l.t, hoptest.SquidOptions{Name: "loop.proxy.test", More: []string{
		"cache_peer " + host + " parent " + port + " 0 no-query no-digest default", "never_direct allow all"}})
	l.parents["loop"] = parent{scheme: "http", host: p.Host, port: p.Port}
	n, err := strconv.Atoi(port)
	l.check(err)
	l.parents["itself"] = parent{scheme: "http", host: host, port: n}
}

// one asks once by each protocol, and looks at what becomes of it.
func (l *chainLab) one(t *testing.T, e *chainEaves, curl string, s situation, ports map[string]int) {
	t.Helper()
	for _, p := range []string{"http", "h1", "h2", "ws", "wss"} {
		r := &chainRun{situation: s, protocol: p, port: ports[p]}
		r.do(l, e, curl)
		r.check(t, l, e)
	}
}

// restartPort is the nth free port of those that the system gives nobody, so that it is free still when it is listened on
// again.
func restartPort(t *testing.T, n int) int {
	t.Helper()
	for port := 20000 + os.Getpid()%5000 + 1000*n; port < 30000; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// comesBack: a proxy that was there, is not, and is again, is used again at once.
func (l *chainLab) comesBack(t *testing.T, e *chainEaves, curl string) {
	port := restartPort(t, 3)
	l.parents["back"] = parent{scheme: "http", host: "127.0.0.1", port: port, user: hoptest.User, variable: "LAB_PASSWORD"}
	start := func() *hoptest.Proxy {
		return hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"digest"}, Port: port, Name: "back.proxy.test"})
	}
	ports := map[string]int{}
	for _, p := range []string{"http", "h1", "h2", "ws", "wss"} {
		ports[p] = l.origin.listen("127.0.0.1", p != "http" && p != "ws")
		e.add(map[string]any{"host": "localhost:" + strconv.Itoa(ports[p]), "via": l.way("back")})
	}
	p := start()
	l.one(t, e, curl, situation{name: "back-1", hops: "http/digest/200 origin"}, ports)
	p.Stop()
	l.one(t, e, curl, situation{name: "back-2", stage: "proxy", words: []string{"http proxy {back} cannot be reached"}}, ports)
	start()
	l.one(t, e, curl, situation{name: "back-3", hops: "http/digest/200 origin"}, ports)
}

// switched: what is under way when a route changes goes on by the old one, what begins goes by the new one.
func (l *chainLab) switched(t *testing.T, e *chainEaves) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	plain, secure := l.origin.listen("127.0.0.1", false), l.origin.listen("127.0.0.1", true)
	rules := map[int]int64{}
	for _, port := range []int{plain, secure} {
		rules[port] = e.add(map[string]any{"host": fmt.Sprintf("localhost:%d", port), "via": l.way("basic", "second")})
	}
	h1, err := proxied(e.run, false)
	l.check(err)
	h2, err := proxied(e.run, true)
	l.check(err)
	defer h1.CloseIdleConnections()
	defer h2.CloseIdleConnections()
	type slow struct {
		client *http.Client
		url    string
		resp   *http.Response
		body   *bufio.Reader
	}
	under := []*slow{
		{client: h1, url: fmt.Sprintf("http://localhost:%d/slow?run=switched.http.", plain)},
		{client: h1, url: fmt.Sprintf("https://localhost:%d/slow?run=switched.h1.", secure)},
		{client: h2, url: fmt.Sprintf("https://localhost:%d/slow?run=switched.h2.", secure)},
	}
	for _, s := range under {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		l.check(err)
		if s.resp, err = s.client.Do(req); err != nil {
			t.Fatal(err)
		}
		defer s.resp.Body.Close()
		s.body = bufio.NewReader(s.resp.Body)
		if line, err := s.body.ReadString('\n'); err != nil || line != "begun\n" {
			t.Fatalf("%s: %q, %v", s.url, line, err)
		}
		<-l.origin.begun
	}
	var sockets []*webSocket
	for _, port := range []int{plain, secure} {
		ws, _, _, err := dialWebSocket(ctx, e.run, port == secure, fmt.Sprintf("localhost:%d", port), "/ws?run=switched.ws.")
		l.check(err)
		sockets = append(sockets, ws)
	}
	for port, id := range rules {
		e.do(http.MethodPut, fmt.Sprintf("%s/%d", proxyRoutes.path, id), nil, map[string]any{"via": []string{"direct"}}, nil)
		scheme := map[bool]string{false: "http", true: "https"}[port == secure]
		for _, client := range []*http.Client{h1, h2} {
			resp, err := client.Get(fmt.Sprintf("%s://localhost:%d/?run=switched-after.", scheme, port))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(b), "origin GET") {
				t.Errorf("after the switch: %s %q, %v", resp.Status, b, err)
			}
		}
	}
	for _, ws := range sockets {
		if got, err := ws.say(1, "still here"); err != nil || got != "still here" {
			t.Errorf("a WebSocket was broken by the switch: %q, %v", got, err)
		}
		l.check(ws.end())
	}
	close(l.origin.goOn)
	for _, s := range under {
		if rest, err := io.ReadAll(s.body); err != nil || string(rest) != "ended\n" {
			t.Errorf("%s was broken by the switch: %q, %v", s.url, rest, err)
		}
	}
	check := func(id string, n int, want string) {
		t.Helper()
		for _, x := range e.recorded(t, id, n) {
			var full capture.Exchange
			e.do(http.MethodGet, fmt.Sprintf("/exchanges/%d", x.ID), nil, nil, &full)
			if full.Error != nil || hopsOf(full.Route) != want {
				t.Errorf("%s: %s, %+v", full.Request.URL, showRouteOf(full.Route), full.Error)
			}
		}
	}
	check("switched.http.", 1, "http/basic/200 http/basic origin")
	for _, p := range []string{"h1", "h2"} {
		check("switched."+p+".", 1, "http/basic/200 http/basic/200 origin")
	}
	check("switched.ws.", 2, "http/basic/200 http/basic/200 origin")
	check("switched-after.", 4, "origin")
}
