//go:build cgo

package store

/*
#ifdef __linux__
#include <malloc.h>
#ifdef __GLIBC__
// glibc gives threads that allocate memory of their own, up to eight for each core, and what one frees another does not
// use. SQLite is called from whichever thread a goroutine is on: without this the same caches stand in each. It has to
// be said before there are threads.
__attribute__((constructor)) static void one_arena(void) { mallopt(M_ARENA_MAX, 1); }
#endif
#endif
*/
import "C"

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// This file and its twin for builds without cgo are all that knows the driver's types.

// openConn opens one connection to the database that dsn names and runs setup on it. The functions are registered as
// pure: SQLite may call them as often as it likes.
func openConn(dsn string, functions map[string]any, setup ...string) (driver.Conn, error) {
	d := &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		for name, f := range functions {
			if err := c.RegisterFunc(name, f, true); err != nil {
				return fmt.Errorf("registering %s: %w", name, err)
			}
		}
		for _, s := range setup {
			if _, err := c.Exec(s, nil); err != nil {
				return err
			}
		}
		return nil
	}}
	return d.Open(dsn)
}

// sqliteVersion is the version of the SQLite that is compiled in.
func sqliteVersion() string {
	v, _, _ := sqlite3.Version()
	return v
}

// classify says what kind of trouble a driver's error is.
func classify(err error) trouble {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return troubleOther
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return troubleFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
		return troubleReadOnly
	case sqlite3.ErrIoErr, sqlite3.ErrNomem:
		return troubleIO
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return troubleCorrupt
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol, sqlite3.ErrSchema:
		return troubleBusy
	case sqlite3.ErrInterrupt:
		return troubleInterrupted
	}
	return troubleOther
}
