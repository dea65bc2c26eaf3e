package upstream

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"eaves/capture"
	"eaves/proxy/wire"
)

// h2Fields are the call's fields as HTTP/2 has them (RFC 9113, 8.2): lower-case names, without those of HTTP/1.
func (c *Call) h2Fields() (wire.Fields, error) {
	out := make(wire.Fields, 0, len(c.Fields))
	for i := range c.Fields {
		f := wire.Field{Name: strings.ToLower(c.Fields[i].Name), Value: c.Fields[i].Value}
		switch f.Name {
		case "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			continue
		case "te":
			if !strings.EqualFold(f.Value, "trailers") {
				continue
			}
		}
		if err := checkH2(f); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func checkH2(f wire.Field) error {
	if !httpguts.ValidHeaderFieldName(f.Name) {
		return fmt.Errorf("header name %q is not a token", f.Name)
	}
	if strings.ContainsAny(f.Value, "\r\n\x00") {
		return fmt.Errorf("value of header %q has a line break in it", f.Name)
	}
	return nil
}

// open sends the head of a request on a new stream.
func (s *h2stream) open(fields wire.Fields, reused bool) *Error {
	cc, call := s.cc, s.call
	authority := call.Authority
	if authority == "" {
		if authority = call.Fields.Get("Host"); authority == "" {
			authority = call.authority()
		}
	}
	head := [...]hpack.HeaderField{
		{Name: ":method", Value: call.Method}, {Name: ":authority", Value: authority}, {Name: ":scheme", Value: call.Scheme}, {Name: ":path", Value: call.Target},
	}
	for _, p := range head {
		if p.Value == "" || strings.ContainsAny(p.Value, "\r\n\x00 ") {
			cc.unreserve()
			return fail(capture.StageHTTP, nil, "the request cannot be sent over HTTP/2: %s is %q", p.Name, p.Value)
		}
	}
	cc.lock()
	cc.mu.Lock()
	cc.reserved--
	if cc.err != nil || cc.goAway != nil {
		err := cc.err
		if err == nil {
			err = cc.goAway
		}
		cc.mu.Unlock()
		_ = cc.unlock()
		cc.closeIfDone()
		if e := cc.alerted(call.Receipt, err); e != nil {
			return e
		}
		e := fail(capture.StageHTTP, err, "%s: the HTTP/2 connection ended before the request was sent: %s", cc.where, plain(err))
		e.unsent, e.again = true, true
		return e
	}
	s.id = cc.nextID
	cc.nextID += 2
	s.sendable = cc.window
	cc.streams[s.id] = s
	maxFrame := cc.maxFrame
	cc.mu.Unlock()
	cc.hbuf.Reset()
	size := 0
	for _, p := range head {
		_ = cc.henc.WriteField(p)
		size += len(p.Name) + len(p.Value) + 4
	}
	for i := range fields {
		size += cc.encode(&fields[i])
	}
	call.Receipt.update(func(f *Facts) {
		cc.note(f, reused)
		f.Sent = &Sent{Proto: "HTTP/2", Method: call.Method, Target: call.Target, Authority: authority, Fields: fields, HeadSize: size}
	})
	cc.writeHeaders(s.id, maxFrame, !call.hasBody())
	cc.probe()
	if err := cc.unlock(); err != nil {
		cc.hearOut(err)
	}
	return nil
}

// encode adds a field to the header block. What authenticates is not put into the table (RFC 7541, 7.1.3).
func (cc *h2conn) encode(f *wire.Field) int {
	_ = cc.henc.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: f.Name == "authorization"})
	return len(f.Name) + len(f.Value) + 4
}

// writeHeaders writes the header block in hbuf.
func (cc *h2conn) writeHeaders(id uint32, maxFrame int, last bool) {
	for block, first := cc.hbuf.Bytes(), true; first || len(block) > 0; first = false {
		piece := block[:min(len(block), maxFrame)]
		block = block[len(piece):]
		if first {
			_ = cc.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: piece, EndStream: last, EndHeaders: len(block) == 0})
		} else {
			_ = cc.fr.WriteContinuation(id, len(block) == 0, piece)
		}
	}
}

