package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"

	"eaves/capture"
)

// alerts names TLS alerts (RFC 8446, 6; the registry for the older ones).
var alerts = [...]struct {
	code  uint8
	name  string
	words string
}{
	{0, "close_notify", "closed"},
	{10, "unexpected_message", "a message came that it did not expect"},
	{20, "bad_record_mac", "a record did not decrypt"},
	{21, "decryption_failed", "a record did not decrypt"},
	{22, "record_overflow", "a record was too long"},
	{40, "handshake_failure", "no acceptable set of parameters"},
	{41, "no_certificate", "no certificate was sent"},
	{42, "bad_certificate", "the certificate was not accepted"},
	{43, "unsupported_certificate", "the certificate's kind is not supported"},
	{44, "certificate_revoked", "the certificate is revoked"},
	{45, "certificate_expired", "the certificate has expired"},
	{46, "certificate_unknown", "the certificate was not accepted"},
	{47, "illegal_parameter", "a field had a value it may not have"},
	{48, "unknown_ca", "the certificate's CA is not trusted"},
	{49, "access_denied", "the certificate is valid, but access is denied"},
	{50, "decode_error", "a message could not be decoded"},
	{51, "decrypt_error", "a signature or key exchange did not check"},
	{60, "export_restriction", "export restriction"},
	{70, "protocol_version", "the protocol version is not supported"},
	{71, "insufficient_security", "the ciphers offered are too weak for it"},
	{80, "internal_error", "an error within the server"},
	{86, "inappropriate_fallback", "the protocol version was lowered"},
	{90, "user_canceled", "cancelled"},
	{alertNoRenegotiation, "no_renegotiation", "renegotiation is refused"},
	{109, "missing_extension", "an extension is missing"},
	{110, "unsupported_extension", "an extension was not expected"},
	{111, "certificate_unobtainable", "the certificate could not be fetched"},
	{112, "unrecognized_name", "it does not know this server name"},
	{113, "bad_certificate_status_response", "the certificate's status is invalid"},
	{114, "bad_certificate_hash_value", "the certificate's hash is wrong"},
	{115, "unknown_psk_identity", "the pre-shared key is not known"},
	{116, "certificate_required", "a client certificate is required"},
	{120, "no_application_protocol", "none of the protocols offered (ALPN) is spoken"},
	{121, "ech_required", "encrypted client hello is required"},
}

// The alerts that are treated by themselves.
const (
	alertHandshakeFailure     = 40
	alertCertificateRevoked   = 44
	alertCertificateExpired   = 45
	alertUnknownCA            = 48
	alertAccessDenied         = 49
	alertDecryptError         = 51
	alertProtocolVersion      = 70
	alertInsufficientSecurity = 71
	alertNoRenegotiation      = 100
	alertUnrecognizedName     = 112
	alertCertificateRequired  = 116
	alertNoApplicationProto   = 120
)

func alertName(code uint8) string {
	for _, a := range alerts {
		if a.code == code {
			return a.name
		}
	}
	return fmt.Sprintf("alert %d", code)
}

func alertWords(code uint8) string {
	for _, a := range alerts {
		if a.code == code {
			return fmt.Sprintf("%s (%s)", a.name, a.words)
		}
	}
	return fmt.Sprintf("%d, which has no name", code)
}

// alertMeaning says what an alert means.
func alertMeaning(code uint8) string {
	for _, a := range alerts {
		if a.code == code {
			return a.words
		}
	}
	return "it has no name"
}

// alertOf finds a TLS alert in an error: its code and whether the other side sent it. crypto/tls hides the type, but it
// is a number.
func alertOf(err error) (code uint8, remote, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Err == nil {
		return 0, false, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false, false
	}
	return uint8(v.Uint()), op.Op == "remote error", true
}

