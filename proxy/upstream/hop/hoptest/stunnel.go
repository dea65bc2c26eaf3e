package hoptest

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Stunnel starts a stunnel in front of a proxy, which makes it one that TLS is spoken with. The files are of PEM; where there
// is a clientCA, whoever has no certificate of it is let in by nobody.
func Stunnel(t testing.TB, p *Proxy, certificate, key, clientCA string) *Proxy {
	t.Helper()
	name := program(t, "stunnel")
	dir, port := Dir(t), FreePort(t)
	conf := fmt.Sprintf("foreground = yes\npid =\ndebug = notice\n[proxy]\naccept = 127.0.0.1:%d\nconnect = %s\ncert = %s\nkey = %s\n", port, p.Address(), certificate, key)
	if clientCA != "" {
		conf += fmt.Sprintf("CAfile = %s\nverifyChain = yes\nrequireCert = yes\n", clientCA)
	}
	return start(t, dir, port, nil, name, write(t, filepath.Join(dir, "stunnel.conf"), conf))
}
