package pac

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseLocation(t *testing.T) {
	for _, c := range []struct{ text, file, url, name, shown string }{
		{"proxy.pac", "proxy.pac", "", "proxy.pac", "proxy.pac"},
		{"/etc/proxy.pac", "/etc/proxy.pac", "", "proxy.pac", "/etc/proxy.pac"},
		{"file:///etc/my%20proxy.pac", "/etc/my proxy.pac", "", "my proxy.pac", "/etc/my proxy.pac"},
		{"file://localhost/etc/p.pac", "/etc/p.pac", "", "p.pac", "/etc/p.pac"},
		{"http://wpad/wpad.dat?k=secret", "", "http://wpad/wpad.dat?k=secret", "wpad.dat", "http://wpad/wpad.dat"},
		{"HTTPS://u:secret@wpad.test", "", "https://u:secret@wpad.test", "wpad.test", "https://wpad.test"},
	} {
		l, err := ParseLocation(c.text)
		if err != nil || l.File != c.file || l.URL != c.url || l.Name != c.name || l.String() != c.shown {
			t.Errorf("%s: %#v, %v", c.text, l, err)
		}
	}
	for text, want := range map[string]string{
		"": "names no PAC file", "file:///": "names no PAC file", "http:///x": "names no host", "ftp://h/x": `scheme "ftp"`,
		"http://u:secret@h:x/": "invalid port", "file://etc/p.pac": "file:///etc/p.pac",
	} {
		if _, err := ParseLocation(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// answerOf is what the script at l says now, or the error.
func answerOf(t *testing.T, b *Library, l Location) string {
	t.Helper()
	s, note, err := b.Script(t.Context(), l)
	if err != nil {
		return "error: " + err.Error()
	}
	a, err := s.Find(t.Context(), "http://a.test/", "a.test")
	if err != nil {
		return "error: " + err.Error()
	}
	if note != "" {
		return a.Text + " (" + note + ")"
	}
	return a.Text
}

func source(result string) string {
	return fmt.Sprintf("function FindProxyForURL(url, host) { return %q; }", result)
}

func TestFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.pac")
	b := NewLibrary(testEnv(), nil)
	l := Location{File: path, Name: "proxy.pac"}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if got := answerOf(t, b, l); got != "error: "+path+": there is no such file" {
		t.Error(got)
	}
	write(source("PROXY a:1"))
	first, _, err := b.Script(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if again, _, _ := b.Script(t.Context(), l); again != first {
		t.Error("a file that did not change was read again")
	}
	write(source("PROXY b:1"))
	if got := answerOf(t, b, l); got != "PROXY b:1" {
		t.Error(got)
	}
	write("nonsense(")
	if got := answerOf(t, b, l); !strings.Contains(got, "error: "+path+": line 1:10: not JavaScript") {
		t.Error(got)
	}
	write(source("PROXY c:1"))
	if got := answerOf(t, b, l); got != "PROXY c:1" {
		t.Error(got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, b, l); !strings.Contains(got, "there is no such file") {
		t.Error(got)
	}
	if got := answerOf(t, b, Location{File: t.TempDir(), Name: "dir"}); !strings.Contains(got, "is not a file") {
		t.Error(got)
	}
}

func TestServersFileIsAskedForAgain(t *testing.T) {
	var text, status atomic.Value
	text.Store(source("PROXY a:1"))
	status.Store(http.StatusOK)
	var asked, unchanged atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		now := text.Load().(string)
		tag := fmt.Sprintf(`"%x"`, now)
		if r.Header.Get("If-None-Match") == tag {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Etag", tag)
		w.WriteHeader(status.Load().(int))
		fmt.Fprint(w, now)
	}))
	defer server.Close()
	var now atomic.Int64
	now.Store(1_000_000_000)
	env := testEnv()
	env.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	later := func(d time.Duration) { now.Add(int64(d / time.Second)) }
	b := NewLibrary(env, nil)
	l, err := ParseLocation(server.URL + "/proxy.pac?key=secret")
	if err != nil {
		t.Fatal(err)
	}
	// settled asks until what was fetched in the background is there.
	settled := func(want string) {
		t.Helper()
		for until := time.Now().Add(20 * time.Second); ; {
			got := answerOf(t, b, l)
			if strings.Contains(got, want) && !strings.Contains(got, "secret") {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("got %q, want %q", got, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if got := answerOf(t, b, l); got != "PROXY a:1" || asked.Load() != 1 {
		t.Fatalf("%q after %d requests", got, asked.Load())
	}
	text.Store(source("PROXY b:1"))
	later(refresh - time.Second)
	if got := answerOf(t, b, l); got != "PROXY a:1" || asked.Load() != 1 {
		t.Errorf("before it is due: %q after %d requests", got, asked.Load())
	}
	later(2 * time.Second)
	settled("PROXY b:1")
	later(refresh + time.Second)
	for answerOf(t, b, l); unchanged.Load() == 0; answerOf(t, b, l) {
		if t.Context().Err() != nil {
			t.Fatal("never asked whether it changed")
		}
		time.Sleep(time.Millisecond)
	}
	// A server that fails for a while leaves what there is, and says so.
	status.Store(http.StatusBadGateway)
	text.Store("down")
	later(refresh + time.Second)
	settled("PROXY b:1 (the PAC file could not be fetched again, so the one from before holds: " + server.URL + "/proxy.pac: cannot be fetched: the server answered 502")
	status.Store(http.StatusOK)
	text.Store(source("PROXY c:1"))
	later(again + time.Second)
	settled("PROXY c:1")
	// A file that came but is broken is not hidden behind the one from before.
	text.Store("<html>sign in</html>")
	later(refresh + time.Second)
	settled("this is an HTML page")
	text.Store(source("PROXY d:1"))
	later(again + time.Second)
	settled("PROXY d:1")
}

func TestServerThatIsNotThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	l, err := ParseLocation(server.URL + "/proxy.pac")
	if err != nil {
		t.Fatal(err)
	}
	b := NewLibrary(testEnv(), nil)
	if got := answerOf(t, b, l); !strings.Contains(got, "cannot be fetched: the server answered 404") {
		t.Error(got)
	}
	server.Close()
	if got := answerOf(t, NewLibrary(testEnv(), nil), l); !strings.Contains(got, "cannot be fetched") || !strings.Contains(got, "refused") {
		t.Error(got)
	}
}
