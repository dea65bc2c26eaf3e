package wire

import (
	"bufio"
	"slices"
	"strings"
)

// ResponseHead is the head of a response, a 1xx one too.
type ResponseHead struct {
	Proto        string
	Major, Minor int
	Status       int
	// Reason is the reason phrase as it was; it may be empty.
	Reason string
	Fields Fields
	// Size counts the bytes of the head, the empty line included; Raw is those bytes.
	Size int
	Raw  string
	// Notes says what was not as it should be, but clear.
	Notes []string
}

// ReadResponseHead reads the head of a response. 1xx ones are read like others, one a call. It returns io.EOF where the
// server went away before the first byte, the reader's error where reading failed then, else a *ParseError (with Status
// 0). With a ParseError it returns a head too, if the status line was understood.
func ReadResponseHead(r *bufio.Reader, l Limits) (*ResponseHead, error) {
	l = l.orDefaults()
	raw, err := collect(r, l, responsePart)
	if err != nil {
		return nil, failedResponse(r, raw, err)
	}
	h := &ResponseHead{Size: len(raw), Raw: raw}
	line, rest := cutLine(raw)
	if err := h.parseLine(line); err != nil {
		return nil, failedResponse(r, raw, err)
	}
	if strings.Count(raw, "\n") != strings.Count(raw, "\r\n") {
		h.note("lines end in LF without CR")
	}
	if h.Fields, err = parseFields(rest, l, h.note); err != nil {
		return h, failedResponse(r, raw, err)
	}
	return h, nil
}

func failedResponse(r *bufio.Reader, raw string, err error) error {
	err = failed(r, raw, err)
	if p, ok := err.(*ParseError); ok {
		p.Status = 0
	}
	return err
}

// note keeps a note once.
func (h *ResponseHead) note(s string) {
	if !slices.Contains(h.Notes, s) {
		h.Notes = append(h.Notes, s)
	}
}

// parseLine parses HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112, section 4). The second SP may be missing.
func (h *ResponseHead) parseLine(line string) error {
	if len(line) < 12 || !validProto(line[:8]) || line[8] != ' ' {
		return bad("the response does not start with HTTP version and status code")
	}
	h.Proto = line[:8]
	h.Major, h.Minor = int(line[5]-'0'), int(line[7]-'0')
	if h.Major != 1 {
		return bad("the HTTP version of the response is not 1.x")
	}
	for _, c := range []byte(line[9:12]) {
		if c < '0' || c > '9' {
			return bad("the status code is not three digits")
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if h.Status < 100 {
		return bad("the status code is below 100")
	}
	if len(line) == 12 {
		h.note("the status line ends behind the status code")
		return nil
	}
	if line[12] != ' ' {
		return bad("the status code is not three digits")
	}
	h.Reason = line[13:]
	return checkReason(h.Reason, h.note)
}

func checkReason(s string, note func(string)) error {
	for i := range len(s) {
		if c := s[i]; chars[c]&valueChar == 0 {
			if c == 0 || c == '\r' || c == '\n' {
				return bad("the reason phrase has a control character")
			}
			note("the reason phrase has a control character")
		}
	}
	return nil
}

// KeepAlive says whether the server lets the connection stay (RFC 9112, section 9.3). A response that is framed
// UntilClose ends with the connection whatever this says. After framing that was in doubt it does not (section 6.1).
func (h *ResponseHead) KeepAlive() bool {
	if h.Fields.Has("Transfer-Encoding") && (h.Minor < 1 || h.Fields.Has("Content-Length")) {
		return false
	}
	return keepAlive(h.Fields, h.Minor)
}
