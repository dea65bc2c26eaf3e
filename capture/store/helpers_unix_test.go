//go:build unix

package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"syscall"
	"time"
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

// cpuTime is the time that the process has computed.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
