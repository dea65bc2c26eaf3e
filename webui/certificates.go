package webui

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"eaves/capture"
)

// maxUpload bounds a request that carries certificate files.
const maxUpload = 16 << 20

// Warning is why something may not work as its user hopes.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ClientCertificate is a client certificate and how it is. Its key and passphrase are never part of it.
type ClientCertificate struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Host    string `json:"host"`
	For     string `json:"for"`
	Name    string `json:"name"`
	// Where it comes from.
	CertificateFile string `json:"certificateFile"`
	KeyFile         string `json:"keyFile"`
	PFXFile         string `json:"pfxFile"`
	Token           string `json:"token"`
	Uploaded        bool   `json:"uploaded"`
	// Passphrase is a reference.
	Passphrase string `json:"passphrase"`
	// What would be shown; nil and empty where it cannot be used.
	Certificate *capture.Certificate  `json:"certificate"`
	Chain       []capture.Certificate `json:"chain"`
	Key         string                `json:"key"`
	Warnings    []Warning             `json:"warnings"`
	// Problem is why it cannot be used at all, Hint what to do.
	Problem       string `json:"problem"`
	Hint          string `json:"hint"`
	ExpiresInDays *int   `json:"expiresInDays"`
	// LastAccepted and LastRejected are what became of it last.
	LastAccepted *capture.CertificateUse `json:"lastAccepted"`
	LastRejected *capture.CertificateUse `json:"lastRejected"`
}

// ClientCertificateInput is a client certificate as it comes in. What is nil stays as it is.
type ClientCertificateInput struct {
	Enabled         *bool   `json:"enabled"`
	Host            *string `json:"host"`
	For             *string `json:"for"`
	Name            *string `json:"name"`
	CertificateFile *string `json:"certificateFile"`
	KeyFile         *string `json:"keyFile"`
	PFXFile         *string `json:"pfxFile"`
	Token           *string `json:"token"`
	// Passphrase is a reference, Secret the passphrase itself, which goes to the vault.
	Passphrase *string `json:"passphrase"`
	Secret     *string `json:"secret"`
	// Uploads, of which copies are kept.
	CertificateData []byte `json:"certificateData"`
	KeyData         []byte `json:"keyData"`
	PFXData         []byte `json:"pfxData"`
}

// TrustAnchor is a file of CAs that servers may be signed by, beside those of the machine.
type TrustAnchor struct {
	ID      int64 `json:"id"`
	Enabled bool  `json:"enabled"`
	// Host is a host pattern; "" means every host.
	Host         string                `json:"host"`
	File         string                `json:"file"`
	Uploaded     bool                  `json:"uploaded"`
	Certificates []capture.Certificate `json:"certificates"`
	Warnings     []Warning             `json:"warnings"`
	Problem      string                `json:"problem"`
}

// TrustAnchorInput is a trust anchor as it comes in. What is nil stays as it is.
type TrustAnchorInput struct {
	Enabled *bool   `json:"enabled"`
	Host    *string `json:"host"`
	File    *string `json:"file"`
	// Data are certificates, of which a copy is kept.
	Data *Upload `json:"data"`
}

// Upload is a file as it comes in: PEM as it is, anything else in base64.
type Upload []byte

// UnmarshalJSON reads either.
func (u *Upload) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return bad("data", "data is text: PEM, or base64")
	}
	if strings.Contains(text, "-----BEGIN ") {
		*u = []byte(text)
		return nil
	}
	if err := json.Unmarshal(b, (*[]byte)(u)); err != nil {
		return bad("data", "data is neither PEM nor base64")
	}
	return nil
}

// TLSPolicy says how TLS is spoken with the hosts of a pattern. Empty values leave the choice to eaves.
type TLSPolicy struct {
	ID            int64    `json:"id"`
	Enabled       bool     `json:"enabled"`
	Host          string   `json:"host"`
	Min           string   `json:"min"`
	Max           string   `json:"max"`
	Ciphers       []string `json:"ciphers"`
	ALPN          []string `json:"alpn"`
	Verify        *bool    `json:"verify"`
	ServerName    string   `json:"serverName"`
	Renegotiation string   `json:"renegotiation"`
}

