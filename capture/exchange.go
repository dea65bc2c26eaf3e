// Package capture is the vocabulary of eaves: what an exchange is, and the seams through which one is recorded,
// kept and published.
//
// # Terms
//
// An exchange is one request and what came of it: an answer, an upgraded conversation (kind websocket), bytes that were
// passed through undecoded (kind tunnel), or a failure. Its id is given when it begins and never reused; its seq is a
// revision number given when a revision of it is committed. What went to the origin is its request, what came back its
// response; where eaves changed something for or from the client, the client's side is kept too.
//
// # Units
//
// Times are milliseconds as in HAR 1.2 (-1: the phase did not happen), sizes are bytes, -1 where unknown.
//
// The package imports no other package of eaves. Its types are plain values: who hands one over stops writing to it.
package capture

import (
	"encoding/json"
	"strings"
	"time"
)

// Kind says what an exchange turned out to be.
type Kind string

// The kinds of exchange.
const (
	KindHTTP      Kind = "http"
	KindWebSocket Kind = "websocket"
	KindTunnel    Kind = "tunnel"
)

// State says how far an exchange has come.
type State string

// The states of an exchange. An exchange that was open when eaves died is failed, with an error that says so.
const (
	StateOpen   State = "open"
	StateDone   State = "done"
	StateFailed State = "failed"
)

// Source says how an exchange entered eaves.
type Source string

// The sources of an exchange.
const (
	SourceProxy   Source = "proxy"
	SourceReplay  Source = "replay"
	SourceCompose Source = "compose"
	SourceImport  Source = "import"
)

// Answerer says whose answer the client got.
type Answerer string

// Who can have answered.
const (
	AnsweredByOrigin Answerer = "origin"
	AnsweredByProxy  Answerer = "proxy"
	AnsweredByEaves  Answerer = "eaves"
)

// Exchange is one request and what came of it: a HAR 1.2 entry plus what HAR has no place for. Its JSON form is that of
// the console's API.
type Exchange struct {
	ID    int64 `json:"id"`
	Seq   int64 `json:"seq"`
	Kind  Kind  `json:"kind"`
	State State `json:"state"`
	// Started is when the first byte of the request was seen.
	Started time.Time `json:"-"`
	// Time is how long the exchange took, in milliseconds; while it is open, -1.
	Time            float64    `json:"time"`
	Source          Source     `json:"source"`
	Client          Client     `json:"client"`
	Request         Request    `json:"request"`
	Response        *Response  `json:"response,omitempty"`
	Timings         Timings    `json:"timings"`
	ServerIPAddress string     `json:"serverIPAddress,omitempty"`
	Connection      string     `json:"connection,omitempty"`
	Reused          bool       `json:"reused"`
	AnsweredBy      Answerer   `json:"answeredBy,omitempty"`
	Route           *Route     `json:"route,omitempty"`
	TLS             *TLS       `json:"tls,omitempty"`
	ClientTLS       *ClientTLS `json:"clientTLS,omitempty"`
	Error           *Error     `json:"error,omitempty"`
	ReplayOf        int64      `json:"replayOf,omitempty"`
	// Certificate stands in a summary for the receipt of a client certificate: see ClientCertificate.Outcome. An exchange with
	// its receipts has none.
	Certificate string `json:"certificate,omitempty"`
	// Proxies stands in a summary for the route: the addresses of the proxies on the way, in order.
	Proxies []string `json:"proxies,omitempty"`
	// Messages counts the messages recorded apart from the bodies: WebSocket messages, server-sent events.
	Messages int64  `json:"messages"`
	Mark     string `json:"mark"`
	Comment  string `json:"comment"`
}

// TimeFormat is how times are written in JSON: RFC 3339 with milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// exchangeJSON is Exchange without its methods.
type exchangeJSON Exchange

