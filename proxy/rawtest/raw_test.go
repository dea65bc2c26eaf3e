package rawtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRaw runs the cases.
func TestRaw(t *testing.T) {
	r := newRig(t)
	cases := loadCases(t)
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			for _, mode := range c.modes {
				t.Run(c.file+"/"+c.name+"/"+mode, func(t *testing.T) {
					t.Parallel()
					r.run(t, c, mode)
				})
			}
		}
	})
	if len(cases) < 200 {
		t.Errorf("%d cases", len(cases))
	}
}

// play is a case being run.
type play struct {
	r           *rig
	c           *testCase
	mode        string
	host        string
	origin      *origin
	client      *peer
	server      *peer
	connections int // how many of the origin's were taken
	before      int // how many exchanges were recorded before
	seen        int // how many of this client's were looked at
}

func (r *rig) run(t *testing.T, c *testCase, mode string) {
	o, err := r.origin(mode == "tls")
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	p := &play{r: r, c: c, mode: mode, host: o.l.Addr().String(), origin: o, before: r.recorder.count()}
	if p.client, err = r.client(mode, p.host); err != nil {
		t.Fatal(err)
	}
	defer p.client.conn.Close()
	defer func() {
		if p.server != nil {
			p.server.conn.Close()
		}
	}()
	for _, s := range c.steps {
		if err := p.take(s); err != nil {
			t.Fatalf("%s.txt:%d: %v", c.file, s.line, err)
		}
	}
	if err := p.end(); err != nil {
		t.Fatalf("%s.txt:%d: %v", c.file, c.line, err)
	}
	if err := p.checkRecord(); err != nil {
		t.Fatalf("%s.txt:%d: %v", c.file, c.line, err)
	}
}

// expand puts in what differs between runs.
func (p *play) expand(s string) string {
	url := ""
	if p.mode == "plain" {
		url = "http://" + p.host
	}
	return strings.NewReplacer("$URL", url, "$HOST", p.host).Replace(s)
}

func (p *play) take(s step) error {
	switch s.who {
	case 'C':
		return p.takeClient(s)
	case 'O':
		return p.takeOrigin(s)
	}
	return p.recorded(s)
}

func (p *play) takeClient(s step) error {
	switch s.verb {
	case ">":
		return p.client.send(p.expand(s.text))
	case "status":
		return wantStatus(p.client.r, http.MethodGet, s.text)
	case "head":
		return wantStatus(p.client.r, http.MethodHead, s.text)
	}
	return p.common(p.client, s)
}

func (p *play) takeOrigin(s step) error {
	if s.verb == "none" {
		return p.wantNoneAtOrigin()
	}
	if s.verb == "accept" {
		return p.accept()
	}
	for {
		if p.server == nil {
			if err := p.accept(); err != nil {
				return err
			}
		}
		// The proxy may take a new connection for each request. And a client that is silent in a tunnel has the server asked
		// whether it speaks first, which may happen to ours when the machine is slow. Both end without a byte.
		if s.verb != "<" {
			break
		}
		if _, err := p.server.r.Peek(1); err != io.EOF {
			break
		}
		p.server.conn.Close()
		p.server = nil
	}
	if s.verb == ">" {
		return p.server.send(p.expand(s.text))
	}
	return p.common(p.server, s)
}

// accept takes the origin's next connection.
func (p *play) accept() error {
	if p.server != nil {
		p.server.conn.Close()
	}
	p.connections++
	select {
	case o, ok := <-p.origin.peers:
		if !ok {
			return errors.New("the origin is closed")
		}
		p.server = o
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the origin got no connection; the client has%s", waiting(p.client))
	}
}

// wantNoneAtOrigin wants no connection to the origin, or none with a byte on it.
func (p *play) wantNoneAtOrigin() error {
	for {
		select {
		case o := <-p.origin.peers:
			if o == nil {
				return nil
			}
			defer o.conn.Close()
			o.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if b, _ := io.ReadAll(o.r); len(b) > 0 {
				return fmt.Errorf("the origin got %s", short(string(b)))
			}
		default:
			return nil
		}
	}
}

// common are the steps that both sides have.
func (p *play) common(at *peer, s step) error {
	switch s.verb {
	case "<":
		return wantBytes(at, p.expand(s.text))
	case "chunked":
		return wantChunked(at.r, s.text)
	case "close":
		return at.conn.Close()
	case "half":
		return at.half()
	case "reset":
		at.reset()
		return nil
	case "drop":
		return at.tcp.Close()
	case "eof", "cut", "broken":
		return wantEnd(at, s.verb)
	}
	return fmt.Errorf("no such step: %c %s", s.who, s.verb)
}