// errEnough says that the server does not want more of the request.
var errEnough = errors.New("the server does not take more of the request")

// sendBody sends the body as it comes.
func (s *h2stream) sendBody() error {
	p := pieces.Get().(*[copySize]byte)
	defer pieces.Put(p)
	left := int64(-1)
	if s.call.Framing.Kind == wire.Length {
		left = s.call.Framing.Length
	}
	for {
		n, err := s.call.Body.Read(p[:])
		if left >= 0 {
			if left -= int64(n); left < 0 {
				return s.clientFailed(wire.ErrLongBody)
			}
		}
		if err == io.EOF && left > 0 {
			return s.clientFailed(io.ErrUnexpectedEOF)
		}
		if err != nil && err != io.EOF {
			return s.clientFailed(err)
		}
		var trailer wire.Fields
		if err == io.EOF && s.call.Trailer != nil {
			trailer = s.call.Trailer()
		}
		last := err == io.EOF && len(trailer) == 0
		if n > 0 || last {
			if err := s.sendData(p[:n], last); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if !last {
				return s.sendTrailer(trailer)
			}
			return nil
		}
	}
}

// clientFailed gives the stream up because the client's body did not come whole.
func (s *h2stream) clientFailed(err error) error {
	s.mu.Lock()
	s.clientIs = err
	s.mu.Unlock()
	s.abort(http2.ErrCodeCancel, errGone)
	return err
}

// sendData sends a piece of the body as the windows allow.
func (s *h2stream) sendData(p []byte, last bool) error {
	cc := s.cc
	for first := true; first || len(p) > 0; first = false {
		n, err := s.awaitWindow(len(p))
		if err != nil {
			return err
		}
		cc.lock()
		err = cc.fr.WriteData(s.id, last && n == len(p), p[:n])
		if ferr := cc.unlock(); err == nil {
			err = ferr
		}
		if err != nil {
			cc.hearOut(err)
			return err
		}
		p = p[n:]
	}
	return nil
}

// awaitWindow takes up to want bytes from the windows, waiting until there are some.
func (s *h2stream) awaitWindow(want int) (int, error) {
	cc := s.cc
	cc.mu.Lock()
	defer cc.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, errEnough
		case cc.err != nil:
			return 0, cc.err
		case want == 0:
			return 0, nil
		case s.sendable > 0 && cc.sendable > 0:
			n := min(int64(want), s.sendable, cc.sendable, int64(cc.maxFrame))
			s.sendable -= n
			cc.sendable -= n
			return int(n), nil
		}
		cc.room.Wait()
	}
}

func (s *h2stream) sendTrailer(trailer wire.Fields) error {
	cc := s.cc
	fields := make(wire.Fields, 0, len(trailer))
	for _, f := range trailer {
		f = wire.Field{Name: strings.ToLower(f.Name), Value: f.Value}
		if err := checkH2(f); err != nil {
			return s.clientFailed(err)
		}
		fields = append(fields, f)
	}
	cc.mu.Lock()
	gone, maxFrame := s.gone, cc.maxFrame
	cc.mu.Unlock()
	if gone {
		return errEnough
	}
	cc.lock()
	cc.hbuf.Reset()
	for i := range fields {
		cc.encode(&fields[i])
	}
	cc.writeHeaders(s.id, maxFrame, true)
	if err := cc.unlock(); err != nil {
		cc.hearOut(err)
		return err
	}
	return nil
}

// noteSent notes that the request was sent to its end, or why not.
func (s *h2stream) noteSent(err error) {
	s.mu.Lock()
	s.sentAt = time.Now()
	s.sendErr = err
	if t := s.cc.host.client.cfg.ResponseTimeout; t > 0 && err == nil && !s.answered {
		s.timer = time.AfterFunc(t, func() { s.abort(http2.ErrCodeCancel, errSlow) })
	}
	s.mu.Unlock()
	s.half(func() { s.sentEnd = true })
}
