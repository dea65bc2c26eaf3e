package truststore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eaves/certs"
)

func newCA(t *testing.T) *certs.CA {
	t.Helper()
	c, err := certs.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// need skips a test whose program is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve answers every request over TLS with a leaf of ca, and returns the server's URL.
func serve(t *testing.T, ca *certs.CA, body string) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(body))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	leaf, err := ca.Leaf(t.Context(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func statuses(steps []Step) []Status {
	var all []Status
	for _, s := range steps {
		all = append(all, s.Status)
	}
	return all
}

func expect(t *testing.T, what string, steps []Step, err error, want ...Status) {
	t.Helper()
	if err != nil && !slices.Contains(want, Failed) {
		t.Fatalf("%s: %v: %v", what, err, steps)
	}
	if got := statuses(steps); !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v: %v", what, got, want, steps)
	}
	for _, s := range steps {
		if s.Store == "" || s.Message == "" || strings.Contains(s.Message, "\n") {
			t.Errorf("%s: step %+v", what, s)
		}
		if s.Status == Manual && len(s.Commands) == 0 {
			t.Errorf("%s: nothing to type: %+v", what, s)
		}
	}
}

// sandbox is a root directory in which Debian's script really runs.
func sandbox(t *testing.T) Options {
	need(t, "update-ca-certificates")
	root := t.TempDir()
	for _, dir := range []string{"usr/local/share/ca-certificates", "usr/share/ca-certificates", "etc/ssl/certs", "hooks"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/ca-certificates.conf"), []byte("other.crt\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Debian's script leaves the bundle as it was when the last certificate goes, so there is another.
	if err := os.WriteFile(filepath.Join(root, "usr/share/ca-certificates/other.crt"), newCA(t).PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return Options{
		Kinds: []Kind{System},
		GOOS:  "linux",
		Root:  root,
		Home:  t.TempDir(),
		Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			if name == "update-ca-certificates" {
				args = append(args, "--localcertsdir", root+"/usr/local/share/ca-certificates", "--certsdir", root+"/usr/share/ca-certificates",
					"--etccertsdir", root+"/etc/ssl/certs", "--certsconf", root+"/etc/ca-certificates.conf", "--hooksdir", root+"/hooks")
			}
			return run(ctx, name, args...)
		},
	}
}

func TestDebian(t *testing.T) {
	o, ca, ctx := sandbox(t), newCA(t), testContext(t)
	curl := need(t, "curl")
	url := serve(t, ca, "hello")
	ask := func() (string, error) {
		cmd := exec.CommandContext(ctx, curl, "-sS", "--noproxy", "*", "--cacert", o.Root+"/etc/ssl/certs/ca-certificates.crt", url)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	steps, err := Install(ctx, ca.Certificate(), o)
	expect(t, "first", steps, err, Done)
	if out, err := ask(); err != nil || out != "hello" {
		t.Errorf("curl with the system's bundle: %v: %s", err, out)
	}
	steps, err = Install(ctx, ca.Certificate(), o)
	expect(t, "again", steps, err, Already)

	// Another authority's uninstallation leaves this one alone.
	steps, err = Uninstall(ctx, newCA(t).Certificate(), o)
	expect(t, "another's removal", steps, err, Already)
	if _, err := ask(); err != nil {
		t.Error("another authority's removal took this one out")
	}
	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "removal", steps, err, Done)
	if out, err := ask(); err == nil {
		t.Errorf("still trusted: %s", out)
	}
	left, err := filepath.Glob(o.Root + "/etc/ssl/certs/*eaves*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q (%v)", left, err)
	}
	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "second removal", steps, err, Already)
}

