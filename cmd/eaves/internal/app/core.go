// Package app puts eaves together: data directory, settings, CA, store, proxy and console, started and ended in the order
// that loses nothing.
//
// # Order
//
// Everything that can fail for a reason the user can mend (the lock, the settings, the CA, the database, the addresses)
// is tried before anything is served. At the end the proxy stops first, so that exchanges under way can be recorded to
// their end; then the console, which shows them; then the store, which commits them; the lock goes last.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"eaves/capture/filter"
	"eaves/capture/hostpattern"
	"eaves/capture/store"
	"eaves/certs"
	"eaves/certs/identity"
	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/certs/vault"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/cmd/eaves/internal/settings"
	"eaves/proxy"
	"eaves/proxy/route"
	"eaves/webui"
	"eaves/webui/apistore"
)

// core is everything but the listeners.
type core struct {
	dir      *datadir.Dir
	settings *settings.File
	ca       *certs.CA
	store    *store.Store
	proxy    *proxy.Proxy
	console  *webui.Server
	keylog   *os.File
	token    string

	// onboarding is set before anything is served.
	onboarding http.Handler

	recording atomic.Bool
	rules     atomic.Pointer[[]proxy.Rule]

	// What bears on TLS with servers.
	insecure   bool // --insecure
	vault      *vault.Vault
	identities *identity.Registry
	anchors    *trustanchor.Registry
	policies   atomic.Pointer[tlspolicy.Table]
	editing    sync.Mutex // of one who changes them through the API

	routing *routing
	decider atomic.Pointer[route.Decider]

	mu        sync.Mutex
	own       []netip.AddrPort // beside the proxy's
	listeners []netip.AddrPort // all
}

// openCore opens what is in a data directory that is held. log takes lines for the user.
func openCore(ctx context.Context, cfg *config.Config, dir *datadir.Dir, log func(string)) (_ *core, err error) {
	c := &core{dir: dir, insecure: cfg.Insecure}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(ctx))
		}
	}()
	if c.settings, err = settings.Open(dir.Join(datadir.SettingsName), log); err != nil {
		return nil, err
	}
	if c.ca, err = certs.LoadOrCreate(dir.Path()); err != nil {
		return nil, failure.New("loading the CA", err, "")
	}
	if c.vault, err = vault.Open(dir.Path()); err != nil {
		return nil, failure.New("opening the vault", err, "")
	}
	c.newRouting(cfg)
	c.identities, c.anchors = identity.New(c.sources(), log), trustanchor.New(log)
	if cfg.KeyLog != "" {
		if c.keylog, err = os.OpenFile(cfg.KeyLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return nil, failure.New("opening the key log", err, "")
		}
	}
	kept := forStore(retentionOf(cfg, c.settings.Get()))
	c.store, err = store.Open(ctx, store.Config{Dir: dir.Path(), Keep: kept.Keep, MaxSize: kept.MaxSize, MaxAge: kept.MaxAge, Log: log})
	if err != nil {
		hint := ""
		if o := (*store.OpenError)(nil); errors.As(err, &o) {
			hint = o.Hint
		}
		return nil, failure.New("opening the store", err, hint)
	}
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	c.token = hex.EncodeToString(random)
	fixed := patternRules(cfg.Passthrough)
	c.settings.OnChange(func(s settings.Settings) {
		c.recording.Store(s.Recording)
		rules := append(fixed[:len(fixed):len(fixed)], settingsRules(s.Rules)...)
		c.rules.Store(&rules)
		c.identities.Set(s.ClientCertificates)
		c.anchors.Set(s.Trust)
		c.setPolicies(s.TLSPolicies)
		c.decider.Store(c.routing.decide(s))
		if next := forStore(retentionOf(cfg, s)); next != kept {
			kept = next
			c.store.SetRetention(next)
		}
	})
	c.proxy = c.newProxy(cfg, log)
	return c, nil
}

// newProxy makes the proxy.
func (c *core) newProxy(cfg *config.Config, log func(string)) *proxy.Proxy {
	p := proxy.Config{
		Recorder:    c.store,
		Leaves:      c.ca,
		Rules:       func() []proxy.Rule { return *c.rules.Load() },
		Recording:   c.recording.Load,
		Identities:  c.identitiesFor,
		Trust:       c.trustFor,
		Policy:      c.policyFor,
		Route:       c.route,
		Onboarding:  http.HandlerFunc(c.onboard),
		Own:         c.ownAddresses,
		PrivateOnly: cfg.LAN,
		Log:         log,
	}
	if c.keylog != nil {
		p.KeyLog = c.keylog
	}
	return proxy.New(p)
}

