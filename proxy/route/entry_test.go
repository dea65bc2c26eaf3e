package route

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"eaves/certs/mistake"
)

func TestEntry(t *testing.T) {
	e := Entry{ID: 3, Host: " *.corp.test:443 ", Via: []string{"HTTP://Proxy.Test:3128, socks5h://u:vault:corp@s"}, User: " CORP\\alice ", Password: "env:P", Schemes: []string{"NTLM", "", "ntlm"}}
	e.Normalize()
	if !slices.Equal(e.Via, []string{"http://proxy.test:3128", "socks5://u:vault:corp@s:1080"}) || e.Host != "*.corp.test:443" || e.User != `CORP\alice` || !slices.Equal(e.Schemes, []string{"ntlm"}) {
		t.Errorf("got %+v", e)
	}
	r, err := e.Rule()
	if err != nil || r.ID != 3 || r.Pattern.String() != "*.corp.test:443" || r.Way.Credentials.User != `CORP\alice` || len(r.Way.Via.all) != 2 || r.Way.Via.all[1].Password != "vault:corp" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, c := range []struct {
		entry       Entry
		field, want string
	}{
		{Entry{Host: "http://a", Via: []string{"direct"}}, "host", "host pattern"},
		{Entry{Host: "a"}, "via", "says no way"},
		{Entry{Host: "a", Via: []string{"gopher://x"}}, "via", `scheme "gopher"`},
		{Entry{Host: "a", Via: []string{"http://u:secret@p"}}, "via", "in clear"},
		{Entry{Host: "a", Via: []string{"pac+http://u:secret@p/x"}}, "via", "in clear"},
		{Entry{Host: "a", Via: []string{"direct"}, Password: "secret"}, "password", "not a reference"},
		{Entry{Host: "a", Via: []string{"direct"}, Schemes: []string{"oauth"}}, "schemes", `"oauth"`},
	} {
		c.entry.Normalize()
		err := c.entry.Validate()
		var m *mistake.Error
		if !errors.As(err, &m) || m.Field != c.field || !strings.Contains(m.What, c.want) || strings.Contains(m.What+m.Next, "secret@") {
			t.Errorf("%+v: %v", c.entry, err)
		}
	}
	for _, d := range []Default{{UpstreamProxy: []string{"http://u:secret@p"}}, {Bypass: "a..b"}} {
		if _, _, err := d.Read(); err == nil {
			t.Errorf("%+v gave no error", d)
		}
	}
	if v, list, err := (&Default{UpstreamProxy: []string{"http://p:1", "http://q:2"}, Bypass: ".lan"}).Read(); err != nil || v.String() != "http://p:1, http://q:2" || list.String() != ".lan" {
		t.Errorf("%s, %s, %v", v, list, err)
	}
}
