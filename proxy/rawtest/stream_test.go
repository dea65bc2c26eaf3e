package rawtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"eaves/proxy/wire"
)

// inModes runs a test in each mode, with an origin of its own.
func inModes(t *testing.T, test func(t *testing.T, p *play)) {
	r := newRig(t)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			o, err := r.origin(mode == "tls")
			if err != nil {
				t.Fatal(err)
			}
			defer o.close()
			p := &play{r: r, mode: mode, host: o.l.Addr().String(), origin: o, before: r.recorder.count()}
			if p.client, err = r.client(mode, p.host); err != nil {
				t.Fatal(err)
			}
			defer p.client.conn.Close()
			test(t, p)
		})
	}
}

// An origin that refuses an upload closes while the client is still sending. What it said must arrive.
func TestRefusedUpload(t *testing.T) {
	for _, head := range []string{"Content-Length: 20000000", "Transfer-Encoding: chunked"} {
		t.Run(head[:7], func(t *testing.T) {
			inModes(t, func(t *testing.T, p *play) {
				const answer = "HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nenough"
				served := make(chan error, 1)
				go func() {
					o := <-p.origin.peers
					defer o.conn.Close()
					if _, err := wire.ReadRequestHead(o.r, wire.Limits{}); err != nil {
						served <- err
						return
					}
					served <- o.send(answer)
				}()
				go func() {
					piece := strings.Repeat("x", 1<<16)
					if strings.HasPrefix(head, "Transfer") {
						piece = "10000\r\n" + piece + "\r\n"
					}
					// It ends with an error when the proxy will not take more.
					_, err := io.WriteString(p.client.conn, p.expand("POST $URL/ HTTP/1.1\r\nHost: $HOST\r\n"+head+"\r\n\r\n"))
					for i := 0; err == nil && i < 300; i++ {
						_, err = io.WriteString(p.client.conn, piece)
					}
				}()
				res, err := http.ReadResponse(p.client.r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 413 || string(body) != "enough" {
					t.Fatalf("answer %s, %q, %v", res.Status, body, err)
				}
				if err := <-served; err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A client that leaves in the midst of a download ends it: the origin does not send into the void.
func TestAbandonedDownload(t *testing.T) {
	inModes(t, func(t *testing.T, p *play) {
		if err := p.client.send(p.expand("GET $URL/ HTTP/1.1\r\nHost: $HOST\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		o := <-p.origin.peers
		defer o.conn.Close()
		if _, err := wire.ReadRequestHead(o.r, wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(o.conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ReadResponseHead(p.client.r, wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		p.client.reset()
		piece := make([]byte, 1<<16)
		var err error
		for begun := time.Now(); err == nil && time.Since(begun) < limit; {
			_, err = o.conn.Write(piece)
		}
		if err == nil || isTimeout(err) {
			t.Fatalf("the origin goes on sending: %v", err)
		}
		if err := p.recorded(step{who: 'X', verb: "failed", text: "client"}); err != nil {
			t.Error(err)
		}
	})
}

// Requests sent without waiting are answered one by one, in their order.
func TestManyPipelined(t *testing.T) {
	inModes(t, func(t *testing.T, p *play) {
		const n = 300
		go func() {
			for o := range p.origin.peers {
				go answerPaths(o)
			}
		}()
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "POST $URL/%d HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 3\r\n\r\nabc", i)
		}
		go p.client.send(p.expand(all.String()))
		for i := range n {
			want := fmt.Sprintf("/%d", i)
			if err := wantBytes(p.client, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(want), want)); err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
		}
	})
}

// answerPaths answers each request with its path.
func answerPaths(o *peer) {
	defer o.conn.Close()
	for {
		h, err := wire.ReadRequestHead(o.r, wire.Limits{})
		if err != nil {
			return
		}
		f, err := h.Framing()
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, wire.NewBody(o.r, f, wire.Limits{})); err != nil {
			return
		}
		if _, err := fmt.Fprintf(o.conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(h.Path), h.Path); err != nil {
			return
		}
	}
}

// A body that trickles is passed on byte by byte, in both directions at once.
func TestTrickle(t *testing.T) {
	inModes(t, func(t *testing.T, p *play) {
		if err := p.client.send(p.expand("POST $URL/ HTTP/1.1\r\nHost: $HOST\r\nTransfer-Encoding: chunked\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		o := <-p.origin.peers
		defer o.conn.Close()
		h, err := wire.ReadRequestHead(o.r, wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f, _ := h.Framing()
		up := wire.NewBody(o.r, f, wire.Limits{})
		if err := o.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ReadResponseHead(p.client.r, wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		down := wire.NewBody(bufio.NewReader(p.client.r), wire.Framing{Kind: wire.Chunked}, wire.Limits{})
		one := make([]byte, 1)
		for i := range 50 {
			c := string(rune('a' + i%26))
			if err := p.client.send("1\r\n" + c + "\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(up, one); err != nil || string(one) != c {
				t.Fatalf("up: %q, %v", one, err)
			}
			if err := o.send("1\r\n" + c + "\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(down, one); err != nil || string(one) != c {
				t.Fatalf("down: %q, %v", one, err)
			}
		}
	})
}

// IPv6 addresses are names like others.
func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here: ", err)
	}
	o := &origin{l: l, peers: make(chan *peer, 16)}
	go o.accept()
	defer o.close()
	go func() {
		for p := range o.peers {
			go answerPaths(p)
		}
	}()
	r := newRig(t)
	for _, mode := range []string{"plain", "tunnel"} {
		host := l.Addr().String()
		client, err := r.client(mode, host)
		if err != nil {
			t.Fatal(err)
		}
		defer client.conn.Close()
		p := play{mode: mode, host: host}
		if err := client.send(p.expand("GET $URL/six HTTP/1.1\r\nHost: $HOST\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := wantBytes(client, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n/six"); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// The body of a request that no origin took is recorded, so that it can be sent again.
func TestBodyOfAFailedRequestIsKept(t *testing.T) {
	r := newRig(t)
	body := strings.Repeat("0123456789", 30_000)
	for name, framed := range map[string]string{
		"length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		before := r.recorder.count()
		client, err := r.client("plain", "")
		if err != nil {
			t.Fatal(err)
		}
		defer client.conn.Close()
		if err := client.send("POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + framed); err != nil {
			t.Fatal(err)
		}
		if err := wantStatus(client.r, http.MethodPost, "502"); err != nil {
			t.Fatal(err)
		}
		all := r.recorder.wait(before, client.tcp.LocalAddr().String(), 1)
		if len(all) != 1 {
			t.Fatalf("%s: %d exchanges", name, len(all))
		}
		all[0].mu.Lock()
		if got := all[0].request.String(); got != body {
			t.Errorf("%s: kept %s", name, short(got))
		}
		all[0].mu.Unlock()
	}
}