// explain says why a handshake failed.
func (h *hello) explain(ctx context.Context, err error) *Error {
	doing := "doing the TLS handshake with " + h.where
	if ctx.Err() == context.Canceled {
		return cancelled(ctx, doing)
	}
	tlsFail := func(format string, a ...any) *Error {
		return fail(capture.StageTLS, err, "TLS with %s: %s", h.where, fmt.Sprintf(format, a...))
	}
	var timeout net.Error
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return fail(capture.StageTimeout, err, "TLS with %s: the server did not finish the handshake within %s", h.where, seconds(h.timeout)).
			hint("check that the port speaks TLS")
	}
	if h.verification.err != nil && !h.terms.trust.Insecure {
		return tlsFail("%s", h.verification.message).hint("%s", h.verification.hint)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return h.notTLS(record, tlsFail)
	}
	if code, remote, ok := alertOf(err); ok && remote {
		return h.alerted(code, tlsFail)
	}
	asked, sent := h.auth.state()
	switch {
	case asked && hungUpOn(err):
		return h.auth.suspect(tlsFail("the server closed the connection during the handshake, without saying why"))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return tlsFail("the server closed the connection during the handshake, without saying why").
			hint("some servers do so when they do not know the server name %q, or want another TLS version", h.serverName)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return tlsFail("the server reset the connection during the handshake").
			hint("a firewall may stand between, or the port does not speak TLS")
	case h.auth.unsigned(err) != "":
		return tlsFail("the server asked for a client certificate, but %s could not be used: %s", who(sent), h.auth.unsigned(err)).
			hint("another certificate can be chosen for %s, or the key mended", h.auth.where())
	}
	message := strings.TrimPrefix(err.Error(), "tls: ")
	if v, ok := strings.CutPrefix(message, "server selected unsupported protocol version "); ok {
		return tlsFail("the server speaks only %s, which is not offered", versionName(v)).hint("%s", h.versionHint())
	}
	if strings.Contains(message, "cipher suite") {
		return tlsFail("the server chose a cipher suite that was not offered").hint("%s", h.suiteHint())
	}
	if strings.Contains(message, "unadvertised ALPN") {
		return tlsFail("the server chose an application protocol (ALPN) that was not offered; offered: %s", strings.Join(h.protos, ", ")).
			hint("what is offered can be chosen with: eaves tls set %s --alpn LIST", h.terms.server.rule())
	}
	return tlsFail("%s", message).hint("the server, or something before it, does not speak TLS as it should")
}

// versionName reads a version as crypto/tls's message has it.
func versionName(hex string) string {
	var v uint16
	if _, err := fmt.Sscanf(hex, "%x", &v); err != nil {
		return "an old version"
	}
	if v == 0x0300 {
		return "SSL 3.0"
	}
	return tls.VersionName(v)
}

func (h *hello) notTLS(record tls.RecordHeaderError, tlsFail func(string, ...any) *Error) *Error {
	head := record.RecordHeader[:]
	if bytes.HasPrefix(head, []byte("HTTP/")) {
		return tlsFail("the server answers in plain HTTP: this port does not speak TLS").hint("use http:// for it")
	}
	printable := bytes.IndexFunc(head, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if printable {
		return tlsFail("the server answers %q…: this port does not speak TLS", head).hint("check the port")
	}
	return tlsFail("the server's answer is not TLS (it begins with the bytes % x)", head).hint("check the port")
}

func (h *hello) alerted(code uint8, tlsFail func(string, ...any) *Error) *Error {
	e := tlsFail("the server refused the handshake with the alert %s", alertWords(code))
	if words, next := h.auth.blame(code); words != "" {
		return tlsFail("%s; it refused the handshake with the alert %s", words, alertWords(code)).hint("%s", next)
	}
	switch code {
	case alertProtocolVersion:
		e.Message += ": it speaks " + h.versions()
		e.hint("%s", h.versionHint())
	case alertHandshakeFailure, alertInsufficientSecurity:
		e.Message += ": nothing that is offered will do for it"
		e.hint("%s", h.suiteHint())
	case alertUnrecognizedName:
		e.hint("the server does not serve the name %q; another one can be sent with: eaves tls set %s --server-name NAME", h.serverName, h.terms.server.rule())
	case alertNoApplicationProto:
		e.Message += fmt.Sprintf("; offered: %s", strings.Join(h.protos, ", "))
		e.hint("it does not serve HTTP under this name and port; what is offered can be chosen with: eaves tls set %s --alpn LIST", h.terms.server.rule())
	}
	return e
}

// oldest and newest are the versions offered.
func (h *hello) oldest() uint16 {
	if h.terms.policy.Min != 0 {
		return h.terms.policy.Min
	}
	return tls.VersionTLS12
}

func (h *hello) newest() uint16 {
	newest := uint16(tls.VersionTLS13)
	for _, v := range []uint16{h.terms.policy.Max, h.max} {
		if v != 0 {
			newest = min(newest, v)
		}
	}
	return newest
}

// versions says which versions a server does not speak: those offered.
func (h *hello) versions() string {
	oldest, newest := h.oldest(), h.newest()
	switch {
	case oldest == tls.VersionTLS12 && newest == tls.VersionTLS13:
		return "neither TLS 1.2 nor 1.3, and older versions are not offered"
	case oldest == newest:
		return "no " + tls.VersionName(oldest) + ", and other versions are not offered"
	}
	return fmt.Sprintf("none of %s to %s, which are offered", tls.VersionName(oldest), tls.VersionName(newest))
}

func (h *hello) versionHint() string {
	if h.oldest() >= tls.VersionTLS12 && h.newest() == tls.VersionTLS13 {
		return fmt.Sprintf("the server needs TLS 1.2 or later; to speak older versions with it: eaves tls set %s --min 1.0", h.auth.where())
	}
	return fmt.Sprintf("other versions are offered with: eaves tls set %s --min 1.0 --max 1.3", h.auth.where())
}

func (h *hello) suiteHint() string {
	return fmt.Sprintf("the server needs a modern cipher suite (ECDHE with AES-GCM or ChaCha20); to offer others: eaves tls set %s --ciphers LIST", h.auth.where())
}

// failed is what a handshake that ended in err came to.
func (h *hello) failed(ctx context.Context, err error) outcome {
	o := outcome{kind: begun, resumed: h.state.DidResume}
	if ctx.Err() != nil {
		return o
	}
	if code, remote, ok := alertOf(err); ok && remote {
		o.kind, o.alert = alerted, code
	} else if why := h.auth.unsigned(err); why != "" {
		o.kind, o.cause = unusable, why
	} else if hungUpOn(err) {
		o.kind = hungUp
	}
	return o
}

// hungUpOn says whether the server closed the connection.
func hungUpOn(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// unsigned says why nothing could be signed with a client certificate's key, "" where that was not what failed.
func (a *authentication) unsigned(err error) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.signing != nil:
		return "signing with its key failed: " + a.signing.Error()
	case a.sent != nil && strings.Contains(err.Error(), "doesn't support any of the certificate's signature algorithms"):
		return "its key makes no signature that the server takes"
	}
	return ""
}

