package h2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/proxy/wire"
)

const waitLimit = 10 * time.Second

// serve runs a server on a real connection and returns the client's end.
func serve(t *testing.T, cfg Config) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// Before the listener is closed: what it has not accepted by then is reset.
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		NewConn(nc, cfg).Serve(ctx)
	}()
	c.SetDeadline(time.Now().Add(waitLimit))
	t.Cleanup(func() {
		c.Close()
		cancel()
		select {
		case <-done:
		case <-time.After(waitLimit):
			t.Error("the connection did not end")
		}
	})
	return c
}

// echo answers with what it was asked.
func echo(s *Stream) {
	s.WriteHead(200, wire.Fields{{Name: "x-method", Value: s.Method}, {Name: "x-path", Value: s.Path}}, false)
	s.Flush()
	io.Copy(s, s)
	s.Close(s.Trailer())
}

// transport is a client of the library's over c.
func transport(t *testing.T, c net.Conn) http.RoundTripper {
	t.Helper()
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p, DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	t.Cleanup(tr.CloseIdleConnections)
	// The first request makes the connection that all others share.
	resp, err := (&http.Client{Transport: tr, Timeout: waitLimit}).Post("http://a.test/", "text/plain", strings.NewReader("first"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestLargeBodyBothWaysAtOnce(t *testing.T) {
	rt := transport(t, serve(t, Config{Handler: echo}))
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB: beyond every window
	req, _ := http.NewRequest("POST", "http://a.test/x", bytes.NewReader(body))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(body))
	}
	if resp.Header.Get("X-Path") != "/x" || len(resp.Header) != 2 {
		t.Fatalf("header %v: nothing is added", resp.Header)
	}
}

func TestManyStreams(t *testing.T) {
	rt := transport(t, serve(t, Config{Handler: echo}))
	errs := make(chan error, 500)
	for i := range 500 {
		go func() {
			want := strings.Repeat(fmt.Sprint(i), 5000)
			req, _ := http.NewRequest("POST", "http://a.test/", strings.NewReader(want))
			resp, err := rt.RoundTrip(req)
			if err == nil {
				var b []byte
				if b, err = io.ReadAll(resp.Body); err == nil && string(b) != want {
					err = fmt.Errorf("got %d bytes", len(b))
				}
			}
			errs <- err
		}()
	}
	for range 500 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// raw is a client that can say anything.
type raw struct {
	t    *testing.T
	fr   *http2.Framer
	buf  bytes.Buffer
	henc *hpack.Encoder
}

func newRaw(t *testing.T, c net.Conn) *raw {
	t.Helper()
	io.WriteString(c, http2.ClientPreface)
	r := &raw{t: t, fr: http2.NewFramer(c, c)}
	r.henc = hpack.NewEncoder(&r.buf)
	r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.fr.AllowIllegalWrites = true
	r.fr.WriteSettings()
	return r
}

func (r *raw) headers(id uint32, end bool, fields ...string) {
	r.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		r.henc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.buf.Bytes(), EndHeaders: true, EndStream: end})
}

// wait reads frames until one is wanted.
func (r *raw) wait(want func(http2.Frame) bool) http2.Frame {
	r.t.Helper()
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			r.t.Fatalf("waiting for a frame: %v", err)
		}
		if want(f) {
			return f
		}
	}
}

func get(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a.test"}, more...)
}

func TestWhatBreaksTheProtocolIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		do     func(*raw)
		stream http2.ErrCode // 0: the connection ends
		conn   http2.ErrCode
	}{
		"connection field": {func(r *raw) { r.headers(1, true, get("connection", "close")...) }, http2.ErrCodeProtocol, 0},
		"te":               {func(r *raw) { r.headers(1, true, get("te", "gzip")...) }, http2.ErrCodeProtocol, 0},
		"no path":          {func(r *raw) { r.headers(1, true, ":method", "GET", ":scheme", "https") }, http2.ErrCodeProtocol, 0},
		"upper case":       {func(r *raw) { r.headers(1, true, get("X-Up", "1")...) }, http2.ErrCodeProtocol, 0},
		"length too small": {func(r *raw) {
			r.headers(1, false, get("content-length", "1")...)
			r.fr.WriteData(1, true, []byte("two"))
		}, http2.ErrCodeProtocol, 0},
		"length too large": {func(r *raw) {
			r.headers(1, false, get("content-length", "9")...)
			r.fr.WriteData(1, true, []byte("two"))
		}, http2.ErrCodeProtocol, 0},
		"even stream":   {func(r *raw) { r.headers(2, true, get()...) }, 0, http2.ErrCodeProtocol},
		"smaller id":    {func(r *raw) { r.headers(5, true, get()...); r.headers(3, true, get()...) }, 0, http2.ErrCodeProtocol},
		"data on idle":  {func(r *raw) { r.fr.WriteData(1, true, nil) }, 0, http2.ErrCodeProtocol},
		"reset of idle": {func(r *raw) { r.fr.WriteRSTStream(1, 0) }, 0, http2.ErrCodeProtocol},
		"frame too large": {func(r *raw) {
			r.fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, frameSize+1))
		}, 0, http2.ErrCodeFrameSize},
		"push": {func(r *raw) {
			r.fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, 0, http2.ErrCodeProtocol},
		"window overflow": {func(r *raw) { r.fr.WriteWindowUpdate(0, maxWindow) }, 0, http2.ErrCodeFlowControl},
	} {
		t.Run(name, func(t *testing.T) {
			block := make(chan struct{})
			defer close(block)
			r := newRaw(t, serve(t, Config{Handler: func(s *Stream) {
				if _, err := io.ReadAll(s); err != nil {
					return
				}
				select {
				case <-block:
				case <-s.Context().Done():
				}
			}}))
			test.do(r)
			f := r.wait(func(f http2.Frame) bool {
				switch f.(type) {
				case *http2.RSTStreamFrame, *http2.GoAwayFrame:
					return true
				}
				return false
			})
			switch f := f.(type) {
			case *http2.RSTStreamFrame:
				if f.ErrCode != test.stream {
					t.Fatalf("the stream was reset with %v, want %v", f.ErrCode, test.stream)
				}
			case *http2.GoAwayFrame:
				if test.conn == 0 || f.ErrCode != test.conn {
					t.Fatalf("the connection ended with %v, want %v", f.ErrCode, test.conn)
				}
			}
		})
	}
}

func TestResetEndsTheContextAndTheBody(t *testing.T) {
	ended := make(chan error, 1)
	r := newRaw(t, serve(t, Config{Handler: func(s *Stream) {
		_, err := io.ReadAll(s)
		<-s.Context().Done()
		ended <- err
	}}))
	r.headers(1, false, get()...)
	r.fr.WriteData(1, false, []byte("abc"))
	r.fr.WriteRSTStream(1, http2.ErrCodeCancel)
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("the cut body looked whole")
		}
	case <-time.After(waitLimit):
		t.Fatal("the handler was not told")
	}
}

// TestGivenUpBehindAnAnswer: a client that has an answer and ends its request short of Content-Length gets the rest of the
// answer; the handler sees that the request was cut. Without an answer the request is malformed (RFC 9113, 8.1.1).
func TestGivenUpBehindAnAnswer(t *testing.T) {
	cut := make(chan error, 1)
	r := newRaw(t, serve(t, Config{Handler: func(s *Stream) {
		if s.Path == "/silent" {
			_, err := io.ReadAll(s)
			cut <- err
			return
		}
		s.WriteHead(413, wire.Fields{{Name: "content-length", Value: "3"}}, false)
		s.Flush()
		_, err := io.ReadAll(s)
		cut <- err
		io.WriteString(s, "big")
		s.Close(nil)
	}}))
	r.headers(1, false, get("content-length", "100")...)
	r.fr.WriteData(1, false, []byte("abc"))
	r.wait(func(f http2.Frame) bool { _, ok := f.(*http2.MetaHeadersFrame); return ok })
	r.fr.WriteData(1, true, nil)
	var body []byte
	r.wait(func(f http2.Frame) bool {
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			t.Fatalf("reset with %v", f.ErrCode)
		case *http2.DataFrame:
			body = append(body, f.Data()...)
			return f.StreamEnded()
		}
		return false
	})
	if err := <-cut; string(body) != "big" || err == nil {
		t.Errorf("got %q, the request ended with %v", body, err)
	}
	fields := get("content-length", "100")
	fields[5] = "/silent"
	r.headers(3, false, fields...)
	r.fr.WriteData(3, true, []byte("abc"))
	f := r.wait(func(f http2.Frame) bool { _, ok := f.(*http2.RSTStreamFrame); return ok })
	if code := f.(*http2.RSTStreamFrame).ErrCode; code != http2.ErrCodeProtocol || <-cut == nil {
		t.Errorf("reset with %v", code)
	}
}

