// Package curl writes exchanges as commands for curl(1).
//
// # Commands
//
// Each exchange becomes one command for a POSIX shell that sends the same request again: method, URL, protocol version,
// header fields in their order and the body byte for byte. What curl would add of its own accord is turned off where the
// request did not have it. curl always sends Host first, and writes Content-Length itself.
//
// Commands may be shown on a terminal: control characters of a capture never stand in them as such.
//
// A body that is text stands in the command. One with other bytes comes from printf, a large one in base64 from a here
// document, since an argument of a command can be neither. What cannot be sent with curl (a tunnel) is a comment.
package curl

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"eaves/capture"
)

// Source gives the bodies.
type Source interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
}

// Writer writes a command for each exchange.
type Writer struct {
	w      *bufio.Writer
	source Source
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer, source Source) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), source: source}
}

// Close writes what is still held back. It does not close the writer below.
func (c *Writer) Close() error { return c.w.Flush() }

const (
	// maxInline is the longest body that stands in the command; Linux takes arguments of up to 128 KiB.
	maxInline = 32 << 10
	// end marks the end of a here document; base64 has no underscore.
	end = "END_OF_BODY"
)

// Write writes an exchange's command.
func (c *Writer) Write(ctx context.Context, x *capture.Exchange) error {
	if why := refuse(x); why != "" {
		_, err := fmt.Fprintf(c.w, "# %d: %s\n", x.ID, why)
		return err
	}
	body, err := c.source.Body(ctx, x.ID, capture.SideRequest)
	if err != nil && !errors.Is(err, capture.ErrNotFound) {
		return err
	}
	size := int64(0)
	if body != nil {
		defer body.Close()
		size = body.Size()
	}
	if x.Request.Truncated {
		fmt.Fprintf(c.w, "# %d: only the first %d bytes of the body were kept\n", x.ID, size)
	}
	if len(x.Request.Trailer) > 0 {
		fmt.Fprintf(c.w, "# %d: curl sends no trailers; the request had %d\n", x.ID, len(x.Request.Trailer))
	}
	a := arguments(x, size)
	switch {
	case size == 0:
		c.command(a)
	case size > maxInline:
		fmt.Fprintf(c.w, "base64 -d <<'%s' | ", end)
		c.command(append(a, "--data-binary @-"))
		if err := c.here(io.NewSectionReader(body, 0, size)); err != nil {
			return err
		}
	default:
		p := make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(body, 0, size), p); err != nil {
			return err
		}
		switch text := string(p); {
		case !inline(text):
			c.w.WriteString("printf " + single(printf(text)) + " | ")
			c.command(append(a, "--data-binary @-"))
		case text[0] == '@': // which would name a file
			c.command(append(a, "--data-raw "+quote(text)))
		default:
			c.command(append(a, "--data-binary "+quote(text)))
		}
	}
	return ctx.Err()
}

func refuse(x *capture.Exchange) string {
	scheme, rest, _ := strings.Cut(x.Request.URL, "://")
	switch {
	case x.Kind == capture.KindTunnel:
		return clean(x.Request.URL) + " is a tunnel, whose bytes were not decoded"
	case rest == "" || scheme != "http" && scheme != "https" && scheme != "ws" && scheme != "wss":
		return clean(x.Request.URL) + " is no URL that curl can ask for"
	case strings.ContainsAny(x.Request.URL+x.Request.Method+x.Request.Target, "\r\n\x00"):
		return "the request line has a line break in it"
	}
	return ""
}

// clean keeps text in its comment.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

func (c *Writer) command(arguments []string) {
	c.w.WriteString("curl " + strings.Join(arguments, " \\\n  ") + "\n")
}

// here writes a body as a here document.
func (c *Writer) here(body io.Reader) error {
	const perLine = 57 // bytes, which are 76 characters
	buf := make([]byte, perLine*512)
	line := make([]byte, 0, 80)
	for {
		n, err := io.ReadFull(body, buf)
		for p := buf[:n]; len(p) > 0; {
			k := min(perLine, len(p))
			line = append(base64.StdEncoding.AppendEncode(line[:0], p[:k]), '\n')
			c.w.Write(line)
			p = p[k:]
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			_, err = c.w.WriteString(end + "\n")
			return err
		}
		if err != nil {
			return err
		}
	}
}

