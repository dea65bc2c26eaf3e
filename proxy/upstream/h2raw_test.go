package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/capture"
	"eaves/proxy/wire"
)

// h2peer is a server of HTTP/2 that does what a test tells it.
type h2peer struct {
	t    testing.TB
	c    net.Conn
	fr   *http2.Framer
	henc *hpack.Encoder
	hbuf bytes.Buffer
	n    int // which connection this is, from 1
}

// h2Peer serves cleartext HTTP/2 by f, which is called once for each connection after the prefaces.
func h2Peer(t testing.TB, f func(*h2peer), settings ...http2.Setting) string {
	var conns atomic.Int32
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(br, preface); err != nil || string(preface) != http2.ClientPreface {
			t.Errorf("got preface %q %v", preface, err)
			return
		}
		p := &h2peer{t: t, c: c, fr: http2.NewFramer(c, br), n: int(conns.Add(1))}
		p.henc = hpack.NewEncoder(&p.hbuf)
		p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		p.fr.WriteSettings(settings...)
		f(p)
	})
}

// next reads frames up to the next head of a request; nil when the client is gone.
func (p *h2peer) next() *http2.MetaHeadersFrame {
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			return nil
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f
		case *http2.SettingsFrame:
			if !f.IsAck() {
				p.fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			p.fr.WritePing(true, f.Data)
		}
	}
}

// drain reads until the client goes.
func (p *h2peer) drain() {
	for p.next() != nil {
	}
}

func (p *h2peer) headers(id uint32, last bool, kv ...string) {
	p.hbuf.Reset()
	for i := 0; i < len(kv); i += 2 {
		p.henc.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]})
	}
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.hbuf.Bytes(), EndHeaders: true, EndStream: last})
}

func (p *h2peer) answer(id uint32, body string) {
	p.headers(id, false, ":status", "200")
	p.fr.WriteData(id, true, []byte(body))
}

