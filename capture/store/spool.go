package store

import (
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"sync"
)

const (
	// inlineLimit is up to where a body is kept in its row, and in memory until then.
	inlineLimit = 256 << 10
	// pressedLimit replaces inlineLimit while the bodies in memory are many.
	pressedLimit = 16 << 10
	// spillBuffer collects small writes to a file.
	spillBuffer = 64 << 10
)

// buffers hands out the buffers that bodies grow in, in sizes of four steps each.
type buffers struct {
	pools [4]sync.Pool // 4, 16, 64 and 256 KiB
}

var bufferSizes = [4]int{4 << 10, 16 << 10, 64 << 10, 256 << 10}

func (b *buffers) get(n int) []byte {
	for i, size := range bufferSizes {
		if n <= size {
			if p, ok := b.pools[i].Get().(*[]byte); ok {
				return (*p)[:0]
			}
			return make([]byte, 0, size)
		}
	}
	return make([]byte, 0, n)
}

func (b *buffers) put(p []byte) {
	for i, size := range bufferSizes {
		if cap(p) == size {
			p = p[:0]
			b.pools[i].Put(&p)
			return
		}
	}
}

// spool takes one body as it comes: in memory first, in a file once it is large. Its recording's lock guards it.
type spool struct {
	buf   []byte // the body, or what is not in the file yet
	file  *os.File
	tmp   string // the file's name
	hash  hash.Hash
	sum   digest // set by end, for a file
	kept  int64
	total int64
	flush int64 // bytes in the file
	cut   bool  // kept is less than total
}

// write takes the next bytes. It keeps up to limit bytes in all, and the first inline ones in memory. An error means
// that what follows is not kept; it is said once.
func (s *spool) write(p []byte, limit int64, inline int, b *buffers, create func() (*os.File, error)) error {
	s.total += int64(len(p))
	if s.cut || len(p) == 0 {
		return nil
	}
	if room := limit - s.kept; int64(len(p)) > room {
		p, s.cut = p[:max(room, 0)], true
	}
	if s.file == nil && len(s.buf)+len(p) > inline {
		if err := s.spill(b, create); err != nil {
			s.cut = true
			return err
		}
	}
	if s.file == nil {
		if need := len(s.buf) + len(p); need > cap(s.buf) {
			grown := append(b.get(need), s.buf...)
			b.put(s.buf)
			s.buf = grown
		}
		s.buf = append(s.buf, p...)
		s.kept += int64(len(p))
		return nil
	}
	direct := len(p) >= spillBuffer/2 // not worth another copy
	if direct || len(s.buf)+len(p) > spillBuffer {
		if err := s.drain(); err != nil { // before anything that comes behind it
			return err
		}
	}
	if direct {
		return s.append(p)
	}
	s.buf = append(s.buf, p...)
	s.kept += int64(len(p))
	return nil
}

// spill moves the body from memory to a file.
func (s *spool) spill(b *buffers, create func() (*os.File, error)) error {
	f, err := create()
	if err != nil {
		return err
	}
	s.file, s.tmp, s.hash = f, f.Name(), sha256.New()
	held := s.buf
	s.buf, s.kept = nil, 0
	err = s.append(held)
	b.put(held)
	if err != nil {
		return err
	}
	s.buf = b.get(spillBuffer)
	return nil
}

// append writes to the file. What the disk does not take is cut off, so that the hash and the file stay one.
func (s *spool) append(p []byte) error {
	n, err := s.file.WriteAt(p, s.flush)
	s.hash.Write(p[:n])
	s.flush += int64(n)
	s.kept = s.flush
	if err != nil {
		s.cut = true
	}
	return err
}

// drain writes what is collected to the file.
func (s *spool) drain() error {
	p := s.buf
	s.buf = s.buf[:0]
	return s.append(p)
}

// end finishes the body: a file has all its bytes and its name.
func (s *spool) end() error {
	if s.file == nil {
		return nil
	}
	err := s.drain()
	s.hash.Sum(s.sum[:0])
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	s.file, s.hash = nil, nil
	return err
}

// spilled says whether the body is in a file.
func (s *spool) spilled() bool { return s.tmp != "" }

// readAt reads what is there so far.
func (s *spool) readAt(p []byte, off int64) (int, error) {
	if off >= s.kept {
		return 0, io.EOF
	}
	if !s.spilled() {
		n := copy(p, s.buf[off:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	if off+int64(len(p)) > s.flush && s.file != nil && len(s.buf) > 0 {
		if err := s.drain(); err != nil {
			return 0, err
		}
	}
	f := s.file
	if f == nil {
		// Ended, but not yet at its address.
		var err error
		if f, err = os.Open(s.tmp); err != nil {
			return 0, err
		}
		defer f.Close()
	}
	return f.ReadAt(p, off)
}

// release gives the buffer back, when the body is in the database or dropped.
func (s *spool) release(b *buffers) {
	if s.buf != nil {
		b.put(s.buf)
		s.buf = nil
	}
}

// drop forgets the body, and that it is whole with it.
func (s *spool) drop(b *buffers) {
	s.release(b)
	if s.file != nil {
		s.file.Close()
		s.file, s.hash = nil, nil
	}
	if s.tmp != "" {
		os.Remove(s.tmp)
		s.tmp = ""
	}
	if s.kept > 0 {
		s.kept, s.cut = 0, true
	}
}
