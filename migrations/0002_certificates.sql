-- Certificates that were seen in TLS handshakes, each once, with the latest kind of handshake it was seen in. Times are
-- microseconds since 1970.
CREATE TABLE certificates (
	sha256        TEXT PRIMARY KEY,
	kind          TEXT    NOT NULL, -- server, ca, client
	certificate   TEXT    NOT NULL, -- as in the API
	host          TEXT,             -- the server name asked for
	exchange      INTEGER,
	seen          INTEGER
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO certificates (sha256, kind, certificate, host)
	SELECT json_extract(c.value, '$.sha256'), iif(c.key = 0, 'server', 'ca'), c.value, json_extract(r.receipt, '$.serverName')
	FROM receipts AS r, json_each(r.receipt, '$.peerCertificates') AS c
	WHERE json_extract(c.value, '$.sha256') IS NOT NULL;

-- Which client certificate was sent, to find what became of it last. NULL in nearly all rows, so that it costs nothing.
ALTER TABLE exchanges ADD COLUMN cert_sha256 TEXT;
CREATE INDEX exchanges_certificate ON exchanges (cert_sha256, cert_verdict, id) WHERE cert_sha256 IS NOT NULL;
