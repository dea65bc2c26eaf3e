package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// How far a machine has come is known step by step: nothing, connected, not trusting, trusting, recorded.
func TestClientsAreKnownByHowFarTheyCame(t *testing.T) {
	onboarding := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") })
	recording := true
	r := start(t, func(c *Config) {
		c.Onboarding = onboarding
		c.Recording = func() bool { return recording }
	})
	get := func(client *http.Client, url string) error {
		resp, err := client.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		return err
	}
	one := func() Client {
		t.Helper()
		all := r.p.Clients()
		if len(all) != 1 || all[0].Address != "127.0.0.1" {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	// Who only looks at the page does not use the proxy yet.
	if err := get(&http.Client{Timeout: waitLimit}, "http://"+r.addr+"/"); err != nil {
		t.Fatal(err)
	}
	if got := r.p.Clients(); len(got) != 0 {
		t.Fatalf("a visitor of the page counts: %+v", got)
	}
	s := r.origin(http.NotFoundHandler(), true, false)
	stranger := r.client(false)
	stranger.Transport.(*http.Transport).TLSClientConfig = nil
	if err := get(stranger, s.URL); err == nil {
		t.Fatal("the certificate was trusted")
	}
	r.mem.finished(t, 1)
	c := one()
	if c.Connected.IsZero() || !c.Trusted.IsZero() || c.Refused.IsZero() || c.Requests != 0 {
		t.Fatalf("after a refusal: %+v", c)
	}
	if err := get(r.client(true), s.URL); err != nil {
		t.Fatal(err)
	}
	if c = one(); c.Trusted.IsZero() || c.Requests != 1 || c.Last.Before(c.Connected) {
		t.Fatalf("after a request: %+v", c)
	}
	recording = false
	plain := r.origin(http.NotFoundHandler(), false, false)
	if err := get(r.client(false), plain.URL); err != nil {
		t.Fatal(err)
	}
	if c = one(); c.Requests != 1 {
		t.Errorf("a request that was not recorded counts: %+v", c)
	}
}

func TestOnlySomeClientsAreRemembered(t *testing.T) {
	var cs clients
	now := time.Now()
	for i := range 3 * maxClients {
		cs.of(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1000 + i}).came(now.Add(time.Duration(i) * time.Second))
	}
	got := cs.list()
	if len(got) != maxClients || got[0].Address != net.IPv4(10, 0, 0, 191).String() {
		t.Errorf("%d clients, the latest %v", len(got), got[0])
	}
	if a, b := cs.of(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 191), Port: 7}), cs.of(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 191), Port: 9}); a != b {
		t.Error("two connections of a machine are two clients")
	}
}
