package hop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// script is a proxy that expects bytes and answers with others, in turn, and echoes from then on.
func script(t *testing.T, kind Kind, turns ...string) Hop {
	h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for i := 0; i+1 < len(turns); i += 2 {
			got := make([]byte, len(turns[i]))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != turns[i] {
				t.Errorf("got %q, want %q (%v)", got, turns[i], err)
				return
			}
			io.WriteString(c, turns[i+1])
		}
		_, _ = io.Copy(c, r)
	})
	h.Kind = kind
	return h
}

func TestSOCKSAsTheSpecificationsHaveIt(t *testing.T) {
	const (
		named = "\x05\x01\x00\x03\x0borigin.test\x01\xbb"
		yes   = "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"
	)
	for name, c := range map[string]struct {
		host  string
		hop   Hop
		creds *Credentials
		auth  string
	}{
		"SOCKS5 by name":             {"origin.test", script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", named, yes), nil, "none"},
		"SOCKS5 by IPv4":             {"192.0.2.1", script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", yes), nil, "none"},
		"SOCKS5 by IPv6, bound name": {"2001:db8::1", script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb", "\x05\x00\x00\x03\x03abc\x12\x34"), nil, "none"},
		"SOCKS5 with password (RFC 1929), bound IPv6": {"origin.test", script(t, SOCKS5, "\x05\x02\x00\x02", "\x05\x02", "\x01\x05alice\x06s3cret", "\x01\x00",
			named, "\x05\x00\x00\x04"+strings.Repeat("\x00", 16)+"\x12\x34"), fixed("alice", "s3cret"), "password"},
		"SOCKS5 that wants no password": {"origin.test", script(t, SOCKS5, "\x05\x02\x00\x02", "\x05\x00", named, yes), fixed("alice", "s3cret"), "none"},
		"SOCKS4a by name":               {"origin.test", script(t, SOCKS4, "\x04\x01\x01\xbb\x00\x00\x00\x01\x00origin.test\x00", "\x00\x5a\x00\x00\x00\x00\x00\x00"), nil, "none"},
		"SOCKS4 by address, with user":  {"192.0.2.1", script(t, SOCKS4, "\x04\x01\x01\xbb\xc0\x00\x02\x01alice\x00", "\x00\x5a\x12\x34\x01\x02\x03\x04"), fixed("alice", ""), "none"},
	} {
		t.Run(name, func(t *testing.T) {
			c.hop.Credentials = c.creds
			conn, receipts, err := dialer(t).Dial(testContext(t), []Hop{c.hop}, c.host, 443)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			say(t, conn, "hello\n")
			if r := receipts[0]; r.Authentication != c.auth || r.Kind != string(c.hop.Kind) || r.Status != 0 {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

func TestSOCKSFailures(t *testing.T) {
	const named = "\x05\x01\x00\x03\x0borigin.test\x01\xbb"
	for name, c := range map[string]struct {
		hop   Hop
		creds *Credentials
		words []string
	}{
		"wants a password":           {script(t, SOCKS5, "\x05\x01\x00", "\x05\xff"), nil, []string{"wants authentication", "no user name", "eaves route add"}},
		"wants something else":       {script(t, SOCKS5, "\x05\x02\x00\x02", "\x05\xff"), fixed("alice", "s3cret"), []string{"GSSAPI"}},
		"wrong password":             {script(t, SOCKS5, "\x05\x02\x00\x02", "\x05\x02", "\x01\x05alice\x06s3cret", "\x01\x01"), fixed("alice", "s3cret"), []string{"refused the password of the user alice"}},
		"chose what was not offered": {script(t, SOCKS5, "\x05\x01\x00", "\x05\x02"), nil, []string{"method 2, which was not offered"}},
		"refused":                    {script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", named, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"), nil, []string{"could not connect to origin.test:443: connection refused (SOCKS5 5)"}},
		"not allowed":                {script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", named, "\x05\x02"), nil, []string{"not allowed by its rules"}},
		"unknown reply":              {script(t, SOCKS5, "\x05\x01\x00", "\x05\x00", named, "\x05\x63\x00\x01"), nil, []string{"unknown SOCKS5 reply 99"}},
		"HTTP":                       {script(t, SOCKS5, "\x05\x01\x00", "HTTP/1.1 400 Bad Request\r\n\r\n"), nil, []string{"does not answer in SOCKS5", "http://127.0.0.1"}},
		"SOCKS4 refused":             {script(t, SOCKS4, "\x04\x01\x01\xbb\x00\x00\x00\x01\x00origin.test\x00", "\x00\x5b\x00\x00\x00\x00\x00\x00"), nil, []string{"SOCKS4 91"}},
		"SOCKS4 is 5":                {script(t, SOCKS4, "\x04\x01\x01\xbb\x00\x00\x00\x01\x00origin.test\x00", "\x05\xff"), nil, []string{"socks5://"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.hop.Credentials = c.creds
			e, _ := failed(t, dialer(t), c.hop)
			says(t, e, append(c.words, fmt.Sprintf("%s proxy %s", c.hop.Kind, c.hop.Address()))...)
		})
	}
}

func TestChainOfAllKinds(t *testing.T) {
	host, port := echo(t)
	socks := func(kind Kind) Hop {
		h := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
			q := make([]byte, 3)
			if kind == SOCKS5 {
				_, _ = io.ReadFull(r, q)
				io.WriteString(c, "\x05\x00")
				q = make([]byte, 10)
				_, _ = io.ReadFull(r, q)
				relay(c, r, fmt.Sprintf("%s:%d", net.IP(q[4:8]), int(q[8])<<8|int(q[9])), "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
				return
			}
			q = make([]byte, 9)
			_, _ = io.ReadFull(r, q)
			relay(c, r, fmt.Sprintf("%s:%d", net.IP(q[4:8]), int(q[2])<<8|int(q[3])), "\x00\x5a\x00\x00\x00\x00\x00\x00")
		})
		h.Kind = kind
		return h
	}
	hops := []Hop{socks(SOCKS5), passing(t), socks(SOCKS4), passing(t), socks(SOCKS5)}
	c, receipts, err := dialer(t).Dial(testContext(t), hops, host, port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, strings.Repeat("through all of them\n", 100))
	if len(receipts) != 6 {
		t.Fatalf("receipts %+v", receipts)
	}
	for i, r := range receipts {
		if r.Connect < 0 || r.Error != "" || i < 5 && r.Address != hops[i].Address() {
			t.Errorf("receipt %d: %+v", i, r)
		}
	}
}

func FuzzSOCKSReplies(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x03\x03abc\x12\x34more"))
	f.Add([]byte("\x05\x00\x00\x04"))
	f.Add([]byte("\x00\x5a\x00\x00\x00\x00\x00\x00"))
	h := Hop{Kind: SOCKS5, Host: "p.test", Port: 1}
	f.Fuzz(func(t *testing.T, b []byte) {
		to := &station{address: "o.test:1", host: "o.test", port: 1}
		r := bytes.NewReader(b)
		if err := readReply(r, h, to); err == nil {
			used := len(b) - r.Len()
			if b[0] != 5 || b[1] != 0 || used < 10 && b[3] != 3 || used > 4+1+255+2 {
				t.Errorf("%q was taken, %d bytes of it", b, used)
			}
		}
		r.Reset(b)
		if m, err := readMethod(r, h); err == nil && (b[0] != 5 || m != b[1]) {
			t.Errorf("%q is the method %d", b, m)
		}
	})
}
