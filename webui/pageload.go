package webui

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"eaves/capture"
)

// What belongs to the loading of a page is told apart by who asked for it (address, run, User-Agent), by its Referer and by Sec-Fetch-Dest.
const (
	// pageIdle is how long nothing may happen before a page counts as loaded, pageLongest how long it may load at all.
	pageIdle    = 2 * time.Second
	pageLongest = 2 * time.Minute
	pageStep    = 200
	// pageMost bounds the exchanges of a page, pageLooked those that are looked at to find them.
	pageMost   = 1000
	pageLooked = 4000
)

// pageLoad is an exchange that loaded a page, and what that page loaded, in the order in which it began.
type pageLoad struct {
	Exchanges []*capture.Exchange `json:"exchanges"`
	// Complete is false where there was more than is told.
	Complete bool `json:"complete"`
}

func (s *Server) pageLoad(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	first, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	p := beginLoading(first)
	out := pageLoad{Complete: true}
	f, err := parseFilter(clientFilter(first))
	if err != nil {
		return err
	}
	after := id
	for looked := 0; ; {
		step, err := s.cfg.Store.List(r.Context(), Query{Filter: f, Limit: pageStep, ByID: true, After: after})
		if err != nil {
			return err
		}
		for _, x := range step.Exchanges {
			after = x.ID
			if p.over(x) {
				step.Exchanges = nil
				break
			}
			whole, err := s.cfg.Store.Get(r.Context(), x.ID)
			if errors.Is(err, capture.ErrNotFound) {
				continue // removed meanwhile
			} else if err != nil {
				return err
			}
			p.offer(whole)
		}
		looked += len(step.Exchanges)
		if len(step.Exchanges) < pageStep {
			break
		}
		if looked >= pageLooked || len(p.members) >= pageMost {
			out.Complete = false
			break
		}
	}
	for _, x := range p.members {
		out.Exchanges = append(out.Exchanges, x.Summary())
	}
	slices.SortStableFunc(out.Exchanges, func(a, b *capture.Exchange) int { return a.Started.Compare(b.Started) })
	return writeJSON(w, r, http.StatusOK, out)
}

// clientFilter finds what the same client asked for.
func clientFilter(x *capture.Exchange) string {
	if x.Client.Run != "" {
		return groupFilter(capture.ByClient, "run "+x.Client.Run)
	}
	host, _, err := net.SplitHostPort(x.Client.Address)
	if err != nil {
		return groupFilter(capture.ByClient, x.Client.Address)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return groupFilter(capture.ByClient, host)
}

// loading finds the exchanges of one page's loading, which are offered in the order of their ids.
type loading struct {
	members []*capture.Exchange
	begun   time.Time
	// document is the page's latest answer, which may have sent the browser on.
	document *capture.Exchange
	// sources are what a Referer may name: the page, and what it loaded; origins are theirs, which is all that a strict
	// Referrer-Policy leaves of an address.
	sources, origins map[string]bool
	// others are the addresses of pages that were loaded beside this one.
	others map[string]bool
	end    time.Time // of what ended last
	open   bool      // something has not ended
}

func beginLoading(first *capture.Exchange) *loading {
	p := &loading{begun: first.Started, document: first, sources: make(map[string]bool), origins: make(map[string]bool), others: make(map[string]bool)}
	p.add(first)
	return p
}

func (p *loading) add(x *capture.Exchange) {
	p.members = append(p.members, x)
	address := withoutFragment(x.Request.URL)
	p.sources[address] = true
	if x == p.document || x.Request.Header.Get("Sec-Fetch-Dest") == "iframe" {
		p.origins[originOf(address)] = true
	}
	// What lasts, such as a WebSocket, does not keep a page loading.
	if x.Kind == capture.KindHTTP && x.State == capture.StateOpen {
		p.open = true
	}
	if end := x.Started.Add(time.Duration(max(x.Time, 0) * float64(time.Millisecond))); x.Kind == capture.KindHTTP && end.After(p.end) {
		p.end = end
	}
}

// over says whether the page had loaded before x began.
func (p *loading) over(x *capture.Exchange) bool {
	return x.Started.Sub(p.begun) > pageLongest || !p.open && x.Started.Sub(p.end) > pageIdle
}

// offer takes an exchange in if it is one of the page's.
func (p *loading) offer(x *capture.Exchange) {
	if x.Request.Header.Get("User-Agent") != p.members[0].Request.Header.Get("User-Agent") {
		return // another program of the same machine
	}
	referer, address := x.Request.Header.Get("Referer"), withoutFragment(x.Request.URL)
	if navigates(x) {
		if p.sentOn(address) {
			p.document = x
			p.add(x)
		} else {
			p.others[address] = true
		}
		return
	}
	from := withoutFragment(referer)
	switch {
	case referer == "":
		// Nothing says whose it is: it is the page's unless another page is loading.
		if len(p.others) > 0 {
			return
		}
	case p.others[from]:
		return
	case p.sources[from], from == originOf(from) && p.origins[from]:
	default:
		return
	}
	p.add(x)
}

// navigates says whether a browser asked for a page of its own: Fetch Metadata says so; without it, what accepts HTML first does.
func navigates(x *capture.Exchange) bool {
	if dest := x.Request.Header.Get("Sec-Fetch-Dest"); dest != "" {
		return dest == "document"
	}
	return x.Request.Method == http.MethodGet && strings.HasPrefix(x.Request.Header.Get("Accept"), "text/html")
}

// sentOn says whether the page's answer so far sent the browser to an address (RFC 9110, 15.4).
func (p *loading) sentOn(address string) bool {
	r := p.document.Response
	if r == nil || r.Status < 300 || r.Status >= 400 {
		return false
	}
	base, err := url.Parse(p.document.Request.URL)
	if err != nil {
		return false
	}
	to, err := base.Parse(r.Header.Get("Location"))
	return err == nil && withoutFragment(to.String()) == address
}

func withoutFragment(address string) string {
	address, _, _ = strings.Cut(address, "#")
	return address
}

// originOf is an address up to its path, with the slash that a Referer has.
func originOf(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return ""
	}
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	return scheme + "://" + authority + "/"
}
