package route

import (
	"bufio"
	"fmt"
	"net"
	"strings"

	"eaves/proxy/route/pac"
)

// parseScutil reads what scutil --proxy prints on macOS: a dictionary of "key : value" lines, arrays within it as
// "key : <array> {", lines "index : value" and "}".
func parseScutil(text string) (*settings, error) {
	values := map[string]string{}
	var exceptions []string
	array, depth := "", 0
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "}" {
			array = ""
			depth--
			continue
		}
		if strings.HasSuffix(line, "{") {
			depth++
			if key, _, ok := strings.Cut(line, " : "); ok {
				array = key
			}
			continue
		}
		key, value, ok := strings.Cut(line, " : ")
		switch {
		case !ok:
		case array == "ExceptionsList":
			exceptions = append(exceptions, shortBlock(value))
		case depth == 1:
			values[key] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("scutil: %w", err)
	}
	s := &settings{origin: "macOS proxy settings"}
	if values["ProxyAutoConfigEnable"] == "1" && values["ProxyAutoConfigURLString"] != "" {
		l, err := pac.ParseLocation(values["ProxyAutoConfigURLString"])
		if err != nil {
			return nil, fmt.Errorf("ProxyAutoConfigURLString: %w", err)
		}
		s.pac = l
		return s, nil
	}
	var items []string
	for _, k := range []struct{ prefix, item string }{{"HTTP", "http=http://"}, {"HTTPS", "https=http://"}, {"SOCKS", "socks=socks5://"}} {
		host := values[k.prefix+"Proxy"]
		if values[k.prefix+"Enable"] != "1" || host == "" {
			continue
		}
		if port := values[k.prefix+"Port"]; port != "" && port != "0" {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		items = append(items, k.item+host)
	}
	var err error
	if s.via, err = ParseVia(items...); err != nil {
		return nil, err
	}
	if values["ExcludeSimpleHostnames"] == "1" {
		exceptions = append(exceptions, "<local>")
	}
	s.bypass, s.notes = parseExceptions(exceptions)
	return s, nil
}

// shortBlock writes 169.254/16, as macOS has it, with four numbers.
func shortBlock(s string) string {
	address, bits, ok := strings.Cut(s, "/")
	if !ok || strings.Contains(address, ":") {
		return s
	}
	for strings.Count(address, ".") < 3 {
		address += ".0"
	}
	return address + "/" + bits
}
