// Package har writes and reads HTTP Archives (HAR 1.2).
//
// # Writing
//
// A file is a HAR 1.2 file that other tools read: bodies as decoded text or base64, WebSocket messages as Chromium writes
// them (_webSocketMessages). What HAR has no place for stands in members that begin with an underscore, as the standard
// asks:
//
//	entry._eaves                the exchange in the form of the API, without what the entry says itself
//	entry._error                why it failed, in one line
//	entry._messages             messages that are no WebSocket's, in the form of the API
//	content._data               the body as it was transferred, base64, where text is not that
//	postData._data              likewise
//	header._raw                 the bytes of a value that is not UTF-8, base64
//
// Bodies and messages stream: memory does not grow with them.
//
// # Reading
//
// Read takes any tool's HAR. A file that eaves wrote gives the same exchanges again, apart from ids, revisions and
// times below a millisecond. In others' files a body that was decoded gets its coding back, since a kept body is one as
// transferred; its bytes may differ from those of the wire then, what they decode to does not. Exchanges go to a
// Recorder one by one. One entry is in memory at a time, without its long bodies: those wait in a temporary file.
package har

import (
	"encoding/base64"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"eaves/capture"
)

const (
	creatorName       = "eaves"
	resourceWebSocket = "websocket"
)

type creator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type entryHead struct {
	Started string  `json:"startedDateTime"`
	Time    float64 `json:"time"`
}

type entryRest struct {
	Cache           struct{}          `json:"cache"`
	Timings         timings           `json:"timings"`
	ServerIPAddress string            `json:"serverIPAddress,omitempty"`
	Connection      string            `json:"connection,omitempty"`
	Comment         string            `json:"comment,omitempty"`
	ResourceType    string            `json:"_resourceType,omitempty"`
	Error           string            `json:"_error,omitempty"`
	Own             *capture.Exchange `json:"_eaves"`
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Raw   []byte `json:"_raw,omitempty"`
}

func headerOf(f capture.Field) header {
	if utf8.ValidString(f.Value) {
		return header{Name: f.Name, Value: f.Value}
	}
	latin1 := make([]rune, len(f.Value))
	for i := range len(f.Value) {
		latin1[i] = rune(f.Value[i]) // RFC 9110, 5.5
	}
	return header{Name: f.Name, Value: string(latin1), Raw: []byte(f.Value)}
}

type cookie struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Path     string `json:"path,omitempty"`
	Domain   string `json:"domain,omitempty"`
	Expires  string `json:"expires,omitempty"`
	HTTPOnly bool   `json:"httpOnly,omitempty"`
	Secure   bool   `json:"secure,omitempty"`
}

type request struct {
	Method      string   `json:"method"`
	URL         string   `json:"url"`
	HTTPVersion string   `json:"httpVersion"`
	Cookies     []cookie `json:"cookies"`
	Headers     []header `json:"headers"`
	QueryString []pair   `json:"queryString"`
	HeadersSize int64    `json:"headersSize"`
	BodySize    int64    `json:"bodySize"`
}

type postHead struct {
	MimeType string `json:"mimeType"`
}

type response struct {
	Status      int      `json:"status"`
	StatusText  string   `json:"statusText"`
	HTTPVersion string   `json:"httpVersion"`
	Cookies     []cookie `json:"cookies"`
	Headers     []header `json:"headers"`
	RedirectURL string   `json:"redirectURL"`
	HeadersSize int64    `json:"headersSize"`
	BodySize    int64    `json:"bodySize"`
}

type contentHead struct {
	Size        int64  `json:"size"`
	Compression *int64 `json:"compression,omitempty"`
	MimeType    string `json:"mimeType"`
	Encoding    string `json:"encoding,omitempty"`
}

// timings in the standard: send, wait and receive are never -1.
type timings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

func timingsOf(t capture.Timings) timings {
	return timings{Blocked: t.Blocked, DNS: t.DNS, Connect: t.Connect, SSL: t.SSL, Send: max(t.Send, 0), Wait: max(t.Wait, 0), Receive: max(t.Receive, 0)}
}

// frame is a WebSocket message as Chromium writes it; size and truncated are ours.
type frame struct {
	Type      string  `json:"type"`
	Time      float64 `json:"time"` // seconds since 1970
	Opcode    int     `json:"opcode"`
	Data      string  `json:"data"` // base64 unless text
	Size      int64   `json:"_size,omitempty"`
	Truncated bool    `json:"_truncated,omitempty"`
}

// opcodes of RFC 6455, 11.8.
var opcodes = map[string]int{"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

func frameOf(m *capture.Message) frame {
	f := frame{Type: "receive", Time: float64(m.Time.UnixMicro()) / 1e6, Opcode: opcodes[m.Kind], Truncated: m.Truncated}
	if m.Direction == "sent" {
		f.Type = "send"
	}
	if m.Size != int64(len(m.Data)) {
		f.Size = m.Size
	}
	if f.Opcode == 1 && utf8.Valid(m.Data) {
		f.Data = string(m.Data)
	} else {
		if f.Opcode == 1 {
			f.Opcode = 2 // text that is none
		}
		f.Data = base64.StdEncoding.EncodeToString(m.Data)
	}
	return f
}

// message reads a frame. Control frames' data is base64 in our files, text in others'.
func (f *frame) message(ours bool) capture.Message {
	m := capture.Message{Direction: "received", Kind: "binary", Size: f.Size, Truncated: f.Truncated}
	if strings.HasPrefix(f.Type, "send") {
		m.Direction = "sent"
	}
	seconds, fraction := math.Modf(f.Time)
	m.Time = time.Unix(int64(seconds), int64(math.Round(fraction*1e6))*1000)
	for kind, opcode := range opcodes {
		if opcode == f.Opcode {
			m.Kind = kind
		}
	}
	m.Data = []byte(f.Data)
	if f.Opcode != 1 {
		if data, err := base64.StdEncoding.DecodeString(f.Data); err == nil && (ours || f.Opcode == 2) {
			m.Data = data
		}
	}
	if m.Size == 0 {
		m.Size = int64(len(m.Data))
	}
	return m
}
