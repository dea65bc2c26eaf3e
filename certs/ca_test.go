package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs/internal/disk"
)

func newTestCA(t testing.TB) *CA {
	t.Helper()
	c, err := LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFirstRunMakesAnAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	c, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert := c.Certificate()
	if !cert.IsCA || cert.MaxPathLen != 0 || !cert.MaxPathLenZero {
		t.Errorf("authority: %v, path length %d (zero: %v)", cert.IsCA, cert.MaxPathLen, cert.MaxPathLenZero)
	}
	if cert.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("key usage %b", cert.KeyUsage)
	}
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v", cert.ExtKeyUsage)
	}
	if n := cert.SerialNumber.BitLen(); n < 100 || n > 128 || cert.SerialNumber.Sign() != 1 {
		t.Errorf("serial number %x", cert.SerialNumber)
	}
	if got := time.Until(cert.NotAfter); got < caLife-time.Minute || got > caLife {
		t.Errorf("valid for %v", got)
	}
	if len(cert.SubjectKeyId) != 20 {
		t.Errorf("subject key id %x", cert.SubjectKeyId)
	}
	if host, _ := os.Hostname(); !strings.Contains(strings.Join(cert.Subject.OrganizationalUnit, ""), cut(host, 40)) {
		t.Errorf("subject %q does not name the machine %q", cert.Subject, host)
	}
	if err := cert.CheckSignatureFrom(cert); err != nil {
		t.Errorf("self-signature: %v", err)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{".": 0o700, "ca.pem": 0o644, "ca.key": 0o400} {
			st, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := st.Mode().Perm(); got != want {
				t.Errorf("mode of %s is %o, want %o", name, got, want)
			}
		}
	}
	onlyFiles(t, dir, "ca.key", "ca.pem")

	again, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Certificate().Equal(cert) {
		t.Error("a second start has another authority")
	}
	if other := newTestCA(t); other.SPKIHash() == c.SPKIHash() {
		t.Error("two directories have one key")
	}
}

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestManyStartsAtOnceShareOneAuthority(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	hashes := make([]string, 16)
	for i := range hashes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := LoadOrCreate(dir)
			if err != nil {
				t.Error(err)
				return
			}
			hashes[i] = c.Fingerprint()
		}()
	}
	wg.Wait()
	for _, h := range hashes {
		if h != hashes[0] {
			t.Fatalf("different authorities: %q", hashes)
		}
	}
	onlyFiles(t, dir, "ca.key", "ca.pem")
}

func TestInterruptedFirstRunIsCompleted(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The key was written, the certificate was not.
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.SPKIHash() != second.SPKIHash() {
		t.Error("the key that was there was not used")
	}
}

func TestUnusableFilesAreNamed(t *testing.T) {
	write := func(name, content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			os.Remove(path)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyFrom := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(newTestCA(t).dir, name))
			if err != nil {
				t.Fatal(err)
			}
			write(name, string(b))(t, dir)
		}
	}
	leafFile := func(t *testing.T, dir string) {
		c, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := c.Leaf(context.Background(), "example.com")
		if err != nil {
			t.Fatal(err)
		}
		write("ca.pem", string(encodeCert(leaf.Certificate[0])))(t, dir)
	}
	backdate := func(notBefore time.Time) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "ca.pem"))
			if err := create(dir, "someone@somewhere", notBefore); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, dir string)
		err   error
		says  string
	}{
		"certificate empty":      {write("ca.pem", ""), ErrDamaged, "the file is empty"},
		"certificate garbage":    {write("ca.pem", "\x00\x01 garbage"), ErrDamaged, "no PEM block"},
		"certificate cut":        {write("ca.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), ErrDamaged, "ca.pem"},
		"certificate is a key":   {write("ca.pem", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"), ErrDamaged, `"PRIVATE KEY" instead of "CERTIFICATE"`},
		"certificate of a leaf":  {leafFile, ErrDamaged, "not one of an authority"},
		"key empty":              {write("ca.key", " \n"), ErrDamaged, "the file is empty"},
		"key garbage":            {write("ca.key", "garbage"), ErrDamaged, "ca.key"},
		"key cut":                {write("ca.key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"), ErrDamaged, "ca.key"},
		"key of another":         {copyFrom("ca.key"), ErrMismatch, "does not fit"},
		"certificate of another": {copyFrom("ca.pem"), ErrMismatch, "does not fit"},
		"key missing":            {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "ca.key")) }, ErrNoKey, "CA without its key"},
		"expired":                {backdate(time.Now().Add(-caLife - time.Hour)), ErrExpired, "expired on"},
		"not yet valid":          {backdate(time.Now().Add(48 * time.Hour)), ErrExpired, "is valid from"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := LoadOrCreate(dir); err != nil {
				t.Fatal(err)
			}
			tc.spoil(t, dir)
			before := snapshot(t, dir)
			_, err := LoadOrCreate(dir)
			if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v, want %v saying %q", err, tc.err, tc.says)
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Hint(), "eaves ca rotate --data "+dir) || strings.ContainsAny(e.Error()+e.Hint(), "\n") {
				t.Errorf("hint of %v", err)
			}
			if after := snapshot(t, dir); after != before {
				t.Error("the files were changed")
			}
			fresh, _, err := Rotate(dir)
			if err != nil {
				t.Fatalf("rotating: %v", err)
			}
			again, err := LoadOrCreate(dir)
			if err != nil {
				t.Fatalf("after rotating: %v", err)
			}
			if !again.Certificate().Equal(fresh.Certificate()) {
				t.Error("another authority than the one rotated to")
			}
		})
	}
}

