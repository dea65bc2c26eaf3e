package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream"
)

// tunnel serves what a client sends to a target: it says yes, looks at the first bytes and does what they ask for.
func (c *clientConn) tunnel(t *target) {
	start := time.Now()
	c.setBusy(start)
	c.target = t
	t.scheme = "http"
	if t.host != Host {
		if c.p.isOwnName(t.host, t.port) {
			c.refuseTunnel(t, start, nil, &upstream.Error{Stage: capture.StageRoute, Status: http.StatusForbidden, Message: "the tunnel leads to eaves itself"})
			return
		}
		// A block is for the requests in the tunnel, each by its own, or for bytes that are none.
		if rule := c.p.tunnelRule(t, c.remote); rule != nil && rule.Action == ActionPassthrough {
			c.pass(t, start, false, true, rule, nil)
			return
		}
	}
	if !c.accept(t) {
		return
	}
	p, ok := c.listen(t, start, false)
	if !ok {
		return
	}
	switch p {
	case speaksTLS:
		c.serveTLS(t, start)
	case speaksHTTP1:
		c.serveHTTP1()
	case speaksHTTP2:
		c.serveHTTP2(&rest{Conn: c.Conn, r: c.br})
	case speaksOther:
		c.pass(t, start, false, false, nil, nil)
	}
}

// accept promises the client its tunnel.
func (c *clientConn) accept(t *target) bool {
	if t.via == "SOCKS5" {
		return c.socksReply(socksSucceeded)
	}
	_, err := io.WriteString(c.Conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	return err == nil
}

// refuseTunnel records a tunnel that could not be had, and says so to the client. receipt is nil where nothing was tried.
func (c *clientConn) refuseTunnel(t *target, start time.Time, receipt *upstream.Receipt, err error) {
	e := captured(err)
	x := tunnelExchange(t, c.remote, start)
	rec := c.p.tunnelRecorder(x).Begin(x)
	status := http.StatusBadGateway
	if ue := (*upstream.Error)(nil); errors.As(err, &ue) && ue.Status != 0 {
		status = ue.Status
	}
	if t.via == "SOCKS5" {
		code := byte(socksFailure)
		switch e.Stage {
		case capture.StageRoute:
			code = socksNotAllowed
		case capture.StageDNS:
			code = socksUnreachable
		case capture.StageConnect:
			code = socksRefused
		}
		c.socksReply(code)
	} else {
		body := "eaves: CONNECT " + net.JoinHostPort(t.host, strconv.Itoa(t.port)) + ": " + string(e.Stage) + ": " + e.Message + "\n"
		if e.Hint != "" {
			body += "hint: " + e.Hint + "\n"
		}
		fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			status, http.StatusText(status), len(body), body)
	}
	rec.Finish(func(x *capture.Exchange) {
		x.State, x.Error, x.AnsweredBy = capture.StateFailed, e, capture.AnsweredByEaves
		if receipt != nil {
			tried(x, receipt)
		}
		x.Time = capture.Milliseconds(time.Since(start))
		if t.via != "SOCKS5" {
			x.Response = &capture.Response{Status: status, StatusText: http.StatusText(status), HTTPVersion: "HTTP/1.1",
				Header: capture.Header{}, Trailer: capture.Header{}, HeadersSize: -1, BodySize: -1}
		}
	})
	c.linger()
}

// tried writes into an exchange how far the way to its server was gone.
func tried(x *capture.Exchange, receipt *upstream.Receipt) {
	facts := receipt.Snapshot()
	x.Timings, x.TLS, x.Route = facts.Timings, facts.TLS, facts.Route
	if facts.AnsweredBy != "" {
		x.AnsweredBy = facts.AnsweredBy
	}
}

// captured is an error as it is recorded.
func captured(err error) *capture.Error {
	var ue *upstream.Error
	if errors.As(err, &ue) {
		return ue.Capture()
	}
	return &capture.Error{Stage: capture.StageConnect, Message: err.Error()}
}

// tunnelRecorder is where a tunnel is recorded: nowhere, if recording is off or a rule ignores it.
func (p *Proxy) tunnelRecorder(x *capture.Exchange) capture.Recorder {
	if !p.cfg.Recording() {
		return capture.Discard
	}
	if r := firstMatch(p.cfg.Rules(), x, func(a Action) bool { return a != ActionPassthrough }); r != nil && r.Action == ActionIgnore {
		return capture.Discard
	}
	return p.cfg.Recorder
}

