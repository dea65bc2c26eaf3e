package wire

import (
	"net/http"
	"strings"
)

// Keep asks [HopByHop] and the Normalise functions to leave something in that is of one hop, because the next hop gets
// it too.
type Keep uint8

// What can be kept.
const (
	// KeepTrailers keeps "TE: trailers", without other members of TE.
	KeepTrailers Keep = 1 << iota
	// KeepUpgrade keeps Upgrade, and a Connection line that names it.
	KeepUpgrade
	// KeepProxyAuth keeps Proxy-Authenticate, Proxy-Authorization and Proxy-Authentication-Info.
	KeepProxyAuth
	// Closing keeps or makes "Connection: close": the connection ends behind this message.
	Closing
)

// HopByHop takes the fields of one hop out (RFC 9110, section 7.6.1): Connection and what it names, Keep-Alive,
// Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info, TE, Transfer-Encoding, Upgrade.
// Trailer stays. Connection cannot name a field away that a message is not the same without (Host, Content-Length,
// Authorization, Cookie, Forwarded …): no sender has a reason to, and attackers use it to make the next hop see another
// message.
func HopByHop(f Fields, keep ...Keep) (kept, removed Fields) {
	kept = hopByHop(f, join(keep), false, &removed)
	return kept, removed
}

func join(keep []Keep) (k Keep) {
	for _, one := range keep {
		k |= one
	}
	return k
}

// hopByHop returns a new list. removed, where it is not nil, gets what is not in it.
func hopByHop(f Fields, keep Keep, framing bool, removed *Fields) Fields {
	drop := func(one Field) {
		if removed != nil {
			*removed = append(*removed, one)
		}
	}
	var named []string
	for i := range f {
		if equal(f[i].Name, "connection") {
			named = appendTokens(named, f[i].Value)
		}
	}
	upgrade := keep&KeepUpgrade != 0 && f.Has("Upgrade") && f.HasToken("Connection", "upgrade")
	trailers := keep&KeepTrailers != 0 && f.HasToken("TE", "trailers")
	// options are what Connection has to say to the next hop.
	var options []string
	if keep&Closing != 0 {
		options = append(options, "close")
	}
	if upgrade {
		options = append(options, "upgrade")
	}
	if trailers {
		options = append(options, "te")
	}
	kept := make(Fields, 0, len(f)+2)
	said, teSaid := len(options) == 0, false
	for i := range f {
		one := f[i]
		switch hopName(one.Name) {
		case hopConnection:
			if said {
				drop(one)
				continue
			}
			said = true
			if !sameOptions(one.Value, options) {
				drop(one)
				one = Field{Name: one.Name, Value: strings.Join(spelt(options, named), ", ")}
			}
		case hopUpgrade:
			if !upgrade {
				drop(one)
				continue
			}
		case hopTE:
			if !trailers || teSaid {
				drop(one)
				continue
			}
			teSaid = true
			if !equal(one.Value, "trailers") {
				drop(one)
				one = Field{Name: one.Name, Value: "trailers"}
			}
		case hopProxyAuth:
			if keep&KeepProxyAuth == 0 {
				drop(one)
				continue
			}
		case hopFraming:
			if !framing {
				drop(one)
				continue
			}
		case hopOther:
			drop(one)
			continue
		default:
			if len(named) > 0 && has(named, one.Name) && !endToEnd(one.Name) {
				drop(one)
				continue
			}
		}
		kept = append(kept, one)
	}
	if !said {
		kept = append(kept, Field{Name: "Connection", Value: strings.Join(options, ", ")})
	}
	return kept
}

type hop uint8

const (
	notHop hop = iota
	hopConnection
	hopUpgrade
	hopTE
	hopProxyAuth
	hopFraming
	hopOther
)

func hopName(name string) hop {
	switch len(name) {
	case 2:
		if equal(name, "te") {
			return hopTE
		}
	case 7:
		if equal(name, "upgrade") {
			return hopUpgrade
		}
	case 10:
		if equal(name, "connection") {
			return hopConnection
		}
		if equal(name, "keep-alive") {
			return hopOther
		}
	case 16:
		if equal(name, "proxy-connection") {
			return hopOther
		}
	case 17:
		if equal(name, "transfer-encoding") {
			return hopFraming
		}
	case 18:
		if equal(name, "proxy-authenticate") {
			return hopProxyAuth
		}
	case 19:
		if equal(name, "proxy-authorization") {
			return hopProxyAuth
		}
	case 25:
		if equal(name, "proxy-authentication-info") {
			return hopProxyAuth
		}
	}
	return notHop
}

// appendTokens appends the members of a comma-separated list.
func appendTokens(to []string, list string) []string {
	for more := true; more; {
		var one string
		one, list, more = strings.Cut(list, ",")
		if one = trim(one); one != "" {
			to = append(to, one)
		}
	}
	return to
}

func has(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// SameEndToEnd says whether two lists have the same fields in the same order, fields of one hop aside.
func SameEndToEnd(a, b Fields) bool {
	i, j := 0, 0
	for {
		for i < len(a) && hopName(a[i].Name) != notHop {
			i++
		}
		for j < len(b) && hopName(b[j].Name) != notHop {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i].Name != b[j].Name || a[i].Value != b[j].Value {
			return false
		}
		i++
		j++
	}
}

// spelt returns options as they were written, in the order in which they were.
func spelt(options, written []string) []string {
	var out []string
	for _, w := range written {
		if has(options, w) && !has(out, w) {
			out = append(out, w)
		}
	}
	for _, o := range options {
		if !has(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// sameOptions says whether a Connection line says those options and nothing that would mislead the next hop: keep-alive
// beside an upgrade is what browsers send.
func sameOptions(value string, options []string) bool {
	got := appendTokens(nil, value)
	for _, o := range options {
		if !has(got, o) {
			return false
		}
	}
	for _, g := range got {
		if !has(options, g) && (!strings.EqualFold(g, "keep-alive") || has(options, "close")) {
			return false
		}
	}
	return true
}

// endToEnd says whether Connection must not name this field away.
func endToEnd(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Content-Disposition",
		"Content-Location", "Content-Language", "Cache-Control", "Pragma", "Expires", "Age", "Vary", "Date", "Etag",
		"Last-Modified", "Location", "Authorization", "Www-Authenticate", "Authentication-Info", "Cookie", "Set-Cookie",
		"Origin", "Referer", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Range",
		"If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Expect", "Max-Forwards",
		"Trailer", "Via", "Warning", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Forwarded-Port", "X-Real-Ip", "X-Api-Key", "Strict-Transport-Security", "Content-Security-Policy",
		"X-Frame-Options", "X-Content-Type-Options", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
		"Retry-After", "Server", "Allow", "Link":
		return true
	}
	return false
}
