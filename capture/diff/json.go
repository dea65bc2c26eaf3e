package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
)

// parseJSON reads an object or array, with its numbers as they are written.
func parseJSON(b []byte) (any, bool) {
	if t := bytes.TrimSpace(b); len(t) == 0 || len(b) > comparedBody || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if dec.Decode(&v) != nil || dec.More() {
		return nil, false
	}
	return v, true
}

// json compares by structure: members by name, elements by the shortest edit, so that one put in moves the others on.
func (c *comparer) json(where string, a, b any) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			c.members(where, a, b)
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			c.elements(where, a, b)
			return
		}
	}
	c.values(where, jsonText(a, true), jsonText(b, true), false)
}

func (c *comparer) members(where string, a, b map[string]any) {
	names := make([]string, 0, len(a))
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, both := a[n]; !both {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	for _, n := range names {
		va, ina := a[n]
		vb, inb := b[n]
		if ina && inb {
			c.json(where+"."+n, va, vb)
			continue
		}
		c.values(where+"."+n, jsonText(va, ina), jsonText(vb, inb), false)
	}
}

func (c *comparer) elements(where string, a, b []any) {
	pairs(edit(c.keys(a), c.keys(b)), func(i, j int) {
		switch {
		case j < 0:
			c.values(fmt.Sprintf("%s[%d]", where, i), jsonText(a[i], true), "", false)
		case i < 0:
			c.values(fmt.Sprintf("%s[%d]", where, j), "", jsonText(b[j], true), false)
		default:
			c.json(fmt.Sprintf("%s[%d]", where, i), a[i], b[j])
		}
	})
}

// keys are elements as text, noise left out, by which they are found again.
func (c *comparer) keys(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		if out[i] = jsonText(v, true); len(c.masks) > 0 {
			out[i] = fold(out[i])
		}
	}
	return out
}

func jsonText(v any, there bool) string {
	if !there {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
