package wire

import (
	"bufio"
	"net/http"
	"strings"
)

// Form is the form of a request-target (RFC 9112, section 3.2).
type Form uint8

// The forms of a request-target.
const (
	OriginForm    Form = iota // /path?query
	AbsoluteForm              // scheme://authority/path?query
	AuthorityForm             // host:port, of CONNECT alone
	AsteriskForm              // *, of OPTIONS alone
)

// RequestHead is the head of a request.
type RequestHead struct {
	// Method, Target and Proto are the parts of the request line.
	Method, Target, Proto string
	Major, Minor          int
	Fields                Fields
	// Size counts the bytes of the head, the empty line included; Raw is those bytes. Empty lines before the request line
	// are not part of it.
	Size int
	Raw  string
	// Form is the form of Target. The following are its parts: Scheme (as it was written) where the form is absolute,
	// Authority (host and port) where it is absolute or authority, Userinfo what stands before an @ in it, Path with the
	// query as it would stand in origin form (an absolute form without a path has "/", or "*" for OPTIONS: RFC 9112,
	// section 3.2.4).
	Form                              Form
	Scheme, Userinfo, Authority, Path string
	// Host is the value of the Host field, which occurs once if at all.
	Host string
}

// ReadRequestHead reads the head of a request, which no byte of it may be ambiguous in. Empty lines before the request
// line are passed over (RFC 9112, section 2.2). It returns io.EOF where the client went away between requests, the
// reader's error where reading failed before the first byte, else a *ParseError. With a ParseError it returns a head
// too, if there is a method and a target, so that what is refused can be recorded: nothing else of it is to be used.
func ReadRequestHead(r *bufio.Reader, l Limits) (*RequestHead, error) {
	l = l.orDefaults()
	if err := skipEmptyLines(r); err != nil {
		return nil, err
	}
	raw, err := collect(r, l, requestPart)
	if err != nil {
		// The request line may still tell what was asked for.
		h := &RequestHead{Size: len(raw), Raw: raw}
		if line, _, ok := strings.Cut(raw, "\n"); ok {
			_ = h.parseLine(strings.TrimSuffix(line, "\r"))
		}
		return h.orNil(), failed(r, raw, err)
	}
	h := &RequestHead{Size: len(raw), Raw: raw}
	line, rest := cutLine(raw)
	if err := h.parseLine(line); err != nil {
		return h.orNil(), failed(r, raw, err)
	}
	if h.Fields, err = parseFields(rest, l, nil); err != nil {
		return h, failed(r, raw, err)
	}
	if err := h.check(); err != nil {
		return h, failed(r, raw, err)
	}
	return h, nil
}

// orNil returns nil where nothing was understood.
func (h *RequestHead) orNil() *RequestHead {
	if h.Target == "" {
		return nil
	}
	return h
}

// skipEmptyLines passes over CRLFs, and refuses at once what cannot become a request line, so that a client that speaks
// another protocol is not waited for.
func skipEmptyLines(r *bufio.Reader) error {
	for range maxEmptyLines {
		b, err := r.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != '\r' {
			if chars[b[0]]&tokenChar == 0 {
				return failed(r, "", bad("the request does not start with a method"))
			}
			return nil
		}
		if b, err = r.Peek(2); err != nil || b[1] != '\n' {
			if err == nil {
				err = bad("the request does not start with a method")
			}
			start := string(b)
			_, _ = r.Discard(len(b))
			return failed(r, start, err)
		}
		_, _ = r.Discard(2)
	}
	return failed(r, "", bad("too many empty lines before the request"))
}

// parseLine parses method SP request-target SP HTTP-version (RFC 9112, section 3).
func (h *RequestHead) parseLine(line string) error {
	i := strings.IndexByte(line, ' ')
	j := strings.LastIndexByte(line, ' ')
	if i < 0 || i == j {
		return bad("the request line is not method, target and version")
	}
	method, target := line[:i], line[i+1:j]
	if !isToken(method) {
		return bad("the method is not a token")
	}
	if target == "" || !all(target, targetChar) {
		return bad("the request target is empty or has white space or a control character in it")
	}
	h.Method, h.Target, h.Proto = method, target, line[j+1:]
	if !validProto(h.Proto) {
		return bad("the HTTP version is malformed")
	}
	h.Major, h.Minor = int(h.Proto[5]-'0'), int(h.Proto[7]-'0')
	if h.Major != 1 {
		return &ParseError{Status: http.StatusHTTPVersionNotSupported, Reason: "the HTTP version is not 1.x"}
	}
	return h.parseTarget()
}

// validProto says whether p is HTTP-version (RFC 9112, section 2.3).
func validProto(p string) bool {
	return len(p) == 8 && p[:5] == "HTTP/" && p[5] >= '0' && p[5] <= '9' && p[6] == '.' && p[7] >= '0' && p[7] <= '9'
}

