package hop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"eaves/capture"
	"eaves/proxy/wire"
)

const (
	// drainLimit bounds what is read of an answer that is no yes, so that the connection can be used on.
	drainLimit = 256 << 10
	// keepLimit bounds what is kept of it.
	keepLimit = 16 << 10
	// maxInformational bounds the 1xx answers before a final one.
	maxInformational = 20
)

// limits bound the heads of proxies' answers.
var limits = wire.Limits{Line: 64 << 10, Head: 256 << 10, Fields: 500}

// connect asks an HTTP proxy for a connection (RFC 9110, 9.3.6), authentication included.
func (d *Dialer) connect(ctx context.Context, s *stream, h Hop, auth *Auth, to *station, r *capture.Hop) error {
	value, err := auth.First(ctx, http.MethodConnect, to.address, false)
	if err != nil {
		return err
	}
	doing := "asking it for a connection to " + to.what()
	for {
		var a *Answer
		var closed bool
		err := d.bounded(ctx, s, h, doing, func() (err error) {
			if err = d.ask(s, to.address, value); err == nil {
				a, closed, err = answer(s, h)
			}
			return err
		})
		if err != nil {
			return err
		}
		r.Status, r.StatusText, r.ResponseHeader = a.Status, a.Reason, Header(a.Fields)
		r.Authentication = auth.Scheme()
		switch {
		case a.Status/100 == 2:
			auth.Done()
			return nil
		case a.Status != http.StatusProxyAuthRequired && a.Status != http.StatusUnauthorized:
			return refused(h, to, a)
		}
		var fresh bool
		value, fresh, err = auth.Next(ctx, a.Status, a.Fields, closed, http.MethodConnect, to.address, false)
		if err != nil {
			var e *Error
			if errors.As(err, &e) {
				e.Answer, e.Answered = a, true
			}
			return err
		}
		if fresh {
			return errFresh
		}
	}
}

// ask writes a CONNECT.
func (d *Dialer) ask(s *stream, address, authorization string) error {
	// Proxies that speak HTTP/1.0 keep a connection when they are told to by this name.
	f := wire.Fields{{Name: "Host", Value: address}, {Name: "Proxy-Connection", Value: "Keep-Alive"}}
	if d.cfg.Via != "" {
		f = append(f, wire.Field{Name: "Via", Value: d.cfg.Via})
	}
	if authorization != "" {
		f = append(f, wire.Field{Name: "Proxy-Authorization", Value: authorization})
	}
	w := bufio.NewWriter(s)
	if err := wire.WriteRequestHead(w, http.MethodConnect, address, "HTTP/1.1", f); err != nil {
		return err
	}
	return w.Flush()
}

// answer reads a proxy's answer to CONNECT. closed says that the connection cannot be used for another.
func answer(s *stream, h Hop) (a *Answer, closed bool, err error) {
	var head *wire.ResponseHead
	for n := 0; ; n++ {
		head, err = wire.ReadResponseHead(s.r, limits)
		if err != nil {
			return nil, false, notHTTP(h, err)
		}
		if head.Status/100 != 1 {
			break
		}
		if head.Status == http.StatusSwitchingProtocols || n == maxInformational {
			return nil, false, fail(h, nil, "it answered CONNECT with %d", head.Status)
		}
	}
	a = &Answer{Status: head.Status, Reason: head.Reason, Fields: head.Fields}
	if a.Status/100 == 2 {
		return a, false, nil // whatever follows is the tunnel's (RFC 9110, 9.3.6)
	}
	framing, err := head.Framing(http.MethodConnect)
	if err != nil {
		return a, true, nil
	}
	body := wire.NewBody(s.r, framing, limits)
	kept, _ := io.ReadAll(io.LimitReader(body, keepLimit))
	a.Body = kept
	_, _ = io.Copy(io.Discard, io.LimitReader(body, drainLimit))
	closed = !body.Complete() || !head.KeepAlive() || framing.Kind == wire.UntilClose || head.Fields.HasToken("Proxy-Connection", "close")
	return a, closed, nil
}

// notHTTP says what came instead of an answer.
func notHTTP(h Hop, err error) error {
	var p *wire.ParseError
	if !errors.As(err, &p) || p.Err != nil {
		return err
	}
	switch head := p.Head; {
	case len(head) >= 2 && (head[0] == 0x15 || head[0] == 0x16) && head[1] == 3:
		return fail(h, err, "it answers in TLS").hint("this port speaks HTTP within TLS: name the proxy https://%s", h.Address())
	case len(head) >= 1 && (head[0] == 5 || head[0] == 0 || head[0] == 4):
		return fail(h, err, "it does not answer in HTTP").hint("if it is a SOCKS proxy, name it socks5://%s", h.Address())
	}
	return fail(h, err, "it does not answer in HTTP: %s", p.Reason).hint("check the port and the kind of the proxy")
}

