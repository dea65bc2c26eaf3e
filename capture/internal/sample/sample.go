// Package sample has exchanges for the tests of formats: those that formats get wrong, and a source and a recorder that
// live in memory. Only tests import it.
package sample

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"eaves/capture"
)

// Key names a body.
type Key struct {
	ID   int64
	Side capture.Side
}

// Source gives bodies and messages as a store does.
type Source struct {
	Exchanges    []*capture.Exchange
	Bodies       map[Key][]byte
	Conversation map[int64][]capture.Message
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// Body opens a body; one that is not there is empty.
func (s *Source) Body(_ context.Context, id int64, side capture.Side) (capture.Body, error) {
	return body{bytes.NewReader(s.Bodies[Key{id, side}])}, nil
}

// Messages returns messages with a higher number.
func (s *Source) Messages(_ context.Context, id, after int64, limit int) ([]capture.Message, error) {
	var ms []capture.Message
	for _, m := range s.Conversation[id] {
		if m.N > after && len(ms) < limit {
			ms = append(ms, m)
		}
	}
	return ms, nil
}

// Recorder records into memory; what it recorded is a Source.
type Recorder struct {
	mu sync.Mutex
	Source
}

type recording struct {
	r *Recorder
	x *capture.Exchange
}

// Begin gives x the next id.
func (r *Recorder) Begin(x *capture.Exchange) capture.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Bodies == nil {
		r.Bodies, r.Conversation = map[Key][]byte{}, map[int64][]capture.Message{}
	}
	r.Exchanges = append(r.Exchanges, x)
	x.ID = int64(len(r.Exchanges))
	return &recording{r, x}
}

func (c *recording) ID() int64 { return c.x.ID }

func (c *recording) Body(side capture.Side, p []byte) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	key := Key{c.x.ID, side}
	c.r.Bodies[key] = append(c.r.Bodies[key], p...)
}

func (c *recording) Update(f func(*capture.Exchange)) { f(c.x) }

func (c *recording) Message(m capture.Message) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	m.N = int64(len(c.r.Conversation[c.x.ID]) + 1)
	c.r.Conversation[c.x.ID] = append(c.r.Conversation[c.x.ID], m)
	c.x.Messages = m.N
}

func (c *recording) Finish(f func(*capture.Exchange)) { f(c.x) }

// Gzip compresses.
func Gzip(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.Bytes()
}

// Now is when the samples were captured.
var Now = time.Date(2026, 1, 31, 10, 0, 0, 123e6, time.UTC)

