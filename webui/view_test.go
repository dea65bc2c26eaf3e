package webui

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"eaves/capture"
)

func rangeOf(from, to int) string { return fmt.Sprintf("bytes=%d-%d", from, to-1) }

// typed is an exchange whose answer claims a type.
func typed(l *lab, id int64, kind string, body []byte) {
	x := sample(id)
	x.Response.Header = capture.Header{{Name: "Content-Type", Value: kind}}
	l.store.put(x)
	l.store.setBody(id, capture.SideResponse, body)
}

func TestPageIsTamed(t *testing.T) {
	l := newLab(t)
	page := `<!doctype html><html><head><meta http-equiv="refresh" content="0;url=http://evil.test/"><base href="http://evil.test/">
<link rel="preconnect" href="http://evil.test"><script>window.x=1</script><style>p{color:red}</style></head>
<body onload="x()"><p id=a>caf` + "\xe9" + `</p><a href="http://evil.test/" ping="http://evil.test/">out</a><a href="#a">in</a>
<img src="http://evil.test/i.png"><img src="data:image/png;base64,AAAA" onerror="x()"><iframe src="http://evil.test/"><script>y</script></iframe>
<form action="http://evil.test/"><button formaction="http://evil.test/">send</button></form><object data="x"><object></object>inner</object>after</body>`
	typed(l, 1, "text/html; charset=iso-8859-1", []byte(page))
	a := l.ask("GET", "/api/v1/exchanges/1/response/body?view=html", "")
	got := string(a.body)
	for _, gone := range []string{"evil.test", "<script", "<link", "<meta", "<base", "<iframe", "onload", "onerror", "window.x", "inner"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is still there: %s", gone, got)
		}
	}
	for _, kept := range []string{"<!doctype html>", "p{color:red}", "café", `<a href="#a">in</a>`, "data:image/png", ">out</a>", "after"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone: %s", kept, got)
		}
	}
	policy := a.Header.Get("Content-Security-Policy")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(policy, "sandbox; default-src 'none'") ||
		strings.Contains(policy, "allow-") || strings.Contains(policy, "script-src") || a.Header.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	coded(l, 2, capture.StateDone, zip([]byte("<!doctype html><p>zipped</p>")), "gzip")
	if a := l.ask("GET", "/api/v1/exchanges/2/response/body?view=html", ""); !strings.Contains(string(a.body), "zipped") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// What is text to a tokenizer can be markup to a browser: it does not run scripts here, and foreign content has rules of its
// own (HTML, 13.2.6). Whatever is written, a browser finds nothing in it that was to be taken out.
func TestTamedPageHidesNothing(t *testing.T) {
	const link = `<link rel=preconnect href=//evil.test>`
	for _, page := range []string{
		"<noscript>" + link + "</noscript>", "<body><noscript>" + link, "<body><p><noscript/>" + link,
		"<svg><style><p>" + link + "</style></svg>", "<svg><style/><p>" + link, "<svg><title>" + link + "</title></svg>", "<svg><desc><title>" + link,
		"<svg><xmp><p>" + link + "</xmp>", "<svg><noframes><p>" + link + "</noframes>", "<svg><textarea><p>" + link, "<svg><plaintext><p>" + link,
		"<math><mtext><style><p>" + link, "<!--><p>" + link + "-->", "<svg><![CDATA[>" + link + "]]>", "<svg><style><!--</style><p>" + link + "-->",
		"<select><style></select>" + link, "<template><noscript>" + link + "</noscript></template>",
	} {
		out := tamed(t, page)
		for _, scripting := range []bool{false, true} {
			doc, err := html.ParseWithOptions(strings.NewReader(out), html.ParseOptionEnableScripting(scripting))
			if err != nil {
				t.Fatal(err)
			}
			for n := range doc.Descendants() {
				if n.Type == html.ElementNode && n.Data == "link" {
					t.Errorf("%s became %s", page, out)
				}
			}
		}
	}
	for page, want := range map[string]string{
		"<p>a < b &amp; c</p>":       "<p>a &lt; b &amp; c</p>",
		"<title>a <b> &amp;</title>": "<title>a &lt;b> &amp;</title>",
		"<style><!-- p > a { content: \"<i>\" } @media (width < 9px) {} --></style>": "<style>  p > a { content: \"\\3c i>\" } @media (width < 9px) {} --></style>",
		"<xmp><b> &amp;</xmp>":                     "<pre>&lt;b&gt; &amp;amp;</pre>",
		"<noscript><b>without</b></noscript>after": "<b>without</b>after",
	} {
		if got := tamed(t, page); got != want {
			t.Errorf("%s became %s\nwant %s", page, got, want)
		}
	}
}

func tamed(t *testing.T, page string) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := tame(w, strings.NewReader(page)); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	return out.String()
}

func TestTameTakesAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bits := []string{"<", ">", "script", "</", "link ", "href=", "'", "\"", "<!--", "-->", "<style>", "</style>", "\x00", "x", " ", "<object>", "</object>", "<plaintext>"}
	for range 2000 {
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString(bits[r.IntN(len(bits))])
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := tame(w, strings.NewReader(b.String())); err != nil {
			t.Fatalf("%q: %v", b.String(), err)
		}
	}
	var out bytes.Buffer
	if err := tame(bufio.NewWriter(&out), strings.NewReader("<p "+strings.Repeat("x", 3<<20))); err != nil {
		t.Errorf("a tag without end: %v", err)
	}
}

