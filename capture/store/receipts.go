package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/json"

	"eaves/capture"
)

// receiptsKnown bounds what is remembered of the receipts in the database.
const receiptsKnown = 4096

// receipts writes the receipts of TLS handshakes, each distinct one once. An exchange on a connection that has been seen
// before costs a comparison, not the encoding of its certificates.
type receipts struct {
	writer *writer
	ids    map[digest]int64                    // of those known to be in the database
	chains map[*capture.Certificate]knownChain // by where their certificates are in memory
}

// knownChain is the latest receipt with certificates that stand in memory together. Nobody writes to them any more, and
// while they are referred to from here nothing else can stand there.
type knownChain struct {
	receipt capture.TLS
	id      int64
}

func newReceipts(w *writer) *receipts {
	r := &receipts{writer: w}
	r.forget()
	return r
}

// forget forgets what is in the database, when that is not sure any more.
func (r *receipts) forget() {
	r.ids, r.chains = make(map[digest]int64), make(map[*capture.Certificate]knownChain)
}

// id returns the id of an exchange's receipt in the database, nil where there is no receipt.
func (r *receipts) id(x *capture.Exchange) (driver.Value, error) {
	t := x.TLS
	if t == nil {
		return nil, nil
	}
	var chain *capture.Certificate
	if len(t.PeerCertificates) > 0 {
		chain = &t.PeerCertificates[0]
		if known, ok := r.chains[chain]; ok && sameReceipt(&known.receipt, t) {
			return known.id, nil
		}
	}
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	sum := digest(sha256.Sum256(b))
	id, ok := r.ids[sum]
	if !ok {
		w := r.writer
		if err := w.insertReceipt.with(sum[:], string(b)); err != nil {
			return nil, err
		}
		if err := w.seenCertificates(x); err != nil {
			return nil, err
		}
		if id, err = w.conn.integer(context.Background(), "SELECT id FROM receipts WHERE hash = ?", sum[:]); err != nil {
			return nil, err
		}
		if len(r.ids) >= receiptsKnown {
			r.forget()
		}
		r.ids[sum] = id
	}
	if chain != nil {
		if len(r.chains) >= receiptsKnown {
			clear(r.chains)
		}
		r.chains[chain] = knownChain{*t, id}
	}
	return id, nil
}

// sameReceipt compares two receipts whose certificates begin at the same place.
func sameReceipt(a, b *capture.TLS) bool {
	if a.ClientCertificate != nil || b.ClientCertificate != nil {
		// These are few, and worth a closer look.
		return false
	}
	return a.Version == b.Version && a.CipherSuite == b.CipherSuite && a.ALPN == b.ALPN && a.ServerName == b.ServerName && a.Resumed == b.Resumed &&
		a.Verified == b.Verified && a.VerifyError == b.VerifyError && len(a.PeerCertificates) == len(b.PeerCertificates)
}
