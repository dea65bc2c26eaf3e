// Package trustanchor keeps the CAs that servers may be signed by, beside those of the system: for every host, or for the
// hosts of a pattern.
//
// # Guarantees
//
// Anchors add to the roots of this machine (SSL_CERT_FILE or the system's), they never take any away. A pattern without a
// port means any port. Files are read when they are first needed, and again when they change; a new file that cannot be
// read leaves what was read before in force.
package trustanchor

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eaves/capture/hostpattern"
	"eaves/certs/internal/reread"
	"eaves/certs/keyfile"
	"eaves/certs/mistake"
)

// maxFile bounds what is read as certificates: the system's own bundles have some 200 KiB.
const maxFile = 8 << 20

// Entry is a file of CAs as it is configured.
type Entry struct {
	ID      int64 `json:"id"`
	Enabled bool  `json:"enabled"`
	// Host is a host pattern; "" means every host.
	Host string `json:"host,omitempty"`
	// File holds certificates: PEM, DER or PKCS#7.
	File string `json:"file"`
	// Uploaded says that File is a copy in the data directory.
	Uploaded bool `json:"uploaded,omitempty"`
}

// Validate says what in the entry cannot be, without reading the file.
func (e *Entry) Validate() error {
	if e.Host != "" {
		if _, err := hostpattern.Parse(e.Host); err != nil {
			return mistake.In("host", "name a host such as api.bank.test or *.bank.test, or none for every host", "%v", err)
		}
	}
	switch {
	case e.File == "":
		return mistake.In("file", "name a file with certificates", "it is not said which CAs to trust")
	case !filepath.IsAbs(e.File):
		return mistake.In("file", "give the whole path", "%q is not an absolute path: eaves may run in another directory", e.File)
	}
	return nil
}

// Load reads the entry's file. The error is a *mistake.Error.
func Load(e Entry) ([]*x509.Certificate, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	info, err := os.Stat(e.File)
	var b []byte
	switch {
	case err == nil && info.Size() > maxFile:
		return nil, mistake.In("file", "", "%s has %d bytes: too much for certificates", e.File, info.Size())
	case err == nil && !info.Mode().IsRegular():
		return nil, mistake.In("file", "", "%s is not a file", e.File)
	case err == nil:
		b, err = os.ReadFile(e.File)
	}
	if err != nil {
		return nil, &mistake.Error{Field: "file", What: err.Error(), Err: err}
	}
	return Read(b)
}

// Read reads certificates to trust from the content of a file. The error is a *mistake.Error.
func Read(b []byte) ([]*x509.Certificate, error) {
	list, err := keyfile.Certificates(b)
	if err != nil {
		m := &mistake.Error{Field: "file", What: strings.TrimSuffix(err.Error(), "."), Err: err}
		if k := (*keyfile.Error)(nil); errors.As(err, &k) {
			m.What, m.Next = strings.TrimSuffix(k.What, "."), k.Hint
		}
		return nil, m
	}
	return list, nil
}

// Warning is why a certificate may not do what its user hopes.
type Warning struct{ Code, Message string }

// Check looks at certificates that are to be trusted.
func Check(list []*x509.Certificate, now time.Time) []Warning {
	const soon = 30 * 24 * time.Hour
	var all []Warning
	for _, c := range list {
		name := c.Subject.CommonName
		if name == "" {
			name = c.Subject.String()
		}
		switch {
		case now.After(c.NotAfter):
			all = append(all, Warning{"expired", fmt.Sprintf("%q expired on %s: what it signed is not trusted any more", name, c.NotAfter.UTC().Format(time.DateOnly))})
		case now.Before(c.NotBefore):
			all = append(all, Warning{"not-yet-valid", fmt.Sprintf("%q is not valid before %s", name, c.NotBefore.UTC().Format(time.DateOnly))})
		case c.NotAfter.Sub(now) < soon:
			all = append(all, Warning{"expires-soon", fmt.Sprintf("%q expires on %s", name, c.NotAfter.UTC().Format(time.DateOnly))})
		}
		if c.BasicConstraintsValid && !c.IsCA {
			all = append(all, Warning{"no-ca", fmt.Sprintf("%q is a server's certificate, not a CA's: it is trusted for the server that has it, and nothing that it signed is", name)})
		}
	}
	return all
}

// Trust is whom a server may be signed by.
type Trust struct {
	// ID changes with the CAs. "": nothing is added.
	ID string
	// Roots are all CAs; nil: those of the machine alone.
	Roots *x509.CertPool
	// Added are the entries that are part of it.
	Added []State
}

