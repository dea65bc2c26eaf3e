package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

const (
	// maxInformational bounds the 1xx answers before a final one.
	maxInformational = 1000
	// lastWords is how long an origin that does not take the request any more is listened to: it may have said why.
	lastWords = time.Second
	// copySize is the size of the pieces in which a request's body is copied.
	copySize = 32 << 10
)

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 8<<10) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}
	// bodies are writers that take a whole piece of a body with its chunk line, so that it goes out in one write.
	bodies = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, copySize+64) }}
	pieces = sync.Pool{New: func() any { return new([copySize]byte) }}
)

// h1conn is a connection that speaks HTTP/1. One exchange at a time has it to itself.
type h1conn struct {
	*link
	host      *host
	br        *bufio.Reader
	bw        *bufio.Writer
	idleSince time.Time
}

func newH1(h *host, l *link) *h1conn {
	hc := &h1conn{link: l, host: h}
	hc.wake()
	return hc
}

// wake gives the connection its buffers.
func (hc *h1conn) wake() {
	if hc.br == nil {
		hc.br, hc.bw = readers.Get().(*bufio.Reader), writers.Get().(*bufio.Writer)
		hc.br.Reset(hc.link)
		hc.bw.Reset(hc.link)
	}
}

// rest takes them from it, as long as it is idle.
func (hc *h1conn) rest() {
	if hc.br != nil && hc.br.Buffered() == 0 {
		hc.br.Reset(nil)
		hc.bw.Reset(nil)
		readers.Put(hc.br)
		writers.Put(hc.bw)
		hc.br, hc.bw = nil, nil
	}
}

// alive says whether an idle connection can be used: it is open, and nothing has come that nobody asked for.
func (hc *h1conn) alive() bool {
	hc.wake()
	hc.sock.probe = true
	_, err := hc.br.Peek(1)
	hc.sock.probe = false
	return err == error(errNothing)
}

// close ends a connection that nobody uses.
func (hc *h1conn) close() {
	hc.Close()
	hc.rest()
}

// exchange is one request and its answer on an HTTP/1 connection. It is the answer's body.
type exchange struct {
	hc    *h1conn
	call  *Call
	ctx   context.Context
	body  *wire.Body
	stop  func() bool // ends watching the context
	begun time.Time

	mu       sync.Mutex
	sending  bool // the request is not sent yet
	reading  bool // the answer is not read yet
	answered bool // the final head is there
	reusable bool
	dropped  bool      // somebody may still be reading or writing
	timed    bool      // a deadline is set for reading
	sendErr  error     // why the request could not be sent; set before sending ends
	clientIs error     // why the client's body could not be read
	sentAt   time.Time // when the last byte was written
}

// roundTrip carries a call.
func (hc *h1conn) roundTrip(ctx context.Context, call *Call, reused bool) (*Response, *Error) {
	x := &exchange{hc: hc, call: call, ctx: ctx, begun: time.Now(), reading: true, reusable: true}
	x.stop = func() bool { return true }
	if ctx.Done() != nil {
		x.stop = context.AfterFunc(ctx, hc.abort)
	}
	before := hc.sock.wrote.Load()
	fields := call.h1Fields()
	if err := wire.WriteRequestHead(hc.bw, call.Method, call.Target, "HTTP/1.1", fields); err != nil {
		var op *net.OpError
		if !errors.As(err, &op) { // it cannot be written at all
			x.drop()
			return nil, fail(capture.StageHTTP, err, "the request cannot be sent over HTTP/1.1: %v", err)
		}
	}
	call.Receipt.update(func(f *Facts) {
		hc.note(f, reused)
		f.Sent = &Sent{Proto: "HTTP/1.1", Method: call.Method, Target: call.Target, Fields: fields, HeadSize: headSize(call, fields)}
	})
	begunBody := false
	var err error
	switch {
	case !call.hasBody():
		err = hc.bw.Flush()
		x.sentAt = time.Now()
	case call.atHand():
		begunBody = true
		err = x.copyBody(hc.bw)
		x.sentAt = time.Now()
	default:
		if err = hc.bw.Flush(); err == nil {
			begunBody = true
			x.sending = true
			call.sent = make(chan struct{})
			go x.send()
		}
	}
	if err != nil {
		x.sendErr = err
		x.reusable = false
		x.deadline(lastWords)
	}
	resp, e := x.receive()
	if e == nil {
		return resp, nil
	}
	x.mu.Lock()
	nothing := hc.sock.wrote.Load() == before
	x.mu.Unlock()
	e.unsent = e.unsent && (nothing || !begunBody && call.idempotent())
	x.drop()
	return nil, e
}

