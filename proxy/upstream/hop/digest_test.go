package hop

import (
	"strings"
	"testing"
)

func TestDigestRespondsAsTheRFCsDo(t *testing.T) {
	rfc7616 := func(algorithm string) string {
		return `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=` + algorithm +
			`, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
	}
	const cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	for name, c := range map[string]struct {
		challenge, user, password, uri, cnonce string
		want                                   []string
	}{
		"RFC 7616 3.9.1 MD5": {rfc7616("MD5"), "Mufasa", "Circle of Life", "/dir/index.html", cnonce,
			[]string{`response="8ca523f5e9506fed4657c9700eebdbec"`, `username="Mufasa"`, "qop=auth", "nc=00000001", "algorithm=MD5", `opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`}},
		"RFC 7616 3.9.1 SHA-256": {rfc7616("SHA-256"), "Mufasa", "Circle of Life", "/dir/index.html", cnonce,
			[]string{`response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`, "algorithm=SHA-256"}},
		"RFC 2617 3.5": {`Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b", []string{`response="6629fae49393a05397450978507c4ef1"`, `cnonce="0a4f113b"`}},
		"RFC 2069 2.4, as its errata have it": {`Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "CircleOfLife", "/dir/index.html", "unused", []string{`response="1949323746fe6a43ef61f9606e7febea"`}},
	} {
		t.Run(name, func(t *testing.T) {
			all := ParseChallenges([]string{c.challenge})
			d := &digest{user: c.user, cnonce: c.cnonce, count: 1}
			got, err := d.respond(&all[0], c.password, request{method: "GET", uri: c.uri})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("%s lacks %s", got, w)
				}
			}
		})
	}
}

func TestDigestForms(t *testing.T) {
	respond := func(challenge, user string, r request) (string, error) {
		all := ParseChallenges([]string{challenge})
		return (&digest{user: user, cnonce: "c", count: 7}).respond(&all[0], "pw", r)
	}
	connect := request{method: "CONNECT", uri: "a.test:443"}
	got, err := respond(`Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop=auth, userhash=true`, "Jäsøn", connect)
	if err != nil || !strings.Contains(got, "userhash=true") || strings.Contains(got, "J") || !strings.Contains(got, "nc=00000007") || !strings.Contains(got, "algorithm=SHA-256-sess") {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = respond(`Digest realm="r", nonce="n"`, "Jäsøn", connect); err != nil || !strings.Contains(got, "username*=UTF-8''J%C3%A4s%C3%B8n") {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = respond(`Digest realm="a\"b", nonce="n"`, `x"y\z`, connect); err != nil || !strings.Contains(got, `username="x\"y\\z", realm="a\"b"`) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = respond(`Digest nonce="n", qop="auth-int"`, "u", connect); err != nil || !strings.Contains(got, "qop=auth-int") {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{`Digest nonce="n", algorithm=SHA-1`, `Digest realm="r"`, `Digest nonce="n", qop="auth-conf"`} {
		if got, err := respond(bad, "u", connect); err == nil {
			t.Errorf("%s gave %s", bad, got)
		}
	}
	if _, err := respond(`Digest nonce="n", qop="auth-int"`, "u", request{method: "POST", uri: "/", body: true}); err == nil {
		t.Error("auth-int cannot be given for a body that is not known yet")
	}
	// Of several challenges the strongest counts.
	all := ParseChallenges([]string{`Digest nonce=a, algorithm=MD5`, `Digest nonce=b, algorithm=SHA-256, Digest nonce=c, algorithm=NEW`})
	if c := pick(all, schemeDigest); c == nil || c.Params["nonce"] != "b" {
		t.Errorf("picked %+v", c)
	}
}
