package pac

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// Kind is the word that begins an entry of a script's answer.
type Kind string

// The kinds of entries. SOCKS means version 4, as Chromium has it.
const (
	Direct Kind = "DIRECT"
	Proxy  Kind = "PROXY"
	HTTPS  Kind = "HTTPS"
	SOCKS4 Kind = "SOCKS4"
	SOCKS5 Kind = "SOCKS5"
)

// kinds are the words that scripts may use, with the port where they name none.
var kinds = map[string]struct {
	kind Kind
	port int
}{
	"PROXY": {Proxy, 80}, "HTTP": {Proxy, 80}, "HTTPS": {HTTPS, 443},
	"SOCKS": {SOCKS4, 1080}, "SOCKS4": {SOCKS4, 1080}, "SOCKS4A": {SOCKS4, 1080}, "SOCKS5": {SOCKS5, 1080}, "SOCKS5H": {SOCKS5, 1080},
}

// Entry is one way of a script's answer.
type Entry struct {
	Kind Kind
	Host string // without brackets; "" for DIRECT
	Port int
}

func (e Entry) String() string {
	if e.Kind == Direct {
		return string(Direct)
	}
	host := e.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return string(e.Kind) + " " + host + ":" + strconv.Itoa(e.Port)
}

// maxEntries bounds an answer.
const maxEntries = 32

// Parse reads what a script returned: "HTTPS secure:443; PROXY p1:8080; DIRECT". What it does not understand it leaves
// out, as browsers do, and says so in notes. An empty text means DIRECT.
func Parse(text string) (entries []Entry, notes []string) {
	if strings.TrimSpace(text) == "" {
		return []Entry{{Kind: Direct}}, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if len(entries) == maxEntries {
			return entries, append(notes, fmt.Sprintf("only the first %d entries are used", maxEntries))
		}
		e, err := parseEntry(part)
		if err != nil {
			if len(notes) < maxNotes {
				notes = append(notes, "left out "+err.Error())
			}
			continue
		}
		entries = append(entries, e)
	}
	return entries, notes
}

func parseEntry(part string) (Entry, error) {
	fields := strings.FieldsFunc(part, unicode.IsSpace)
	word := strings.ToUpper(fields[0])
	if word == string(Direct) && len(fields) == 1 {
		return Entry{Kind: Direct}, nil
	}
	k, ok := kinds[word]
	if !ok {
		// What follows an unknown word may be anything, a password even.
		return Entry{}, fmt.Errorf("%q: not DIRECT, PROXY, HTTPS, SOCKS, SOCKS4 or SOCKS5", cut(fields[0]))
	}
	if len(fields) != 2 {
		return Entry{}, fmt.Errorf("%s: expected HOST:PORT and nothing else behind it", word)
	}
	if strings.Contains(fields[1], "@") {
		return Entry{}, fmt.Errorf("%s: a PAC file cannot give user and password", word)
	}
	host, port, err := splitHostPort(fields[1], k.port)
	if err != nil {
		return Entry{}, fmt.Errorf("%s %s: %w", word, cut(fields[1]), err)
	}
	return Entry{Kind: k.kind, Host: host, Port: port}, nil
}

// splitHostPort takes host, host:port, [v6] or [v6]:port.
func splitHostPort(s string, defaultPort int) (host string, port int, err error) {
	host, port = s, defaultPort
	text := ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var behind string
		if host, behind, ok = strings.Cut(rest, "]"); !ok {
			return "", 0, fmt.Errorf("the bracket is not closed")
		}
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is6() {
			return "", 0, fmt.Errorf("brackets are for IPv6 addresses")
		}
		if behind != "" && behind[0] != ':' {
			return "", 0, fmt.Errorf("only a port can follow the bracket")
		}
		text = behind
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, text = s[:i], s[i:]
		if strings.Contains(text[1:], ":") {
			return "", 0, fmt.Errorf("an IPv6 address stands in brackets")
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#\\%\"<>") || strings.ContainsFunc(host, unicode.IsControl) {
		return "", 0, fmt.Errorf("not a host")
	}
	if text != "" {
		n, err := strconv.ParseUint(text[1:], 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("not a port from 1 to 65535")
		}
		port = int(n)
	}
	return strings.ToLower(host), port, nil
}

func position(line, column int) string { return strconv.Itoa(line) + ":" + strconv.Itoa(column) }
