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
	truncated     INTEGER NOT NULL DEFAULT 0,   -- bits: 1 the request's body, 2 the response's
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
	timings       TEXT,             -- blocked dns connect ssl send wait receive, space-separated; - where a phase did not happen
	target        TEXT,             -- the request-target, where it cannot be told from url
	mime          TEXT              -- the response's Content-Type, where it is more than type
) STRICT;

-- Revisions: what changed after a cursor, and what the text index has not seen yet.
CREATE INDEX exchanges_seq ON exchanges (seq);
-- A host's exchanges, newest first; their status stands beside them, so that those with another are not even looked at.
CREATE INDEX exchanges_host ON exchanges (host, id, status);
-- Few rows each, so these cost nothing on the way in.
CREATE INDEX exchanges_open ON exchanges (id) WHERE state = 'open';
CREATE INDEX exchanges_marked ON exchanges (id) WHERE mark IS NOT NULL;
CREATE INDEX exchanges_replays ON exchanges (replay_of) WHERE replay_of IS NOT NULL;

-- What only one exchange's page, a header search or an export needs. The bodies come last, so that reading what stands
-- before them does not touch their pages.
CREATE TABLE details (
	id            INTEGER PRIMARY KEY,
	req_headers   TEXT,             -- [{"name":…,"value":…},…] as in the API
	resp_headers  TEXT,
	rest          TEXT,             -- trailers, 1xx, receipts, the client's own side
	tls           INTEGER,          -- the receipt of the TLS handshake with the origin: receipts.id
	req_file      BLOB,             -- the body's file: files.hash
	resp_file     BLOB,
	req_body      BLOB,             -- the body itself, where it has no file
	resp_body     BLOB
) STRICT;

-- Receipts of TLS handshakes, each distinct one once: a chain of certificates is longer than most exchanges.
CREATE TABLE receipts (
	id            INTEGER PRIMARY KEY,
	hash          BLOB NOT NULL UNIQUE,
	receipt       TEXT NOT NULL
) STRICT;

-- Messages of a conversation, numbered from 1 within it.
CREATE TABLE messages (
	exchange      INTEGER NOT NULL,
	n             INTEGER NOT NULL,
	sent          INTEGER NOT NULL, -- 1: by the client
	kind          TEXT    NOT NULL,
	time          INTEGER NOT NULL,
	size          INTEGER NOT NULL,
	truncated     INTEGER NOT NULL,
	file          BLOB,
	data          BLOB,
	PRIMARY KEY (exchange, n)
) STRICT, WITHOUT ROWID;

-- Bodies kept as files, named by the SHA-256 of their bytes, with the number of rows that name them.
CREATE TABLE files (
	hash          BLOB PRIMARY KEY,
	size          INTEGER NOT NULL,
	refs          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The store's own facts: its identity, the last id that may have been given, the last revision.
CREATE TABLE store (
	key           TEXT PRIMARY KEY,
	value         ANY NOT NULL
) STRICT, WITHOUT ROWID;
