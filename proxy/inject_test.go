package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
)

// talk opens a WebSocket through the proxy to an origin that h serves.
func (r *rig) talk(secure, compress bool, h func(*websocket.Conn)) *websocket.Conn {
	r.t.Helper()
	up := websocket.Upgrader{EnableCompression: compress}
	o := r.origin(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c, err := up.Upgrade(w, q, nil)
		if err != nil {
			return
		}
		defer c.Close()
		h(c)
	}), secure, false)
	d := websocket.Dialer{EnableCompression: compress, TLSClientConfig: &tls.Config{RootCAs: r.leaves}, HandshakeTimeout: waitLimit,
		Proxy: func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: r.addr}, nil }}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(o.URL, "http"), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(waitLimit))
	r.conversing()
	return c
}

// conversing waits until the first exchange is a conversation, which it is a moment after the client was told.
func (r *rig) conversing() (c *conversation) {
	r.t.Helper()
	waitFor(r.t, "the conversation to begin", func() bool {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		c = r.p.conversations[1]
		return c != nil
	})
	return c
}

// Messages that eaves puts in arrive between those of the sides, which stay whole, whatever their size; compressed ones keep
// their window.
func TestInjectedMessagesStandBetweenOthers(t *testing.T) {
	for _, compress := range []bool{false, true} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("compress=%v secure=%v", compress, secure), func(t *testing.T) {
				r := start(t, nil)
				const rounds = 24
				big := strings.Repeat("the client's own words, again and again. ", 1500)
				got := make(chan map[string]int, 1)
				c := r.talk(secure, compress, func(c *websocket.Conn) {
					seen := map[string]int{}
					for {
						_, p, err := c.ReadMessage()
						if err != nil {
							seen[fmt.Sprint(err)]++
							break
						}
						seen[string(p)]++
						if c.WriteMessage(websocket.TextMessage, p) != nil {
							break
						}
					}
					got <- seen
				})
				var wg sync.WaitGroup
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range rounds {
						m := Injection{Direction: "sent", Kind: "text", Data: fmt.Appendf(nil, "put in %d", i)}
						if i%3 == 1 {
							m.Kind = "binary"
						}
						if err := r.p.Inject(1, m); err != nil {
							t.Error(err)
						}
						if err := r.p.Inject(1, Injection{Direction: "received", Kind: "text", Data: fmt.Appendf(nil, "to you %d", i)}); err != nil {
							t.Error(err)
						}
						if err := r.p.Inject(1, Injection{Direction: "sent", Kind: "ping", Data: []byte("there?")}); err != nil {
							t.Error(err)
						}
					}
				}()
				go func() {
					for range rounds {
						w, _ := c.NextWriter(websocket.TextMessage)
						for part := range 4 { // several writes make several frames
							io.WriteString(w, big[part*len(big)/4:(part+1)*len(big)/4])
						}
						w.Close()
					}
				}()
				echoes, own, put := 0, 0, 0
				for echoes+own+put < 3*rounds {
					_, p, err := c.ReadMessage()
					if err != nil {
						t.Fatalf("after %d, %d and %d messages: %v", echoes, own, put, err)
					}
					switch s := string(p); {
					case s == big:
						echoes++
					case strings.HasPrefix(s, "put in "):
						own++
					case strings.HasPrefix(s, "to you "):
						put++
					default:
						t.Fatalf("a message of %d bytes that nobody sent: %.80q", len(p), p)
					}
				}
				wg.Wait()
				if echoes != rounds || own != rounds || put != rounds {
					t.Fatalf("got %d echoes, %d of what was put in, %d put in for the client", echoes, own, put)
				}
				c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
				c.ReadMessage()
				c.Close()
				seen := <-got
				if seen[big] != rounds || seen["put in 7"] != 1 || len(seen) != rounds+2 {
					t.Fatalf("the origin saw %d whole messages of the client's, %d kinds", seen[big], len(seen))
				}
				k := r.mem.finished(t, 1)[0]
				injected := map[string]int{}
				for _, m := range k.messages {
					if m.Injected {
						injected[m.Direction+" "+m.Kind]++
					} else if m.Kind == "text" && m.Direction == "sent" && string(m.Data) != big {
						t.Fatalf("recorded as the client's: %.80q", m.Data)
					}
				}
				if injected["sent text"]+injected["sent binary"] != rounds || injected["received text"] != rounds || injected["sent ping"] != rounds {
					t.Fatalf("recorded as put in: %v", injected)
				}
				if err := r.p.Inject(1, Injection{Direction: "sent", Kind: "text"}); !errors.Is(err, errNotOpen) {
					t.Errorf("into a closed conversation: %v", err)
				}
			})
		}
	}
}

