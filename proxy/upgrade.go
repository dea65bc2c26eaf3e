package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream"
)

// replayedConversation is how long the server of a replayed upgrade may go on.
const replayedConversation = 5 * time.Second

// switchProtocols passes on a 101 and then the bytes of both sides, until both have ended. What it returns says that there
// is nothing left to write.
func (f *flow) switchProtocols(resp *upstream.Response) *http.Response {
	f.upgraded = true
	done := &http.Response{
		Status: "101 Switching Protocols", StatusCode: http.StatusSwitchingProtocols, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody,
	}
	fields := resp.Fields
	cc, err := f.client.upgrade(resp.Status, resp.Reason, fields)
	if err != nil {
		resp.Conn.Close()
		f.noteCut(capture.StageClient, "the client closed the connection before it was upgraded")
		return done
	}
	var client, server io.ReadWriteCloser = cc, resp.Conn
	if isWebSocket(f.upgrading) {
		f.rec.Update(func(x *capture.Exchange) { x.Kind = capture.KindWebSocket })
		agreed := deflateOf(fields.Values("Sec-WebSocket-Extensions"))
		talk := &conversation{sent: newGate(f.rec, "sent", agreed.client, server), received: newGate(f.rec, "received", agreed.server, client)}
		client, server = &gated{client, talk.received}, &gated{server, talk.sent}
		defer f.p.converse(f.rec.ID(), talk, agreed)()
		if f.script != nil {
			f.script.listen()
		}
	} else {
		client = &tapped{ReadWriteCloser: client, tap: bodyTap{f.rec, capture.SideRequest}}
		server = &tapped{ReadWriteCloser: server, tap: bodyTap{f.rec, capture.SideResponse}}
	}
	closeBoth := func() { client.Close(); server.Close() }
	stop, stopped := context.AfterFunc(f, closeBoth), context.AfterFunc(f.p.stopping, closeBoth)
	switch {
	case f.script != nil:
		f.script.ended = sync.OnceFunc(func() { time.AfterFunc(replayedConversation, closeBoth) })
	case f.source != capture.SourceProxy:
		// Nobody speaks for the client, and a server may wait for it for ever.
		defer time.AfterFunc(replayedConversation, closeBoth).Stop()
	}
	var sent, received atomic.Int64
	err = relay(client, server, &sent, &received)
	stop()
	stopped()
	switch {
	case f.script != nil && f.script.err != nil:
		f.noteCut(capture.StageClient, "the conversation could not be said again to its end: "+f.script.err.Error())
	case err != nil && f.p.stopping.Err() != nil:
		f.noteCut(capture.StageHTTP, "eaves was stopped while the conversation went on")
	case err != nil:
		f.noteCut(capture.StageHTTP, "the conversation broke: "+err.Error())
	}
	return done
}

func isWebSocket(protocol string) bool {
	return strings.EqualFold(strings.TrimSpace(protocol), "websocket")
}

// tap sees the bytes of one direction, as they pass.
type tap interface{ pass(p []byte) }

// tapped is a connection whose incoming bytes are seen by a tap.
type tapped struct {
	io.ReadWriteCloser
	tap tap
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	if n > 0 {
		t.tap.pass(p[:n])
	}
	return n, err
}

// CloseWrite ends the sending side, if the connection can.
func (t *tapped) CloseWrite() error {
	if cw, ok := t.ReadWriteCloser.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return io.ErrClosedPipe
}

// bodyTap records the bytes of an upgraded conversation that nobody decodes.
type bodyTap struct {
	rec  capture.Recording
	side capture.Side
}

func (t bodyTap) pass(p []byte) { t.rec.Body(t.side, p) }
