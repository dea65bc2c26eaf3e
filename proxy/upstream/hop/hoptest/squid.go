package hoptest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SquidOptions say what a squid is to want.
type SquidOptions struct {
	// Schemes are basic, digest, ntlm and negotiate, offered in this order; none: everybody may.
	Schemes []string
	// Realm has the proxy's key, for negotiate.
	Realm *Realm
	// CloseNTLM has the connection closed after the first 407, as old proxies do.
	CloseNTLM bool
	// Certificate and Key are files of PEM: TLS is then spoken with the proxy. ClientCA demands a client certificate.
	Certificate, Key, ClientCA string
	// Name is what the proxy calls itself in Via.
	Name string
	// Hosts are names that lead to 127.0.0.1.
	Hosts []string
	// Port is where it listens; 0: anywhere.
	Port int
	// More are lines of configuration, before those that let clients in.
	More []string
}

// squidRealm is Basic's and Digest's.
const squidRealm = "the study, upstairs"

// Squid starts a squid.
func Squid(t testing.TB, o SquidOptions) *Proxy {
	t.Helper()
	name := program(t, "squid")
	dir, port := Dir(t), o.Port
	if port == 0 {
		port = FreePort(t)
	}
	if o.Name == "" {
		o.Name = "squid.test"
	}
	in := func(file string) string { return filepath.Join(dir, file) }
	listen := fmt.Sprintf("http_port 127.0.0.1:%d", port)
	if o.Certificate != "" {
		listen = fmt.Sprintf("https_port 127.0.0.1:%d tls-cert=%s tls-key=%s", port, copied(t, dir, "tls.crt", o.Certificate), copied(t, dir, "tls.key", o.Key))
		if o.ClientCA != "" {
			listen += " clientca=" + copied(t, dir, "clients.crt", o.ClientCA)
		}
	}
	hosts := "127.0.0.1 localhost\n"
	for _, h := range o.Hosts {
		hosts += "127.0.0.1 " + h + "\n"
	}
	conf := []string{
		listen, "visible_hostname " + o.Name, "unique_hostname " + o.Name, "pid_filename " + in("squid.pid"), "access_log stdio:" + in("access.log"), "cache_log " + in("cache.log"),
		"cache deny all", "coredump_dir " + dir, "shutdown_lifetime 0 seconds", "dns_nameservers 127.0.0.1", "hosts_file " + write(t, in("hosts"), hosts),
		"pinger_enable off", "netdb_filename none", "buffered_logs off", "connect_timeout 5 seconds", "dns_timeout 1 second", "dns_retransmit_interval 1 second", "forward_timeout 10 seconds",
	}
	var env []string
	for _, s := range o.Schemes {
		lines, e := squidScheme(t, dir, s, o)
		conf, env = append(conf, lines...), append(env, e...)
	}
	conf = append(conf, o.More...)
	if len(o.Schemes) > 0 {
		conf = append(conf, "acl authed proxy_auth REQUIRED", "http_access allow authed", "http_access deny all")
	} else {
		conf = append(conf, "http_access allow all")
	}
	file := write(t, in("squid.conf"), lines(conf...))
	give(t, dir, "proxy")
	return start(t, dir, port, env, name, "-N", "-n", "hop"+fmt.Sprint(port), "-f", file)
}

// squidScheme is the configuration of a scheme.
func squidScheme(t testing.TB, dir, scheme string, o SquidOptions) (conf, env []string) {
	t.Helper()
	in := func(file string) string { return filepath.Join(dir, file) }
	helper := func(name string) string {
		p := filepath.Join("/usr/lib/squid", name)
		if !executable(p) {
			t.Skip("needs squid's " + name)
		}
		return p
	}
	switch scheme {
	case "basic":
		out, err := exec.Command(program(t, "openssl"), "passwd", "-apr1", Password).Output()
		if err != nil {
			t.Fatal(err)
		}
		write(t, in("basic.pw"), User+":"+string(out))
		conf = []string{"auth_param basic program " + helper("basic_ncsa_auth") + " " + in("basic.pw"), "auth_param basic children 2", "auth_param basic realm " + squidRealm}
	case "digest":
		sum := md5.Sum([]byte(User + ":" + squidRealm + ":" + Password))
		write(t, in("digest.pw"), User+":"+squidRealm+":"+hex.EncodeToString(sum[:])+"\n")
		conf = []string{"auth_param digest program " + helper("digest_file_auth") + " -c " + in("digest.pw"), "auth_param digest children 2", "auth_param digest realm " + squidRealm}
	case "ntlm":
		me, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		copyTo(t, in("helper"), me)
		write(t, in("ntlm.sh"), "#!/bin/sh\n"+helperVariable+"=1 exec "+in("helper")+"\n")
		if err := os.Chmod(in("ntlm.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
		conf = []string{"auth_param ntlm program " + in("ntlm.sh"), "auth_param ntlm children 4"}
		if o.CloseNTLM {
			conf = append(conf, "auth_param ntlm keep_alive off")
		}
	case "negotiate":
		conf = []string{"auth_param negotiate program " + helper("negotiate_kerberos_auth") + " -k " + copied(t, dir, "http.keytab", o.Realm.Keytab) + " -s GSS_C_NO_NAME", "auth_param negotiate children 4"}
		env = []string{"KRB5_CONFIG=" + copied(t, dir, "krb5.conf", o.Realm.Config), "KRB5RCACHETYPE=none"}
	default:
		t.Fatalf("squid has no scheme %q", scheme)
	}
	return conf, env
}

// copied puts a file where the proxy may read it.
func copied(t testing.TB, dir, name, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(dir, name), string(b))
}