// inline says whether text may stand in single quotes as it is: a terminal shows it and does not obey it.
func inline(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// quote quotes for a POSIX shell. What would act on a terminal goes through printf.
func quote(s string) string {
	if !inline(s) {
		return `"$(printf ` + single(printf(s)) + `)"`
	}
	return single(s)
}

// word quotes only what needs it.
func word(s string) string {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return quote(s)
		}
	}
	if s == "" {
		return quote(s)
	}
	return s
}

func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// printf writes bytes as the format of printf(1).
func printf(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%':
			b.WriteString("%%")
		case c == '\\':
			b.WriteString(`\\`)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c >= 0x7f, c == '-' && i == 0: // which would begin an option
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// arguments are those for everything but the body.
func arguments(x *capture.Exchange, bodySize int64) []string {
	q := &x.Request
	url, _, _ := strings.Cut(q.URL, "#")
	if rest, ok := strings.CutPrefix(url, "ws"); ok {
		url = "http" + rest // ws and wss: curl asks for the upgrade by the header fields alone
	}
	a := []string{quote(url)}
	authority, path := split(url)
	if strings.ContainsAny(url, "[]{}") {
		a = append(a, "--globoff")
	}
	if dotted(path) {
		a = append(a, "--path-as-is")
	}
	if q.Target != "" {
		a = append(a, "--request-target "+quote(q.Target))
	}
	implied := "GET"
	if bodySize > 0 {
		implied = "POST"
	}
	switch {
	case q.Method == "HEAD" && bodySize == 0:
		a = append(a, "--head")
	case q.Method != implied:
		a = append(a, "-X "+word(q.Method))
	}
	version := versionFlag(q.HTTPVersion, strings.HasPrefix(url, "https:"))
	if version != "" {
		a = append(a, version)
	}
	return append(a, headers(q, authority, bodySize)...)
}

func versionFlag(version string, secure bool) string {
	switch strings.ToUpper(version) {
	case "HTTP/1.0":
		return "--http1.0"
	case "HTTP/1.1":
		return "--http1.1"
	case "HTTP/2", "HTTP/2.0", "H2":
		if secure {
			return "--http2"
		}
		return "--http2-prior-knowledge"
	case "HTTP/3", "HTTP/3.0", "H3":
		return "--http3"
	}
	return ""
}

// headers are the arguments for the header fields, and those that take back what curl adds by itself.
func headers(q *capture.Request, authority string, bodySize int64) []string {
	var a []string
	has := map[string]bool{}
	multiplexed := strings.HasPrefix(versionFlag(q.HTTPVersion, true), "--http2") || strings.HasPrefix(versionFlag(q.HTTPVersion, true), "--http3")
	for _, f := range q.Header {
		name := strings.ToLower(f.Name)
		if !token(f.Name) || strings.ContainsAny(f.Value, "\r\n\x00") {
			continue // not from a wire
		}
		has[name] = true
		switch {
		case name == "host" && f.Value == authority,
			name == "content-length" && (bodySize > 0 || f.Value != "0"),
			// RFC 9113, 8.2.2: these do not exist there.
			multiplexed && (name == "connection" || name == "transfer-encoding" || name == "keep-alive" || name == "proxy-connection"):
			continue
		case f.Value == "":
			a = append(a, "-H "+quote(f.Name+";"))
		default:
			a = append(a, "-H "+quote(f.Name+": "+f.Value))
		}
	}
	own := []string{"User-Agent", "Accept"}
	if bodySize > 0 {
		own = append(own, "Content-Type")
		if !multiplexed {
			own = append(own, "Expect")
		}
	}
	if !multiplexed {
		own = append([]string{"Host"}, own...)
	}
	for _, name := range own {
		if !has[strings.ToLower(name)] {
			a = append(a, "-H "+quote(name+":"))
		}
	}
	return a
}

// token says whether a name is one (RFC 9110, 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func split(url string) (authority, path string) {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	path, _, _ = strings.Cut(path, "?")
	return rest, path
}

// dotted says whether a path has segments that curl would resolve.
func dotted(path string) bool {
	for _, segment := range strings.Split(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}
