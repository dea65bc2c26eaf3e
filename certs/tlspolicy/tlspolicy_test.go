package tlspolicy

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"eaves/certs/mistake"
)

func entry(change func(*Entry)) Entry {
	e := Entry{ID: 1, Enabled: true, Host: "*.old.test"}
	change(&e)
	return e
}

func TestPolicy(t *testing.T) {
	off := false
	e := entry(func(e *Entry) {
		e.Min, e.Max, e.Ciphers = "TLSv1.0", "1.2", []string{"AES128-SHA", " tls_rsa_with_3des_ede_cbc_sha ", "AES128-SHA"}
		e.ALPN, e.Verify, e.ServerName, e.Renegotiation = []string{"http/1.1"}, &off, "Other.Test.", "freely"
	})
	e.Normalize()
	if !slices.Equal(e.Ciphers, []string{"TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"}) || e.Min != "1.0" || e.ServerName != "other.test" {
		t.Fatalf("normalised: %+v", e)
	}
	p, err := e.Policy()
	if err != nil {
		t.Fatal(err)
	}
	if p.Min != tls.VersionTLS10 || p.Max != tls.VersionTLS12 || !slices.Equal(p.Ciphers, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}) ||
		p.Renegotiation != tls.RenegotiateFreelyAsClient {
		t.Fatalf("got %+v", p)
	}
	on := true
	e.Verify = &on
	q, err := e.Policy()
	if err != nil || q.ID == p.ID {
		t.Fatalf("a changed policy has the id of the one before: %v", err)
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(*Entry)
		field, want string
	}{
		"nothing":       {func(*Entry) {}, "", "says nothing"},
		"host":          {func(e *Entry) { e.Host, e.Min = "a b", "1.2" }, "host", "host pattern"},
		"version":       {func(e *Entry) { e.Min = "0.9" }, "min", `"0.9"`},
		"max":           {func(e *Entry) { e.Max = "SSLv3" }, "max", "expected 1.0, 1.1, 1.2, 1.3"},
		"range":         {func(e *Entry) { e.Min, e.Max = "1.3", "1.2" }, "min", "no version"},
		"cipher":        {func(e *Entry) { e.Ciphers = []string{"DHE-RSA-AES128-SHA"} }, "ciphers", "no cipher suite that Go speaks"},
		"cipher of 1.3": {func(e *Entry) { e.Ciphers = []string{"TLS_AES_128_GCM_SHA256"} }, "ciphers", "cannot be chosen"},
		"only 1.3":      {func(e *Entry) { e.Min, e.Ciphers = "1.3", []string{"AES128-SHA"} }, "ciphers", "cannot be chosen"},
		"alpn":          {func(e *Entry) { e.ALPN = []string{"h3"} }, "alpn", "h2 and http/1.1"},
		"name":          {func(e *Entry) { e.ServerName = "*.a.test" }, "serverName", "not a host name"},
		"name and port": {func(e *Entry) { e.ServerName = "a.test:1" }, "serverName", "not a host name"},
		"renegotiation": {func(e *Entry) { e.Renegotiation = "always" }, "renegotiation", "never, once or freely"},
	} {
		t.Run(name, func(t *testing.T) {
			e := entry(c.change)
			e.Normalize()
			var m *mistake.Error
			if err := e.Validate(); !errors.As(err, &m) || m.Field != c.field || !strings.Contains(m.What, c.want) {
				t.Fatalf("got %#v", err)
			}
			if c.want == "no cipher suite that Go speaks" && !strings.Contains(m.Next, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") {
				t.Fatalf("the hint does not list what there is: %s", m.Next)
			}
		})
	}
}

func TestTheMostSpecificHoldsAsAWhole(t *testing.T) {
	table := NewTable([]Entry{
		{ID: 1, Enabled: true, Host: "*", Max: "1.1"},
		{ID: 2, Enabled: true, Host: "*.old.test", Min: "1.0"},
		{ID: 3, Enabled: true, Host: "a.old.test:8443", Max: "1.2"},
		{ID: 4, Enabled: false, Host: "a.old.test", Max: "1.3"},
		{ID: 5, Enabled: true, Host: "a b"},
	})
	for _, c := range []struct {
		host string
		port int
		id   int64
	}{{"a.old.test", 8443, 3}, {"A.Old.Test.", 443, 2}, {"old.test", 443, 1}, {"a.old.test.evil.test", 8443, 1}} {
		if p := table.For(c.host, c.port); p == nil || p.Entry.ID != c.id {
			t.Errorf("%s:%d: got %+v", c.host, c.port, p)
		}
	}
	if p := table.For("a.old.test", 8443); p.Min != 0 {
		t.Errorf("policies are mixed: %+v", p)
	}
	if p := NewTable(nil).For("a", 1); p != nil {
		t.Errorf("got %+v", p)
	}
}

// TestOldVersionsAlone: that only the highest version is said leaves a version to speak.
func TestOldVersionsAlone(t *testing.T) {
	for high, want := range map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS10, "1.2": 0, "1.3": 0} {
		e := Entry{ID: 1, Host: "old.test", Max: high}
		if p, err := e.Policy(); err != nil || p.Min != want {
			t.Errorf("at most %s: got %+v, %v", high, p, err)
		}
	}
}

// TestASuiteByBothItsNames is one suite.
func TestASuiteByBothItsNames(t *testing.T) {
	e := Entry{Ciphers: []string{"AES128-SHA", " TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"}}
	if e.Normalize(); len(e.Ciphers) != 1 || e.Ciphers[0] != "TLS_RSA_WITH_AES_128_CBC_SHA" {
		t.Errorf("got %q", e.Ciphers)
	}
}

// TestOpenSSLNames holds the computed names against those of openssl ciphers -stdname.
func TestOpenSSLNames(t *testing.T) {
	for iana, openssl := range map[string]string{
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA":            "ECDHE-RSA-AES256-SHA",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256":         "ECDHE-RSA-AES128-SHA256",
		"TLS_RSA_WITH_AES_256_GCM_SHA384":               "AES256-GCM-SHA384",
		"TLS_RSA_WITH_AES_128_CBC_SHA256":               "AES128-SHA256",
		"TLS_RSA_WITH_3DES_EDE_CBC_SHA":                 "DES-CBC3-SHA",
		"TLS_RSA_WITH_RC4_128_SHA":                      "RC4-SHA",
	} {
		if got := OpenSSLName(iana); got != openssl {
			t.Errorf("%s: got %s, want %s", iana, got, openssl)
		}
		if s := suite(openssl); s == nil || s.Name != iana {
			t.Errorf("%s: got %v", openssl, s)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("*.old.test", "1.0", "1.2", "AES128-SHA", "http/1.1", "a.test", "once")
	f.Fuzz(func(t *testing.T, host, low, high, cipher, alpn, name, renegotiation string) {
		e := Entry{ID: 1, Enabled: true, Host: host, Min: low, Max: high, Ciphers: []string{cipher}, ALPN: []string{alpn}, ServerName: name, Renegotiation: renegotiation}
		e.Normalize()
		first, err := e.Policy()
		if err != nil {
			var m *mistake.Error
			if !errors.As(err, &m) || m.What == "" {
				t.Fatalf("%v is no mistake", err)
			}
			return
		}
		e.Normalize()
		if again, err := e.Policy(); err != nil || again.ID != first.ID {
			t.Fatalf("normalising twice: %v", err)
		}
	})
}
