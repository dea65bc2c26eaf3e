package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/capture/hostpattern"
)

// A client that does not trust the CA is a row that says so, whatever way its TLS library has of leaving.
func TestEveryClientThatDistrustsIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		command []string
		says    string
	}{
		{"curl, TLS 1.3", []string{"curl", "-sS", "--tlsv1.3", "https://distrust.test/"}, "does not trust eaves' certificate for distrust.test (tls: unknown certificate authority)"},
		{"curl, TLS 1.2", []string{"curl", "-sS", "--tls-max", "1.2", "https://distrust.test/"}, "does not trust eaves' certificate for distrust.test (tls: unknown certificate authority)"},
		{"python", []string{"python3", "-c", "import urllib.request; urllib.request.urlopen('https://distrust.test/')"}, "does not trust eaves' certificate for distrust.test (tls: unknown certificate authority)"},
		{"wget", []string{"wget", "-q", "-t", "1", "-O", "-", "https://distrust.test/"}, "do not trust a certificate"},
		{"git", []string{"git", "ls-remote", "https://distrust.test/x"}, "do not trust a certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program, err := exec.LookPath(tc.command[0])
			if err != nil {
				t.Skipf("%s is not installed", tc.command[0])
			}
			r := start(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, tc.command[1:]...)
			cmd.Env = append(os.Environ(), "https_proxy=http://"+r.addr, "HTTPS_PROXY=http://"+r.addr, "no_proxy=", "NO_PROXY=", "GIT_TERMINAL_PROMPT=0", "HOME="+t.TempDir())
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Fatalf("it trusts: %s", out)
			}
			x := r.mem.finished(t, 1)[0].x
			if x.Kind != capture.KindTunnel || x.State != capture.StateFailed || x.Error == nil || x.Error.Stage != capture.StageClient {
				t.Fatalf("%+v", x)
			}
			if !strings.Contains(x.Error.Message, tc.says) || !strings.Contains(x.Error.Hint, "eaves ca install") {
				t.Errorf("%s (%s)", x.Error.Message, x.Error.Hint)
			}
		})
	}
}

// A browser opens connections that it may never use; they make no row.
func TestIdleConnectionMakesNoRow(t *testing.T) {
	r := start(t, nil)
	handshake := func() *tls.Conn {
		c, _ := r.connect("idle.test:443", "")
		tc := tls.Client(c, &tls.Config{ServerName: "idle.test", RootCAs: r.leaves, NextProtos: []string{"h2", "http/1.1"}})
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		return tc
	}
	// One that is used, so that its host is known to trust.
	used := handshake()
	io.WriteString(used, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	var b [9]byte
	if _, err := io.ReadFull(used, b[:]); err != nil {
		t.Fatal(err)
	}
	handshake().Close()
	used.Close()
	c, _ := r.connect("another.test:443", "")
	broken := tls.Client(c, &tls.Config{ServerName: "another.test"})
	if broken.Handshake() == nil {
		t.Fatal("it trusts")
	}
	broken.Close()
	all := r.mem.finished(t, 1)
	if len(all) != 1 || !strings.Contains(all[0].x.Request.URL, "another.test") {
		t.Errorf("%d rows, the first for %s", len(all), all[0].x.Request.URL)
	}
}

// Old devices are what one debugs: some know RSA certificates only.
func TestClientWithoutECDSA(t *testing.T) {
	r := start(t, nil)
	c, _ := r.connect("device.test:443", "")
	old := tls.Client(c, &tls.Config{ServerName: "device.test", RootCAs: r.leaves, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	if err := old.Handshake(); err != nil {
		t.Fatal(err)
	}
	old.Close()
}

func TestAlertsInClear(t *testing.T) {
	bad := errors.New("local error: tls: bad record MAC")
	for _, tc := range []struct{ name, bytes, want string }{
		{"none", "\x16\x03\x01\x00\x02\x01\x02", bad.Error()},
		{"after a hello", "\x16\x03\x01\x00\x03abc\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x30", "remote error: tls: unknown certificate authority"},
		{"protected", "\x15\x03\x03\x00\x1a01234567890123456789012345", bad.Error()},
		{"cut", "\x15\x03\x03\x00\x02\x02", bad.Error()},
		{"goodbye", "\x15\x03\x03\x00\x02\x01\x00", io.EOF.Error()},
		{"empty record before", "\x17\x03\x03\x00\x00\x15\x03\x03\x00\x02\x02\x2a", "remote error: tls: bad certificate"},
	} {
		for step := 1; step <= len(tc.bytes); step++ {
			var a alerts
			for rest := []byte(tc.bytes); len(rest) > 0; {
				n := min(step, len(rest))
				a.watch(rest[:n])
				rest = rest[n:]
			}
			if got := a.instead(bad).Error(); got != tc.want {
				t.Errorf("%s, %d at a time: %s, want %s", tc.name, step, got, tc.want)
			}
		}
	}
}

func FuzzAlerts(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x03abc\x15\x03\x03\x00\x02\x02\x30"), 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		var whole, pieces alerts
		whole.watch(b)
		step = max(1, step)
		for rest := b; len(rest) > 0; {
			n := min(step, len(rest))
			pieces.watch(rest[:n])
			rest = rest[n:]
		}
		if whole.found != pieces.found || whole.alert != pieces.alert {
			t.Errorf("in pieces of %d: %v %v, whole: %v %v", step, pieces.found, pieces.alert, whole.found, whole.alert)
		}
	})
}

// The command that is offered against pinning is one that works: a passthrough rule takes a host pattern.
func TestPinningHintCanBeTyped(t *testing.T) {
	for _, host := range []string{"pinned.test", "192.0.2.7", "2001:db8::1"} {
		_, hint := explainHandshake(&target{host: host}, &hello{}, io.EOF, 2)
		found := regexp.MustCompile("`eaves rule add passthrough (.+)`").FindStringSubmatch(hint)
		if found == nil {
			t.Fatalf("%s: hint %q", host, hint)
		}
		p, err := hostpattern.Parse(found[1])
		if err != nil || !p.Match(host, 443) {
			t.Errorf("%s: %q: %v", host, found[1], err)
		}
	}
}