// MarshalJSON writes the exchange with its start as RFC 3339 with milliseconds.
func (x *Exchange) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		*exchangeJSON
		StartedDateTime string `json:"startedDateTime"`
	}{(*exchangeJSON)(x), x.Started.UTC().Format(TimeFormat)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (x *Exchange) UnmarshalJSON(b []byte) error {
	v := struct {
		*exchangeJSON
		StartedDateTime time.Time `json:"startedDateTime"`
	}{exchangeJSON: (*exchangeJSON)(x)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	x.Started = v.StartedDateTime
	return nil
}

// Summary returns the exchange without its headers, receipts and the client's own side: what a list needs. It shares
// nothing with x that anybody writes to.
func (x *Exchange) Summary() *Exchange {
	s := *x
	if x.TLS != nil && x.TLS.ClientCertificate != nil {
		s.Certificate = x.TLS.ClientCertificate.Outcome()
	}
	if x.Route != nil {
		s.Proxies = x.Route.Proxies()
	}
	s.Route, s.TLS, s.ClientTLS = nil, nil, nil
	s.Client.Request, s.Client.Response = nil, nil
	s.Request.Header, s.Request.Trailer = nil, nil
	if x.Response != nil {
		r := *x.Response
		r.Header, r.Trailer, r.Informational = nil, nil, nil
		s.Response = &r
	}
	return &s
}

// Client is the side that asked.
type Client struct {
	Address     string `json:"address,omitempty"`
	HTTPVersion string `json:"httpVersion,omitempty"`
	// Run names the command whose traffic this is, if one is known.
	Run string `json:"run,omitempty"`
	// Request and Response hold the client's side where it differs from what went upstream or came back.
	Request  *Request  `json:"request,omitempty"`
	Response *Response `json:"response,omitempty"`
}

// Request is a request as it was on the wire.
type Request struct {
	Method string `json:"method"`
	// URL is absolute; a tunnel's is tcp://host:port.
	URL string `json:"url"`
	// Target is the request-target as it stood in the request line (HTTP/1) or :path (HTTP/2), where it cannot be told
	// from URL, such as "*".
	Target      string `json:"target,omitempty"`
	HTTPVersion string `json:"httpVersion"`
	Header      Header `json:"headers,omitzero"`
	Trailer     Header `json:"trailers,omitzero"`
	// HeadersSize counts the bytes of the head, BodySize those of the body as transferred (decoded chunks); -1: unknown.
	HeadersSize int64 `json:"headersSize"`
	BodySize    int64 `json:"bodySize"`
	// Truncated says that the kept body is shorter than the one transferred.
	Truncated bool `json:"truncated,omitempty"`
}

// Response is an answer as it was on the wire.
type Response struct {
	Status        int             `json:"status"`
	StatusText    string          `json:"statusText"`
	HTTPVersion   string          `json:"httpVersion"`
	Header        Header          `json:"headers,omitzero"`
	Informational []Informational `json:"informational,omitzero"`
	Trailer       Header          `json:"trailers,omitzero"`
	Content       Content         `json:"content"`
	HeadersSize   int64           `json:"headersSize"`
	BodySize      int64           `json:"bodySize"`
	// Truncated says that the kept body is shorter than the one transferred: cut at the keep limit (Error is nil), or by
	// the peer (Error says how).
	Truncated bool `json:"truncated"`
}

// Informational is a 1xx answer that came before the final one.
type Informational struct {
	Status     int    `json:"status"`
	StatusText string `json:"statusText,omitempty"`
	Header     Header `json:"headers"`
}

// Content describes a response's body. Size is what was kept of it, as transferred.
type Content struct {
	Size     int64  `json:"size"`
	MimeType string `json:"mimeType"`
}

// Timings are the phases of HAR 1.2, in milliseconds; -1: the phase did not happen.
type Timings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// NoTimings are the timings of an exchange in which nothing has happened yet.
func NoTimings() Timings {
	return Timings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1, Send: -1, Wait: -1, Receive: -1}
}

// Route is the receipt of the way a request took.
type Route struct {
	// Source is what decided the route: custom, system, pac, rule or direct.
	Source string `json:"source"`
	Reason string `json:"reason,omitempty"`
	Hops   []Hop  `json:"hops"`
}

// Decided says in words what decided the route.
func (r *Route) Decided() string {
	switch word, _, _ := strings.Cut(r.Reason, " "); {
	case r.Reason == "":
		return r.Source
	case strings.EqualFold(word, r.Source), word == "bypass": // the reason begins with what decided
		return r.Reason
	}
	return r.Source + ": " + r.Reason
}

// Proxies are the addresses of the stations before the origin.
func (r *Route) Proxies() (addresses []string) {
	for i := range r.Hops {
		if h := &r.Hops[i]; h.Kind != "origin" && h.Address != "" {
			addresses = append(addresses, h.Address)
		}
	}
	return addresses
}

// Hop is one station on the way; the last is the origin. Durations are milliseconds, -1: did not happen. Connect is how
// long it took until there was a connection to it: of TCP to the first, through the stations before it to the others.
type Hop struct {
	Kind           string  `json:"kind"`
	Address        string  `json:"address"`
	DNS            float64 `json:"dns"`
	Connect        float64 `json:"connect"`
	Status         int     `json:"status,omitempty"`
	Authentication string  `json:"authentication,omitempty"`
	TLS            *TLS    `json:"tls,omitempty"`
	// StatusText and ResponseHeader are those of the proxy's answer to CONNECT, beside its Status.
	StatusText     string `json:"statusText,omitempty"`
	ResponseHeader Header `json:"responseHeaders,omitempty"`
	// Time is how long it took to get through this proxy, its TLS and authentication included; 0: not known.
	Time float64 `json:"time,omitempty"`
	// Reused says that the connection to it was there already.
	Reused bool `json:"reused,omitempty"`
	// Error is why the way ended here.
	Error string `json:"error,omitempty"`
}

// TLS is what was agreed with an origin (or parent proxy), and what its certificates were.
type TLS struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipherSuite"`
	ALPN        string `json:"alpn"`
	ServerName  string `json:"serverName"`
	Resumed     bool   `json:"resumed"`
	Verified    bool   `json:"verified"`
	// VerifyError is why verification failed, or would have failed had it been on.
	VerifyError string `json:"verifyError"`
	// Policy is the host pattern of the TLS policy that held, Trust what turned verification off, or decided about it
	// otherwise.
	Policy            string             `json:"policy,omitempty"`
	Trust             string             `json:"trust,omitempty"`
	PeerCertificates  []Certificate      `json:"peerCertificates"`
	ClientCertificate *ClientCertificate `json:"clientCertificate,omitempty"`
}

