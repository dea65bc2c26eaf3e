package webui

import (
	"context"
	"slices"
	"testing"
)

// fakeRoutes keeps routes without looking at them.
type fakeRoutes struct {
	*fakeCollection[ProxyRoute, ProxyRouteInput]
	now DefaultRoute
}

func (f *fakeRoutes) Default() DefaultRoute { return f.now }
func (f *fakeRoutes) SetDefault(_ context.Context, in DefaultRouteInput) (DefaultRoute, error) {
	if f.now.Locked {
		return DefaultRoute{}, &Refusal{Conflict: true, Detail: "--upstream-proxy says it", Hint: "leave it out"}
	}
	if in.UpstreamProxy != nil {
		f.now.UpstreamProxy, f.now.Locked = *in.UpstreamProxy, true
	}
	return f.now, nil
}

func withRoutes(c *Config) {
	c.Routes = &fakeRoutes{
		fakeCollection: &fakeCollection[ProxyRoute, ProxyRouteInput]{
			make: func(id int64, in ProxyRouteInput) (ProxyRoute, error) {
				if deref(in.Host) == "" {
					return ProxyRoute{}, &Refusal{Parameter: "host", Detail: "name a host"}
				}
				return ProxyRoute{ID: id, Enabled: true, Host: *in.Host, Via: append([]string{}, deref(in.Via)...), User: deref(in.User), Schemes: append([]string{}, deref(in.Schemes)...), Warnings: []Warning{{"never-decides", "route 1 comes before"}}}, nil
			},
			id: func(r ProxyRoute) int64 { return r.ID },
		},
		now: DefaultRoute{UpstreamProxy: []string{"system"}, Source: "default"},
	}
}

// routeCalls are the calls of TestAnswersAreAsDescribed to these operations.
func routeCalls() []call {
	return []call{
		{"POST", "/routes", "", `{"host":"*.corp.test","via":["http://p:1"],"user":"CORP\\alice","password":"env:P","schemes":["ntlm"],"position":0}`, 201},
		{"POST", "/routes", "", `{"via":["http://p:1"]}`, 400},
		{"POST", "/routes", "", `{"host":"a.test","via":"http://p:1"}`, 400},
		{"POST", "/routes", "", `{"pattern":"a.test"}`, 400},
		{"GET", "/routes", "", "", 200},
		{"PUT", "/routes/{id}", "/routes/1", `{"host":"b.test","secret":"s"}`, 200},
		{"PUT", "/routes/{id}", "/routes/77", `{"host":"b.test"}`, 404},
		{"PUT", "/routes/default", "", `{"upstreamProxy":["http://p:1","socks5://q:2"],"bypass":"*.lan"}`, 200},
		{"PUT", "/routes/default", "", `{"upstreamProxy":["none"]}`, 409},
		{"PUT", "/routes/default", "", `{"proxy":["none"]}`, 400},
		{"DELETE", "/routes/{id}", "/routes/1", "", 204},
		{"DELETE", "/routes/{id}", "/routes/1", "", 404},
		{"POST", "/requests", "", `{"url":"https://a.test/","via":"http://p:1,socks5://q"}`, 202},
		{"POST", "/requests", "", `{"url":"https://a.test/","via":1}`, 400},
	}
}

func TestViaIsSent(t *testing.T) {
	l := newLab(t)
	l.ask("POST", base+"/requests", `{"url":"https://a.test/","via":"http://p:1, socks5://q"}`)
	if !slices.Equal(l.sender.got.Via, []string{"http://p:1, socks5://q"}) {
		t.Errorf("got %q", l.sender.got.Via)
	}
	l.ask("POST", base+"/requests", `{"url":"https://a.test/"}`)
	if l.sender.got.Via != nil {
		t.Errorf("nothing asked for: got %q", l.sender.got.Via)
	}
}
