package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"eaves/capture"
)

// Body returns one side's body, as transferred. That of an exchange which runs grows while it is read.
func (s *Store) Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error) {
	if side != capture.SideRequest && side != capture.SideResponse {
		return nil, fmt.Errorf("an exchange has no body %q", side)
	}
	if r := s.open.get(id); r != nil {
		return &openBody{recording: r, side: side}, nil
	}
	return s.storedBody(ctx, id, side)
}

// memoryBody is a body from a row.
type memoryBody struct{ *bytes.Reader }

func (memoryBody) Close() error { return nil }

// fileBody is a body from a file.
type fileBody struct {
	*os.File
	size int64
}

func (b *fileBody) Size() int64 { return b.size }

func (s *Store) storedBody(ctx context.Context, id int64, side capture.Side) (body capture.Body, err error) {
	columns := "d.req_file, d.req_body"
	if side == capture.SideResponse {
		columns = "d.resp_file, d.resp_body"
	}
	err = s.pool.use(ctx, func(c *conn) error {
		var dest [2]driver.Value
		err := c.row(ctx, "SELECT "+columns+" FROM details AS d WHERE d.id = ?", []any{id}, dest[:])
		if err == io.EOF {
			return capture.ErrNotFound
		}
		if err != nil {
			return err
		}
		if dest[0] == nil {
			body = memoryBody{bytes.NewReader(asBytes(dest[1]))}
			return nil
		}
		// Opened here, while the row is known to be there: who deletes it removes the file after.
		body, err = s.files.open(asBytes(dest[0]))
		return err
	})
	return body, err
}

func (b *bodyFiles) open(hash []byte) (capture.Body, error) {
	if len(hash) != len(digest{}) {
		return nil, errors.New("the name of the body's file is damaged")
	}
	path := b.path(digest(hash))
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the body's file is gone: %s", path)
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &fileBody{f, fi.Size()}, nil
}

// openBody reads a body that may still grow. When the exchange is committed it goes on with what is stored.
type openBody struct {
	recording *recording
	side      capture.Side

	mu     sync.Mutex
	at     int64
	stored capture.Body
	closed bool
}

func (b *openBody) spool() *spool {
	if b.side == capture.SideRequest {
		return &b.recording.req
	}
	return &b.recording.resp
}

// later opens the stored body if the exchange is committed.
func (b *openBody) later() (capture.Body, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fs.ErrClosed
	}
	if b.stored != nil {
		return b.stored, nil
	}
	r := b.recording
	r.mu.Lock()
	committed := r.committed
	r.mu.Unlock()
	if !committed {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stored, err := r.store.storedBody(ctx, r.id, b.side)
	if err != nil {
		return nil, err
	}
	b.stored = stored
	return stored, nil
}

// Size is how much is there now.
func (b *openBody) Size() int64 {
	if stored, err := b.later(); err == nil && stored != nil {
		return stored.Size()
	}
	r := b.recording
	r.mu.Lock()
	defer r.mu.Unlock()
	return b.spool().kept
}

func (b *openBody) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for {
		stored, err := b.later()
		if err != nil {
			return 0, err
		}
		if stored != nil {
			return stored.ReadAt(p, off)
		}
		r := b.recording
		r.mu.Lock()
		if r.committed {
			r.mu.Unlock()
			continue
		}
		sp := b.spool()
		held := len(sp.buf)
		n, err := sp.readAt(p, off)
		if !r.finished {
			r.store.held.Add(int64(len(sp.buf) - held))
		}
		r.mu.Unlock()
		if errors.Is(err, fs.ErrNotExist) {
			// The writer has just moved the file, and commits next.
			if err := r.store.do(context.Background(), barrier()); err != nil {
				return 0, err
			}
			continue
		}
		return n, err
	}
}

func (b *openBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	at := b.at
	b.mu.Unlock()
	n, err := b.ReadAt(p, at)
	b.mu.Lock()
	b.at = at + int64(n)
	b.mu.Unlock()
	if n > 0 {
		err = nil
	}
	return n, err
}

func (b *openBody) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekEnd:
		offset += b.Size()
	case io.SeekCurrent:
		b.mu.Lock()
		offset += b.at
		b.mu.Unlock()
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = offset
	return offset, nil
}

func (b *openBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.stored != nil {
		return b.stored.Close()
	}
	return nil
}

// messagesBytes bounds a page of messages.
const messagesBytes = 4 << 20

// Messages returns an exchange's messages after the one numbered after, up to limit of them and, beyond the first, 4 MiB.
func (s *Store) Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	var messages []capture.Message
	err := s.pool.use(ctx, func(c *conn) error {
		bytes := 0
		var dest [9]driver.Value
		err := c.each(ctx, "SELECT n, sent, kind, time, size, truncated, file, data, injected FROM messages WHERE exchange = ? AND n > ? ORDER BY n LIMIT ?",
			named([]any{id, after, limit}), dest[:], func() error {
				m := capture.Message{N: asInt(dest[0]), Direction: "received", Kind: asString(dest[2]), Time: time.UnixMicro(asInt(dest[3])),
					Size: asInt(dest[4]), Truncated: asInt(dest[5]) != 0, Data: asBytes(dest[7]), Injected: asInt(dest[8]) != 0}
				if asInt(dest[1]) != 0 {
					m.Direction = "sent"
				}
				if hash := asBytes(dest[6]); hash != nil {
					body, err := s.files.open(hash)
					if err != nil {
						return err
					}
					m.Data, err = io.ReadAll(body)
					body.Close()
					if err != nil {
						return err
					}
				}
				if bytes += len(m.Data); bytes > messagesBytes && len(messages) > 0 {
					return errStop
				}
				messages = append(messages, m)
				return nil
			})
		if err != nil || len(messages) > 0 {
			return err
		}
		found, err := c.integer(ctx, "SELECT 1 FROM exchanges WHERE id = ?", id)
		if err == nil && found == 0 {
			return capture.ErrNotFound
		}
		return err
	})
	return messages, err
}
