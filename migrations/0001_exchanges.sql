-- One row for each exchange: what a list shows and what a filter compares, so that neither needs to decode anything.
-- Absent values are NULL. Times are microseconds since 1970 (started, cert_expires) or milliseconds (durations).
CREATE TABLE exchanges (
	id            INTEGER PRIMARY KEY,
	seq           INTEGER NOT NULL,
	kind          TEXT    NOT NULL,
	state         TEXT    NOT NULL,
	source        TEXT    NOT NULL,
	started       INTEGER NOT NULL,
	took          REAL,
	ttfb          REAL,
	client        TEXT,
	client_proto  TEXT,
	run           TEXT,
	method        TEXT    NOT NULL,
	url           TEXT    NOT NULL,
	scheme        TEXT,
	host          TEXT,             -- lower case, no port, no brackets, no trailing dot
	port          INTEGER,          -- also where the URL leaves it out
	path          TEXT,
	query         TEXT,
	proto         TEXT,
	status        INTEGER,
	status_text   TEXT,
	resp_proto    TEXT,
	type          TEXT,             -- the response's media type
	req_head      INTEGER,
	resp_head     INTEGER,
	req_size      INTEGER,
	resp_size     INTEGER,
	req_kept      INTEGER,
	resp_kept     INTEGER,
	truncated     INTEGER NOT NULL DEFAULT 0,
	server        TEXT,
	connection    TEXT,
	reused        INTEGER NOT NULL DEFAULT 0,
	answered      TEXT,
	route         TEXT,             -- source, reason and the addresses of the hops, space-separated
	hop           TEXT,             -- addresses of the hops before the origin, space-separated
	hop_status    INTEGER,          -- CONNECT status of the last hop that gave one
	bypass        TEXT,             -- the bypass entry that decided
	tls_version   TEXT,
	tls_cipher    TEXT,
	alpn          TEXT,
	sni           TEXT,
	verified      INTEGER,
	cert_asked    INTEGER,
	cert_sent     TEXT,             -- subject of the client certificate sent
	cert_rule     TEXT,
	cert_verdict  TEXT,
	cert_alert    TEXT,
	cert_expires  INTEGER,
	error_stage   TEXT,
	error         TEXT,
	error_hint    TEXT,
	replay_of     INTEGER,
	messages      INTEGER NOT NULL DEFAULT 0,
	mark          TEXT,
	comment       TEXT,
	timings       TEXT
) STRICT;

-- What only one exchange's page, a header search or an export needs.
CREATE TABLE details (
	id            INTEGER PRIMARY KEY,
	req_headers   TEXT,             -- [{"name":…,"value":…},…] as in the API
	resp_headers  TEXT,
	rest          TEXT              -- trailers, 1xx, receipts, the client's own side
) STRICT;
