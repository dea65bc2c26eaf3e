package store

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// oneText reads the first column of the first row.
func oneText(c *conn, sql string) (string, error) {
	var dest [1]driver.Value
	err := c.row(context.Background(), sql, nil, dest[:])
	if b, ok := dest[0].([]byte); ok {
		return string(b), err
	}
	return fmt.Sprint(dest[0]), err
}