// The same on the machine itself, for machines that may be changed.
func TestThisMachine(t *testing.T) {
	if os.Getenv("EAVES_TEST_SYSTEM_TRUST") == "" {
		t.Skip("set EAVES_TEST_SYSTEM_TRUST=1 to let this test change the system's trust store and back")
	}
	o, ca, ctx := Options{Home: t.TempDir()}, newCA(t), testContext(t)
	defer func() {
		steps, err := Uninstall(context.WithoutCancel(ctx), ca.Certificate(), o)
		t.Logf("removal: %v %v", steps, err)
		again, err := Uninstall(context.WithoutCancel(ctx), ca.Certificate(), o)
		for _, s := range again {
			if s.Status != Already && s.Status != Skipped {
				t.Errorf("after the removal: %v (%v)", s, err)
			}
		}
	}()
	steps, err := Install(ctx, ca.Certificate(), o)
	if err != nil {
		t.Fatalf("%v: %v", err, steps)
	}
	t.Log(steps)
	again, err := Install(ctx, ca.Certificate(), o)
	if err != nil {
		t.Fatalf("%v: %v", err, again)
	}
	for _, s := range again {
		if s.Status != Already && s.Status != Skipped {
			t.Errorf("second installation: %v", s)
		}
	}
	if out, err := exec.CommandContext(ctx, need(t, "curl"), "-sS", "--noproxy", "*", serve(t, ca, "hello")).CombinedOutput(); err != nil {
		t.Errorf("curl does not trust it: %v: %s", err, out)
	}
}

func TestDistributions(t *testing.T) {
	ca, ctx := newCA(t), testContext(t)
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, d.dir)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			var ran []string
			result := error(nil)
			o := Options{
				Kinds: []Kind{System}, GOOS: "linux", Root: root, Home: t.TempDir(), CertFile: "/data/ca.pem",
				LookPath: func(name string) (string, error) {
					if name == d.update[0] {
						return "/usr/bin/" + name, nil
					}
					return "", exec.ErrNotFound
				},
				Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
					ran = append(ran, commandLine(name, args...))
					return []byte("first line\nwhat went wrong\n\n"), result
				},
			}
			steps, err := Install(ctx, ca.Certificate(), o)
			expect(t, "installation", steps, err, Done)
			files, err := filepath.Glob(filepath.Join(dir, "eaves-*"+d.ext))
			if err != nil || len(files) != 1 {
				t.Fatalf("files %q (%v)", files, err)
			}
			if b, err := os.ReadFile(files[0]); err != nil || string(b) != string(ca.PEM()) {
				t.Errorf("content of %s (%v)", files[0], err)
			}
			if st, _ := os.Stat(files[0]); st.Mode().Perm() != 0o644 {
				t.Errorf("mode %o", st.Mode().Perm())
			}
			steps, err = Uninstall(ctx, ca.Certificate(), o)
			expect(t, "removal", steps, err, Done)
			if len(ran) != 2 || ran[0] != commandLine(d.update[0], d.update[1:]...) || ran[1] != commandLine(d.remove[0], d.remove[1:]...) {
				t.Errorf("ran %q", ran)
			}
			result = errors.New("exit status 1")
			steps, err = Install(ctx, ca.Certificate(), o)
			expect(t, "failing update", steps, err, Failed)
			if err == nil || !strings.Contains(steps[0].Message, "what went wrong") {
				t.Errorf("error %v, step %v", err, steps[0])
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
				t.Errorf("left behind after a failure: %q", files)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		o := Options{Kinds: []Kind{System}, GOOS: "linux", Root: t.TempDir(), Home: t.TempDir()}
		steps, err := Install(ctx, ca.Certificate(), o)
		expect(t, "installation", steps, err, Skipped)
	})
}

func TestMissingRightsBecomeCommands(t *testing.T) {
	step := refused(Step{Store: "system"}, &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, []string{"sudo do it"})
	if step.Status != Manual || len(step.Commands) != 1 {
		t.Errorf("%+v", step)
	}
	if os.Getuid() == 0 {
		t.Log("as root no directory refuses a file: the rest of the way is tested for other users only")
		return
	}
	o, ca := sandbox(t), newCA(t)
	o.CertFile = "/data/my ca.pem"
	if err := os.Chmod(filepath.Join(o.Root, "usr/local/share/ca-certificates"), 0o500); err != nil {
		t.Fatal(err)
	}
	steps, err := Install(testContext(t), ca.Certificate(), o)
	expect(t, "installation", steps, err, Manual)
	if !strings.HasPrefix(steps[0].Commands[0], "sudo install -m 644 '/data/my ca.pem' ") {
		t.Errorf("commands %q", steps[0].Commands)
	}
}

