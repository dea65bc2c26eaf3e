package settings

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs/identity"
	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/cmd/eaves/internal/failure"
)

func open(t *testing.T, path string) (*File, chan string) {
	t.Helper()
	said := make(chan string, 100)
	f, err := Open(path, func(s string) { said <- s })
	if err != nil {
		t.Fatal(err)
	}
	return f, said
}

func add(f *File, rules ...Rule) error {
	_, err := f.EditRules(func(now []Rule) ([]Rule, error) { return append(now, rules...), nil })
	return err
}

func TestSettingsLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, _ := open(t, path)
	if s := f.Get(); !s.Recording || s.Revision != 0 || len(s.Rules) != 0 {
		t.Fatalf("defaults: %+v", s)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("reading alone writes nothing")
	}
	if err := add(f, Rule{Enabled: true, Filter: "host:a.test", Action: Ignore}, Rule{Filter: "*.b.test", Action: Passthrough}); err != nil {
		t.Fatal(err)
	}
	if err := f.SetRecording(false); err != nil {
		t.Fatal(err)
	}
	g, _ := open(t, path)
	s := g.Get()
	if s.Recording || s.Revision != 2 || len(s.Rules) != 2 || s.Rules[0].ID != 1 || s.Rules[1].ID != 2 || s.Rules[1].Action != Passthrough {
		t.Fatalf("got %+v", s)
	}
	// An id is never given twice.
	if _, err := g.EditRules(func(now []Rule) ([]Rule, error) { return now[:1], nil }); err != nil {
		t.Fatal(err)
	}
	if err := add(g, Rule{Filter: "", Action: Block}); err != nil {
		t.Fatal(err)
	}
	if s := g.Get(); s.Rules[1].ID != 3 {
		t.Fatalf("got %+v", s)
	}
}

// TestEveryListGivesAnIDOnce holds what is said of rules for the other lists, too.
func TestEveryListGivesAnIDOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, _ := open(t, path)
	file := filepath.Join(t.TempDir(), "f.pem")
	cert := identity.Entry{Enabled: true, Host: "*.bank.test", For: identity.ForOrigin, CertificateFile: file}
	ca := trustanchor.Entry{Enabled: true, File: file}
	policy := tlspolicy.Entry{Enabled: true, Host: "*", Min: "1.0"}
	for range 2 {
		certs, err := f.EditClientCertificates(func(now []identity.Entry) ([]identity.Entry, error) { return append(now[:0], cert, cert), nil })
		if err != nil || len(certs) != 2 || certs[1].ID != certs[0].ID+1 {
			t.Fatalf("got %+v, %v", certs, err)
		}
		if _, err := f.EditTrust(func([]trustanchor.Entry) ([]trustanchor.Entry, error) { return []trustanchor.Entry{ca}, nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := f.EditTLSPolicies(func([]tlspolicy.Entry) ([]tlspolicy.Entry, error) { return []tlspolicy.Entry{policy}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	g, _ := open(t, path)
	s := g.Get()
	if s.ClientCertificates[0].ID != 3 || s.NextClientCertificate != 5 || s.Trust[0].ID != 2 || s.TLSPolicies[0].ID != 2 || s.NextRule != 1 || s.ClientCertificates[0].Host != cert.Host {
		t.Fatalf("got %+v", s)
	}
	cert.Host, ca.File, policy.Min = "a b", "relative.pem", "4"
	for want, edit := range map[string]func() error{
		"invalid client certificate: host pattern": func() error {
			_, err := f.EditClientCertificates(func([]identity.Entry) ([]identity.Entry, error) { return []identity.Entry{cert}, nil })
			return err
		},
		"invalid trust: \"relative.pem\" is not an absolute path": func() error {
			_, err := f.EditTrust(func([]trustanchor.Entry) ([]trustanchor.Entry, error) { return []trustanchor.Entry{ca}, nil })
			return err
		},
		"invalid TLS policy: there is no TLS version": func() error {
			_, err := f.EditTLSPolicies(func([]tlspolicy.Entry) ([]tlspolicy.Entry, error) { return []tlspolicy.Entry{policy}, nil })
			return err
		},
	} {
		if err := edit(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestARefusedChangeChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, _ := open(t, path)
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		edit func([]Rule) ([]Rule, error)
		want string
	}{
		"the edit fails": {func([]Rule) ([]Rule, error) { return nil, boom }, "boom"},
		"no such action": {func([]Rule) ([]Rule, error) { return []Rule{{Action: "explode"}}, nil }, `unknown action "explode"`},
		"a bad filter":   {func([]Rule) ([]Rule, error) { return []Rule{{Action: Block, Filter: "("}}, nil }, "column "},
		"an answer":      {func([]Rule) ([]Rule, error) { return []Rule{{Action: Block, Filter: "status:200"}}, nil }, "status"},
		"a bad host":     {func([]Rule) ([]Rule, error) { return []Rule{{Action: Passthrough, Filter: "a b"}}, nil }, "host pattern"},
		"an id twice":    {func([]Rule) ([]Rule, error) { return []Rule{{ID: 5, Action: Block}, {ID: 5, Action: Block}}, nil }, "id 5"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.EditRules(c.edit); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v", err)
			}
			if s := f.Get(); s.Revision != 0 || len(s.Rules) != 0 {
				t.Fatalf("got %+v", s)
			}
		})
	}
}

func TestUnreadableSettingsAreNotBegunAnew(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "line 1: ",
		"{\n\"rules\": [,]\n}":              "line 2: ",
		"{\n\n\"recording\": 5}":            "line 3: recording cannot be number",
		`{"colour": "blue"}`:                "unknown field",
		`{} {}`:                             "text after the settings",
		`{"rules":[{"id":0}]}`:              "id 0",
		"\x00\x01\x02":                      "line 1: ",
		`{"rules":[{"id":1,"action":"x"}]}`: "unknown action",
	} {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, nil)
		if failure.Code(err) != failure.Usage || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q became %q, %v", text, b, err)
		}
	}
}

func TestAChangeByHandTakesEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, said := open(t, path)
	changes := make(chan Settings, 100)
	f.OnChange(func(s Settings) { changes <- s })
	<-changes
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		if err := f.Watch(ctx); err != nil {
			t.Error(err)
		}
	}()
	defer wg.Wait()
	defer cancel()
	write := func(text string) {
		t.Helper()
		tmp := path + ".new"
		if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, path); err != nil {
			t.Fatal(err)
		}
	}
	late := time.After(20 * time.Second)
	write(`{"revision":7,"recording":false}`)
	select {
	case s := <-changes:
		if s.Recording || s.Revision != 7 {
			t.Fatalf("got %+v", s)
		}
	case <-late:
		t.Fatal("the change was not seen")
	}
	write(`{"revision":8,`)
	select {
	case line := <-said:
		if !strings.Contains(line, "the settings before it still hold") {
			t.Fatalf("said %q", line)
		}
	case <-late:
		t.Fatal("nothing was said of garbage")
	}
	if s := f.Get(); s.Recording || s.Revision != 7 {
		t.Fatalf("got %+v", s)
	}
	// What this process writes is no news to it, and grows the revision.
	if err := f.SetRecording(true); err != nil {
		t.Fatal(err)
	}
	if s := <-changes; !s.Recording || s.Revision != 8 {
		t.Fatalf("got %+v", s)
	}
}

// TestAChangeByHandGivesNoIDTwice: who writes the file may leave out what only eaves counts.
func TestAChangeByHandGivesNoIDTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, _ := open(t, path)
	if err := add(f, Rule{Filter: "a.test", Action: Passthrough}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"recording":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f.reload()
	if err := add(f, Rule{Filter: "b.test", Action: Passthrough}); err != nil {
		t.Fatal(err)
	}
	if got := f.Get().Rules; len(got) != 1 || got[0].ID != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestManyChangeAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	f, _ := open(t, path)
	var wg sync.WaitGroup
	for range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := add(f, Rule{Action: Block}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	g, _ := open(t, path)
	if s := g.Get(); len(s.Rules) != 20 || s.Revision != 20 {
		t.Fatalf("got %d rules in revision %d", len(s.Rules), s.Revision)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"revision":1,"recording":true,"nextRule":2,"rules":[{"id":1,"enabled":true,"filter":"host:a","action":"block"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b)
		if err != nil {
			return
		}
		if err := s.validate(); err != nil {
			t.Fatalf("%q is taken, but not valid: %v", b, err)
		}
	})
}
