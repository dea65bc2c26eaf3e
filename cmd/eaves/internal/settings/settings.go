// Package settings is DATA/settings.json: what the console and the commands edit and a run keeps. It is not in the
// database, so that losing a capture loses no setting.
//
// # Guarantees
//
// The file has a revision that grows with each change and is replaced by rename: a reader finds one revision or the
// next, never a mixture. A change by hand takes effect within moments; one that cannot be read is reported and leaves
// the settings as they were. A file that cannot be read at the start is an error, never silently begun anew.
package settings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"eaves/certs/identity"
	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/proxy/route"
)

// Settings are all settings in one revision. Beside each list stands the id that its next new item is given.
type Settings struct {
	Revision              int64               `json:"revision"`
	Recording             bool                `json:"recording"`
	NextRule              int64               `json:"nextRule"`
	Rules                 []Rule              `json:"rules"`
	NextClientCertificate int64               `json:"nextClientCertificate"`
	ClientCertificates    []identity.Entry    `json:"clientCertificates"`
	NextTrust             int64               `json:"nextTrust"`
	Trust                 []trustanchor.Entry `json:"trust"`
	NextTLSPolicy         int64               `json:"nextTLSPolicy"`
	TLSPolicies           []tlspolicy.Entry   `json:"tlsPolicies"`
	NextRoute             int64               `json:"nextRoute"`
	Routes                []route.Entry       `json:"routes"`
	NextFilter            int64               `json:"nextFilter"`
	Filters               []SavedFilter       `json:"filters"`
	// DefaultRoute is nil where nobody has changed it.
	DefaultRoute *route.Default `json:"defaultRoute,omitempty"`
	Retention    Retention      `json:"retention,omitzero"`
}

// defaults are the settings of a fresh data directory.
func defaults() Settings {
	s := Settings{Recording: true}
	for _, l := range lists() {
		l.settle(&s)
	}
	return s
}

// ErrInvalid is why a change was refused: it is the asker's mistake.
var ErrInvalid = errors.New("invalid")

// File is the settings file of a data directory that this process holds.
type File struct {
	path string
	log  func(string)

	mu      sync.Mutex
	now     Settings
	written []byte // the file as this process last read or wrote it
	changed []func(Settings)
}

// Open reads the file. log takes a line about a change by hand that cannot be read.
func Open(path string, log func(string)) (*File, error) {
	f := &File{path: path, log: log, now: defaults()}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		f.now, err = parse(b)
	}
	if err != nil {
		return nil, failure.Wrong("reading settings", fmt.Errorf("%s: %w", path, err), "mend the file, or move it away to begin with default settings")
	}
	f.written = b
	return f, nil
}

// Get returns the settings as they are now. The caller does not write to them.
func (f *File) Get() Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// OnChange calls fn with the settings as they are, and again after each change, in order. fn must not call the File.
func (f *File) OnChange(fn func(Settings)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed = append(f.changed, fn)
	fn(f.now)
}

// SetRecording turns recording on or off.
func (f *File) SetRecording(on bool) error {
	return f.change(func(s *Settings) error { s.Recording = on; return nil })
}

// SetDefaultRoute changes what holds where no route matches.
func (f *File) SetDefaultRoute(d route.Default) error {
	return f.change(func(s *Settings) error { s.DefaultRoute = &d; return nil })
}

// change writes a new revision, and makes it hold once it is written.
func (f *File) change(edit func(*Settings) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now
	for _, l := range lists() {
		l.clone(&next)
	}
	if err := edit(&next); err != nil {
		return err
	}
	if err := next.validate(); err != nil {
		return err
	}
	next.Revision++
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if err := datadir.Replace(f.path, b); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	f.written = b
	f.set(next)
	return nil
}

// set makes next hold and tells. The lock is held.
func (f *File) set(next Settings) {
	f.now = next
	for _, fn := range f.changed {
		fn(next)
	}
}

// lookEvery is how often the file is looked at.
const lookEvery = 250 * time.Millisecond

// Watch takes over changes by hand until ctx ends. It looks at the file now and then: a watch on its directory would be
// told of every write to the database beside it, which under load costs more than the settings ever do.
func (f *File) Watch(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	f.reload() // what changed before the watch began
	var seen os.FileInfo
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := os.Stat(f.path)
		if err != nil || seen != nil && os.SameFile(seen, now) && seen.ModTime().Equal(now.ModTime()) && seen.Size() == now.Size() {
			continue
		}
		seen = now
		f.reload()
	}
}

// reload reads the file if it is not as this process left it.
func (f *File) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := os.ReadFile(f.path)
	if err != nil || bytes.Equal(b, f.written) {
		return // a file that is away for a moment is being replaced
	}
	f.written = b
	next, err := parse(b)
	if err != nil {
		f.log(fmt.Sprintf("settings: %s: %v; the settings before it still hold", f.path, err))
		return
	}
	next.Revision = max(next.Revision, f.now.Revision+1)
	for _, l := range lists() {
		l.carry(&f.now, &next)
	}
	f.set(next)
}

// parse reads settings and checks them.
func parse(b []byte) (Settings, error) {
	s := defaults()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(&s)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("text after the settings")
		}
	}
	if err != nil {
		at := dec.InputOffset()
		var syntax *json.SyntaxError
		var typed *json.UnmarshalTypeError
		if errors.As(err, &syntax) {
			at = syntax.Offset
		} else if errors.As(err, &typed) {
			at = typed.Offset
			err = fmt.Errorf("%s cannot be %s", typed.Field, typed.Value)
		}
		line := 1 + bytes.Count(b[:min(at, int64(len(b)))], []byte("\n"))
		return Settings{}, fmt.Errorf("line %d: %w", line, err)
	}
	for _, l := range lists() {
		l.settle(&s)
	}
	return s, s.validate()
}

// validate checks what a change or a file says.
func (s *Settings) validate() error {
	for _, l := range lists() {
		if err := l.validate(s); err != nil {
			return err
		}
	}
	if err := s.Retention.validate(); err != nil {
		return fmt.Errorf("%w retention: %w", ErrInvalid, err)
	}
	if s.DefaultRoute != nil {
		if _, _, err := s.DefaultRoute.Read(); err != nil {
			return fmt.Errorf("%w default route: %w", ErrInvalid, err)
		}
	}
	return nil
}
