package hop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/proxy/upstream/hop/hoptest"
)

// via is a hop that runs.
func via(p *hoptest.Proxy, kind Kind, c *Credentials) Hop {
	return Hop{Kind: kind, Host: p.Host, Port: p.Port, Credentials: c}
}

func alice(schemes ...string) *Credentials { return fixed(hoptest.User, hoptest.Password, schemes...) }

// reaches checks that an origin is reached, twice, and how the last proxy was convinced.
func reaches(t *testing.T, d *Dialer, want string, hops ...Hop) []capture.Hop {
	t.Helper()
	host, port := echo(t)
	var receipts []capture.Hop
	for range 2 {
		c, r, err := d.Dial(testContext(t), hops, host, port)
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, "hello through the proxy\n")
		c.Close()
		receipts = r
		if got := r[len(hops)-1].Authentication; got != want {
			t.Errorf("authentication %q, want %q", got, want)
		}
	}
	return receipts
}

func TestSquid(t *testing.T) {
	for _, scheme := range []string{"basic", "digest", "ntlm"} {
		t.Run(scheme, func(t *testing.T) {
			p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{scheme}})
			d := dialer(t)
			reaches(t, d, scheme, via(p, HTTP, alice()))
			if !strings.Contains(p.Log(), hoptest.User) {
				t.Errorf("squid does not know who it was:\n%s", p.Log())
			}
			e, _ := failed(t, d, via(p, HTTP, fixed(hoptest.User, "wrong-one")))
			says(t, e, scheme+": refused by the proxy")
			e, _ = failed(t, d, via(p, HTTP, nil))
			says(t, e, "wants authentication", scheme, "eaves route add")
		})
	}
	t.Run("ntlm that closes", func(t *testing.T) {
		p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"ntlm"}, CloseNTLM: true})
		reaches(t, dialer(t), "ntlm", via(p, HTTP, fixed(hoptest.Domain+`\`+hoptest.User, hoptest.Password)))
	})
	t.Run("no authentication", func(t *testing.T) {
		p := hoptest.Squid(t, hoptest.SquidOptions{})
		reaches(t, dialer(t), "none", via(p, HTTP, alice()))
		_, receipts, err := dialer(t).Dial(testContext(t), []Hop{via(p, HTTP, nil)}, "127.0.0.1", hoptest.FreePort(t))
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		says(t, e, "could not connect to 127.0.0.1:", "503 Service Unavailable (ERR_CONNECT_FAIL 111)")
		if receipts[0].Status != 503 || receipts[0].ResponseHeader.Get("X-Squid-Error") == "" {
			t.Errorf("receipt %+v", receipts[0])
		}
	})
}

// located is a hop by the name that its Kerberos principal has.
func located(p *hoptest.Proxy, c *Credentials) Hop {
	return Hop{Kind: HTTP, Host: "localhost", Port: p.Port, Credentials: c}
}

func TestKerberos(t *testing.T) {
	realm := hoptest.NewRealm(t)
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KRB5_CONFIG", filepath.Join(t.TempDir(), "none"))
	p := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"negotiate", "ntlm", "digest", "basic"}, Realm: realm})
	for name, c := range map[string]*Credentials{
		"cache":        {ID: "cache", CCache: "FILE:" + realm.Cache, Krb5Conf: realm.Config},
		"keytab":       {ID: "keytab", User: hoptest.User, Keytab: realm.UserKeytab, Krb5Conf: realm.Config},
		"keytab alone": {ID: "keytab alone", Keytab: realm.UserKeytab, Krb5Conf: realm.Config},
		"password":     {ID: "password", User: hoptest.User + "@" + hoptest.RealmName, Password: alice().Password, Krb5Conf: realm.Config},
	} {
		t.Run(name, func(t *testing.T) {
			reaches(t, dialer(t), "negotiate", located(p, c))
			if !strings.Contains(p.Log(), hoptest.User+"@"+hoptest.RealmName) {
				t.Errorf("squid does not know who it was:\n%s", p.Log())
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("KRB5CCNAME", "FILE:"+realm.Cache)
		t.Setenv("KRB5_CONFIG", realm.Config)
		reaches(t, dialer(t), "negotiate", located(p, &Credentials{ID: "environment"}))
	})
	// Where there is no ticket the next scheme is taken.
	t.Run("falls to NTLM", func(t *testing.T) {
		reaches(t, dialer(t), "ntlm", located(p, alice()))
		wrong := &Credentials{ID: "wrong service", User: hoptest.User, Password: alice().Password, Krb5Conf: realm.Config, ServiceName: "HTTP/elsewhere"}
		reaches(t, dialer(t), "ntlm", located(p, wrong))
	})
	for _, only := range []string{"digest", "basic", "ntlm"} {
		t.Run("only "+only, func(t *testing.T) { reaches(t, dialer(t), only, located(p, alice(only))) })
	}
	t.Run("failures", func(t *testing.T) {
		for want, c := range map[string]*Credentials{
			"run kinit":                       {ID: "1", CCache: "/nonexistent/cc", Krb5Conf: realm.Config},
			"of kind KCM cannot be read":      {ID: "2", CCache: "KCM:0", Krb5Conf: realm.Config},
			"knows no service HTTP/elsewhere": {ID: "3", CCache: realm.Cache, Krb5Conf: realm.Config, ServiceName: "HTTP/elsewhere"},
			"refused this user's password":    {ID: "4", User: hoptest.User, Password: fixed("", "wrong-one").Password, Krb5Conf: realm.Config, Schemes: []string{"negotiate"}},
			"does not know this user":         {ID: "5", User: "bob", Password: fixed("", "wrong-one").Password, Krb5Conf: realm.Config, Schemes: []string{"negotiate"}},
			"is malformed":                    {ID: "6", CCache: garbage(t), Krb5Conf: realm.Config},
		} {
			e, _ := failed(t, dialer(t), located(p, c))
			says(t, e, want)
		}
		realm.Stop()
		e, _ := failed(t, dialer(t), located(p, &Credentials{ID: "7", User: hoptest.User, Password: alice().Password, Krb5Conf: realm.Config, Schemes: []string{"negotiate"}}))
		says(t, e, "KDC cannot be reached")
	})
}

func garbage(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "cc")
	if err := os.WriteFile(name, []byte{5}, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNTLMWithinNegotiate(t *testing.T) {
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	p := hoptest.NewNTLMProxy(t, "Negotiate")
	reaches(t, dialer(t), "negotiate", via(p.Proxy, HTTP, fixed(hoptest.Domain+`\`+hoptest.User, hoptest.Password)))
	if got := fmt.Sprint(p.Users()); got != `[STUDY\alice STUDY\alice]` {
		t.Errorf("users %s", got)
	}
	// The second connection began with the first message at once.
	if p.Requests.Load() != 5 {
		t.Errorf("%d requests", p.Requests.Load())
	}
	e, _ := failed(t, dialer(t), via(p.Proxy, HTTP, fixed(hoptest.User, "wrong-one")))
	says(t, e, "negotiate with NTLM")
}

func TestTinyproxy(t *testing.T) {
	p := hoptest.Tinyproxy(t, false)
	d := dialer(t)
	reaches(t, d, "basic", via(p, HTTP, fixed(hoptest.User, hoptest.TinyproxyPassword)))
	e, _ := failed(t, d, via(p, HTTP, fixed(hoptest.User, "wrong-one")))
	says(t, e, "basic: refused by the proxy")
}

func TestDante(t *testing.T) {
	p := hoptest.Dante(t)
	for _, kind := range []Kind{SOCKS5, SOCKS4} {
		reaches(t, dialer(t), "none", via(p, kind, nil))
	}
	dead := hoptest.FreePort(t)
	_, _, err := dialer(t).Dial(testContext(t), []Hop{via(p, SOCKS5, nil)}, "127.0.0.1", dead)
	if err == nil || !strings.Contains(err.Error(), "connection refused (SOCKS5 5)") {
		t.Errorf("%v", err)
	}
	q := hoptest.DanteWithPassword(t)
	reaches(t, dialer(t), "password", via(q.Proxy, SOCKS5, fixed(q.User, q.Password)))
	e, _ := failed(t, dialer(t), via(q.Proxy, SOCKS5, fixed(q.User, "wrong-one")))
	says(t, e, "refused the password")
	e, _ = failed(t, dialer(t), via(q.Proxy, SOCKS5, nil))
	says(t, e, "wants authentication")
}

func TestChainOfRealProxies(t *testing.T) {
	cert, key, roots := pair(t)
	secured := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"digest"}, Certificate: cert, Key: key, Name: "secured.test"})
	ntlm := hoptest.NewNTLMProxy(t, "NTLM")
	plain := hoptest.Squid(t, hoptest.SquidOptions{Schemes: []string{"basic"}, Name: "plain.test"})
	d := dialer(t, func(c *Config) {
		c.TLS = func(ctx context.Context, h Hop, conn net.Conn) (net.Conn, *capture.TLS, error) {
			tc := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"http/1.1"}})
			if err := tc.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, nil, err
			}
			return tc, &capture.TLS{Version: tls.VersionName(tc.ConnectionState().Version)}, nil
		}
	})
	receipts := reaches(t, d, "basic", via(hoptest.Dante(t), SOCKS5, nil), via(secured, HTTPS, alice()), via(ntlm.Proxy, HTTP, alice()), via(plain, HTTP, alice()))
	var got []string
	for _, r := range receipts {
		got = append(got, r.Kind+"/"+r.Authentication)
	}
	if s := strings.Join(got, " "); s != "socks5/none https/digest http/ntlm http/basic origin/" || receipts[1].TLS == nil {
		t.Errorf("%s %+v", s, receipts)
	}
	roots = x509.NewCertPool()
	e, _ := failed(t, d, via(secured, HTTPS, alice()))
	says(t, e, "https proxy 127.0.0.1:", "unknown authority")
}

// pair makes files of a certificate for example.com, and the pool that trusts it.
func pair(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	cert, key = hoptest.Files(t, s.TLS.Certificates[0])
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return cert, key, roots
}
