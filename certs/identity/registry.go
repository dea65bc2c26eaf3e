package identity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture/hostpattern"
	"eaves/certs/internal/reread"
	"eaves/certs/mistake"
)

// Identity is a client certificate that is for a server.
type Identity struct {
	// Loaded is nil where it cannot be used.
	*Loaded
	// Number is its entry, Rule the pattern with its port, Specificity how much that says about a host.
	Number      int64
	Rule        string
	Specificity int
	// Proxy says that it is for parent proxies.
	Proxy bool
	// Note says why it cannot be used, or that its files have changed and cannot be used so that this is the one before.
	Note string
}

// State is how an entry is.
type State struct {
	Entry Entry
	// Loaded is what would be shown; nil: it cannot be used at all.
	Loaded *Loaded
	// Err is why its files, as they are now, cannot be used. With Loaded the certificate before them is still in use.
	Err error
}

// Note says that the files have changed and cannot be used, so that the certificate before them stays in use; "" where
// that is not so.
func (s State) Note() string {
	if s.Loaded == nil || s.Err == nil {
		return ""
	}
	return keptNote(reread.State[*Loaded]{Value: s.Loaded, Good: true, Err: s.Err})
}

// Registry holds the client certificates. Its methods are safe for concurrent use; Matching costs one atomic load where
// nothing matches.
type Registry struct {
	from Sources
	log  func(string)

	mu    sync.Mutex
	table atomic.Pointer[[]*slot] // best first
}

// slot is one entry of the registry.
type slot struct {
	entry       Entry
	pattern     hostpattern.Pattern
	rule        string
	specificity int
	value       *reread.Value[*Loaded]
}

// New makes an empty registry. log takes a line where files change. It may be nil.
func New(from Sources, log func(string)) *Registry {
	if log == nil {
		log = func(string) {}
	}
	r := &Registry{from: from, log: log}
	r.table.Store(new([]*slot))
	return r
}

// Set replaces the entries. What an entry with the same source has loaded stays loaded; nothing is read. An entry that is
// not valid is left out.
func (r *Registry) Set(entries []Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.table.Load()
	kept := make(map[*slot]bool)
	next := make([]*slot, 0, len(entries))
	for _, e := range entries {
		p, err := hostpattern.Parse(e.Host)
		if err != nil || e.Validate() != nil {
			continue
		}
		s := &slot{entry: e, pattern: p, rule: ruleOf(p), specificity: p.Specificity()}
		if i := slices.IndexFunc(old, func(o *slot) bool { return o.entry.SameSource(e) }); i >= 0 {
			s.value = old[i].value
			kept[old[i]] = true
		} else {
			s.value = r.value(e)
		}
		next = append(next, s)
	}
	// Best first: the more specific pattern, then the last one added.
	slices.SortStableFunc(next, func(a, b *slot) int {
		return cmp.Or(cmp.Compare(b.specificity, a.specificity), cmp.Compare(b.entry.ID, a.entry.ID))
	})
	r.table.Store(&next)
	for _, s := range old {
		if !kept[s] {
			s.retire()
		}
	}
}

// value is what an entry's files hold.
func (r *Registry) value(e Entry) *reread.Value[*Loaded] {
	return reread.New(e.paths(),
		func() (*Loaded, error) { return Load(context.Background(), e, r.from) },
		func(err error) bool { return !lasting(err) },
		func(before, after reread.State[*Loaded]) { r.changed(&e, before, after) })
}

// changed says what became of new files.
func (r *Registry) changed(e *Entry, before, after reread.State[*Loaded]) {
	name := fmt.Sprintf("client certificate %d (%s)", e.ID, e.Rule())
	switch {
	case after.Err == nil && before.Good && before.Value.ID != after.Value.ID:
		r.log(fmt.Sprintf("%s: its files have changed: serial %s takes the place of %s", name, serial(after.Value), serial(before.Value)))
		retire(before.Value)
	case after.Err == nil && before.Err != nil:
		r.log(fmt.Sprintf("%s: its files can be used again, serial %s", name, serial(after.Value)))
	case after.Err != nil && after.Good && (before.Err == nil || before.Err.Error() != after.Err.Error()):
		r.log("warning: " + name + ": " + keptNote(after))
	}
}

// keptNote says that an old certificate is in use, and why.
func keptNote(s reread.State[*Loaded]) string {
	return fmt.Sprintf("its files have changed and cannot be used (%v); the certificate before them, serial %s, stays in use", s.Err, serial(s.Value))
}

func serial(l *Loaded) string { return l.Chain[0].SerialNumber.Text(16) }

// Matching returns the certificates that may be shown to a server, best first: the more specific pattern, then the last
// one added. Those that would match but cannot be used are among them, without Loaded and with a Note that says why.
func (r *Registry) Matching(host string, port int, proxy bool) []Identity {
	var all []Identity
	for _, s := range *r.table.Load() {
		if s.matches(host, port, proxy) {
			all = append(all, s.identity(s.value.Get()))
		}
	}
	return all
}

// Get returns the certificate with an id, also where it is disabled or meant for others: who names it wants it. ok is
// false where there is none; err says why there is one that cannot be used.
func (r *Registry) Get(id int64) (_ Identity, ok bool, err error) {
	for _, s := range *r.table.Load() {
		if s.entry.ID == id {
			state := s.value.Get()
			if !state.Good {
				return Identity{}, true, state.Err
			}
			return s.identity(state), true, nil
		}
	}
	return Identity{}, false, nil
}

// States returns how each entry is, in the order of their ids. It looks at the files now.
func (r *Registry) States() []State {
	slots := slices.Clone(*r.table.Load())
	slices.SortFunc(slots, func(a, b *slot) int { return cmp.Compare(a.entry.ID, b.entry.ID) })
	all := make([]State, len(slots))
	for i, s := range slots {
		state := s.value.Look()
		all[i] = State{Entry: s.entry, Loaded: state.Value, Err: state.Err}
	}
	return all
}

// Retry has what could not be loaded tried again when it is needed next: a secret has changed.
func (r *Registry) Retry() {
	for _, s := range *r.table.Load() {
		s.value.Forget()
	}
}

// Close gives tokens up.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []string
	for _, s := range *r.table.Load() {
		if l := s.value.Last(); l.Good {
			if err := l.Value.Close(); err != nil {
				errs = append(errs, err.Error())
			}
		}
	}
	r.table.Store(new([]*slot))
	if len(errs) > 0 {
		return &mistake.Error{Field: "token", What: "closing tokens: " + strings.Join(errs, "; ")}
	}
	return nil
}

// matches says whether the entry is for a server.
func (s *slot) matches(host string, port int, proxy bool) bool {
	return s.entry.Enabled && (s.entry.For == ForProxy) == proxy && s.pattern.MatchDefault(host, port, DefaultPort)
}

func (s *slot) identity(state reread.State[*Loaded]) Identity {
	i := Identity{Loaded: state.Value, Number: s.entry.ID, Rule: s.rule, Specificity: s.specificity, Proxy: s.entry.For == ForProxy}
	switch {
	case state.Err != nil && state.Good:
		i.Note = keptNote(state)
	case state.Err != nil:
		i.Note = state.Err.Error()
	}
	return i
}

// grace is how long a token that is no longer configured may still sign for handshakes under way.
const grace = 30 * time.Second

func (s *slot) retire() {
	if l := s.value.Last(); l.Good {
		retire(l.Value)
	}
}

func retire(l *Loaded) {
	if l.token != nil {
		time.AfterFunc(grace, func() { _ = l.Close() })
	}
}
