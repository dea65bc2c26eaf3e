package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"eaves/capture/hostpattern"
	"eaves/proxy/route"
)

// text sets p to a single text.
func text(p *string, v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("expected a single value")
	}
	*p = s
	return nil
}

// boolean sets p to true or false.
func boolean(p *bool, v any) error {
	switch v := v.(type) {
	case bool:
		*p = v
		return nil
	case string:
		switch strings.ToLower(v) {
		case "true", "1", "yes", "on":
			*p = true
			return nil
		case "false", "0", "no", "off":
			*p = false
			return nil
		}
	}
	return fmt.Errorf("%s: expected true or false", quote(v))
}

// address sets p to a host and port to listen on.
func address(p *string, v any) error {
	s, _ := v.(string)
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%s: expected ADDRESS:PORT, such as 127.0.0.1:8484", quote(v))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%s: the port must be a number from 0 to 65535", quote(v))
	}
	if strings.ContainsAny(host, " /@?#") {
		return fmt.Errorf("%s: %q is not an address", quote(v), host)
	}
	*p = s
	return nil
}

// size sets p to a number of bytes.
func size(p *int64, v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s: expected a size, such as 500m or 2g", quote(v))
	}
	n, err := ParseSize(s)
	*p = n
	return err
}

// age sets p to a duration.
func age(p *time.Duration, v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s: expected an age, such as 12h or 7d", quote(v))
	}
	d, err := ParseAge(s)
	*p = d
	return err
}

// patterns sets p to a list of host patterns, given as a list or separated by commas.
func patterns(p *[]hostpattern.Pattern, v any) error {
	var list []string
	switch v := v.(type) {
	case nil:
	case []string:
		list = v
	case string:
		list = strings.Split(v, ",")
	default:
		return errors.New("expected a list of host patterns")
	}
	var all []hostpattern.Pattern
	var mistakes []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		one, err := hostpattern.Parse(s)
		if err != nil {
			mistakes = append(mistakes, err.Error())
			continue
		}
		all = append(all, one)
	}
	*p = all
	if len(mistakes) > 0 {
		return errors.New(strings.Join(mistakes, "; "))
	}
	return nil
}

// via sets p to the way that one or several texts name.
func via(p *route.Via, v any) error {
	list, err := several(v)
	if err != nil {
		return err
	}
	*p, err = route.ParseVia(list...)
	return err
}

// bypass sets p to a bypass list.
func bypass(p *hostpattern.List, v any) error {
	list, err := several(v)
	if err != nil {
		return err
	}
	*p, err = hostpattern.ParseList(strings.Join(list, ","))
	return err
}

// several are the texts of a value that may be one or a list.
func several(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []string:
		return v, nil
	case texts:
		return v, nil
	}
	return nil, errors.New("expected a text or a list of them")
}

// ParseSize reads a number of bytes: 1048576, 500k, 20m, 1.5g, 2GiB. Units are powers of 1024.
func ParseSize(s string) (int64, error) {
	lower := strings.ToLower(strings.TrimSpace(s))
	number := strings.TrimRight(lower, "abcdefghijklmnopqrstuvwxyz")
	unit := strings.TrimSuffix(strings.TrimSuffix(lower[len(number):], "b"), "i")
	shift, ok := map[string]int{"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !ok || n < 0 || math.IsNaN(n) {
		return 0, fmt.Errorf("%q: expected a size, such as 500m or 2g", s)
	}
	n = math.Ldexp(n, shift)
	if n >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(n), nil
}

// ParseAge reads a duration: 90s, 10m, 12h, 7d, 2w, or what Go writes, such as 1h30m. 0 needs no unit.
func ParseAge(s string) (time.Duration, error) {
	t := strings.TrimSpace(s)
	days := 0.0
	switch {
	case strings.HasSuffix(t, "d"):
		days = 1
	case strings.HasSuffix(t, "w"):
		days = 7
	}
	if days > 0 {
		n, err := strconv.ParseFloat(t[:len(t)-1], 64)
		if d := n * days * 24 * float64(time.Hour); err == nil && n >= 0 && d < math.MaxInt64 {
			return time.Duration(d), nil
		}
	} else if d, err := time.ParseDuration(t); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q: expected an age, such as 12h or 7d", s)
}
