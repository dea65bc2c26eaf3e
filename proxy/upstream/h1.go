package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
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

	// With a parent proxy that is asked in absolute form: known says that it has let this connection in, by which scheme.
	known  bool
	scheme string
	// held says that the connection is one call's, which uses it on; resting that the exchange before has ended well.
	mu            sync.Mutex
	held, resting bool
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
	hc   *h1conn
	call *Call
	ctx  context.Context
	body *wire.Body
	// untilClose says that the body ends with the connection.
	untilClose bool
	stop       func() bool // ends watching the context
	begun      time.Time

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
	if call.toProxy != nil {
		fields = append(fields.Clone(), call.toProxy...)
	}
	if err := wire.WriteRequestHead(hc.bw, call.Method, call.Target, "HTTP/1.1", fields); err != nil {
		var op *net.OpError
		if !errors.As(err, &op) { // it cannot be written at all
			x.drop()
			return nil, fail(capture.StageHTTP, err, "the request cannot be sent over HTTP/1.1: %v", err)
		}
	}
	call.Receipt.update(func(f *Facts) {
		hc.note(f, reused)
		f.Sent = &Sent{Proto: "HTTP/1.1", Method: call.Method, Target: call.Target, Fields: hc.told(fields), HeadSize: headSize(call, fields)}
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

// told are the fields of a request as they are recorded: what a parent proxy is shown is for nobody else.
func (hc *h1conn) told(f wire.Fields) wire.Fields {
	if !hc.host.key.proxied {
		return f
	}
	return f.Del("Proxy-Authorization")
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
	x.untilClose = framing.Kind == wire.UntilClose
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
		e = fail(capture.StageHTTP, sendErr, "%s: %s before the request was sent, without an answer", where, plain(sendErr))
	case sending:
		e = fail(capture.StageHTTP, err, "%s: %s while the request's body was being sent, without an answer", where, plain(err))
	case n > 0:
		e = fail(capture.StageHTTP, err, "%s: %s after an informational answer, without a final one", where, plain(err))
	default:
		e = fail(capture.StageHTTP, err, "%s: %s without an answer", where, plain(err))
	}
	e.unsent = n == 0
	if n == 0 && x.hc.host.key.scheme == "http" {
		return e.hint("if that port speaks TLS only, use https:// for it; else the server's log may say why")
	}
	return e.hint("the server's log may say why")
}

// Read reads the answer's body. Where it is cut the error is an *Error.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	if err != nil {
		err = x.ended(err)
	}
	return n, err
}

// Buffered says how much can be read without waiting, at least.
func (x *exchange) Buffered() int { return x.body.Buffered() }

// WriteTo copies the body to w as it comes.
func (x *exchange) WriteTo(w io.Writer) (int64, error) {
	n, err := x.body.WriteTo(w)
	if err == nil {
		if err = x.ended(io.EOF); err == io.EOF {
			err = nil
		}
		return n, err
	}
	if x.body.Complete() {
		x.finished()
		return n, err
	}
	return n, x.ended(err)
}

// ended notes that the body has come to an end, and says which.
func (x *exchange) ended(err error) error {
	if err == io.EOF {
		x.finished()
		if x.untilClose && x.hc.secured != nil && x.hc.sock.ended.Load() {
			// RFC 9112, 9.8: such an answer is complete only behind a closure alert. crypto/tls takes the end of TCP for one.
			return fail(capture.StageHTTP, io.ErrUnexpectedEOF, "%s closed the connection without TLS's goodbye (close_notify), after %d bytes of an answer without length: it may have been cut",
				x.hc.where, x.body.Count())
		}
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
		return fail(capture.StageHTTP, err, "%s: the answer's body was cut after %d bytes: %s", x.hc.where, x.body.Count(), plain(err)).hint("%s", x.hc.whereCut())
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
	if x.hc.host.key.proxied && x.hc.park() {
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