// waiting says what a side has received and not been asked for.
func waiting(p *peer) string {
	p.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	b, err := io.ReadAll(p.r)
	return fmt.Sprintf(" %s, then %v", short(string(b)), err)
}

// short quotes s, without its middle where it is long.
func short(s string) string {
	const some = 600
	if len(s) > 2*some {
		return fmt.Sprintf("%q … %q (%d bytes)", s[:some], s[len(s)-some:], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// wantBytes reads as many bytes as want has, and no further than to the first that differs.
func wantBytes(at *peer, want string) error {
	for done := 0; done < len(want); {
		if _, err := at.r.Peek(1); err != nil {
			return fmt.Errorf("received %s, then %v, want %s", short(want[:done]), err, short(want))
		}
		has, _ := at.r.Peek(min(at.r.Buffered(), len(want)-done))
		if !strings.HasPrefix(want[done:], string(has)) {
			return fmt.Errorf("received %s, and then%s\nwant     %s", short(want[:done]), waiting(at), short(want))
		}
		done += len(has)
		at.r.Discard(len(has))
	}
	return nil
}

// wantEnd wants the end of the connection: in order and without a byte before it (eof), after what may be part of a body
// (cut), so that what ends with the connection does not look whole (broken).
func wantEnd(at *peer, how string) error {
	b, err := io.ReadAll(at.r)
	switch {
	case isTimeout(err):
		return fmt.Errorf("the connection has not ended; received %s", short(string(b)))
	case how == "cut" && bytes.HasSuffix(b, []byte("0\r\n\r\n")):
		return fmt.Errorf("what was cut looks whole: %s", short(string(b)))
	case how != "cut" && len(b) > 0:
		return fmt.Errorf("received %s before the end", short(string(b)))
	case how == "broken" && at.inOrder(err):
		return errors.New("the connection has ended in order: what was cut looks whole")
	}
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// wantStatus reads a whole answer.
func wantStatus(r *bufio.Reader, method, want string) error {
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("answer %s is cut: %w", res.Status, err)
	}
	if strconv.Itoa(res.StatusCode) != want {
		return fmt.Errorf("answer %s %s, want %s", res.Status, short(string(body)), want)
	}
	if len(body) == 0 && method != http.MethodHead {
		return fmt.Errorf("answer %s says nothing", res.Status)
	}
	return nil
}

func wantChunked(r *bufio.Reader, want string) error {
	got, err := io.ReadAll(httputil.NewChunkedReader(r))
	if err != nil || string(got) != want {
		return fmt.Errorf("chunks hold %s, %v, want %s", short(string(got)), err, short(want))
	}
	// httputil leaves the trailer section.
	line, err := r.ReadString('\n')
	if line != "\r\n" {
		return fmt.Errorf("the chunks end with %q, %v", line, err)
	}
	return nil
}

// recorded looks at the next exchange in the record.
func (p *play) recorded(s step) error {
	all := p.r.recorder.wait(p.before, p.client.tcp.LocalAddr().String(), p.seen+1)
	if len(all) <= p.seen {
		return errors.New("no exchange was recorded")
	}
	k := all[p.seen]
	p.seen++
	k.mu.Lock()
	defer k.mu.Unlock()
	stage := ""
	if k.x.Error != nil {
		stage = " " + string(k.x.Error.Stage)
	}
	got := string(k.x.State) + stage
	if want := strings.TrimSpace(s.verb + " " + s.text); got != want {
		return fmt.Errorf("recorded as %q (%+v), want %q", got, k.x.Error, want)
	}
	if k.alterAfter {
		return errors.New("the exchange was recorded further after its end")
	}
	return nil
}

// end looks whether either side has received more than it was asked about: the client ends its sending side, whereupon
// the proxy ends the connection.
func (p *play) end() error {
	if p.client.half() == nil {
		p.client.conn.SetReadDeadline(time.Now().Add(limit))
		b, err := io.ReadAll(p.client.r)
		if len(b) > 0 {
			return fmt.Errorf("in the end the client received %q besides, then %v", b, err)
		}
		if isTimeout(err) {
			return errors.New("in the end the client's connection stays open")
		}
	}
	if p.server != nil {
		if n := p.server.r.Buffered(); n > 0 {
			b, _ := p.server.r.Peek(n)
			return fmt.Errorf("in the end the origin received %q besides", b)
		}
	}
	return p.wantNoneAtOrigin()
}
