package webui

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"

	"eaves/capture"
	"eaves/capture/content"
)

// views are the ways in which the console may let a browser show a body by itself. Each looks at the bytes before it
// names a type, and each answer has a policy of its own under which nothing in it runs and nothing is fetched.
var views = map[string]func(w http.ResponseWriter, r *request, header capture.Header, body io.ReadSeeker) error{
	"image": showImage,
	"media": showMedia,
	"html":  showHTML,
	"pdf":   showPDF,
}

// head is the beginning of a body, which is then at its beginning again.
func head(body io.ReadSeeker) ([]byte, error) {
	b := make([]byte, 1024)
	n, err := io.ReadFull(body, b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	_, err = body.Seek(0, io.SeekStart)
	return b[:n], err
}

func notThat(what string) error {
	return problem{Status: http.StatusUnsupportedMediaType, Parameter: "view", Detail: "this body is no " + what}
}

func serveInline(w http.ResponseWriter, r *request, kind string, body io.ReadSeeker) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", "inline")
	http.ServeContent(w, r.Request, "", time.Time{}, body)
	return nil
}

// images are the types that a browser can be let show: decoders of pixels, none of documents.
var images = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/x-icon"}

// showImage looks at the bytes, not at what was claimed of them.
func showImage(w http.ResponseWriter, r *request, _ capture.Header, body io.ReadSeeker) error {
	b, err := head(body)
	if err != nil {
		return err
	}
	kind := http.DetectContentType(b)
	if len(b) >= 12 && string(b[4:8]) == "ftyp" && (string(b[8:12]) == "avif" || string(b[8:12]) == "avis") {
		kind = "image/avif"
	} else if !slices.Contains(images, kind) {
		return notThat("PNG, JPEG, GIF, WebP, AVIF, BMP or icon")
	}
	return serveInline(w, r, kind, body)
}

var mediaType = regexp.MustCompile(`^(audio|video)/[a-z0-9.+-]+$`)

// showMedia serves sound and film to an element that plays them, in the parts that it asks for.
func showMedia(w http.ResponseWriter, r *request, header capture.Header, body io.ReadSeeker) error {
	b, err := head(body)
	if err != nil {
		return err
	}
	kind := http.DetectContentType(b)
	if kind == "application/ogg" {
		kind = "audio/ogg"
	}
	if claimed := content.MediaType(header.Get("Content-Type")); !mediaType.MatchString(kind) && mediaType.MatchString(claimed) {
		kind = claimed
	}
	if !mediaType.MatchString(kind) {
		return notThat("sound or film")
	}
	return serveInline(w, r, kind, body)
}

// showPDF serves a PDF to the browser's own viewer, which runs apart from pages. A sandbox would keep that viewer from
// starting, and a document of this type is read by nothing else.
func showPDF(w http.ResponseWriter, r *request, _ capture.Header, body io.ReadSeeker) error {
	b, err := head(body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), "%PDF-") {
		return notThat("PDF")
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	return serveInline(w, r, "application/pdf", body)
}

// mostHTML is how much of a page is shown.
const mostHTML = 4 << 20

// showHTML serves a page to a frame of the console: in a sandbox, without what could run, send or fetch. The policy alone
// forbids nearly all of it; connections that a page only announces (preconnect) are taken out with the elements.
func showHTML(w http.ResponseWriter, r *request, header capture.Header, body io.ReadSeeker) error {
	b, err := head(body)
	if err != nil {
		return err
	}
	claimed := header.Get("Content-Type")
	if kind := content.MediaType(claimed); kind != "text/html" && kind != "application/xhtml+xml" && !strings.HasPrefix(http.DetectContentType(b), "text/html") {
		return notThat("HTML page")
	}
	if _, p, err := mime.ParseMediaType(claimed); err != nil || p["charset"] == "" {
		claimed = "text/html"
	}
	text, err := charset.NewReader(io.LimitReader(body, mostHTML), claimed)
	if err != nil {
		text = io.LimitReader(body, mostHTML)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Disposition", "inline")
	out := bufio.NewWriter(w)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := tame(out, text); err != nil {
		return err
	}
	return out.Flush()
}

// dropped are elements that run, fetch, announce or stand for another page; of the first, what is in them goes too.
var (
	droppedWhole = []string{"script", "iframe", "object", "noembed", "noframes", "applet"}
	dropped      = []string{"link", "base", "frame", "frameset", "embed", "portal", "param", "meta", "noscript"}
)

// tame writes HTML without what a frame in a sandbox has no use for. It goes token by token, in bounded memory. Where the
// browser's parser sees a tag it has to be one here, too: no text that is written has anything in it that could be one.
func tame(out *bufio.Writer, in io.Reader) error {
	z := html.NewTokenizer(in)
	z.SetMaxBuf(1 << 20)
	within, depth := "", 0
	before := "" // the element that began just before
	for {
		kind := z.Next()
		element := before
		before = ""
		switch kind {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF && err != html.ErrBufferExceeded {
				return err
			}
			return nil
		case html.CommentToken:
			continue
		case html.TextToken, html.DoctypeToken:
			if within != "" {
				continue
			}
			if kind == html.DoctypeToken {
				_, _ = out.Write(z.Raw())
			} else {
				_, _ = out.WriteString(tameText(element, string(z.Raw())))
			}
			continue
		}
		t := z.Token()
		if kind != html.EndTagToken {
			before = t.Data
			if t.Data == "noscript" {
				z.NextIsNotRawText() // nothing is scripted in the frame
			}
		}
		switch {
		case within != "":
			if t.Data == within && kind == html.EndTagToken {
				if depth--; depth == 0 {
					within = ""
				}
			} else if t.Data == within && kind == html.StartTagToken {
				depth++
			}
		case slices.Contains(droppedWhole, t.Data):
			if kind == html.StartTagToken {
				within, depth = t.Data, 1
			}
		case slices.Contains(dropped, t.Data):
		default:
			if t.Data == "xmp" || t.Data == "plaintext" {
				t.Data = "pre" // in which text is as elsewhere
			}
			t.Attr = slices.DeleteFunc(t.Attr, acts)
			_, _ = out.WriteString(t.String())
		}
	}
}

// tagIn finds in CSS what could be the beginning of a tag; in it, only texts and addresses have such.
var tagIn = regexp.MustCompile(`<([a-zA-Z/!?])`)

// tameText is the text that follows the beginning of an element, as a browser reads it the same and finds no tag in it:
// within SVG and MathML it looks for tags where it does not elsewhere.
func tameText(element, raw string) string {
	switch element {
	case "style":
		return tagIn.ReplaceAllString(strings.ReplaceAll(raw, "<!--", " "), `\3c $1`)
	case "xmp", "plaintext":
		return html.EscapeString(raw)
	}
	return strings.ReplaceAll(raw, "<", "&lt;")
}

// acts says whether an attribute runs, sends or fetches something.
func acts(a html.Attribute) bool {
	value := strings.ToLower(strings.TrimSpace(a.Val))
	switch strings.ToLower(a.Key) {
	case "href", "xlink:href":
		return !strings.HasPrefix(value, "#")
	case "src":
		return !strings.HasPrefix(value, "data:image/")
	case "srcset", "srcdoc", "action", "formaction", "background", "poster", "ping", "target", "data", "manifest", "http-equiv", "autofocus", "attributionsrc":
		return true
	}
	return strings.HasPrefix(strings.ToLower(a.Key), "on")
}