// Exchanges returns the samples, with ids from 1.
func Exchanges() *Source {
	s := &Source{Bodies: map[Key][]byte{}, Conversation: map[int64][]capture.Message{}}
	add := func(x *capture.Exchange, request, response []byte) {
		x.ID = int64(len(s.Exchanges) + 1)
		x.Seq = x.ID + 100
		x.Started = Now.Add(time.Duration(x.ID) * time.Second)
		if x.Kind == "" {
			x.Kind = capture.KindHTTP
		}
		if x.State == "" {
			x.State = capture.StateDone
		}
		if x.Source == "" {
			x.Source = capture.SourceProxy
		}
		if x.Client.Address == "" {
			x.Client = capture.Client{Address: "127.0.0.1:50001", HTTPVersion: x.Request.HTTPVersion}
		}
		if x.Timings == (capture.Timings{}) {
			x.Timings = capture.Timings{Blocked: -1, DNS: 1.5, Connect: 20, SSL: 12.25, Send: 0.5, Wait: 30, Receive: 4}
			x.Time = 56
		}
		x.ServerIPAddress = "192.0.2.9"
		x.Request.HeadersSize, x.Request.BodySize = -1, int64(len(request))
		if x.Response != nil {
			x.Response.HeadersSize, x.Response.BodySize = -1, int64(len(response))
			x.Response.Content.Size = int64(len(response))
			x.Response.Content.MimeType = x.Response.Header.Get("Content-Type")
		}
		s.Exchanges = append(s.Exchanges, x)
		if request != nil {
			s.Bodies[Key{x.ID, capture.SideRequest}] = request
		}
		if response != nil {
			s.Bodies[Key{x.ID, capture.SideResponse}] = response
		}
	}
	fields := func(pairs ...string) capture.Header {
		h := capture.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h = append(h, capture.Field{Name: pairs[i], Value: pairs[i+1]})
		}
		return h
	}

	add(&capture.Exchange{ // 1: a plain GET over TLS
		Request: capture.Request{Method: "GET", URL: "https://api.bank.test/v1/a%20b?x=1&y=%26&x=2", HTTPVersion: "HTTP/1.1",
			Header: fields("Host", "api.bank.test", "accept", "*/*", "X-Twice", "1", "x-twice", "2", "Cookie", "a=1; b=2", "X-Raw", "caf\xe9")},
		Response: &capture.Response{Status: 200, StatusText: "Fine", HTTPVersion: "HTTP/1.1", Informational: []capture.Informational{{Status: 103, Header: fields("Link", "</a.css>")}},
			Header: fields("Content-Type", "application/json", "Content-Length", "16", "Set-Cookie", "s=1; Path=/; HttpOnly; Secure", "Set-Cookie", "t=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT")},
		AnsweredBy: capture.AnsweredByOrigin, Mark: "red", Comment: "first",
		Route: &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: "192.0.2.9:443", DNS: 1.5, Connect: 20}}},
		TLS:   &capture.TLS{Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ALPN: "http/1.1", ServerName: "api.bank.test", Verified: true},
	}, nil, []byte(`{"name":"Grün"}`))
	add(&capture.Exchange{ // 2: a form, a compressed answer
		Request: capture.Request{Method: "POST", URL: "http://a.test/form", HTTPVersion: "HTTP/1.1",
			Header: fields("Host", "a.test", "Content-Type", "application/x-www-form-urlencoded", "Content-Length", "13")},
		Response: &capture.Response{Status: 302, StatusText: "Found", HTTPVersion: "HTTP/1.1",
			Header: fields("Content-Type", "text/html; charset=utf-8", "Content-Encoding", "gzip", "Location", "/there", "Transfer-Encoding", "chunked")},
		ReplayOf: 1, Source: capture.SourceReplay,
	}, []byte("a=1&b=it's%0A"), Gzip(strings.Repeat("<p>Grün</p>\n", 5000)))
	add(&capture.Exchange{ // 3: bytes both ways, HTTP/2, trailers
		Request: capture.Request{Method: "PUT", URL: "https://a.test:8443/up", HTTPVersion: "HTTP/2", Header: fields("content-type", "application/octet-stream", "content-length", "6"),
			Trailer: fields("x-sum", "7")},
		Response: &capture.Response{Status: 200, HTTPVersion: "HTTP/2", Header: fields("content-type", "application/x-thing"), Trailer: fields("grpc-status", "0")},
		TLS:      &capture.TLS{Version: "TLS 1.3", ALPN: "h2"},
	}, []byte{0, '\'', '\n', 0xff, '\\', '%'}, []byte{0xff, 0xfe, 0, 1})
	add(&capture.Exchange{ // 4: a failure
		State: capture.StateFailed, Time: 12, Request: capture.Request{Method: "GET", URL: "https://nowhere.test/", HTTPVersion: "HTTP/1.1", Header: fields("Host", "nowhere.test")},
		Timings: capture.NoTimings(), Error: &capture.Error{Stage: capture.StageDNS, Message: "no such host", Hint: "check the name"},
	}, nil, nil)
	add(&capture.Exchange{ // 5: a WebSocket
		Kind: capture.KindWebSocket, Request: capture.Request{Method: "GET", URL: "wss://a.test/ws", HTTPVersion: "HTTP/1.1",
			Header: fields("Host", "a.test", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions", "permessage-deflate")},
		Response: &capture.Response{Status: 101, StatusText: "Switching Protocols", HTTPVersion: "HTTP/1.1",
			Header: fields("Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Extensions", "permessage-deflate")},
		Messages: 6,
	}, nil, nil)
	at := func(ms int) time.Time { return Now.Add(5*time.Second + time.Duration(ms)*time.Millisecond) }
	message := func(n int64, direction, kind, data string) capture.Message {
		return capture.Message{N: n, Direction: direction, Kind: kind, Time: at(int(n)), Size: int64(len(data)), Data: []byte(data)}
	}
	s.Conversation[5] = []capture.Message{message(1, "sent", "text", "hällo"), message(2, "received", "binary", "\x00\xff"), message(3, "sent", "ping", "p"), message(4, "received", "pong", "p"),
		message(5, "received", "text", strings.Repeat("long ", 20_000)), message(6, "sent", "close", "\x03\xe8bye")}
	add(&capture.Exchange{ // 6: a tunnel
		Kind: capture.KindTunnel, Request: capture.Request{Method: "CONNECT", URL: "tcp://a.test:22", HTTPVersion: "HTTP/1.1", Header: fields("Host", "a.test:22")},
		Response: &capture.Response{Status: 200, StatusText: "Connection established", HTTPVersion: "HTTP/1.1", Header: fields()},
	}, []byte("SSH-2.0-x\r\n"), []byte("SSH-2.0-y\r\n"))
	add(&capture.Exchange{ // 7: still open
		State: capture.StateOpen, Time: -1, Request: capture.Request{Method: "GET", URL: "http://[2001:db8::1]:8080/slow", HTTPVersion: "HTTP/1.0", Header: fields("Host", "[2001:db8::1]:8080")},
		Timings: capture.NoTimings(),
	}, nil, nil)
	add(&capture.Exchange{ // 8: events
		Request:  capture.Request{Method: "GET", URL: "https://a.test/events", HTTPVersion: "HTTP/2", Header: fields("accept", "text/event-stream")},
		Response: &capture.Response{Status: 200, HTTPVersion: "HTTP/2", Header: fields("content-type", "text/event-stream")}, Messages: 1,
	}, nil, []byte("data: x\n\n"))
	s.Conversation[8] = []capture.Message{message(1, "received", "event", "data: x")}
	add(&capture.Exchange{ // 9: an answer without a body, to HEAD
		Request:  capture.Request{Method: "HEAD", URL: "http://a.test/", HTTPVersion: "HTTP/1.1", Header: fields("Host", "a.test")},
		Response: &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", Header: fields("Content-Length", "1234", "Content-Type", "text/html")},
	}, nil, nil)
	return s
}