// parseTarget finds the form of the target and its parts (RFC 9112, section 3.2).
func (h *RequestHead) parseTarget() error {
	t := h.Target
	switch {
	case h.Method == http.MethodConnect:
		h.Form, h.Authority = AuthorityForm, t
		host, port, ok := SplitAuthority(t)
		if !ok || host == "" || port == "" {
			return bad("the target of CONNECT is not host:port")
		}
	case t[0] == '/':
		h.Form, h.Path = OriginForm, t
	case t == "*":
		if h.Method != http.MethodOptions {
			return bad("the target * is for OPTIONS alone")
		}
		h.Form, h.Path = AsteriskForm, t
	default:
		h.Form = AbsoluteForm
		scheme, rest, ok := strings.Cut(t, "://")
		if !ok || !isScheme(scheme) {
			return bad("the request target is neither a path nor a URL")
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		h.Scheme, h.Authority, h.Path = scheme, rest[:end], rest[end:]
		// A second @ would have to be escaped: readers differ on which one counts.
		if user, host, ok := strings.Cut(h.Authority, "@"); ok {
			h.Userinfo, h.Authority = user, host
			if !all(strings.ReplaceAll(user, ":", ""), hostChar) {
				return bad("the authority of the request target is invalid")
			}
		}
		if host, _, ok := SplitAuthority(h.Authority); !ok || host == "" {
			return bad("the authority of the request target is invalid")
		}
		switch {
		case h.Path == "" && h.Method == http.MethodOptions:
			h.Path = "*"
		case h.Path == "":
			h.Path = "/"
		case h.Path[0] != '/':
			h.Path = "/" + h.Path
		}
	}
	return nil
}

func isScheme(s string) bool {
	if s == "" || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// SplitAuthority splits host[:port] and says whether both are valid (RFC 3986, section 3.2): a name or IPv4 address, or
// an IPv6 address in brackets, which the returned host is without. Either may be empty.
func SplitAuthority(a string) (host, port string, ok bool) {
	if a != "" && a[0] == '[' {
		end := strings.IndexByte(a, ']')
		if end < 0 {
			return "", "", false
		}
		host = a[1:end]
		port, ok = a[end+1:], validIPv6(host)
		if port == "" {
			return host, "", ok
		}
		if port[0] != ':' {
			return "", "", false
		}
		port = port[1:]
	} else {
		host, port, _ = strings.Cut(a, ":")
		ok = validRegName(host)
	}
	if !ok || !validPort(port) {
		return "", "", false
	}
	return host, port, true
}

// validIPv6 takes what stands between brackets by its characters: dialing finds out whether it is an address. A zone
// (RFC 6874) follows a percent sign.
func validIPv6(s string) bool {
	addr, zone, found := strings.Cut(s, "%")
	if len(addr) < 2 || found && !all(zone, hostChar) || strings.IndexByte(addr, ':') < 0 {
		return false
	}
	for i := range len(addr) {
		if c := addr[i]; chars[c]&hexChar == 0 && c != ':' && c != '.' {
			return false
		}
	}
	return true
}

func validRegName(s string) bool {
	if !all(s, hostChar) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && (i+2 >= len(s) || chars[s[i+1]]&chars[s[i+2]]&hexChar == 0) {
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if n = n*10 + int(s[i]-'0'); n > 65535 {
			return false
		}
	}
	return true
}

// check holds the fields to what a request must have.
func (h *RequestHead) check() error {
	hosts := 0
	for i := range h.Fields {
		if f := &h.Fields[i]; equal(f.Name, "host") {
			hosts++
			h.Host = f.Value
			if _, _, ok := SplitAuthority(f.Value); !ok {
				return bad("the Host header is invalid")
			}
		}
	}
	// RFC 9112, section 3.2.
	if hosts > 1 {
		return bad("there is more than one Host header")
	}
	if hosts == 0 && h.Minor >= 1 {
		return bad("there is no Host header")
	}
	_, err := h.Framing()
	return err
}

// KeepAlive says whether the client wants the connection to stay (RFC 9112, section 9.3).
func (h *RequestHead) KeepAlive() bool { return keepAlive(h.Fields, h.Minor) }

// ExpectsContinue says whether the client waits for 100 (Continue) before it sends its body (RFC 9110, section 10.1.1).
func (h *RequestHead) ExpectsContinue() bool {
	return h.Minor >= 1 && h.Fields.HasToken("Expect", "100-continue")
}

func keepAlive(f Fields, minor int) bool {
	if f.HasToken("Connection", "close") {
		return false
	}
	// Proxy-Connection is no standard, but what clients of HTTP/1.0 proxies send.
	return minor >= 1 && !f.HasToken("Proxy-Connection", "close") ||
		f.HasToken("Connection", "keep-alive") || f.HasToken("Proxy-Connection", "keep-alive")
}
