package hop

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	type params = map[string]string
	for _, c := range []struct {
		lines []string
		want  []Challenge
	}{
		{[]string{"Negotiate", "NTLM"}, []Challenge{{"negotiate", "", params{}}, {"ntlm", "", params{}}}},
		{[]string{"Negotiate, NTLM"}, []Challenge{{"negotiate", "", params{}}, {"ntlm", "", params{}}}},
		{[]string{"NTLM TlRMTVNTUAACAAAA=="}, []Challenge{{"ntlm", "TlRMTVNTUAACAAAA==", params{}}}},
		{[]string{`Basic realm="a, b", Digest realm="c \"d\"", qop="auth,auth-int", nonce=x , NTLM`}, []Challenge{
			{"basic", "", params{"realm": "a, b"}},
			{"digest", "", params{"realm": `c "d"`, "qop": "auth,auth-int", "nonce": "x"}},
			{"ntlm", "", params{}},
		}},
		// RFC 9110, 11.6.1.
		{[]string{`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`}, []Challenge{
			{"basic", "", params{"realm": "simple"}},
			{"newauth", "", params{"realm": "apps", "type": "1", "title": `Login to "apps"`}},
		}},
		{[]string{"Basic realm = x , Digest nonce\t=\t\"y\""}, []Challenge{{"basic", "", params{"realm": "x"}}, {"digest", "", params{"nonce": "y"}}}},
		{[]string{`,, Basic realm="unclosed, Digest x`}, []Challenge{{"basic", "", params{"realm": "unclosed, Digest x"}}}},
		{[]string{`realm="lost"`, "", " ", "=", "Bas ic/x"}, []Challenge{{"bas", "ic/x", params{}}}},
		// The first of two of a name counts, so that nothing that is appended overrides it.
		{[]string{`Digest nonce=a, NONCE=b`}, []Challenge{{"digest", "", params{"nonce": "a"}}}},
	} {
		if got := ParseChallenges(c.lines); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.lines, got, c.want)
		}
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Basic realm="a, b", Digest realm="c \"d\"", qop="auth,auth-int", nonce=x , NTLM`)
	f.Add("Negotiate abc==, NTLM,\\\",")
	f.Add(`Digest "`)
	f.Fuzz(func(t *testing.T, s string) {
		all := ParseChallenges([]string{s, s})
		if len(all) > maxChallenges {
			t.Fatalf("%d challenges", len(all))
		}
		for _, c := range all {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) {
				t.Errorf("scheme %q", c.Scheme)
			}
			if c.Token != "" && len(c.Params) > 0 && !strings.Contains(s, ",") {
				t.Errorf("%+v has both a token and parameters", c)
			}
		}
		// What is kept of a challenge can be read again, and says no more.
		kept := schemesOf(s)
		again := ParseChallenges([]string{kept})
		if len(again) > maxChallenges {
			t.Errorf("%q became %q", s, kept)
		}
	})
}
