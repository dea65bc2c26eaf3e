package hop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream/hop/hoptest"
)

func TestMain(m *testing.M) {
	hoptest.Main()
	os.Exit(m.Run())
}

// peer is a proxy that does what a test says, on each connection. n counts them from 0.
func peer(t *testing.T, serve func(n int, c net.Conn, r *bufio.Reader)) Hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return Hop{Kind: HTTP, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}

// head reads a request's head.
func head(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// fixed are credentials.
func fixed(user, password string, schemes ...string) *Credentials {
	return &Credentials{ID: user + "/" + password, User: user, Schemes: schemes, Password: func(context.Context) (string, error) { return password, nil }}
}

// dialer dials for real.
func dialer(t testing.TB, change ...func(*Config)) *Dialer {
	cfg := Config{Timeout: 20 * time.Second, Dial: func(ctx context.Context, host string, port int) (net.Conn, time.Duration, time.Duration, error) {
		begin := time.Now()
		c, err := new(net.Dialer).DialContext(ctx, "tcp", Hop{Host: host, Port: port}.Address())
		return c, -1, time.Since(begin), err
	}}
	for _, f := range change {
		f(&cfg)
	}
	return New(cfg)
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// say sends a line and returns what comes back: whoever is at the other end echoes.
func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(line))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != line {
		t.Fatalf("%q came back as %q, %v", line, got, err)
	}
}

// echo is an origin that gives back what it gets.
func echo(t *testing.T) (host string, port int) {
	h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) { _, _ = io.Copy(c, r) })
	return h.Host, h.Port
}

// failed dials what cannot be had, and returns why.
func failed(t *testing.T, d *Dialer, hops ...Hop) (*Error, []capture.Hop) {
	t.Helper()
	c, receipts, err := d.Dial(testContext(t), hops, "origin.test", 443)
	if err == nil {
		c.Close()
		t.Fatal("there is a connection")
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T: %v", err, err)
	}
	if len(receipts) != len(hops)+1 || receipts[e.Index].Error == "" {
		t.Errorf("receipts %+v do not say where it ended", receipts)
	}
	for _, h := range hops {
		if c := h.Credentials; c != nil && c.Password != nil {
			p, _ := c.Password(context.Background())
			if p != "" && strings.Contains(e.Error()+e.Hint, p) {
				t.Errorf("the password stands in %q %q", e, e.Hint)
			}
		}
	}
	return e, receipts
}

// says checks an error's words.
func says(t *testing.T, e *Error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(e.Message+"\n"+e.Hint, p) {
			t.Errorf("%q (hint %q) does not say %q", e.Message, e.Hint, p)
		}
	}
}
