package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestKeyLogOpensBothSides: with the key log Wireshark reads what eaves and the client said to each other, and what eaves
// and the origin did.
func TestKeyLogOpensBothSides(t *testing.T) {
	tshark, curl := need(t, "tshark"), need(t, "curl")
	secret := "only who has the keys reads this"
	origin, err := serveTLS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, secret) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Close)
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.log")
	i := running(t, certPEM(origin.Certificate()), "--keylog", keys)
	toOrigin, toEaves := tap(t, origin.Listener.Addr().String()), tap(t, i.run.Proxy)
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	for _, version := range []string{"1.2", "1.3"} {
		out, err := exec.CommandContext(ctx, curl, "-sS", "--noproxy", "", "--http1.1", "--tls-max", version, "--proxy", "http://"+toEaves.address,
			"--cacert", i.run.CA, "https://"+toOrigin.address+"/through-tls-"+version).CombinedOutput()
		if err != nil || string(out) != secret {
			t.Fatalf("curl: %v: %s", err, out)
		}
	}
	if err := settled(i.run, 2); err != nil {
		t.Fatal(err)
	}
	for name, side := range map[string]*wiretap{"client": toEaves, "origin": toOrigin} {
		file := filepath.Join(dir, name+".pcap")
		if err := os.WriteFile(file, side.pcap(), 0o600); err != nil {
			t.Fatal(err)
		}
		read := func(options ...string) string {
			t.Helper()
			out, err := exec.CommandContext(ctx, tshark, append([]string{"-r", file, "-Y", "http", "-T", "fields", "-e", "http.request.uri", "-e", "http.file_data"}, options...)...).Output()
			if err != nil {
				t.Fatalf("tshark: %v", err)
			}
			return string(out)
		}
		if got := read(); got != "" {
			t.Errorf("%s: read without keys: %s", name, got)
		}
		got := read("-o", "tls.keylog_file:"+keys)
		for _, want := range []string{"/through-tls-1.2", "/through-tls-1.3"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: with the keys %s is not read:\n%s", name, want, got)
			}
		}
		// Newer versions print a body's bytes in hexadecimal.
		if n := strings.Count(got, secret) + strings.Count(got, fmt.Sprintf("%x", secret)); n != 2 {
			t.Errorf("%s: with the keys the answer is read %d times:\n%s", name, n, got)
		}
	}
}

// wiretap passes connections on, and keeps what was said on them.
type wiretap struct {
	address string

	mu     sync.Mutex
	spoken []segment
}

// segment is what one side said at once.
type segment struct {
	connection int
	fromServer bool
	data       []byte
}

func tap(t *testing.T, server string) *wiretap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wiretap{address: l.Addr().String()}
	go func() {
		for n := 0; ; n++ {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(n, client, server)
		}
	}()
	return w
}

func (w *wiretap) pass(n int, client net.Conn, address string) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", address, deadline)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	pump := func(to, from net.Conn, fromServer bool) {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 32<<10)
		for {
			k, err := from.Read(buf)
			if k > 0 {
				w.mu.Lock()
				w.spoken = append(w.spoken, segment{n, fromServer, bytes.Clone(buf[:k])})
				w.mu.Unlock()
				if _, err := to.Write(buf[:k]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go pump(server, client, false)
	go pump(client, server, true)
	<-done
}

// pcap is what was said from the first TLS record of each side on, as IPv4 packets to port 443.
func (w *wiretap) pcap() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b bytes.Buffer
	put := func(order binary.ByteOrder, values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, order, v)
		}
	}
	put(binary.LittleEndian, uint32(0xa1b2c3d4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(1<<18), uint32(101)) // raw IP
	type direction struct {
		connection int
		fromServer bool
	}
	sent := map[direction]uint32{}
	for n, s := range w.spoken {
		way, back := direction{s.connection, s.fromServer}, direction{s.connection, !s.fromServer}
		if sent[way] == 0 {
			if s.data[0] != 0x16 { // CONNECT, and its answer
				continue
			}
			sent[way] = 1
		}
		for data := s.data; len(data) > 0; {
			part := data[:min(len(data), 1400)]
			data = data[len(part):]
			size := 40 + len(part)
			put(binary.LittleEndian, uint32(1_700_000_000+n), uint32(0), uint32(size), uint32(size))
			source, target := [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}
			from, to := uint16(40000+s.connection), uint16(443)
			if s.fromServer {
				source, target, from, to = target, source, to, from
			}
			put(binary.BigEndian, uint8(0x45), uint8(0), uint16(size), uint16(n), uint16(0), uint8(64), uint8(6), uint16(0), source, target)
			put(binary.BigEndian, from, to, sent[way], max(sent[back], 1), uint8(0x50), uint8(0x18), uint16(65535), uint16(0), uint16(0), part)
			sent[way] += uint32(len(part))
		}
	}
	return b.Bytes()
}
