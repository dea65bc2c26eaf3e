package hop

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strings"
)

// digest is RFC 7616, and RFC 2617 for those proxies that know no better.
type digest struct {
	user string
	// kept is the challenge that is answered, count how often it has been.
	kept  *Challenge
	count uint32
	// guessed says that the challenge is one of an earlier connection: a new one is then no refusal.
	guessed bool
	// cnonce is drawn at random; tests say it.
	cnonce string
}

func (*digest) bound() bool { return false }

func (d *digest) answer(ctx context.Context, c *Challenge, a *Auth, r request) (string, error) {
	if c != nil {
		stale := strings.EqualFold(c.Params["stale"], "true")
		if d.kept != nil && !stale && !d.guessed {
			return "", errRefused
		}
		d.kept, d.count, d.guessed = c, 0, false
	}
	if d.kept == nil {
		return "", errors.New("no Digest challenge came")
	}
	password, err := a.password(ctx)
	if err != nil {
		return "", err
	}
	d.count++
	return d.respond(d.kept, password, r)
}

// algorithm is the hash that a challenge names, nil where it is not known. strength orders them.
func algorithm(name string) (h func() hash.Hash, sess bool, strength int) {
	name, sess = strings.CutSuffix(strings.ToUpper(name), "-SESS")
	switch name {
	case "", "MD5":
		return md5.New, sess, 1
	case "SHA-256":
		return sha256.New, sess, 2
	case "SHA-512-256":
		return sha512.New512_256, sess, 3
	case "SHA-512":
		return sha512.New, sess, 4
	}
	return nil, sess, 0
}

// respond makes the value of Proxy-Authorization.
func (d *digest) respond(c *Challenge, password string, r request) (string, error) {
	newHash, sess, _ := algorithm(c.Params["algorithm"])
	if newHash == nil {
		return "", fmt.Errorf("the proxy wants the Digest algorithm %q, which is not known", c.Params["algorithm"])
	}
	sum := func(parts ...string) string {
		h := newHash()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	realm, nonce := c.Params["realm"], c.Params["nonce"]
	if nonce == "" {
		return "", errors.New("the proxy's Digest challenge has no nonce")
	}
	qop := ""
	if offered, ok := c.Params["qop"]; ok {
		for q := range strings.SplitSeq(offered, ",") {
			switch q = strings.ToLower(strings.TrimSpace(q)); {
			case q == "auth":
				qop = q
			case q == "auth-int" && qop == "" && !r.body:
				qop = q
			}
		}
		if qop == "" && strings.TrimSpace(offered) != "" {
			return "", fmt.Errorf("the proxy wants Digest with the quality of protection %q, which cannot be given for a request with a body", offered)
		}
	}
	cnonce := d.cnonce
	if cnonce == "" {
		var b [16]byte
		_, _ = rand.Read(b[:])
		cnonce = hex.EncodeToString(b[:])
	}
	a1 := sum(d.user, realm, password)
	if sess {
		a1 = sum(a1, nonce, cnonce)
	}
	a2 := sum(r.method, r.uri)
	if qop == "auth-int" {
		a2 = sum(r.method, r.uri, sum(""))
	}
	nc := fmt.Sprintf("%08x", d.count)
	var response string
	if qop == "" {
		response = sum(a1, nonce, a2)
	} else {
		response = sum(a1, nonce, nc, cnonce, qop, a2)
	}
	var b strings.Builder
	b.WriteString("Digest ")
	hashed := strings.EqualFold(c.Params["userhash"], "true")
	switch {
	case hashed:
		fmt.Fprintf(&b, "username=%s", quote(sum(d.user, realm)))
	case !isASCII(d.user):
		fmt.Fprintf(&b, "username*=UTF-8''%s", url.PathEscape(d.user)) // RFC 8187
	default:
		fmt.Fprintf(&b, "username=%s", quote(d.user))
	}
	fmt.Fprintf(&b, ", realm=%s, nonce=%s, uri=%s, response=%s", quote(realm), quote(nonce), quote(r.uri), quote(response))
	if v, ok := c.Params["algorithm"]; ok {
		fmt.Fprintf(&b, ", algorithm=%s", v)
	}
	if qop != "" {
		fmt.Fprintf(&b, ", qop=%s, nc=%s", qop, nc)
	}
	if qop != "" || sess {
		fmt.Fprintf(&b, ", cnonce=%s", quote(cnonce))
	}
	if v, ok := c.Params["opaque"]; ok {
		fmt.Fprintf(&b, ", opaque=%s", quote(v))
	}
	if hashed {
		b.WriteString(", userhash=true")
	}
	return b.String(), nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
