package rawtest

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eaves/proxy/wire"
)

var (
	mutations = flag.Int("mutations", 0, "how many mutated exchanges TestMutations makes; 0: as many as two seconds allow")
	seed      = flag.Uint64("seed", 1, "seed of TestMutations")
)

// exchangeSeeds are well-formed exchanges: what a client sends (to a proxy, with $URL) and what an origin answers.
var exchangeSeeds = []struct{ request, response string }{
	{"GET $URL/a?b=c HTTP/1.1\r\nHost: $HOST\r\nAccept: */*\r\nCookie: a=b\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"},
	{"POST $URL/ HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\nhello world", "HTTP/1.1 201 Created\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"},
	{"POST $URL/ HTTP/1.1\r\nHost: $HOST\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"},
	{"HEAD $URL/ HTTP/1.1\r\nHost: $HOST\r\nConnection: close, X-B\r\nX-B: c\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nDate: x\r\n\r\n"},
	{"GET $URL/ HTTP/1.0\r\nHost: $HOST\r\n\r\n", "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nall until the end"},
	{"PUT $URL/%2f HTTP/1.1\r\nHost: $HOST\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
	{"GET $URL/1 HTTP/1.1\r\nHost: $HOST\r\n\r\nGET $URL/2 HTTP/1.1\r\nHost: $HOST\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"OPTIONS $URL/ HTTP/1.1\r\nHost: $HOST\r\nTE: trailers\r\nConnection: TE, keep-alive\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n"},
}

// pieces are what mutations put in.
var pieces = []string{"\r", "\n", "\r\n", "\x00", "\t", " ", ":", ";", ",", "\x0b", "\x0c", "\x7f", "\xff", "0", "1", "-", "+", "0x", "\"", "\\", "%", "/", "#", "@", "\r\n\r\n",
	"Content-Length: 5\r\n", "Content-Length: 0\r\n", "Content-Length : 3\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding:\x0bchunked\r\n",
	"transfer-encoding: Chunked\r\n", "Connection: Content-Length\r\n", "Host: other.test\r\n", " folded\r\n", "X: y\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
	"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n", "Upgrade: x\r\nConnection: upgrade\r\n"}

// mutate changes s in one of the ways in which peers and attackers get messages wrong.
func mutate(rng *rand.Rand, s string) string {
	if s == "" {
		return pieces[rng.IntN(len(pieces))]
	}
	at := rng.IntN(len(s))
	switch lines := strings.SplitAfter(s, "\n"); rng.IntN(10) {
	case 0: // another byte
		return s[:at] + string([]byte{byte(rng.IntN(256))}) + s[at+1:]
	case 1: // without some
		return s[:at] + s[min(at+1+rng.IntN(4), len(s)):]
	case 2: // something put in anywhere
		return s[:at] + pieces[rng.IntN(len(pieces))] + s[at:]
	case 3: // something put in between lines
		i := rng.IntN(len(lines))
		return strings.Join(lines[:i], "") + pieces[rng.IntN(len(pieces))] + strings.Join(lines[i:], "")
	case 4: // a line twice
		i := rng.IntN(len(lines))
		return strings.Join(lines[:i+1], "") + strings.Join(lines[i:], "")
	case 5: // a line less
		i := rng.IntN(len(lines))
		return strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
	case 6: // two lines exchanged
		i, j := rng.IntN(len(lines)), rng.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		return strings.Join(lines, "")
	case 7: // cut
		return s[:at]
	case 8: // a CR less
		if i := strings.IndexByte(s[at:], '\r'); i >= 0 {
			return s[:at+i] + s[at+i+1:]
		}
		return s
	default: // another case
		return s[:at] + strings.ToUpper(s[at:min(at+8, len(s))]) + s[min(at+8, len(s)):]
	}
}

// TestMutations sends mutated exchanges through the proxy. Whatever comes, the proxy lives on, answers or hangs up in
// time, passes on nothing ambiguous, makes no request of its own, and hands on no body that was cut as a whole one.
func TestMutations(t *testing.T) {
	r := newRig(t)
	const workers = 8
	before := runtime.NumGoroutine()
	var made atomic.Int64
	until := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(*seed, uint64(w)))
			for !t.Failed() {
				n := int(made.Add(1))
				if *mutations > 0 && n > *mutations || *mutations == 0 && time.Now().After(until) {
					return
				}
				m, err := r.exchange(rng)
				if err != nil {
					t.Errorf("%v\nmode %s, request %q\nresponse %q\norigin got %q\nclient got %q", err, m.mode, m.request, m.response, m.atOrigin, m.atClient)
				}
			}
		}()
	}
	wg.Wait()
	t.Logf("%d exchanges", made.Load()-workers)
	if x := r.recorder.open(); x != nil {
		t.Errorf("an exchange is open still: %+v", x)
	}
	// Idle connections to origins need no goroutines, and there are no others left.
	for begun := time.Now(); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > limit {
			t.Errorf("%d goroutines, before there were %d", runtime.NumGoroutine(), before)
			break
		}
	}
	for _, line := range r.logged() {
		if strings.HasPrefix(line, "serving ") {
			t.Errorf("something broke: %s", line)
		}
	}
}

