package onboard

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// chromium opens a page, with a few seconds of its own time for the scripts, and returns what it printed.
func chromium(t *testing.T, url string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	// Not t.TempDir: the browser's last helpers may still write when it is removed, which would fail the test.
	profile, err := os.MkdirTemp("", "eaves-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + profile, "--virtual-time-budget=4000"}, args...)
	cmd := exec.CommandContext(ctx, program, append(args, url)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

// The check is made by a real browser in each of the states that a device can be in.
func TestLiveCheck(t *testing.T) {
	h, ca := newPage(t)
	proxy := interceptor(t, h, ca)
	through := []string{"--proxy-server=http://" + proxy, "--proxy-bypass-list=<-loopback>"}
	trusting := append([]string{"--ignore-certificate-errors-spki-list=" + ca.SPKIHash()}, through...)
	other, otherCA := newPage(t)
	stranger := interceptor(t, other, otherCA)
	for _, tc := range []struct {
		name, url          string
		args               []string
		proxy, certificate string
	}{
		{"neither", "http://" + proxy + "/", []string{"--no-proxy-server"}, "bad not yet", "wait once the proxy works"},
		{"proxy, by name", "http://eaves.test/", through, "good working", "bad not yet"},
		{"proxy, by address", "http://" + proxy + "/", through, "good working", "bad not yet"},
		{"both, by name", "http://eaves.test/", trusting, "good working", "good trusted"},
		{"both, by address", "http://" + proxy + "/", trusting, "good working", "good trusted"},
		{"both, over https", "https://eaves.test/", trusting, "good working", "good trusted"},
		// Another eaves answers, whose certificate is not the one on this page.
		{"another proxy", "http://" + proxy + "/", []string{"--proxy-server=http://" + stranger}, "bad not yet", "wait once the proxy works"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			page := chromium(t, tc.url, append([]string{"--dump-dom"}, tc.args...)...)
			for id, want := range map[string]string{"proxy": tc.proxy, "certificate": tc.certificate} {
				m := regexp.MustCompile(`<div id="` + id + `" data-state="([a-z]+)"><dt>[a-z]+</dt><dd>([^<]*)</dd>`).FindStringSubmatch(page)
				if m == nil {
					t.Fatalf("no %s in %.600s", id, page)
				}
				if got := m[1] + " " + m[2]; got != want {
					t.Errorf("%s: %s, want %s", id, got, want)
				}
			}
		})
	}
}

// The pictures are for people to look at.
func TestPictures(t *testing.T) {
	dir := os.Getenv("EAVES_TEST_PICTURES")
	if dir == "" {
		t.Skip("set EAVES_TEST_PICTURES to a directory to get pictures of the page")
	}
	h, ca := newPage(t, func(c *Config) {
		c.Addresses = func() []Address {
			return []Address{{"wlan0", "192.168.178.123:8484"}, {"eth0", "[2001:db8:1234:5678:9abc:def0:1234:5678]:8484"}}
		}
	})
	proxy := interceptor(t, h, ca)
	phone := "--user-agent=Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
	android := "--user-agent=Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"desktop-light", []string{"--window-size=1200,2000", "--blink-settings=preferredColorScheme=1"}},
		{"desktop-dark", []string{"--window-size=1200,2000", "--blink-settings=preferredColorScheme=0"}},
		{"phone-light", []string{"--window-size=375,2200", "--blink-settings=preferredColorScheme=1", phone}},
		{"phone-dark", []string{"--window-size=375,2200", "--blink-settings=preferredColorScheme=0", phone}},
		{"windows-narrow", []string{"--window-size=320,3000", "--blink-settings=preferredColorScheme=1", "--user-agent=Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"}},
		{"android-zoom", []string{"--window-size=750,4000", "--force-device-scale-factor=2", "--blink-settings=preferredColorScheme=1", android}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(dir, tc.name+".png")
			chromium(t, "http://eaves.test/", append([]string{"--screenshot=" + file, "--proxy-server=http://" + proxy, "--ignore-certificate-errors-spki-list=" + ca.SPKIHash()}, tc.args...)...)
			st, err := os.Stat(file)
			if err != nil || st.Size() < 10_000 {
				t.Errorf("no picture: %v", err)
			}
		})
	}
}

// A code in the picture of the page leads a phone to the page.
func TestCodeInThePictureCanBeRead(t *testing.T) {
	program, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("zbarimg is not installed")
	}
	h, ca := newPage(t, func(c *Config) {
		c.Addresses = func() []Address { return []Address{{"wlan0", "192.168.178.123:8484"}} }
	})
	proxy := interceptor(t, h, ca)
	for name, scheme := range map[string]string{"dark": "0", "light": "1"} {
		file := filepath.Join(t.TempDir(), "page.png")
		chromium(t, "http://eaves.test/", "--screenshot="+file, "--proxy-server=http://"+proxy, "--window-size=375,3000", "--blink-settings=preferredColorScheme="+scheme)
		out, err := exec.Command(program, "-q", "--raw", file).Output()
		if err != nil || strings.TrimSpace(string(out)) != "http://192.168.178.123:8484/" {
			t.Errorf("%s: read %q (%v)", name, out, err)
		}
	}
}
