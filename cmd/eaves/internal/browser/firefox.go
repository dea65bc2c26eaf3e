package browser

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// firefoxEnv lets the profile's services.settings.server count; elsewhere than in tests Firefox does not let that address
// be changed, and asks it every few seconds.
func firefoxEnv() []string { return []string{"MOZ_REMOTE_SETTINGS_DEVTOOLS=1"} }

func firefoxArgs(cfg Config, profile string) []string {
	args := []string{"-no-remote", "-new-instance", "-profile", profile}
	return append(append(args, cfg.Args...), cfg.URL)
}

// prepareFirefox fills a new profile with settings and the authority.
func prepareFirefox(ctx context.Context, cfg Config, profile string) error {
	prefs, err := firefoxPrefs(cfg.Proxy)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), prefs, 0o600); err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	certutil, ok := nssCertutil()
	if !ok {
		if runtime.GOOS == "linux" {
			return &Error{message: "Firefox's profile cannot be told to trust the CA: certutil is missing", hint: "sudo apt install libnss3-tools"}
		}
		// Elsewhere Firefox reads the system's store (see firefoxPrefs).
		cfg.Say("Firefox trusts the CA if the system does: eaves ca install")
		return nil
	}
	file := filepath.Join(profile, "eaves-ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cfg.CA.Raw}), 0o600); err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	db := "sql:" + profile
	for _, args := range [][]string{
		{"-N", "--empty-password", "-d", db},
		{"-A", "-d", db, "-t", "C,,", "-n", "eaves", "-i", file},
	} {
		if out, err := exec.CommandContext(ctx, certutil, args...).CombinedOutput(); err != nil {
			return &Error{message: fmt.Sprintf("telling Firefox's profile to trust the CA: certutil %s: %v: %s", args[0], err, strings.Join(strings.Fields(string(out)), " ")), err: err}
		}
	}
	return nil
}

// nssCertutil finds certutil of the NSS tools; on Windows the name belongs to a program of the system.
func nssCertutil() (string, bool) {
	names := []string{"certutil"}
	switch runtime.GOOS {
	case "windows":
		return "", false
	case "darwin":
		names = append(names, "/opt/homebrew/opt/nss/bin/certutil", "/usr/local/opt/nss/bin/certutil")
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// firefoxPrefs returns the user.js of the profile.
func firefoxPrefs(proxy string) ([]byte, error) {
	host, port, err := net.SplitHostPort(proxy)
	if err != nil {
		return nil, fmt.Errorf("the proxy's address: %w", err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the proxy's port: %w", err)
	}
	prefs := map[string]any{
		"network.proxy.type":      1, // manual
		"network.proxy.http":      host,
		"network.proxy.http_port": n,
		"network.proxy.ssl":       host,
		"network.proxy.ssl_port":  n,
		// Without these two, requests to localhost go round the proxy.
		"network.proxy.no_proxies_on":             "",
		"network.proxy.allow_hijacking_localhost": true,
		// Where the profile has not got the authority itself, the system's store counts.
		"security.enterprise_roots.enabled": true,
		// What the browser asks for on its own account would stand among the captures.
		"app.normandy.enabled":         false,
		"app.update.auto":              false,
		"browser.aboutwelcome.enabled": false,
		"browser.newtabpage.activity-stream.feeds.section.topstories": false,
		"browser.newtabpage.activity-stream.showSponsored":            false,
		"browser.newtabpage.activity-stream.showSponsoredTopSites":    false,
		"browser.newtab.preload":                                      false,
		"browser.newtabpage.activity-stream.newtabWallpapers.enabled": false,
		"browser.newtabpage.enabled":                                  false,
		"browser.region.network.url":                                  "",
		"browser.safebrowsing.downloads.remote.enabled":               false,
		"browser.safebrowsing.malware.enabled":                        false,
		"browser.safebrowsing.phishing.enabled":                       false,
		"browser.search.update":                                       false,
		"browser.shell.checkDefaultBrowser":                           false,
		"browser.startup.homepage_override.mstone":                    "ignore",
		"datareporting.healthreport.uploadEnabled":                    false,
		"datareporting.usage.uploadEnabled":                           false,
		"extensions.systemAddon.update.enabled":                       false,
		"services.settings.server":                                    "data:,#none/v1",
		"toolkit.telemetry.server":                                    "",
		"datareporting.policy.dataSubmissionEnabled":                  false,
		"dom.push.connection.enabled":                                 false,
		"extensions.getAddons.cache.enabled":                          false,
		"extensions.update.enabled":                                   false,
		"media.gmp-manager.updateEnabled":                             false,
		"network.captive-portal-service.enabled":                      false,
		"network.connectivity-service.enabled":                        false,
		"network.dns.disablePrefetch":                                 true,
		"network.trr.mode":                                            5,
		"signon.management.page.breach-alerts.enabled":                false,
		"startup.homepage_welcome_url":                                "",
		"toolkit.telemetry.enabled":                                   false,
		"toolkit.telemetry.reportingpolicy.firstRun":                  false,
		"toolkit.telemetry.unified":                                   false,
		"browser.discovery.enabled":                                   false,
	}
	names := make([]string, 0, len(prefs))
	for name := range prefs {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		value, err := json.Marshal(prefs[name])
		if err != nil {
			return nil, fmt.Errorf("writing the profile: %w", err)
		}
		fmt.Fprintf(&b, "user_pref(%q, %s);\n", name, value)
	}
	return []byte(b.String()), nil
}
