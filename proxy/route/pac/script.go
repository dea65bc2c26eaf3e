// Package pac evaluates proxy auto-configuration files: JavaScript that names the proxies for a URL.
//
// # Guarantees
//
// A script sees nothing but the URL and the host it is asked about (an https URL without path and query), the time, this
// machine's addresses and DNS. It has no files, no network of its own and no code made from text.
//
// An evaluation ends: its own running time is bounded, each DNS lookup and all of them together are, and so is the depth
// of its calls. Whoever asks has an answer or an error by then in any case. It never panics.
//
// The standard functions behave as the reference in Mozilla's and Chromium's sources; where that is plainly mistaken, the
// function says so.
//
// # What it cannot do
//
// The engine (goja) has no bound on memory. The process's heap is watched while a script runs, and one under which it
// grows by more than 256 MiB is stopped; what a single built-in function allocates at once is not seen before it
// returns. The built-ins that make much out of little are bounded one by one (see guard), others cannot be
// interrupted: whoever asks gets an error in time, but the goroutine goes on until the function returns. Files
// are trusted about as far as proxies are.
package pac

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// MaxSize is how large a script may be.
const MaxSize = 1 << 20

const (
	// brackets bounds how many brackets a script opens. The engine's parser recurses for each that is nested, and a stack
	// of a gigabyte ends the process; at this depth it needs a tenth of that.
	brackets = 100_000
	// callDepth is how deep a script's calls may go.
	callDepth = 500
	// workers is how many evaluations of one script run at a time.
	workers = 4
	// compiling bounds parsing and compiling.
	compiling = 5 * time.Second
	// overtime is what a script that was stopped is given to notice it.
	overtime = 250 * time.Millisecond
	// growth is by how much the heap may grow during one evaluation.
	growth = 256 << 20
)

// The engine sets regexps that need backtracking aside for regexp2, which can be stopped by its own clock only. A match
// that runs into it counts as none, and the script's time is over then anyway.
func init() { regexp2.DefaultMatchTimeout = time.Second }

// Resolver finds the addresses of a name.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Env is the world that scripts see. The zero value is this machine as it is.
type Env struct {
	Resolver Resolver
	// Addresses are those of this machine, the one that leads outside first.
	Addresses func() []netip.Addr
	// Now gives the time, in the zone in which scripts without GMT reckon.
	Now func() time.Time
	// Limit is how long a script may run, without its DNS lookups; default 1 s.
	Limit time.Duration
	// Lookup bounds one DNS lookup, default 2 s, and Lookups all of one evaluation together, default 5 s.
	Lookup, Lookups time.Duration
}

