package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/settings"
	"eaves/proxy/route"
	"eaves/proxy/route/pac"
	"eaves/proxy/upstream"
	"eaves/webui"
)

// routing is what decides which way requests take.
type routing struct {
	cfg     *config.Config
	system  *route.System
	scripts *pac.Library
	secret  func(ctx context.Context, reference string) ([]byte, error)
	listen  netip.AddrPort // as configured
}

// newRouting makes what every revision of the settings decides with.
func (c *core) newRouting(cfg *config.Config) {
	c.routing = &routing{cfg: cfg, system: route.NewSystem(os.Getenv, c.listening), scripts: pac.NewLibrary(pac.Env{}, nil), secret: c.vault.Resolve}
	if a, err := netip.ParseAddrPort(cfg.Listen); err == nil { // a name is known once somebody listens there
		c.routing.listen = a
	}
}

// listening are the addresses at which eaves listens or would: a system's setting that names one of them is how programs
// come to eaves, not where eaves goes.
func (c *core) listening() []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.listeners), c.routing.listen)
}

// route decides one request's way.
func (c *core) route(ctx context.Context, t upstream.Target) (upstream.Route, error) {
	return c.decider.Load().Decide(ctx, t)
}

// decide makes the decider of the settings.
func (r *routing) decide(s settings.Settings) *route.Decider {
	cfg := route.Config{System: r.system, Scripts: r.scripts, Secret: r.secret}
	for _, e := range s.Routes {
		if rule, err := e.Rule(); err == nil && e.Enabled { // settings are checked when they are read
			cfg.Rules = append(cfg.Rules, rule)
		}
	}
	cfg.Default.Via, cfg.Bypass = r.cfg.UpstreamProxy, r.cfg.Bypass
	_, locked := r.lock()
	if cfg.Fixed = locked; !locked && s.DefaultRoute != nil {
		if v, list, err := s.DefaultRoute.Read(); err == nil {
			cfg.Default.Via, cfg.Bypass = v, list
		}
	}
	return route.New(cfg)
}

// lock says whether flag, environment or file say what holds where no route matches.
func (r *routing) lock() (config.From, bool) {
	for _, from := range []config.From{config.FromFlag, config.FromEnvironment, config.FromFile} {
		if r.cfg.From("upstreamProxy") == from || r.cfg.From("bypass") == from {
			return from, true
		}
	}
	return config.FromDefault, false
}

// routeKeeper is the settings' routes as the console knows them.
type routeKeeper struct{ c *core }

func (k routeKeeper) List(ctx context.Context) ([]webui.ProxyRoute, error) {
	return k.showRoutes(ctx, k.c.settings.Get().Routes), nil
}

func showRoute(e route.Entry) webui.ProxyRoute {
	set := e.Password != ""
	if v, err := route.ParseVia(e.Via...); err == nil {
		set = set || v.HasPassword()
	}
	return webui.ProxyRoute{ID: e.ID, Enabled: e.Enabled, Host: e.Host, Via: append([]string{}, e.Via...), User: e.User, Password: e.Password,
		PasswordSet: set, Schemes: append([]string{}, e.Schemes...), Keytab: e.Keytab, CCache: e.CCache, Krb5Conf: e.Krb5Conf, ServiceName: e.ServiceName}
}

func (k routeKeeper) Add(ctx context.Context, in webui.ProxyRouteInput) (webui.ProxyRoute, error) {
	return k.put(ctx, 0, in)
}

func (k routeKeeper) Replace(ctx context.Context, id int64, in webui.ProxyRouteInput) (webui.ProxyRoute, error) {
	return k.put(ctx, id, in)
}

func (k routeKeeper) Remove(_ context.Context, id int64) error {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	var gone route.Entry
	_, err := k.c.settings.EditRoutes(func(now []route.Entry) ([]route.Entry, error) {
		i := slices.IndexFunc(now, func(e route.Entry) bool { return e.ID == id })
		if i < 0 {
			return nil, webui.ErrNoItem
		}
		gone = now[i]
		return slices.Delete(now, i, i+1), nil
	})
	if err == nil {
		k.c.forget(gone.Password)
	}
	return err
}

// maxRoutes bounds the list: each route is asked for each new host.
const maxRoutes = 1000

