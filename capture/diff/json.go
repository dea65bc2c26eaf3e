package diff

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
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

const (
	// maxDepth bounds how deep structure is looked into: what is deeper is compared as text.
	maxDepth = 500
	// maxWhere bounds the name of a place in bytes: each of what is below a long name has it.
	maxWhere = 1 << 10
)

// within names a place in another.
func within(where, step string) string {
	if len(where) >= maxWhere {
		return where
	}
	if where += step; len(where) <= maxWhere {
		return where
	}
	return cut(where, maxWhere) + "…"
}

// json compares by structure: members by name, elements by the shortest edit, so that one put in moves the others on.
func (c *comparer) json(where string, a, b any) {
	if c.ctx.Err() != nil {
		return // which Compare says
	}
	if c.depth++; c.depth > maxDepth {
		c.values(where, jsonText(a, true), jsonText(b, true), false)
		c.depth--
		return
	}
	defer func() { c.depth-- }()
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
	slices.Sort(names)
	for _, n := range names {
		va, ina := a[n]
		vb, inb := b[n]
		at := within(where, "."+n)
		if ina && inb {
			c.json(at, va, vb)
			continue
		}
		c.values(at, jsonText(va, ina), jsonText(vb, inb), false)
	}
}

func (c *comparer) elements(where string, a, b []any) {
	pairs(edit(c.keys(a), c.keys(b)), func(i, j int) {
		switch {
		case j < 0:
			c.values(within(where, fmt.Sprintf("[%d]", i)), jsonText(a[i], true), "", false)
		case i < 0:
			c.values(within(where, fmt.Sprintf("[%d]", j)), "", jsonText(b[j], true), false)
		default:
			c.json(within(where, fmt.Sprintf("[%d]", i)), a[i], b[j])
		}
	})
}

// keys are what elements are found again by: those that are the same, noise left out, have the same.
func (c *comparer) keys(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(binary.LittleEndian.AppendUint64(nil, c.sums.of(v, "")))
	}
	return out
}

// sums are hashes of JSON values, each made once: an array's elements are looked at for it and for each array around it.
type sums struct {
	fold     bool // leave noise out
	seed     maphash.Seed
	elements map[*any]uint64 // of arrays, by where their elements are
	members  map[uintptr]uint64
}

func newSums(fold bool) *sums {
	return &sums{fold: fold, seed: maphash.MakeSeed(), elements: make(map[*any]uint64), members: make(map[uintptr]uint64)}
}

// of hashes a value; what comes before it counts as part of a word.
func (s *sums) of(v any, before string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			break
		}
		if sum, ok := s.elements[&v[0]]; ok {
			return sum
		}
		h.WriteByte('[')
		for _, e := range v {
			writeSum(&h, s.of(e, ""))
		}
		sum := h.Sum64()
		s.elements[&v[0]] = sum
		return sum
	case map[string]any:
		at := reflect.ValueOf(v).Pointer()
		if sum, ok := s.members[at]; ok {
			return sum
		}
		h.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			writeSum(&h, s.text(name))
			writeSum(&h, s.of(v[name], ":"))
		}
		sum := h.Sum64()
		s.members[at] = sum
		return sum
	}
	return s.text(before + jsonText(v, true))
}

func (s *sums) text(text string) uint64 {
	if s.fold {
		text = fold(text)
	}
	return maphash.String(s.seed, text)
}

func writeSum(h *maphash.Hash, sum uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], sum)
	h.Write(b[:])
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
