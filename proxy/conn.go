package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture"
	"eaves/proxy/h2"
)

// bufferSize is the size of the read and write buffers of a client connection. Bodies larger than it go past them.
const bufferSize = 4 << 10

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferSize) }}
)

// target is where a tunnel leads.
type target struct {
	host string // lower case, no brackets, no trailing dot
	port int
	// serverName is the name the client asked for in its TLS handshake, "" where there was none.
	serverName string
	scheme     string // http, or https inside TLS
	via        string // what asked for it: HTTP/1.1 or SOCKS5
}

// authority is host:port as it stands in a URL, without the scheme's own port.
func (t *target) authority() string { return authority(t.scheme, t.host, t.port) }

// authority writes host and port for a URL of the given scheme.
func authority(scheme, host string, port int) string {
	if scheme == "https" && port == 443 || scheme == "http" && port == 80 {
		if isIPv6(host) {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func isIPv6(host string) bool {
	for i := range len(host) {
		if host[i] == ':' {
			return true
		}
	}
	return false
}

// clientConn is one client's connection through its whole life: first the proxy's own protocol, then perhaps a tunnel,
// perhaps TLS in it, then HTTP/1 or HTTP/2 or bytes.
type clientConn struct {
	p *Proxy
	// Conn is the layer that is spoken at present: TCP, or TLS inside a tunnel.
	net.Conn
	tcp    net.Conn
	br     *bufio.Reader
	bw     *bufio.Writer
	remote string
	// ctx ends with the connection. Its flows hang from it, not all connections' from one: that would be one lock for all.
	ctx  context.Context
	end  context.CancelFunc
	from *guest

	// target is where the tunnel leads, nil outside one; tls what was agreed with the client in it.
	target *target
	tls    *capture.ClientTLS

	// busy is when the request under way began (Unix nanoseconds); 0 between requests. h2 and tunnels stay busy.
	busy  atomic.Int64
	since atomic.Int64 // when the connection last became idle
	watch watcher
	// h2 is the HTTP/2 connection that has been begun on top, if one has.
	h2 atomic.Pointer[h2.Conn]
	// connect is the CONNECT that goproxy handed over, until the connection goes on with it.
	connect *http.Request
}

func newClientConn(p *Proxy, nc net.Conn) *clientConn {
	c := &clientConn{p: p, Conn: nc, tcp: nc, remote: nc.RemoteAddr().String(), from: p.clients.of(nc.RemoteAddr())}
	c.ctx, c.end = context.WithCancel(p.quit)
	c.br = readers.Get().(*bufio.Reader)
	c.br.Reset(nc)
	c.bw = writers.Get().(*bufio.Writer)
	c.bw.Reset(nc)
	c.since.Store(time.Now().UnixNano())
	return c
}

// layer puts another protocol layer on top: from now on nc is spoken.
func (c *clientConn) layer(nc net.Conn) {
	c.Conn = nc
	c.br = readers.Get().(*bufio.Reader)
	c.br.Reset(nc)
	c.bw.Reset(nc)
}

// release gives the buffers back. Nobody may use the connection any more.
func (c *clientConn) release() {
	c.end()
	c.br.Reset(nil)
	readers.Put(c.br)
	c.bw.Reset(nil)
	writers.Put(c.bw)
	c.br, c.bw = nil, nil
}

// Close closes the TCP connection under whatever is spoken: a TLS goodbye could wait for a client that does not read.
func (c *clientConn) Close() error { return c.tcp.Close() }

func (c *clientConn) setBusy(now time.Time) { c.busy.Store(now.UnixNano()) }

func (c *clientConn) setIdle() {
	c.since.Store(time.Now().UnixNano())
	c.busy.Store(0)
}

// closeIfIdle closes a connection on which nothing is under way; HTTP/2 ends with its last stream.
func (c *clientConn) closeIfIdle() {
	if hc := c.h2.Load(); hc != nil {
		hc.Shutdown()
	} else if c.busy.Load() == 0 {
		c.Close()
	}
}

// watchAfter is how long a request may take before anybody looks whether its client is still there.
const watchAfter = 150 * time.Millisecond

// look is what the sweeper does with each connection now and then.
func (c *clientConn) look(now time.Time) {
	if hc := c.h2.Load(); hc != nil {
		hc.CloseIfIdle(now, idleTimeout)
		return
	}
	busy := c.busy.Load()
	if busy == 0 {
		if now.UnixNano()-c.since.Load() > int64(idleTimeout) {
			c.Close()
		}
		return
	}
	if now.UnixNano()-busy > int64(watchAfter) {
		c.watch.start(c)
	}
}

// halfCloseGrace is how long a request goes on after its client has said that it will send nothing more. A client that
// left for good looks the same as one that only shut down its sending side and still waits for its answer.
const halfCloseGrace = 500 * time.Millisecond

// watcher notices a client that leaves while it waits for an answer. Only requests that last are watched: it reads from
// the connection, which nobody else may do meanwhile.
type watcher struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // of the request that may be watched; nil: none
	reading chan struct{}      // closed when the reading goroutine has ended; nil: there is none
}

// allow says that the request's body has been read whole, so that the connection may be watched on its behalf. cancel is
// called when the client leaves.
func (w *watcher) allow(cancel context.CancelFunc) {
	w.mu.Lock()
	w.cancel = cancel
	w.mu.Unlock()
}

func (w *watcher) start(c *clientConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel == nil || w.reading != nil {
		return
	}
	cancel, done, br := w.cancel, make(chan struct{}), c.br
	w.reading = done
	go func() {
		defer close(done)
		_, err := br.Peek(1)
		if err == nil || isTimeout(err) { // the next request, or stop
			return
		}
		w.mu.Lock()
		still := w.cancel != nil
		w.mu.Unlock()
		if !still {
			return
		}
		if isEOF(err) {
			// The grace ends early when the request does: stop closes nothing, but a cancelled request costs nothing.
			time.AfterFunc(halfCloseGrace, cancel)
			return
		}
		cancel()
	}()
}

// stop ends the watch, so that the connection can be read again.
func (w *watcher) stop(c *clientConn) {
	w.mu.Lock()
	w.cancel = nil
	done := w.reading
	w.reading = nil
	w.mu.Unlock()
	if done == nil {
		return
	}
	c.SetReadDeadline(time.Unix(1, 0))
	<-done
	c.SetReadDeadline(time.Time{})
}

// closeWriter is a connection that can say goodbye in one direction.
type closeWriter interface{ CloseWrite() error }

// lingerTime and lingerBytes bound how long and how much is read from a client that still sends although its answer is
// complete: closing at once would reset the connection and could destroy the answer on its way (RFC 9112, 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// linger closes the sending side and reads what the client still sends, for a bounded while.
func (c *clientConn) linger() {
	if cw, ok := c.Conn.(closeWriter); ok {
		c.Conn.SetWriteDeadline(time.Now().Add(lingerTime)) // a TLS goodbye may wait for a client that does not read
		if cw.CloseWrite() != nil {
			return
		}
	}
	c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
	var scratch [2048]byte
	for n := 0; n < lingerBytes; {
		m, err := c.br.Read(scratch[:])
		n += m
		if err != nil {
			return
		}
	}
}
