package route

import (
	"strings"
	"testing"
)

func TestParseVia(t *testing.T) {
	for _, c := range []struct {
		list  []string
		shown string
	}{
		{nil, "direct"},
		{[]string{""}, "direct"},
		{[]string{"none"}, "direct"},
		{[]string{"DIRECT"}, "direct"},
		{[]string{"system"}, "system"},
		{[]string{"pac+http://u:secret@wpad/a.pac?k=secret,x"}, "pac+http://wpad/a.pac"},
		{[]string{"PAC+file:///etc/a.pac"}, "pac+/etc/a.pac"},
		{[]string{"pac+a.pac"}, "pac+a.pac"},
		{[]string{"http://a:1", "socks5://b"}, "http://a:1, socks5://b:1080"},
		{[]string{"http://a:1,socks5://u:secret@b"}, "http://a:1, socks5://u@b:1080"},
		{[]string{"http=http://a:1;https=b:2"}, "http=http://a:1, https=http://b:2"},
		{[]string{"https=a:1", "https=b:2", "socks=c"}, "https=http://a:1, https=http://b:2, socks=socks4a://c:1080"},
	} {
		v, err := ParseVia(c.list...)
		if err != nil || v.String() != c.shown {
			t.Errorf("%q: %q, %v", c.list, v, err)
		}
	}
	for text, want := range map[string]string{
		"system,http://a":               "system stands alone",
		"http://a,none":                 "none stands alone",
		"pac+":                          "PAC file: names no PAC file",
		"pac+ftp://u:secret@x/y":        `PAC file: scheme "ftp"`,
		"gopher://a":                    `proxy URL: scheme "gopher"`,
		"http://a;https=http://b":       "either one chain",
		"https=http://b,http://a":       "either one chain",
		"http://u:secret@a,http://b:x1": "port",
	} {
		if _, err := ParseVia(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := ParseVia("http://a", "pac+http://u:secret@x/y"); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "a PAC file stands alone") {
		t.Errorf("a PAC file in a chain: %v", err)
	}
}

func TestChainForScheme(t *testing.T) {
	v, err := ParseVia("http=a:1;socks=s:2")
	if err != nil {
		t.Fatal(err)
	}
	for scheme, want := range map[string]string{"http": "http://a:1", "https": "socks4a://s:2", "tcp": "socks4a://s:2"} {
		if list := v.chain(scheme); len(list) != 1 || list[0].String() != want {
			t.Errorf("%s: %v", scheme, list)
		}
	}
	v, err = ParseVia("https=a:1")
	if err != nil || len(v.chain("http")) != 0 || len(v.chain("tcp")) != 1 {
		t.Errorf("https alone: %v, %v, %v", v.chain("http"), v.chain("tcp"), err)
	}
}

func TestPasswordsInClearAreWarnedOf(t *testing.T) {
	v, err := ParseVia("http://alice:secret@p:1", "http://bob:vault:corp@q:1", "socks5://r")
	if err != nil {
		t.Fatal(err)
	}
	list := v.Warnings()
	if len(list) != 1 || !strings.Contains(list[0], "http://alice@p:1") || !strings.Contains(list[0], "http://alice:env:NAME@p:1") || strings.Contains(list[0], "secret") {
		t.Errorf("%q", list)
	}
}
