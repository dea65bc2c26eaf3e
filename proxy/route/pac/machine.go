package pac

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dop251/goja"
)

const (
	maxNotes    = 20
	maxNote     = 200
	maxReturned = 16 << 10
)

// machine is a runtime of one script. One goroutine uses it at a time.
type machine struct {
	script *Script
	vm     *goja.Runtime
	find1  goja.Callable
	loaded bool

	// What follows is of one evaluation.
	ctx     context.Context
	watch   *watch
	looking time.Duration // spent in DNS
	notes   []string
	fickle  bool
}

func newMachine(s *Script) *machine {
	vm := goja.New()
	vm.SetMaxCallStackSize(callDepth)
	m := &machine{script: s, vm: vm}
	vm.SetTimeSource(func() time.Time { m.fickle = true; return s.env.Now() })
	dice := uint64(s.env.Now().UnixNano())
	vm.SetRandSource(func() float64 {
		m.fickle = true
		dice ^= dice << 13 // xorshift (Marsaglia 2003): spreading requests over proxies needs no better
		dice ^= dice >> 7
		dice ^= dice << 17
		return float64(dice>>11) / (1 << 53)
	})
	return m
}

// begin makes the machine ready for one evaluation.
func (m *machine) begin(ctx context.Context, w *watch) error {
	m.ctx, m.watch, m.looking, m.notes, m.fickle = ctx, w, 0, nil, false
	if m.loaded {
		return nil
	}
	for name, f := range m.functions() {
		if err := m.vm.Set(name, f); err != nil {
			return m.script.fail("the engine failed: %v", err)
		}
	}
	if _, err := m.vm.RunString(guard); err != nil {
		return m.script.fail("the engine failed: %v", err)
	}
	if _, err := m.vm.RunProgram(m.script.program); err != nil {
		return m.failure(err)
	}
	// Browsers call FindProxyForURL; FindProxyForURLEx is Windows' and differs in its functions for IPv6 only.
	for _, name := range []string{"FindProxyForURL", "FindProxyForURLEx"} {
		if f, ok := goja.AssertFunction(m.vm.Get(name)); ok {
			m.find1, m.loaded = f, true
			return nil
		}
	}
	e := m.script.fail("has no function FindProxyForURL(url, host)")
	e.Hint = "name a PAC file: it defines that function"
	return e
}

// end forgets what an evaluation was about.
func (m *machine) end() { m.ctx, m.watch, m.notes = nil, nil, nil }

func (m *machine) find(address, host string) (*Answer, error) {
	v, err := m.find1(goja.Undefined(), m.vm.ToValue(address), m.vm.ToValue(host))
	if err != nil {
		return nil, m.failure(err)
	}
	a := &Answer{Steady: !m.fickle, Notes: m.notes}
	switch {
	case goja.IsUndefined(v), goja.IsNull(v):
		a.Text, a.Entries = v.String(), []Entry{{Kind: Direct}}
		a.Notes = append(a.Notes, "the script returned nothing, which means DIRECT")
		return a, nil
	case !goja.IsString(v):
		return nil, m.script.fail("FindProxyForURL returned %s, not a text such as \"PROXY proxy:8080; DIRECT\"", v.ExportType())
	}
	if a.Text = v.String(); len(a.Text) > maxReturned {
		return nil, m.script.fail("FindProxyForURL returned a text of %d bytes", len(a.Text))
	}
	var notes []string
	a.Entries, notes = Parse(a.Text)
	a.Notes = append(a.Notes, notes...)
	if len(a.Entries) == 0 {
		return nil, m.script.fail("FindProxyForURL returned %q, which names no way: %s", cut(a.Text), strings.Join(notes, "; "))
	}
	return a, nil
}

// note keeps what is worth telling about an evaluation.
func (m *machine) note(s string) {
	if len(m.notes) < maxNotes {
		m.notes = append(m.notes, cut(s))
	}
}

// cut bounds a text that comes from a script.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > maxNote {
		s = strings.ToValidUTF8(s[:maxNote], "") + "…"
	}
	return s
}

// failure says what a script threw, and where.
func (m *machine) failure(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var overflow *goja.StackOverflowError
	if errors.As(err, &overflow) {
		return m.at(overflow.Stack(), "its calls go deeper than %d", callDepth)
	}
	var interrupted *goja.InterruptedError
	if errors.As(err, &interrupted) {
		return m.at(interrupted.Stack(), "stopped")
	}
	var thrown *goja.Exception
	if !errors.As(err, &thrown) {
		return m.script.fail("%v", err)
	}
	what := "undefined"
	if v := thrown.Value(); v != nil {
		what = cut(m.text(v))
	}
	return m.at(thrown.Stack(), "threw %s", what)
}

// text is a thrown value as text, which may throw in turn.
func (m *machine) text(v goja.Value) (s string) {
	defer func() {
		if recover() != nil {
			s = "something that cannot be written"
		}
	}()
	return v.String()
}

// at is an error at the innermost place that lies within the script.
func (m *machine) at(stack []goja.StackFrame, format string, a ...any) *Error {
	e := m.script.fail(format, a...)
	for _, f := range stack {
		if p := f.Position(); f.SrcName() == m.script.name && p.Line > 0 {
			e.Message = "line " + position(p.Line, p.Column) + ": " + e.Message
			break
		}
	}
	return e
}

// guard bounds the built-in functions that make much out of little, and takes away those that make code out of text. It
// runs before the script.
const guard = `(function () {
	'use strict';
	var most = 1 << 20;
	function refuse() { throw new TypeError('a PAC script cannot make code from text'); }
	[function () {}, function* () {}, async function () {}].forEach(function (f) {
		var prototype = Object.getPrototypeOf(f);
		Object.defineProperty(prototype, 'constructor', {value: refuse});
	});
	refuse.prototype = Function.prototype;
	globalThis.Function = globalThis.eval = refuse;
	['ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array',
		'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'].forEach(function (name) {
		delete globalThis[name];
	});
	function bound(object, name, size) {
		var whole = object[name];
		Object.defineProperty(object, name, {writable: true, configurable: true, value: function () {
			if (size(this, arguments) > most) throw new RangeError(name + ' would make too much');
			return Reflect.apply(whole, this, arguments);
		}});
	}
	bound(String.prototype, 'repeat', function (s, a) { return String(s).length * a[0]; });
	bound(String.prototype, 'padStart', function (s, a) { return a[0]; });
	bound(String.prototype, 'padEnd', function (s, a) { return a[0]; });
	bound(Array.prototype, 'join', function (s) { return s.length; });
	bound(Array.prototype, 'fill', function (s) { return s.length; });
	bound(Function.prototype, 'apply', function (s, a) { return a[1] ? a[1].length : 0; });
	bound(JSON, 'parse', function (s, a) { return String(a[0]).length * 16; });
})();`
