package route

import (
	"strings"
	"testing"
)

func TestParseRegistry(t *testing.T) {
	for _, c := range []struct {
		values          values
		via, pac, notes string
		bypass          string
	}{
		{values{}, "direct", "", "", ""},
		{values{server: "p:8080"}, "direct", "", "", ""},
		{values{enable: true, server: "p:8080", override: "*.corp.test;192.168.*;<local>;https://intra*"}, "http://p:8080", "", "", "*.corp.test,192.168.*,<local>,intra*"},
		{values{enable: true, server: "http=a:1;https=b:2;ftp=c:3;socks=d:4"}, "http=http://a:1, https=http://b:2, socks=socks4a://d:4", "", "", ""},
		{values{enable: true, server: "p:1", override: "a..b;ok.test"}, "http://p:1", "", "exception left out", "ok.test"},
		{values{enable: true, server: "p:1", autoConfigURL: "http://wpad/w.dat"}, "direct", "http://wpad/w.dat", "", ""},
	} {
		s, err := parseRegistry(c.values)
		if err != nil {
			t.Errorf("%+v: %v", c.values, err)
			continue
		}
		if s.via.String() != c.via || s.pac.URL != c.pac || s.bypass.String() != c.bypass || !strings.Contains(strings.Join(s.notes, ";"), c.notes) {
			t.Errorf("%+v: %s, PAC %q, bypass %s, notes %q", c.values, s.via, s.pac.URL, s.bypass, s.notes)
		}
	}
	for _, v := range []values{{enable: true, server: "http://p:x"}, {autoConfigURL: "ftp://x/y"}} {
		if _, err := parseRegistry(v); err == nil {
			t.Errorf("%+v gave no error", v)
		}
	}
}

const scutilManual = `<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
    2 : intranet.corp.test
  }
  ExcludeSimpleHostnames : 1
  FTPPassive : 1
  HTTPEnable : 1
  HTTPPort : 8080
  HTTPProxy : proxy.corp.test
  HTTPSEnable : 1
  HTTPSPort : 8443
  HTTPSProxy : proxy.corp.test
  SOCKSEnable : 0
  SOCKSPort : 1080
  SOCKSProxy : old.corp.test
  __SCOPED__ : <dictionary> {
    en0 : <dictionary> {
      HTTPEnable : 0
      HTTPProxy : scoped.corp.test
    }
  }
}
`

func TestParseScutil(t *testing.T) {
	s, err := parseScutil(scutilManual)
	if err != nil {
		t.Fatal(err)
	}
	if s.via.String() != "http=http://proxy.corp.test:8080, https=http://proxy.corp.test:8443" || s.bypass.String() != "*.local,169.254.0.0/16,intranet.corp.test,<local>" || len(s.notes) > 0 {
		t.Errorf("%s, bypass %s, notes %q", s.via, s.bypass, s.notes)
	}
	for text, want := range map[string]string{
		"<dictionary> {\n  ProxyAutoConfigEnable : 1\n  ProxyAutoConfigURLString : http://wpad.corp.test/proxy.pac\n  HTTPEnable : 1\n  HTTPProxy : p\n}\n": "pac http://wpad.corp.test/proxy.pac",
		"<dictionary> {\n  HTTPEnable : 0\n  HTTPProxy : p\n}\n":                                 "direct",
		"<dictionary> {\n  SOCKSEnable : 1\n  SOCKSProxy : 2001:db8::1\n  SOCKSPort : 1081\n}\n": "socks=socks5://[2001:db8::1]:1081",
		"": "direct",
	} {
		s, err := parseScutil(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := s.via.String()
		if s.pac.URL != "" {
			got = "pac " + s.pac.URL
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzParseScutil(f *testing.F) {
	f.Add(scutilManual)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScutil(text)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
	})
}
