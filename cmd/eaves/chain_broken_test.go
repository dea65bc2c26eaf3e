package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// brokenProxy serves a connection; it is closed afterwards.
type brokenProxy func(c *net.TCPConn, br *bufio.Reader)

func startBroken(t *testing.T, serve brokenProxy) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		l.Close()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				served := make(chan struct{})
				go func() {
					serve(c.(*net.TCPConn), bufio.NewReader(c))
					close(served)
				}()
				select {
				case <-stop:
				case <-served:
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// answers is a proxy that gives every request the same answer, whatever it asks for.
func answers(head, body string) brokenProxy {
	return func(c *net.TCPConn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
		}
	}
}

// passes is a proxy that works, until it has passed on this many bytes of the origin's; then it does what end says.
func passes(limit int64, end func(c *net.TCPConn)) brokenProxy {
	return func(c *net.TCPConn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		origin, err := net.DialTimeout("tcp", r.Host, deadline)
		if err != nil {
			return
		}
		defer origin.Close()
		if r.Method == http.MethodConnect {
			_, _ = io.WriteString(c, established)
		} else if err := r.Write(origin); err != nil {
			return
		}
		go func() { _, _ = io.Copy(origin, br) }()
		_, _ = io.CopyN(c, origin, limit)
		end(c)
	}
}

// tunnels is a proxy that lets every CONNECT through to itself.
func tunnels(serve func(c net.Conn, br *bufio.Reader)) brokenProxy {
	return func(c *net.TCPConn, br *bufio.Reader) {
		if r, err := http.ReadRequest(br); err == nil && r.Method == http.MethodConnect {
			_, _ = io.WriteString(c, established)
			serve(c, br)
		}
	}
}

const blockPage = "<html><head><title>Blocked by the policy of Example Corp</title></head><body>Ask the help desk.</body></html>"

// brokenProxies are those that no real one stands for.
func brokenProxies(strange tls.Certificate) map[string]brokenProxy {
	page := "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + blockPage
	return map[string]brokenProxy{
		"dies":      passes(largeSize/4, func(c *net.TCPConn) { _ = c.SetLinger(0) }),
		"truncates": passes(largeSize/4, func(*net.TCPConn) {}),
		"hangs":     func(_ *net.TCPConn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) },
		"hangs-later": tunnels(func(_ net.Conn, br *bufio.Reader) {
			_, _ = io.Copy(io.Discard, br)
		}),
		"hangs-up": func(_ *net.TCPConn, br *bufio.Reader) { _, _ = http.ReadRequest(br) },
		"hangs-up-later": tunnels(func(net.Conn, *bufio.Reader) {
		}),
		"asks-for-ever": answers("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"nowhere\"", "no"),
		"asks-stale": func(c *net.TCPConn, br *bufio.Reader) {
			for n := 0; ; n++ {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprintf(c, "HTTP/1.1 407 Again\r\nProxy-Authenticate: Digest realm=\"r\", qop=\"auth\", nonce=\"n%d\", stale=true\r\nContent-Length: 0\r\n\r\n", n)
			}
		},
		"asks-oddly": answers("407 Proxy Authentication Required\r\nProxy-Authenticate: Passport1.4 realm=\"x\"", "no"),
		"blocks":     answers("403 Forbidden\r\nContent-Type: text/html\r\nServer: BlueCoat-Security-Appliance", blockPage),
		"blocks-with-status": answers("403 Forbidden\r\nContent-Type: text/html\r\nProxy-Status: gate.example; error=http_request_denied; details=\"category games\"",
			blockPage),
		"fails-502": answers("502 Bad Gateway\r\nServer: squid/6.1\r\nX-Squid-Error: ERR_READ_ERROR 104", ""),
		"fails-503": answers("503 Service Unavailable\r\nProxy-Status: gate.example; error=destination_unavailable", ""),
		"fails-504": answers("504 Gateway Timeout\r\nProxy-Status: gate.example; error=connection_timeout", ""),
		"portal":    answers("302 Found\r\nLocation: http://portal.test/login\r\nServer: FortiGate", ""),
		"portal-511": answers("511 Network Authentication Required\r\nContent-Type: text/html",
			"<html><head><title>Log in to the guest network</title></head></html>"),
		"forbids-method": answers("405 Method Not Allowed\r\nAllow: GET", ""),
		// It lets CONNECT through and then says in the clear what it thinks of it.
		"injects": tunnels(func(c net.Conn, br *bufio.Reader) {
			_, _ = br.Peek(1)
			_, _ = io.WriteString(c, page)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, br)
		}),
		// It opens TLS itself, with a CA that nobody has been told of.
		"intercepts": tunnels(func(c net.Conn, br *bufio.Reader) {
			s := tls.Server(&readAhead{c, br}, tlsOf(strange, "http/1.1"))
			if s.Handshake() == nil {
				_, _ = io.WriteString(s, page)
				s.Close()
			}
		}),
		"speaks-ssh": func(c *net.TCPConn, br *bufio.Reader) {
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1\r\n")
			_, _ = br.Peek(1)
		},
	}
}

// readAhead is a connection of which something has been read.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c *readAhead) Read(p []byte) (int, error) { return c.r.Read(p) }
