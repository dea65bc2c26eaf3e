package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"eaves/capture"
	"eaves/proxy/upstream"
	"eaves/proxy/upstream/hop"
	"eaves/proxy/wire"
)

// answerRead bounds what is read of an answer: enough to know an error page.
const answerRead = 16 << 10

// patience is how long an answer's beginning is waited for.
const patience = 20 * time.Second

// expiresSoon is when a certificate's end is worth a warning.
const expiresSoon = 30 * 24 * time.Hour

// Examine connects to a URL's origin the way the proxy would, asks for the URL with GET, and tells each stage when it has
// been passed; the last is the result. It says whether an answer of the origin came. emit is called from one goroutine at
// a time.
func Examine(ctx context.Context, c Config, t Target, choice upstream.Choice, emit func(capture.DoctorStage)) bool {
	x := &examination{config: c, target: t, emit: emit, chosen: choice.Identities != nil}
	return x.run(ctx, choice)
}

// examination is one Examine.
type examination struct {
	config Config
	target Target
	emit   func(capture.DoctorStage)

	route upstream.Route
	told  map[string]bool // the stations that have been told to be reached, by address
	tls   bool            // the origin's TLS has been told
	facts upstream.Facts
	bad   []string // stages that are no more than a warning
	// chosen: which client certificate is sent was said for this examination.
	chosen bool
}

func (x *examination) run(ctx context.Context, choice upstream.Choice) bool {
	if !x.findRoute(ctx, choice) {
		return false
	}
	x.lookUp(ctx)
	client := upstream.New(x.config.Upstream)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	// What is told takes its time, and the call must not wait for it.
	seen := make(chan upstream.Facts, 256)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for f := range seen {
			x.see(f)
		}
	}()
	receipt := upstream.Watched(func(f upstream.Facts) {
		select {
		case seen <- f:
		default: // the next one, or the last, says the same and more
		}
	})
	choice.Route = &x.route
	call := &upstream.Call{
		Scheme: x.target.Scheme, Host: x.target.Host, Port: x.target.Port, Method: "GET", Target: x.target.RequestTarget,
		Fields: wire.Fields{{Name: "Host", Value: authority(x.target)}, {Name: "User-Agent", Value: "eaves doctor"}, {Name: "Accept", Value: "*/*"}},
		HTTP2:  true, Receipt: receipt, Choice: choice,
	}
	begun := time.Now()
	resp, err := client.Do(ctx, call)
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, answerRead)
		resp.Body.Close()
	}
	close(seen)
	<-told
	x.facts = receipt.Snapshot()
	if err != nil {
		x.failed(err)
		return false
	}
	return x.answered(resp, time.Since(begun))
}

func authority(t Target) string {
	if t.Scheme == "https" && t.Port == 443 || t.Scheme == "http" && t.Port == 80 {
		host, _ := strings.CutSuffix(address(t.Host, t.Port), fmt.Sprintf(":%d", t.Port))
		return host
	}
	return address(t.Host, t.Port)
}