// headSize is how many bytes the head has on the wire.
func headSize(call *Call, fields wire.Fields) int {
	n := len(call.Method) + 1 + len(call.Target) + len(" HTTP/1.1\r\n\r\n")
	for i := range fields {
		if fields[i].Line != "" {
			n += len(fields[i].Line) + 2
		} else {
			n += len(fields[i].Name) + 2 + len(fields[i].Value) + 2
		}
	}
	return n
}

// h1Fields are the call's fields with what HTTP/1.1 needs.
func (c *Call) h1Fields() wire.Fields {
	fr := c.Framing
	if c.Body == nil && fr.Kind == wire.Chunked {
		fr = wire.Framing{}
	}
	host, connection, upgrade, fits := false, false, false, true
	lengths, encodings := 0, 0
	for i := range c.Fields {
		f := &c.Fields[i]
		switch len(f.Name) {
		case 4:
			host = host || equal(f.Name, "host")
		case 7:
			upgrade = upgrade || equal(f.Name, "upgrade")
		case 10:
			connection = connection || equal(f.Name, "connection")
		case 14:
			if equal(f.Name, "content-length") {
				lengths++
				n, err := strconv.ParseInt(f.Value, 10, 64)
				fits = fits && err == nil && fr.Kind == wire.Length && n == fr.Length
			}
		case 17:
			if equal(f.Name, "transfer-encoding") {
				encodings++
				fits = fits && fr.Kind == wire.Chunked && equal(f.Value, "chunked")
			}
		}
	}
	switch fr.Kind {
	case wire.Length:
		fits = fits && lengths == 1
	case wire.Chunked:
		fits = fits && encodings == 1
	}
	addUpgrade := c.Upgrade != "" && !(connection && upgrade)
	if fits && host && !addUpgrade {
		return c.Fields
	}
	f := c.Fields
	if !host {
		f = append(wire.Fields{{Name: "Host", Value: c.authority()}}, f...)
	}
	if !fits {
		f = wire.NormaliseRequest(f, fr, "", wire.KeepTrailers|wire.KeepUpgrade)
	}
	if addUpgrade {
		f = append(f.Del("Connection").Del("Upgrade").Clone(), wire.Field{Name: "Connection", Value: "Upgrade"}, wire.Field{Name: "Upgrade", Value: c.Upgrade})
	}
	return f
}

// authority is the Host of a request that came without one.
func (c *Call) authority() string {
	if c.Authority != "" {
		return c.Authority
	}
	if c.Scheme == "http" && c.Port == 80 || c.Scheme == "https" && c.Port == 443 {
		hostname := joinHostPort(c.Host, 0)
		return hostname[:len(hostname)-len(":0")]
	}
	return joinHostPort(c.Host, c.Port)
}