// Certificate identifies an X.509 certificate.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// DNSNames are all names that it is for: DNS names and, as text, IP addresses.
	DNSNames []string `json:"dnsNames"`
	SHA256   string   `json:"sha256"`
}

// ClientCertificate is the receipt of a TLS handshake's client authentication.
type ClientCertificate struct {
	Requested bool `json:"requested"`
	// AcceptableCAs are the CAs that the server named, SignatureSchemes the signatures that it takes.
	AcceptableCAs    []string `json:"acceptableCAs"`
	SignatureSchemes []string `json:"signatureSchemes,omitempty"`
	// Rule is the host pattern that matched.
	Rule string       `json:"rule,omitempty"`
	Sent *Certificate `json:"sent,omitempty"`
	// Verdict is accepted, rejected, not-requested, no-rule or unknown.
	Verdict string `json:"verdict"`
	Alert   string `json:"alert,omitempty"`
	// Note is what is wrong with the certificate sent, whatever the server made of it.
	Note        string `json:"note,omitempty"`
	Explanation string `json:"explanation,omitempty"`
}

// Outcome says in a word what became of the certificate: accepted or rejected, sent where the server has not said which,
// asked where none was sent to a server that wanted one, "" where none was asked for.
func (c *ClientCertificate) Outcome() string {
	return CertificateOutcome(c.Requested, c.Sent != nil, c.Verdict)
}

// CertificateOutcome is the outcome of a receipt of which only this is known.
func CertificateOutcome(requested, sent bool, verdict string) string {
	switch {
	case !requested:
		return ""
	case verdict == "rejected":
		return "rejected"
	case !sent:
		return "asked"
	case verdict == "accepted":
		return "accepted"
	}
	return "sent"
}

// ClientTLS is what was agreed with the client.
type ClientTLS struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipherSuite"`
	ALPN        string `json:"alpn"`
	ServerName  string `json:"serverName"`
}

// Stage says where on its way an exchange failed.
type Stage string

// The stages of an exchange.
const (
	StageClient  Stage = "client"
	StageRoute   Stage = "route"
	StageDNS     Stage = "dns"
	StageConnect Stage = "connect"
	StageProxy   Stage = "proxy"
	StageTLS     Stage = "tls"
	StageHTTP    Stage = "http"
	StageTimeout Stage = "timeout"
)

// Error is why an exchange failed. Message says what happened, Hint what to do next.
type Error struct {
	Stage   Stage  `json:"stage"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Error returns the message with its stage.
func (e *Error) Error() string { return string(e.Stage) + ": " + e.Message }

// Side names one of an exchange's two bodies.
type Side string

// The two sides of an exchange.
const (
	SideRequest  Side = "request"
	SideResponse Side = "response"
)

// Message is one message of a conversation: a WebSocket message (fragments joined, compression undone), a server-sent
// event. N counts from 1 within its exchange.
type Message struct {
	N         int64     `json:"n"`
	Direction string    `json:"direction"` // sent (by the client) or received
	Kind      string    `json:"kind"`      // text, binary, ping, pong, close, event, grpc
	Time      time.Time `json:"-"`
	// Size is the payload's length; what was kept of it may be shorter (Truncated).
	Size      int64 `json:"size"`
	Truncated bool  `json:"truncated,omitempty"`
	// Injected says that eaves put the message in: neither client nor origin said it.
	Injected bool `json:"injected,omitempty"`
	// Data is the payload. In JSON it is text, or data (base64) where it is not text.
	Data []byte `json:"-"`
}
