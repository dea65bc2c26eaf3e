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
	ids    map[digest]int64                 // of those known to be in the database
	chains map[*capture.Certificate][]known // by where their certificates are in memory
}

// known is a receipt in the database. Nobody writes any more to what it refers to, and while that is referred to from here
// nothing else can stand there.
type known struct {
	receipt capture.TLS
	id      int64
}

// variants bounds the receipts known of one connection: they differ by what the server made of a client certificate.
const variants = 8

func newReceipts(w *writer) *receipts {
	r := &receipts{writer: w}
	r.forget()
	return r
}

// forget forgets what is in the database, when that is not sure any more.
func (r *receipts) forget() {
	r.ids, r.chains = make(map[digest]int64), make(map[*capture.Certificate][]known)
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
		for i := range r.chains[chain] {
			if k := &r.chains[chain][i]; k.same(t) {
				return k.id, nil
			}
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
		k := known{*t, id}
		k.receipt.ClientCertificate = copied(t.ClientCertificate) // what is pointed to is the recording's own copy
		if len(r.chains[chain]) >= variants {
			r.chains[chain] = nil
		}
		r.chains[chain] = append(r.chains[chain], k)
	}
	return id, nil
}

// same says whether a receipt whose certificates begin at the same place is this one.
func (k *known) same(t *capture.TLS) bool {
	a := &k.receipt
	if (a.ClientCertificate == nil) != (t.ClientCertificate == nil) || t.ClientCertificate != nil && !sameClientCertificate(a.ClientCertificate, t.ClientCertificate) {
		return false
	}
	return a.Version == t.Version && a.CipherSuite == t.CipherSuite && a.ALPN == t.ALPN && a.ServerName == t.ServerName && a.Resumed == t.Resumed &&
		a.Verified == t.Verified && a.VerifyError == t.VerifyError && a.Policy == t.Policy && a.Trust == t.Trust && len(a.PeerCertificates) == len(t.PeerCertificates)
}

// sameClientCertificate compares what is written, and of what is referred to where it stands.
func sameClientCertificate(a, b *capture.ClientCertificate) bool {
	return a.Requested == b.Requested && a.Rule == b.Rule && a.Verdict == b.Verdict && a.Alert == b.Alert && a.Note == b.Note && a.Explanation == b.Explanation &&
		a.Sent == b.Sent && sameSlice(a.AcceptableCAs, b.AcceptableCAs) && sameSlice(a.SignatureSchemes, b.SignatureSchemes)
}

func sameSlice(a, b []string) bool {
	return len(a) == len(b) && (a == nil) == (b == nil) && (len(a) == 0 || &a[0] == &b[0])
}
