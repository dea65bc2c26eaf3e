package store

import (
	"context"
	"runtime"
	"time"
)

const (
	// strainedShare is the share of all CPUs that eaves takes for its traffic from which on that is not to be held up by
	// the indexer: what it talks to, on the same machine, needs as much again.
	strainedShare = 0.35
	// loadEvery is how often that is looked at.
	loadEvery = 200 * time.Millisecond
)

// load knows how much the process has to do beside indexing and searching: who searches waits for the index.
type load struct {
	at       time.Time
	cpu      time.Duration
	lent     time.Duration // of the readers' connections, as of at
	indexing time.Duration // since at
	reading  time.Duration // of that, on a reader's connection
	strained bool
}

// note counts what the indexer has worked, and says whether there is so much to do that it had better rest.
func (l *load) note(worked, lent time.Duration) bool {
	l.indexing += worked
	now := time.Now()
	if elapsed := now.Sub(l.at); elapsed >= loadEvery {
		cpu := processCPU()
		used := cpu - l.cpu - l.indexing - (lent - l.lent - l.reading)
		// Where the system does not say, traffic comes first.
		l.strained = cpu == 0 || !l.at.IsZero() && used.Seconds() > strainedShare*elapsed.Seconds()*float64(runtime.NumCPU())
		l.at, l.cpu, l.lent, l.indexing, l.reading = now, cpu, lent, 0, 0
	}
	return l.strained
}

// pace has the indexer rest: a little, most of the time while there is traffic, and nearly all of it when there is so much
// that both together are too much. What it has not come to is looked into by searches.
type pace struct {
	ctx          context.Context
	store        *Store
	load         *load
	began, slice time.Time
}

func newPace(ctx context.Context, s *Store, l *load) *pace {
	now := time.Now()
	return &pace{ctx, s, l, now, now}
}

// rest rests if it is time to. It returns false when the batch should end.
func (p *pace) rest() bool {
	now := time.Now()
	worked := now.Sub(p.slice)
	if worked < indexSlice {
		return true
	}
	rest := worked / 4
	if strained := p.load.note(worked, time.Duration(p.store.pool.lent.Load())); p.store.busy.Load() {
		// Half of a CPU indexes some thousands of exchanges a second; its thread gives way to what is under way.
		rest = worked
		if strained {
			rest = worked * 40
		}
	}
	select {
	case <-p.ctx.Done():
		return false
	case <-time.After(rest):
	}
	p.slice = time.Now()
	return p.slice.Sub(p.began) < indexBatch
}
