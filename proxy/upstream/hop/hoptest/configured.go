package hoptest

import (
	"path/filepath"
	"strconv"
	"testing"
)

// Configured starts a squid with a configuration of somebody else's. It has to listen at the port, and to keep what it
// needs in dir, which becomes squid's own. The hosts are names that lead to 127.0.0.1.
func Configured(t testing.TB, dir string, port int, conf string, hosts ...string) *Proxy {
	t.Helper()
	name := program(t, "squid")
	in := func(file string) string { return filepath.Join(dir, file) }
	known := "127.0.0.1 localhost\n"
	for _, h := range hosts {
		known += "127.0.0.1 " + h + "\n"
	}
	conf += lines("hosts_file "+write(t, in("hosts"), known), "dns_nameservers 127.0.0.1", "dns_timeout 1 second")
	file := write(t, in("squid.conf"), conf)
	give(t, dir, "proxy")
	return start(t, dir, port, nil, name, "-N", "-n", "lab"+strconv.Itoa(port), "-f", file)
}
