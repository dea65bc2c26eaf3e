package capture

import "time"

// Grouping is what exchanges are counted by.
type Grouping string

// What exchanges can be counted by.
const (
	ByHost Grouping = "host"
	// ByClient counts by the run that a client is part of, else by its address without the port.
	ByClient Grouping = "client"
	// ByConnection counts by the connection to the origin.
	ByConnection Grouping = "connection"
	// ByPath counts by the path's first segment.
	ByPath Grouping = "path"
)

// Groupings are all of them.
func Groupings() []Grouping { return []Grouping{ByHost, ByClient, ByConnection, ByPath} }

// Totals are what exchanges come to together.
type Totals struct {
	Count int64
	// Failed counts those that failed, Refused those that were answered with a status from 400.
	Failed, Refused int64
	// Bytes are those of bodies in both directions, as transferred.
	Bytes int64
	// Took is the sum of the times that they took, in milliseconds.
	Took float64
	// First and Last are when the earliest and the latest began.
	First, Last time.Time
}

// Add adds others to them.
func (t *Totals) Add(o Totals) {
	if o.Count == 0 {
		return
	}
	if t.Count == 0 || o.First.Before(t.First) {
		t.First = o.First
	}
	if t.Count == 0 || o.Last.After(t.Last) {
		t.Last = o.Last
	}
	t.Count += o.Count
	t.Failed += o.Failed
	t.Refused += o.Refused
	t.Bytes += o.Bytes
	t.Took += o.Took
}

// Group is the exchanges that have something in common. Name is what, "" where they have no such thing.
type Group struct {
	Name string
	Totals
}

// Groups are totals by group, in no order. All are those of all groups together. Covered is the share of the capture, 0 to
// 1 and newest first, that was looked at: what is left is looked at when the same is asked again.
type Groups struct {
	Groups  []Group
	All     Totals
	Covered float64
}

// Timeline is totals over time: of buckets of one width that follow one another, those with something in them.
type Timeline struct {
	// Start is where bucket 0 begins, Step how wide each is, Buckets how many there are.
	Start   time.Time
	Step    time.Duration
	Buckets int
	Points  []Point
	All     Totals
	Covered float64
}

// Point is one bucket of a timeline.
type Point struct {
	Bucket int
	Totals
}
