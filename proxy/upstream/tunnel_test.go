package upstream

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"eaves/capture"
)

func TestTunnel(t *testing.T) {
	u := rawServer(t, func(c net.Conn, br *bufio.Reader) { io.WriteString(c, "220 hello\r\n"); io.Copy(c, br) })
	c := testClient(t, Config{})
	r := new(Receipt)
	conn, err := c.Tunnel(testContext(t), "127.0.0.1", portOf(t, u), r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "there")
	conn.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "220 hello\r\nthere" {
		t.Errorf("got %q %v", b, err)
	}
	if f := r.Snapshot(); f.ServerIP != "127.0.0.1" || f.Connection == "" || f.Timings.Connect < 0 || f.TLS != nil || f.Route == nil {
		t.Errorf("got %+v", f)
	}
	var e *Error
	if _, err := c.Tunnel(testContext(t), "none.invalid", 1, nil); !errors.As(err, &e) || e.Stage != capture.StageDNS && e.Stage != capture.StageTimeout {
		t.Errorf("got %v", err)
	}
}

func TestTLSTunnel(t *testing.T) {
	root := issue(t, nil, ca("Test Root"))
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, root, leafFor("mail.test")))}, NextProtos: []string{"imap"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.WriteString(c, "hello"); c.Close() }()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	c := testClient(t, Config{Trust: trusting(pool)})
	r := new(Receipt)
	conn, err := c.TLSTunnel(testContext(t), "127.0.0.1", port, "mail.test", []string{"imap"}, r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "hello" {
		t.Errorf("got %q %v", b, err)
	}
	if f := r.Snapshot(); f.TLS.ALPN != "imap" || !f.TLS.Verified || f.TLS.ServerName != "mail.test" {
		t.Errorf("got %+v", f.TLS)
	}
	var e *Error
	if _, err := c.TLSTunnel(testContext(t), "127.0.0.1", port, "", nil, r); !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	wantError(t, e, capture.StageTLS, 502, "issued for mail.test, not for 127.0.0.1")
}

// However an address is written, Forbidden sees the one that is dialled.
func TestForbiddenSeesEveryWayHome(t *testing.T) {
	own := errors.New("eaves itself")
	c := testClient(t, Config{
		Resolver: fakeDNS{"home.test": {netip.MustParseAddr("::ffff:127.0.0.1")}},
		Forbidden: func(a netip.AddrPort) error {
			if a.Addr().IsLoopback() {
				return own
			}
			return errors.New("not seen as loopback: " + a.String())
		}})
	for _, host := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0", "home.test", "any.localhost", "ANY.LOCALHOST."} {
		if e := mustFail(t, c, &Call{Scheme: "http", Host: host, Port: 8484, Method: "GET", Target: "/"}); !errors.Is(e, own) {
			t.Errorf("%s: got %v", host, e)
		}
	}
}

// Package net dials 127.0.0.1 too for "::": a listener in either family is found behind the unspecified address.
func TestForbiddenBehindTheUnspecifiedAddress(t *testing.T) {
	own := errors.New("eaves itself")
	for _, listener := range []string{"127.0.0.1", "::1"} {
		c := testClient(t, Config{Forbidden: func(a netip.AddrPort) error {
			if a.Addr() == netip.MustParseAddr(listener) {
				return own
			}
			return nil
		}})
		for _, host := range []string{"0.0.0.0", "::", "::%1", "::ffff:0.0.0.0"} {
			if e := mustFail(t, c, &Call{Scheme: "http", Host: host, Port: 8484, Method: "GET", Target: "/"}); !errors.Is(e, own) {
				t.Errorf("%s, listening on %s: got %v", host, listener, e)
			}
		}
	}
}
