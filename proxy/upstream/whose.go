package upstream

import (
	"strings"

	"eaves/capture"
)

// proxies are products that call themselves so in the Server field of answers that are theirs.
var proxies = []string{"squid", "tinyproxy", "privoxy", "bluecoat", "proxysg", "zscaler", "mcafee", "mwg", "fortigate", "fortiproxy", "barracuda", "sophos", "websense",
	"cisco-wsa", "cntlm", "mitmproxy", "polipo", "wwwoffled", "ats", "apachetrafficserver"}

// whose says whose an answer is that came over plain http through a parent proxy: the origin's, unless it bears a sign that
// the proxy made it. What looks like the origin's in every way cannot be told.
func (h *host) whose(resp *Response) capture.Answerer {
	f := resp.Fields
	via := f.Has("Via")
	h.mu.Lock()
	signs := h.signs
	if via && resp.Status < 400 {
		h.signs = true // it puts Via into what it passes on
	}
	h.mu.Unlock()
	server := strings.ToLower(f.Get("Server"))
	product := false
	for _, p := range proxies {
		if rest, ok := strings.CutPrefix(server, p); ok && (rest == "" || strings.ContainsRune("/ (-", rune(rest[0]))) {
			product = true
		}
	}
	switch {
	case resp.Status == 407, resp.Status == 511, // RFC 6585, 6: a captive portal
		f.Has("X-Squid-Error"),
		f.Has("Proxy-Authenticate"),
		statusOfProxy(f.Values("Proxy-Status")),
		resp.Status >= 300 && product,
		resp.Status >= 300 && signs && !via:
		return capture.AnsweredByProxy
	}
	return capture.AnsweredByOrigin
}

// statusOfProxy says whether a Proxy-Status field tells that the proxy nearest to us made the answer: it names an error, or
// no status that it received (RFC 9209, 2.1).
func statusOfProxy(values []string) bool {
	if len(values) == 0 {
		return false
	}
	v := strings.ToLower(values[len(values)-1])
	if i := strings.LastIndexByte(v, ','); i >= 0 && strings.Count(v[i:], `"`)%2 == 0 {
		v = v[i+1:]
	}
	return strings.Contains(v, "error=") || strings.Contains(v, "error =")
}
