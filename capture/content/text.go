package content

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"eaves/capture"
)

// TextLimit is how much of a body's decoded text is looked at where text is searched.
const TextLimit = 16 << 20

// sniffed is how much of a body tells what it is.
const sniffed = 1024

// MediaType is the type in a Content-Type, in lower case, without parameters.
func MediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// kinds of content, by what is known before it is read.
type nature int

const (
	unknown nature = iota
	textual
	binary
)

// textTypes are those outside text/ and without a +json, +xml or +yaml suffix.
var textTypes = map[string]bool{
	"application/json": true, "application/xml": true, "application/javascript": true, "application/x-javascript": true,
	"application/ecmascript": true, "application/x-www-form-urlencoded": true, "application/graphql": true,
	"application/x-ndjson": true, "application/ndjson": true, "application/jsonl": true, "application/json-seq": true,
	"application/yaml": true, "application/x-yaml": true, "application/toml": true, "application/sql": true,
	"application/csp-report": true, "application/x-sh": true, "application/xhtml+xml": true, "application/x-pem-file": true,
	"application/http": true, "application/sdp": true, "application/vnd.apple.mpegurl": true, "application/x-mpegurl": true,
	"application/dns-json": true, "application/grpc-web-text": true, "application/jwt": true, "application/jose": true,
}

func natureOf(mediaType string) nature {
	switch {
	case strings.HasPrefix(mediaType, "text/"), textTypes[mediaType], strings.HasPrefix(mediaType, "multipart/"), strings.HasPrefix(mediaType, "message/"),
		strings.HasSuffix(mediaType, "+json"), strings.HasSuffix(mediaType, "+xml"), strings.HasSuffix(mediaType, "+yaml"), strings.HasSuffix(mediaType, "json"):
		return textual
	case strings.HasPrefix(mediaType, "image/"), strings.HasPrefix(mediaType, "audio/"), strings.HasPrefix(mediaType, "video/"), strings.HasPrefix(mediaType, "font/"),
		mediaType == "application/zip", mediaType == "application/gzip", mediaType == "application/pdf", mediaType == "application/wasm",
		mediaType == "application/grpc", strings.HasPrefix(mediaType, "application/grpc+"), mediaType == "application/x-protobuf", mediaType == "application/protobuf":
		return binary
	}
	return unknown
}

// LooksLikeText says whether the beginning of a body is text.
func LooksLikeText(p []byte) bool {
	if len(p) > sniffed {
		p = p[:sniffed]
	}
	if e, _ := byteOrder(p); e != nil {
		return true
	}
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			// The last rune may be cut.
			return len(p) < utf8.UTFMax && !utf8.FullRune(p)
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != '\b' && r != 0x1b {
			return false
		}
		p = p[n:]
	}
	return true
}

// Text returns a body's text: codings undone, in UTF-8, "" where the body is no text. It reads up to limit decoded bytes;
// whole says whether that was all. The error is why the body ended early; what came before it is returned.
func Text(h capture.Header, body io.Reader, limit int64) (text string, whole bool, err error) {
	contentType := h.Get("Content-Type")
	kind := natureOf(MediaType(contentType))
	if kind == binary {
		return "", true, nil
	}
	r, err := Decode(h, body)
	if err != nil {
		return "", true, err
	}
	defer r.Close()
	var buf bytes.Buffer
	if kind == unknown {
		// Most bodies are small or binary: look before reading all of it.
		if _, err = io.CopyN(&buf, r, sniffed); err != nil && err != io.EOF && buf.Len() == 0 {
			return "", true, err
		}
		if !LooksLikeText(buf.Bytes()) {
			return "", true, nil
		}
	}
	if err == nil {
		_, err = io.CopyN(&buf, r, limit+1-int64(buf.Len()))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	p := buf.Bytes()
	whole = int64(len(p)) <= limit
	if !whole {
		p = p[:limit]
		p = p[:len(p)-cutRune(p)]
	}
	return UTF8(contentType, p), whole, err
}

// UTF8 returns text in UTF-8. Its character set is told by its byte order mark, its Content-Type or itself (HTML, XML),
// in this order; else it is UTF-8 if it can be, and Windows-1252, as browsers have it, if not.
func UTF8(contentType string, p []byte) string {
	e, mark := byteOrder(p)
	p = p[mark:]
	if e == nil {
		e = declared(contentType, p)
	}
	if e == nil || e == unicode.UTF8 {
		if utf8.Valid(p) {
			return string(p)
		}
		if e == unicode.UTF8 || unicodeOnly(MediaType(contentType)) {
			return strings.ToValidUTF8(string(p), "\ufffd")
		}
		e = charmap.Windows1252
	}
	out, err := e.NewDecoder().Bytes(p)
	if err != nil && len(out) == 0 {
		return strings.ToValidUTF8(string(p), "\ufffd")
	}
	return string(out)
}

// byteOrder reads a byte order mark.
func byteOrder(p []byte) (e encoding.Encoding, length int) {
	switch {
	case bytes.HasPrefix(p, []byte("\xef\xbb\xbf")):
		return unicode.UTF8, 3
	case bytes.HasPrefix(p, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), 2
	case bytes.HasPrefix(p, []byte("\xff\xfe")):
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), 2
	}
	return nil, 0
}

// declared is the character set that the type or the text names, nil if none.
func declared(contentType string, p []byte) encoding.Encoding {
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["charset"] != "" {
		if e, err := htmlindex.Get(params["charset"]); err == nil {
			return e
		}
	}
	head := p[:min(len(p), sniffed)]
	switch t := MediaType(contentType); {
	case t == "text/html" || t == "application/xhtml+xml":
		if bytes.Contains(bytes.ToLower(head), []byte("charset")) {
			if e, name, _ := charset.DetermineEncoding(head, "text/html"); name != "windows-1252" || bytes.Contains(bytes.ToLower(head), []byte("1252")) {
				return e
			}
		}
	case t == "text/xml" || t == "application/xml" || strings.HasSuffix(t, "+xml"):
		decl, _, ok := bytes.Cut(head, []byte("?>"))
		_, name, found := bytes.Cut(decl, []byte("encoding="))
		if ok && found && len(name) > 1 {
			label, _, _ := bytes.Cut(name[1:], name[:1])
			if e, err := htmlindex.Get(string(label)); err == nil {
				return e
			}
		}
	}
	return nil
}

// unicodeOnly says whether a type's text is UTF-8 by its definition (RFC 8259, 8.1).
func unicodeOnly(mediaType string) bool {
	return strings.HasSuffix(mediaType, "json") || strings.HasPrefix(mediaType, "multipart/")
}

// cutRune is how many bytes at the end are the beginning of a rune.
func cutRune(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if utf8.RuneStart(p[len(p)-n]) {
			if utf8.FullRune(p[len(p)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}