func TestViewsAreOfWhatTheyShow(t *testing.T) {
	l := newLab(t)
	pdf, wav := []byte("%PDF-1.7\n..."), append([]byte("RIFF\x24\x00\x00\x00WAVEfmt "), make([]byte, 60)...)
	typed(l, 1, "application/pdf", pdf)
	typed(l, 2, "text/html", wav)
	typed(l, 3, "video/mp4", []byte("whatever it is"))
	typed(l, 4, "text/plain", []byte("just text"))
	for _, c := range []struct {
		id     int
		view   string
		status int
		kind   string
	}{
		{1, "pdf", 200, "application/pdf"}, {2, "media", 200, "audio/wave"}, {3, "media", 200, "video/mp4"},
		{4, "pdf", 415, ""}, {4, "media", 415, ""}, {4, "html", 415, ""}, {4, "image", 415, ""}, {1, "html", 415, ""},
	} {
		a := l.ask("GET", fmt.Sprintf("/api/v1/exchanges/%d/response/body?view=%s", c.id, c.view), "")
		if a.StatusCode != c.status || c.kind != "" && a.Header.Get("Content-Type") != c.kind || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d as %s: %d %v", c.id, c.view, a.StatusCode, a.Header)
		}
	}
	if a := l.ask("GET", "/api/v1/exchanges/2/response/body?view=media", "", "Range", "bytes=8-11"); a.StatusCode != http.StatusPartialContent || string(a.body) != "WAVE" {
		t.Errorf("a part of a sound: %d %q", a.StatusCode, a.body)
	}
}

// A body that breaks is served up to where it breaks, and then says where that is.
func TestBrokenCodingSaysWhere(t *testing.T) {
	l := newLab(t)
	r := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, 200_000)
	for i := range text {
		text[i] = byte('a' + r.IntN(26))
	}
	whole := zip(text)
	short := whole[:len(whole)/2]
	// Blocks that are stored as they are, the head of the second of them wrong (RFC 1951, 3.2.4).
	var stored bytes.Buffer
	w, err := gzip.NewWriterLevel(&stored, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	w.Close()
	flawed := stored.Bytes()
	length := int(binary.LittleEndian.Uint16(flawed[11:]))
	second := 10 + 5 + length
	flawed[second+3] ^= 0xff
	coded(l, 1, capture.StateDone, short, "gzip")
	coded(l, 2, capture.StateDone, flawed, "gzip")
	for id, want := range map[int]string{1: fmt.Sprintf("at byte %d the transferred body ends within its gzip coding", len(short)), 2: "the transferred body stops being gzip"} {
		path := fmt.Sprintf("/api/v1/exchanges/%d/response/body?decoded=true", id)
		a := l.ask("GET", path, "", "Range", "bytes=0-1999999")
		n := len(a.body)
		if a.StatusCode != 206 || n < 30_000 || n >= len(text) || !bytes.Equal(a.body[:30_000], text[:30_000]) || !strings.HasSuffix(a.Header.Get("Content-Range"), "/*") {
			t.Errorf("%d: %d, %d bytes, %s", id, a.StatusCode, n, a.Header.Get("Content-Range"))
			continue
		}
		p := l.ask("GET", path, "", "Range", rangeOf(n, 2_000_000)).problem(t, 422)
		if !strings.Contains(p.Detail, want) || !strings.Contains(p.Detail, fmt.Sprintf("%d bytes could be decoded", n)) {
			t.Errorf("%d: %s", id, p.Detail)
		}
		if id == 2 {
			var at int
			if _, err := fmt.Sscanf(p.Detail, "at byte %d ", &at); err != nil || at < second || at > second+8 {
				t.Errorf("the flaw at %d is said to be at %d: %s", second, at, p.Detail)
			}
		}
	}
}

// Decoders that read ahead do not know the very byte, and do not claim to.
func TestBrokenCodingOfReadersAhead(t *testing.T) {
	l := newLab(t)
	coded(l, 1, capture.StateDone, append([]byte{0x28, 0xb5, 0x2f, 0xfd}, bytes.Repeat([]byte{0xff}, 500)...), "zstd")
	coded(l, 2, capture.StateDone, bytes.Repeat([]byte{0xff}, 500), "br")
	for id := 1; id <= 2; id++ {
		p := l.ask("GET", fmt.Sprintf("/api/v1/exchanges/%d/response/body?decoded=true", id), "", "Range", "bytes=0-99").problem(t, 422)
		var at int
		if _, err := fmt.Sscanf(p.Detail, "before byte %d the transferred body stops being", &at); err != nil || at < 1 || at > 504 {
			t.Errorf("%d: %s", id, p.Detail)
		}
	}
}

func TestBombIsDecodedSoFarOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes 256 MB")
	}
	l := newLab(t)
	coded(l, 1, capture.StateDone, bytes.Repeat(zip(make([]byte, 1<<20)), 1<<9), "gzip")
	p := l.ask("GET", "/api/v1/exchanges/1/response/body?decoded=true", "", "Range", rangeOf(enough+10, enough+20)).problem(t, 422)
	if !strings.Contains(p.Detail, "decoding stopped after 256 MB") {
		t.Errorf("%+v", p)
	}
}
