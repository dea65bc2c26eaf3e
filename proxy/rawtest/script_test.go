package rawtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modes are the ways to the origin.
var modes = []string{"plain", "tunnel", "tls", "socks"}

// testCase is one case of a file.
type testCase struct {
	file, name string
	line       int
	modes      []string
	steps      []step
}

// step is one thing that one side does or must see.
type step struct {
	line int
	who  byte   // C, O or X
	verb string // ">", "<" or a word
	text string // bytes, or the word's argument
}

// loadCases reads the cases of all files.
func loadCases(t *testing.T) []*testCase {
	t.Helper()
	files, err := filepath.Glob("../../testdata/rawcases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no cases: ", err)
	}
	var all []*testCase
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseCases(filepath.Base(file), string(b))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cases...)
	}
	return all
}

func parseCases(file, s string) ([]*testCase, error) {
	var all []*testCase
	names := map[string]bool{}
	for i, line := range strings.Split(s, "\n") {
		wrong := func(what string) error { return fmt.Errorf("%s:%d: %s: %q", file, i+1, what, line) }
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "== "):
			c := &testCase{file: strings.TrimSuffix(file, ".txt"), line: i + 1, modes: modes}
			name, at, _ := strings.Cut(line[3:], "@")
			c.name = strings.TrimSpace(name)
			if at != "" {
				c.modes = strings.Split(strings.TrimSpace(at), ",")
			}
			for _, m := range c.modes {
				if !slices.Contains(modes, m) {
					return nil, wrong("no such mode")
				}
			}
			if names[c.name] {
				return nil, wrong("a case of that name was there before")
			}
			names[c.name] = true
			all = append(all, c)
			continue
		case len(all) == 0 || len(line) < 2 || !strings.Contains("COX", line[:1]):
			return nil, wrong("neither a case nor a step")
		}
		c := all[len(all)-1]
		st := step{line: i + 1, who: line[0]}
		if line[1] == '<' || line[1] == '>' {
			st.verb = line[1:2]
			text, err := unescape(strings.TrimPrefix(line[2:], " "))
			if err != nil {
				return nil, wrong(err.Error())
			}
			st.text = text
			if n := len(c.steps); n > 0 && c.steps[n-1].who == st.who && c.steps[n-1].verb == st.verb {
				c.steps[n-1].text += st.text
				continue
			}
		} else {
			st.verb, st.text, _ = strings.Cut(strings.TrimSpace(line[1:]), " ")
			if !slices.Contains(strings.Fields("status head chunked close half reset drop eof cut broken accept none"), st.verb) && st.who != 'X' {
				return nil, wrong("no such step")
			}
			if st.verb == "chunked" {
				text, err := unescape(st.text + `\`)
				if err != nil {
					return nil, wrong(err.Error())
				}
				st.text = text
			}
		}
		c.steps = append(c.steps, st)
	}
	return all, nil
}

// unescape makes the bytes of a line.
func unescape(s string) (string, error) {
	var b strings.Builder
	end := "\r\n"
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i == len(s)-1:
			end = ""
		case s[i] == '\\':
			i++
			switch s[i] {
			case 'r':
				b.WriteByte('\r')
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '\\', '{', '$':
				b.WriteByte(s[i])
			case 'x':
				if i+2 >= len(s) {
					return "", fmt.Errorf("\\x needs two digits")
				}
				n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
				if err != nil {
					return "", err
				}
				b.WriteByte(byte(n))
				i += 2
			default:
				return "", fmt.Errorf("\\%c is nothing", s[i])
			}
		case s[i] == '{':
			n, text, ok := strings.Cut(s[i+1:], "*")
			times, err := strconv.Atoi(n)
			text, _, closed := strings.Cut(text, "}")
			if !ok || !closed || err != nil {
				b.WriteByte('{')
				continue
			}
			i += len(n) + len(text) + 2
			if text, err = unescape(text + `\`); err != nil {
				return "", err
			}
			b.WriteString(strings.Repeat(text, times))
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String() + end, nil
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a`: "a\r\n", `a\`: "a", `\r\n\t\\\x00\x`: "", `a{3*x\n}b\`: "ax\nx\nx\nb", `{"a":1}\`: `{"a":1}`, `\q`: "", ``: "\r\n"} {
		got, err := unescape(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

func TestParseCasesRefusesMistakes(t *testing.T) {
	for _, s := range []string{"C> x", "== a\n== a", "== a @nowhere", "== a\nD> x", "== a\nC dance", "== a\nC> \\q"} {
		if _, err := parseCases("x.txt", s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
