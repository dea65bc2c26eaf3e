package token

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"eaves/certs/keyfile"
)

func TestURI(t *testing.T) {
	for uri, want := range map[string]address{
		"pkcs11:token=my%20card;object=alice?module-path=/m.so": {token: "my card", object: "alice", module: "/m.so"},
		"pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=12ab;token=study;id=%A1%00;object=a;type=cert?module-path=/m.so&pin-source=file:/pin": {
			model: "SoftHSM v2", manufacturer: "SoftHSM project", serial: "12ab", token: "study", id: []byte{0xa1, 0}, object: "a", module: "/m.so", pinSource: "file:/pin"},
		"pkcs11:?module-path=/m.so": {module: "/m.so"},
		"pkcs11:slot-id=3;x-vendor=1;library-version=3;?module-path=/m.so&x=y": {slot: "3", module: "/m.so"},
	} {
		if got, err := parse(uri); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v (%v), want %+v", uri, got, err, want)
		}
		if _, err := parse(uri); err != nil {
			t.Error(err)
		}
	}
	for uri, words := range map[string]string{
		"":        "does not begin with pkcs11:",
		"file:/x": "does not begin with pkcs11:",
		"pkcs11:": "names no module",
		"pkcs11:token=a;token=b?module-path=/m.so":     "names token twice",
		"pkcs11:token?module-path=/m.so":               "is not NAME=VALUE",
		"pkcs11:token=%zz?module-path=/m.so":           "is not NAME=VALUE",
		"pkcs11:tokken=a?module-path=/m.so":            `a part "tokken" that eaves does not know`,
		"pkcs11:slot-id=one?module-path=/m.so":         "slot-id is a number",
		"pkcs11:type=public?module-path=/m.so":         `type is "public"`,
		"pkcs11:?module-path=/m.so&pin-value=geheim12": "the PIN stands in the PKCS#11 URI",
	} {
		_, err := parse(uri)
		var e *keyfile.Error
		if !errors.As(err, &e) || !strings.Contains(e.What, words) || e.Hint == "" {
			t.Errorf("%s: error is %v, want %q", uri, err, words)
		} else if strings.Contains(e.What+e.Hint, "geheim12") {
			t.Errorf("the PIN stands in the error: %v", e)
		}
	}
}

func TestPINSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte("1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{path, "file:" + path, "file://" + path} {
		a := address{pinSource: source}
		if pin, err := a.readPIN(); err != nil || string(pin) != "1234" {
			t.Errorf("%s: %q (%v)", source, pin, err)
		}
	}
	for _, source := range []string{"|cat pin", "http://x/pin", path + "-not-there"} {
		a := address{pinSource: source}
		var e *keyfile.Error
		if _, err := a.readPIN(); !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("pkcs11:token=my%20card;object=alice;id=%a1?module-path=/m.so&pin-source=file:/x")
	f.Add("pkcs11:?module-path=|&pin-value=1")
	f.Fuzz(func(t *testing.T, uri string) {
		a, err := parse(uri)
		var e *keyfile.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("error is %#v", err)
		}
		if err == nil && a.module == "" {
			t.Error("no module")
		}
	})
}

// TestTheFileOfAPIN: what pin-source names is read only where it may be a PIN.
func TestTheFileOfAPIN(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{large: "too much for a PIN", t.TempDir(): "is not a file"} {
		a, err := parse("pkcs11:token=t?module-path=/m.so&pin-source=file:" + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.readPIN(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
