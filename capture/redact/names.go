package redact

import "strings"

// urlHeaders are those whose value is a URL or has some in it.
var urlHeaders = map[string]bool{"location": true, "content-location": true, "referer": true, "refresh": true, "link": true, "destination": true, "origin": true,
	"x-original-url": true, "x-rewrite-url": true, "x-forwarded-uri": true, "x-forwarded-url": true, "x-url": true, "ping-to": true, "ping-from": true, ":path": true,
	"alt-svc": true, "sourcemap": true, "x-sourcemap": true, "hx-current-url": true, "hx-redirect": true, "hx-push-url": true, "turbo-location": true}

// plainHeaders have a word in their name that others have for secrets.
var plainHeaders = map[string]bool{"sec-websocket-key": true, "sec-websocket-accept": true, "idempotency-key": true, "x-idempotency-key": true, "surrogate-key": true,
	"www-authenticate": true, "proxy-authenticate": true, "strict-transport-security": true, "sec-token-binding": true, "signature-input": true, "authentication-results": true, "accept-signature": true}

// words that make a name a secret's wherever they stand in it as a word.
var words = map[string]bool{"token": true, "tokens": true, "secret": true, "secrets": true, "password": true, "passwd": true, "passphrase": true, "pwd": true,
	"session": true, "sessionid": true, "sessid": true, "jsessionid": true, "phpsessid": true, "aspsessionid": true, "sid": true, "auth": true, "authn": true,
	"authorization": true, "authentication": true, "credential": true, "credentials": true, "signature": true, "sig": true, "hmac": true, "jwt": true, "apikey": true, "appkey": true,
	"accesskey": true, "secretkey": true, "privatekey": true, "authkey": true, "authtoken": true, "accesstoken": true, "idtoken": true, "refreshtoken": true,
	"csrf": true, "xsrf": true, "csrftoken": true, "xsrftoken": true, "otp": true, "totp": true, "pin": true, "bearer": true, "cookie": true, "cookie2": true, "assertion": true}

// keyOwners make the word key behind them a secret's.
var keyOwners = map[string]bool{"api": true, "app": true, "access": true, "secret": true, "private": true, "auth": true, "subscription": true, "functions": true,
	"master": true, "admin": true, "account": true, "license": true, "encryption": true, "sas": true, "service": true, "server": true, "client": true, "consumer": true,
	"user": true, "storage": true, "signing": true, "publishable": true, "write": true, "read": true}

// parameters that are secrets as a whole name, though their words are not.
var parameters = map[string]bool{"key": true, "pass": true, "pw": true, "samlresponse": true, "samlrequest": true, "ticket": true, "x-amz-credential": true, "se-sig": true,
	"access_key_id": true, "awsaccesskeyid": true, "clientsecret": true, "sessionkey": true}

// splitWords takes a name such as X-Api-Key, api_key or apiKey apart, in lower case.
func splitWords(name string) []string {
	var b strings.Builder
	lower := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if lower {
				b.WriteByte(' ')
			}
			b.WriteByte(c | 0x20)
			lower = false
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteByte(c)
			lower = true
		default:
			b.WriteByte(' ')
			lower = false
		}
	}
	return strings.Fields(b.String())
}

// secretName says whether a name is one that secrets have.
func secretName(name string) bool {
	split := splitWords(name)
	for i, word := range split {
		if words[word] || i > 0 && (word == "key" || word == "keys") && keyOwners[split[i-1]] {
			return true
		}
	}
	// Names that are written without any boundary, such as APIKEY or ACCESSTOKEN.
	joined := strings.Join(split, "")
	return words[joined]
}

// secretHeader expects a name in lower case.
func secretHeader(name string) bool {
	return !plainHeaders[name] && !strings.HasPrefix(name, "access-control-") && !strings.HasPrefix(name, "sec-fetch-") && !strings.Contains(name, "ratelimit") && secretName(name)
}

func secretParameter(name string) bool {
	low := strings.ToLower(name)
	return parameters[low] || secretName(name)
}
