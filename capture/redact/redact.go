// Package redact knows what counts as a secret in an exchange's head, and masks it.
//
// # What is masked
//
//   - Authorization and Proxy-Authorization (their scheme stays), the tokens of Negotiate and NTLM challenges
//   - the values of Cookie and Set-Cookie (names and attributes stay)
//   - headers whose name says key, token, secret, password, session, credential or signature, as API keys have it
//   - in URLs, also those in Location, Referer and their like: userinfo, and query, path and fragment parameters with
//     such names, and the OAuth code
//   - JSON Web Tokens anywhere in a header's value or a URL
//
// Bodies and messages are not masked: whoever exports them exports what is in them.
//
// # Masks
//
// A mask is redacted- and a fingerprint: an HMAC of the secret. Equal secrets have equal masks, so that one can still see
// that two requests had the same session, and without the key nobody can try out which secret it was.
package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"eaves/capture"
)

// Redactor masks secrets. It is safe for concurrent use.
type Redactor struct {
	key []byte
}

// New returns a Redactor with a key of its own: its masks can be compared with each other only.
func New() *Redactor {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	return &Redactor{key}
}

const prefix = "redacted-"

// Mask returns the mask for a secret; an empty one stays empty.
func (r *Redactor) Mask(secret string) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(secret))
	// 48 bits: collisions are unlikely among the secrets of a capture.
	return prefix + hex.EncodeToString(mac.Sum(nil)[:6])
}

// Exchange returns a copy of x with its secrets masked; x stays as it is.
func (r *Redactor) Exchange(x *capture.Exchange) *capture.Exchange {
	y := *x
	y.Request = *r.request(&x.Request)
	y.Response = r.response(x.Response)
	y.Client.Request = r.request(x.Client.Request)
	y.Client.Response = r.response(x.Client.Response)
	if x.Route != nil {
		route := *x.Route
		route.Reason = r.URL(route.Reason) // which may name a proxy with its credentials
		route.Hops = append([]capture.Hop(nil), route.Hops...)
		for i := range route.Hops {
			h := &route.Hops[i]
			h.Address, h.Error, h.ResponseHeader = r.URL(h.Address), r.URL(h.Error), r.Header(h.ResponseHeader)
		}
		y.Route = &route
	}
	if x.Error != nil {
		e := *x.Error
		e.Message, e.Hint = r.URL(e.Message), r.URL(e.Hint)
		y.Error = &e
	}
	return &y
}

func (r *Redactor) request(q *capture.Request) *capture.Request {
	if q == nil {
		return nil
	}
	c := *q
	c.URL, c.Target = r.URL(q.URL), r.URL(q.Target)
	c.Header, c.Trailer = r.Header(q.Header), r.Header(q.Trailer)
	return &c
}

func (r *Redactor) response(p *capture.Response) *capture.Response {
	if p == nil {
		return nil
	}
	c := *p
	c.Header, c.Trailer = r.Header(p.Header), r.Header(p.Trailer)
	c.Informational = nil
	for _, i := range p.Informational {
		i.Header = r.Header(i.Header)
		c.Informational = append(c.Informational, i)
	}
	return &c
}

// Header returns a copy of h with its secrets masked.
func (r *Redactor) Header(h capture.Header) capture.Header {
	if h == nil {
		return nil
	}
	c := make(capture.Header, len(h))
	for i, f := range h {
		c[i] = capture.Field{Name: f.Name, Value: r.Value(f.Name, f.Value)}
	}
	return c
}

// Value masks the secrets in a header field's value.
func (r *Redactor) Value(name, value string) string {
	name = strings.ToLower(name)
	switch name {
	case "authorization", "proxy-authorization":
		return r.credentials(value)
	case "www-authenticate", "proxy-authenticate":
		return challengeToken.ReplaceAllStringFunc(value, r.credentials)
	case "authentication-info", "proxy-authentication-info":
		return r.Mask(value)
	case "cookie":
		return r.cookies(value)
	case "set-cookie":
		pair, attributes, more := strings.Cut(value, ";")
		pair = r.cookie(pair)
		if more {
			pair += ";" + attributes
		}
		return pair
	case "sec-websocket-protocol":
		return r.protocols(value)
	}
	if secretHeader(name) {
		if scheme, _, ok := strings.Cut(value, " "); ok && schemes[strings.ToLower(scheme)] {
			return r.credentials(value)
		}
		return r.Mask(value)
	}
	if urlHeaders[name] {
		return r.URL(value)
	}
	return r.tokens(value)
}

// challengeToken is a challenge that carries a token of the handshake (RFC 4559, 4).
var challengeToken = regexp.MustCompile(`(?i)\b(?:negotiate|ntlm) +[a-z0-9+/=_.~-]+`)

// schemes of authentication whose names may be shown; anything else before a space could be half a secret.
var schemes = map[string]bool{"basic": true, "bearer": true, "digest": true, "ntlm": true, "negotiate": true, "kerberos": true, "token": true, "apikey": true,
	"aws4-hmac-sha256": true, "aws4-ecdsa-p256-sha256": true, "dpop": true, "hawk": true, "hmac": true, "hoba": true, "mutual": true, "oauth": true, "gnap": true,
	"scram-sha-1": true, "scram-sha-256": true, "signature": true, "sharedkey": true, "sharedaccesssignature": true, "vapid": true, "privatetoken": true}

func (r *Redactor) credentials(value string) string {
	scheme, secret, ok := strings.Cut(value, " ")
	if schemes[strings.ToLower(value)] {
		return value
	}
	if !ok || !schemes[strings.ToLower(scheme)] {
		return r.Mask(value)
	}
	return scheme + " " + r.Mask(strings.TrimSpace(secret))
}

func (r *Redactor) cookies(value string) string {
	pairs := strings.Split(value, ";")
	for i, pair := range pairs {
		pairs[i] = r.cookie(pair)
	}
	return strings.Join(pairs, ";")
}

func (r *Redactor) cookie(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		// A pair without a name is all value (RFC 6265bis, 5.6).
		space := pair[:len(pair)-len(strings.TrimLeft(pair, " "))]
		return space + r.Mask(strings.TrimSpace(pair))
	}
	return name + "=" + r.Mask(strings.Trim(strings.TrimSpace(value), `"`))
}

// protocols masks what is too long for a subprotocol's name: browsers have no other place for a token.
func (r *Redactor) protocols(value string) string {
	names := strings.Split(value, ",")
	for i, name := range names {
		trimmed := strings.TrimSpace(name)
		if len(trimmed) > 40 {
			names[i] = strings.Replace(name, trimmed, r.Mask(trimmed), 1)
		}
	}
	return strings.Join(names, ",")
}

// jwt is a JSON Web Token (RFC 7519) or its encrypted form: base64url parts, the first of which is a JSON object.
var jwt = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}`)

func (r *Redactor) tokens(s string) string {
	if !strings.Contains(s, "eyJ") {
		return s
	}
	return jwt.ReplaceAllStringFunc(s, r.Mask)
}
