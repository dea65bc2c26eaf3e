package curl

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"eaves/capture"
	"eaves/capture/internal/sample"
)

func command(t testing.TB, x *capture.Exchange, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, &sample.Source{Bodies: map[sample.Key][]byte{{ID: x.ID, Side: capture.SideRequest}: body}})
	if err := w.Write(context.Background(), x); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// run gives a command to a shell, as a user would.
func run(t *testing.T, shell, command string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, shell)
	c.Stdin = strings.NewReader(command)
	c.Env = append(os.Environ(), append(env, "NO_PROXY=*", "CURL_HOME=/nonexistent")...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%.2000s", err, out, command)
	}
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
}

// shells are those that users have; a POSIX one is enough.
func shells() []string {
	found := []string{}
	for _, name := range []string{"sh", "bash", "zsh"} {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// wire accepts one request and returns its bytes as they came.
func wire(t *testing.T) (address string, request func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(15 * time.Second))
		var all []byte
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil || complete(all) {
				break
			}
		}
		got <- string(all)
		io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	}()
	return l.Addr().String(), func() string {
		select {
		case s := <-got:
			return s
		case <-time.After(20 * time.Second):
			t.Fatal("no request came")
			return ""
		}
	}
}

// complete says whether a request with a Content-Length, chunks or no body is all there.
func complete(p []byte) bool {
	head, body, ok := bytes.Cut(p, []byte("\r\n\r\n"))
	if !ok {
		return false
	}
	var n int
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		fmt.Sscanf(strings.ToLower(string(line)), "content-length: %d", &n)
		if strings.EqualFold(string(line), "transfer-encoding: chunked") {
			return bytes.HasSuffix(body, []byte("0\r\n\r\n"))
		}
	}
	return len(body) >= n
}