func (e Env) withDefaults() Env {
	if e.Resolver == nil {
		e.Resolver = systemResolver{}
	}
	if e.Addresses == nil {
		e.Addresses = addresses
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Limit <= 0 {
		e.Limit = time.Second
	}
	if e.Lookup <= 0 {
		e.Lookup = 2 * time.Second
	}
	if e.Lookups <= 0 {
		e.Lookups = 5 * time.Second
	}
	return e
}

// Error is what is wrong with a script or came of it.
type Error struct {
	// Where is the script's name, with line and column where they are known.
	Where, Message, Hint string
}

func (e *Error) Error() string { return e.Where + ": " + e.Message }

// Script is a compiled file. It is safe for concurrent use.
type Script struct {
	name    string
	env     Env
	program *goja.Program
	// slots holds the runtimes nobody uses; nil stands for one that is yet to be made.
	slots chan *machine

	mu      sync.Mutex
	names   map[lookup]addressed
	answers map[asked]answered
}

// asked is a question to a script, answered what it said.
type asked struct{ address, host string }

type answered struct {
	answer *Answer
	until  time.Time
}

// maxAnswers bounds how many steady answers are kept.
const maxAnswers = 1000

// Answer is what a script said.
type Answer struct {
	// Entries are the ways to try in order, Text is what the script returned.
	Entries []Entry
	Text    string
	// Notes say what of it was left out and what alert was called with.
	Notes []string
	// Steady says that asking again gives the same as long as DNS does: the script did not look at clock or dice.
	Steady bool
}

// Compile reads a script. The name is what errors call it.
func Compile(name string, source []byte, env Env) (*Script, error) {
	s := &Script{name: name, env: env.withDefaults(), slots: make(chan *machine, workers), names: map[lookup]addressed{}, answers: map[asked]answered{}}
	text, err := s.text(source)
	if err != nil {
		return nil, err
	}
	type compiled struct {
		program *goja.Program
		err     error
	}
	done := make(chan compiled, 1)
	go func() {
		var c compiled
		defer func() {
			if p := recover(); p != nil {
				c.err = s.fail("the engine cannot read this script: %v", p)
			}
			done <- c
		}()
		c.program, c.err = s.compile(text)
	}()
	timer := time.NewTimer(compiling)
	defer timer.Stop()
	select {
	case c := <-done:
		if c.err != nil {
			return nil, c.err
		}
		s.program = c.program
	case <-timer.C:
		return nil, s.fail("reading it took more than %v: its expressions are nested too deep", compiling)
	}
	for range workers {
		s.slots <- nil
	}
	// A script that cannot even start is better known now than with the first request.
	_, err = run(context.Background(), s, <-s.slots, func(*machine) (struct{}, error) { return struct{}{}, nil })
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Script) fail(format string, a ...any) *Error {
	return &Error{Where: s.name, Message: fmt.Sprintf(format, a...)}
}

var markup = regexp.MustCompile(`^(?i)\s*<(!doctype|html|head|body|\?xml|!--)`)

// text returns the source as text, and refuses what cannot be a script.
func (s *Script) text(source []byte) (string, error) {
	if len(source) > MaxSize {
		return "", s.fail("larger than %d KiB, which no PAC file needs", MaxSize>>10)
	}
	text := strings.TrimPrefix(string(source), "\ufeff")
	if !utf8.ValidString(text) { // Latin-1 then, in some comment
		runes := make([]rune, len(source))
		for i, b := range source {
			runes[i] = rune(b)
		}
		text = string(runes)
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", s.fail("the file is empty")
	case markup.MatchString(text):
		e := s.fail("line 1:1: this is an HTML page, not a script")
		e.Hint = "look at the address in a browser: a page for signing in, or of an error, stands in the file's place"
		return "", e
	}
	if n := strings.Count(text, "(") + strings.Count(text, "[") + strings.Count(text, "{"); n > brackets {
		return "", s.fail("opens %d brackets, more than the %d that can be read safely", n, brackets)
	}
	return text, nil
}

func (s *Script) compile(text string) (*goja.Program, error) {
	// Without source maps: a comment in the script would name files of this machine to read.
	tree, err := parser.ParseFile(nil, s.name, text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		var list parser.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			first := list[0]
			return nil, s.fail("line %d:%d: not JavaScript: %s", first.Position.Line, first.Position.Column, first.Message)
		}
		return nil, s.fail("not JavaScript: %v", err)
	}
	program, err := goja.CompileAST(tree, false)
	if err != nil {
		var syntax *goja.CompilerSyntaxError
		if errors.As(err, &syntax) && syntax.File != nil {
			at := syntax.File.Position(syntax.Offset)
			return nil, s.fail("line %d:%d: not JavaScript: %s", at.Line, at.Column, syntax.Message)
		}
		return nil, s.fail("not JavaScript: %v", err)
	}
	return program, nil
}