// state returns whether we were asked for a certificate, and which was sent.
func (a *authentication) state() (asked bool, sent *Identity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked, a.sent
}

// blame says what an alert has to do with a client certificate, and what to do next; "" where that is nothing.
func (a *authentication) blame(code uint8) (words, next string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.asked || !aboutCertificate(code), a.sent == nil && code == alertDecryptError:
		return "", ""
	case a.sent == nil:
		return "the server asked for a client certificate, and " + a.none(), a.add()
	}
	return fmt.Sprintf("the server asked for a client certificate and does not accept %s: %s", who(a.sent), a.cause(code)), a.remedy()
}

// suspect adds to the error of a connection that was closed without a word what it may have to do with a client
// certificate.
func (a *authentication) suspect(e *Error) *Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent == nil {
		e.Message += fmt.Sprintf("; it had asked for a client certificate, and %s", a.none())
		e.Hint = a.add()
		return e
	}
	e.Message += fmt.Sprintf("; it had asked for a client certificate and was sent %s", who(a.sent))
	e.Hint = "some servers do so when they do not accept a certificate; their log may say why"
	return e
}

// remedy is what can be done about a certificate that was rejected.
func (a *authentication) remedy() string {
	for _, m := range a.misfits {
		switch m.kind {
		case misfitDates:
			return "use a certificate that is valid now; the server's clock counts"
		case misfitUsage:
			return "use a certificate that was issued for client authentication"
		case misfitIssuer:
			return "use a certificate of a CA that the server accepts, with its intermediate certificates in the same file"
		}
	}
	return fmt.Sprintf("the server's log may say more; eaves doctor https://%s shows each step", a.where())
}

// renegotiation is the error of a server that wanted another handshake, where none was to be done.
func (a *authentication) renegotiation(where string, err error) *Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := fail(capture.StageTLS, err, "TLS with %s: the server wanted to renegotiate after the request, most likely to ask for a client certificate", where)
	if len(a.terms.identities) == 0 {
		e.Message += "; " + a.none()
		e.Hint = a.add()
		return e
	}
	e.Message += fmt.Sprintf("; that was not let happen, so %s was not sent: it had done so before, or the TLS policy forbids it", who(&a.terms.identities[0]))
	return e.hint("eaves tls set %s --renegotiation freely", a.terms.server.rule())
}

// aboutCertificate says whether a server may mean our certificate by that alert.
func aboutCertificate(code uint8) bool {
	switch code {
	case alertHandshakeFailure, 41, 42, 43, alertCertificateRevoked, alertCertificateExpired, 46, alertUnknownCA, alertAccessDenied, alertDecryptError, alertCertificateRequired:
		return true
	}
	return false
}
