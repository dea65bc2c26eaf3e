package app

import (
	"context"
	"database/sql"
	"runtime/debug"
)

// Version says what this program was made of.
type Version struct {
	// Module is the module's version, Commit the revision it was built from.
	Module, Commit string
	// SQLite is the version of the SQLite within; FullText says whether it indexes body text.
	SQLite   string
	FullText bool
}

// ReadVersion reads what the build left in the program.
func ReadVersion() Version {
	v := Version{Module: "(devel)", Commit: "unknown", SQLite: "none: built without cgo"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Module = info.Main.Version
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	v.Commit += changed
	return v
}

// ReadSQLite asks the SQLite that the store brings along what it is.
func (v *Version) ReadSQLite(ctx context.Context) error {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	return db.QueryRowContext(ctx, "SELECT sqlite_version(), sqlite_compileoption_used('ENABLE_FTS5')").Scan(&v.SQLite, &v.FullText)
}