func TestHTTP2Faults(t *testing.T) {
	reset := func(code http2.ErrCode) func(*h2peer) {
		return func(p *h2peer) {
			for f := p.next(); f != nil; f = p.next() {
				p.fr.WriteRSTStream(f.StreamID, code)
			}
		}
	}
	first := func(f func(p *h2peer, id uint32)) func(*h2peer) {
		return func(p *h2peer) {
			for h := p.next(); h != nil; h = p.next() {
				f(p, h.StreamID)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		serve func(*h2peer)
		words []string
	}{
		{"reset INTERNAL_ERROR", reset(http2.ErrCodeInternal), []string{"reset the stream with INTERNAL_ERROR", "within the server"}},
		{"reset CANCEL", reset(http2.ErrCodeCancel), []string{"CANCEL"}},
		{"reset ENHANCE_YOUR_CALM", reset(http2.ErrCodeEnhanceYourCalm), []string{"ENHANCE_YOUR_CALM"}},
		{"reset unknown", reset(0x77), []string{"0x77"}},
		{"refused for ever", reset(http2.ErrCodeRefusedStream), []string{"REFUSED_STREAM", "not processed"}},
		{"goaway", first(func(p *h2peer, id uint32) {
			p.fr.WriteGoAway(id, http2.ErrCodeEnhanceYourCalm, []byte("too_many_pings"))
			p.c.Close()
		}), []string{"GOAWAY ENHANCE_YOUR_CALM", "too_many_pings"}},
		{"closes", first(func(p *h2peer, id uint32) { p.c.Close() }), []string{"connection closed", "without an answer (HTTP/2)"}},
		{"no status", first(func(p *h2peer, id uint32) { p.headers(id, true, "a", "b") }), []string{"broke HTTP/2", `status ""`}},
		{"odd status", first(func(p *h2peer, id uint32) { p.headers(id, true, ":status", "2x0") }), []string{`status "2x0"`}},
		{"101", first(func(p *h2peer, id uint32) { p.headers(id, false, ":status", "101") }), []string{`status "101"`}},
		{"1xx that ends", first(func(p *h2peer, id uint32) { p.headers(id, true, ":status", "103") }), []string{`status "103"`}},
		{"endless 1xx", first(func(p *h2peer, id uint32) {
			for range maxInformational + 10 {
				p.headers(id, false, ":status", "102")
			}
		}), []string{`status "102"`}},
		{"large 1xx", first(func(p *h2peer, id uint32) {
			for range 100 {
				p.headers(id, false, ":status", "103", "link", strings.Repeat("~", 12<<10))
			}
		}), []string{"too large"}},
		{"upper case", first(func(p *h2peer, id uint32) { p.headers(id, true, ":status", "200", "Upper", "x") }), []string{"broke HTTP/2", "PROTOCOL_ERROR"}},
		{"two lengths", first(func(p *h2peer, id uint32) {
			p.headers(id, false, ":status", "200", "content-length", "1", "content-length", "2")
		}), []string{"Content-Length is not one number"}},
		{"no length", first(func(p *h2peer, id uint32) { p.headers(id, false, ":status", "200", "content-length", "+5") }), []string{"Content-Length is not one number"}},
		{"data first", first(func(p *h2peer, id uint32) { p.fr.WriteData(id, true, []byte("x")) }), []string{"data came before"}},
		{"unknown stream", first(func(p *h2peer, id uint32) { p.headers(id+2, true, ":status", "200") }), []string{"does not exist"}},
		{"push", first(func(p *h2peer, id uint32) {
			p.fr.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, EndHeaders: true})
		}), []string{"PUSH_PROMISE"}},
		{"window of 0", first(func(p *h2peer, id uint32) { p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0}) }), []string{"PROTOCOL_ERROR"}},
		{"window too large", first(func(p *h2peer, id uint32) { p.fr.WriteWindowUpdate(0, 1<<31-1) }), []string{"FLOW_CONTROL_ERROR"}},
		{"stream window too large", first(func(p *h2peer, id uint32) { p.fr.WriteWindowUpdate(id, 1<<31-1) }), []string{"FLOW_CONTROL_ERROR"}},
		{"head too large", first(func(p *h2peer, id uint32) {
			for range 80 {
				p.hbuf.Reset()
				p.henc.WriteField(hpack.HeaderField{Name: ":status", Value: "103"})
				p.henc.WriteField(hpack.HeaderField{Name: "a", Value: strings.Repeat("b", 1500)})
			}
			p.hbuf.Reset()
			p.henc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			for i := range 100 {
				p.henc.WriteField(hpack.HeaderField{Name: fmt.Sprint("a", i), Value: strings.Repeat("~", 12<<10), Sensitive: true})
			}
			b := p.hbuf.Bytes()
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:16<<10], EndStream: true})
			for b = b[16<<10:]; len(b) > 16<<10; b = b[16<<10:] {
				p.fr.WriteContinuation(id, false, b[:16<<10])
			}
			p.fr.WriteContinuation(id, true, b)
		}), []string{"broke HTTP/2"}},
		{"not hpack", first(func(p *h2peer, id uint32) {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff}, EndHeaders: true, EndStream: true})
		}), []string{"COMPRESSION_ERROR"}},
		{"garbage", first(func(p *h2peer, id uint32) { io.WriteString(p.c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), []string{"HTTP/2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := h2Peer(t, tt.serve)
			e := mustFail(t, testClient(t, Config{}), h2Call(t, "GET", u+"/"))
			t.Log(e.Message)
			wantError(t, e, capture.StageHTTP, 502, append(tt.words, "127.0.0.1:")...)
			if strings.Contains(e.Message, "EOF") || strings.Contains(e.Message, "http2:") {
				t.Errorf("the words of a library: %s", e.Message)
			}
		})
	}
}

