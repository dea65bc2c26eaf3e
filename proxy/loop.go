package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"eaves/capture"
	"eaves/proxy/wire"
)

// looped says whether a request is one of our own that has come back through parent proxies: it has our name in Via (RFC
// 9110, 7.6.3), by which it went to them and to no origin of a tunnel.
func (p *Proxy) looped(f wire.Fields) (via string, yes bool) {
	if !f.Has("Via") {
		return "", false
	}
	via = strings.Join(f.Values("Via"), ", ")
	return via, strings.Contains(via, p.upstream.Pseudonym())
}

// refuseLoop answers such a request, and records it: going on would go round until something gives way.
func (c *clientConn) refuseLoop(head *wire.RequestHead, via string, start time.Time) {
	f := c.flow(head, start)
	if err := f.locate(head, c); err != nil || f.url == "" {
		f.url = c.urlOf(f.target)
	}
	f.decide()
	f.begin(f.exchange(f.fields))
	f.failure = &capture.Error{Stage: capture.StageRoute,
		Message: fmt.Sprintf("a loop: this request went from eaves to a parent proxy and has come back to eaves (Via: %s)", shortened(via)),
		Hint:    "a proxy on the route has eaves as its own parent: take one of them off the route (eaves route list), or have that proxy go direct"}
	w := &response1{c: c, f: f, closing: true}
	f.client = w
	write(w, f.own(http.StatusLoopDetected, f.failure))
	w.finish()
	f.finish()
	c.linger()
}
