package upstream

import (
	"strings"
	"testing"

	"eaves/proxy/upstream/hop"
)

// TestMend: what is advised changes what decided, with everything filled in that is known.
func TestMend(t *testing.T) {
	one := hop.Hop{Kind: hop.HTTP, Host: "p.test", Port: 3128}
	two := hop.Hop{Kind: hop.SOCKS5, Host: "::1", Port: 1080, Credentials: &hop.Credentials{User: "bob"}}
	for name, tt := range map[string]struct {
		route Route
		err   hop.Error
		want  string
	}{
		"rule":    {Route{Rule: "*.corp.test", Hops: []hop.Hop{one}}, hop.Error{Hop: one, Mend: hop.MendCredentials}, "the route *.corp.test decided (eaves route list), so one with the right ones goes in front of it: eaves route add '*.corp.test' --first --via http://p.test:3128 --user USER --password vault:NAME; eaves secret set NAME"},
		"default": {Route{Hops: []hop.Hop{one}}, hop.Error{Hop: one, Mend: hop.MendCredentials}, "eaves route add api.test --first --via http://p.test:3128 --user USER --password vault:NAME;"},
		"chain":   {Route{Hops: []hop.Hop{two, one}}, hop.Error{Hop: one, Index: 1, Mend: hop.MendCredentials}, "eaves route add api.test --first --via 'socks5://bob:vault:OTHER@[::1]:1080' --via http://USER:vault:NAME@p.test:3128;"},
		"asked":   {Route{Asked: true, Hops: []hop.Hop{one}}, hop.Error{Hop: one, Mend: hop.MendCredentials}, "in the proxy's URL: --via http://USER:vault:NAME@p.test:3128;"},
		"detour":  {Route{Rule: "*", Hops: []hop.Hop{one}}, hop.Error{Hop: one, Hint: "start it", Mend: hop.MendDetour}, "start it; eaves route add api.test --first --via direct goes round"},
		"nothing": {Route{Rule: "*", Hops: []hop.Hop{one}}, hop.Error{Hop: one, Hint: "start it"}, "start it"},
	} {
		if got := tt.route.mend(&tt.err, "api.test"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := (&Route{Asked: true}).mend(&hop.Error{Hint: "start it", Mend: hop.MendDetour}, "api.test"); got != "start it" {
		t.Errorf("asked: got %q", got)
	}
}
