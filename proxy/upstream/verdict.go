package upstream

import (
	"crypto/x509"
	"fmt"
	"strings"

	"eaves/capture"
)

// The verdicts on client certificates.
const (
	verdictAccepted     = "accepted"
	verdictRejected     = "rejected"
	verdictNotRequested = "not-requested"
	verdictNoRule       = "no-rule"
	verdictUnknown      = "unknown"
)

// outcome is what became of a connection, as far as it says something about a client certificate.
type outcome struct {
	kind outcomeKind
	// status is the answer's, where it adds something.
	status int
	alert  uint8
	// resumed says that the session was begun by an earlier handshake.
	resumed bool
	// again is what came of sending the request over TLS 1.2 too, to see whether the server asks there.
	again again
	// cause is what failed here.
	cause string
}

type outcomeKind uint8

const (
	// begun: the handshake has not come to its end.
	begun outcomeKind = iota
	// ready: the handshake is done, no answer has come yet.
	ready
	// answered: the server answered.
	answered
	// inBetween: a proxy in between answered, within TLS.
	inBetween
	// nginxMissing and nginxRefused are nginx' own answers: no certificate was sent, or it does not accept it.
	nginxMissing
	nginxRefused
	// alerted: the server sent an alert.
	alerted
	// hungUp: the server closed the connection, saying nothing.
	hungUp
	// unusable: the certificate could not be used here.
	unusable
)

// receipt is how client authentication went on a connection with that outcome.
func (a *authentication) receipt(o outcome) *capture.ClientCertificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	cc := &capture.ClientCertificate{
		Requested: a.asked, AcceptableCAs: a.receipts.names, SignatureSchemes: a.receipts.schemes, Sent: a.receipts.sent,
		Verdict: a.verdict(o), Note: a.note(), Explanation: a.explanation(o),
	}
	if cc.AcceptableCAs == nil {
		cc.AcceptableCAs = []string{}
	}
	switch {
	case a.sent != nil:
		cc.Rule = a.sent.Rule
	case len(a.terms.identities) > 0:
		cc.Rule = a.terms.identities[0].Rule
	case len(a.terms.unusable) > 0:
		cc.Rule = a.terms.unusable[0].Rule
	}
	if o.kind == alerted {
		cc.Alert = alertName(o.alert)
	}
	return cc
}

func (a *authentication) verdict(o outcome) string {
	switch {
	case !a.asked && (o.kind == begun || o.kind == inBetween || o.kind == hungUp || o.kind == alerted) && !a.settled:
		return verdictUnknown
	case !a.asked && o.resumed && !a.settled:
		return verdictUnknown
	case !a.asked:
		return verdictNotRequested
	case a.sent == nil:
		return verdictNoRule
	}
	switch o.kind {
	case answered:
		return verdictAccepted
	case nginxMissing, nginxRefused:
		return verdictRejected
	case alerted:
		if aboutCertificate(o.alert) {
			return verdictRejected
		}
	}
	return verdictUnknown
}

// note is what is wrong with the certificate that was sent, whatever the server made of it, and with those that come before
// it.
func (a *authentication) note() string {
	var notes []string
	if a.sent != nil && a.sent.Note != "" {
		notes = append(notes, a.sent.Note)
	}
	for _, m := range a.misfits {
		notes = append(notes, m.words)
	}
	for i := range a.terms.unusable {
		if id := &a.terms.unusable[i]; a.sent != nil && id.Specificity >= a.sent.Specificity {
			notes = append(notes, fmt.Sprintf("client certificate %d (rule %s) cannot be sent in its place: %s", id.Number, id.Rule, id.Note))
		}
	}
	if a.bounded {
		notes = append(notes, "TLS 1.2 and HTTP/1.1 are used with this server, as it asks for a client certificate only after the request")
	}
	return strings.Join(notes, "; ")
}

// who names an identity.
func who(id *Identity) string {
	return fmt.Sprintf("%s (rule %s)", name(id.Certificate.Leaf), id.Rule)
}

// where names the server as rules do.
func (a *authentication) where() string {
	return joinHostPort(a.terms.server.Host, a.terms.server.Port)
}

// none says why no certificate was sent.
func (a *authentication) none() string {
	if a.terms.chosen {
		return "this request was to send none"
	}
	if len(a.terms.unusable) > 0 {
		id := &a.terms.unusable[0]
		return fmt.Sprintf("the one configured for it (client certificate %d, rule %s) cannot be used: %s", id.Number, id.Rule, id.Note)
	}
	return "none is configured for " + a.where()
}

