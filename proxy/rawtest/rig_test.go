package rawtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/capture"
	"eaves/certs"
	"eaves/proxy"
	"eaves/proxy/upstream"
)

// limit bounds every wait.
const limit = 10 * time.Second

// rig is a running proxy with what its neighbours need.
type rig struct {
	addr     string
	roots    *x509.CertPool // the proxy's CA
	identity tls.Certificate
	recorder *recorder

	mu    sync.Mutex
	lines []string // what the proxy has logged
}

func (r *rig) log(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// logged returns what the proxy has logged.
func (r *rig) logged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// newRig runs a proxy until the end of the test.
func newRig(t *testing.T) *rig {
	t.Helper()
	ca, err := certs.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{roots: x509.NewCertPool(), identity: selfSigned(t), recorder: &recorder{changed: make(chan struct{})}}
	r.roots.AddCert(ca.Certificate())
	origins := x509.NewCertPool()
	origins.AddCert(r.identity.Leaf)
	p := proxy.New(proxy.Config{
		Recorder: r.recorder, Leaves: ca,
		Trust: func(upstream.Server) upstream.Trust { return upstream.Trust{Roots: origins} },
		Log:   r.log,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- p.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return r
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// peer is one side of an exchange: a connection that is written and read raw.
type peer struct {
	conn net.Conn
	tcp  *net.TCPConn
	raw  *rawConn // below TLS
	r    *bufio.Reader
	got  *bytes.Buffer // all that was received
	sent bytes.Buffer  // all that was sent
}

func newPeer(conn net.Conn, raw *rawConn) *peer {
	got := new(bytes.Buffer)
	return &peer{conn: conn, tcp: raw.TCPConn, raw: raw, r: bufio.NewReader(io.TeeReader(conn, got)), got: got}
}

// send sends s.
func (p *peer) send(s string) error {
	p.sent.WriteString(s)
	_, err := io.WriteString(p.conn, s)
	return err
}

// rawConn notices the end of a connection: where TLS has ended and it has not, TLS has ended in order.
type rawConn struct {
	*net.TCPConn
	ended atomic.Bool
}

func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

// inOrder says whether the end that was read is one that the other side meant: over TLS it says goodbye first.
func (p *peer) inOrder(err error) bool {
	if _, secure := p.conn.(*tls.Conn); secure && p.raw.ended.Load() {
		return false
	}
	return err == nil
}

// half ends the sending side.
func (p *peer) half() error {
	if cw, ok := p.conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return p.tcp.CloseWrite()
}

// reset breaks the connection.
func (p *peer) reset() {
	p.tcp.SetLinger(0)
	p.tcp.Close()
}

// client connects through the proxy towards the origin, ready to send its request.
func (r *rig) client(mode, origin string) (*peer, error) {
	nc, err := net.DialTimeout("tcp", r.addr, limit)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(limit))
	raw := &rawConn{TCPConn: nc.(*net.TCPConn)}
	nc = raw
	if mode == "plain" {
		return newPeer(nc, raw), nil
	}
	if mode == "socks" {
		if err := socks(nc, origin); err != nil {
			nc.Close()
			return nil, err
		}
		return newPeer(nc, raw), nil
	}
	if _, err := nc.Write([]byte("CONNECT " + origin + " HTTP/1.1\r\nHost: " + origin + "\r\n\r\n")); err != nil {
		nc.Close()
		return nil, err
	}
	const established = "HTTP/1.1 200 Connection established\r\n\r\n"
	got := make([]byte, len(established))
	for n := 0; n < len(got); {
		m, err := nc.Read(got[n:])
		if n += m; err != nil || !strings.HasPrefix(established, string(got[:n])) {
			nc.Close()
			return nil, &net.AddrError{Err: "CONNECT was answered " + string(got[:n]), Addr: origin}
		}
	}
	if mode == "tunnel" {
		return newPeer(nc, raw), nil
	}
	tc := tls.Client(nc, &tls.Config{RootCAs: r.roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
	if err := tc.Handshake(); err != nil {
		nc.Close()
		return nil, err
	}
	return newPeer(tc, raw), nil
}

// socks asks for a tunnel to origin in SOCKS5 (RFC 1928).
func socks(nc net.Conn, origin string) error {
	to, err := netip.ParseAddrPort(origin)
	if err != nil {
		return err
	}
	for _, step := range []struct{ say, want []byte }{
		{[]byte{5, 1, 0}, []byte{5, 0}},
		{binary.BigEndian.AppendUint16(append([]byte{5, 1, 0, 1}, to.Addr().AsSlice()...), to.Port()), []byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}},
	} {
		if _, err := nc.Write(step.say); err != nil {
			return err
		}
		got := make([]byte, len(step.want))
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got[:2], step.want[:2]) {
			return fmt.Errorf("SOCKS was answered %x, %v", got, err)
		}
	}
	return nil
}

// origin is a listener whose connections are taken one by one.
type origin struct {
	l     net.Listener
	tls   *tls.Config // nil: none
	peers chan *peer
}

func (r *rig) origin(secure bool) (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{l: l, peers: make(chan *peer, 16)}
	if secure {
		o.tls = &tls.Config{Certificates: []tls.Certificate{r.identity}, NextProtos: []string{"http/1.1"}}
	}
	go o.accept()
	return o, nil
}

// close ends the listener and the connections that nobody took.
func (o *origin) close() {
	o.l.Close()
	for p := range o.peers {
		p.conn.Close()
	}
}

func (o *origin) accept() {
	defer close(o.peers)
	for {
		nc, err := o.l.Accept()
		if err != nil {
			return
		}
		nc.SetDeadline(time.Now().Add(limit))
		raw := &rawConn{TCPConn: nc.(*net.TCPConn)}
		nc = raw
		if o.tls != nil {
			tc := tls.Server(nc, o.tls)
			if tc.Handshake() != nil {
				nc.Close()
				continue
			}
			nc = tc
		}
		o.peers <- newPeer(nc, raw)
	}
}

// recorder keeps the exchanges it is given.
type recorder struct {
	mu      sync.Mutex
	all     []*recording
	changed chan struct{} // closed and replaced when an exchange ends
}

type recording struct {
	to         *recorder
	mu         sync.Mutex
	id         int64
	x          *capture.Exchange
	ended      bool
	request    bytes.Buffer
	response   bytes.Buffer
	alterAfter bool
}

func (r *recorder) Begin(x *capture.Exchange) capture.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &recording{to: r, id: int64(len(r.all) + 1), x: x}
	r.all = append(r.all, k)
	return k
}

func (k *recording) ID() int64 { return k.id }

func (k *recording) Body(side capture.Side, p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.alterAfter = k.alterAfter || k.ended
	if side == capture.SideRequest {
		k.request.Write(p)
	} else {
		k.response.Write(p)
	}
}

func (k *recording) Update(f func(*capture.Exchange)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		f(k.x)
	}
}

func (k *recording) Message(capture.Message) {}

func (k *recording) Finish(f func(*capture.Exchange)) {
	k.mu.Lock()
	if !k.ended {
		f(k.x)
		k.ended = true
	}
	k.mu.Unlock()
	k.to.mu.Lock()
	close(k.to.changed)
	k.to.changed = make(chan struct{})
	k.to.mu.Unlock()
}

// count says how many exchanges there are.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// open returns an exchange that has not ended although everybody has gone, nil if there is none.
func (r *recorder) open() *capture.Exchange {
	deadline := time.After(limit)
	for {
		var open *capture.Exchange
		r.mu.Lock()
		changed := r.changed
		for _, k := range r.all {
			k.mu.Lock()
			if !k.ended {
				open = k.x
			}
			k.mu.Unlock()
		}
		r.mu.Unlock()
		if open == nil {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
			return open
		}
	}
}

// of returns the recordings of exchanges with that client, without the first n of all.
func (r *recorder) of(n int, client string) (of []*recording, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.all[n:] {
		k.mu.Lock()
		if k.x.Client.Address == client {
			of = append(of, k)
		}
		k.mu.Unlock()
	}
	return of, r.changed
}

// wait waits until n exchanges with that client have ended, and returns them; the first of all are left out.
func (r *recorder) wait(first int, client string, n int) []*recording {
	deadline := time.After(limit)
	for {
		of, changed := r.of(first, client)
		ended := 0
		for _, k := range of {
			k.mu.Lock()
			if k.ended {
				ended++
			}
			k.mu.Unlock()
		}
		if ended >= n {
			return of
		}
		select {
		case <-changed:
		case <-deadline:
			return of
		}
	}
}
