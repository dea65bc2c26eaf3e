package pcap

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/capture"
)

// multiplexed says whether an exchange is written as HTTP/2. HTTP/3 is too, which over UDP would need keys to be read.
func multiplexed(x *capture.Exchange) bool {
	v := strings.ToUpper(x.Request.HTTPVersion)
	if x.Kind == capture.KindTunnel || x.Response != nil && x.Response.Status == 101 {
		return false
	}
	return strings.HasPrefix(v, "HTTP/2") || strings.HasPrefix(v, "HTTP/3") || v == "H2" || v == "H3"
}

// stream is the only stream of a connection.
const stream = 1

// http2 writes an exchange as HTTP/2 (RFC 9113).
func (e *exchange) http2() error {
	x := e.x
	var framers [2]*http2.Framer
	var blocks [2]*fieldBlock
	for d := range framers {
		framers[d] = http2.NewFramer(e.c.out[d], nil)
		framers[d].AllowIllegalWrites = true // a capture may have what a peer should not have sent
		blocks[d] = newFieldBlock()
	}
	client, server := framers[toServer], framers[toClient]
	const maxWindow = 1<<31 - 1
	settings := http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}
	e.c.out[toServer].WriteString(http2.ClientPreface)
	if err := firstError(client.WriteSettings(settings), client.WriteWindowUpdate(0, maxWindow-65535), e.c.flush(toServer),
		server.WriteSettings(settings), server.WriteSettingsAck(), server.WriteWindowUpdate(0, maxWindow-65535), e.c.flush(toClient),
		client.WriteSettingsAck()); err != nil {
		return err
	}
	e.c.at(e.clock.request)
	extended := x.Kind == capture.KindWebSocket // RFC 8441
	if err := e.message(client, blocks[toServer], capture.SideRequest, toServer, requestFields(x), x.Request.Header, x.Request.Trailer, !extended); err != nil {
		return err
	}
	p := x.Response
	if p == nil {
		return nil
	}
	e.c.at(e.clock.response)
	for _, i := range p.Informational {
		if err := headers(server, blocks[toClient].encode([]capture.Field{{Name: ":status", Value: strconv.Itoa(i.Status)}}, i.Header), false); err != nil {
			return err
		}
		if err := e.c.flush(toClient); err != nil {
			return err
		}
	}
	status := []capture.Field{{Name: ":status", Value: strconv.Itoa(p.Status)}}
	if err := e.message(server, blocks[toClient], capture.SideResponse, toClient, status, p.Header, p.Trailer, !extended); err != nil || !extended {
		return err
	}
	return e.frames(func(d direction) io.Writer { return dataWriter{framers[d]} })
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// message writes a head, a body and trailers, and ends the stream behind them if that is so.
func (e *exchange) message(f *http2.Framer, b *fieldBlock, side capture.Side, d direction, pseudo []capture.Field, h, trailer capture.Header, ends bool) error {
	body, err := e.body(side)
	if err != nil {
		return err
	}
	empty := body == nil
	if !empty {
		body.Close()
	}
	cut := e.x.Request.Truncated
	if side == capture.SideResponse {
		cut = e.x.Response.Truncated
	}
	ends = ends && !cut
	if err := headers(f, b.encode(pseudo, h), ends && empty && len(trailer) == 0); err != nil {
		return err
	}
	if !empty {
		var held []byte // the last block is the one that ends the stream
		err := e.blocks(side, func(p []byte) error {
			if held != nil {
				if err := f.WriteData(stream, false, held); err != nil {
					return err
				}
			}
			held = append(held[:0], p...)
			return nil
		})
		if err == nil {
			err = f.WriteData(stream, ends && len(trailer) == 0, held)
		}
		if err != nil {
			return err
		}
	}
	if len(trailer) > 0 {
		if err := headers(f, b.encode(nil, trailer), ends); err != nil {
			return err
		}
	}
	return e.c.flush(d)
}

// requestFields are the pseudo-header fields of a request (RFC 9113, 8.3.1).
func requestFields(x *capture.Exchange) []capture.Field {
	q := &x.Request
	scheme, _, _ := strings.Cut(q.URL, "://")
	host := q.Header.Get("Host")
	if host == "" {
		host = authority(q.URL)
	}
	fields := []capture.Field{{Name: ":method", Value: q.Method}}
	if x.Kind == capture.KindWebSocket {
		scheme = strings.Replace(scheme, "ws", "http", 1)
		fields = []capture.Field{{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}}
	}
	return append(fields, capture.Field{Name: ":scheme", Value: scheme}, capture.Field{Name: ":authority", Value: host}, capture.Field{Name: ":path", Value: x.RequestTarget()})
}

// fieldBlock encodes field sections of one direction.
type fieldBlock struct {
	buf     bytes.Buffer
	encoder *hpack.Encoder
}

func newFieldBlock() *fieldBlock {
	b := &fieldBlock{}
	b.encoder = hpack.NewEncoder(&b.buf)
	return b
}

func (b *fieldBlock) encode(pseudo []capture.Field, h capture.Header) []byte {
	b.buf.Reset()
	for _, f := range pseudo {
		b.encoder.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value}) // into memory: it does not fail
	}
	for _, f := range h {
		name := strings.ToLower(f.Name)
		switch name {
		case "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			continue // RFC 9113, 8.2.2 and 8.3.1
		}
		b.encoder.WriteField(hpack.HeaderField{Name: name, Value: f.Value})
	}
	return b.buf.Bytes()
}

// maxFrame is the largest frame that needs no asking (RFC 9113, 4.2).
const maxFrame = 16 << 10

// headers writes a field section, continued as often as it takes.
func headers(f *http2.Framer, section []byte, ends bool) error {
	first := section[:min(maxFrame, len(section))]
	section = section[len(first):]
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: ends, EndHeaders: len(section) == 0})
	for err == nil && len(section) > 0 {
		next := section[:min(maxFrame, len(section))]
		section = section[len(next):]
		err = f.WriteContinuation(stream, len(section) == 0, next)
	}
	return err
}

// dataWriter writes DATA frames.
type dataWriter struct{ f *http2.Framer }

func (w dataWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(maxFrame, len(p))
		if err := w.f.WriteData(stream, false, p[:k]); err != nil {
			return 0, err
		}
		p = p[k:]
	}
	return n, nil
}