// mutation is one mutated exchange and what was seen of it.
type mutation struct {
	mode, request, response string
	atClient                []byte
	reset                   bool // the client's connection was broken, not ended
	mu                      sync.Mutex
	atOrigin                [][]byte // a connection each
}

// exchange makes a mutated exchange with an origin of its own.
func (r *rig) exchange(rng *rand.Rand) (*mutation, error) {
	s := exchangeSeeds[rng.IntN(len(exchangeSeeds))]
	m := &mutation{mode: []string{"plain", "plain", "tunnel", "tunnel", "tls"}[rng.IntN(5)], request: s.request, response: s.response}
	o, err := r.origin(m.mode == "tls")
	if err != nil {
		return m, err
	}
	defer o.close()
	p := play{mode: m.mode, host: o.l.Addr().String()}
	m.request = p.expand(m.request)
	for range 1 + rng.IntN(3) {
		if rng.IntN(5) < 3 {
			m.request = mutate(rng, m.request)
		} else {
			m.response = mutate(rng, m.response)
		}
	}
	return m, m.run(r, o)
}

// run makes the exchange and judges what was seen.
func (m *mutation) run(r *rig, o *origin) error {
	client, err := r.client(m.mode, o.l.Addr().String())
	if err != nil {
		return err
	}
	defer client.conn.Close()
	over := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		m.serve(o, over)
	}()
	_, _ = io.WriteString(client.conn, m.request)
	_ = client.half()
	m.atClient, err = io.ReadAll(client.r)
	client.conn.Close()
	close(over)
	<-served
	if isTimeout(err) {
		return errors.New("silence")
	}
	m.reset = !client.inOrder(err)
	return m.judge()
}

// serve answers the requests that come to the origin, one a connection, until the exchange is over.
func (m *mutation) serve(o *origin, over <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case p := <-o.peers:
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer p.conn.Close()
				var got bytes.Buffer
				br := bufio.NewReader(io.TeeReader(p.conn, &got))
				if h, err := wire.ReadRequestHead(br, wire.Limits{}); err == nil {
					f, _ := h.Framing()
					if _, err := io.Copy(io.Discard, wire.NewBody(br, f, wire.Limits{})); err == nil {
						_, _ = io.WriteString(p.conn, m.response)
					}
				}
				_ = p.half()
				// Whatever else was sent here is there by now; the proxy may keep the connection.
				<-over
				_ = p.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, _ = io.Copy(io.Discard, br)
				m.mu.Lock()
				m.atOrigin = append(m.atOrigin, got.Bytes())
				m.mu.Unlock()
			}()
		case <-over:
			// What the proxy has begun towards the origin ends when its client is gone.
			return
		}
	}
}

// request is one that the client made, as a strict reader takes it.
type request struct {
	method, path string
	toProxy      bool // outside a tunnel: for the proxy itself
	body         []byte
	whole        bool
}

func requestsOf(raw string) (all []request) {
	r := bufio.NewReader(strings.NewReader(raw))
	for {
		h, err := wire.ReadRequestHead(r, wire.Limits{})
		if err != nil {
			return all
		}
		f, err := h.Framing()
		if err != nil {
			return all
		}
		body, err := io.ReadAll(wire.NewBody(r, f, wire.Limits{}))
		all = append(all, request{h.Method, h.Path, h.Form == wire.OriginForm || h.Form == wire.AsteriskForm, body, err == nil})
		if err != nil {
			return all
		}
	}
}

func (m *mutation) judge() error {
	asked := requestsOf(m.request)
	for _, got := range m.atOrigin {
		if len(got) == 0 || !looksLikeHTTP(m.request) && m.mode == "tunnel" {
			continue
		}
		if err := judgeRequests(got, asked); err != nil {
			return err
		}
	}
	if !looksLikeHTTP(m.request) && m.mode == "tunnel" {
		return nil // it is no HTTP, and passed through as it is
	}
	return m.judgeAnswers(asked)
}

// looksLikeHTTP says whether what comes out of a tunnel is taken for HTTP/1 at all, be it bad.
func looksLikeHTTP(s string) bool {
	line, _, ok := strings.Cut(strings.TrimLeft(s, "\r\n"), "\n")
	return ok && attempt.MatchString(latin(line))
}

var attempt = regexp.MustCompile(`(?i: HTTP/)|^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /`)

var (
	requestLine = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+ [!-~\u0080-\u00ff]+ HTTP/1\\.1$")
	statusLine  = regexp.MustCompile(`(?s)^HTTP/1\.1 [1-9][0-9][0-9] [^\r\n\x00]*$`)
	fieldLine   = regexp.MustCompile(`(?s)^[!-9;-~]+:[^\r\n\x00]*$`)
)

