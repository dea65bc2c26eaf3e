package route

import (
	"fmt"
	"strings"

	"eaves/proxy/route/pac"
)

// values are the values below Internet Settings in which Windows keeps its proxy.
type values struct {
	enable                          bool
	server, override, autoConfigURL string
}

// parseRegistry reads them: ProxyServer is host:port for everything, or http=host:port;https=host:port;socks=host:port;
// ProxyOverride are exceptions, http:// in front of them allowed; AutoConfigURL comes first.
func parseRegistry(r values) (*settings, error) {
	s := &settings{origin: "Windows proxy settings"}
	if r.autoConfigURL != "" {
		l, err := pac.ParseLocation(r.autoConfigURL)
		if err != nil {
			return nil, fmt.Errorf("AutoConfigURL: %w", err)
		}
		s.pac = l
		return s, nil
	}
	if !r.enable || strings.TrimSpace(r.server) == "" {
		return s, nil
	}
	var items []string
	for _, item := range strings.FieldsFunc(r.server, func(c rune) bool { return c == ';' || c == ' ' }) {
		if _, ok := cutFold(item, "ftp="); !ok {
			items = append(items, item)
		}
	}
	var err error
	if s.via, err = ParseVia(items...); err != nil {
		return nil, fmt.Errorf("ProxyServer: %w", err)
	}
	var exceptions []string
	for _, e := range strings.FieldsFunc(r.override, func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
		if scheme, host, ok := strings.Cut(e, "://"); ok && scheme != "" {
			e = host
		}
		exceptions = append(exceptions, e)
	}
	s.bypass, s.notes = parseExceptions(exceptions)
	return s, nil
}
