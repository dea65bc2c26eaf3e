package webui

import (
	"encoding/json"
	"strings"
	"testing"

	"eaves/capture"
)

// TestDoctorTellsStageByStage: each line is a stage as the document has it, and the last is the result.
func TestDoctorTellsStageByStage(t *testing.T) {
	l := newLab(t)
	a := l.ask("POST", base+"/doctor", `{"url":"https://a.test/"}`)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("got %d %v", a.StatusCode, a.Header)
	}
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	var last capture.DoctorStage
	for _, line := range lines {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if err := (checker{document(t)}).check(map[string]any{"$ref": "#/components/schemas/DoctorStage"}, v, "stage"); err != nil {
			t.Error(err)
		}
		_ = json.Unmarshal([]byte(line), &last)
	}
	if len(lines) != 2 || last.Stage != capture.DoctorResult {
		t.Errorf("got %s", a.body)
	}
}

// TestDoctorMistakes: what cannot be asked is said before any stage, with the parameter and what to do.
func TestDoctorMistakes(t *testing.T) {
	l := newLab(t)
	a := l.ask("POST", base+"/doctor", `{"url":"ftp://a.test/"}`)
	p := a.problem(t, 400)
	if p.Parameter != "url" || p.Hint == "" {
		t.Errorf("got %s", a.body)
	}
}

// TestRouteTestCredentials: a route is tried with what its proxies are shown, as it will be kept.
func TestRouteTestCredentials(t *testing.T) {
	l := newLab(t)
	all := `"user":"alice","secret":"hush","schemes":["ntlm"],"keytab":"/k","ccache":"/c","krb5Conf":"/5","serviceName":"HTTP/p"}`
	if a := l.ask("POST", base+"/routes/test", `{"url":"https://a.test/","via":["http://p.test:1"],`+all); a.StatusCode != 200 {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	if p := l.ask("POST", base+"/doctor", `{"url":"https://a.test/",`+all).problem(t, 400); p.Parameter != "via" {
		t.Errorf("got %+v", p)
	}
	if p := l.ask("POST", base+"/routes/test", `{"url":"https://a.test/","via":"http://p.test:1","password":"env:P",`+all).problem(t, 400); p.Parameter != "secret" {
		t.Errorf("got %+v", p)
	}
}