// keylogPath is the file that TLS secrets are written to, "" for none.
func (c *core) keylogPath() string {
	if c.keylog == nil {
		return ""
	}
	path, err := filepath.Abs(c.keylog.Name())
	if err != nil {
		return c.keylog.Name()
	}
	return path
}

// onboard answers whoever asks the proxy as a web server.
func (c *core) onboard(w http.ResponseWriter, r *http.Request) {
	if c.onboarding == nil {
		http.NotFound(w, r)
		return
	}
	c.onboarding.ServeHTTP(w, r)
}

// ownAddresses are listeners that the proxy must not dial.
func (c *core) ownAddresses() []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own
}

// newConsole makes the console's server. hosts are names of its own beside its listeners', guests knows who came to the
// proxy; it may be nil.
func (c *core) newConsole(about webui.About, hosts []string, guests webui.Onboarding, log func(string)) {
	c.console = webui.New(webui.Config{
		Token:       c.token,
		Hosts:       hosts,
		Version:     ReadVersion().Module,
		About:       about,
		Store:       apistore.New(c.store),
		Sender:      sender{c},
		Injector:    sender{c},
		Recording:   recordingSwitch{c.settings},
		Rules:       ruleKeeper{c.settings},
		Certificate: c.ca.PEM,

		Diagnostician: diagnostician{c},
		Inventory:     inventory{c},

		ClientCertificates: certificateKeeper{c},
		Trust:              trustKeeper{c},
		TLSPolicies:        policyKeeper{c},
		Secrets:            secretKeeper{c},
		Routes:             routeKeeper{c},
		Retention:          retentionKeeper{c, c.routing.cfg},
		Filters:            filterKeeper{c.settings},
		Onboarding:         guests,

		Log: log,
	})
}

// close commits and gives everything up.
func (c *core) close(ctx context.Context) error {
	var errs []error
	if c.store != nil {
		if err := c.store.Close(ctx); err != nil {
			errs = append(errs, failure.New("closing the store", err, ""))
		}
	}
	if c.keylog != nil {
		errs = append(errs, c.keylog.Close())
	}
	if c.identities != nil {
		errs = append(errs, c.identities.Close())
	}
	return errors.Join(append(errs, c.dir.Close())...)
}

// patternRules are the rules of the configuration's passthrough patterns.
func patternRules(patterns []hostpattern.Pattern) []proxy.Rule {
	var rules []proxy.Rule
	for _, p := range patterns {
		rules = append(rules, passthrough("passthrough "+p.String(), p))
	}
	return rules
}

// isCopy says whether a path is that of a copy of an upload.
func (c *core) isCopy(path string) bool {
	return path != "" && filepath.Dir(filepath.Clean(path)) == c.dir.Join(datadir.CertificatesName)
}

// passthrough is the rule that leaves the hosts of a pattern alone.
func passthrough(name string, p hostpattern.Pattern) proxy.Rule {
	f, err := filter.Parse(`host:"` + p.String() + `"`)
	if err != nil {
		// A pattern's text has neither quotes nor backslashes, and a filter takes every pattern.
		panic(fmt.Sprintf("filter of host pattern %s: %v", p, err))
	}
	return proxy.Rule{Name: name, Filter: f, Action: proxy.ActionPassthrough}
}

// settingsRules are the enabled rules of the settings, which have been checked.
func settingsRules(list []settings.Rule) []proxy.Rule {
	var rules []proxy.Rule
	for _, r := range list {
		if !r.Enabled {
			continue
		}
		name := fmt.Sprintf("rule %d", r.ID)
		if r.Action == settings.Passthrough {
			if p, err := hostpattern.Parse(r.Filter); err == nil {
				rules = append(rules, passthrough(name, p))
			}
			continue
		}
		if f, err := filter.Parse(r.Filter); err == nil {
			rules = append(rules, proxy.Rule{Name: name, Filter: f, Action: proxy.Action(r.Action)})
		}
	}
	return rules
}
