package route

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"eaves/capture/hostpattern"
	"eaves/proxy/route/pac"
)

// loopback is how a reason calls the rule that every reader of these settings has built in: this machine is reached
// directly. The entry <-loopback> of eaves' own bypass list switches it off.
const loopback = "loopback"

// reread is how old the settings of Windows or macOS may be when they are used, and reading what reading them may take.
const (
	reread  = 5 * time.Second
	reading = 3 * time.Second
)

// System is what this machine says about proxies: the variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, and where
// none of them names a proxy, the settings of Windows or macOS. It is safe for concurrent use.
type System struct {
	environment environment
	own         func() []netip.AddrPort
	read        func(context.Context) (*settings, error) // nil where the system has no such settings

	mu      sync.Mutex
	now     *settings
	err     error
	at      time.Time
	running chan struct{}
}

// settings are those of an operating system.
type settings struct {
	origin string // how reasons call them
	via    Via    // proxies; direct for none
	bypass hostpattern.List
	pac    pac.Location
	notes  []string
}

// NewSystem reads the environment. own gives the addresses at which eaves itself listens: where the system names one of
// them, which is how programs are sent through eaves, that setting is ignored. It may be nil.
func NewSystem(environ func(string) string, own func() []netip.AddrPort) *System {
	return &System{environment: readEnvironment(environ), own: own, read: readSettings}
}

// settings returns those of the operating system; nil where it has none. They are read again in the background once
// they are old.
func (s *System) settings(ctx context.Context) (*settings, error) {
	if s.read == nil {
		return nil, nil
	}
	s.mu.Lock()
	if time.Since(s.at) > reread && s.running == nil {
		s.running = make(chan struct{})
		go s.refresh()
	}
	first, running := s.at.IsZero(), s.running
	s.mu.Unlock()
	if first && running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.err
}

func (s *System) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), reading)
	defer cancel()
	now, err := s.read(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.err, s.at = now, err, time.Now()
	close(s.running)
	s.running = nil
}

// isOwn says whether a proxy is eaves itself.
func (s *System) isOwn(host string, port int) bool {
	if s == nil || s.own == nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	here := host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (a.Unmap().IsLoopback() || a.IsUnspecified())
	for _, own := range s.own() {
		if int(own.Port()) != port {
			continue
		}
		o := own.Addr().Unmap()
		switch {
		case here && (o.IsLoopback() || o.IsUnspecified()), err == nil && a.Unmap() == o:
			return true
		case err == nil && o.IsUnspecified() && isLocal(a.Unmap()):
			return true
		}
	}
	return false
}

// isLocal says whether an address is one of this machine's interfaces.
func isLocal(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, one := range all {
		if n, ok := one.(*net.IPNet); ok {
			if b, ok := netip.AddrFromSlice(n.IP); ok && b.Unmap() == a.WithZone("") {
				return true
			}
		}
	}
	return false
}

// parseExceptions reads the exceptions of Windows or macOS, and leaves out what it does not understand: it is not eaves'
// own list, and the user may not be able to change it.
func parseExceptions(entries []string) (hostpattern.List, []string) {
	var good, notes []string
	for _, e := range entries {
		if e = strings.TrimSpace(e); e == "" {
			continue
		}
		if _, err := hostpattern.ParseList(e); err != nil {
			notes = append(notes, fmt.Sprintf("exception left out: %v", err))
			continue
		}
		good = append(good, e)
	}
	list, err := hostpattern.ParseList(strings.Join(good, ";"))
	if err != nil {
		notes = append(notes, fmt.Sprintf("exceptions left out: %v", err))
	}
	return list, notes
}