func TestHTTP2CutBodies(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(p *h2peer, id uint32)
		word string
	}{
		{"reset", func(p *h2peer, id uint32) { p.fr.WriteRSTStream(id, http2.ErrCodeInternal) }, "INTERNAL_ERROR"},
		{"reset without error", func(p *h2peer, id uint32) { p.fr.WriteRSTStream(id, http2.ErrCodeNo) }, "NO_ERROR"},
		// Half closed: what the client still sends must not turn the end into a reset.
		{"closed", func(p *h2peer, id uint32) { _ = p.c.(interface{ CloseWrite() error }).CloseWrite() }, "closed"},
		{"short", func(p *h2peer, id uint32) { p.fr.WriteData(id, true, nil) }, "Content-Length is 10"},
		{"long", func(p *h2peer, id uint32) { p.fr.WriteData(id, true, []byte("six more bytes")) }, "Content-Length is 10"},
		{"goaway", func(p *h2peer, id uint32) {
			p.fr.WriteGoAway(0, http2.ErrCodeInternal, nil)
			_ = p.c.(interface{ CloseWrite() error }).CloseWrite()
		}, "GOAWAY INTERNAL_ERROR"},
		{"second head", func(p *h2peer, id uint32) { p.headers(id, false, ":status", "200") }, "second head"},
		{"trailer that does not end", func(p *h2peer, id uint32) { p.headers(id, false, "x", "y") }, "second head"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := h2Peer(t, func(p *h2peer) {
				f := p.next()
				p.headers(f.StreamID, false, ":status", "200", "content-length", "10")
				p.fr.WriteData(f.StreamID, false, []byte("hello"))
				tt.cut(p, f.StreamID)
				p.drain()
			})
			resp, err := testClient(t, Config{}).Do(testContext(t), h2Call(t, "GET", u+"/"))
			if err != nil {
				if tt.name == "goaway" {
					return // it says that not even this stream was looked at
				}
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.word) || !strings.HasPrefix(string(b), "hello") || len(b) > 10 {
				t.Errorf("got %q, %v", b, err)
			}
			resp.Body.Close()
		})
	}
}

