package filter

import (
	"encoding/json"
	"strings"

	"eaves/capture"
)

// matchHeaderJSON is matchHeader over the API's JSON form of a header. A search goes over every row, so the form that the
// store writes is read without encoding/json, which takes many times as long; any other form goes through it.
func matchHeaderJSON(s, name string, text textMatch) (bool, error) {
	found, ok := scanHeader(s, name, text)
	if ok {
		return found, nil
	}
	var h capture.Header
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return false, err
	}
	return matchHeader(h, name, text), nil
}

// scanHeader reads [{"name":"…","value":"…"},…]. It gives up (ok is false) at anything else, such as a field with raw
// bytes of the wanted name.
func scanHeader(s, name string, text textMatch) (found, ok bool) {
	if s == "[]" {
		return false, true
	}
	next := func(prefix string) bool {
		var cut bool
		s, cut = strings.CutPrefix(s, prefix)
		return cut
	}
	if !next("[") {
		return false, false
	}
	for {
		if !next(`{"name":`) {
			return false, false
		}
		n, rest, ok := scanString(s)
		if !ok {
			return false, false
		}
		if s = rest; !next(`,"value":`) {
			return false, false
		}
		value, rest, ok := scanString(s)
		if !ok {
			return false, false
		}
		s = rest
		wanted := strings.IndexByte(n, '\\') >= 0 || Fold(n) == name
		if next(`,"raw":`) {
			if _, s, ok = scanString(s); !ok || wanted {
				return false, false
			}
		}
		if wanted {
			plain, ok := unescapeJSON(value)
			if !ok || strings.IndexByte(n, '\\') >= 0 {
				return false, false
			}
			if text.match(plain) {
				return true, true
			}
		}
		switch {
		case next("}]"):
			return false, s == ""
		case !next("},"):
			return false, false
		}
	}
}

// scanString takes the inside of a JSON string, escapes and all, off the beginning of s.
func scanString(s string) (inside, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return s[1:i], s[i+1:], true
		case '\\':
			i++
		}
	}
	return "", "", false
}

func unescapeJSON(inside string) (string, bool) {
	if strings.IndexByte(inside, '\\') < 0 {
		return inside, true
	}
	var plain string
	err := json.Unmarshal([]byte(`"`+inside+`"`), &plain)
	return plain, err == nil
}

// inJSON says whether text stands in JSON as it is, whoever wrote it.
func inJSON(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '-' && s[i] != '_' && s[i] != '.' && s[i] != ' ' {
			return false
		}
	}
	return true
}