// add is the command that adds a certificate for the server, "" where one was not wanted.
func (a *authentication) add() string {
	if a.terms.chosen {
		return ""
	}
	if len(a.terms.unusable) > 0 {
		return fmt.Sprintf("eaves cert show %d", a.terms.unusable[0].Number)
	}
	forProxy := ""
	if a.terms.server.Proxy {
		forProxy = " --for proxy"
	}
	return fmt.Sprintf("eaves cert add %s%s --cert FILE --key FILE", a.where(), forProxy)
}

// toAdd is a sentence with that command.
func (a *authentication) toAdd() string {
	add := a.add()
	switch {
	case add == "":
		return ""
	case len(a.terms.unusable) > 0:
		return " See " + add
	case a.terms.server.Port != 443:
		return " To add one: " + add + " (a rule without a port is for port 443 only)."
	}
	return " To add one: " + add
}

// explanation is what happened in plain words.
func (a *authentication) explanation(o outcome) string {
	var b strings.Builder
	switch {
	case o.kind == inBetween && o.status == 0:
		return "A proxy in between answered, not the origin: whether that asks for a client certificate is not known."
	case o.kind == inBetween:
		fmt.Fprintf(&b, "A proxy in between answered (%d), not the origin. ", o.status)
	}
	if o.resumed && a.settled {
		b.WriteString("The session was resumed: what the full handshake before it settled holds. ")
	}
	switch {
	case !a.asked:
		b.WriteString(a.notAsked(o))
	case a.sent == nil:
		b.WriteString(a.sentNone(o))
	default:
		b.WriteString(a.sentOne(o))
	}
	return b.String()
}

func (a *authentication) notAsked(o outcome) string {
	switch {
	case o.kind == alerted && o.alert == alertNoRenegotiation && len(a.terms.identities) > 0:
		return fmt.Sprintf("The server wanted to renegotiate TLS after the request, most likely to ask for a client certificate. That was not let happen, so %s was not sent.", who(&a.terms.identities[0]))
	case o.kind == alerted && o.alert == alertNoRenegotiation:
		return fmt.Sprintf("The server wanted to renegotiate TLS after the request, most likely to ask for a client certificate; %s.%s", a.none(), a.toAdd())
	case !a.settled && o.resumed:
		return "The session was resumed: whether a client certificate is wanted was settled in an earlier handshake."
	case !a.settled:
		return "The handshake failed before it was known whether the server asks for a client certificate."
	case len(a.terms.identities) == 0:
		return "The server did not ask for a client certificate."
	}
	s := fmt.Sprintf("The server never asked for a client certificate, so %s was not sent", who(&a.terms.identities[0]))
	if o.status == 401 || o.status == 403 {
		s += fmt.Sprintf(", and it answered %d", o.status)
	}
	if o.status == 413 {
		return s + ", and it answered 413. Servers that ask after the request's head, as Apache and IIS do for some paths, must hold the body back meanwhile, and refuse a large one. It gets through when the client waits with it (Expect: 100-continue), or after a small request on the same connection."
	}
	s += ". It may want one on another name, port or path, or its TLS ends at something before it, such as a load balancer."
	switch o.again {
	case againSilent:
		s += " The request was sent again over TLS 1.2, where servers can ask after the request: it did not ask there either."
	case againUnspoken:
		s += " If it asks after the request only, that works up to TLS 1.2 here, which it does not speak."
	}
	return s
}

func (a *authentication) sentNone(o outcome) string {
	asked := fmt.Sprintf("The server asked for a client certificate%s; %s", a.afterwards(), a.none())
	switch o.kind {
	case alerted:
		return fmt.Sprintf("%s, and it refused the connection (%s).%s", asked, alertName(o.alert), a.toAdd())
	case nginxMissing:
		return fmt.Sprintf("%s, and it answered 400 %q.%s", asked, nginxMissingTitle, a.toAdd())
	case hungUp:
		return fmt.Sprintf("%s, and it closed the connection without an answer.%s", asked, a.toAdd())
	case begun, unusable:
		return fmt.Sprintf("%s.%s", asked, a.toAdd())
	}
	if o.status == 401 || o.status == 403 {
		return fmt.Sprintf("%s, so none was sent, and it answered %d.%s", asked, o.status, a.toAdd())
	}
	return fmt.Sprintf("%s, so none was sent.%s", asked, a.toAdd())
}