// What the server says it did not look at goes out again, also where it is not idempotent; what it may have looked at
// does not.
func TestHTTP2Retry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		body   bool
		serve  func(p *h2peer, id uint32)
		again  bool
	}{
		{"refused", "POST", false, func(p *h2peer, id uint32) { p.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, true},
		{"refused with its body on the way", "POST", true, func(p *h2peer, id uint32) { p.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, false},
		{"goaway before it", "POST", false, func(p *h2peer, id uint32) { p.fr.WriteGoAway(id-2, http2.ErrCodeNo, nil) }, true},
		{"goaway behind it", "POST", false, func(p *h2peer, id uint32) { p.fr.WriteGoAway(id, http2.ErrCodeNo, nil); p.c.Close() }, false},
		{"goaway behind it, idempotent", "GET", false, func(p *h2peer, id uint32) { p.fr.WriteGoAway(id, http2.ErrCodeNo, nil); p.c.Close() }, true},
		{"closed", "GET", false, func(p *h2peer, id uint32) { p.c.Close() }, true},
		{"closed, not idempotent", "POST", false, func(p *h2peer, id uint32) { p.c.Close() }, false},
		{"reset", "GET", false, func(p *h2peer, id uint32) { p.fr.WriteRSTStream(id, http2.ErrCodeInternal) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen atomic.Int32
			u := h2Peer(t, func(p *h2peer) {
				for f := p.next(); f != nil; f = p.next() {
					switch {
					case f.PseudoValue("path") == "/warm":
						p.answer(f.StreamID, "ok")
					case seen.Add(1) == 1:
						tt.serve(p, f.StreamID)
					default:
						p.answer(f.StreamID, "ok")
					}
				}
			})
			c := testClient(t, Config{})
			mustDo(t, c, h2Call(t, "GET", u+"/warm"))
			call := h2Call(t, tt.method, u+"/")
			if tt.body {
				call.withChunks(strings.NewReader("x"))
			}
			if tt.again {
				mustDo(t, c, call)
			} else {
				mustFail(t, c, call)
			}
			want := int32(1)
			if tt.again {
				want = 2
			}
			if n := seen.Load(); n != want {
				t.Errorf("it arrived %d times", n)
			}
		})
	}
}

// GOAWAY lets streams in flight end, and new ones go elsewhere.
func TestHTTP2GoAway(t *testing.T) {
	second := make(chan struct{})
	u := h2Peer(t, func(p *h2peer) {
		f := p.next()
		if p.n == 1 {
			p.fr.WriteGoAway(f.StreamID, http2.ErrCodeNo, nil)
			p.headers(f.StreamID, false, ":status", "200")
			<-second
			p.fr.WriteData(f.StreamID, true, []byte("first"))
			if p.next() != nil {
				t.Error("a stream was begun after GOAWAY")
			}
			return
		}
		p.answer(f.StreamID, "second")
		p.drain()
	})
	c := testClient(t, Config{})
	resp, err := c.Do(testContext(t), h2Call(t, "GET", u+"/"))
	if err != nil {
		t.Fatal(err)
	}
	if _, body := mustDo(t, c, h2Call(t, "GET", u+"/")); body != "second" {
		t.Errorf("got %q", body)
	}
	close(second)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "first" {
		t.Errorf("got %q %v", b, err)
	}
}

// A server that takes few streams at once gets a connection more, not a queue.
// HTTP_1_1_REQUIRED is obeyed.
func TestHTTP2FallsBack(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		if b, err := br.Peek(3); err != nil || string(b) == "GET" {
			readHead(br)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")
			return
		}
		br.Discard(len(http2.ClientPreface))
		fr := http2.NewFramer(c, br)
		fr.WriteSettings()
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := f.(*http2.HeadersFrame); ok {
				fr.WriteRSTStream(h.StreamID, http2.ErrCodeHTTP11Required)
			}
		}
	})
	c := testClient(t, Config{})
	for range 2 {
		if resp, body := mustDo(t, c, h2Call(t, "GET", u+"/")); body != "old" || resp.Proto != "HTTP/1.1" {
			t.Errorf("got %q by %s", body, resp.Proto)
		}
	}
}

// An answer that comes whole while the request is still on its way, followed by NO_ERROR, is an answer (RFC 9113, 8.1).
func TestHTTP2EarlyAnswer(t *testing.T) {
	u := h2Peer(t, func(p *h2peer) {
		f := p.next()
		p.answer(f.StreamID, "enough")
		p.fr.WriteRSTStream(f.StreamID, http2.ErrCodeNo)
		p.drain()
	})
	call := h2Call(t, "POST", u+"/").withChunks(&repeat{block: make([]byte, 100)})
	if _, body := mustDo(t, testClient(t, Config{}), call); body != "enough" {
		t.Errorf("got %q", body)
	}
	select {
	case <-call.Sent():
	case <-time.After(limit):
		t.Error("the request is still being sent")
	}
}

// An error for an answer does not stop the request: the server may want all of it.
func TestHTTP2SendsOnAfterAnError(t *testing.T) {
	srv, c := h2Server(t, upload400)
	const size = 1 << 20
	call := h2Call(t, "POST", srv.URL+"/").withChunks(io.LimitReader(&repeat{block: make([]byte, 1000)}, size))
	resp, body := mustDo(t, c, call)
	if resp.Status != 400 || body != fmt.Sprint(size) {
		t.Errorf("got %d %q", resp.Status, body)
	}
}