func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	for _, name := range []string{"ca.pem", "ca.key"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		b.WriteString(name)
		b.Write(content)
	}
	return b.String()
}

func TestLoadShowsAnAuthorityWithoutKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNoCA) {
		t.Errorf("empty directory: %v", err)
	}
	c, err := LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	public, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if public.CanSign() || !bytes.Equal(public.PEM(), c.PEM()) {
		t.Error("not the certificate that was there")
	}
	if _, err := public.Leaf(context.Background(), "example.com"); !errors.Is(err, ErrNoKey) {
		t.Errorf("a leaf without a key: %v", err)
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	first, old, err := Rotate(dir)
	if err != nil || old != nil {
		t.Fatalf("rotating nothing: old %v, error %v", old, err)
	}
	second, old, err := Rotate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if old == nil || !old.Certificate.Equal(first.Certificate()) || len(old.Files) != 2 {
		t.Fatalf("the old authority was not returned: %+v", old)
	}
	if b, err := os.ReadFile(old.Files[0]); err != nil || !bytes.Equal(b, first.PEM()) {
		t.Errorf("the old certificate was not kept: %v", err)
	}
	if b, err := os.ReadFile(old.Files[1]); err != nil || !bytes.Contains(b, []byte("PRIVATE KEY")) {
		t.Errorf("the old key was not kept: %v", err)
	}
	if first.SPKIHash() == second.SPKIHash() || first.Name() == second.Name() {
		t.Errorf("not told apart: %s, %s", first.Name(), second.Name())
	}
	onlyFiles(t, dir, filepath.Base(old.Files[1]), filepath.Base(old.Files[0]), "ca.key", "ca.pem")
	if runtime.GOOS != "windows" {
		for _, key := range []string{filepath.Join(dir, "ca.key"), old.Files[1]} {
			if st, _ := os.Stat(key); st.Mode().Perm() != 0o400 {
				t.Errorf("mode of the key %o", st.Mode().Perm())
			}
		}
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file's mode says nothing on Windows")
	}
	dir := t.TempDir()
	if _, err := LoadOrCreate(dir); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "ca.key")
	for mode, refused := range map[fs.FileMode]bool{0o400: false, 0o600: false, 0o640: true, 0o604: true, 0o644: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreate(dir)
		if errors.Is(err, ErrExposed) != refused {
			t.Errorf("mode %o: %v", mode, err)
		}
		var e *Error
		if refused && (!errors.As(err, &e) || !strings.Contains(e.Hint(), "chmod 600 "+key)) {
			t.Errorf("mode %o: the hint does not say how to mend it: %v", mode, err)
		}
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Rotate(dir); err != nil {
		t.Errorf("a new one can be made all the same: %v", err)
	}
}

// A rotation may die at any moment: before its key is in place the old authority holds, afterwards the new one.
func TestInterruptedRotation(t *testing.T) {
	next := newTestCA(t)
	t.Run("before the key", func(t *testing.T) {
		dir := t.TempDir()
		old, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, certFile+nextSuffix), next.PEM(), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Certificate().Equal(old.Certificate()) {
			t.Error("the old authority is gone")
		}
		onlyFiles(t, dir, "ca.key", "ca.pem")
	})
	t.Run("after the key", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := LoadOrCreate(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, certFile+nextSuffix), next.PEM(), 0o644); err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(filepath.Join(next.dir, keyFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.Replace(filepath.Join(dir, keyFile), key, 0o400); err != nil {
			t.Fatal(err)
		}
		c, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Certificate().Equal(next.Certificate()) {
			t.Error("the rotation was not completed")
		}
		onlyFiles(t, dir, "ca.key", "ca.pem")
	})
}

func TestSubjectStaysWithinItsBounds(t *testing.T) {
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"", "a@b", strings.Repeat("x", 300) + "@host", strings.Repeat("ü", 100), "wer@<&\"'>"} {
		der, err := selfSign(key, owner, time.Now())
		if err != nil {
			t.Fatalf("%q: %v", owner, err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%q: %v", owner, err)
		}
		if n := len([]rune(cert.Subject.CommonName)); n > 64 {
			t.Errorf("%q: common name of %d characters", owner, n)
		}
	}
}

func TestKeyIsNowhereButInItsFile(t *testing.T) {
	c := newTestCA(t)
	raw, err := c.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats() {
		f, err := c.Export(format)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(f.Data, raw) || bytes.Contains(f.Data, []byte("PRIVATE")) {
			t.Errorf("%s holds the key", format)
		}
	}
}

func FuzzParseFiles(f *testing.F) {
	c := newTestCA(f)
	f.Add(c.PEM())
	key, err := encodeKey(c.key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if cert, err := parseCert(b); err == nil && !cert.IsCA {
			t.Error("a certificate that is not one of an authority was taken")
		}
		parseKey(b)
	})
}