// put adds a route (id 0) or changes one, and moves it where in names a position.
func (k routeKeeper) put(ctx context.Context, id int64, in webui.ProxyRouteInput) (none webui.ProxyRoute, err error) {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	if in.Secret != nil && in.Password != nil {
		return none, &webui.Refusal{Parameter: "secret", Detail: "secret and password exclude one another: one is the password, the other refers to it"}
	}
	d := &draft{c: k.c}
	defer d.drop()
	sealed := ""
	if in.Secret != nil && *in.Secret != "" {
		if sealed, err = d.seal(sealedRoute, *in.Secret); err != nil {
			return none, err
		}
	}
	var before route.Entry
	at := 0
	now, err := k.c.settings.EditRoutes(func(now []route.Entry) ([]route.Entry, error) {
		e := route.Entry{Enabled: true}
		at = len(now)
		if id != 0 {
			if at = slices.IndexFunc(now, func(e route.Entry) bool { return e.ID == id }); at < 0 {
				return nil, webui.ErrNoItem
			}
			before = now[at]
			e = before
			now = slices.Delete(now, at, at+1)
		} else if len(now) >= maxRoutes {
			return nil, &webui.Refusal{Detail: "there are " + strconv.Itoa(maxRoutes) + " routes, which is as many as there can be"}
		}
		assign(&e.Enabled, in.Enabled)
		assign(&e.Host, in.Host)
		assign(&e.Via, in.Via)
		assign(&e.User, in.User)
		assign(&e.Password, in.Password)
		if in.Secret != nil {
			e.Password = sealed
		}
		assign(&e.Schemes, in.Schemes)
		assign(&e.Keytab, in.Keytab)
		assign(&e.CCache, in.CCache)
		assign(&e.Krb5Conf, in.Krb5Conf)
		assign(&e.ServiceName, in.ServiceName)
		e.Normalize()
		if err := e.Validate(); err != nil {
			return nil, err
		}
		if in.Position != nil {
			if at = *in.Position; at < 0 || at > len(now) {
				return nil, &webui.Refusal{Parameter: "position", Detail: "a position is from 0 to " + strconv.Itoa(len(now))}
			}
		}
		return slices.Insert(now, at, e), nil
	})
	if err != nil {
		return none, refusal(err, nil)
	}
	d.keep()
	k.c.forget(before.Password)
	return k.showRoutes(ctx, now[:at+1])[at], nil
}

// Default is what holds where no route matches.
func (k routeKeeper) Default() webui.DefaultRoute {
	r := k.c.routing
	from, locked := r.lock()
	d := webui.DefaultRoute{UpstreamProxy: r.cfg.UpstreamProxy.Strings(), Bypass: r.cfg.Bypass.String(), Source: string(from), Locked: locked}
	if kept := k.c.settings.Get().DefaultRoute; kept != nil && !locked {
		d.Source = "settings"
		d.UpstreamProxy, d.Bypass = append([]string{}, kept.UpstreamProxy...), kept.Bypass
		if len(d.UpstreamProxy) == 0 {
			d.UpstreamProxy = []string{"direct"}
		}
	}
	return d
}

// SetDefault changes it.
func (k routeKeeper) SetDefault(_ context.Context, in webui.DefaultRouteInput) (webui.DefaultRoute, error) {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	if from, locked := k.c.routing.lock(); locked {
		what := map[config.From]string{
			config.FromFlag: "a flag of eaves run", config.FromEnvironment: "a variable of the environment", config.FromFile: k.c.routing.cfg.File,
		}[from]
		return webui.DefaultRoute{}, &webui.Refusal{Conflict: true, Detail: what + " says what holds where no route matches", Hint: "take upstreamProxy and bypass out there and start eaves again, or add a route for *"}
	}
	now := k.Default()
	d := route.Default{UpstreamProxy: now.UpstreamProxy, Bypass: now.Bypass}
	assign(&d.UpstreamProxy, in.UpstreamProxy)
	assign(&d.Bypass, in.Bypass)
	v, list, err := d.Read()
	if err != nil {
		return webui.DefaultRoute{}, refusal(err, nil)
	}
	d.UpstreamProxy, d.Bypass = v.Texts(), list.String()
	if err := k.c.settings.SetDefaultRoute(d); err != nil {
		return webui.DefaultRoute{}, refusal(err, nil)
	}
	return k.Default(), nil
}

// along is the route of one request that names its way itself.
func (c *core) along(ctx context.Context, address string, list []string, cred route.Credentials) (*upstream.Route, error) {
	v, err := route.ParseVia(list...)
	if err != nil {
		return nil, &webui.Refusal{Parameter: "via", Detail: err.Error(), Hint: "a way is direct, system, pac+URL, or proxies such as http://proxy.test:3128 with commas between them"}
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, &webui.Refusal{Parameter: "url", Detail: "this is not a URL"}
	}
	t := upstream.Target{Scheme: u.Scheme, Host: strings.ToLower(u.Hostname()), Port: map[string]int{"http": 80, "https": 443}[u.Scheme], URL: address}
	if _, port, err := net.SplitHostPort(u.Host); err == nil && port != "" {
		if t.Port, err = strconv.Atoi(port); err != nil {
			return nil, &webui.Refusal{Parameter: "url", Detail: "the URL's port is no number"}
		}
	}
	r, err := c.decider.Load().Along(ctx, route.Way{Via: v, Credentials: cred}, t)
	var e *upstream.Error
	if errors.As(err, &e) {
		return nil, &webui.Refusal{Parameter: "via", Detail: e.Message, Hint: e.Hint}
	}
	return &r, err
}
