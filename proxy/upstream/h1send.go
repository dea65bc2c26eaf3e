package upstream

import (
	"bufio"
	"errors"
	"io"
	"time"

	"eaves/proxy/wire"
)

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
	// What was sent must not look whole; but an answer that has begun goes on.
	switch {
	case clientIs == nil:
	case answered && !last:
		_ = x.hc.CloseWrite()
	default:
		x.hc.abort()
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
