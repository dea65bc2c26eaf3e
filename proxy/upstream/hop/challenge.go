package hop

import (
	"strings"

	"eaves/proxy/wire"
)

// Challenge is one way in which a proxy wants to be convinced (RFC 9110, 11.3).
type Challenge struct {
	// Scheme is in lower case.
	Scheme string
	// Token is the token68, as NTLM and Negotiate have it.
	Token string
	// Params are the parameters by their names in lower case, the quotes of their values taken off.
	Params map[string]string
}

// maxChallenges bounds what is taken of one answer.
const maxChallenges = 32

// ParseChallenges reads the values of Proxy-Authenticate or WWW-Authenticate lines. Several challenges may stand on one
// line, separated by commas as their parameters are (RFC 9110, 11.6.1). What cannot be understood is left out.
func ParseChallenges(values []string) []Challenge {
	var all []Challenge
	for _, v := range values {
		var cur *Challenge // parameters never belong to a challenge of the line before
		for _, e := range elements(v) {
			name, rest := token(e)
			if name == "" {
				continue
			}
			if value, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "="); ok {
				if cur != nil {
					cur.param(name, value)
				}
				continue
			}
			if rest != "" && rest[0] != ' ' && rest[0] != '\t' || len(all) == maxChallenges {
				continue // no scheme ends so
			}
			all = append(all, Challenge{Scheme: strings.ToLower(name), Params: map[string]string{}})
			cur = &all[len(all)-1]
			rest = strings.Trim(rest, " \t")
			if rest == "" {
				continue
			}
			if isToken68(rest) {
				cur.Token = rest
				continue
			}
			name, rest = token(rest)
			if value, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "="); ok && name != "" {
				cur.param(name, value)
			}
		}
	}
	return all
}

// challenges are those of an answer that wants authentication.
func challenges(status int, f wire.Fields) []Challenge {
	values := f.Values("Proxy-Authenticate")
	if status == 401 {
		// tinyproxy says so to what it takes for wrong credentials.
		values = append(values, f.Values("WWW-Authenticate")...)
	}
	return ParseChallenges(values)
}

func (c *Challenge) param(name, value string) {
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	if _, twice := c.Params[name]; twice {
		return
	}
	if len(value) > 0 && value[0] == '"' {
		value = unquote(value)
	}
	c.Params[name] = value
}

// elements splits at the commas that stand outside of quotes.
func elements(s string) []string {
	var out []string
	quoted, begin := false, 0
	add := func(end int) {
		if e := strings.Trim(s[begin:end], " \t"); e != "" {
			out = append(out, e)
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == ',':
			add(i)
			begin = i + 1
		}
	}
	add(len(s))
	return out
}

// unquote takes a quoted-string's quotes off; it may lack the closing one.
func unquote(s string) string {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String()
		case '\\':
			if i++; i == len(s) {
				return b.String()
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// token cuts s behind the token (RFC 9110, 5.6.2) that it begins with.
func token(s string) (name, rest string) {
	i := 0
	for i < len(s) && (isAlnum(s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

// isToken68 says whether s is what stands in a challenge in place of parameters (RFC 9110, 11.2).
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		if !isAlnum(body[i]) && strings.IndexByte("-._~+/", body[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
