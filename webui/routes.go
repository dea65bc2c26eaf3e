package webui

import (
	"context"
	"net/http"
)

// ProxyRoute is the way that the hosts of a pattern are reached by. Of those that match, the first decides.
type ProxyRoute struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Host    string `json:"host"`
	// Via is direct, system, pac+URL, or proxies in order. A password in one of their URLs is a reference.
	Via []string `json:"via"`
	// User, Password (a reference) and Schemes are for those proxies whose URL names no user.
	User        string   `json:"user"`
	Password    string   `json:"password"`
	PasswordSet bool     `json:"passwordSet"`
	Schemes     []string `json:"schemes"`
	// Keytab, CCache and Krb5Conf are files for Kerberos, ServiceName the proxy's principal; "" for what is usual.
	Keytab      string `json:"keytab"`
	CCache      string `json:"ccache"`
	Krb5Conf    string `json:"krb5Conf"`
	ServiceName string `json:"serviceName"`
	// Warnings say what may not work as its user hopes.
	Warnings []Warning `json:"warnings"`
}

// ProxyRouteInput is a route as it comes in. What is nil stays as it is.
type ProxyRouteInput struct {
	Enabled  *bool     `json:"enabled"`
	Host     *string   `json:"host"`
	Via      *[]string `json:"via"`
	User     *string   `json:"user"`
	Password *string   `json:"password"`
	// Secret is the password itself, which goes to the vault.
	Secret  *string   `json:"secret"`
	Schemes *[]string `json:"schemes"`
	// For Kerberos.
	Keytab      *string `json:"keytab"`
	CCache      *string `json:"ccache"`
	Krb5Conf    *string `json:"krb5Conf"`
	ServiceName *string `json:"serviceName"`
	// Position is where the route stands among the others, from 0; a new one behind them unless given.
	Position *int `json:"position"`
}

// DefaultRoute is the way that hosts are reached by where no route matches.
type DefaultRoute struct {
	UpstreamProxy []string `json:"upstreamProxy"`
	// Bypass are the hosts that are reached directly all the same.
	Bypass string `json:"bypass"`
	// Source says what gave them: flag, environment, file, settings or default. The first three lock them.
	Source string `json:"source"`
	Locked bool   `json:"locked"`
}

// DefaultRouteInput is the default as it comes in. What is nil stays as it is.
type DefaultRouteInput struct {
	UpstreamProxy *[]string `json:"upstreamProxy"`
	Bypass        *string   `json:"bypass"`
}

// ProxyRoutes keeps the routes.
type ProxyRoutes interface {
	Collection[ProxyRoute, ProxyRouteInput]
	Default() DefaultRoute
	SetDefault(ctx context.Context, in DefaultRouteInput) (DefaultRoute, error)
}

// proxyRoutes are the operations on routes.
func (s *Server) proxyRoutes() []route {
	c := resource[ProxyRoute, ProxyRouteInput]{
		path: "/routes", name: "route", limit: maxJSON,
		list: func(items []ProxyRoute) any {
			all := struct {
				Routes  []ProxyRoute `json:"routes"`
				Default DefaultRoute `json:"default"`
			}{items, DefaultRoute{UpstreamProxy: []string{"direct"}, Source: "default"}}
			if s.cfg.Routes != nil {
				all.Default = s.cfg.Routes.Default()
			}
			return all
		},
		id: func(r ProxyRoute) int64 { return r.ID },
	}
	if s.cfg.Routes != nil {
		c.items = s.cfg.Routes
	}
	put := func(w http.ResponseWriter, r *request) error {
		var in DefaultRouteInput
		if err := readJSON(w, r, maxJSON, false, &in); err != nil {
			return err
		}
		if s.cfg.Routes == nil {
			return c.none()
		}
		now, err := s.cfg.Routes.SetDefault(r.Context(), in)
		if err != nil {
			return err
		}
		return writeJSON(w, r, http.StatusOK, now)
	}
	// In front of the route that any id fits.
	return append([]route{{"PUT", "/routes/default", nil, put}, {"POST", "/routes/test", nil, s.testRoute}}, c.routes()...)
}
