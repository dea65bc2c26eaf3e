package webui

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"eaves/capture"
)

// talk is a recorded WebSocket with these messages.
func talk(l *lab, id int64, messages ...capture.Message) {
	ws := opened(id)
	ws.Kind, ws.Messages = capture.KindWebSocket, int64(len(messages))
	for i := range messages {
		messages[i].N, messages[i].Size = int64(i+1), int64(len(messages[i].Data))
	}
	l.store.put(ws)
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.store.messages[id] = messages
}

func TestMessagesAreSearched(t *testing.T) {
	l := newLab(t)
	var all []capture.Message
	for i := range 3000 {
		m := capture.Message{Direction: "sent", Kind: "text", Data: fmt.Appendf(nil, `{"tick":%d}`, i)}
		if i%1000 == 999 {
			m = capture.Message{Direction: "received", Kind: "binary", Data: fmt.Appendf(nil, "\xff\x00PRICE %d Ärger", i)}
		}
		all = append(all, m)
	}
	talk(l, 1, all...)
	find := func(query string) (numbers []int64, through int64) {
		t.Helper()
		var page messagePage
		l.ask("GET", "/api/v1/exchanges/1/messages?"+query, "").json(t, 200, &page)
		for _, m := range page.Messages {
			numbers = append(numbers, m.N)
		}
		return numbers, page.Through
	}
	for query, want := range map[string]string{
		"contains=price":                "[1000 2000 3000] 3000",
		"contains=price&limit=1":        "[1000] 1000",
		"contains=price&after=1000":     "[2000 3000] 3000",
		"contains=%C3%A4RGER":           "[1000 2000 3000] 3000",
		"contains=nothing":              "[] 3000",
		"direction=received":            "[1000 2000 3000] 3000",
		"direction=sent&contains=tick":  "",
		"contains=%22TICK%22%3A17%7D":   "[18] 3000",
		"after=2998":                    "[2999 3000] 3000",
		"contains=price&direction=sent": "[] 3000",
	} {
		numbers, through := find(query)
		if want == "" {
			if len(numbers) != 100 || through != 100 {
				t.Errorf("%s: %d messages, through %d", query, len(numbers), through)
			}
			continue
		}
		if got := fmt.Sprintf("%v %d", numbers, through); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestMessagesAreInjected(t *testing.T) {
	l := newLab(t)
	talk(l, 1)
	done := sample(2)
	done.Kind = capture.KindWebSocket
	l.store.put(done, sample(3))
	const at = "/api/v1/exchanges/1/messages"
	if a := l.ask("POST", at, `{"direction":"sent","kind":"text","text":"hello"}`); a.StatusCode != 202 {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	if m := l.sender.injected; l.sender.into != 1 || m.Direction != "sent" || m.Kind != "text" || string(m.Data) != "hello" {
		t.Errorf("put in %+v into %d", m, l.sender.into)
	}
	l.ask("POST", at, `{"direction":"received","kind":"binary","data":"AP8="}`)
	if m := l.sender.injected; m.Direction != "received" || string(m.Data) != "\x00\xff" {
		t.Errorf("put in %+v", m)
	}
	if p := l.ask("POST", "/api/v1/exchanges/2/messages", `{"direction":"sent","kind":"text","text":"x"}`).problem(t, 409); !strings.Contains(p.Detail, "replay") {
		t.Errorf("into a conversation that has ended: %+v", p)
	}
	l.ask("POST", "/api/v1/exchanges/3/messages", `{"direction":"sent","kind":"text","text":"x"}`).problem(t, 409)
	l.sender.err = errors.New("too much waits")
	if p := l.ask("POST", at, `{"direction":"sent","kind":"text","text":"x"}`).problem(t, 409); p.Detail != "too much waits" {
		t.Errorf("refused: %+v", p)
	}
	l.sender.err = &Refusal{Detail: "a ping holds at most 125 bytes"}
	if p := l.ask("POST", at, `{"direction":"sent","kind":"ping","text":"x"}`).problem(t, 400); p.Detail != "a ping holds at most 125 bytes" {
		t.Errorf("what no WebSocket can carry: %+v", p)
	}
	readOnly := newLab(t, func(c *Config) { c.Injector = nil })
	talk(readOnly, 1)
	readOnly.ask("POST", at, `{"direction":"sent","kind":"text","text":"x"}`).problem(t, 503)
}

// A WebSocket is replayed with what its client said, and nothing else.
func TestConversationIsReplayed(t *testing.T) {
	l := newLab(t)
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	talk(l, 1,
		capture.Message{Direction: "received", Kind: "text", Data: []byte("welcome"), Time: at(0)},
		capture.Message{Direction: "received", Kind: "text", Data: []byte("put in"), Time: at(1), Injected: true},
		capture.Message{Direction: "sent", Kind: "text", Data: []byte("one"), Time: at(10)},
		capture.Message{Direction: "received", Kind: "ping", Time: at(20)},
		capture.Message{Direction: "sent", Kind: "pong", Time: at(21)},
		capture.Message{Direction: "received", Kind: "binary", Data: []byte{0}, Time: at(30)},
		capture.Message{Direction: "sent", Kind: "binary", Data: []byte{1}, Time: at(260), Injected: true},
		capture.Message{Direction: "sent", Kind: "close", Data: []byte("1000 bye"), Time: at(300)},
	)
	var got struct{ ID int64 }
	l.ask("POST", "/api/v1/exchanges/1/replay", `{"pauses":"recorded"}`).json(t, 202, &got)
	o := l.sender.got
	if o.Conversation == nil || !o.Timed {
		t.Fatalf("sent %+v", o)
	}
	var said []string
	for {
		line, err := o.Conversation()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, fmt.Sprintf("%s %q %v %d", line.Kind, line.Data, line.Pause, line.Heard))
	}
	want := `text "one" 0s 1|binary "\x01" 250ms 2|close "1000 bye" 40ms 2`
	if s := strings.Join(said, "|"); s != want {
		t.Errorf("said %s\nwant %s", s, want)
	}
	l.ask("POST", "/api/v1/exchanges/1/replay", "").json(t, 202, &got)
	if l.sender.got.Timed {
		t.Error("pauses are kept unasked")
	}
	talk(l, 2, capture.Message{Direction: "sent", Kind: "text", Truncated: true})
	l.ask("POST", "/api/v1/exchanges/2/replay", "").json(t, 202, &got)
	if _, err := l.sender.got.Conversation(); err == nil || !strings.Contains(err.Error(), "message 1") {
		t.Errorf("a message that was cut: %v", err)
	}
	l.store.put(sample(3))
	l.ask("POST", "/api/v1/exchanges/3/replay", "").json(t, 202, &got)
	if l.sender.got.Conversation != nil {
		t.Error("a plain request has a conversation")
	}
}
