package route

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"eaves/proxy/route/pac"
)

type mode uint8

const (
	direct mode = iota
	system
	script
	proxies
)

// Via is a way as users name it: "direct" (or "none"), "system", "pac+URL", or proxies in order. The zero Via is direct.
type Via struct {
	mode mode
	pac  pac.Location
	// all is the chain for every request, or byScheme those for http, https and, for what has none there, socks.
	all      []Proxy
	byScheme map[string][]Proxy
}

// ParseVia reads a way. Several proxies, in one text with commas or in several, are a chain, the nearest first; in the
// style "http=URL;https=URL", which repeats as well, each scheme has a chain of its own. Nothing at all means direct.
func ParseVia(list ...string) (Via, error) {
	var v Via
	var texts []string
	for _, item := range list {
		item = strings.TrimSpace(item)
		if _, ok := cutFold(item, "pac+"); ok { // its URL may hold commas
			texts = append(texts, item)
			continue
		}
		for _, text := range strings.FieldsFunc(item, func(r rune) bool { return r == ',' || r == ';' }) {
			if text = strings.TrimSpace(text); text != "" {
				texts = append(texts, text)
			}
		}
	}
	for _, text := range texts {
		word := strings.ToLower(text)
		location, isPAC := cutFold(text, "pac+")
		switch {
		case word == "direct", word == "none", word == "system", isPAC:
			if len(texts) > 1 {
				return Via{}, fmt.Errorf("%s stands alone: only proxies make a chain", name(text, isPAC))
			}
		}
		switch {
		case word == "direct", word == "none":
			return Via{}, nil
		case word == "system":
			return Via{mode: system}, nil
		case isPAC:
			l, err := pac.ParseLocation(location)
			if err != nil {
				return Via{}, fmt.Errorf("PAC file: %w", err)
			}
			return Via{mode: script, pac: l}, nil
		}
		if err := v.add(text); err != nil {
			return Via{}, err
		}
		v.mode = proxies
	}
	return v, nil
}

// name is how an error calls a way that stands alone: not with a URL, which may hold a password.
func name(text string, isPAC bool) string {
	if isPAC {
		return "a PAC file"
	}
	return text
}

// cutFold is strings.CutPrefix without case.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// add adds one proxy to the chain that its text belongs to.
func (v *Via) add(text string) error {
	scheme := ""
	for _, s := range []string{"http", "https", "socks"} {
		if rest, ok := cutFold(text, s+"="); ok {
			scheme, text = s, strings.TrimSpace(rest)
			if s == "socks" && !strings.Contains(text, "://") {
				text = "socks4://" + text // as Windows means it
			}
			break
		}
	}
	p, err := ParseProxy(text)
	if err != nil {
		return fmt.Errorf("proxy URL: %w", err)
	}
	if scheme == "" {
		v.all = append(v.all, p)
	} else {
		if v.byScheme == nil {
			v.byScheme = map[string][]Proxy{}
		}
		v.byScheme[scheme] = append(v.byScheme[scheme], p)
	}
	if len(v.all) > 0 && len(v.byScheme) > 0 {
		return errors.New("either one chain of proxies for everything, or one for each scheme (http=URL;https=URL)")
	}
	return nil
}

// chain returns the proxies for a request's scheme; what is not http goes as https does.
func (v Via) chain(scheme string) []Proxy {
	if v.byScheme == nil {
		return v.all
	}
	if scheme != "http" {
		scheme = "https"
	}
	if chain := v.byScheme[scheme]; len(chain) > 0 {
		return chain
	}
	return v.byScheme["socks"]
}

// Strings returns the way as it is shown: as ParseVia takes it, but without passwords.
func (v Via) Strings() []string { return v.texts(Proxy.String, v.pac.String()) }

// Texts returns the way as ParseVia takes it. Passwords that are references stand in it, others do not.
func (v Via) Texts() []string {
	location := v.pac.File
	if v.pac.URL != "" {
		location = v.pac.URL
	}
	return v.texts(Proxy.Text, location)
}

func (v Via) texts(text func(Proxy) string, location string) []string {
	switch v.mode {
	case direct:
		return []string{"direct"}
	case system:
		return []string{"system"}
	case script:
		return []string{"pac+" + location}
	}
	var texts []string
	for _, p := range v.all {
		texts = append(texts, text(p))
	}
	for _, scheme := range []string{"http", "https", "socks"} {
		for _, p := range v.byScheme[scheme] {
			texts = append(texts, scheme+"="+text(p))
		}
	}
	return texts
}

func (v Via) String() string { return strings.Join(v.Strings(), ", ") }

// Direct says that the way leads through no proxy.
func (v Via) Direct() bool { return v.mode == direct }

// proxies are all of them.
func (v Via) proxies() []Proxy {
	return slices.Concat(v.all, v.byScheme["http"], v.byScheme["https"], v.byScheme["socks"])
}

var errInClear = errors.New("a password in clear")

// kept says whether the way can be kept in a file: errInClear with the URL as it could, where a password stands in it.
func (v Via) kept() (better string, err error) {
	for _, p := range v.proxies() {
		if p.Password != "" && !p.Reference {
			return p.withReference(), errInClear
		}
	}
	if u, err := url.Parse(v.pac.URL); err == nil {
		if _, set := u.User.Password(); set {
			return "pac+" + v.pac.String(), errInClear
		}
	}
	return "", nil
}

// withReference is the proxy's URL as it could be.
func (p Proxy) withReference() string {
	p.Password, p.Reference = "env:NAME", true
	return p.Text()
}

// References are the references to passwords in the proxies' URLs.
func (v Via) References() []string {
	var list []string
	for _, p := range v.proxies() {
		if p.Reference {
			list = append(list, p.Password)
		}
	}
	return list
}

// Script is where the PAC file is that the way is left to.
func (v Via) Script() (l pac.Location, ok bool) { return v.pac, v.mode == script }

// HasPassword says that one of the proxies has a password, or a reference to one.
func (v Via) HasPassword() bool {
	return slices.ContainsFunc(v.proxies(), func(p Proxy) bool { return p.Password != "" })
}

// Warnings says what in the way had better be otherwise.
func (v Via) Warnings() []string {
	var list []string
	for _, p := range v.proxies() {
		if p.Password != "" && !p.Reference {
			list = append(list, fmt.Sprintf("the password of %s stands in clear, where other users and backups may see it: put a reference in its place, such as %s",
				p, p.withReference()))
		}
	}
	return list
}