// Find asks the script for the ways to host. address is the URL of the request as scripts may see it (see Address). A
// steady answer is kept as long as what DNS said; it is not to be written to.
func (s *Script) Find(ctx context.Context, address, host string) (*Answer, error) {
	q := asked{address, host}
	s.mu.Lock()
	known, ok := s.answers[q]
	s.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.answer, nil
	}
	a, err := s.evaluate(ctx, address, host)
	if err == nil && a.Steady {
		s.mu.Lock()
		if len(s.answers) >= maxAnswers {
			clear(s.answers)
		}
		s.answers[q] = answered{a, time.Now().Add(keepFound)}
		s.mu.Unlock()
	}
	return a, err
}

func (s *Script) evaluate(ctx context.Context, address, host string) (*Answer, error) {
	var m *machine
	wait := time.NewTimer(s.env.Limit + s.env.Lookups)
	defer wait.Stop()
	select {
	case m = <-s.slots:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-wait.C:
		e := s.fail("%d calls of this script are still running", workers)
		e.Hint = "look for what takes so long in it: slow DNS, or a loop"
		return nil, e
	}
	return run(ctx, s, m, func(m *machine) (*Answer, error) { return m.find(address, host) })
}

// run runs f with m, which is made first where it is nil, and hands m back to the slots when f has returned. What runs
// too long is stopped, and where it does not stop, left alone.
func run[T any](ctx context.Context, s *Script, m *machine, f func(*machine) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	if m == nil {
		m = newMachine(s)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = s.fail("the engine failed: %v", p)
			}
			done <- o
		}()
		if o.err = m.begin(ctx, w); o.err == nil {
			o.value, o.err = f(m)
		}
		m.end()
	}()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var stopped error
	var late <-chan time.Time
	stop := func(why error) {
		if stopped == nil {
			stopped = why
			m.vm.Interrupt(why)
			late = time.After(overtime)
		}
	}
	cancelled := ctx.Done()
	for {
		select {
		case o := <-done:
			if o.err != nil && stopped != nil {
				o.err = stopped
			}
			if o.err != nil || stopped != nil {
				m = nil // a runtime that was stopped somewhere is in no state to go on from
			}
			s.slots <- m
			return o.value, o.err
		case <-cancelled:
			stop(context.Cause(ctx))
			cancelled = nil
		case <-late:
			go func() { <-done; s.slots <- nil }()
			var none T
			return none, stopped
		case <-ticker.C:
			switch ran, grown := w.look(); {
			case ran > s.env.Limit:
				e := s.fail("ran longer than %v", s.env.Limit)
				e.Hint = "look for a loop in the script that does not end"
				stop(e)
			case grown > growth:
				stop(s.fail("used more than %d MiB of memory", growth>>20))
			}
		}
	}
}

// tick is how often a running script is looked at.
const tick = 20 * time.Millisecond

// watch reckons how long a script has run by itself, and how the heap grew meanwhile. It counts the ticks at which the
// script was seen running: on a machine that is so busy that ticks are lost, the script did not run either.
type watch struct {
	paused atomic.Bool
	base   atomic.Uint64
	ran    time.Duration // of the one who looks
}

// pause stops reckoning until the function it returns is called.
func (w *watch) pause() func() {
	w.paused.Store(true)
	return func() {
		w.base.Store(0) // others went on meanwhile
		w.paused.Store(false)
	}
}

func (w *watch) look() (ran time.Duration, grown uint64) {
	if w.paused.Load() {
		return w.ran, 0
	}
	w.ran += tick
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	heap := sample[0].Value.Uint64()
	if w.base.CompareAndSwap(0, heap) {
		return w.ran, 0
	}
	if base := w.base.Load(); base > 0 && heap > base {
		grown = heap - base
	}
	return w.ran, grown
}

// Address is a request's URL as scripts may see it: that of anything but plain http without path and query, as browsers
// have it, and without user, password and fragment.
func Address(scheme, authority, url string) string {
	if scheme != "http" {
		return "https://" + authority + "/"
	}
	path := "/"
	if _, rest, ok := strings.Cut(url, "://"); ok {
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			path, _, _ = strings.Cut(rest[i:], "#")
		}
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
	}
	return "http://" + authority + path
}
