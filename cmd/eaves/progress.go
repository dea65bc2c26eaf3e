package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// bar shows on a terminal how far long work has come; elsewhere it is silent. Its methods may be called from several
// goroutines, and on nil.
type bar struct {
	w     io.Writer
	what  string
	width int

	mu    sync.Mutex
	total int64
	now   int64
	last  time.Time
}

// progress begins to show work of so many steps, 0 where that is not known.
func (p *program) progress(what string, total int64) *bar {
	width, ok := terminal(p.err)
	if !ok {
		return nil
	}
	b := &bar{w: p.err, what: what, width: width, total: total}
	b.draw()
	return b
}

// add counts n steps more.
func (b *bar) add(n int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += n
	if time.Since(b.last) > 100*time.Millisecond {
		b.draw()
	}
}

// done takes the bar away.
func (b *bar) done() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.w, "\r%s\r", strings.Repeat(" ", b.width-1))
}

// draw draws the bar anew.
func (b *bar) draw() {
	b.last = time.Now()
	line := fmt.Sprintf("%s %d", b.what, b.now)
	if b.total > 0 {
		const cells = 30
		full := int(min(b.now, b.total) * cells / b.total)
		line = fmt.Sprintf("%s [%s%s] %d/%d", b.what, strings.Repeat("#", full), strings.Repeat(" ", cells-full), b.now, b.total)
	}
	fmt.Fprint(b.w, "\r"+cut(line, b.width-1))
}

// counted is a reader or writer that moves the bar.
type counted struct {
	io.Reader
	io.Writer
	bar *bar
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bar.add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.bar.add(int64(n))
	return n, err
}
