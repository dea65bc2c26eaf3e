package store

import "time"

const (
	// batchRows and batchBytes are what the writer does not wait beyond to gather more.
	batchRows  = 256
	batchBytes = 2 << 20
	// gatherFor is how long rows gather under load, which is loadedRows in a sweep, before they are committed together. It
	// is short because what gathers is what kill -9 loses; a longer one would save little (see bench/store).
	gatherFor  = time.Millisecond
	loadedRows = 300
	// pendingFor is how long, under load, a transaction may be left open to take more, and pendingRows what it takes: until
	// then it stands in the tail. The stream shows it that much later. Rows that count for more than pendingBytes each on
	// average are committed at once.
	pendingFor   = 25 * time.Millisecond
	pendingRows  = 512
	pendingBytes = rowOverhead + 16<<10
	// checkpointPages is how many pages the write-ahead log takes before they are brought into the database.
	checkpointPages = 4000
	// sweepEvery is how often running exchanges are looked at; lastsAfter is from when on one is written while it runs, and
	// how often again when it changes; growthAfter is how often when only its bodies grow.
	sweepEvery  = 100 * time.Millisecond
	lastsAfter  = 250 * time.Millisecond
	growthAfter = time.Second
	// queueLimit bounds what waits for the writer; beyond it traffic waits. With rowOverhead it also bounds how many
	// exchanges do, some 2,500: what waits longer than a moment would be lost by kill -9.
	queueLimit = 16 << 20
	// heldLimit is what bodies of running exchanges may hold in memory before they go to files early.
	heldLimit = 32 << 20
	// slowAfter is how long a commit takes when the disk does not keep up; pressedKeep is what is kept of a body then.
	slowAfter   = 500 * time.Millisecond
	pressedKeep = 1 << 20
	// maxMessage is what is kept of one message.
	maxMessage = 16 << 20
	// feedMessage is up to where a message's payload is published with it.
	feedMessage = 64 << 10
	// rowOverhead and messageOverhead are what an entry counts for beside its bytes.
	rowOverhead     = 6 << 10
	messageOverhead = 512
	// leaseSize is how many ids are taken from the database at a time. After a crash up to as many are skipped, so that
	// none that was given out is given again.
	leaseSize = 4096
	// retryEvery is how often writing is tried again while it fails; failingRows and failingBytes bound what waits for it
	// meanwhile.
	retryEvery   = time.Second
	failingRows  = 10_000
	failingBytes = 8 << 20
	// countAtOnce is how long a start may take for counting what there is.
	countAtOnce = 100 * time.Millisecond
	// readers is the number of connections that read.
	readers = 4
)
