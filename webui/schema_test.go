package webui

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// document is the OpenAPI document as a tree.
func document(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(openapiDocument, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// dig follows keys into a tree; nil where there is nothing.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// checker holds values against schemas, as far as the document uses JSON Schema. A keyword that it does not know is an error.
type checker struct{ doc map[string]any }

func (c checker) check(schema, value any, at string) error {
	s, ok := schema.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %v is no schema", at, schema)
	}
	for key, want := range s {
		var err error
		switch key {
		case "description", "default", "contentEncoding", "contentMediaType", "required", "additionalProperties":
		case "$ref":
			name := strings.Split(strings.TrimPrefix(want.(string), "#/"), "/")
			err = c.check(dig(c.doc, name...), value, at)
		case "type":
			err = checkType(want.(string), value, at)
		case "const":
			if value != want {
				err = fmt.Errorf("%s: %v is not %v", at, value, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				err = fmt.Errorf("%s: %v is none of %v", at, value, want)
			}
		case "minimum", "maximum":
			if n, ok := value.(float64); ok && (key == "minimum" && n < want.(float64) || key == "maximum" && n > want.(float64)) {
				err = fmt.Errorf("%s: %v, %s %v", at, n, key, want)
			}
		case "minProperties":
			if m, ok := value.(map[string]any); ok && float64(len(m)) < want.(float64) {
				err = fmt.Errorf("%s: %d properties", at, len(m))
			}
		case "format":
			if text, ok := value.(string); ok && want == "date-time" {
				_, err = time.Parse(time.RFC3339Nano, text)
			} else if want != "date-time" {
				err = fmt.Errorf("%s: unknown format %v", at, want)
			}
		case "items":
			list, _ := value.([]any)
			for i, v := range list {
				if err == nil {
					err = c.check(want, v, fmt.Sprintf("%s[%d]", at, i))
				}
			}
		case "properties":
			err = c.object(s, value, at)
		case "oneOf", "anyOf":
			err = c.some(want.([]any), value, at, key == "oneOf")
		default:
			err = fmt.Errorf("%s: the checker does not know %s", at, key)
		}
		if err != nil {
			return err
		}
	}
	if s["contentEncoding"] == "base64" {
		if _, err := base64.StdEncoding.DecodeString(value.(string)); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (c checker) object(s map[string]any, value any, at string) error {
	m, ok := value.(map[string]any)
	if !ok {
		return nil // type says so
	}
	properties := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := m[name.(string)]; !ok {
			return fmt.Errorf("%s: %v is missing", at, name)
		}
	}
	for name, v := range m {
		p, ok := properties[name]
		if !ok {
			if s["additionalProperties"] == false {
				return fmt.Errorf("%s: %s is not described", at, name)
			}
			continue
		}
		if err := c.check(p, v, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) some(schemas []any, value any, at string, one bool) error {
	var errs []string
	n := 0
	for _, s := range schemas {
		if err := c.check(s, value, at); err == nil {
			n++
		} else {
			errs = append(errs, err.Error())
		}
	}
	if n == 0 || one && n > 1 {
		return fmt.Errorf("%s: %d schemas fit: %s", at, n, strings.Join(errs, "; "))
	}
	return nil
}

func checkType(want string, value any, at string) error {
	ok := false
	switch v := value.(type) {
	case string:
		ok = want == "string"
	case bool:
		ok = want == "boolean"
	case nil:
		ok = want == "null"
	case float64:
		ok = want == "number" || want == "integer" && v == math.Trunc(v)
	case []any:
		ok = want == "array"
	case map[string]any:
		ok = want == "object"
	}
	if !ok {
		return fmt.Errorf("%s: %v is no %s", at, value, want)
	}
	return nil
}

func TestCheckerFindsMistakes(t *testing.T) {
	c := checker{document(t)}
	for name, text := range map[string]string{
		"missing":          `{"id":1,"enabled":true,"filter":""}`,
		"not described":    `{"id":1,"enabled":true,"filter":"","action":"block","x":1}`,
		"wrong type":       `{"id":"1","enabled":true,"filter":"","action":"block"}`,
		"not an integer":   `{"id":1.5,"enabled":true,"filter":"","action":"block"}`,
		"below minimum":    `{"id":0,"enabled":true,"filter":"","action":"block"}`,
		"none of the enum": `{"id":1,"enabled":true,"filter":"","action":"dance"}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if c.check(map[string]any{"$ref": "#/components/schemas/Rule"}, v, "rule") == nil {
			t.Errorf("%s: %s passes", name, text)
		}
	}
}
