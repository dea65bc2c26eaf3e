package redact

import (
	"net/url"
	"strings"
)

// URL masks the secrets in a URL, or in text that has URLs in it. What is not masked stays byte for byte.
func (r *Redactor) URL(s string) string {
	if s == "" {
		return s
	}
	return r.tokens(r.parameters(r.userinfo(s)))
}

// userinfo masks both the user and the password: which of them is a token depends on the server.
func (r *Redactor) userinfo(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		i += len("://")
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexAny(s, "/?#\\ \t\r\n\"'<>")
		if end < 0 {
			end = len(s)
		}
		at := strings.LastIndexByte(s[:end], '@')
		if at < 0 {
			continue
		}
		user, password, ok := strings.Cut(s[:at], ":")
		b.WriteString(r.Mask(user))
		if ok {
			b.WriteString(":" + r.Mask(password))
		}
		s = s[at:]
	}
}

const (
	// parameterStart stands before a parameter's name: in a query, a fragment, or a path (;jsessionid=…).
	parameterStart = "?&;#"
	// parameterEnd stands behind its value, also where the URL is part of a header or a sentence.
	parameterEnd = "&;# \t\r\n\"'<>"
)

func (r *Redactor) parameters(s string) string {
	code := strings.Contains(s, "state=") // an OAuth answer (RFC 6749, 4.1.2)
	query := false
	var b strings.Builder
	for {
		i := strings.IndexAny(s, parameterStart)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		query = query || s[i] == '?'
		b.WriteString(s[:i+1])
		s = s[i+1:]
		end := strings.IndexAny(s, parameterEnd+"?")
		if end < 0 {
			end = len(s)
		}
		equals := strings.IndexByte(s[:end], '=')
		if equals < 0 {
			continue
		}
		name := s[:equals]
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if !secretParameter(plain) && (!code || !strings.EqualFold(plain, "code")) {
			continue
		}
		if query {
			// There a question mark may be part of a value.
			if end = strings.IndexAny(s, parameterEnd); end < 0 {
				end = len(s)
			}
		}
		b.WriteString(name + "=" + r.Mask(s[equals+1:end]))
		s = s[end:]
	}
}
