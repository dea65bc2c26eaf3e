package store

import (
	"encoding/base64"
	"unicode/utf8"

	"eaves/capture"
)

// appendHeader writes h in the JSON that json.Marshal makes of it, without reflection: it runs twice for each exchange.
func appendHeader(b []byte, h capture.Header) []byte {
	b = append(b, '[')
	for i, f := range h {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":"`...)
		b = appendText(b, f.Name)
		b = append(b, `","value":"`...)
		if utf8.ValidString(f.Value) {
			b = appendText(b, f.Value)
		} else {
			for j := range len(f.Value) {
				b = appendText(b, string(rune(f.Value[j])))
			}
			b = append(b, `","raw":"`...)
			b = base64.StdEncoding.AppendEncode(b, []byte(f.Value))
		}
		b = append(b, `"}`...)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string.
func appendString(b []byte, s string) []byte {
	return append(appendText(append(b, '"'), s), '"')
}

// appendText writes the inside of a JSON string. What is not UTF-8 becomes U+FFFD, as encoding/json has it.
func appendText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(append(b, s[start:i]...), `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				b = append(append(b, s[start:i]...), `\u202`...)
				b = append(b, hexDigits[r&15])
			default:
				i += n
				continue
			}
			i += n
			start = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(b, s[start:]...)
}
