package webui

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"eaves/capture"
)

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	w.Close()
	return out.Bytes()
}

// coded is an exchange whose answer has a body with codings.
func coded(l *lab, id int64, state capture.State, body []byte, codings ...string) {
	x := sample(id)
	x.State = state
	for _, c := range codings {
		x.Response.Header = append(x.Response.Header, capture.Field{Name: "Content-Encoding", Value: c})
	}
	l.store.put(x)
	l.store.setBody(id, capture.SideResponse, body)
}

func TestBodyRanges(t *testing.T) {
	l := newLab(t)
	text := make([]byte, 100_000)
	for i := range text {
		text[i] = byte('a' + rand.N(26))
	}
	coded(l, 1, capture.StateDone, text)
	coded(l, 2, capture.StateDone, zip(text), "gzip")
	coded(l, 3, capture.StateDone, zip(zip(text)), "gzip, gzip")
	for _, c := range []struct {
		header       string
		status, from int
		to           int
		total        string // of a decoded body
	}{
		{"", 200, 0, 100_000, ""},
		{"bytes=0-9", 206, 0, 10, "*"},
		{"bytes=500-65535", 206, 500, 65536, "*"},
		{"bytes=99990-99999", 206, 99_990, 100_000, "100000"},
		{"bytes=99990-200000", 206, 99_990, 100_000, "100000"},
		{"bytes=99990-", 206, 99_990, 100_000, "100000"},
		{"bytes=-10", 206, 99_990, 100_000, "100000"},
		{"bytes=100000-100009", 416, 0, 0, "100000"},
		{"bytes=100000-", 416, 0, 0, "100000"},
		{"bytes=9-0", 416, 0, 0, ""},
		{"lines=1-2", 416, 0, 0, ""},
	} {
		for id, query := range map[int]string{1: "", 2: "?decoded=true", 3: "?decoded=true"} {
			headers := []string{}
			if c.header != "" {
				headers = []string{"Range", c.header}
			}
			path := fmt.Sprintf("/api/v1/exchanges/%d/response/body%s", id, query)
			a := l.ask("GET", path, "", headers...)
			if a.StatusCode != c.status {
				t.Errorf("%d %q: %d %.100s", id, c.header, a.StatusCode, a.body)
				continue
			}
			checkSecured(t, a.Header)
			if c.status == 416 {
				if c.total != "" && a.Header.Get("Content-Range") != "bytes */"+c.total {
					t.Errorf("%d %q: Content-Range %q", id, c.header, a.Header.Get("Content-Range"))
				}
				continue
			}
			if !bytes.Equal(a.body, text[c.from:c.to]) {
				t.Errorf("%d %q: other bytes (%d)", id, c.header, len(a.body))
			}
			if c.status == 206 {
				total := "100000"
				if id > 1 {
					total = c.total
				}
				if want := fmt.Sprintf("bytes %d-%d/%s", c.from, c.to-1, total); a.Header.Get("Content-Range") != want {
					t.Errorf("%d %q: Content-Range %q, want %q", id, c.header, a.Header.Get("Content-Range"), want)
				}
			}
			h := l.ask("HEAD", path, "", headers...)
			if h.StatusCode != c.status || len(h.body) > 0 || h.Header.Get("Content-Range") != a.Header.Get("Content-Range") {
				t.Errorf("HEAD %d %q: %d %v", id, c.header, h.StatusCode, h.Header)
			}
		}
	}
	if a := l.ask("GET", "/api/v1/exchanges/2/response/body", ""); !bytes.Equal(a.body, zip(text)) || a.Header.Get("Content-Encoding") != "" {
		t.Error("without decoded, the body is not as it was transferred")
	}
}