// listen finds out what a client speaks in its tunnel, or returns false when the server spoke first and the tunnel has
// been served.
func (c *clientConn) listen(t *target, start time.Time, inTLS bool) (protocol, bool) {
	stop := context.AfterFunc(c.p.stopping, func() { c.Close() })
	defer stop()
	p := sniff(c.Conn, c.br, sniffWait)
	if p == speaksNothing && t.host != Host {
		if block := c.p.tunnelRule(t, c.remote); block != nil && block.Action == ActionBlock {
			return sniff(c.Conn, c.br, 0), true // its server is not asked for the first word
		}
		return c.firstWord(t, start, inTLS)
	}
	return p, true
}

// deadWait is how long a client may stay silent in a tunnel whose server cannot be reached: one that speaks HTTP after all is
// answered with what failed, one that waits for the server's first word would wait for ever.
const deadWait = 2 * time.Second

// firstWord asks both sides when the client is silent: browsers open tunnels ahead of need, and of some protocols the
// server speaks first. It returns what the client speaks in the end, or false when the tunnel has been served.
func (c *clientConn) firstWord(t *target, start time.Time, inTLS bool) (protocol, bool) {
	ctx, cancel := context.WithCancel(c.p.stopping)
	defer cancel()
	type dialled struct {
		nc  net.Conn
		err error
	}
	var (
		receipt = new(upstream.Receipt)
		server  = make(chan dialled, 1)
	)
	go func() {
		nc, err := c.dialTunnel(ctx, t, inTLS, receipt)
		if err != nil {
			if ctx.Err() == nil {
				c.Conn.SetReadDeadline(time.Now().Add(deadWait))
			}
			server <- dialled{nil, err}
			return
		}
		first := make([]byte, 1)
		stop := context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })
		_, err = io.ReadFull(nc, first)
		if !stop() || err != nil {
			nc.Close()
			var ue *upstream.Error
			if !errors.As(err, &ue) {
				err = errors.New("the server did not speak first")
			}
			server <- dialled{nil, err}
			return
		}
		// The client is waited for in the other goroutine: it must not wait any longer.
		c.Conn.SetReadDeadline(time.Unix(1, 0))
		server <- dialled{&rest{Conn: nc, r: io.MultiReader(strings.NewReader(string(first)), nc)}, nil}
	}()
	_, err := c.br.Peek(1)
	if err == nil || !isTimeout(err) {
		cancel()
		if d := <-server; d.nc != nil {
			d.nc.Close()
		}
		c.Conn.SetReadDeadline(time.Time{})
		if err != nil {
			return speaksNoMore, true
		}
		return sniff(c.Conn, c.br, 0), true
	}
	d := <-server
	c.Conn.SetReadDeadline(time.Time{})
	if d.nc == nil {
		c.recordFailure(t, start, receipt, d.err)
		return 0, false
	}
	c.relayTunnel(t, start, d.nc, receipt, nil)
	return 0, false
}

// dialTunnel opens the way to a tunnel's target, over TLS where the client's bytes came out of TLS.
func (c *clientConn) dialTunnel(ctx context.Context, t *target, inTLS bool, receipt *upstream.Receipt) (net.Conn, error) {
	if inTLS {
		return c.p.upstream.TLSTunnel(ctx, t.host, t.port, t.serverName, nil, receipt)
	}
	return c.p.upstream.Tunnel(ctx, t.host, t.port, receipt)
}

// pass passes a tunnel through untouched. With promise the client still waits for its answer to the CONNECT. saved are
// bytes that were read from the client already.
func (c *clientConn) pass(t *target, start time.Time, inTLS, promise bool, rule *Rule, saved []byte) {
	if block := c.p.tunnelRule(t, c.remote); block != nil && block.Action == ActionBlock {
		c.blockTunnel(t, start, block)
		return
	}
	receipt := new(upstream.Receipt)
	nc, err := c.dialTunnel(c.p.quit, t, inTLS, receipt)
	if err != nil {
		if promise {
			c.refuseTunnel(t, start, receipt, err)
			return
		}
		c.recordFailure(t, start, receipt, err)
		return
	}
	if promise && !c.accept(t) {
		nc.Close()
		return
	}
	if len(saved) > 0 {
		if _, err := nc.Write(saved); err != nil {
			nc.Close()
			return
		}
	}
	c.relayTunnel(t, start, nc, receipt, rule)
}

