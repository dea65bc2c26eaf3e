package filter

import (
	"sync"

	"eaves/capture/hostpattern"
)

// Functions returns the functions that the SQL of filters calls, by name. They are pure; their results may be cached by
// SQLite. Each call returns functions with caches of their own; they are safe for concurrent use.
//
//	eaves_text(text, mode, operand)           compares text
//	eaves_header(json, name, mode, operand)   compares the values of a header field, in the API's form
//	eaves_host(host, pattern)                 a host against a host pattern, its port aside
//	eaves_address(addresses, pattern)         space-separated host:port against a host pattern
//
// NULL as first argument gives 0.
func Functions() map[string]any {
	var texts cache[[2]string, textMatch]
	var patterns cache[string, hostpattern.Pattern]
	text := func(m, operand string) (textMatch, error) {
		return texts.get([2]string{m, operand}, func() (textMatch, error) { return newTextMatch(mode(m), operand) })
	}
	pattern := func(s string) (hostpattern.Pattern, error) {
		return patterns.get(s, func() (hostpattern.Pattern, error) { return hostpattern.Parse(s) })
	}
	return map[string]any{
		"eaves_text": func(column any, m, operand string) (bool, error) {
			s, ok := sqlText(column)
			if !ok {
				return false, nil
			}
			t, err := text(m, operand)
			return err == nil && t.match(s), err
		},
		"eaves_header": func(column any, name, m, operand string) (bool, error) {
			s, ok := sqlText(column)
			if !ok {
				return false, nil
			}
			t, err := text(m, operand)
			if err != nil {
				return false, err
			}
			return matchHeaderJSON(s, name, t)
		},
		"eaves_host": func(column any, s string) (bool, error) {
			host, ok := sqlText(column)
			if !ok {
				return false, nil
			}
			p, err := pattern(s)
			return err == nil && matchHost(p, host), err
		},
		"eaves_address": func(column any, s string) (bool, error) {
			addresses, ok := sqlText(column)
			if !ok {
				return false, nil
			}
			p, err := pattern(s)
			return err == nil && matchAddresses(p, addresses), err
		},
	}
}

// sqlText is a column's text as the driver hands it over.
func sqlText(column any) (string, bool) {
	switch v := column.(type) {
	case string:
		return v, true
	case []byte: // a blob; NULL comes as a nil one
		return string(v), v != nil
	}
	return "", false
}

// cache keeps what is made from a filter's operands. It forgets everything when it is full: a query has few operands and
// many rows.
type cache[K comparable, V any] struct {
	mu     sync.RWMutex
	values map[K]V
}

const cacheSize = 256

func (c *cache[K, V]) get(key K, make func() (V, error)) (V, error) {
	c.mu.RLock()
	v, ok := c.values[key]
	c.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := make()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil || len(c.values) >= cacheSize {
		c.values = map[K]V{}
	}
	c.values[key] = v
	return v, nil
}
