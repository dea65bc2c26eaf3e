-- Few rows each, so these cost nearly nothing on the way in: what is asked for by what is rare in it is not looked for in
-- all rows. The conditions are those that capture/filter writes. What is common fills its page from the newest rows.
CREATE INDEX exchanges_status ON exchanges (status) WHERE status <> 200;
CREATE INDEX exchanges_failed ON exchanges (id) WHERE state = 'failed';
CREATE INDEX exchanges_slow ON exchanges (id) WHERE took >= 1000;
CREATE INDEX exchanges_large ON exchanges (id) WHERE resp_size >= 1048576;
CREATE INDEX exchanges_commented ON exchanges (id) WHERE comment IS NOT NULL;

-- What the planner is to know of a large store: nobody analyses one while traffic goes on. The first number is how many
-- rows an index has, the others how many of them are equal in that many columns.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
	('exchanges', 'exchanges_seq', '1000000 1'),
	('exchanges', 'exchanges_host', '1000000 500 1 1'),
	('exchanges', 'exchanges_status', '50000 500'),
	('exchanges', 'exchanges_open', '10 1'),
	('exchanges', 'exchanges_failed', '1000 1'),
	('exchanges', 'exchanges_slow', '1000 1'),
	('exchanges', 'exchanges_large', '1000 1'),
	('exchanges', 'exchanges_marked', '10 1'),
	('exchanges', 'exchanges_commented', '10 1'),
	('exchanges', 'exchanges_replays', '100 1'),
	('exchanges', 'exchanges_certificate', '10000 1000 300 1');
