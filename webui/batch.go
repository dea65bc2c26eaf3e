package webui

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// sendTimeout is how long a console may take nothing before it is let go.
const sendTimeout = 10 * time.Second

// batchConn gathers the frames of one flush into few writes, and gives each write the same deadline, whoever writes.
type batchConn struct {
	net.Conn
	mu   sync.Mutex
	hold bool
	buf  []byte
	last atomic.Pointer[time.Time]
}

const (
	// batchMax is how much is gathered: a flush, and what is added to it.
	batchMax = 2 * flushBytes
	// socketBuffer is a flush.
	socketBuffer = flushBytes
)

func (b *batchConn) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold && len(b.buf)+len(p) <= batchMax {
		b.buf = append(b.buf, p...)
		return len(p), nil
	}
	if err := b.push(); err != nil {
		return 0, err
	}
	if b.hold && len(p) <= batchMax {
		b.buf = append(b.buf, p...)
		return len(p), nil
	}
	return b.write(p)
}

func (b *batchConn) write(p []byte) (int, error) {
	end := time.Now().Add(sendTimeout)
	if last := b.last.Load(); last != nil {
		end = *last
	}
	if err := b.Conn.SetWriteDeadline(end); err != nil {
		return 0, err
	}
	return b.Conn.Write(p)
}

// push writes what is gathered. The lock is held.
func (b *batchConn) push() error {
	if len(b.buf) == 0 {
		return nil
	}
	_, err := b.write(b.buf)
	b.buf = b.buf[:0]
	return err
}

// begin gathers writes from now on; end sends them.
func (b *batchConn) begin() {
	b.mu.Lock()
	b.hold = true
	b.mu.Unlock()
}

func (b *batchConn) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold = false
	return b.push()
}

// hurry gives what is being written, and all that comes, no longer than d.
func (b *batchConn) hurry(d time.Duration) {
	end := time.Now().Add(d)
	b.last.Store(&end)
	_ = b.Conn.SetWriteDeadline(end)
}

// SetWriteDeadline does nothing: each write has its own.
func (b *batchConn) SetWriteDeadline(time.Time) error { return nil }

// batchHijacker hands the WebSocket library a connection that gathers.
type batchHijacker struct {
	http.ResponseWriter
	conn *batchConn
}

func (h *batchHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// What a console does not take is to be noticed soon, not when the system has buffered megabytes of it.
		_ = tcp.SetWriteBuffer(socketBuffer)
	}
	h.conn = &batchConn{Conn: conn}
	return h.conn, rw, nil
}
