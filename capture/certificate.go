package capture

import "time"

// SeenCertificate is a certificate that was seen in a TLS handshake.
type SeenCertificate struct {
	// Kind is server, ca (sent by a server along with its own) or client (sent by eaves).
	Kind        string      `json:"kind"`
	Certificate Certificate `json:"certificate"`
	// Host is the server name that was asked for, Exchange one with such a handshake and Time when that was; 0 and the zero
	// time where that is not known.
	Host     string    `json:"host,omitempty"`
	Exchange int64     `json:"exchange,omitempty"`
	Time     time.Time `json:"time,omitzero"`
}

// CertificateUse is what became of a client certificate in one exchange.
type CertificateUse struct {
	Exchange int64     `json:"exchange"`
	Time     time.Time `json:"time"`
	// Host is the origin with its port.
	Host string `json:"host"`
	// Alert is what a server rejected it with, "" where that was no alert.
	Alert string `json:"alert,omitempty"`
}
