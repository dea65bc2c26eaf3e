package webui

import (
	"context"
	"net/http"
	"time"

	"eaves/capture"
)

// Inventory knows every certificate that is configured or was seen.
type Inventory interface {
	// Inventory returns each once, those that end first first.
	Inventory(ctx context.Context) ([]InventoryItem, error)
}

// InventoryItem is one certificate.
type InventoryItem struct {
	// Kind is client, server, ca, or eaves for the interception CA.
	Kind string `json:"kind"`
	capture.Certificate
	ExpiresInDays int `json:"expiresInDays"`
	// UsedBy says in words what uses it.
	UsedBy []string `json:"usedBy"`
	// Seen is a handshake that it was seen in, nil where it was in none.
	Seen *Sighting `json:"seen"`
	// LastAccepted and LastRejected are what became of a client certificate last.
	LastAccepted *capture.CertificateUse `json:"lastAccepted"`
	LastRejected *capture.CertificateUse `json:"lastRejected"`
	Warnings     []Warning               `json:"warnings"`
}

// Sighting is where a certificate was seen.
type Sighting struct {
	Host     string    `json:"host"`
	Exchange int64     `json:"exchange,omitempty"`
	Time     time.Time `json:"time,omitzero"`
}

func (s *Server) inventory(w http.ResponseWriter, r *request) error {
	items := []InventoryItem{}
	if s.cfg.Inventory != nil {
		all, err := s.cfg.Inventory.Inventory(r.Context())
		if err != nil {
			return err
		}
		items = append(items, all...)
	}
	return writeJSON(w, r, http.StatusOK, struct {
		Certificates []InventoryItem `json:"certificates"`
	}{items})
}
