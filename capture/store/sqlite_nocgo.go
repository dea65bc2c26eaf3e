//go:build !cgo

package store

import (
	"database/sql/driver"
	"errors"
)

func openConn(string, map[string]any, ...string) (driver.Conn, error) {
	return nil, errors.New("this eaves was built without cgo, which SQLite needs; build it with CGO_ENABLED=1 and a C compiler")
}

func sqliteVersion() string { return "" }

func classify(error) trouble { return troubleOther }
