package upstream

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// openFiles counts this process's descriptors, -1 where that cannot be told.
func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}

// settle waits until a count is no more than want.
func settle(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		n := count()
		if n <= want {
			return
		}
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d %s are left, there were %d\n%s", n, what, want, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// Two thousand calls of every kind leave nothing behind.
func TestNothingIsLeftBehind(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), openFiles()
	func() {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/wait":
				<-r.Context().Done()
			case "/cut":
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, "short")
				panic(http.ErrAbortHandler)
			case "/early":
				w.WriteHeader(413)
			default:
				io.Copy(w, r.Body)
			}
		})
		servers := []*httptest.Server{httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)}
		for i, s := range servers {
			s.Config.ErrorLog = quiet
			s.EnableHTTP2 = i == 2
		}
		servers[0].Start()
		servers[1].StartTLS()
		servers[2].StartTLS()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					br := bufio.NewReader(c)
					readHead(br)
					io.WriteString(c, "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
					io.Copy(c, br)
				}()
			}
		}()
		pool := x509.NewCertPool()
		pool.AddCert(servers[1].Certificate())
		pool.AddCert(servers[2].Certificate())
		c := New(Config{Trust: trusting(pool)})
		var wg sync.WaitGroup
		slots := make(chan struct{}, 32)
		for i := range 2000 {
			slots <- struct{}{}
			wg.Add(1)
			go func() {
				defer func() { <-slots; wg.Done() }()
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				srv := servers[i/8%3]
				call := callTo(t, "POST", srv.URL+"/")
				call.HTTP2 = i/8%6 > 2
				switch i % 8 {
				case 0:
					call.withBody("hello")
				case 1:
					call.withChunks(strings.NewReader("hello"))
				case 2:
					call.Target = "/wait"
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, time.Duration(i%7)*time.Millisecond)
					defer stop()
				case 3:
					call.Target = "/cut"
				case 4:
					call.Target = "/early"
					call.withChunks(io.LimitReader(&repeat{block: make([]byte, 1000)}, 400<<10))
				case 5: // nobody reads the answer
					call.withBody(strings.Repeat("x", 100_000))
					if resp, err := c.Do(ctx, call); err == nil {
						resp.Body.Close()
					}
					<-call.Sent()
					return
				case 6:
					call.withChunks(&failingReader{"half", io.ErrUnexpectedEOF})
				case 7:
					call.Scheme, call.Port, call.Upgrade = "http", l.Addr().(*net.TCPAddr).Port, "x"
					resp, err := c.Do(ctx, call)
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprint(resp.Conn, "hello")
					resp.Conn.CloseWrite()
					io.Copy(io.Discard, resp.Conn)
					resp.Conn.Close()
					return
				}
				resp, err := c.Do(ctx, call)
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				} else if i%8 < 2 {
					t.Error(err)
				}
				<-call.Sent()
			}()
		}
		wg.Wait()
		c.Close()
		if _, err := c.Do(context.Background(), callTo(t, "GET", servers[0].URL+"/")); err == nil {
			t.Error("a closed client takes calls")
		}
		l.Close()
		for _, s := range servers {
			s.Close()
		}
	}()
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	settle(t, "files", files, openFiles)
}

// What is idle for too long is closed, and hosts are forgotten.
func TestIdleConnectionsAreClosed(t *testing.T) {
	srv, _ := h2Server(t, func(w http.ResponseWriter, r *http.Request) {})
	c := testClient(t, Config{Trust: rootsOf(srv), IdleTimeout: 30 * time.Millisecond})
	mustDo(t, c, callTo(t, "GET", srv.URL+"/"))
	mustDo(t, c, h2Call(t, "GET", srv.URL+"/"))
	settle(t, "hosts", 0, func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.hosts)
	})
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	defer srv.Close()
	c := testClient(t, Config{MaxIdlePerHost: 3})
	var wg sync.WaitGroup
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mustDo(t, c, callTo(t, "GET", srv.URL+"/"))
		}()
	}
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		if n := len(h.idle); n != 3 {
			t.Errorf("%d connections are kept", n)
		}
	}
}

// Who crawls leaves hosts behind: they are not all remembered for as long as those of somebody who reads.
func TestACrowdOfHostsIsForgotten(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer srv.Close()
	c := testClient(t, Config{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}})
	for i := range crowd + 50 {
		mustDo(t, c, callTo(t, "GET", fmt.Sprintf("http://10.0.%d.%d:80/", i/250, i%250)))
	}
	settle(t, "hosts", 0, func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return max(0, len(c.hosts)-crowd)
	})
}

// A host may be forgotten while an answer is still being read: its connection is closed then, not lost.
func TestForgottenHost(t *testing.T) {
	closed, more := make(chan struct{}), make(chan struct{})
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
		<-more
		io.WriteString(c, "k")
		br.ReadByte()
		close(closed)
	})
	c := testClient(t, Config{IdleTimeout: 20 * time.Millisecond})
	resp, err := c.Do(testContext(t), callTo(t, "GET", u+"/"))
	if err != nil {
		t.Fatal(err)
	}
	settle(t, "hosts", 0, func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.hosts)
	})
	close(more)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
		t.Errorf("got %q %v", b, err)
	}
	select {
	case <-closed:
	case <-time.After(limit):
		t.Error("the connection is still open")
	}
}
