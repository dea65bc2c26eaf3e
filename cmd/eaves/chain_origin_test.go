package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"eaves/cmd/eaves/internal/datadir"
)

// chainOrigin is the origin behind the parent proxies. It answers
//
//	/large    with 2 MiB
//	/slow     with a line at once and another when it is let go
//	/ws       with WebSocket messages that repeat what they are sent
//	/status/N with status N
//
// and everything else with what it was asked.
type chainOrigin struct {
	t           *testing.T
	plain, tls  *http.Server
	certificate tls.Certificate
	begun, goOn chan struct{}

	mu   sync.Mutex
	told []string // by what is none of its business
}

// largeSize is that of /large.
const largeSize = 2 << 20

func startChainOrigin(t *testing.T, c tls.Certificate) *chainOrigin {
	t.Helper()
	o := &chainOrigin{t: t, certificate: c, begun: make(chan struct{}, 10), goOn: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0)
	o.plain = &http.Server{Handler: o, ErrorLog: quiet}
	o.tls = &http.Server{Handler: o, ErrorLog: quiet, TLSConfig: tlsOf(c)}
	t.Cleanup(func() {
		o.plain.Close()
		o.tls.Close()
	})
	return o
}

// listen serves on a port of its own, by which a rule can be for one situation alone.
func (o *chainOrigin) listen(host string, secure bool) (port int) {
	o.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		o.t.Fatal(err)
	}
	go func() {
		if secure {
			_ = o.tls.ServeTLS(l, "", "")
		} else {
			_ = o.plain.Serve(l)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (o *chainOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name := range r.Header {
		if strings.HasPrefix(name, "Proxy-") || name == "Via" && r.TLS != nil {
			o.mu.Lock()
			o.told = append(o.told, r.URL.String()+": "+name)
			o.mu.Unlock()
		}
	}
	body, _ := io.Copy(io.Discard, r.Body)
	switch {
	case r.URL.Path == "/large":
		w.Header().Set("Content-Length", strconv.Itoa(largeSize))
		_, _ = w.Write(make([]byte, largeSize))
	case r.URL.Path == "/slow":
		fmt.Fprintln(w, "begun")
		w.(http.Flusher).Flush()
		o.begun <- struct{}{}
		<-o.goOn
		fmt.Fprintln(w, "ended")
	case r.URL.Path == "/ws":
		o.repeat(w, r)
	case strings.HasPrefix(r.URL.Path, "/status/"):
		status, _ := strconv.Atoi(r.URL.Path[len("/status/"):])
		w.WriteHeader(status)
		fmt.Fprintf(w, "the origin says %d\n", status)
	default:
		fmt.Fprintf(w, "origin %s %s %s %d\n", r.Method, r.URL.Path, r.Proto, body)
	}
}

// wasTold is what the origin was told that was for proxies.
func (o *chainOrigin) wasTold() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told
}

// repeat is the server of a WebSocket (RFC 6455) that sends back what it gets.
func (o *chainOrigin) repeat(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "no WebSocket", http.StatusBadRequest)
		return
	}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for {
		op, message, err := readMessage(buffered.Reader)
		if err != nil {
			return
		}
		if _, err := conn.Write(append([]byte{0x80 | op, byte(len(message))}, message...)); err != nil || op == 8 {
			return
		}
	}
}

// readMessage reads a frame of less than 126 bytes.
func readMessage(r io.Reader) (op byte, message []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	message = make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, message); err != nil {
		return 0, nil, err
	}
	for i := range message {
		message[i] ^= mask[i%4]
	}
	return head[0] & 0xf, message, nil
}

// webSocket is the client of a WebSocket that goes through eaves.
type webSocket struct {
	net.Conn
	r *bufio.Reader
}

// dialWebSocket opens one, through CONNECT as browsers do. Where the answer is none of WebSocket, it is a page.
func dialWebSocket(ctx context.Context, run datadir.Run, secure bool, host, target string) (ws *webSocket, status int, page string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", run.Proxy)
	if err != nil {
		return nil, 0, "", err
	}
	defer func() {
		if ws == nil {
			conn.Close()
		}
	}()
	limit, _ := ctx.Deadline()
	_ = conn.SetDeadline(limit)
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", host)
	r := bufio.NewReader(conn)
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, 0, "", fmt.Errorf("eaves answered CONNECT with %v, %w", answer, err)
	}
	if secure {
		b, err := os.ReadFile(run.CA)
		if err != nil {
			return nil, 0, "", err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(b)
		name, _, _ := net.SplitHostPort(host)
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name})
		r = bufio.NewReader(conn)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", target, host)
	answer, err = http.ReadResponse(r, nil)
	if err != nil {
		return nil, 0, "", err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		b, err := io.ReadAll(answer.Body)
		return nil, answer.StatusCode, string(b), err
	}
	return &webSocket{conn, r}, answer.StatusCode, "", nil
}

// say sends a message and returns what comes back.
func (ws *webSocket) say(op byte, message string) (string, error) {
	frame := []byte{0x80 | op, 0x80 | byte(len(message)), 0, 0, 0, 0}
	binary.BigEndian.PutUint32(frame[2:], 0x01020304)
	for i := range len(message) {
		frame = append(frame, message[i]^byte(i%4+1))
	}
	if _, err := ws.Write(frame); err != nil {
		return "", err
	}
	got, back, err := readMessage(ws.r)
	if err == nil && got != op {
		err = fmt.Errorf("a frame of kind %d came back", got)
	}
	return string(back), err
}

// end closes it as the protocol has it.
func (ws *webSocket) end() error {
	_, err := ws.say(8, "\x03\xe8")
	return errors.Join(err, ws.Close())
}
