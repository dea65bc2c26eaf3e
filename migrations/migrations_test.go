package migrations

import (
	"testing"
	"testing/fstest"
)

func TestStepsAreNumberedWithoutGaps(t *testing.T) {
	steps, err := Steps()
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 || steps[0].Version != 1 || steps[0].SQL == "" {
		t.Fatalf("got %+v", steps)
	}
}

func TestReadRefusesGapsAndNames(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"gap":    {"0001_a.sql": {}, "0003_b.sql": {}},
		"double": {"0001_a.sql": {}, "0001_b.sql": {}},
		"name":   {"first.sql": {}},
	} {
		if _, err := read(fsys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
