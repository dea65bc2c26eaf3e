package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A recorded WebSocket is opened anew by eaves replay, and its client's messages are said again; one is put in through the API.
func TestReplayedConversation(t *testing.T) {
	up := websocket.Upgrader{EnableCompression: true}
	heard := make(chan string, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			heard <- string(p)
			if c.WriteMessage(kind, append([]byte("re: "), p...)) != nil {
				return
			}
		}
	}))
	defer origin.Close()
	dir := t.TempDir()
	env := append(os.Environ(), "HOME="+dir, "EAVES_DATA="+filepath.Join(dir, "data"))
	i, err := start(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := i.stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("the origin heard %q, want %q", got, want)
			}
		case <-time.After(deadline):
			t.Fatalf("the origin did not hear %q", want)
		}
	}
	d := websocket.Dialer{EnableCompression: true, HandshakeTimeout: deadline, Proxy: func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: i.run.Proxy}, nil }}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(origin.URL, "http")+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(deadline))
	say := func(text string) {
		t.Helper()
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		next(text)
		if _, p, err := c.ReadMessage(); err != nil || string(p) != "re: "+text {
			t.Fatalf("got %q, %v", p, err)
		}
	}
	say("one")
	put := func(body string) int {
		t.Helper()
		q, err := http.NewRequest("POST", i.run.Console+"/api/v1/exchanges/1/messages", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+i.run.Token)
		q.Header.Set("Content-Type", "application/json")
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	if status := put(`{"direction":"sent","kind":"text","text":"put in"}`); status != 202 {
		t.Fatalf("putting a message in: %d", status)
	}
	next("put in")
	if _, p, err := c.ReadMessage(); err != nil || string(p) != "re: put in" {
		t.Fatalf("got %q, %v", p, err)
	}
	if status := put(`{"direction":"received","kind":"text","text":"for you"}`); status != 202 {
		t.Fatalf("putting a message in: %d", status)
	}
	if _, p, err := c.ReadMessage(); err != nil || string(p) != "for you" {
		t.Fatalf("got %q, %v", p, err)
	}
	if status := put(`{"direction":"sent","kind":"close","code":1005}`); status != 400 {
		t.Errorf("putting in what no WebSocket can carry: %d", status)
	}
	say("two")
	_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
	_, _, _ = c.ReadMessage()
	c.Close()
	for limit := time.Now().Add(deadline); !strings.Contains(command(t, dir, env, "eaves", "list", "is:done"), "/chat"); {
		if time.Now().After(limit) {
			t.Fatal("the conversation did not end")
		}
	}
	if status := put(`{"direction":"sent","kind":"text","text":"late"}`); status != 409 {
		t.Errorf("putting a message into what has ended: %d", status)
	}
	for n, args := range [][]string{{"replay", "1"}, {"replay", "1", "--keep-timing"}} {
		if out := command(t, dir, env, "eaves", args...); !strings.HasPrefix(out, fmt.Sprintf("1 → %d  101", n+2)) {
			t.Fatalf("eaves %v: %s", args, out)
		}
		for _, want := range []string{"one", "put in", "two"} {
			next(want)
		}
	}
	var x struct {
		Kind     string
		State    string
		ReplayOf int64
		Messages int64
	}
	if err := json.Unmarshal([]byte(command(t, dir, env, "eaves", "show", "2", "--json")), &x); err != nil {
		t.Fatal(err)
	}
	if x.Kind != "websocket" || x.State != "done" || x.ReplayOf != 1 || x.Messages < 8 {
		t.Errorf("recorded %+v", x)
	}
}