func TestHandlerThatDoesNotAnswerResets(t *testing.T) {
	r := newRaw(t, serve(t, Config{Handler: func(*Stream) {}}))
	r.headers(1, true, get()...)
	f := r.wait(func(f http2.Frame) bool { _, ok := f.(*http2.RSTStreamFrame); return ok })
	if code := f.(*http2.RSTStreamFrame).ErrCode; code != http2.ErrCodeInternal {
		t.Fatalf("reset with %v", code)
	}
}

func TestFieldsKeepTheirOrder(t *testing.T) {
	got := make(chan wire.Fields, 1)
	r := newRaw(t, serve(t, Config{Handler: func(s *Stream) {
		got <- s.Fields
		s.WriteHead(299, wire.Fields{{Name: "z", Value: "1"}, {Name: "a", Value: "2"}, {Name: "z", Value: "3"}}, true)
	}}))
	r.headers(1, true, get("z", "1", "a", "2", "z", "3", "cookie", "a=b", "cookie", "c=d")...)
	fields := <-got
	names := ""
	for _, f := range fields {
		names += f.Name + "=" + f.Value + " "
	}
	if names != "z=1 a=2 z=3 cookie=a=b cookie=c=d " {
		t.Fatalf("got %q", names)
	}
	f := r.wait(func(f http2.Frame) bool { _, ok := f.(*http2.MetaHeadersFrame); return ok }).(*http2.MetaHeadersFrame)
	names = ""
	for _, h := range f.Fields {
		names += h.Name + "=" + h.Value + " "
	}
	if names != ":status=299 z=1 a=2 z=3 " {
		t.Fatalf("wrote %q", names)
	}
}

func TestShutdownLetsStreamsEnd(t *testing.T) {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	defer l.Close()
	began, proceed := make(chan struct{}), make(chan struct{})
	conns := make(chan *Conn, 1)
	over := make(chan struct{})
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		c := NewConn(nc, Config{Handler: func(s *Stream) {
			close(began)
			<-proceed
			s.WriteHead(200, nil, true)
		}})
		conns <- c
		c.Serve(context.Background())
		close(over)
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(waitLimit))
	r := newRaw(t, nc)
	r.headers(1, true, get()...)
	<-began
	(<-conns).Shutdown()
	r.wait(func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok })
	close(proceed)
	r.wait(func(f http2.Frame) bool { m, ok := f.(*http2.MetaHeadersFrame); return ok && m.StreamEnded() })
	select {
	case <-over:
	case <-time.After(waitLimit):
		t.Fatal("the connection did not end with its last stream")
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, c := net.Pipe()
		c.SetDeadline(time.Now().Add(waitLimit))
		go io.Copy(io.Discard, c)
		done := make(chan struct{})
		go func() { NewConn(a, Config{Handler: echo, MaxStreams: 4}).Serve(context.Background()); close(done) }()
		io.WriteString(c, http2.ClientPreface)
		c.Write(b)
		c.Close()
		select {
		case <-done:
		case <-time.After(waitLimit):
			t.Fatal("hangs")
		}
	})
}
