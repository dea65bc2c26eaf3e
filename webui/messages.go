package webui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"eaves/capture"
)

// Bounds of a page of messages, and of what is looked through for one.
const (
	messageBytes = 4 << 20
	searchStep   = 256
	searchRows   = 50_000
	searchBytes  = 64 << 20
)

// messagePage is a page of messages. Through is the last one that was looked at: a search goes on behind it.
type messagePage struct {
	Messages []capture.Message `json:"messages"`
	Through  int64             `json:"through"`
}

// wantedMessages says which messages are asked for.
type wantedMessages struct {
	text      string // in any case; "" for all
	direction string // sent, received or ""
}

func (q wantedMessages) any() bool { return q.text == "" && q.direction == "" }

func (q wantedMessages) match(m *capture.Message) bool {
	if q.direction != "" && m.Direction != q.direction {
		return false
	}
	if q.text == "" {
		return true
	}
	if ascii(q.text) {
		return containsFold(m.Data, q.text)
	}
	return bytes.Contains(bytes.ToLower(m.Data), []byte(strings.ToLower(q.text)))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// containsFold looks for ASCII text in bytes, whatever they are, without a copy of them.
func containsFold(data []byte, text string) bool {
	first := text[0] | 0x20
	letter := first >= 'a' && first <= 'z'
	for i := 0; i+len(text) <= len(data); i++ {
		if c := data[i]; c != text[0] && (!letter || c|0x20 != first) {
			continue
		}
		if strings.EqualFold(string(data[i:i+len(text)]), text) {
			return true
		}
	}
	return false
}

func (s *Server) messages(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	values := r.URL.Query()
	after, _, err := number(values, "after")
	if err != nil {
		return err
	}
	limit, err := upTo(values, "limit", defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	q, err := messagesWanted(values)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Store.Get(r.Context(), id); err != nil {
		return err
	}
	out, err := s.findMessages(r.Context(), id, after, int64(limit), q)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, out)
}

func messagesWanted(values url.Values) (q wantedMessages, err error) {
	q.text, q.direction = values.Get("contains"), values.Get("direction")
	if len(q.text) > maxFilter {
		return q, bad("contains", fmt.Sprintf("what to look for is at most %d bytes long", maxFilter))
	}
	if q.direction != "" && q.direction != "sent" && q.direction != "received" {
		return q, bad("direction", "direction is sent or received")
	}
	return q, nil
}

// findMessages reads messages in small steps, since they can be large: a page ends early rather than grow, and a search
// rather than take long.
func (s *Server) findMessages(ctx context.Context, id, after, limit int64, q wantedMessages) (messagePage, error) {
	out := messagePage{Messages: []capture.Message{}, Through: after}
	rows, read, size := 0, 0, 0
	for int64(len(out.Messages)) < limit && size < messageBytes && rows < searchRows && read < searchBytes {
		n := int64(searchStep)
		if q.any() {
			n = min(messageStep, limit-int64(len(out.Messages)))
		}
		step, err := s.cfg.Store.Messages(ctx, id, out.Through, int(n))
		if err != nil {
			return out, err
		}
		for _, m := range step {
			rows, read = rows+1, read+len(m.Data)
			out.Through = m.N
			if !q.match(&m) {
				continue
			}
			size += len(m.Data)
			if out.Messages = append(out.Messages, m); int64(len(out.Messages)) == limit || size >= messageBytes {
				break
			}
		}
		if len(step) == 0 {
			break
		}
	}
	return out, nil
}

// inject puts a message into an open WebSocket.
func (s *Server) inject(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	var in struct {
		Direction string  `json:"direction"`
		Kind      string  `json:"kind"`
		Text      *string `json:"text"`
		Data      *[]byte `json:"data"`
		Code      int     `json:"code"`
	}
	if err := readJSON(w, r, maxOutgoing, false, &in); err != nil {
		return err
	}
	if in.Text != nil && in.Data != nil {
		return bad("data", "text and data exclude one another")
	}
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	m := Injection{Direction: in.Direction, Kind: in.Kind, Code: in.Code}
	switch {
	case in.Text != nil:
		m.Data = []byte(*in.Text)
	case in.Data != nil:
		m.Data = *in.Data
	}
	if in.Direction != "sent" && in.Direction != "received" {
		return bad("direction", "direction is sent (to the origin) or received (by the client)")
	}
	switch in.Kind {
	case "text", "binary", "ping", "close":
	default:
		return bad("kind", "kind is text, binary, ping or close")
	}
	switch {
	case x.Kind != capture.KindWebSocket:
		return problem{Status: http.StatusConflict, Detail: "this exchange is no WebSocket: there is nothing to say anything into"}
	case x.State != capture.StateOpen:
		return problem{Status: http.StatusConflict, Detail: "this conversation is no longer open; replay it to say it again"}
	case s.cfg.Injector == nil:
		return problem{Status: http.StatusServiceUnavailable, Detail: "this eaves only reads; messages are sent by a running one (eaves run)"}
	}
	var refusal *Refusal
	if err := s.cfg.Injector.Inject(id, m); errors.As(err, &refusal) {
		return err
	} else if err != nil {
		return problem{Status: http.StatusConflict, Detail: err.Error()}
	}
	return writeJSON(w, r, http.StatusAccepted, struct{}{})
}

// conversation gives what the client of a recorded WebSocket said, up to the message that was the last when it was asked for.
func (s *Server) conversation(ctx context.Context, x *capture.Exchange) func() (Line, error) {
	// What is said again goes on when who asked for it has been answered.
	ctx = context.WithoutCancel(ctx)
	var page []capture.Message
	var after, heard int64
	var last time.Time
	return func() (Line, error) {
		for {
			if len(page) == 0 {
				if after >= x.Messages {
					return Line{}, io.EOF
				}
				var err error
				if page, err = s.cfg.Store.Messages(ctx, x.ID, after, messageStep); err != nil {
					return Line{}, err
				}
				if len(page) == 0 {
					return Line{}, io.EOF
				}
			}
			m := page[0]
			page, after = page[1:], m.N
			switch {
			case m.Direction == "received":
				if !m.Injected && (m.Kind == "text" || m.Kind == "binary") {
					heard++
				}
				continue
			case m.Kind == "pong": // belongs to a ping of that time
				continue
			case m.Truncated:
				return Line{}, fmt.Errorf("message %d was not kept whole", m.N)
			}
			l := Line{Kind: m.Kind, Data: m.Data, Heard: heard}
			if !last.IsZero() {
				l.Pause = max(0, m.Time.Sub(last))
			}
			last = m.Time
			return l, nil
		}
	}
}

// pauses reads how the lines of a conversation are to follow one another.
func pauses(v *string) (timed bool, err error) {
	switch {
	case v == nil || *v == "none":
		return false, nil
	case *v == "recorded":
		return true, nil
	}
	return false, bad("pauses", "pauses is recorded, or none")
}