// refused is the error of a proxy that answered anything but yes.
func refused(h Hop, to *station, a *Answer) *Error {
	reason := strings.TrimSpace(a.Reason)
	if reason == "" {
		reason = http.StatusText(a.Status)
	}
	verb := "it refused a connection to "
	if a.Status >= 500 {
		verb = "it could not connect to "
	}
	e := fail(h, nil, "%s%s: %d %s", verb, to.what(), a.Status, reason)
	if a.Status == http.StatusNotImplemented {
		e = fail(h, nil, "it answers as a web server does, and is probably no proxy: %d %s", a.Status, reason)
	}
	if said := Words(a.Fields, a.Body); said != "" && !strings.Contains(fmt.Sprintf("%d %s", a.Status, reason), said) {
		e.Message += " (" + said + ")"
	}
	e.Answer, e.Answered = a, true
	switch {
	case a.Status == http.StatusNotImplemented:
		e.Hint = "check the proxy's address and port: eaves route list shows them"
	case a.Status == http.StatusBadRequest, a.Status == http.StatusNotFound:
		e.Hint, e.Mend = "a web server that is no proxy may answer so: check address and port; else the proxy's log may say more", MendDetour
	case a.Status == http.StatusForbidden, a.Status == http.StatusMethodNotAllowed:
		e.Hint, e.Mend = "this is the proxy's own rule: it may allow other hosts or ports only", MendDetour
	case a.Status == http.StatusGatewayTimeout, a.Status == http.StatusBadGateway, a.Status == http.StatusServiceUnavailable:
		e.Hint = "look at it from the proxy: it cannot look up or reach " + to.address
	case a.Status == http.StatusLoopDetected:
		e.Hint = "the way leads in a circle: take this proxy off the route (eaves route list), or have it go direct"
	case a.Status/100 == 3, a.Status == http.StatusNetworkAuthenticationRequired:
		e.Hint = "this proxy wants something first, such as a login in a browser"
		if to := short(a.Fields.Get("Location")); to != "" {
			e.Hint += ": " + to
		}
	default:
		e.Hint, e.Mend = "the proxy's log may say more", MendDetour
	}
	return e
}

// Words is the least that tells what a proxy says in an answer: its own error field, or its page's title.
func Words(f wire.Fields, body []byte) string {
	if v := f.Get("X-Squid-Error"); v != "" {
		return short(v)
	}
	if v := f.Get("Proxy-Status"); v != "" {
		if _, details, ok := strings.Cut(v, `details="`); ok { // RFC 9209, 2.1.6
			v = unquote(`"` + details)
		}
		return short(v)
	}
	kind, _, _ := mime.ParseMediaType(f.Get("Content-Type"))
	text := string(body)
	switch {
	case kind == "text/plain":
		text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
		return short(text)
	case kind == "text/html" || kind == "":
		lower := strings.ToLower(text)
		i := strings.Index(lower, "<title>")
		if i < 0 || len(lower) != len(text) {
			return ""
		}
		text = text[i+len("<title>"):]
		if j := strings.IndexByte(text, '<'); j >= 0 {
			return short(text[:j])
		}
	}
	return ""
}

// short makes one line of a text, without what would disturb a terminal.
func short(s string) string {
	const enough = 200
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd || 0x80 <= r && r < 0xa0 }), " ")
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "") + "..."
	}
	return s
}

// Header is fields in the vocabulary of captures, what belongs to authentication left out: a challenge is of use to
// nobody later, and what answers it is a secret.
func Header(f wire.Fields) capture.Header {
	h := make(capture.Header, 0, len(f))
	for i := range f {
		v := f[i].Value
		switch strings.ToLower(f[i].Name) {
		case "proxy-authenticate", "www-authenticate":
			v = schemesOf(v)
		case "proxy-authentication-info", "authentication-info", "proxy-authorization":
			continue
		}
		h = append(h, capture.Field{Name: f[i].Name, Value: v})
	}
	return h
}

// schemesOf is what a challenge asks for, without nonces and tokens.
func schemesOf(value string) string {
	var out []string
	for _, c := range ParseChallenges([]string{value}) {
		s := c.Scheme
		if r, ok := c.Params["realm"]; ok {
			s += " realm=" + quote(r)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}