func (a *authentication) afterwards() string {
	if a.late {
		return " after the request (by renegotiation)"
	}
	return ""
}

func (a *authentication) sentOne(o outcome) string {
	sent := fmt.Sprintf("The server asked for a client certificate%s and was sent %s", a.afterwards(), who(a.sent))
	switch o.kind {
	case answered:
		if o.status == 401 || o.status == 403 {
			return fmt.Sprintf("%s: TLS accepted it, and the application refused the request (%d).", sent, o.status)
		}
		return sent + ", and accepted it."
	case inBetween:
		return sent + "."
	case nginxMissing:
		return fmt.Sprintf("%s, yet it answered 400 %q.", sent, nginxMissingTitle)
	case nginxRefused:
		return fmt.Sprintf("%s; it rejected it with the answer 400 %q: %s.", sent, nginxRefusedTitle, a.cause(0))
	case alerted:
		if aboutCertificate(o.alert) {
			return fmt.Sprintf("%s; it rejected it with the alert %s: %s.", sent, alertName(o.alert), a.cause(o.alert))
		}
		return fmt.Sprintf("%s; it then ended the connection with the alert %s (%s), which need not be about the certificate.", sent, alertName(o.alert), alertMeaning(o.alert))
	case hungUp:
		return sent + "; it then closed the connection without an answer or alert, as some do that do not accept a certificate."
	case unusable:
		return fmt.Sprintf("The server asked for a client certificate%s, but %s could not be used: %s.", a.afterwards(), who(a.sent), o.cause)
	case begun:
		return sent + "; the handshake failed before it said what it makes of it."
	}
	return sent + "; it has not answered yet."
}

// cause says why a server has rejected the certificate: as far as that is known, and not further. alert is 0 where there
// was none.
func (a *authentication) cause(alert uint8) string {
	leaf := a.sent.Certificate.Leaf
	certs := chain(a.sent.Certificate)
	top := certs[len(certs)-1]
	var words []string
	has := [4]bool{}
	for _, m := range a.misfits {
		has[m.kind] = true
		words = append(words, m.words)
	}
	switch {
	case alert == alertCertificateRevoked:
		return "the server says that it is revoked"
	case alert == alertCertificateExpired && !has[misfitDates]:
		return fmt.Sprintf("the server takes it for expired, though it is valid from %s to %s: is the server's clock right?", date(leaf.NotBefore), date(leaf.NotAfter))
	case alert == alertDecryptError:
		return "the server could not verify what was signed with its key"
	case alert == alertCertificateRequired:
		return "the server says that it got none"
	case alert == alertAccessDenied:
		return "the server finds it valid, but denies it access"
	}
	if alert == alertUnknownCA && !has[misfitIssuer] {
		if len(a.cas) > 0 {
			words = append(words, fmt.Sprintf("the server does not trust it, though it names its issuer among the CAs it accepts (%s): its CA may be another one of that name%s", someNames(a.cas), tooLong(certs)))
		} else {
			words = append(words, fmt.Sprintf("the server does not know its issuer %s, and names no CAs that it accepts", issuer(top)))
		}
		has[misfitIssuer] = true
	}
	if has[misfitIssuer] && !complete(certs, a.terms.trust.Roots) {
		words = append(words, fmt.Sprintf("the chain sent ends at %s: if that is an intermediate CA, its certificate is missing from the file", issuer(top)))
	}
	if len(words) > 0 {
		return strings.Join(words, "; ")
	}
	right := fmt.Sprintf("dates, usage and issuer (%s) are right", issuer(top))
	if len(a.cas) == 0 {
		right = fmt.Sprintf("dates and usage are right, its issuer is %s", issuer(top))
	}
	return fmt.Sprintf("the server does not say why; %s; it may be revoked there%s", right, tooLong(certs))
}

// tooLong goes on with what may be wrong with a chain, "" where nothing was sent with the certificate.
func tooLong(certs []*x509.Certificate) string {
	if len(certs) == 1 {
		return ""
	}
	// nginx follows one CA below the root unless it is told otherwise.
	return fmt.Sprintf(", or the chain be longer than the server follows (%d CA certificates went with it; in nginx that is ssl_verify_depth)", len(certs)-1)
}
