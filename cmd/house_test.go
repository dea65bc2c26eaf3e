// Package cmd holds no program of its own: here are the rules of the house, as tests.
package cmd

import (
	"encoding/json"
	"errors"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Dir, Name string
	GoFiles, CgoFiles     []string
	TestGoFiles           []string
	XTestGoFiles          []string
	Imports               []string
}

// packages lists the module's packages.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports", "-tags", "sqlite_fts5", "eaves/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list names %d packages only", len(all))
	}
	return all
}

// within says whether p is tree or below it.
func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

// TestImportsPointOneWay: cmd → webui, proxy, certs, capture/* → capture. Each line is a tree, what it must not import,
// and why.
func TestImportsPointOneWay(t *testing.T) {
	rules := []struct{ from, not, because string }{
		{"eaves/capture", "eaves/proxy", "the vocabulary knows nobody who speaks it"},
		{"eaves/capture", "eaves/webui", "what is kept does not depend on how it is shown"},
		{"eaves/capture", "eaves/certs", "an exchange holds receipts, not keys"},
		{"eaves/capture", "eaves/cmd", "cmd is wiring: nothing may need the wiring"},
		{"eaves/capture/filter", "eaves/capture/store", "the store compiles filters, a filter knows no store"},
		{"eaves/capture/har", "eaves/capture/store", "a format reads and writes exchanges, wherever they are kept"},
		{"eaves/capture/pcap", "eaves/capture/store", "a format reads and writes exchanges, wherever they are kept"},
		{"eaves/capture/curl", "eaves/capture/store", "a format reads and writes exchanges, wherever they are kept"},
		{"eaves/capture/jsonl", "eaves/capture/store", "a format reads and writes exchanges, wherever they are kept"},
		{"eaves/capture/redact", "eaves/capture/store", "what is a secret does not depend on where it is kept"},
		{"eaves/certs", "eaves/proxy", "certificates are made for whoever asks"},
		{"eaves/certs", "eaves/capture/store", "certificates are files, not captures"},
		{"eaves/certs", "eaves/webui", "the console shows certificates, they do not show themselves"},
		{"eaves/certs", "eaves/cmd", "cmd is wiring: nothing may need the wiring"},
		{"eaves/proxy", "eaves/capture/store", "the proxy records through capture.Recorder, so that it runs in tests without a database"},
		{"eaves/proxy", "eaves/webui", "traffic must not depend on who looks at it"},
		{"eaves/proxy", "eaves/cmd", "cmd is wiring: nothing may need the wiring"},
		{"eaves/proxy", "github.com/spf13", "configuration comes as values, not as flags or keys"},
		{"eaves/proxy", "github.com/mattn/go-sqlite3", "the proxy has no database"},
		{"eaves/proxy/wire", "eaves/capture", "bytes on the wire mean nothing yet"},
		{"eaves/proxy/wire", "github.com/elazarl/goproxy", "the wire layer stands below the router"},
		{"eaves/proxy/upstream", "github.com/elazarl/goproxy", "the way to the origin does not know who routed the request"},
		{"eaves/proxy/upstream", "eaves/proxy/route", "the way is taken by whoever does not know how it was chosen"},
		{"eaves/webui", "eaves/proxy", "the console declares what it needs; replay comes through an interface"},
		{"eaves/webui", "eaves/certs", "the console declares what it needs"},
		{"eaves/webui", "eaves/cmd", "cmd is wiring: nothing may need the wiring"},
		{"eaves/migrations", "eaves", "numbered SQL needs nobody"},
		{"eaves/cmd", "github.com/elazarl/goproxy", "only the proxy sees goproxy"},
		{"eaves/cmd", "github.com/mattn/go-sqlite3", "only the store sees SQLite"},
		{"eaves/cmd", "github.com/google/gopacket", "only capture/pcap sees packets"},
	}
	// The few places that a rule leaves out, each with its reason.
	allowed := map[string]string{
		"eaves/webui/apistore": "eaves/capture/store", // it fits the store to the console, and does nothing else
	}
	only := []struct{ lib, tree, because string }{
		{"github.com/elazarl/goproxy", "eaves/proxy", "goproxy's own paths are gone round in one place"},
		{"github.com/mattn/go-sqlite3", "eaves/capture/store", "one package knows how SQLite is used"},
		{"github.com/google/gopacket", "eaves/capture/pcap", "one package writes packets"},
		{"github.com/dop251/goja", "eaves/proxy/route/pac", "one package runs scripts"},
		{"github.com/spf13", "eaves/cmd", "flags and keys end where values begin"},
		{"eaves/capture/store", "eaves/cmd", "the store is handed around as the small interfaces its users declare"},
	}
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for _, r := range rules {
				if within(p.ImportPath, r.from) && within(i, r.not) && !within(r.not, p.ImportPath) {
					t.Errorf("%s imports %s: %s", p.ImportPath, i, r.because)
				}
			}
			for _, o := range only {
				outside := !within(p.ImportPath, o.tree) && !within(p.ImportPath, o.lib) && !within(p.ImportPath, "eaves/bench")
				if within(i, o.lib) && outside && allowed[p.ImportPath] != o.lib {
					t.Errorf("%s imports %s, which is for %s: %s", p.ImportPath, i, o.tree, o.because)
				}
			}
		}
	}
	// capture itself, the vocabulary, imports none of ours.
	for _, p := range packages(t) {
		if p.ImportPath != "eaves/capture" {
			continue
		}
		for _, i := range p.Imports {
			if within(i, "eaves") {
				t.Errorf("%s imports %s: everybody imports the vocabulary, so it imports nobody", p.ImportPath, i)
			}
		}
	}
}

// TestEveryPackageSaysWhatItIs: a package doc is where a reader begins.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		files := slices.Concat(p.GoFiles, p.CgoFiles)
		if len(files) == 0 {
			files = slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		}
		text := ""
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			text += f.Doc.Text()
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + path.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(text, want) || len(new(doc.Package).Synopsis(text)) < len(want)+10 {
			t.Errorf("%s: its doc comment should begin with %q, and is %.60q", p.ImportPath, want, text)
		}
	}
}

// TestFilesStaySmall: a file that has grown large has more than one job.
func TestFilesStaySmall(t *testing.T) {
	const limit = 700
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		switch filepath.Ext(name) {
		case ".go", ".ts", ".tsx":
		default:
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if n := strings.Count(string(b), "\n"); n > limit {
			t.Errorf("%s has %d lines, more than %d", name, n, limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
