package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"time"

	"eaves/capture"
)

// maxCertificates bounds an inventory: more than anybody reads.
const maxCertificates = 10_000

// seenCertificate notes one certificate of a handshake that is new.
func (w *writer) seenCertificate(kind string, c *capture.Certificate, x *capture.Exchange) error {
	if c.SHA256 == "" {
		return nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.insertCertificate.with(c.SHA256, kind, string(b), x.TLS.ServerName, x.ID, x.Started.UnixMicro())
}

// seenCertificates notes the certificates of a handshake that is new.
func (w *writer) seenCertificates(x *capture.Exchange) error {
	kind := "server"
	for i := range x.TLS.PeerCertificates {
		if err := w.seenCertificate(kind, &x.TLS.PeerCertificates[i], x); err != nil {
			return err
		}
		kind = "ca"
	}
	if cc := x.TLS.ClientCertificate; cc != nil && cc.Sent != nil {
		return w.seenCertificate("client", cc.Sent, x)
	}
	return nil
}

// sentCertificate is the fingerprint of the client certificate that an exchange's connection was made with, "" where
// there was none.
func sentCertificate(x *capture.Exchange) string {
	if x.TLS == nil || x.TLS.ClientCertificate == nil || x.TLS.ClientCertificate.Sent == nil {
		return ""
	}
	return x.TLS.ClientCertificate.Sent.SHA256
}

// Certificates returns the certificates that were seen in handshakes, those that end first first.
func (s *Store) Certificates(ctx context.Context) (seen []capture.SeenCertificate, err error) {
	err = s.pool.use(ctx, func(c *conn) error {
		var dest [5]driver.Value
		const sql = "SELECT kind, certificate, host, exchange, seen FROM certificates ORDER BY json_extract(certificate, '$.notAfter') LIMIT ?"
		return c.each(ctx, sql, named([]any{maxCertificates}), dest[:], func() error {
			one := capture.SeenCertificate{Kind: asString(dest[0]), Host: asString(dest[2]), Exchange: asInt(dest[3])}
			if dest[4] != nil {
				one.Time = time.UnixMicro(asInt(dest[4])).UTC()
			}
			if err := json.Unmarshal([]byte(asString(dest[1])), &one.Certificate); err != nil {
				return err
			}
			seen = append(seen, one)
			return nil
		})
	})
	return seen, err
}

// CertificateUse returns when a client certificate, named by its fingerprint, was accepted and rejected last; nil where it
// never was.
func (s *Store) CertificateUse(ctx context.Context, sha256 string) (accepted, rejected *capture.CertificateUse, err error) {
	err = s.pool.use(ctx, func(c *conn) error {
		if accepted, err = certificateUse(ctx, c, sha256, "accepted"); err != nil {
			return err
		}
		rejected, err = certificateUse(ctx, c, sha256, "rejected")
		return err
	})
	return accepted, rejected, err
}

func certificateUse(ctx context.Context, c *conn, sha256, verdict string) (*capture.CertificateUse, error) {
	var dest [5]driver.Value
	const sql = "SELECT id, started, host, port, cert_alert FROM exchanges WHERE cert_sha256 = ? AND cert_verdict = ? ORDER BY id DESC LIMIT 1"
	switch err := c.row(ctx, sql, []any{sha256, verdict}, dest[:]); err {
	case nil:
		return &capture.CertificateUse{
			Exchange: asInt(dest[0]), Time: time.UnixMicro(asInt(dest[1])).UTC(), Alert: asString(dest[4]),
			Host: net.JoinHostPort(asString(dest[2]), strconv.FormatInt(asInt(dest[3]), 10)),
		}, nil
	case io.EOF:
		return nil, nil
	default:
		return nil, err
	}
}
