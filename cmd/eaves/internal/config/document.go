package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// dataKey is the key of the file that names the data directory.
const dataKey = "data"

// document is a configuration file, read so that each key's line is known.
type document struct {
	path  string
	err   error
	keys  []entry
	nodes map[string]*yaml.Node
}

// entry is one key as it stands in the file.
type entry struct {
	name string
	line int
	dup  int // line of the first one, when the key stands there twice
}

// parse reads a file. Its mistakes are told by check.
func parse(path string, b []byte) *document {
	d := &document{path: path, nodes: map[string]*yaml.Node{}}
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		d.err = yamlError(path, err)
		return d
	}
	if len(root.Content) == 0 { // nothing but comments
		return d
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return d
	}
	if top.Kind != yaml.MappingNode {
		d.err = fmt.Errorf("%s:%d: expected keys and values, such as \"listen: 127.0.0.1:8484\"", path, top.Line)
		return d
	}
	d.walk("", top)
	return d
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// yamlError puts the line where the contract wants it.
func yamlError(path string, err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: %s", path, m[1], m[2])
	}
	return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
}

// walk collects the keys below a mapping, levels joined by dots.
func (d *document) walk(prefix string, m *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, value := prefix+m.Content[i].Value, m.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		e := entry{name: name, line: m.Content[i].Line}
		if first := d.line(name); first > 0 {
			e.dup = first
		}
		d.keys = append(d.keys, e)
		if value.Kind == yaml.MappingNode && isLevel(name) {
			d.walk(name+".", value)
			continue
		}
		d.nodes[name] = value
	}
}

// isLevel says whether keys stand below name.
func isLevel(name string) bool {
	for _, k := range Keys() {
		if strings.HasPrefix(k.Name, name+".") {
			return true
		}
	}
	return false
}

// line is where the key stands, 0 for nowhere.
func (d *document) line(name string) int {
	for _, e := range d.keys {
		if e.name == name {
			return e.line
		}
	}
	return 0
}

// check returns the mistakes in the file's shape: those in its values are found with the values.
func (d *document) check() []error {
	if d.err != nil {
		return []error{d.err}
	}
	known := []string{dataKey}
	for _, k := range Keys() {
		known = append(known, k.Name)
	}
	var mistakes []error
	for _, e := range d.keys {
		_, isLeaf := d.nodes[e.name]
		switch {
		case e.dup > 0:
			mistakes = append(mistakes, fmt.Errorf("%s:%d: %s stands there twice, first in line %d", d.path, e.line, e.name, e.dup))
		case isLevel(e.name) && isLeaf:
			if d.nodes[e.name].Tag != "!!null" {
				mistakes = append(mistakes, fmt.Errorf("%s:%d: %s takes keys below it, not a value", d.path, e.line, e.name))
			}
		case isLeaf && !slices.Contains(known, e.name):
			hint := ""
			if near := nearest(e.name, known); near != "" {
				hint = fmt.Sprintf(" (did you mean %s?)", near)
			}
			mistakes = append(mistakes, fmt.Errorf("%s:%d: unknown key %q%s", d.path, e.line, e.name, hint))
		}
	}
	return mistakes
}

// values are the file's values as viper merges them: by level, scalars as the text that stands there.
func (d *document) values() map[string]any {
	root := map[string]any{}
	for _, k := range Keys() {
		name, node := k.Name, d.nodes[k.Name]
		if node == nil || node.Tag == "!!null" {
			continue
		}
		at := root
		levels := strings.Split(name, ".")
		for _, l := range levels[:len(levels)-1] {
			next, ok := at[l].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[l] = next
			}
			at = next
		}
		at[levels[len(levels)-1]] = value(node)
	}
	return root
}

// value is a node's text, a list of texts, or for anything else what yaml makes of it, to be refused with its key.
func value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value
	case yaml.SequenceNode:
		list := []string{}
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode {
				return e.Kind
			}
			list = append(list, e.Value)
		}
		return list
	}
	return n.Kind
}

// dataDir is the data directory that the file names, relative to the file.
func (d *document) dataDir() (string, error) {
	n := d.nodes[dataKey]
	if n == nil || n.Kind != yaml.ScalarNode || n.Value == "" {
		return "", errors.New("expected a directory")
	}
	if filepath.IsAbs(n.Value) {
		return n.Value, nil
	}
	return filepath.Join(filepath.Dir(d.path), n.Value), nil
}

// nearest is the known key that a mistyped one is at most two edits from, "" if there is none.
func nearest(name string, known []string) string {
	best, at := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// quote shows a value in an error.
func quote(v any) string { return strconv.Quote(fmt.Sprint(v)) }