// A message waits for the end of a fragmented one; a control frame only for the end of a frame. What is sent is masked.
func TestInjectedMessageWaitsForTheFragments(t *testing.T) {
	r := start(t, nil)
	frames := make(chan []byte, 16)
	addr := tcpOrigin(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for {
			head := make([]byte, 6)
			if _, err := io.ReadFull(br, head); err != nil {
				return
			}
			payload := make([]byte, head[1]&0x7f)
			io.ReadFull(br, payload)
			if head[1]&0x80 == 0 {
				payload = []byte("not masked")
			} else if head[0] != 0x80 && head[0] != 0x01 && bytes.Equal(head[2:6], []byte{0, 0, 0, 0}) {
				payload = []byte("masked with nothing")
			}
			for i := range payload {
				payload[i] ^= head[2+i&3]
			}
			frames <- append([]byte{head[0]}, payload...)
		}
	})
	c := r.dial()
	fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n", addr, addr)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %+v, %v", resp, err)
	}
	next := func(want string) {
		t.Helper()
		select {
		case f := <-frames:
			if string(f) != want {
				t.Fatalf("the origin got %q, want %q", f, want)
			}
		case <-time.After(waitLimit):
			t.Fatalf("waited in vain for %q", want)
		}
	}
	put := func(m Injection) {
		t.Helper()
		if err := r.p.Inject(1, m); err != nil {
			t.Fatal(err)
		}
	}
	zero := "\x00\x00\x00\x00"
	io.WriteString(c, "\x01\x82"+zero+"a") // half of the first fragment
	g := r.conversing().sent
	waitFor(t, "half a frame to come", func() bool {
		g.writing.Lock()
		defer g.writing.Unlock()
		return g.tap.left == 1
	})
	put(Injection{Direction: "sent", Kind: "ping", Data: []byte("p")})
	put(Injection{Direction: "sent", Kind: "text", Data: []byte("mine")})
	io.WriteString(c, "b")
	next("\x01ab")
	next("\x89p")
	io.WriteString(c, "\x80\x81"+zero+"c")
	next("\x80c")
	next("\x81mine")
	put(Injection{Direction: "sent", Kind: "close", Code: 1001, Data: []byte("off")})
	next("\x88\x03\xe9off")
	// Behind a Close nothing may follow, also not of the client's.
	io.WriteString(c, "\x81\x81"+zero+"z")
	if err := r.p.Inject(1, Injection{Direction: "sent", Kind: "text", Data: []byte("more")}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("behind a Close: %v", err)
	}
	c.(*net.TCPConn).CloseWrite()
	k := r.mem.finished(t, 1)[0]
	var all []string
	for _, m := range k.messages {
		all = append(all, fmt.Sprintf("%s %s %s %v", m.Direction, m.Kind, m.Data, m.Injected))
	}
	want := "sent ping p true|sent text abc false|sent text mine true|sent close 1001 off true"
	if got := strings.Join(all, "|"); got != want {
		t.Errorf("recorded %s\nwant %s", got, want)
	}
	select {
	case f := <-frames:
		t.Errorf("after the Close the origin got %q", f)
	default:
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestWhatCannotBeInjected(t *testing.T) {
	for _, m := range []Injection{
		{Direction: "up", Kind: "text"}, {Direction: "sent", Kind: "event"}, {Direction: "sent", Kind: "pong"},
		{Direction: "sent", Kind: "text", Data: []byte("\xff")}, {Direction: "sent", Kind: "ping", Data: make([]byte, 126)},
		{Direction: "sent", Kind: "text", Code: 1000}, {Direction: "sent", Kind: "close", Code: 1000, Data: make([]byte, 124)},
		{Direction: "sent", Kind: "close", Code: 1005}, {Direction: "sent", Kind: "close", Code: 5000}, {Direction: "sent", Kind: "close", Data: []byte("why")},
	} {
		if m.Check() == nil {
			t.Errorf("%+v can be sent", m)
		}
	}
	r := start(t, nil)
	if err := r.p.Inject(7, Injection{Direction: "sent", Kind: "text"}); !errors.Is(err, errNotOpen) {
		t.Errorf("into nothing: %v", err)
	}
	if d := deflateOf([]string{"permessage-deflate; client_no_context_takeover, x-turbo; a=1"}); d.other != "x-turbo" || d.client == nil || d.client.takeover {
		t.Errorf("extensions: %+v", d)
	}
}

// A side that does not read delays nobody who puts something in.
func TestInjectionDoesNotWait(t *testing.T) {
	r := start(t, nil)
	hold := make(chan struct{})
	c := r.talk(false, false, func(c *websocket.Conn) { <-hold })
	defer close(hold)
	piece := make([]byte, 4<<20)
	var err error
	for n := 0; n < 100 && err == nil; n++ {
		err = r.p.Inject(1, Injection{Direction: "sent", Kind: "binary", Data: piece})
	}
	if err == nil || !strings.Contains(err.Error(), "too much waits") {
		t.Fatalf("400 MB that nobody reads: %v", err)
	}
	// What holds nothing takes room, too.
	n := 0
	for err = nil; n < maxWaiting/waitingCost && err == nil; n++ {
		err = r.p.Inject(1, Injection{Direction: "sent", Kind: "ping"})
	}
	if err == nil {
		t.Errorf("%d pings wait behind that", n)
	}
	c.Close()
}

// An origin that pings without end costs no memory: the latest is answered.
func TestScriptAnswersTheLatestPing(t *testing.T) {
	s := newScript(conversationOf(Line{Kind: "text", Data: []byte("one")}), true)
	s.listen()
	for i := range 1000 {
		if _, err := s.Write(wholeFrame(opPing, fmt.Append(nil, i), false)); err != nil {
			t.Fatal(err)
		}
	}
	var kinds []string
	p := make([]byte, 100)
	for range 2 {
		n, err := s.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		frame := p[:n]
		text := make([]byte, n-6)
		for i := range text {
			text[i] = frame[6+i] ^ frame[2+i&3]
		}
		kinds = append(kinds, fmt.Sprintf("%d %s", frame[0]&15, text))
	}
	if got := strings.Join(kinds, "|"); got != "10 999|1 one" {
		t.Errorf("it said %s", got)
	}
}

func TestWholeFrame(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		k := newMemory().Begin(&capture.Exchange{}).(*kept)
		tap := newFrameTap(k, "sent", nil)
		b := bytes.Repeat([]byte("x"), n)
		f := wholeFrame(opBinary, b, true)
		tap.pass(f)
		if len(k.messages) != 1 || !bytes.Equal(k.messages[0].Data, b) || !tap.betweenMessages() {
			t.Errorf("a frame of %d bytes is read as %d messages", n, len(k.messages))
		}
		if n > 8 && bytes.Contains(f, b) {
			t.Errorf("a frame of %d bytes is not masked", n)
		}
	}
	if got := closing([]byte("1001 going")); binary.BigEndian.Uint16(got) != 1001 || string(got[2:]) != "going" {
		t.Errorf("closing: %q", got)
	}
}

