package proxy

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"time"
)

// protocol is what a client turns out to speak in a tunnel.
type protocol int

const (
	speaksNothing protocol = iota // silent so far: perhaps the server speaks first
	speaksTLS
	speaksHTTP1
	speaksHTTP2 // with prior knowledge (RFC 9113, 3.3)
	speaksOther
	speaksNoMore // gone
)

// preface begins every HTTP/2 connection (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	// sniffWait is how long a client may be silent before the server is asked whether it speaks first.
	sniffWait = 300 * time.Millisecond
	// sniffMore is how long a client that began like HTTP may take for its first line.
	sniffMore = 10 * time.Second
	// sniffRest is how long one may take that has not yet begun like anything known.
	sniffRest = 300 * time.Millisecond
)

// sniff says what the client begins to speak, reading nothing away. With wait 0 it waits as long as it takes.
func sniff(c net.Conn, br *bufio.Reader, wait time.Duration) protocol {
	defer c.SetReadDeadline(time.Time{})
	if wait > 0 {
		c.SetReadDeadline(time.Now().Add(wait))
	}
	for n := 1; ; n = br.Buffered() + 1 {
		_, err := br.Peek(n)
		b, _ := br.Peek(br.Buffered())
		if err != nil && err != bufio.ErrBufferFull {
			switch {
			case len(b) > 0:
				return speaksOther
			case isTimeout(err):
				return speaksNothing
			}
			return speaksNoMore
		}
		p, known := classify(b)
		if known {
			return p
		}
		if err == bufio.ErrBufferFull {
			return speaksHTTP1 // a request line longer than the buffer
		}
		if n == 1 {
			more := sniffRest
			if beginsLikeHTTP(b) {
				more = sniffMore
			}
			c.SetReadDeadline(time.Now().Add(more))
		}
	}
}

// classify says what the bytes are the beginning of; known is false when they do not suffice.
func classify(b []byte) (p protocol, known bool) {
	if b[0] == 0x16 { // a TLS handshake record (RFC 8446, 5.1): its next byte is the major version 3
		if len(b) < 2 {
			return 0, false
		}
		if b[1] == 3 {
			return speaksTLS, true
		}
		return speaksOther, true
	}
	if bytes.HasPrefix(b, []byte(preface)) {
		return speaksHTTP2, true
	}
	if strings.HasPrefix(preface, string(b)) {
		return 0, false
	}
	line := bytes.TrimLeft(b, "\r\n") // a server should ignore empty lines before a request (RFC 9112, 2.2)
	if len(b)-len(line) > 8 {
		return speaksOther, true
	}
	if len(line) == 0 {
		return 0, false
	}
	first, _, whole := bytes.Cut(line, []byte("\n"))
	if whole && meansHTTP(first) {
		return speaksHTTP1, true
	}
	token, _, _ := bytes.Cut(first, []byte(" "))
	for _, ch := range token {
		if !isTokenByte(ch) {
			return speaksOther, true
		}
	}
	if whole || len(token) == 0 || len(token) > 32 {
		return speaksOther, true
	}
	return 0, false
}

// meansHTTP says whether a first line is an attempt at HTTP/1, be it a bad one: passed through as another protocol it
// would reach the origin unseen, where serving it refuses it.
func meansHTTP(line []byte) bool {
	if bytes.Contains(bytes.ToUpper(line), []byte(" HTTP/")) {
		return true
	}
	for _, m := range []string{"GET /", "POST /", "PUT /", "PATCH /", "DELETE /", "HEAD /", "OPTIONS /"} {
		if bytes.HasPrefix(line, []byte(m)) {
			return true
		}
	}
	return false
}

// beginsLikeHTTP says whether the bytes can become a request line that people send.
func beginsLikeHTTP(b []byte) bool {
	for _, m := range []string{"GET ", "POST ", "PUT ", "PATCH ", "DELETE ", "HEAD ", "OPTIONS ", "TRACE ", "CONNECT ", preface} {
		n := min(len(b), len(m))
		if string(b[:n]) == m[:n] {
			return true
		}
	}
	return false
}

// isTokenByte says whether b may stand in a token (RFC 9110, 5.6.2).
func isTokenByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
