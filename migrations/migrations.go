// Package migrations holds the steps of the database's schema: one numbered SQL file for each version, applied in order
// and never changed once released.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Step brings a database from the version before to Version.
type Step struct {
	Version int
	Name    string
	SQL     string
}

// Steps returns all steps in order. Their versions are 1, 2, 3 and so on.
func Steps() ([]Step, error) { return read(files) }

func read(fsys fs.FS) ([]Step, error) {
	// Glob returns names in order, and numbers have a fixed width.
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(steps)+1 {
			return nil, fmt.Errorf("migrations: %s: want number %04d", name, len(steps)+1)
		}
		sql, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{version, name, string(sql)})
	}
	return steps, nil
}
