package store

import "time"

// pause lets nobody use a connection until resume is called. quiet says whether those who had one gave it back within d.
func (p *pool) pause(d time.Duration) (resume func(), quiet bool) {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	var held []*conn
	resume = func() {
		for _, c := range held {
			p.free <- c
		}
	}
	for range cap(p.free) {
		select {
		case c := <-p.free:
			held = append(held, c)
		case <-deadline.C:
			return resume, false
		case <-p.closed:
			return resume, false
		}
	}
	return resume, true
}
