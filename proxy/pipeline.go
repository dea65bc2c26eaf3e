package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/elazarl/goproxy"

	"eaves/capture"
)

// router is goproxy: of what comes to the proxy's own port it decides between CONNECT, requests to origins and requests
// to the proxy itself, and runs the hooks. What it does on the wire itself (its interception loop, its tunnels, its
// transport) is gone round.
func (p *Proxy) router() *goproxy.ProxyHttpServer {
	gp := goproxy.NewProxyHttpServer()
	gp.Logger = p.logger()
	gp.KeepAcceptEncoding = true // the client's own, untouched
	gp.ConnectDial = nil         // made from the environment otherwise
	gp.Tr = nil                  // never asked: each request brings its round tripper
	gp.NonproxyHandler = p.cfg.Onboarding
	gp.OnRequest().HandleConnect(goproxy.FuncHttpsHandler(func(host string, _ *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		return &goproxy.ConnectAction{Action: goproxy.ConnectHijack, Hijack: hijacked}, host
	}))
	gp.OnRequest().DoFunc(func(r *http.Request, ctx *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		f, ok := r.Context().Value(flowKey{}).(*flow)
		if !ok {
			return r, nil
		}
		ctx.RoundTripper = f
		f.decide()
		return r, nil
	})
	return gp
}

// hijacked takes a tunnel from goproxy: the connection's own loop goes on with it.
func hijacked(r *http.Request, nc net.Conn, _ *goproxy.ProxyCtx) {
	if c, ok := nc.(*clientConn); ok {
		c.connect = r
		c.from.came(time.Now())
	}
}

// decide finds the rule for the request, and whether it is recorded.
func (f *flow) decide() {
	if rules := f.p.cfg.Rules(); len(rules) > 0 {
		x := f.exchange(f.fields)
		f.rule = firstMatch(rules, x, func(a Action) bool { return a != ActionPassthrough })
	}
	live := f.source == capture.SourceProxy
	f.unrecorded = live && (!f.p.cfg.Recording() || f.rule != nil && f.rule.Action == ActionIgnore)
}

// serveOwn answers with the onboarding page where the request is for eaves itself, and says whether it did.
func (p *Proxy) serveOwn(w http.ResponseWriter, f *flow) bool {
	if f.host != Host && !(f.scheme == "http" && p.isOwnName(f.host, f.port)) {
		return false
	}
	r := f.request()
	r.RequestURI = f.target
	if f.body != nil {
		r.Body = io.NopCloser(f.body)
	}
	if f.http2 || strings.HasPrefix(f.scheme, "https") {
		r.URL.Scheme = "https"
	}
	p.cfg.Onboarding.ServeHTTP(w, r)
	return true
}