// Windows are kept on both sides, however small the server's are.
func TestHTTP2SmallWindows(t *testing.T) {
	got := make(chan string, 1)
	u := h2Peer(t, func(p *h2peer) {
		p.answer(p.next().StreamID, "settings have come by now")
		f := p.next()
		var b strings.Builder
		for {
			p.fr.WriteWindowUpdate(f.StreamID, 7)
			fr, err := p.fr.ReadFrame()
			if err != nil {
				return
			}
			if d, ok := fr.(*http2.DataFrame); ok {
				if len(d.Data()) > 7 {
					t.Errorf("%d bytes at once", len(d.Data()))
				}
				b.Write(d.Data())
				if d.StreamEnded() {
					break
				}
			}
		}
		got <- b.String()
		p.answer(f.StreamID, "ok")
		p.drain()
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	text := strings.Repeat("0123456789", 20)
	c := testClient(t, Config{})
	mustDo(t, c, h2Call(t, "GET", u+"/"))
	mustDo(t, c, h2Call(t, "POST", u+"/").withBody(text))
	if s := <-got; s != text {
		t.Errorf("got %q", s)
	}
}

// An answer that nobody reads is held up to the window and no further; reading on gives room again, padding included.
func TestHTTP2Backpressure(t *testing.T) {
	var sent atomic.Int64
	const size = 8 << 20
	u := h2Peer(t, func(p *h2peer) {
		f := p.next()
		id := f.StreamID
		p.headers(id, false, ":status", "200")
		window := int64(streamWindow)
		block, pad := make([]byte, 8000), make([]byte, 100)
		for sent.Load() < size {
			for window < int64(len(block)+len(pad)+1) {
				f, err := p.fr.ReadFrame()
				if err != nil {
					return
				}
				if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == id {
					window += int64(w.Increment)
				}
			}
			p.fr.WriteDataPadded(id, false, block, pad)
			window -= int64(len(block) + len(pad) + 1)
			sent.Add(int64(len(block)))
		}
		p.fr.WriteData(id, true, nil)
		p.drain()
	})
	resp, err := testClient(t, Config{}).Do(testContext(t), h2Call(t, "GET", u+"/"))
	if err != nil {
		t.Fatal(err)
	}
	for before := int64(-1); sent.Load() != before; time.Sleep(50 * time.Millisecond) {
		before = sent.Load()
	}
	if n := sent.Load(); n > streamWindow {
		t.Errorf("%d bytes were sent to nobody", n)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n < size {
		t.Errorf("got %d %v", n, err)
	}
}

// A head longer than a frame, tables of other sizes, ping.
func TestHTTP2LongHead(t *testing.T) {
	value := strings.Repeat("~", 40<<10)
	u := h2Peer(t, func(p *h2peer) {
		p.fr.WritePing(false, [8]byte{1})
		for f := p.next(); f != nil; f = p.next() {
			for _, h := range f.RegularFields() {
				if h.Name == "x-long" && h.Value != value {
					t.Errorf("got %d bytes", len(h.Value))
				}
			}
			p.headers(f.StreamID, true, ":status", "204", "x", fmt.Sprint(len(f.RegularFields())))
			p.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		}
	}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100})
	c := testClient(t, Config{})
	for range 3 {
		call := h2Call(t, "GET", u+"/")
		call.Fields = wire.Fields{{Name: "X-Long", Value: value}, {Name: "a", Value: "b"}}
		resp, _ := mustDo(t, c, call)
		if resp.Status != 204 || resp.Fields.Get("x") != "2" {
			t.Errorf("got %+v", resp)
		}
	}
}

// A connection that has gone dead in silence is found out, and what may be sent again is.
func TestHTTP2DeadConnection(t *testing.T) {
	u := h2Peer(t, func(p *h2peer) {
		for f := p.next(); f != nil; f = p.next() {
			p.answer(f.StreamID, fmt.Sprint("connection ", p.n))
			if p.n == 1 {
				io.Copy(io.Discard, p.c) // as if a router had forgotten it
			}
		}
	})
	c := testClient(t, Config{})
	c.pingAfter, c.pingTimeout = 0, time.Second
	for i := range 2 {
		if _, body := mustDo(t, c, h2Call(t, "GET", u+"/")); body != fmt.Sprint("connection ", i+1) {
			t.Errorf("got %q", body)
		}
	}
}