// recordFailure records a tunnel whose server cannot be reached, when its client can no more be told.
func (c *clientConn) recordFailure(t *target, start time.Time, receipt *upstream.Receipt, err error) {
	x := tunnelExchange(t, c.remote, start)
	rec := c.p.tunnelRecorder(x).Begin(x)
	rec.Finish(func(x *capture.Exchange) {
		tried(x, receipt)
		x.State, x.Error = capture.StateFailed, captured(err)
		x.Time = capture.Milliseconds(time.Since(start))
		x.ClientTLS = c.tls
	})
}

// blockTunnel records a tunnel that a rule does not let through; its client was promised it already.
func (c *clientConn) blockTunnel(t *target, start time.Time, rule *Rule) {
	x := tunnelExchange(t, c.remote, start)
	rec := c.p.tunnelRecorder(x).Begin(x)
	rec.Finish(func(x *capture.Exchange) {
		x.State, x.Error, x.AnsweredBy = capture.StateFailed, rule.blocked(), capture.AnsweredByEaves
		x.Time = capture.Milliseconds(time.Since(start))
		x.ClientTLS = c.tls
	})
}

// halfOpenTimeout is how long a tunnel may stay silent once one side has ended its half.
const halfOpenTimeout = 10 * time.Minute

// relayTunnel copies bytes both ways until both sides have ended, and records how many there were.
func (c *clientConn) relayTunnel(t *target, start time.Time, nc net.Conn, receipt *upstream.Receipt, rule *Rule) {
	x := tunnelExchange(t, c.remote, start)
	facts := receipt.Snapshot()
	x.Timings, x.TLS, x.Route = facts.Timings, facts.TLS, facts.Route
	x.ServerIPAddress, x.Connection = facts.ServerIP, facts.Connection
	x.ClientTLS = c.tls
	x.AnsweredBy = capture.AnsweredByOrigin
	if rule != nil {
		x.Comment = "passed through by " + rule.Name
	}
	x.Response = &capture.Response{Status: http.StatusOK, StatusText: "Connection established", HTTPVersion: "HTTP/1.1",
		Header: capture.Header{}, Trailer: capture.Header{}, HeadersSize: -1}
	rec := c.p.tunnelRecorder(x).Begin(x)
	var sent, received atomic.Int64
	stop := context.AfterFunc(c.p.stopping, func() { nc.Close(); c.Close() })
	err := relay(&rest{Conn: c.Conn, r: c.br}, nc, &sent, &received)
	stop()
	var ue *upstream.Error
	rec.Finish(func(x *capture.Exchange) {
		x.State = capture.StateDone
		x.TLS = receipt.Snapshot().TLS // the verdict on a client certificate comes with the first bytes
		x.Time = capture.Milliseconds(time.Since(start))
		x.Request.BodySize, x.Response.BodySize = sent.Load(), received.Load()
		switch {
		case err != nil && c.p.stopping.Err() != nil:
			x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageHTTP, Message: "eaves was stopped while the tunnel was open"}
		case errors.As(err, &ue):
			x.State, x.Error = capture.StateFailed, ue.Capture()
		case err != nil:
			x.State, x.Error = capture.StateFailed, &capture.Error{Stage: capture.StageConnect, Message: "the tunnel broke: " + err.Error()}
		}
	})
}

// relay copies both ways until both directions have ended, passing on the end of each, and closes both. The error is that
// of the direction which broke first; an orderly end is none.
func relay(client, server io.ReadWriteCloser, sent, received *atomic.Int64) error {
	var (
		once  sync.Once
		first error
		wg    sync.WaitGroup
	)
	way := func(dst, src io.ReadWriteCloser, n *atomic.Int64) {
		defer wg.Done()
		err := copyCounting(dst, src, n)
		if err != nil {
			once.Do(func() { first = err })
			client.Close()
			server.Close()
			return
		}
		once.Do(func() {}) // what the other side does after an orderly end is no failure
		if cw, ok := dst.(closeWriter); !ok || cw.CloseWrite() != nil {
			dst.Close()
		}
		if d, ok := dst.(interface{ SetReadDeadline(time.Time) error }); ok {
			_ = d.SetReadDeadline(time.Now().Add(halfOpenTimeout))
		}
	}
	wg.Add(2)
	go way(client, server, received)
	way(server, client, sent)
	wg.Wait()
	client.Close()
	server.Close()
	return first
}

// copyCounting copies until the end of src, counting as it goes.
func copyCounting(dst io.Writer, src io.Reader, n *atomic.Int64) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for {
		m, err := src.Read(*buf)
		if m > 0 {
			k, werr := dst.Write((*buf)[:m])
			n.Add(int64(k))
			if werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