func TestBodiesThatCannotBeDecoded(t *testing.T) {
	l := newLab(t)
	whole := zip(bytes.Repeat([]byte("eaves "), 5000))
	coded(l, 1, capture.StateDone, []byte("not gzip at all"), "gzip")
	coded(l, 2, capture.StateDone, []byte("x"), "rot13")
	coded(l, 3, capture.StateDone, nil, "gzip")
	coded(l, 4, capture.StateFailed, whole[:len(whole)-20], "gzip")
	coded(l, 5, capture.StateDone, []byte("x"), strings.Split(strings.Repeat("gzip,", 9)+"gzip", ",")...)
	for _, id := range []int{1, 2, 5} {
		for _, r := range []string{"", "bytes=0-5", "bytes=-5"} {
			h := []string{"Range", r}[:2*len(r[:min(1, len(r))])]
			p := l.ask("GET", fmt.Sprintf("/api/v1/exchanges/%d/response/body?decoded=true", id), "", h...).problem(t, 422)
			if p.Hint == "" {
				t.Errorf("%d: no hint: %+v", id, p)
			}
		}
	}
	if a := l.ask("GET", "/api/v1/exchanges/3/response/body?decoded=true", ""); a.StatusCode != 200 || len(a.body) != 0 {
		t.Errorf("an empty body: %d %q", a.StatusCode, a.body)
	}
	if a := l.ask("GET", "/api/v1/exchanges/4/response/body?decoded=true", ""); a.StatusCode != 200 || !bytes.HasPrefix(a.body, []byte("eaves eaves ")) {
		t.Errorf("a body that was cut: %d %.60q", a.StatusCode, a.body)
	}
}

// The origin itself may send less than a whole stream, within a body that is complete for HTTP.
func TestDecodedUntilItsCut(t *testing.T) {
	l := newLab(t)
	whole := zip(bytes.Repeat([]byte("eaves "), 50))
	coded(l, 1, capture.StateDone, whole[:len(whole)-9], "gzip")
	req, err := http.NewRequest("GET", l.url+"/api/v1/exchanges/1/response/body?decoded=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := (&http.Client{Timeout: deadline}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || !bytes.HasPrefix(b, []byte("eaves eaves ")) || err == nil {
		t.Errorf("got %d %.60q %v; want what can be decoded, and that it is cut", resp.StatusCode, b, err)
	}
}

func TestBombIsServedInPieces(t *testing.T) {
	l := newLab(t)
	// A GiB in a MiB: members one behind the other are one body (RFC 1952, 2.2).
	coded(l, 1, capture.StateDone, bytes.Repeat(zip(make([]byte, 1<<20)), 1<<10), "gzip")
	a := l.ask("GET", "/api/v1/exchanges/1/response/body?decoded=true", "", "Range", "bytes=0-65535")
	if a.StatusCode != 206 || len(a.body) != 65536 || a.Header.Get("Content-Range") != "bytes 0-65535/*" {
		t.Errorf("%d, %d bytes, %s", a.StatusCode, len(a.body), a.Header.Get("Content-Range"))
	}
}

func TestHostileBodiesAreOnlyBytes(t *testing.T) {
	l := newLab(t)
	page := []byte("<html><script>alert(1)</script>")
	x := sample(1)
	x.Response.Header = capture.Header{{Name: "Content-Type", Value: "text/html"}, {Name: "Content-Disposition", Value: "inline"}, {Name: "Access-Control-Allow-Origin", Value: "*"}}
	l.store.put(x)
	l.store.setBody(1, capture.SideResponse, page)
	for _, query := range []string{"", "?decoded=true", "?decoded=false"} {
		a := l.ask("GET", "/api/v1/exchanges/1/response/body"+query, "")
		h := a.Header
		if !bytes.Equal(a.body, page) || h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %v", query, h)
		}
		checkSecured(t, h)
	}
	for name, b := range map[string]string{
		"html": string(page), "svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "xml": `<?xml version="1.0"?><x/>`,
		"pdf": "%PDF-1.4", "empty": "", "text": "GIF", "gif in a page": "<p>GIF89a",
	} {
		l.store.setBody(1, capture.SideResponse, []byte(b))
		p := l.ask("GET", "/api/v1/exchanges/1/response/body?view=image", "").problem(t, 415)
		if p.Parameter != "view" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)
	coded(l, 2, capture.StateDone, zip(png), "gzip")
	coded(l, 3, capture.StateDone, png)
	for id := 2; id <= 3; id++ {
		a := l.ask("GET", fmt.Sprintf("/api/v1/exchanges/%d/response/body?view=image", id), "")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "image/png" || !bytes.Equal(a.body, png) || !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("png %d: %d %v %q", id, a.StatusCode, a.Header, a.body)
		}
	}
	l.ask("GET", "/api/v1/exchanges/1/response/body?view=svg", "").problem(t, 400)
	l.ask("GET", "/api/v1/exchanges/1/both/body", "").problem(t, 404)
}
