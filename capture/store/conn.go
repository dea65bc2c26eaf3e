package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"
)

// trouble is what kind of failure an error of the database is.
type trouble int

const (
	troubleNone trouble = iota
	troubleFull
	troubleReadOnly
	troubleIO
	troubleCorrupt
	troubleBusy
	troubleInterrupted
	troubleOther
)

// lasting says whether the trouble is the disk's or the file's, so that each further statement meets it too.
func (t trouble) lasting() bool {
	switch t {
	case troubleFull, troubleReadOnly, troubleIO, troubleCorrupt, troubleBusy:
		return true
	}
	return false
}

// dsn names the file for the driver. A path is a URI's here, so that '?' and '%' in it mean themselves.
func dsn(path, options string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}
	return u.String() + "?" + options
}

// conn is a connection used by one goroutine at a time. It speaks to the driver directly: database/sql would cost a lock,
// a goroutine for each cancellable statement and a dozen allocations for each row.
type conn struct {
	driver.Conn
	query driver.QueryerContext
}

func newConn(c driver.Conn, err error) (*conn, error) {
	if err != nil {
		return nil, err
	}
	q, ok := c.(driver.QueryerContext)
	if !ok {
		c.Close()
		return nil, errors.New("the SQLite driver has no QueryContext")
	}
	return &conn{c, q}, nil
}

// exec runs a statement to its end. It goes through Query because that binds all arguments and takes the first step in
// one crossing to C, where Exec takes one for each argument.
func (c *conn) exec(sql string, args ...any) error {
	return c.each(context.Background(), sql, named(args), nil, nil)
}

// row reads the first row into dest, which then says how many columns there are. It returns io.EOF where there is none.
func (c *conn) row(ctx context.Context, sql string, args []any, dest []driver.Value) error {
	found := false
	err := c.each(ctx, sql, named(args), dest, func() error {
		found = true
		return errStop
	})
	if err == nil && !found {
		return io.EOF
	}
	return err
}

// integer reads one number, 0 where there is none.
func (c *conn) integer(ctx context.Context, sql string, args ...any) (int64, error) {
	var dest [1]driver.Value
	if err := c.row(ctx, sql, args, dest[:]); err != nil {
		if err == io.EOF {
			err = nil
		}
		return 0, err
	}
	return asInt(dest[0]), nil
}

// errStop ends each without an error.
var errStop = errors.New("stop")

// each calls f for each row after reading it into dest.
func (c *conn) each(ctx context.Context, sql string, args []driver.NamedValue, dest []driver.Value, f func() error) error {
	rows, err := c.query.QueryContext(ctx, sql, args)
	if err != nil {
		return err
	}
	for {
		if dest == nil {
			// Without a place for them, the values of rows nobody asked for still have to be stepped over.
			dest = make([]driver.Value, len(rows.Columns()))
		}
		if err = rows.Next(dest); err != nil {
			break
		}
		if f != nil {
			if err = f(); err != nil {
				break
			}
		}
	}
	cerr := rows.Close()
	if err == io.EOF || err == errStop {
		return cerr
	}
	return err
}

// named numbers arguments for the driver, which takes fewer types than Go has.
func named(args []any) []driver.NamedValue {
	if len(args) == 0 {
		return nil
	}
	n := make([]driver.NamedValue, len(args))
	for i, a := range args {
		n[i] = driver.NamedValue{Ordinal: i + 1, Value: value(a)}
	}
	return n
}

func value(a any) driver.Value {
	switch v := a.(type) {
	case int:
		return int64(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case nil, int64, float64, string, []byte:
		return v
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(a)
	if err != nil {
		return fmt.Sprint(a)
	}
	return v
}

func asInt(v driver.Value) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}

func asFloat(v driver.Value) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return 0
}

func asString(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func asBytes(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// statement is a prepared statement of the writer's. Its arguments are kept between runs.
type statement struct {
	stmt driver.StmtQueryContext
	args []driver.NamedValue
	// tail is told of each run, where it is not nil; number is what the statement is called there.
	tail   *tail
	number uint8
}

func (c *conn) prepare(sql string) (*statement, error) {
	s, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	q, ok := s.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("the SQLite driver's statements have no QueryContext")
	}
	st := &statement{stmt: q, args: make([]driver.NamedValue, s.NumInput())}
	for i := range st.args {
		st.args[i].Ordinal = i + 1
	}
	return st, nil
}

// run executes a statement that changes something; all of it happens in its first step.
func (s *statement) run() error {
	rows, err := s.stmt.QueryContext(context.Background(), s.args)
	if err != nil {
		return err
	}
	if s.tail != nil {
		s.tail.note(s.number, s.args)
	}
	return rows.Close()
}

// with sets the arguments and runs.
func (s *statement) with(args ...driver.Value) error {
	for i, a := range args {
		s.args[i].Value = a
	}
	return s.run()
}

// finalize gives a statement back. A connection with statements that are not given back keeps its files open.
func (s *statement) finalize() {
	if s != nil {
		s.stmt.(driver.Stmt).Close()
	}
}

// pool is a fixed number of read-only connections.
type pool struct {
	free    chan *conn
	open    func() (*conn, error)
	damaged func(error) // told when what is read is damaged
	filled  int
	closed  chan struct{}
	lent    atomic.Int64 // nanoseconds for which connections were in use
}

func newPool(n int, open func() (*conn, error), damaged func(error)) *pool {
	return &pool{free: make(chan *conn, n), open: open, damaged: damaged, closed: make(chan struct{})}
}

// fill opens all connections: when files run short it is too late.
func (p *pool) fill() error {
	for range cap(p.free) {
		c, err := p.open()
		if err != nil {
			for ; p.filled > 0; p.filled-- {
				(<-p.free).Close()
			}
			return err
		}
		p.free <- c
		p.filled++
	}
	return nil
}

// use runs f with a connection of its own. Damage that it meets is told.
func (p *pool) use(ctx context.Context, f func(c *conn) error) error {
	err := p.lend(ctx, f)
	if err != nil && classify(err) == troubleCorrupt {
		p.damaged(err)
	}
	return err
}

// lend runs f with a connection of its own.
func (p *pool) lend(ctx context.Context, f func(c *conn) error) error {
	var c *conn
	select {
	case c = <-p.free:
	case <-p.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	began := time.Now()
	defer func() {
		p.lent.Add(int64(time.Since(began)))
		p.free <- c
	}()
	err := f(c)
	if err != nil && classify(err) == troubleInterrupted && ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

// close waits for the connections in use and closes all of them.
func (p *pool) close() {
	close(p.closed)
	for ; p.filled > 0; p.filled-- {
		(<-p.free).Close()
	}
}