// lint says what is ambiguous about a head.
func lint(head string, first *regexp.Regexp) error {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	if !first.MatchString(latin(lines[0])) {
		return fmt.Errorf("first line %q", lines[0])
	}
	count := map[string]int{}
	for _, line := range lines[1:] {
		if !fieldLine.MatchString(latin(line)) {
			return fmt.Errorf("line %q", line)
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		count[name]++
		if name == "content-length" && !regexp.MustCompile(`^[0-9]+$`).MatchString(value) || name == "transfer-encoding" && !strings.EqualFold(value, "chunked") {
			return fmt.Errorf("line %q", line)
		}
	}
	if count["content-length"]+count["transfer-encoding"] > 1 || first == requestLine && count["host"] != 1 {
		return errors.New("framing or Host is said more than once")
	}
	return nil
}

// latin makes runes of bytes, so that regular expressions see each.
func latin(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// judgeRequests holds what came on one of the origin's connections to what the client asked for.
func judgeRequests(got []byte, asked []request) error {
	for r := bufio.NewReader(bytes.NewReader(got)); ; {
		has, _ := r.Peek(len(got))
		if len(has) == 0 {
			return nil
		}
		end := bytes.Index(has, []byte("\r\n\r\n"))
		if end < 0 {
			return fmt.Errorf("a head without end: %q", has)
		}
		if err := lint(string(has[:end+4]), requestLine); err != nil {
			return fmt.Errorf("an ambiguous request was passed on: %w", err)
		}
		h, err := wire.ReadRequestHead(r, wire.Limits{})
		if err != nil {
			return fmt.Errorf("a bad request was passed on: %w", err)
		}
		f, _ := h.Framing()
		body, err := io.ReadAll(wire.NewBody(r, f, wire.Limits{}))
		if !slices.ContainsFunc(asked, func(a request) bool {
			return a.method == h.Method && (a.path == h.Path || h.Form != wire.OriginForm) &&
				(err == nil && a.whole && bytes.Equal(a.body, body) || err != nil && bytes.HasPrefix(a.body, body))
		}) {
			return errors.New("the origin got a request that the client did not make, or got a cut one as whole")
		}
	}
}

// judgeAnswers holds what the client received to what the origin answered.
func (m *mutation) judgeAnswers(asked []request) error {
	r := bufio.NewReader(bytes.NewReader(m.atClient))
	for i := 0; ; i++ {
		rest, _ := r.Peek(1 << 16)
		if len(rest) == 0 {
			return nil
		}
		method := "GET"
		if i < len(asked) {
			method = asked[i].method
		}
		var res *http.Response
		for {
			rest, _ = r.Peek(r.Buffered())
			end := bytes.Index(rest, []byte("\r\n\r\n"))
			if end < 0 {
				return fmt.Errorf("an answer's head without end: %q", rest)
			}
			if err := lint(string(rest[:end+4]), statusLine); err != nil {
				return fmt.Errorf("an ambiguous answer was passed on: %w", err)
			}
			var err error
			if res, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
				if strings.HasPrefix(err.Error(), "malformed MIME header") {
					return nil // a control character or a name that net/http does not take, but nobody misunderstands
				}
				return fmt.Errorf("the client cannot read its answer: %w", err)
			}
			if res.StatusCode >= 200 || res.StatusCode == 101 {
				break
			}
		}
		if res.StatusCode == 101 {
			return nil
		}
		body, err := io.ReadAll(res.Body)
		if err == nil && m.reset && res.Close && res.ContentLength < 0 && method != "HEAD" {
			err = errors.New("reset") // what ends with the connection is cut when that breaks
		}
		if strings.HasPrefix(res.Header.Get("Proxy-Status"), "eaves") || i >= len(asked) || m.mode == "plain" && asked[i].toProxy {
			if err != nil && len(body) > 0 { // a refused HEAD has none
				return fmt.Errorf("the proxy's own answer is cut: %w", err)
			}
			continue
		}
		want, whole := answerOf(m.response, method)
		if err == nil && (!whole || !bytes.Equal(want, body)) {
			return fmt.Errorf("the client has the body %q as whole; the origin's was %q, whole: %v", body, want, whole)
		}
		if err != nil && !bytes.HasPrefix(want, body) {
			return fmt.Errorf("the client has the cut body %q, the origin's was %q", body, want)
		}
	}
}

// answerOf reads the final answer of a raw one, as leniently as it can be read.
func answerOf(raw, method string) (body []byte, whole bool) {
	r := bufio.NewReader(strings.NewReader(raw))
	for {
		h, err := wire.ReadResponseHead(r, wire.Limits{})
		if err != nil {
			return nil, false
		}
		if h.Status < 200 {
			continue
		}
		f, err := h.Framing(method)
		if err != nil {
			return nil, false
		}
		body, err := io.ReadAll(wire.NewBody(r, f, wire.Limits{}))
		return body, err == nil
	}
}
