// Package store keeps exchanges in SQLite and tells what changes. DESIGN.md beside it says how and why.
//
// # Guarantees
//
// An id is given once, also across restarts and after deletions. What a reader or a subscriber has been shown is
// committed: it is there after kill -9. An exchange that has ended is committed within 100 ms unless the disk does not
// keep up; Close loses nothing.
//
// Memory is bounded by constants, not by traffic. When the disk does not keep up, large bodies are cut first (Truncated
// says so), then Body and Finish wait. When it takes nothing at all, nobody waits: rows are kept up to a number without
// their bodies, the rest is counted, and a row of its own tells of the gap once space is back. Health says so meanwhile.
//
// Nothing of the user's is deleted but by Delete, Prune and the retention that Config asks for.
package store
