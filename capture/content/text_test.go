package content

import (
	"strings"
	"testing"
	"unicode/utf8"

	"eaves/capture"
)

func typed(t string) capture.Header {
	if t == "" {
		return nil
	}
	return capture.Header{{Name: "Content-Type", Value: t}}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ name, contentType, body, want string }{
		{"plain", "text/plain", "hello", "hello"},
		{"json", "application/json", `{"a":"é"}`, `{"a":"é"}`},
		{"vendor's json", "application/vnd.api+json; charset=utf-8", `{}`, `{}`},
		{"form", "application/x-www-form-urlencoded", "a=b&c=d", "a=b&c=d"},
		{"multipart keeps its text", "multipart/form-data; boundary=x", "--x\r\n\xff\r\nhello", "--x\r\n\ufffd\r\nhello"},
		{"latin1", "text/plain; charset=ISO-8859-1", "caf\xe9", "café"},
		{"quoted charset", `text/plain; charset="windows-1251"`, "\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"},
		{"shift_jis", "text/html; charset=Shift_JIS", "\x93\xfa\x96\x7b", "日本"},
		{"gbk", "text/html; charset=gb2312", "\xd6\xd0\xb9\xfa", "中国"},
		{"unknown charset", "text/plain; charset=martian", "hello é", "hello é"},
		{"no charset, not utf-8", "text/plain", "caf\xe9", "café"},
		{"json that is not utf-8", "application/json", "\"caf\xe9\"", "\"caf\ufffd\""},
		{"byte order mark", "text/plain; charset=iso-8859-1", "\xef\xbb\xbfcafé", "café"},
		{"utf-16 by its mark", "", "\xfe\xff\x00h\x00i", "hi"},
		{"utf-16 by its type", "text/plain; charset=utf-16le", "h\x00i\x00", "hi"},
		{"meta", "text/html", `<html><meta charset="iso-8859-2">` + "\xb1", `<html><meta charset="iso-8859-2">ą`},
		{"late letters", "text/html", "<meta charset=utf-8>" + strings.Repeat("x", 3000) + "é", "<meta charset=utf-8>" + strings.Repeat("x", 3000) + "é"},
		{"xml", "application/xml", `<?xml version="1.0" encoding="ISO-8859-1"?><a>` + "\xe9</a>", `<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>`},
		{"svg", "image/svg+xml", "<svg/>", "<svg/>"},
		{"image", "image/png", "text all the same", ""},
		{"grpc", "application/grpc", "text all the same", ""},
		{"untyped text", "", "just text", "just text"},
		{"untyped binary", "", "\x00\x01\x02 text", ""},
		{"octets that are text", "application/octet-stream", "line\n\tline", "line\n\tline"},
		{"empty", "text/plain", "", ""},
	} {
		got, whole, err := Text(typed(c.contentType), strings.NewReader(c.body), TextLimit)
		if err != nil || !whole || got != c.want {
			t.Errorf("%s: got %q, %v, %v, want %q", c.name, got, whole, err, c.want)
		}
	}
}

func TestTextIsLimited(t *testing.T) {
	for _, contentType := range []string{"text/plain", ""} {
		body := strings.Repeat("é", 5000)
		got, whole, err := Text(typed(contentType), strings.NewReader(body), 3001)
		if err != nil || whole || len(got) != 3000 || !strings.HasPrefix(got, strings.Repeat("é", 1500)) {
			t.Errorf("%q: got %d bytes, whole %v, %v", contentType, len(got), whole, err)
		}
		if got, whole, err := Text(typed(contentType), strings.NewReader(body), int64(len(body))); err != nil || !whole || got != body {
			t.Errorf("%q: got %d bytes, whole %v, %v", contentType, len(got), whole, err)
		}
	}
}

func TestLooksLikeText(t *testing.T) {
	long := strings.Repeat("漢", sniffed)
	for _, s := range []string{"", "a", "é", "漢字", long[:sniffed], long[:sniffed-1], long, "\x1b[31mred", "\xff\xfea\x00"} {
		if !LooksLikeText([]byte(s)) {
			t.Errorf("%.20q is text", s)
		}
	}
	for _, s := range []string{"\x00", "a\x01", "\x89PNG", "\xff\xff\xff", "caf\xe9 au lait"} {
		if LooksLikeText([]byte(s)) {
			t.Errorf("%.20q is no text", s)
		}
	}
}

func FuzzUTF8(f *testing.F) {
	f.Add("text/html; charset=shift_jis", []byte("\x93\xfa"))
	f.Add("text/xml", []byte(`<?xml encoding='utf-16'?>`))
	f.Add("text/html", []byte(`<meta http-equiv=content-type content="text/html; charset=x-user-defined">`))
	f.Add("", []byte("\xfe\xff\xd8\x00"))
	f.Fuzz(func(t *testing.T, contentType string, p []byte) {
		if s := UTF8(contentType, p); !utf8.ValidString(s) {
			t.Errorf("%q of %q as %s", s, p, contentType)
		}
		LooksLikeText(p)
	})
}
