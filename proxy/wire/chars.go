package wire

// class says where a byte may stand.
type class uint8

const (
	tokenChar  class = 1 << iota // RFC 9110, section 5.6.2: tchar
	valueChar                    // RFC 9110, section 5.5: field-vchar, SP, HTAB; obs-text among it
	targetChar                   // what a request-target may hold: visible ASCII and obs-text, as clients send it
	hostChar                     // RFC 3986, section 3.2.2: reg-name, without the percent sign's digits being looked at
	hexChar
)

// chars holds the classes of each byte. It is a constant in all but name: nothing writes to it.
var chars = func() (t [256]class) {
	for c := range 256 {
		switch {
		case c >= 0x80:
			t[c] |= valueChar | targetChar
		case c > 0x20 && c < 0x7f:
			t[c] |= valueChar | targetChar
		case c == ' ' || c == '\t':
			t[c] |= valueChar
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if letter || digit {
			t[c] |= tokenChar | hostChar
		}
		if digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			t[c] |= hexChar
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= tokenChar
	}
	for _, c := range []byte("-._~!$&'()*+,;=%") {
		t[c] |= hostChar
	}
	return t
}()

// all says whether s consists of bytes of class c alone; so does the empty string.
func all(s string, c class) bool {
	for i := range len(s) {
		if chars[s[i]]&c == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return s != "" && all(s, tokenChar) }

// equal compares ASCII without case. b is lower case.
func equal(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		c := a[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != b[i] {
			return false
		}
	}
	return true
}

// trim removes the optional whitespace around a value: SP and HTAB, nothing else (RFC 9110, section 5.6.3).
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
