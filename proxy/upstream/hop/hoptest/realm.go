package hoptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Realm is a Kerberos realm, STUDY.TEST, with the user alice and the service HTTP/localhost.
type Realm struct {
	// Config is its krb5.conf, Keytab the service's key, UserKeytab alice's, and Cache a ticket of alice.
	Config, Keytab, UserKeytab, Cache string
	kdc                               *Proxy
}

// RealmName is the realm's name.
const RealmName = "STUDY.TEST"

// NewRealm starts a KDC.
func NewRealm(t testing.TB) *Realm {
	t.Helper()
	kdc, util, admin, kinit := program(t, "krb5kdc"), program(t, "kdb5_util"), program(t, "kadmin.local"), program(t, "kinit")
	dir, port := Dir(t), FreePort(t)
	in := func(file string) string { return filepath.Join(dir, file) }
	r := &Realm{Config: in("krb5.conf"), Keytab: in("http.keytab"), UserKeytab: in("alice.keytab"), Cache: in("cc")}
	write(t, r.Config, fmt.Sprintf(`[libdefaults]
 default_realm = %s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
 udp_preference_limit = 1
 default_ccache_name = FILE:%s
[realms]
 %[1]s = {
  kdc = 127.0.0.1:%[3]d
 }
[domain_realm]
 localhost = %[1]s
`, RealmName, r.Cache, port))
	write(t, in("kdc.conf"), fmt.Sprintf(`[kdcdefaults]
 kdc_listen = 127.0.0.1:%d
 kdc_tcp_listen = 127.0.0.1:%[1]d
[realms]
 %s = {
  database_name = %s
  key_stash_file = %s
  acl_file = %s
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }
[logging]
 kdc = STDERR
`, port, RealmName, in("principal"), in("stash"), in("kadm5.acl")))
	env := []string{"KRB5_CONFIG=" + r.Config, "KRB5_KDC_PROFILE=" + in("kdc.conf"), "KRB5CCNAME=FILE:" + r.Cache}
	run := func(stdin, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("", util, "create", "-s", "-r", RealmName, "-P", "masterpw")
	run("", admin, "-q", `addprinc -pw "`+Password+`" `+User)
	run("", admin, "-q", "addprinc -randkey HTTP/localhost")
	run("", admin, "-q", "ktadd -k "+r.Keytab+" HTTP/localhost")
	run("", admin, "-q", "ktadd -norandkey -k "+r.UserKeytab+" "+User)
	r.kdc = start(t, dir, port, env, kdc, "-n")
	run(Password+"\n", kinit, User)
	return r
}

// Stop ends the KDC.
func (r *Realm) Stop() { r.kdc.Stop() }