// findRoute tells the route.
func (x *examination) findRoute(ctx context.Context, choice upstream.Choice) bool {
	begun := time.Now()
	r, err := x.config.route(ctx, x.target, choice)
	s := capture.DoctorStage{Stage: capture.DoctorRoute, Title: "Route to " + address(x.target.Host, x.target.Port), Status: capture.DoctorOK, Time: capture.Milliseconds(time.Since(begun))}
	if err != nil {
		s.Status, s.Message, s.Hint = capture.DoctorFailed, wordsOf(err), hintOf(err)
		x.tell(s)
		x.result(capture.DoctorFailed, "no route: "+s.Message, s.Hint)
		return false
	}
	x.route = r
	x.told = make(map[string]bool)
	s.Note("decided by", routeReceipt(r, x.target).Decided())
	for i, h := range r.Hops {
		s.Note(fmt.Sprintf("hop %d", i+1), fmt.Sprintf("%s://%s", h.Kind, address(h.Host, h.Port)))
	}
	s.Message = upperFirst(wayWords(r.Hops, x.target))
	x.tell(s)
	return true
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// wordsOf is what an error says, without the stage, which is told beside it.
func wordsOf(err error) string {
	var e *upstream.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// hintOf finds what to do next in an error.
func hintOf(err error) string {
	var e *upstream.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// first is the station that is connected to first.
func (x *examination) first() (host string, port int) {
	if len(x.route.Hops) > 0 {
		return x.route.Hops[0].Host, x.route.Hops[0].Port
	}
	return x.target.Host, x.target.Port
}

// lookUp tells the addresses of the first station. What goes wrong here goes wrong in the call too, which has better words.
func (x *examination) lookUp(ctx context.Context) {
	host, _ := x.first()
	if _, err := netip.ParseAddr(host); err == nil {
		return
	}
	var resolver upstream.Resolver = net.DefaultResolver
	if x.config.Upstream.Resolver != nil {
		resolver = x.config.Upstream.Resolver
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	begun := time.Now()
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return
	}
	s := capture.DoctorStage{Stage: capture.DoctorDNS, Title: "Looking up " + host, Status: capture.DoctorOK, Time: capture.Milliseconds(time.Since(begun))}
	for _, a := range addrs {
		s.Note("address", a.Unmap().String())
	}
	if len(x.route.Hops) > 0 {
		s.Message = fmt.Sprintf("The name %s is left to the last proxy to look up.", x.target.Host)
	}
	x.tell(s)
}

// see tells what is new.
func (x *examination) see(f upstream.Facts) {
	x.facts = f
	if f.Route == nil {
		return
	}
	for i, h := range f.Route.Hops {
		if !x.told[h.Address] && x.passed(f, i) {
			x.tellDetour(f.Route)
			x.told[h.Address] = true
			x.tellHop(h, i, len(f.Route.Hops)-1)
		}
	}
	if f.Sent != nil {
		x.tellTLS(f.TLS, nil)
	}
}

// passed says whether a hop has been connected to.
func (x *examination) passed(f upstream.Facts, i int) bool {
	h := f.Route.Hops[i]
	if i == len(f.Route.Hops)-1 {
		return len(f.Route.Hops) == 1 && h.Connect >= 0 // through a proxy, the proxy says it
	}
	return h.Error == "" && (h.Status != 0 || f.Sent != nil || h.Connect >= 0 && h.Kind == string(hop.HTTP) && f.Sent != nil)
}

// tellDetour tells, before anything else of it, that the way taken is not the first choice.
func (x *examination) tellDetour(r *capture.Route) {
	if len(x.told) > 0 || len(x.route.Hops) == 0 {
		return
	}
	first := address(x.route.Hops[0].Host, x.route.Hops[0].Port)
	if r.Hops[0].Address == first {
		return
	}
	s := capture.DoctorStage{Stage: capture.DoctorTCP, Title: "Connecting to the proxy " + first, Status: capture.DoctorWarning, Time: -1, Message: "It cannot be reached; the next choice is taken."}
	s.Note("decided by", r.Decided())
	x.tell(s)
}

// tellHop tells of a station that was reached, of n parent proxies and the origin behind them.
func (x *examination) tellHop(h capture.Hop, i, n int) {
	if i == n {
		s := capture.DoctorStage{Stage: capture.DoctorTCP, Title: "Connecting to " + h.Address, Status: capture.DoctorOK, Time: h.Connect}
		s.Note("address", x.facts.ServerIP)
		x.tell(s)
		return
	}
	if h.Connect >= 0 {
		x.tell(capture.DoctorStage{Stage: capture.DoctorTCP, Title: "Connecting to the proxy " + h.Address, Status: capture.DoctorOK, Time: h.Connect})
	}
	if h.TLS != nil {
		x.tell(tlsStage("TLS with the proxy "+h.Address, h.TLS, nil))
	}
	x.tell(proxyStage(h, i, n, x.target.Scheme))
}

// proxyStage tells what a proxy answered.
func proxyStage(h capture.Hop, i, n int, scheme string) capture.DoctorStage {
	s := capture.DoctorStage{Stage: capture.DoctorProxy, Title: fmt.Sprintf("Proxy %d of %d: %s://%s", i+1, n, h.Kind, h.Address), Status: capture.DoctorOK, Time: -1}
	switch {
	case h.Status == 0:
	case scheme == "http" && i == n-1: // it was asked for the URL itself
		s.Note("answer", fmt.Sprint(h.Status))
	default:
		s.Note("answer to CONNECT", fmt.Sprint(h.Status))
	}
	if h.Authentication != "" && h.Authentication != "none" {
		s.Note("authentication", h.Authentication)
	}
	return s
}

// tellTLS tells the handshake with the origin, once. e is why it failed.
func (x *examination) tellTLS(t *capture.TLS, e *upstream.Error) {
	if x.tls || x.target.Scheme != "https" || t == nil {
		return
	}
	x.tls = true
	s := tlsStage("TLS with "+address(x.target.Host, x.target.Port), t, e)
	s.Time = x.facts.Timings.SSL
	x.tell(s)
	cc := t.ClientCertificate
	if cc == nil || e != nil && !cc.Requested {
		return
	}
	x.tell(requestStage(cc))
	x.tell(clientCertificateStage(cc, x.chosen))
}

// tlsStage tells a handshake.
func tlsStage(title string, t *capture.TLS, e *upstream.Error) capture.DoctorStage {
	s := capture.DoctorStage{Stage: capture.DoctorTLS, Title: title, Status: capture.DoctorOK, Time: -1}
	s.Note("version", t.Version)
	s.Note("cipher suite", t.CipherSuite)
	s.Note("application protocol (ALPN)", t.ALPN)
	s.Note("server name (SNI)", t.ServerName)
	for i, c := range t.PeerCertificates {
		name := "certificate"
		if i > 0 {
			name = fmt.Sprintf("certificate of its issuer (%d)", i)
		}
		s.Note(name, fmt.Sprintf("%s, issued by %s, valid until %s", c.Subject, c.Issuer, c.NotAfter.UTC().Format("2006-01-02")))
	}
	switch {
	case e != nil:
		s.Status, s.Message, s.Hint = capture.DoctorFailed, e.Message, e.Hint
	case t.VerifyError != "":
		s.Status, s.Message = capture.DoctorWarning, "Verification is off; it would have failed: "+t.VerifyError
	case len(t.PeerCertificates) > 0 && time.Until(t.PeerCertificates[0].NotAfter) < expiresSoon:
		s.Status, s.Message = capture.DoctorWarning, fmt.Sprintf("The server's certificate expires on %s.", t.PeerCertificates[0].NotAfter.UTC().Format("2006-01-02"))
	case t.Verified:
		s.Note("verified", "yes")
	}
	return s
}

// requestStage tells whether the server asked for a client certificate.
func requestStage(cc *capture.ClientCertificate) capture.DoctorStage {
	s := capture.DoctorStage{Stage: capture.DoctorRequest, Title: "Does the server ask for a client certificate?", Status: capture.DoctorInfo, Time: -1, Message: "No."}
	if !cc.Requested {
		return s
	}
	s.Message = "Yes."
	for _, ca := range cc.AcceptableCAs {
		s.Note("accepted issuer", ca)
	}
	if len(cc.AcceptableCAs) == 0 {
		s.Note("accepted issuer", "not said")
	}
	s.Note("signature schemes", strings.Join(cc.SignatureSchemes, ", "))
	return s
}

// clientCertificateStage tells which client certificate was sent. chosen says that this was chosen for the examination.
func clientCertificateStage(cc *capture.ClientCertificate, chosen bool) capture.DoctorStage {
	s := capture.DoctorStage{Stage: capture.DoctorClientCertificate, Title: "Which client certificate goes out?", Status: capture.DoctorInfo, Time: -1}
	s.Note("rule", cc.Rule)
	switch {
	case cc.Sent != nil:
		s.Status = capture.DoctorOK
		s.Note("subject", cc.Sent.Subject)
		s.Note("issuer", cc.Sent.Issuer)
		s.Note("serial", cc.Sent.Serial)
		s.Note("valid until", cc.Sent.NotAfter.UTC().Format("2006-01-02"))
		s.Message = "The one of the rule for " + cc.Rule + "."
		if chosen {
			s.Message = "The one that was chosen."
		}
	case cc.Requested && chosen:
		s.Status, s.Message = capture.DoctorWarning, "None, as was chosen."
	case cc.Requested && cc.Rule != "":
		s.Status, s.Message = capture.DoctorWarning, "None: the one of the rule for "+cc.Rule+" cannot be used."
	case cc.Requested:
		s.Status, s.Message = capture.DoctorWarning, "None: no rule is for this host and port."
	default:
		s.Status, s.Message = capture.DoctorSkipped, "None, as none was asked for."
	}
	if cc.Note != "" {
		s.Status = capture.DoctorWarning
		s.Note("note", cc.Note)
	}
	return s
}

// failed tells the stage that a call ended in.
func (x *examination) failed(err error) {
	var e *upstream.Error
	if !errors.As(err, &e) {
		x.result(capture.DoctorFailed, err.Error(), "")
		return
	}
	x.see(x.facts)
	stage, title := x.failedStage(e)
	if stage == capture.DoctorTLS && !x.tls && x.facts.TLS != nil {
		x.tellTLS(x.facts.TLS, e)
	} else {
		if e.Stage == capture.StageTLS {
			x.tellTLS(x.facts.TLS, nil)
		}
		s := capture.DoctorStage{Stage: stage, Title: title, Status: capture.DoctorFailed, Time: -1, Message: e.Message, Hint: e.Hint}
		if cc := x.clientCertificate(); stage == capture.DoctorVerdict && cc != nil {
			s.Note("alert", cc.Alert)
		}
		x.tell(s)
	}
	cause := e.Message
	if cc := x.clientCertificate(); cc != nil && cc.Requested && cc.Explanation != "" && e.Stage == capture.StageTLS && cc.Alert != "" {
		cause = cc.Explanation
	}
	x.result(capture.DoctorFailed, cause, e.Hint)
}

// failedStage says in which stage a call failed.
func (x *examination) failedStage(e *upstream.Error) (stage, title string) {
	origin := address(x.target.Host, x.target.Port)
	connected := len(x.told) > 0
	switch e.Stage {
	case capture.StageRoute:
		return capture.DoctorRoute, "Route to " + origin
	case capture.StageDNS:
		host, _ := x.first()
		return capture.DoctorDNS, "Looking up " + host
	case capture.StageConnect:
		host, port := x.first()
		return capture.DoctorTCP, "Connecting to " + address(host, port)
	case capture.StageProxy:
		return capture.DoctorProxy, "Through the proxy"
	case capture.StageTLS:
		if e.Late {
			return capture.DoctorVerdict, "What does the server make of it?"
		}
		return capture.DoctorTLS, "TLS with " + origin
	case capture.StageTimeout:
		switch {
		case x.facts.Sent != nil:
			return capture.DoctorResponse, "Answer of " + origin
		case connected && x.target.Scheme == "https":
			return capture.DoctorTLS, "TLS with " + origin
		}
		host, port := x.first()
		return capture.DoctorTCP, "Connecting to " + address(host, port)
	}
	return capture.DoctorResponse, "Answer of " + origin
}

func (x *examination) clientCertificate() *capture.ClientCertificate {
	if x.facts.TLS == nil {
		return nil
	}
	return x.facts.TLS.ClientCertificate
}

// answered tells the answer and what it means.
func (x *examination) answered(resp *upstream.Response, took time.Duration) bool {
	x.see(x.facts)
	x.tellTLS(x.facts.TLS, nil)
	who := x.facts.AnsweredBy
	s := capture.DoctorStage{Stage: capture.DoctorResponse, Title: "Answer of " + address(x.target.Host, x.target.Port), Status: capture.DoctorOK, Time: x.facts.Timings.Wait}
	s.Note("status", strings.TrimSpace(fmt.Sprintf("%d %s", resp.Status, resp.Reason)))
	s.Note("protocol", resp.Proto)
	s.Note("server", resp.Fields.Get("Server"))
	s.Note("in all", fmt.Sprintf("%d ms", took.Milliseconds()))
	if who != "" {
		s.Note("answered by", string(who))
	}
	switch {
	case who == capture.AnsweredByProxy:
		s.Status, s.Message = capture.DoctorFailed, "A proxy in between answered, not the origin."
	case resp.Status >= 400:
		s.Status, s.Message = capture.DoctorWarning, "The origin answered with an error."
	}
	x.tell(s)
	result, cause, hint := capture.DoctorOK, fmt.Sprintf("The origin answered %d.", resp.Status), ""
	if who == capture.AnsweredByProxy {
		result, cause = capture.DoctorFailed, fmt.Sprintf("A proxy in between answered %d, not the origin.", resp.Status)
		hint = "ask who runs that proxy; its answer may say more"
	}
	if cc := x.clientCertificate(); cc != nil && (cc.Requested || cc.Rule != "") {
		v := capture.DoctorStage{Stage: capture.DoctorVerdict, Title: "What does the server make of the client certificate?", Status: capture.DoctorInfo, Time: -1, Message: cc.Explanation}
		v.Note("verdict", cc.Verdict)
		v.Note("alert", cc.Alert)
		switch {
		case cc.Verdict == "rejected":
			v.Status, result, cause = capture.DoctorFailed, capture.DoctorFailed, cc.Explanation
			hint = "another certificate can be tried with --cert N; the server's log may say more"
		case cc.Verdict == "no-rule" && (resp.Status == 400 || resp.Status == 403):
			// It asked for one, got none, and refuses: nothing is more likely to be why.
			v.Status, result, cause = capture.DoctorFailed, capture.DoctorFailed, cc.Explanation
			hint = fmt.Sprintf("eaves cert add %s --cert FILE --key FILE", address(x.target.Host, x.target.Port))
		case cc.Verdict == "accepted":
			v.Status = capture.DoctorOK
		}
		x.tell(v)
	}
	if result == capture.DoctorOK && len(x.bad) > 0 {
		cause += " Worth a look: " + strings.Join(x.bad, ", ") + "."
	}
	x.result(result, cause, hint)
	return result == capture.DoctorOK
}

// tell hands on a stage.
func (x *examination) tell(s capture.DoctorStage) {
	if s.Facts == nil {
		s.Facts = []capture.Fact{}
	}
	if s.Status == capture.DoctorWarning {
		x.bad = append(x.bad, s.Title)
	}
	x.emit(s)
}

func (x *examination) result(status capture.DoctorStatus, cause, hint string) {
	x.tell(capture.DoctorStage{Stage: capture.DoctorResult, Title: "Result", Status: status, Time: -1, Message: cause, Hint: hint})
}