// TLSPolicyInput is a policy as it comes in. What is nil stays as it is.
type TLSPolicyInput struct {
	Enabled       *bool     `json:"enabled"`
	Host          *string   `json:"host"`
	Min           *string   `json:"min"`
	Max           *string   `json:"max"`
	Ciphers       *[]string `json:"ciphers"`
	ALPN          *[]string `json:"alpn"`
	Verify        Switch    `json:"verify"`
	ServerName    *string   `json:"serverName"`
	Renegotiation *string   `json:"renegotiation"`
}

// Switch is true, false or null as it comes in; Given says whether it came at all.
type Switch struct {
	Given bool
	On    *bool
}

// UnmarshalJSON reads it.
func (s *Switch) UnmarshalJSON(b []byte) error {
	s.Given = true
	if err := json.Unmarshal(b, &s.On); err != nil {
		return bad("verify", "verify is true, false or null")
	}
	return nil
}

// Secret is a secret of the vault, without its value.
type Secret struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

func (s *Server) certificateRoutes() []route {
	certificates := resource[ClientCertificate, ClientCertificateInput]{
		path: "/client-certificates", name: "client certificate", limit: maxUpload, items: s.cfg.ClientCertificates,
		list: listedAs[ClientCertificate]("clientCertificates"),
		id:   func(c ClientCertificate) int64 { return c.ID },
	}
	trust := resource[TrustAnchor, TrustAnchorInput]{
		path: "/trust", name: "trust anchor", limit: maxUpload, items: s.cfg.Trust,
		list: listedAs[TrustAnchor]("trust"),
		id:   func(t TrustAnchor) int64 { return t.ID },
	}
	policies := resource[TLSPolicy, TLSPolicyInput]{
		path: "/tls-policies", name: "TLS policy", limit: maxJSON, items: s.cfg.TLSPolicies,
		list: listedAs[TLSPolicy]("tlsPolicies"),
		id:   func(p TLSPolicy) int64 { return p.ID },
	}
	routes := append(certificates.routes(), trust.routes()...)
	routes = append(routes, policies.routes()...)
	return append(routes,
		route{"GET", "/secrets", nil, s.listSecrets},
		route{"POST", "/secrets", nil, s.addSecret},
		route{"DELETE", "/secrets/{name}", nil, s.removeSecret},
	)
}

var errNoSecrets = problem{Status: http.StatusServiceUnavailable, Detail: "secrets are kept by a running eaves (eaves run); this one only reads"}

func (s *Server) listSecrets(w http.ResponseWriter, r *request) error {
	list := struct {
		Secrets []Secret `json:"secrets"`
	}{[]Secret{}}
	if s.cfg.Secrets != nil {
		list.Secrets = append(list.Secrets, s.cfg.Secrets.List()...)
	}
	return writeJSON(w, r, http.StatusOK, list)
}

// addSecret seals a secret, in the place of one with the same name.
func (s *Server) addSecret(w http.ResponseWriter, r *request) error {
	var in struct {
		Name  string  `json:"name"`
		Value *string `json:"value"`
	}
	if err := readJSON(w, r, maxJSON, false, &in); err != nil {
		return err
	}
	if in.Value == nil {
		return bad("value", "give the secret as value")
	}
	if s.cfg.Secrets == nil {
		return errNoSecrets
	}
	if err := s.cfg.Secrets.Set(in.Name, []byte(*in.Value)); err != nil {
		return err
	}
	for _, now := range s.cfg.Secrets.List() {
		if now.Name == in.Name {
			w.Header().Set("Location", base+"/secrets/"+now.Name)
			return writeJSON(w, r, http.StatusCreated, now)
		}
	}
	return problem{Status: http.StatusConflict, Detail: "the secret was set, but is gone already"}
}

func (s *Server) removeSecret(w http.ResponseWriter, r *request) error {
	if s.cfg.Secrets == nil {
		return errNoSecrets
	}
	err := s.cfg.Secrets.Remove(r.vars["name"])
	if errors.Is(err, ErrNoItem) {
		return problem{Status: http.StatusNotFound, Detail: "no secret has this name, or it has been removed"}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
