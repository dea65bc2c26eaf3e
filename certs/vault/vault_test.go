package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const secretText = "korrekt pferd 🔋"

func newVault(t *testing.T) *Vault {
	t.Helper()
	v, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(t *testing.T, v *Vault, name, value string) {
	t.Helper()
	if err := v.Set(name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func wantSecret(t *testing.T, v *Vault, ref, want string) {
	t.Helper()
	if got, err := v.Resolve(context.Background(), ref); err != nil || string(got) != want {
		t.Errorf("%s is %q (%v), want %q", ref, got, err, want)
	}
}

// wantError asserts which error it is, that it says words and has a hint, and that no secret stands in it.
func wantError(t *testing.T, err error, is error, words string) {
	t.Helper()
	var e *Error
	if !errors.Is(err, is) || !errors.As(err, &e) || !strings.Contains(err.Error(), words) || e.Hint() == "" {
		t.Errorf("error is %v, want one that is %v and says %q", err, is, words)
	}
	if err != nil && (strings.Contains(err.Error(), secretText) || e != nil && strings.Contains(e.Hint(), secretText)) {
		t.Errorf("the secret stands in the error %v, hint %q", err, e.Hint())
	}
}

func TestSecretsAreSealed(t *testing.T) {
	v := newVault(t)
	if _, err := os.Stat(v.dir); err == nil {
		t.Error("opening made the directory")
	}
	before := time.Now()
	set(t, v, "client/alice", secretText)
	set(t, v, "empty", "")
	wantSecret(t, v, "vault:client/alice", secretText)
	wantSecret(t, v, "vault:empty", "")
	for _, name := range []string{fileName, keyName} {
		info, err := os.Stat(v.path(name))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
		if b, err := os.ReadFile(v.path(name)); err != nil || bytes.Contains(b, []byte("pferd")) {
			t.Errorf("%s holds the secret in clear (%v)", name, err)
		}
	}
	list := v.List()
	if len(list) != 2 || list[0].Name != "client/alice" || list[0].Created.Before(before.Add(-time.Second)) || list[1].Name != "empty" {
		t.Errorf("list is %v", list)
	}
	set(t, v, "client/alice", "another")
	wantSecret(t, v, "vault:client/alice", "another")
	if err := v.Remove("client/alice"); err != nil {
		t.Error(err)
	}
	_, err := v.Resolve(context.Background(), "vault:client/alice")
	wantError(t, err, ErrNotFound, `the vault holds no secret "client/alice"`)
	wantError(t, v.Remove("client/alice"), ErrNotFound, "no secret")
	again, err := Open(v.dir)
	if err != nil || len(again.List()) != 1 {
		t.Errorf("opened again it has %v (%v)", again.List(), err)
	}
}

// TestAnotherProcess: what somebody else changed on the disk is seen at once.
func TestAnotherProcess(t *testing.T) {
	one := newVault(t)
	two, err := Open(one.dir)
	if err != nil {
		t.Fatal(err)
	}
	set(t, one, "a", "1")
	set(t, two, "b", "2")
	wantSecret(t, two, "vault:a", "1")
	wantSecret(t, one, "vault:b", "2")
	set(t, one, "b", "3")
	wantSecret(t, two, "vault:b", "3")
	if len(one.List()) != 2 || len(two.List()) != 2 {
		t.Errorf("lists are %v and %v", one.List(), two.List())
	}
}

// TestSwappedEntries: a secret is bound to its name.
func TestSwappedEntries(t *testing.T) {
	v := newVault(t)
	set(t, v, "a", secretText)
	set(t, v, "b", "other")
	change(t, v, func(d *document) { d.Secrets["a"], d.Secrets["b"] = d.Secrets["b"], d.Secrets["a"] })
	_, err := v.Resolve(context.Background(), "vault:a")
	wantError(t, err, ErrDamaged, `the secret "a" cannot be opened`)
	change(t, v, func(d *document) { d.Secrets["a"].Sealed[20] ^= 1 })
	_, err = v.Resolve(context.Background(), "vault:b")
	wantError(t, err, ErrDamaged, `the secret "b" cannot be opened`)
}

func change(t *testing.T, v *Vault, how func(*document)) {
	t.Helper()
	d, err := v.read()
	if err == nil {
		how(d)
		err = v.write(d)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyThatCannotBeUsed(t *testing.T) {
	v := newVault(t)
	set(t, v, "a", secretText)
	key, err := os.ReadFile(v.path(keyName))
	if err != nil {
		t.Fatal(err)
	}
	all := func(is error, words string) {
		t.Helper()
		_, err := v.Resolve(context.Background(), "vault:a")
		wantError(t, err, is, words)
		wantError(t, v.Set("b", []byte(secretText)), is, words)
		_, err = Open(v.dir)
		wantError(t, err, is, words)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(v.path(keyName), 0o640); err != nil {
			t.Fatal(err)
		}
		all(ErrExposed, "others can read the vault's key")
		if _, err := Open(v.dir); !strings.Contains(err.(*Error).Hint(), "chmod 600 ") {
			t.Errorf("hint is %q", err.(*Error).Hint())
		}
		if err := os.Chmod(v.path(keyName), 0o600); err != nil {
			t.Fatal(err)
		}
		wantSecret(t, v, "vault:a", secretText)
	}
	if err := os.WriteFile(v.path(keyName), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	all(ErrDamaged, "the vault's key is damaged")
	if err := os.Remove(v.path(keyName)); err != nil {
		t.Fatal(err)
	}
	all(os.ErrNotExist, "the vault's key is missing")
	if err := os.WriteFile(v.path(keyName), key, 0o600); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, v, "vault:a", secretText)
	for _, text := range []string{"nonsense", "[]", `{"version":1,"secrets":null}`, `{"version":9,"secrets":{}}`} {
		if err := os.WriteFile(v.path(fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all(ErrDamaged, "the vault")
	}
}

func TestReferences(t *testing.T) {
	v, dir := newVault(t), t.TempDir()
	t.Setenv("EAVES_TEST_SECRET", secretText)
	t.Setenv("EAVES_TEST_EMPTY", "")
	t.Setenv("HOME", dir)
	for name, text := range map[string]string{"plain": "s", "unix": "s\n", "windows": "s\r\n", "two": "s\n\n", "spaces": " s "} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantSecret(t, v, "env:EAVES_TEST_SECRET", secretText)
	wantSecret(t, v, "env:EAVES_TEST_EMPTY", "")
	for name, want := range map[string]string{"plain": "s", "unix": "s", "windows": "s", "two": "s\n", "spaces": " s "} {
		wantSecret(t, v, "file:"+filepath.Join(dir, name), want)
	}
	if runtime.GOOS != "windows" {
		wantSecret(t, v, "file:~/plain", "s")
		wantSecret(t, v, "cmd:printf '%s\\n' \"$EAVES_TEST_SECRET\"", secretText)
		wantSecret(t, v, "cmd:echo out; echo err >&2", "out")
		wantSecret(t, v, "cmd:cat; echo read nothing", "read nothing")
	}
	for ref, want := range map[string]struct {
		is    error
		words string
	}{
		"env:EAVES_TEST_NOT_SET":             {ErrNotFound, "the variable EAVES_TEST_NOT_SET is not set"},
		"file:" + dir + "/none":              {ErrNotFound, "is not there"},
		"vault:none":                         {ErrNotFound, `holds no secret "none"`},
		secretText:                           {ErrForm, "it is no reference"},
		"http://" + secretText:               {ErrForm, "it is no reference"},
		"":                                   {ErrForm, "it is no reference"},
		"env:":                               {ErrForm, "names nothing"},
		"cmd: ":                              {ErrForm, "names nothing"},
		"env:A=" + secretText:                {ErrForm, "does not name a variable"},
		"vault:a b":                          {ErrForm, "a secret's name"},
		"vault:" + strings.Repeat("x", 1000): {ErrForm, "a secret's name"},
		"file:a\x00b":                        {ErrForm, "zero byte"},
	} {
		_, err := v.Resolve(context.Background(), ref)
		wantError(t, err, want.is, want.words)
		if valid := Valid(ref); (valid != nil) != (want.is == ErrForm) {
			t.Errorf("the form of %q is %v", ref, valid)
		}
	}
}

// TestCommandThatFails says which and how, and not what it printed.
func TestCommandThatFails(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	v := newVault(t)
	for line, words := range map[string]string{
		"echo '" + secretText + "' >&2; exit 3":       "the command echo of a secret failed: exit status 3",
		"PASS='" + secretText + "' false":             "the command line of a secret failed: exit status 1",
		"true '" + secretText + "'":                   "the command true of a secret printed nothing",
		"/no/such/program '" + secretText + "'":       "the command program of a secret failed: exit status 127",
		"sleep 1000 & sleep 1000":                     "the command sleep of a secret did not end within 300ms",
		"while :; do echo '" + secretText + "'; done": "the command while of a secret printed more than 256 KiB",
	} {
		v.patience = time.Minute
		if strings.HasPrefix(line, "sleep") {
			v.patience = 300 * time.Millisecond
		}
		_, err := v.Resolve(context.Background(), "cmd:"+line)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), words) || e.Hint() == "" {
			t.Errorf("%s: error is %v, want %q", line, err, words)
		}
		if strings.Contains(fmt.Sprint(err), "pferd") {
			t.Errorf("the secret stands in the error %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.Resolve(ctx, "cmd:sleep 1000"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNamesAndSizes(t *testing.T) {
	v := newVault(t)
	for _, name := range []string{"", "a b", "ä", "a\n", strings.Repeat("x", maxName+1)} {
		wantError(t, v.Set(name, []byte(secretText)), ErrForm, "a secret's name")
	}
	wantError(t, v.Set("big", make([]byte, maxValue+1)), ErrForm, "larger than 256 KiB")
	if err := v.Set("big", bytes.Repeat([]byte{1}, maxValue)); err != nil {
		t.Error(err)
	}
}

// TestConcurrently: many hands on one vault lose nothing.
func TestConcurrently(t *testing.T) {
	v := newVault(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("s", i)
			for j := range 5 {
				if err := v.Set(name, fmt.Append(nil, name, j)); err != nil {
					t.Error(err)
				}
				wantSecret(t, v, "vault:"+name, fmt.Sprint(name, j))
				v.List()
			}
		})
	}
	wg.Wait()
	if n := len(v.List()); n != 8 {
		t.Errorf("%d secrets are left of 8", n)
	}
}

func FuzzVaultFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"secrets":{"a":{"created":"2026-01-01T00:00:00Z","sealed":"AAAA"}}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		v := &Vault{dir: dir}
		for _, s := range v.List() {
			if _, err := v.Resolve(context.Background(), "vault:"+s.Name); err == nil {
				t.Errorf("%q was opened without a key", s.Name)
			}
		}
		if d, err := v.read(); err == nil {
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
		}
	})
}
