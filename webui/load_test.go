package webui

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// pipes is a listener whose connections are pipes in memory, so that time can stand still around them.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8485} }

// written counts what a server writes to one connection, with when.
type written struct {
	net.Conn
	mu     sync.Mutex
	writes []write
}

type write struct {
	at    time.Time
	bytes int
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.writes = append(w.writes, write{time.Now(), len(p)})
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// dial opens a stream over a pipe.
func (p *pipes) dial(t *testing.T) (*websocket.Conn, *written) {
	t.Helper()
	client, server := net.Pipe()
	w := &written{Conn: server}
	p.conns <- w
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
	conn, _, err := dialer.Dial("ws://"+p.Addr().String()+"/api/v1/stream", http.Header{"Authorization": {"Bearer " + testToken}})
	if err != nil {
		t.Fatal(err)
	}
	return conn, w
}

// Of 5,000 exchanges a second, a console is sent at most 10 batches and 1 MB in any second, and still is told of all: each
// is shown, or lies in a gap. The store is not asked, and what several consoles are shown is written once.
func TestAFloodIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		s := New(Config{Token: testToken, Version: "1.2.3", Store: store})
		ln := newPipes()
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background(), ln) }()
		const consoles, seconds, rate = 3, 10, 5000
		type reader struct {
			counted *written
			conn    *websocket.Conn
			known   int64 // everything up to this revision has been told
			shown   int
			gaps    int
			done    chan error
		}
		var readers []*reader
		for range consoles {
			r := &reader{done: make(chan error, 1)}
			r.conn, r.counted = ln.dial(t)
			readers = append(readers, r)
			go func() {
				for {
					_, b, err := r.conn.ReadMessage()
					if err != nil {
						r.done <- nil
						return
					}
					var e event
					if err := json.Unmarshal(b, &e); err != nil {
						r.done <- err
						return
					}
					switch e.Type {
					case "exchange":
						if e.Seq != r.known+1 {
							r.done <- errors.New("an exchange was left out without a gap")
							return
						}
						r.known, r.shown = e.Seq, r.shown+1
					case "gap":
						if e.From != r.known {
							r.done <- errors.New("a gap does not begin where the console is")
							return
						}
						r.known, r.gaps = e.To, r.gaps+1
					}
				}
			}()
		}
		synctest.Wait()
		asked := store.asked()
		id := int64(0)
		for range seconds * 1000 {
			for range rate / 1000 {
				id++
				store.put(sample(id))
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := store.asked() - asked; n != 0 {
			t.Errorf("the store was asked %d times for lists", n)
		}
		for i, r := range readers {
			if r.known != id || r.gaps == 0 || r.shown < seconds*100 {
				t.Errorf("console %d: told up to %d of %d, %d shown, %d gaps", i, r.known, id, r.shown, r.gaps)
			}
			r.counted.mu.Lock()
			writes := r.counted.writes[2:] // the handshake and the first batch, which says hello
			r.counted.mu.Unlock()
			total, most, mostBytes := 0, 0, 0
			for from := range writes {
				batches, bytes := 0, 0
				for _, w := range writes[from:] {
					if w.at.Sub(writes[from].at) >= time.Second {
						break
					}
					if w.bytes > 2 { // a ping has no payload
						batches++
					}
					bytes += w.bytes
				}
				total += writes[from].bytes
				most, mostBytes = max(most, batches), max(mostBytes, bytes)
			}
			t.Logf("console %d: %d shown, %d gaps; at most %d batches and %d bytes in a second, %d bytes a second on average", i, r.shown, r.gaps, most, mostBytes, total/seconds)
			if most > 10 || mostBytes > 1_000_000 {
				t.Errorf("console %d: %d batches, %d bytes in a second", i, most, mostBytes)
			}
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		for _, r := range readers {
			if err := <-r.done; err != nil {
				t.Error(err)
			}
		}
		<-served
	})
}
