package app

import (
	"fmt"
	"io"
	"strings"

	"eaves/cmd/eaves/internal/config"
)

// banner prints where everything is, and a line to try.
func (a *App) banner(w io.Writer, log func(string)) {
	ca := a.core.ca.CertificateFile()
	console := a.ConsoleURL()
	if a.cfg.Console == config.Off {
		console = "off"
	}
	proxy := "http://" + reachable(a.proxyAddr)
	fmt.Fprintf(w, "console  %s\n", console)
	fmt.Fprintf(w, "proxy    %s\n", proxy)
	fmt.Fprintf(w, "ca       %s\n", ca)
	fmt.Fprintf(w, "try      curl --proxy %s --cacert %s https://example.com/\n", proxy, shellQuote(ca))
	switch {
	case a.cfg.LAN:
		a.lanBanner(w, log)
	case !a.proxyAddr.Addr().IsLoopback():
		log("warning: the proxy listens on " + a.proxyAddr.String() + " for whoever reaches it; --lan lets private clients in only")
	}
	if path := a.core.keylogPath(); path != "" {
		log("warning: the TLS secrets of clients and servers are written to " + path + " (" + a.cfg.KeyLogBy + "): whoever reads it can decrypt this traffic")
	}
	if !a.consoleAddr.Addr().IsLoopback() {
		log("warning: the console listens on " + a.consoleAddr.String() + ": whoever sees its address with the token sees everything that is recorded")
	}
}

// shellQuote quotes a word for a shell where it needs that.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:=@%,\\", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 && !strings.Contains(s, `\`) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