// conversationOf gives lines.
func conversationOf(lines ...Line) func() (Line, error) {
	return func() (Line, error) {
		if len(lines) == 0 {
			return Line{}, io.EOF
		}
		l := lines[0]
		lines = lines[1:]
		return l, nil
	}
}

func TestReplayedConversation(t *testing.T) {
	handshake := capture.Header{{Name: "Connection", Value: "Upgrade"}, {Name: "Upgrade", Value: "websocket"},
		{Name: "Sec-WebSocket-Version", Value: "13"}, {Name: "Sec-WebSocket-Key", Value: "dGhlIHNhbXBsZSBub25jZQ=="},
		{Name: "Sec-WebSocket-Extensions", Value: "permessage-deflate"}}
	echo := func(w http.ResponseWriter, q *http.Request) {
		c, err := (&websocket.Upgrader{EnableCompression: true}).Upgrade(w, q, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.WriteControl(websocket.PingMessage, []byte("?"), time.Now().Add(waitLimit))
		for {
			kind, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			c.WriteMessage(kind, append([]byte("re: "), p...))
		}
	}
	for _, timed := range []bool{false, true} {
		t.Run(fmt.Sprintf("timed=%v", timed), func(t *testing.T) {
			r := start(t, nil)
			o := r.origin(http.HandlerFunc(echo), true, false)
			done := make(chan struct{})
			lines := conversationOf(Line{Kind: "text", Data: []byte("one")}, Line{Kind: "binary", Data: []byte{0, 1}, Heard: 1, Pause: 300 * time.Millisecond},
				Line{Kind: "close", Data: []byte("1000 done"), Heard: 2, Pause: 100 * time.Millisecond})
			began := time.Now()
			id, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: o.URL + "/", Header: handshake, ReplayOf: 3, Conversation: lines, Timed: timed}, func() { close(done) })
			if err != nil || id != 1 {
				t.Fatalf("got %d, %v", id, err)
			}
			within(t, done, "the conversation")
			took := time.Since(began)
			if timed && took < 400*time.Millisecond || !timed && took > patience {
				t.Errorf("it took %v", took)
			}
			k := r.mem.finished(t, 1)[0]
			var all []string
			for _, m := range k.messages {
				if m.Kind != "ping" && m.Kind != "pong" {
					all = append(all, m.Direction+" "+m.Kind+" "+string(m.Data))
				}
			}
			want := "sent text one|received text re: one|sent binary \x00\x01|received binary re: \x00\x01|sent close 1000 done|received close 1000 "
			if got := strings.Join(all, "|"); got != want {
				t.Errorf("said %q\nwant %q", got, want)
			}
			if k.x.State != capture.StateDone || k.x.Kind != capture.KindWebSocket || k.x.ReplayOf != 3 {
				t.Errorf("recorded %+v %+v", k.x, k.x.Error)
			}
			pongs := 0
			for _, m := range k.messages {
				if m.Kind == "pong" && m.Direction == "sent" && string(m.Data) == "?" {
					pongs++
				}
			}
			if pongs != 1 {
				t.Errorf("the origin's ping was answered %d times", pongs)
			}
		})
	}
	t.Run("broken", func(t *testing.T) {
		r := start(t, nil)
		o := r.origin(http.HandlerFunc(echo), false, false)
		done := make(chan struct{})
		if _, err := r.p.Replay(context.Background(), ReplayRequest{Method: "GET", URL: o.URL + "/", Header: handshake, Conversation: func() (Line, error) { return Line{}, errors.New("message 1 was not kept whole") }},
			func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		within(t, done, "the conversation")
		if k := r.mem.finished(t, 1)[0]; k.x.State != capture.StateFailed || !strings.Contains(k.x.Error.Message, "not kept whole") {
			t.Errorf("recorded %+v %+v", k.x, k.x.Error)
		}
	})
}
