package webui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"eaves/capture"
)

func TestExportMasksSecrets(t *testing.T) {
	l := newLab(t)
	x := sample(1)
	x.Request.Header = append(x.Request.Header, capture.Field{Name: "Authorization", Value: "Bearer hush-hush"})
	x.Request.URL += "?api_key=hush-hush"
	l.store.put(x)
	for _, format := range formats() {
		path := "/api/v1/export?format=" + format.name
		if a := l.ask("GET", path, ""); a.StatusCode != 200 || bytes.Contains(a.body, []byte("hush")) || !bytes.Contains(a.body, []byte("redacted-")) {
			t.Errorf("%s: %d %s", format.name, a.StatusCode, a.body)
		}
		a := l.ask("GET", path+"&secrets=true", "")
		if a.StatusCode != 200 || !bytes.Contains(a.body, []byte("Bearer hush-hush")) {
			t.Errorf("%s with secrets: %d %s", format.name, a.StatusCode, a.body)
		}
		if !strings.HasPrefix(a.Header.Get("Content-Disposition"), `attachment; filename="eaves-`) {
			t.Errorf("%s: %v", format.name, a.Header)
		}
		if h := l.ask("HEAD", path, ""); h.StatusCode != 200 || len(h.body) > 0 {
			t.Errorf("HEAD %s: %d %s", format.name, h.StatusCode, h.body)
		}
		checkSecured(t, a.Header)
	}
}

func TestExportGoesThroughAllPages(t *testing.T) {
	l := newLab(t)
	const n = 2*exportPage + 7
	for id := range int64(n) {
		x := sample(id + 1)
		if id%2 == 0 {
			x.Request.URL = "http://b.test/"
		}
		l.store.put(x)
	}
	a := l.ask("GET", "/api/v1/export?format=jsonl&filter=host:a.test", "")
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	if len(lines) != n/2 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		var x capture.Exchange
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.ID != int64(2*i+2) {
			t.Fatalf("line %d: exchange %d, %v", i+1, x.ID, err)
		}
	}
}

func TestExportThatFailsIsCut(t *testing.T) {
	l := newLab(t)
	for id := range int64(exportPage + 1) {
		l.store.put(sample(id + 1))
	}
	l.store.getErr = map[int64]error{3: errTest, 5: capture.ErrNotFound}
	req, _ := http.NewRequest("GET", l.url+"/api/v1/export?format=har", nil)
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := (&http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half an export looks whole")
	}
	l.store.mu.Lock()
	delete(l.store.getErr, 3)
	l.store.mu.Unlock()
	// What was removed meanwhile is left out
	if a := l.ask("GET", "/api/v1/export?format=jsonl", ""); bytes.Count(a.body, []byte("\n")) != exportPage {
		t.Errorf("%d lines", bytes.Count(a.body, []byte("\n")))
	}
	l.store.mu.Lock()
	l.store.listErr = errTest
	l.store.mu.Unlock()
	l.ask("GET", "/api/v1/export?format=har", "").problem(t, 500)
}

func TestImport(t *testing.T) {
	l := newLab(t)
	entry := func(url string) string {
		return fmt.Sprintf(`{"startedDateTime":"2026-01-02T03:04:05.000Z","time":5,"request":{"method":"GET","url":%q,"httpVersion":"HTTP/1.1","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":0},
			"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"content":{"size":2,"mimeType":"text/plain","text":"hi"},"redirectURL":"","headersSize":-1,"bodySize":2},"cache":{},"timings":{"send":1,"wait":2,"receive":2}}`, url)
	}
	var got imported
	l.ask("POST", "/api/v1/import", `{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[`+entry("http://a.test/1")+`,`+entry("http://a.test/2")+`]}}`).json(t, 200, &got)
	if got.Imported != 2 {
		t.Errorf("%d imported", got.Imported)
	}
	var p page
	l.ask("GET", "/api/v1/exchanges?after=0", "").json(t, 200, &p)
	if len(p.Exchanges) != 2 || p.Exchanges[0].Request.URL != "http://a.test/1" || p.Exchanges[0].Source != capture.SourceImport {
		t.Errorf("%+v", p.Exchanges)
	}
	// Half a file: what came before is recorded, and that is said.
	pr := l.ask("POST", "/api/v1/import", `{"log":{"version":"1.2","entries":[`+entry("http://a.test/3")+`,{"startedDateTime":`).problem(t, 400)
	if !strings.Contains(pr.Detail, "imported before that: 1") {
		t.Errorf("%s", pr.Detail)
	}
}

// A total that was not counted is left out: a number below 0 is none.
func TestListWithoutATotal(t *testing.T) {
	l := newLab(t)
	l.store.put(sample(1))
	l.store.uncounted = true
	if a := l.ask("GET", "/api/v1/exchanges?total=true&filter=host:a.test", ""); a.StatusCode != 200 || bytes.Contains(a.body, []byte(`"total"`)) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
