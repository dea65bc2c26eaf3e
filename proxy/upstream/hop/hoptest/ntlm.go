package hoptest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is made of it
	"golang.org/x/crypto/md4"
)

// utf16le is text as MS-NLMP has it.
func utf16le(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

func fromUTF16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	m := hmac.New(md5.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// NTOWFv2 is MS-NLMP 3.3.2.
func NTOWFv2(password, user, domain string) []byte {
	h := md4.New()
	h.Write(utf16le(password))
	return hmacMD5(h.Sum(nil), utf16le(strings.ToUpper(user)+domain))
}

// Flags of MS-NLMP 2.2.2.5.
const ntlmFlags = 0x00000001 | // UNICODE
	0x00000200 | // NTLM
	0x00008000 | // ALWAYS_SIGN
	0x00010000 | // TARGET_TYPE_DOMAIN
	0x00080000 | // EXTENDED_SESSIONSECURITY
	0x00800000 | // TARGET_INFO
	0x02000000 | // VERSION
	0x20000000 | // 128
	0x80000000 // 56

// challengeMessage is MS-NLMP 2.2.1.2.
func challengeMessage() (message, challenge []byte) {
	challenge = make([]byte, 8)
	_, _ = rand.Read(challenge)
	pair := func(id uint16, v []byte) []byte {
		b := binary.LittleEndian.AppendUint16(nil, id)
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(v))), v...)
	}
	info := bytes.Join([][]byte{pair(2, utf16le(Domain)), pair(1, utf16le("PROXY")), pair(4, utf16le("study.test")), pair(3, utf16le("proxy.study.test")), {0, 0, 0, 0}}, nil)
	name := utf16le(Domain)
	const head = 56
	b := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	field := func(n, at int) {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
	}
	field(len(name), head)
	b = binary.LittleEndian.AppendUint32(b, ntlmFlags)
	b = append(b, challenge...)
	b = append(b, make([]byte, 8)...)
	field(len(info), head+len(name))
	b = append(b, 10, 0, 0x61, 0x4a, 0, 0, 0, 15)
	return bytes.Join([][]byte{b, name, info}, nil), challenge
}

// Verify checks an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3) against a challenge: NTLMv2 alone is taken (3.3.2).
func Verify(m, challenge []byte, password func(user string) (string, bool)) (who string, err error) {
	if len(m) < 64 || string(m[:8]) != "NTLMSSP\x00" || binary.LittleEndian.Uint32(m[8:]) != 3 {
		return "", errors.New("no AUTHENTICATE_MESSAGE")
	}
	field := func(at int) []byte {
		n, off := uint64(binary.LittleEndian.Uint16(m[at:])), uint64(binary.LittleEndian.Uint32(m[at+4:]))
		if off+n > uint64(len(m)) {
			return nil
		}
		return m[off : off+n]
	}
	response, domain, user := field(20), fromUTF16(field(28)), fromUTF16(field(36))
	if len(response) <= 24 {
		return user, errors.New("anonymous, or NTLMv1")
	}
	pw, ok := password(user)
	if !ok {
		return user, errors.New("unknown user")
	}
	proof := hmacMD5(NTOWFv2(pw, user, domain), challenge, response[16:])
	if !hmac.Equal(proof, response[:16]) {
		return user, errors.New("wrong password")
	}
	return domain + `\` + user, nil
}

func passwordOf(user string) (string, bool) {
	return Password, strings.EqualFold(user, User)
}

// ntlmHelper speaks squid's ntlmssp helper protocol.
func ntlmHelper(in io.Reader, out io.Writer) {
	var challenge []byte
	for sc := bufio.NewScanner(in); sc.Scan(); {
		p := strings.Fields(sc.Text())
		switch {
		case len(p) == 0:
		case p[0] == "YR":
			var m []byte
			m, challenge = challengeMessage()
			fmt.Fprintln(out, "TT "+base64.StdEncoding.EncodeToString(m))
		case p[0] == "KK" && len(p) > 1:
			m, _ := base64.StdEncoding.DecodeString(p[1])
			who, err := Verify(m, challenge, passwordOf)
			if err != nil {
				fmt.Fprintln(out, "NA", err)
				continue
			}
			fmt.Fprintln(out, "AF", who)
		default:
			fmt.Fprintln(out, "BH what")
		}
	}
}

// NTLMProxy is a proxy that verifies NTLMv2, once for each connection, for CONNECT and plain http.
type NTLMProxy struct {
	*Proxy
	// Handshakes counts the logins that were right, Requests all requests.
	Handshakes, Requests atomic.Int64

	scheme string
	mu     sync.Mutex
	who    []string
}

// Users are those that have logged in, in order.
func (p *NTLMProxy) Users() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.who...)
}

// NewNTLMProxy starts one that offers NTLM by its own name, or as Negotiate.
func NewNTLMProxy(t testing.TB, scheme string) *NTLMProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &NTLMProxy{scheme: scheme, Proxy: &Proxy{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, out: new(output)}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := make(map[net.Conn]bool)
	p.stop = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	t.Cleanup(p.stop)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				p.serve(c)
				c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	return p
}

func (p *NTLMProxy) serve(c net.Conn) {
	br := bufio.NewReader(c)
	var challenge []byte
	known := false
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		p.Requests.Add(1)
		deny := func(offer string) {
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprintf(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s\r\nContent-Length: 5\r\nProxy-Connection: keep-alive\r\n\r\nnope\n", offer)
		}
		if !known {
			scheme, token, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
			m, _ := base64.StdEncoding.DecodeString(token)
			switch {
			case !strings.EqualFold(scheme, p.scheme) || len(m) < 12:
				deny(p.scheme)
				continue
			case m[8] == 1:
				var offer []byte
				offer, challenge = challengeMessage()
				deny(p.scheme + " " + base64.StdEncoding.EncodeToString(offer))
				continue
			}
			who, err := Verify(m, challenge, passwordOf)
			challenge = nil
			if err != nil {
				deny(p.scheme)
				continue
			}
			known = true
			p.Handshakes.Add(1)
			p.mu.Lock()
			p.who = append(p.who, who)
			p.mu.Unlock()
		}
		r.Header.Del("Proxy-Authorization")
		if r.Method != http.MethodConnect {
			if r.Header.Get("Max-Forwards") == "0" { // RFC 9110, 7.6.2
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			if !p.forward(c, r) {
				return
			}
			continue
		}
		o, err := net.Dial("tcp", r.Host)
		if err != nil {
			fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		done := make(chan struct{})
		go func() {
			_, _ = io.Copy(o, br)
			_ = o.(*net.TCPConn).CloseWrite()
			close(done)
		}()
		_, _ = io.Copy(c, o)
		c.Close()
		<-done
		o.Close()
		return
	}
}

// forward passes a plain request on.
func (p *NTLMProxy) forward(c net.Conn, r *http.Request) bool {
	r.RequestURI = ""
	r.Header.Del("Proxy-Connection")
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	defer resp.Body.Close()
	resp.Close = false
	return resp.Write(c) == nil
}