func TestCurlSendsTheVeryBytes(t *testing.T) {
	needCurl(t)
	random := make([]byte, 200_000)
	rand.Read(random)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, c := range []struct {
		name, method, path, version string
		header                      capture.Header
		body                        string
		want                        string // the head, after Host; "" where it is the header as it stands
	}{
		{"get", "GET", "/a?b='c'&$d=`e`!!", "HTTP/1.1", capture.Header{{Name: "accept", Value: "*/*"}, {Name: "X-Twice", Value: "it's"}, {Name: "x-twice", Value: "$HOME \"q\" \\"}, {Name: "User-Agent", Value: "u"}}, "", ""},
		{"nothing added", "GET", "/", "HTTP/1.1", capture.Header{{Name: "X", Value: "1"}}, "", ""},
		{"empty value", "GET", "/", "HTTP/1.1", capture.Header{{Name: "X-Empty", Value: ""}, {Name: "Y", Value: "caf\xe9"}, {Name: "Z", Value: "\x1b[31m%\\"}}, "", "X-Empty:\r\nY: caf\xe9\r\nZ: \x1b[31m%\\\r\n"},
		{"cookie order", "GET", "/", "HTTP/1.1", capture.Header{{Name: "Cookie", Value: "a=1; b=2"}, {Name: "A", Value: "1"}, {Name: "Authorization", Value: "Basic eA=="}}, "", ""},
		{"path as it is", "GET", "/a/../b/./%2e%2e/{x,y}/[1-3]", "HTTP/1.1", nil, "", ""},
		{"http/1.0", "GET", "/", "HTTP/1.0", nil, "", ""},
		{"form", "POST", "/", "HTTP/1.1", capture.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, "a=it's&b=\nc\t", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n"},
		{"no type", "POST", "/", "HTTP/1.1", nil, "x", "Content-Length: %d\r\n"},
		{"at", "POST", "/", "HTTP/1.1", nil, "@/etc/passwd", "Content-Length: %d\r\n"},
		{"json put", "PUT", "/", "HTTP/1.1", capture.Header{{Name: "Content-Length", Value: "14"}, {Name: "X", Value: "1"}}, `{"a":"Größe"}`, "X: 1\r\nContent-Length: %d\r\n"},
		{"every byte", "PATCH", "/", "HTTP/1.1", nil, string(all), "Content-Length: %d\r\n"},
		{"like a format", "POST", "/", "HTTP/1.1", nil, "100%s\\n\\0101\x01", "Content-Length: %d\r\n"},
		{"dash first", "POST", "/", "HTTP/1.1", nil, "-n\x01", "Content-Length: %d\r\n"},
		{"long", "POST", "/", "HTTP/1.1", nil, string(random), "Content-Length: %d\r\n"},
		{"long text", "POST", "/", "HTTP/1.1", nil, strings.Repeat("it's long\n", 20_000), "Content-Length: %d\r\n"},
		{"get with a body", "GET", "/", "HTTP/1.1", nil, "x", "Content-Length: %d\r\n"},
		{"post without a body", "POST", "/", "HTTP/1.1", capture.Header{{Name: "Content-Length", Value: "0"}}, "", ""},
		{"head", "HEAD", "/", "HTTP/1.1", nil, "", ""},
		{"own method", "PROPFIND", "/", "HTTP/1.1", capture.Header{{Name: "Depth", Value: "1"}}, "", ""},
		{"other host", "GET", "/", "HTTP/1.1", capture.Header{{Name: "Host", Value: "other.test"}, {Name: "X", Value: "1"}}, "", ""},
	} {
		for _, shell := range shells() {
			t.Run(c.name+"/"+shell, func(t *testing.T) {
				address, request := wire(t)
				x := &capture.Exchange{ID: 1, Request: capture.Request{Method: c.method, URL: "http://" + address + c.path + "#fragment", HTTPVersion: c.version, Header: c.header}}
				if !c.header.Has("Host") {
					x.Request.Header = append(capture.Header{{Name: "Host", Value: address}}, c.header...)
				}
				text := command(t, x, []byte(c.body))
				run(t, shell, text)
				head, body, _ := strings.Cut(request(), "\r\n\r\n")
				want := c.method + " " + c.path + " " + c.version + "\r\n"
				if !c.header.Has("Host") {
					want += "Host: " + address + "\r\n"
				}
				if c.want == "" {
					for _, f := range c.header {
						want += f.Name + ": " + f.Value + "\r\n"
					}
				}
				if want += strings.ReplaceAll(c.want, "%d", strconv.Itoa(len(c.body))); head+"\r\n" != want {
					t.Errorf("curl sent\n%s\nwant\n%s\nfor\n%.1000s", head, want, text)
				}
				if body != c.body {
					t.Errorf("body: %d bytes %.100q, want %d %.100q", len(body), body, len(c.body), c.body)
				}
			})
		}
	}
}

func TestChunksAndTargets(t *testing.T) {
	needCurl(t)
	address, request := wire(t)
	x := &capture.Exchange{ID: 1, Request: capture.Request{Method: "POST", URL: "http://" + address + "/", HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Host", Value: address}, {Name: "Transfer-Encoding", Value: "chunked"}}}}
	run(t, "sh", command(t, x, []byte("hello")))
	if got := request(); !strings.HasSuffix(got, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") {
		t.Errorf("got %q", got)
	}
	address, request = wire(t)
	x = &capture.Exchange{ID: 1, Request: capture.Request{Method: "OPTIONS", URL: "http://" + address + "/", Target: "*", HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "Host", Value: address}}}}
	run(t, "sh", command(t, x, nil))
	if got := request(); !strings.HasPrefix(got, "OPTIONS * HTTP/1.1\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestHTTP2(t *testing.T) {
	needCurl(t)
	type got struct {
		proto, body string
		header      http.Header
	}
	requests := make(chan got, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests <- got{r.Proto, string(b), r.Header}
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	x := &capture.Exchange{ID: 1, Request: capture.Request{Method: "PUT", URL: server.URL + "/x", HTTPVersion: "HTTP/2",
		Header: capture.Header{{Name: "x-a", Value: "1"}, {Name: "content-length", Value: "3"}, {Name: "x-a", Value: "2"}}}}
	run(t, "sh", command(t, x, []byte{1, 0, 255}), "CURL_CA_BUNDLE="+ca)
	r := <-requests
	if r.proto != "HTTP/2.0" || r.body != "\x01\x00\xff" || fmt.Sprint(r.header["X-A"]) != "[1 2]" || r.header["User-Agent"] != nil || r.header["Accept"] != nil || r.header["Content-Type"] != nil {
		t.Errorf("%+v", r)
	}
}

// Every sample becomes something a shell can read, and what is no request a comment.
func TestSamplesAreShell(t *testing.T) {
	s := sample.Exchanges()
	var out bytes.Buffer
	w := NewWriter(&out, s)
	for _, x := range s.Exchanges {
		if err := w.Write(context.Background(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-n")
	c.Stdin = &out
	text := out.String()
	if msg, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, msg, text)
	}
	for _, want := range []string{"# 6: tcp://a.test:22 is a tunnel", "# 3: curl sends no trailers; the request had 1\n", "curl 'https://api.bank.test/v1/a%20b?x=1&y=%26&x=2' \\\n  --http1.1 \\\n", "--http2", "'https://a.test/ws'", "--globoff"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "--compressed") {
		t.Error("--compressed would change what is asked for")
	}
}

// Nothing in an exchange gets out of its quotes.
func FuzzQuoting(f *testing.F) {
	if _, err := exec.LookPath("sh"); err != nil {
		f.Skip("there is no shell")
	}
	f.Add("it's", "$(x)`y`", []byte("a'\\\n\x00%d"))
	f.Fuzz(func(t *testing.T, path, value string, body []byte) {
		x := &capture.Exchange{ID: 1, Request: capture.Request{Method: "POST", URL: "http://a.test/" + path, Target: value, HTTPVersion: "HTTP/1.1", Header: capture.Header{{Name: "X", Value: value}}}}
		text := command(t, x, body)
		if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) || !utf8.ValidString(text) {
			t.Fatalf("a terminal would obey %q", text)
		}
		if strings.HasPrefix(text, "#") {
			if strings.Count(text, "\n") != 1 {
				t.Fatalf("a comment of several lines: %q", text)
			}
			return
		}
		// A function takes curl's place and prints what it was given.
		c := exec.Command("sh", "-c", "curl() { for a; do printf '%s\\0' \"$a\"; done; cat; }\n"+text)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		url, _, _ := strings.Cut("http://a.test/"+path, "#")
		if !bytes.HasPrefix(out, []byte(url+"\x00")) || !bytes.Contains(out, body) || value != "" && !bytes.Contains(out, []byte("X: "+value+"\x00")) {
			t.Fatalf("the shell read %q as %q", text, out)
		}
	})
}
