package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// No more streams are opened than the server takes: further calls go over further connections.
func TestHTTP2MaxStreams(t *testing.T) {
	var conns, most atomic.Int32
	release := make(chan struct{})
	u := h2Peer(t, func(p *h2peer) {
		conns.Add(1)
		var wg sync.WaitGroup
		var mu sync.Mutex
		open := int32(0)
		for f := p.next(); f != nil; f = p.next() {
			id := f.StreamID
			mu.Lock()
			open++
			most.Store(max(most.Load(), open))
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-release
				mu.Lock()
				defer mu.Unlock()
				open--
				p.answer(id, "ok")
			}()
		}
		wg.Wait()
	}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 5})
	c := testClient(t, Config{})
	var wg sync.WaitGroup
	do := func() {
		defer wg.Done()
		mustDo(t, c, h2Call(t, "GET", u+"/"))
	}
	wg.Add(1)
	go do()
	settleAt(t, &conns, 1)
	for range 12 {
		wg.Add(1)
		go do()
	}
	settleAt(t, &conns, 3)
	close(release)
	wg.Wait()
	if n := most.Load(); n > 5 {
		t.Errorf("%d streams at once", n)
	}
}

// unsettled serves cleartext HTTP/2 that begins its SETTINGS and does not end them until it gets the rest of them from a
// channel; closing that closes the connection. Requests come to the other channel, and are answered once that has
// happened.
func unsettled(t testing.TB) (u string, came <-chan uint32, rest chan []byte) {
	heads, rest := make(chan uint32, 100), make(chan []byte)
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		br.Discard(len(http2.ClientPreface))
		p := &h2peer{t: t, c: c, fr: http2.NewFramer(c, br)}
		p.henc = hpack.NewEncoder(&p.hbuf)
		p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		c.Write([]byte{0, 0, 6, byte(http2.FrameSettings), 0, 0, 0, 0, 0})
		ids := make(chan uint32, 100)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				f, err := p.fr.ReadFrame()
				if err != nil {
					return
				}
				if h, ok := f.(*http2.MetaHeadersFrame); ok {
					heads <- h.StreamID
					ids <- h.StreamID
				}
			}
		}()
		b, ok := <-rest
		if !ok {
			return
		}
		c.Write(b)
		for {
			select {
			case id := <-ids:
				p.answer(id, "ok")
			case <-gone:
				return
			}
		}
	}), heads, rest
}

// Calls behind the first wait until it is known how many the server takes; the first does not.
func TestHTTP2WaitsForSettings(t *testing.T) {
	u, came, rest := unsettled(t)
	c := testClient(t, Config{})
	c.settingsTimeout = limit
	var wg sync.WaitGroup
	do := func() {
		defer wg.Done()
		resp, err := c.Do(testContext(t), h2Call(t, "GET", u+"/"))
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	wg.Add(1)
	go do()
	<-came
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, h2Call(t, "GET", u+"/")); err == nil || !strings.Contains(err.Error(), "waiting for a connection") {
		t.Errorf("the second call did not wait: %v", err)
	}
	for range 5 {
		wg.Add(1)
		go do()
	}
	if len(came) > 0 {
		t.Error("a stream was opened before the server's SETTINGS")
	}
	rest <- []byte{0, byte(http2.SettingMaxConcurrentStreams), 0, 0, 0, 9}
	wg.Wait()
	if len(came) != 5 {
		t.Errorf("%d more streams", len(came))
	}
}

// A server that owes its SETTINGS is trusted after a while.
func TestHTTP2WithoutSettings(t *testing.T) {
	u, came, rest := unsettled(t)
	c := testClient(t, Config{})
	c.settingsTimeout = 10 * time.Millisecond
	done := make(chan error, 3)
	for range cap(done) {
		go func() {
			resp, err := c.Do(testContext(t), h2Call(t, "GET", u+"/"))
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
	}
	for range cap(done) {
		<-came
	}
	rest <- []byte{0, byte(http2.SettingMaxConcurrentStreams), 0, 0, 0, 9}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Who waited for a connection that ends before its SETTINGS is told so, instead of trying the same in turn.
func TestHTTP2EndsBeforeSettings(t *testing.T) {
	u, came, rest := unsettled(t)
	c := testClient(t, Config{})
	c.settingsTimeout = limit
	first := make(chan error, 1)
	go func() {
		_, err := c.Do(testContext(t), h2Call(t, "GET", u+"/"))
		first <- err
	}()
	<-came
	k, terms, e := c.key(h2Call(t, "GET", u+"/"))
	if e != nil {
		t.Fatal(e)
	}
	h := c.host(k, &terms, &Route{})
	defer c.leave(h)
	h.mu.Lock()
	fl := h.flight
	h.mu.Unlock()
	if fl == nil {
		t.Fatal("nobody would wait")
	}
	close(rest)
	if err := <-first; err == nil || !strings.Contains(err.Error(), "without an answer (HTTP/2)") {
		t.Errorf("the first call: %v", err)
	}
	<-fl.done
	if fl.err == nil || !strings.Contains(fl.err.Error(), "HTTP/2 could not be started") || fl.facts.ServerIP == "" {
		t.Errorf("those behind it: %v %+v", fl.err, fl.facts)
	}
}

// settleAt waits until a count is reached.
func settleAt(t *testing.T, n *atomic.Int32, want int32) {
	t.Helper()
	for deadline := time.Now().Add(limit); n.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d", n.Load(), want)
		}
	}
}
