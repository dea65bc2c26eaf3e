package app

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"eaves/capture"
	"eaves/certs/keyfile"
	"eaves/proxy/upstream"
	"eaves/webui"
)

// inventory gathers every certificate that is configured or was seen.
type inventory struct{ c *core }

// gathering is an inventory in the making: each certificate once, whatever names it.
type gathering struct {
	now   time.Time
	items map[string]*webui.InventoryItem // by fingerprint
}

// Inventory returns each certificate once, those that end first first.
func (v inventory) Inventory(ctx context.Context) ([]webui.InventoryItem, error) {
	g := &gathering{now: time.Now(), items: make(map[string]*webui.InventoryItem)}
	g.add("eaves", upstream.Certificate(v.c.ca.Certificate()), "interception of clients' TLS")
	for _, s := range v.c.identities.States() {
		if s.Loaded == nil {
			continue
		}
		use := fmt.Sprintf("client certificate %d for %s", s.Entry.ID, s.Entry.Rule())
		leaf := g.add("client", upstream.Certificate(s.Loaded.Chain[0]), use)
		leaf.Warnings = leaf.Warnings[:0]
		for _, w := range s.Loaded.Warnings(g.now) {
			leaf.Warnings = append(leaf.Warnings, webui.Warning{Code: string(w.Code), Message: w.Message})
		}
		g.addAll("ca", s.Loaded.Chain[1:], "sent along with "+use)
	}
	for _, s := range v.c.anchors.States() {
		host := s.Entry.Host
		if host == "" {
			host = "every host"
		}
		g.addAll("ca", s.Certificates, fmt.Sprintf("trust %d for %s", s.Entry.ID, host))
	}
	seen, err := v.c.store.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range seen {
		item := g.add(s.Kind, s.Certificate, "")
		if s.Host != "" {
			item.Seen = &webui.Sighting{Host: s.Host, Exchange: s.Exchange, Time: s.Time}
		}
	}
	all := make([]webui.InventoryItem, 0, len(g.items))
	for _, item := range g.items {
		if item.Kind == "client" {
			if item.LastAccepted, item.LastRejected, err = v.c.store.CertificateUse(ctx, item.SHA256); err != nil {
				return nil, err
			}
		}
		all = append(all, *item)
	}
	slices.SortFunc(all, func(a, b webui.InventoryItem) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.SHA256, b.SHA256))
	})
	return all, nil
}

// add notes a certificate, and what uses it where that is known.
func (g *gathering) add(kind string, c capture.Certificate, use string) *webui.InventoryItem {
	item := g.items[c.SHA256]
	if item == nil {
		item = &webui.InventoryItem{Kind: kind, Certificate: c, UsedBy: []string{}, Warnings: []webui.Warning{}}
		left := c.NotAfter.Sub(g.now)
		item.ExpiresInDays = int(left.Hours() / 24)
		switch {
		case left < 0:
			item.Warnings = append(item.Warnings, webui.Warning{Code: string(keyfile.Expired), Message: "it expired on " + c.NotAfter.Format(time.DateOnly)})
		case item.ExpiresInDays < 30:
			item.Warnings = append(item.Warnings, webui.Warning{Code: string(keyfile.ExpiresSoon), Message: "it expires on " + c.NotAfter.Format(time.DateOnly)})
		}
		g.items[c.SHA256] = item
	}
	if use != "" {
		item.UsedBy = append(item.UsedBy, use)
	}
	return item
}

func (g *gathering) addAll(kind string, list []*x509.Certificate, use string) {
	for _, c := range list {
		g.add(kind, upstream.Certificate(c), use)
	}
}
