package capture

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Field is one header field as it stood on the wire.
type Field struct {
	Name, Value string
}

// Header is a list of fields in the order, case and repetition of the wire.
type Header []Field

type fieldJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Raw are the value's bytes where they are not UTF-8; Value then reads them as ISO-8859-1 (RFC 9110, 5.5).
	Raw []byte `json:"raw,omitempty"`
}

// MarshalJSON writes a value that is not UTF-8 with its bytes beside it.
func (f Field) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(f.Value) {
		return json.Marshal(fieldJSON{Name: f.Name, Value: f.Value})
	}
	var latin strings.Builder
	for i := range len(f.Value) {
		latin.WriteRune(rune(f.Value[i]))
	}
	return json.Marshal(fieldJSON{Name: f.Name, Value: latin.String(), Raw: []byte(f.Value)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Field) UnmarshalJSON(b []byte) error {
	var j fieldJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	f.Name, f.Value = j.Name, j.Value
	if len(j.Raw) > 0 {
		f.Value = string(j.Raw)
	}
	return nil
}

// Get returns the first value of the named field, compared without case, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values returns all values of the named field, in order.
func (h Header) Values(name string) []string {
	var vs []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			vs = append(vs, f.Value)
		}
	}
	return vs
}

// Has says whether the named field is there.
func (h Header) Has(name string) bool {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Map returns the fields as net/http has them.
func (h Header) Map() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		m.Add(f.Name, f.Value)
	}
	return m
}
