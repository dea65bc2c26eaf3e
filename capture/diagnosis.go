package capture

// Explanation is what would be done for a URL, and why.
type Explanation struct {
	URL string `json:"url"`
	// Route is the way that would be taken; its durations are -1.
	Route *Route `json:"route,omitempty"`
	// Why says in sentences how the route came about.
	Why               []string        `json:"why"`
	ClientCertificate CertificateRule `json:"clientCertificate"`
	Trust             TrustRule       `json:"trust"`
	TLS               TLSRule         `json:"tls"`
}

// CertificateRule says which client certificate would be sent if one were asked for.
type CertificateRule struct {
	// Rule and ID are of the certificate that comes first; "" and 0 where there is none.
	Rule string `json:"rule"`
	ID   int64  `json:"id"`
	// Candidates are all that are configured for this host, and those that nearly are, each with the reason.
	Candidates  []Candidate `json:"candidates"`
	Explanation string      `json:"explanation"`
}

// Candidate is a client certificate with the reason why it would be sent or not.
type Candidate struct {
	ID      int64  `json:"id"`
	Rule    string `json:"rule"`
	Subject string `json:"subject"`
	Matches bool   `json:"matches"`
	Reason  string `json:"reason"`
}

// TrustRule says by whom the server's certificate may be signed.
type TrustRule struct {
	// Roots is "system", or what was added to it.
	Roots       string   `json:"roots"`
	Added       []Anchor `json:"added"`
	Verify      bool     `json:"verify"`
	Explanation string   `json:"explanation"`
}

// TLSRule says how TLS would be spoken.
type TLSRule struct {
	Rule        string   `json:"rule"`
	Min         string   `json:"min"`
	Max         string   `json:"max"`
	Ciphers     []string `json:"ciphers"`
	ALPN        []string `json:"alpn"`
	ServerName  string   `json:"serverName"`
	Explanation string   `json:"explanation"`
}

// Anchor is a CA that was added to those of the system.
type Anchor struct {
	ID      int64  `json:"id"`
	Subject string `json:"subject"`
	// Host is the pattern it is added for, "" for every host.
	Host string `json:"host"`
}

// The stages of an examination, in the order in which they are passed. A way through parent proxies passes some of them
// more than once.
const (
	DoctorRoute             = "route"
	DoctorDNS               = "dns"
	DoctorTCP               = "tcp"
	DoctorProxy             = "proxy"
	DoctorTLS               = "tls"
	DoctorRequest           = "request-certificate"
	DoctorClientCertificate = "client-certificate"
	DoctorResponse          = "response"
	DoctorVerdict           = "verdict"
	DoctorResult            = "result"
)

// DoctorStatus is how a stage went.
type DoctorStatus string

// The ways a stage can go.
const (
	DoctorOK      DoctorStatus = "ok"
	DoctorFailed  DoctorStatus = "failed"
	DoctorWarning DoctorStatus = "warning"
	DoctorSkipped DoctorStatus = "skipped"
	DoctorInfo    DoctorStatus = "info"
)

// DoctorStage is one stage of an examination.
type DoctorStage struct {
	Stage  string       `json:"stage"`
	Title  string       `json:"title"`
	Status DoctorStatus `json:"status"`
	// Time is how long it took, in milliseconds; -1: there is nothing to measure.
	Time    float64 `json:"time"`
	Facts   []Fact  `json:"facts"`
	Message string  `json:"message,omitempty"`
	Hint    string  `json:"hint,omitempty"`
}

// Fact is something that was seen.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Note adds a fact, unless there is nothing to say.
func (s *DoctorStage) Note(name, value string) {
	if value != "" {
		s.Facts = append(s.Facts, Fact{name, value})
	}
}