// equal compares a name with a lower-case one.
func equal(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// send sends the body beside the answer.
func (x *exchange) send() {
	w := bodies.Get().(*bufio.Writer)
	w.Reset(x.hc.link)
	err := x.copyBody(w)
	w.Reset(nil)
	bodies.Put(w)
	x.mu.Lock()
	x.sending = false
	x.sentAt = time.Now()
	x.sendErr = err
	answered, last := x.answered, !x.reading
	if err != nil {
		x.reusable = false
		if !answered && x.clientIs == nil {
			x.deadline(lastWords)
		}
	} else if !answered {
		x.awaitAnswer()
	}
	clientIs := x.clientIs
	x.mu.Unlock()
	if clientIs != nil {
		x.hc.abort() // what was sent must not look whole
	}
	if last {
		x.release()
	}
	close(x.call.sent) // last, so that whoever waits for it finds the connection free
}

// awaitAnswer bounds the wait for the answer's head, now that the request is sent.
func (x *exchange) awaitAnswer() {
	if t := x.hc.host.client.cfg.ResponseTimeout; t > 0 {
		x.deadline(t)
	}
}

// deadline bounds the wait for the answer's head.
func (x *exchange) deadline(d time.Duration) {
	x.timed = true
	_ = x.hc.SetReadDeadline(time.Now().Add(d))
}

// copyBody writes the body as it comes, flushing whenever nothing more is at hand.
func (x *exchange) copyBody(w *bufio.Writer) error {
	body := x.call.Body
	bw := wire.NewBodyWriter(w, x.call.Framing)
	hand, _ := body.(interface{ Buffered() int })
	p := pieces.Get().(*[copySize]byte)
	defer pieces.Put(p)
	for {
		n, err := body.Read(p[:])
		if n > 0 {
			if _, werr := bw.Write(p[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			var trailer wire.Fields
			if x.call.Trailer != nil {
				trailer = x.call.Trailer()
			}
			err = bw.Close(trailer)
			if errors.Is(err, wire.ErrShortBody) {
				x.clientFailed(io.ErrUnexpectedEOF)
			}
			return err
		}
		if err != nil {
			x.clientFailed(err)
			return err
		}
		if hand == nil || hand.Buffered() == 0 {
			if err := bw.Flush(); err != nil {
				return err
			}
		}
	}
}

// clientFailed notes that the client's body did not come whole.
func (x *exchange) clientFailed(err error) {
	x.mu.Lock()
	x.clientIs = err
	x.mu.Unlock()
}

// receive reads heads up to the final one.
func (x *exchange) receive() (*Response, *Error) {
	hc, call := x.hc, x.call
	x.mu.Lock()
	if !x.sending && x.sendErr == nil {
		x.awaitAnswer()
	}
	x.mu.Unlock()
	for n := 0; ; n++ {
		_, err := hc.br.Peek(1)
		if err != nil {
			return nil, x.headError(nil, err, n)
		}
		at := time.Now()
		head, err := wire.ReadResponseHead(hc.br, hc.host.client.cfg.Limits)
		if err != nil {
			return nil, x.headError(head, err, n)
		}
		switch {
		case head.Status == 101:
			if call.Upgrade == "" {
				return nil, fail(capture.StageHTTP, nil, "%s switched protocols (101) without being asked to", hc.where)
			}
			x.arrived(at)
			return x.upgraded(head), nil
		case head.Status < 200:
			if n == maxInformational {
				return nil, fail(capture.StageHTTP, nil, "%s sent more than %d informational answers (1xx)", hc.where, maxInformational)
			}
			if call.Informational != nil {
				if err := call.Informational(head.Status, head.Reason, head.Fields); err != nil {
					if e := cancelled(x.ctx, "an informational answer was passed on"); e != nil {
						return nil, e
					}
					return nil, fail(capture.StageClient, err, "an informational answer could not be passed on: %v", err)
				}
			}
			continue
		}
		x.arrived(at)
		return x.answer(head)
	}
}

// arrived notes that the final head is there.
func (x *exchange) arrived(at time.Time) {
	x.mu.Lock()
	x.answered = true
	sentAt := x.sentAt
	if x.timed {
		_ = x.hc.SetReadDeadline(time.Time{})
	}
	x.mu.Unlock()
	x.call.Receipt.arrived(x.begun, sentAt, at)
}

// answer makes the Response of a final head.
func (x *exchange) answer(head *wire.ResponseHead) (*Response, *Error) {
	framing, err := head.Framing(x.call.Method)
	if err != nil {
		return nil, fail(capture.StageHTTP, err, "%s sent an answer (%d) whose end cannot be told: %v", x.hc.where, head.Status, err)
	}
	x.mu.Lock()
	if !head.KeepAlive() || framing.Kind == wire.UntilClose {
		x.reusable = false
	}
	x.mu.Unlock()
	x.body = wire.NewBody(x.hc.br, framing, x.hc.host.client.cfg.Limits)
	resp := &Response{
		Proto: head.Proto, Major: head.Major, Minor: head.Minor, Status: head.Status, Reason: head.Reason, Fields: head.Fields,
		HeadSize: head.Size, Framing: framing, Body: x, Trailer: x.body.Trailer, Notes: head.Notes,
	}
	if x.body.Complete() {
		x.finished()
	}
	return resp, nil
}

// upgraded makes the Response of 101.
func (x *exchange) upgraded(head *wire.ResponseHead) *Response {
	return &Response{
		Proto: head.Proto, Major: head.Major, Minor: head.Minor, Status: head.Status, Reason: head.Reason, Fields: head.Fields,
		HeadSize: head.Size, Body: io.NopCloser(eof{}), Trailer: noTrailer, Notes: head.Notes,
		Conn: &upgradedConn{link: x.hc.link, br: x.hc.br, stop: x.stop},
	}
}

// headError says why no head came.
func (x *exchange) headError(head *wire.ResponseHead, err error, n int) *Error {
	if e := cancelled(x.ctx, "waiting for the answer of "+x.hc.where); e != nil {
		return e
	}
	x.mu.Lock()
	sendErr, clientIs, sending := x.sendErr, x.clientIs, x.sending
	x.mu.Unlock()
	if clientIs != nil {
		return fail(capture.StageClient, clientIs, "the request's body was cut by the client: %s", plain(clientIs))
	}
	if e := x.hc.alerted(x.call.Receipt, err); e != nil {
		return e
	}
	where := x.hc.where
	var parse *wire.ParseError
	if errors.As(err, &parse) {
		return invalidHead(where, x.hc.host.key.scheme, parse)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && sendErr == nil {
		return fail(capture.StageTimeout, err, "%s: no answer within %s", where, seconds(x.hc.host.client.cfg.ResponseTimeout))
	}
	var e *Error
	switch {
	case sendErr != nil && !errors.Is(err, io.EOF):
		e = fail(capture.StageHTTP, sendErr, "%s: the connection was %s before the request was sent, without an answer", where, plain(sendErr))
	case sending:
		e = fail(capture.StageHTTP, err, "%s: the connection was %s while the request's body was being sent, without an answer", where, plain(err))
	case n > 0:
		e = fail(capture.StageHTTP, err, "%s: the connection was %s after an informational answer, without a final one", where, plain(err))
	default:
		e = fail(capture.StageHTTP, err, "%s: the connection was %s without an answer", where, plain(err))
	}
	e.unsent = n == 0
	return e
}

// Read reads the answer's body. Where it is cut the error is an *Error.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	if err != nil {
		err = x.ended(err)
	}
	return n, err
}

// WriteTo copies the body to w as it comes.
func (x *exchange) WriteTo(w io.Writer) (int64, error) {
	n, err := x.body.WriteTo(w)
	if x.body.Complete() {
		x.finished()
		return n, err
	}
	if err != nil {
		err = x.ended(err)
	}
	return n, err
}

// ended notes that the body has come to an end, and says which.
func (x *exchange) ended(err error) error {
	if err == io.EOF {
		x.finished()
		return err
	}
	if errors.Is(err, wire.ErrBodyClosed) {
		return err
	}
	x.mu.Lock()
	x.reusable = false
	x.mu.Unlock()
	if e := cancelled(x.ctx, "reading the answer of "+x.hc.where); e != nil {
		return e
	}
	if e := x.hc.alerted(x.call.Receipt, err); e != nil {
		return e
	}
	var parse *wire.ParseError
	if errors.As(err, &parse) {
		return fail(capture.StageHTTP, err, "%s: the answer's body is not valid: %s", x.hc.where, parse.Error())
	}
	var op *net.OpError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) {
		return fail(capture.StageHTTP, err, "%s: the answer's body was cut after %d bytes: the connection was %s", x.hc.where, x.body.Count(), plain(err))
	}
	return err // of whoever was written to
}

// finished notes that the answer was read to its end.
func (x *exchange) finished() {
	x.mu.Lock()
	was := x.reading
	x.reading = false
	if was && !x.reusable && x.sending {
		x.hc.abort() // the origin does not want more of the request on this connection
	}
	last := was && !x.sending
	x.mu.Unlock()
	if last {
		x.release()
	}
}

// Close ends the exchange, wherever it is. Where the answer was read to its end, what is left of the request is still
// sent: ending the call's context stops that.
func (x *exchange) Close() error {
	_ = x.body.Close()
	x.drop()
	return nil
}

// drop ends an exchange that has not come to its end in order.
func (x *exchange) drop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.reading {
		return // it has
	}
	x.reading, x.reusable, x.dropped = false, false, true
	x.stop()
	x.hc.abort()
}

// release gives the connection back, or closes it. Nobody reads nor writes any more.
func (x *exchange) release() {
	if x.dropped {
		x.hc.abort()
		return
	}
	if !x.stop() || !x.reusable || x.hc.br.Buffered() > 0 {
		x.hc.close()
		return
	}
	x.hc.host.put(x.hc)
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func noTrailer() wire.Fields { return nil }

// upgradedConn is a connection after 101.
type upgradedConn struct {
	*link
	br   *bufio.Reader
	stop func() bool
}

func (u *upgradedConn) Read(p []byte) (int, error) { return u.br.Read(p) }

func (u *upgradedConn) Close() error {
	u.stop()
	return u.link.Close()
}
