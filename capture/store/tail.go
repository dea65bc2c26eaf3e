package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
)

// tail is the file that holds what the writer has put into a transaction which is not committed yet. A commit rewrites
// the last page of each table and index, so that under load many small ones cost more than what they write; and what is
// only in memory is lost by kill -9. So rows are appended here, as the statements that write them, and a transaction takes
// many of them. A start runs again what stands here and is not in the database.
//
// The file is written from its beginning after each commit. Its head says on top of which revision its records stand:
// where the database has another, they are in it already.
type tail struct {
	path   string
	file   *os.File // nil: there is none, and each batch is committed
	at     int64    // where the next record goes; 0: before the head
	nonce  uint64   // of the head; a record of an earlier head does not check against it
	schema uint64   // which statements the numbers in records stand for
	record []byte   // under construction, behind room for its length and checksum
	used   bool     // something has been written since the file was empty
}

const (
	tailMagic  = "eavtail1"
	tailHead   = len(tailMagic) + 8 + 8 + 8 + 4 // schema, revision, nonce, checksum
	tailRecord = 4 + 4                          // length, checksum
	// tailLimit bounds what is read of one record: a batch of the writer's and what its rows weigh.
	tailLimit = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newTail(path string, statements []string) *tail {
	h := fnv.New64a()
	for _, sql := range statements {
		io.WriteString(h, sql+"\n")
	}
	return &tail{path: path, schema: h.Sum64(), record: make([]byte, tailRecord)}
}

// open makes the file, empty. Under load it may be too late: files can run short.
func (t *tail) open() (err error) {
	t.file, err = os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return err
}

// note adds a statement to the record.
func (t *tail) note(number uint8, args []driver.NamedValue) {
	b := append(t.record, number, uint8(len(args)))
	for i := range args {
		switch v := args[i].Value.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.AppendVarint(append(b, 'i'), v)
		case float64:
			b = binary.LittleEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case []byte:
			if v == nil {
				b = append(b, 'n')
				continue
			}
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
		default: // the driver knows more types, the writer uses none of them
			text := fmt.Sprint(v)
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(text))), text...)
		}
	}
	t.record = b
}

// write appends the record, on top of a revision of the database.
func (t *tail) write(revision int64) error {
	if t.file == nil {
		return os.ErrClosed
	}
	b := t.record
	if t.at == 0 {
		t.nonce, t.used = rand.Uint64(), true
		head := t.head(revision)
		if _, err := t.file.WriteAt(head, 0); err != nil {
			return err
		}
		t.at = int64(len(head))
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-tailRecord))
	binary.LittleEndian.PutUint32(b[4:], t.sum(b[tailRecord:]))
	if _, err := t.file.WriteAt(b, t.at); err != nil {
		return err
	}
	t.at += int64(len(b))
	t.drop()
	return nil
}

func (t *tail) head(revision int64) []byte {
	b := append(make([]byte, 0, tailHead), tailMagic...)
	b = binary.LittleEndian.AppendUint64(b, t.schema)
	b = binary.LittleEndian.AppendUint64(b, uint64(revision))
	b = binary.LittleEndian.AppendUint64(b, t.nonce)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (t *tail) sum(payload []byte) uint32 {
	var nonce [8]byte
	binary.LittleEndian.PutUint64(nonce[:], t.nonce)
	return crc32.Update(crc32.Checksum(nonce[:], castagnoli), castagnoli, payload)
}

// drop forgets the record.
func (t *tail) drop() {
	t.record = t.record[:tailRecord]
	if cap(t.record) > 4<<20 {
		t.record = make([]byte, tailRecord)
	}
}

// reset says that the file's records are in the database, or will be written otherwise: the next one begins it anew.
func (t *tail) reset() {
	t.drop()
	t.at = 0
}

// empty leaves nothing of what was recorded in the file.
func (t *tail) empty() {
	if t.used {
		t.used = false
		t.file.Truncate(0)
	}
	t.reset()
}

// shut gives the file back; remove removes it, once everything is in the database.
func (t *tail) shut() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

func (t *tail) remove() {
	t.shut()
	os.Remove(t.path)
}

// read gives run each statement that stands in the file on top of that revision, up to where the file is not whole: a
// record is written at once, but its end may be missing.
func (t *tail) read(revision int64, run func(number uint8, args []driver.NamedValue) error) error {
	f, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head [tailHead]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil // not even a head was written
	}
	t.nonce = binary.LittleEndian.Uint64(head[len(tailMagic)+16:])
	if string(head[:]) != string(t.head(revision)) {
		return nil
	}
	for {
		var b [tailRecord]byte
		if _, err := io.ReadFull(f, b[:]); err != nil {
			return nil
		}
		size := binary.LittleEndian.Uint32(b[:])
		if size > tailLimit {
			return nil
		}
		payload, err := io.ReadAll(io.LimitReader(f, int64(size)))
		if err != nil {
			return err
		}
		if len(payload) != int(size) || t.sum(payload) != binary.LittleEndian.Uint32(b[4:]) {
			return nil
		}
		if err := statements(payload, run); err != nil {
			return err
		}
	}
}

var errTail = errors.New("a record in it is not one")

// statements takes a record apart.
func statements(b []byte, run func(number uint8, args []driver.NamedValue) error) error {
	for len(b) > 0 {
		if len(b) < 2 {
			return errTail
		}
		number, n := b[0], int(b[1])
		b = b[2:]
		args := make([]driver.NamedValue, n)
		for i := range args {
			v, rest, ok := argument(b)
			if !ok {
				return errTail
			}
			args[i], b = driver.NamedValue{Ordinal: i + 1, Value: v}, rest
		}
		if err := run(number, args); err != nil {
			return err
		}
	}
	return nil
}

func argument(b []byte) (v driver.Value, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	kind, b := b[0], b[1:]
	switch kind {
	case 'n':
		return nil, b, true
	case 'i':
		n, used := binary.Varint(b)
		if used <= 0 {
			return nil, nil, false
		}
		return n, b[used:], true
	case 'f':
		if len(b) < 8 {
			return nil, nil, false
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:], true
	case 's', 'b':
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, nil, false
		}
		text, rest := b[used:used+int(n)], b[used+int(n):]
		if kind == 's' {
			return string(text), rest, true
		}
		return append([]byte{}, text...), rest, true
	}
	return nil, nil, false
}

// replay runs again what an earlier run had recorded and not committed, and says how many statements that were. The
// database is as it was then, so they do now what they did.
func (w *writer) replay(ctx context.Context) (n int, err error) {
	if err := w.begin.run(); err != nil {
		return 0, err
	}
	err = w.tail.read(w.store.seq, func(number uint8, args []driver.NamedValue) error {
		if int(number) >= len(w.noted) || len(args) != len(w.noted[number].args) {
			return errTail
		}
		copy(w.noted[number].args, args)
		n++
		return w.noted[number].run()
	})
	if err == nil && n > 0 {
		// Another revision than the file stands on, whatever was in it: a start that ends here does not run it again.
		if err = w.setNumber.with("seq", w.store.seq+int64(n)); err == nil {
			err = w.commit.run()
		}
	}
	if err != nil || n == 0 {
		w.rollback.run()
	}
	if err != nil {
		return 0, fmt.Errorf("what was recorded just before eaves was stopped, in %s, cannot be read: %w", w.tail.path, err)
	}
	return n, nil
}
