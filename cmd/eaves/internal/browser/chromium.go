package browser

import (
	"crypto/sha256"
	"encoding/base64"
)

// nowhere is a URL that Chromium refuses without asking anybody: port 1 is on its list of unsafe ports.
const nowhere = "http://127.0.0.1:1/"

// chromiumArgs returns Chromium's command line.
func chromiumArgs(cfg Config, profile string, root bool) []string {
	spki := sha256.Sum256(cfg.CA.RawSubjectPublicKeyInfo)
	args := []string{
		"--user-data-dir=" + profile,
		"--proxy-server=http://" + cfg.Proxy,
		// Without this, requests to localhost and loopback addresses go round the proxy.
		"--proxy-bypass-list=<-loopback>",
		// Chains that hold this key are accepted: eaves sends its authority along with each leaf. It counts only together
		// with a --user-data-dir.
		"--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(spki[:]),
		"--no-first-run",
		"--no-default-browser-check",
		// What the browser asks for on its own account would stand among the captures.
		"--disable-background-networking",
		"--disable-component-update",
		"--component-updater=url-source=" + nowhere,
		"--apps-gallery-update-url=" + nowhere,
		"--gaia-url=" + nowhere,
		"--disable-default-apps",
		"--disable-domain-reliability",
		"--disable-sync",
		"--disable-breakpad",
		"--disable-search-engine-choice-screen",
		"--disable-features=OptimizationHints,MediaRouter,Translate,CertificateTransparencyComponentUpdater,NetworkTimeServiceQuerying",
		"--metrics-recording-only",
		"--no-pings",
		// No questions of the system's keyring about an empty profile.
		"--password-store=basic",
		"--use-mock-keychain",
	}
	if root {
		args = append(args, "--no-sandbox")
	}
	return append(append(args, cfg.Args...), cfg.URL)
}
