// Command console follows the stream of a running eaves as open consoles do, and throws away what it is told.
//
//	console READY-FILE [CONSOLES]
//
// It waits for the ready file, opens as many streams as CONSOLES says (1), and ends when eaves does. What it got goes to
// standard error.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

// startFor is how long eaves may take to start.
const startFor = 30 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: console READY-FILE [CONSOLES]")
		os.Exit(2)
	}
	consoles := 1
	if len(os.Args) > 2 {
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, "console:", err)
			os.Exit(2)
		}
		consoles = n
	}
	address, token, err := ready(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for i := range consoles {
		wg.Go(func() {
			start := time.Now()
			messages, bytes, err := follow(address, token)
			fmt.Fprintf(os.Stderr, "console %d: %d messages, %d bytes in %.1f s: %v\n", i+1, messages, bytes, time.Since(start).Seconds(), err)
		})
	}
	wg.Wait()
}

// ready waits for the ready file, and returns the console's address and token.
func ready(path string) (address, token string, err error) {
	for deadline := time.Now().Add(startFor); ; time.Sleep(20 * time.Millisecond) {
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			var r struct{ Console, Token string }
			if err = json.Unmarshal(b, &r); err == nil {
				u, err := url.Parse(r.Console)
				if err != nil {
					return "", "", err
				}
				return u.Host, r.Token, nil
			}
		}
		if time.Now().After(deadline) {
			return "", "", err
		}
	}
}

// follow reads one stream to its end.
func follow(address, token string) (messages, bytes int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address, token)
	in := bufio.NewReaderSize(conn, 64<<10)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, 0, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return 0, 0, fmt.Errorf("the stream answers %s", answer.Status)
	}
	for {
		opcode, payload, err := frame(in)
		if err != nil {
			return messages, bytes, err
		}
		messages, bytes = messages+1, bytes+int64(len(payload))
		if opcode == 9 { // a ping: answered, masked with zeros (RFC 6455, 5.3)
			if _, err := conn.Write(append([]byte{0x8a, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)); err != nil {
				return messages, bytes, err
			}
		}
	}
}

// frame reads one frame of a server (RFC 6455, 5.2).
func frame(in *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, nil, err
	}
	opcode = head[0] & 15
	n := uint64(head[1] & 127)
	switch n {
	case 126:
		if _, err := io.ReadFull(in, head[:2]); err != nil {
			return 0, nil, err
		}
		n = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		if _, err := io.ReadFull(in, head[:8]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(head[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(in, payload)
	return opcode, payload, err
}