// State is how an entry is.
type State struct {
	Entry Entry
	// Certificates are those that are trusted; none: the file never could be read.
	Certificates []*x509.Certificate
	// Err is why the file as it is now cannot be read.
	Err error
}

// anchors are a file's certificates.
type anchors struct {
	id   string
	list []*x509.Certificate
}

type slot struct {
	entry   Entry
	pattern hostpattern.Pattern
	value   *reread.Value[anchors]
}

// table is what is configured, with the pools that were made of it.
type table struct {
	slots []*slot // by id
	mu    sync.Mutex
	pools map[string]*x509.CertPool
}

// Registry holds the trust anchors. Its methods are safe for concurrent use.
type Registry struct {
	log   func(string)
	mu    sync.Mutex
	table atomic.Pointer[table]
}

// New makes an empty registry. log takes a line where files change. It may be nil.
func New(log func(string)) *Registry {
	if log == nil {
		log = func(string) {}
	}
	r := &Registry{log: log}
	r.table.Store(&table{})
	return r
}

// Set replaces the entries. It reads nothing.
func (r *Registry) Set(entries []Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.table.Load().slots
	next := &table{pools: make(map[string]*x509.CertPool)}
	for _, e := range entries {
		if e.Validate() != nil {
			continue
		}
		s := &slot{entry: e}
		if e.Host != "" {
			s.pattern, _ = hostpattern.Parse(e.Host) // valid
		}
		if i := slices.IndexFunc(old, func(o *slot) bool { return o.entry.ID == e.ID && o.entry.File == e.File }); i >= 0 {
			s.value = old[i].value
		} else {
			s.value = r.value(e)
		}
		next.slots = append(next.slots, s)
	}
	slices.SortFunc(next.slots, func(a, b *slot) int { return cmp.Compare(a.entry.ID, b.entry.ID) })
	r.table.Store(next)
}

func (r *Registry) value(e Entry) *reread.Value[anchors] {
	read := func() (anchors, error) {
		list, err := Load(e)
		if err != nil {
			return anchors{}, err
		}
		h := sha256.New()
		for _, c := range list {
			h.Write(c.Raw)
		}
		return anchors{id: strconv.FormatInt(e.ID, 10) + "-" + hex.EncodeToString(h.Sum(nil)[:12]), list: list}, nil
	}
	return reread.New([]string{e.File}, read, nil, func(before, after reread.State[anchors]) {
		switch {
		case after.Err == nil && before.Value.id != after.Value.id:
			r.log(fmt.Sprintf("trust %d: %s has changed: %d certificates", e.ID, e.File, len(after.Value.list)))
		case after.Err != nil && after.Good && before.Err == nil:
			r.log(fmt.Sprintf("warning: trust %d: its file has changed and cannot be used (%v); what was read before stays trusted", e.ID, after.Err))
		}
	})
}

// For returns whom a server may be signed by.
func (r *Registry) For(host string, port int) Trust {
	t := r.table.Load()
	var trust Trust
	var id strings.Builder
	for _, s := range t.slots {
		if !s.entry.Enabled || s.entry.Host != "" && !s.pattern.Match(host, port) {
			continue
		}
		state := s.value.Get()
		if !state.Good {
			continue
		}
		trust.Added = append(trust.Added, State{Entry: s.entry, Certificates: state.Value.list, Err: state.Err})
		id.WriteString(state.Value.id)
		id.WriteByte(' ')
	}
	if len(trust.Added) > 0 {
		trust.ID = id.String()
		trust.Roots = t.pool(trust.ID, trust.Added)
	}
	return trust
}

// pool returns the machine's roots and what is added to them.
func (t *table) pool(id string, added []State) *x509.CertPool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pools[id]; p != nil {
		return p
	}
	p, err := x509.SystemCertPool()
	if err != nil {
		p = x509.NewCertPool() // what is added is trusted all the same
	}
	for _, s := range added {
		for _, c := range s.Certificates {
			p.AddCert(c)
		}
	}
	const most = 256 // files that change all the time leave pools behind
	if len(t.pools) >= most {
		clear(t.pools)
	}
	t.pools[id] = p
	return p
}

// States returns how each entry is, in the order of their ids. It looks at the files now.
func (r *Registry) States() []State {
	slots := r.table.Load().slots
	all := make([]State, len(slots))
	for i, s := range slots {
		state := s.value.Look()
		all[i] = State{Entry: s.entry, Certificates: state.Value.list, Err: state.Err}
	}
	return all
}
