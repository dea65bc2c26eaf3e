package h2

import (
	"sync"
)

// pieceSize is the size of the pieces that a Buffer is made of.
const pieceSize = 16 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// Buffer holds bytes that have come and were not read yet. Its pieces come from a pool.
type Buffer struct {
	pieces []*[pieceSize]byte
	from   int // of the first piece
	to     int // of the last piece
	size   int
}

// Len is how much is held.
func (b *Buffer) Len() int { return b.size }

// Write appends p.
func (b *Buffer) Write(p []byte) {
	b.size += len(p)
	for len(p) > 0 {
		if len(b.pieces) == 0 || b.to == pieceSize {
			b.pieces = append(b.pieces, pieces.Get().(*[pieceSize]byte))
			b.to = 0
		}
		n := copy(b.pieces[len(b.pieces)-1][b.to:], p)
		b.to += n
		p = p[n:]
	}
}

// Read takes up to len(p) bytes.
func (b *Buffer) Read(p []byte) (total int) {
	for len(p) > 0 && b.size > 0 {
		end := pieceSize
		if len(b.pieces) == 1 {
			end = b.to
		}
		n := copy(p, b.pieces[0][b.from:end])
		p = p[n:]
		b.from += n
		b.size -= n
		total += n
		if b.from == end {
			b.drop()
		}
	}
	return total
}

// drop gives the first piece back.
func (b *Buffer) drop() {
	pieces.Put(b.pieces[0])
	b.pieces[0] = nil
	b.pieces = b.pieces[1:]
	b.from = 0
	if len(b.pieces) == 0 {
		b.to = 0
	}
}

// Free gives all pieces back.
func (b *Buffer) Free() {
	for len(b.pieces) > 0 {
		b.drop()
	}
	b.size = 0
}