func TestOtherSystemsGetTheirCommands(t *testing.T) {
	ca, ctx := newCA(t), testContext(t)
	for goos, says := range map[string]string{
		"darwin":  "security add-trusted-cert -r trustRoot -p ssl -k /home/me/Library/Keychains/login.keychain-db /data/ca.pem",
		"windows": `certutil.exe -user -addstore Root "/data/ca.pem"`,
	} {
		o := Options{Kinds: []Kind{System}, GOOS: goos, Home: "/home/me", CertFile: "/data/ca.pem", Run: func(context.Context, string, ...string) ([]byte, error) {
			t.Error("something was run")
			return nil, nil
		}}
		steps, err := Install(ctx, ca.Certificate(), o)
		expect(t, goos, steps, err, Manual)
		if steps[0].Commands[0] != says {
			t.Errorf("%s: %q", goos, steps[0].Commands)
		}
		steps, err = Uninstall(ctx, ca.Certificate(), o)
		expect(t, goos, steps, err, Manual)
	}
	if _, err := Install(ctx, ca.Certificate(), Options{GOOS: "plan9"}); err == nil {
		t.Error("plan9 has been done")
	}
}

// nssHome is a home directory with databases of certutil's own making.
func nssHome(t *testing.T, dirs ...string) (home string) {
	need(t, "certutil")
	home = t.TempDir()
	for _, dir := range dirs {
		dir = filepath.Join(home, dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("certutil", "-N", "--empty-password", "-d", "sql:"+dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return home
}

func TestNSS(t *testing.T) {
	ca, ctx := newCA(t), testContext(t)
	home := nssHome(t, ".pki/nssdb", ".mozilla/firefox/abc.default-esr", "snap/firefox/common/.mozilla/firefox/x y.default")
	if err := os.MkdirAll(filepath.Join(home, ".mozilla/firefox/never.used"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := Options{Kinds: []Kind{NSS}, GOOS: "linux", Home: home}

	steps, err := Install(ctx, ca.Certificate(), o)
	expect(t, "first", steps, err, Done, Done, Done)
	steps, err = Install(ctx, ca.Certificate(), o)
	expect(t, "again", steps, err, Already, Already, Already)

	// One that is there without being trusted is not taken for installed.
	dir := "sql:" + filepath.Join(home, ".pki/nssdb")
	if out, err := exec.Command("certutil", "-M", "-d", dir, "-n", ca.Name(), "-t", ",,").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	steps, err = Install(ctx, ca.Certificate(), o)
	expect(t, "after distrust", steps, err, Done, Already, Already)

	other := newCA(t)
	steps, err = Uninstall(ctx, other.Certificate(), o)
	expect(t, "another's removal", steps, err, Already, Already, Already)

	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "removal", steps, err, Done, Done, Done)
	if out, _ := exec.Command("certutil", "-L", "-d", dir).CombinedOutput(); strings.Contains(string(out), "eaves") {
		t.Errorf("left behind: %s", out)
	}
	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "second removal", steps, err, Already, Already, Already)
}

func TestNSSWithoutItsProgram(t *testing.T) {
	o := Options{Kinds: []Kind{NSS}, GOOS: "linux", Home: nssHome(t, ".pki/nssdb"), CertFile: "/data/ca.pem", LookPath: func(name string) (string, error) {
		if name == "apt-get" {
			return "/usr/bin/apt-get", nil
		}
		return "", exec.ErrNotFound
	}}
	steps, err := Install(testContext(t), newCA(t).Certificate(), o)
	expect(t, "installation", steps, err, Manual)
	if steps[0].Commands[0] != "sudo apt-get install libnss3-tools" || !strings.HasPrefix(steps[0].Commands[1], "certutil -A -d sql:") {
		t.Errorf("commands %q", steps[0].Commands)
	}
	o.Home = t.TempDir()
	steps, err = Install(testContext(t), newCA(t).Certificate(), o)
	expect(t, "no profile", steps, err, Skipped)
}

// A database with a password cannot be changed without it: that is said, and nobody waits for a prompt.
func TestNSSWithPassword(t *testing.T) {
	need(t, "certutil")
	home := t.TempDir()
	dir := filepath.Join(home, ".pki/nssdb")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(home, "password")
	if err := os.WriteFile(password, []byte("secret123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("certutil", "-N", "-f", password, "-d", "sql:"+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	steps, err := Install(testContext(t), newCA(t).Certificate(), Options{Kinds: []Kind{NSS}, GOOS: "linux", Home: home})
	expect(t, "installation", steps, err, Failed)
	t.Log(steps)
}

// Chromium itself is the judge of what an installation is worth.
func TestChromiumTrustsWhatWasInstalled(t *testing.T) {
	chromium := need(t, "chromium")
	ca, ctx := newCA(t), testContext(t)
	home := nssHome(t, ".pki/nssdb")
	url := serve(t, ca, "<title>page</title><p>it is trusted</p>")
	visit := func() string {
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--no-proxy-server", "--user-data-dir="+t.TempDir(), "--dump-dom", url)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=")
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("chromium: %v", err)
		}
		return string(out)
	}
	if page := visit(); strings.Contains(page, "it is trusted") {
		t.Fatal("trusted before the installation")
	}
	steps, err := Install(ctx, ca.Certificate(), Options{Kinds: []Kind{NSS}, GOOS: "linux", Home: home})
	expect(t, "installation", steps, err, Done)
	if page := visit(); !strings.Contains(page, "it is trusted") {
		t.Errorf("not trusted after the installation: %.500s", page)
	}
}

// javaHome is a Java installation whose store can be written to.
func javaHome(t *testing.T) string {
	keytool, err := filepath.EvalSymlinks(need(t, "keytool"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for _, dir := range []string{"bin", "lib/security"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "bin/keytool"), []byte("#!/bin/sh\nexec "+quote(keytool)+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(keytool)), "lib/security/cacerts"))
	if err != nil {
		t.Skipf("Java without a store: %v", err)
	}
	if err := os.WriteFile(filepath.Join(home, "lib/security/cacerts"), store, 0o644); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestJava(t *testing.T) {
	ca, ctx, home := newCA(t), testContext(t), javaHome(t)
	o := Options{Kinds: []Kind{Java}, Home: t.TempDir(), Getenv: func(name string) string {
		if name == "JAVA_HOME" {
			return home
		}
		return ""
	}}
	steps, err := Install(ctx, ca.Certificate(), o)
	expect(t, "first", steps, err, Done)
	steps, err = Install(ctx, ca.Certificate(), o)
	expect(t, "again", steps, err, Already)
	steps, err = Uninstall(ctx, newCA(t).Certificate(), o)
	expect(t, "another's removal", steps, err, Already)
	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "removal", steps, err, Done)
	steps, err = Uninstall(ctx, ca.Certificate(), o)
	expect(t, "second removal", steps, err, Already)

	if err := os.WriteFile(filepath.Join(home, "lib/security/cacerts"), []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	steps, err = Install(ctx, ca.Certificate(), o)
	expect(t, "damaged store", steps, err, Failed)
	t.Log(steps)
}

func TestUnnamedAuthority(t *testing.T) {
	cert := *newCA(t).Certificate()
	cert.Subject.CommonName = ""
	if m := newMachine(&cert, Options{}); m.name == "" || m.Home == "" {
		t.Errorf("name %q, home %q", m.name, m.Home)
	}
}
