package capture

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// messageJSON is Message without its methods.
type messageJSON Message

type messageWire struct {
	*messageJSON
	Time string  `json:"time"`
	Text *string `json:"text,omitempty"`
	Data []byte  `json:"data,omitempty"`
}

// MarshalJSON writes the payload as text, or as data (base64) where it is not valid UTF-8 or was sent as binary.
func (m Message) MarshalJSON() ([]byte, error) {
	w := messageWire{messageJSON: (*messageJSON)(&m), Time: m.Time.UTC().Format(TimeFormat)}
	if m.Kind != "binary" && m.Kind != "grpc" && utf8.Valid(m.Data) {
		text := string(m.Data)
		w.Text = &text
	} else {
		w.Data = m.Data
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Message) UnmarshalJSON(b []byte) error {
	w := messageWire{messageJSON: (*messageJSON)(m)}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	m.Data = w.Data
	if w.Text != nil {
		m.Data = []byte(*w.Text)
	}
	var err error
	if w.Time != "" {
		m.Time, err = time.Parse(time.RFC3339, w.Time)
	}
	return err
}
