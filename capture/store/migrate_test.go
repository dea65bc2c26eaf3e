package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/migrations"
)

// testdata/v1.db is a database as the first release writes it. It must open in every later one.
const fixture = "testdata/v1.db"

func copyFixture(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "eaves.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersionOneOpens(t *testing.T) {
	dir := t.TempDir()
	copyFixture(t, dir)
	s := openStore(t, Config{Dir: dir})
	page, err := s.List(testContext(t), Query{ByID: true, Total: true})
	if err != nil || page.Total != 3 {
		t.Fatalf("got %+v, %v", page, err)
	}
	for i, x := range page.Exchanges {
		full := get(t, s, x.ID)
		if full.Request.URL != sample(i+1).Request.URL || full.Response.Status != 200 || full.Response.Header.Get("content-type") == "" {
			t.Errorf("got %+v", full)
		}
		if b := readBody(t, s, x.ID, capture.SideResponse); string(b) != "body of version 1" {
			t.Errorf("body %q", b)
		}
	}
	if id := record(s, 1, 200, "new"); id <= page.Exchanges[2].ID {
		t.Errorf("id %d", id)
	}
	flush(t, s)
	checkIntegrity(t, s)
}

// migrated opens a copy of the fixture with further steps.
func migrated(t *testing.T, dir string, more ...string) error {
	t.Helper()
	path := filepath.Join(dir, "eaves.db")
	steps, err := migrations.Steps()
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range more {
		steps = append(steps, migrations.Step{Version: len(steps) + 1, Name: "test", SQL: sql})
	}
	c, err := newConn(openConn(dsn(path, "_busy_timeout=1000"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	version, err := schemaVersion(testContext(t), c, path, len(steps))
	if err != nil {
		return err
	}
	return migrate(c, path, version, steps)
}

func TestMigrationsRunForwardAfterACopy(t *testing.T) {
	dir := t.TempDir()
	path := copyFixture(t, dir)
	if err := migrated(t, dir, "ALTER TABLE exchanges ADD COLUMN added TEXT;", "UPDATE exchanges SET added = 'yes'; -- a comment at the end"); err != nil {
		t.Fatal(err)
	}
	c, err := newConn(openConn(dsn(path, "mode=ro"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for sql, want := range map[string]int64{
		"PRAGMA user_version":                                6,
		"PRAGMA application_id":                              applicationID,
		"SELECT count(*) FROM exchanges WHERE added = 'yes'": 3,
	} {
		if got, err := c.integer(testContext(t), sql); err != nil || got != want {
			t.Errorf("%s: %d, %v", sql, got, err)
		}
	}
	copies, _ := filepath.Glob(path + ".v1*.bak")
	if len(copies) != 1 {
		t.Fatalf("copies: %v", copies)
	}
	old, err := newConn(openConn(dsn(copies[0], "mode=ro"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if got, err := old.integer(testContext(t), "SELECT count(*) FROM exchanges"); err != nil || got != 3 {
		t.Errorf("the copy has %d exchanges, %v", got, err)
	}
	if got, err := old.integer(testContext(t), "PRAGMA user_version"); err != nil || got != 1 {
		t.Errorf("the copy has version %d, %v", got, err)
	}
	// Now it is from a newer eaves.
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(testContext(t), Config{Dir: dir})
	var o *OpenError
	if !errors.As(err, &o) || !strings.Contains(err.Error(), "newer eaves (schema 6; this one knows 4)") || o.Hint == "" {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was refused was changed: %v", err)
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := copyFixture(t, dir)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrated(t, dir, "ALTER TABLE exchanges ADD COLUMN added TEXT;", "UPDATE nothing SET x = 1;"); err == nil || !strings.Contains(err.Error(), "from schema 1 to 6") {
		t.Errorf("got %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("changed: %v", err)
	}
	openStore(t, Config{Dir: dir})
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eaves.db")
	c, err := newConn(openConn(dsn(path, ""), nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.script("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(testContext(t), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was refused was changed: %v", err)
	}
}

// TestMakeFixture writes the fixture, when it is asked to by EAVES_WRITE_FIXTURE. Once released, it is never written again.
func TestMakeFixture(t *testing.T) {
	if os.Getenv("EAVES_WRITE_FIXTURE") == "" {
		t.Skip("only on demand")
	}
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir})
	for i := range 3 {
		record(s, i+1, 200, "body of version 1")
	}
	closeStore(t, s)
	b, err := os.ReadFile(filepath.Join(dir, "eaves.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fixture, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
