package webui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
)

// Store is everything the console asks of what keeps exchanges, in the parts that each endpoint needs.
type Store interface {
	Exchanges
	Summer
	Bodies
	Keeper
	Feed
	Statistician
	Importer
	Values
}

// Exchanges reads exchanges. An unknown id is capture.ErrNotFound.
type Exchanges interface {
	List(ctx context.Context, q Query) (Page, error)
	Get(ctx context.Context, id int64) (*capture.Exchange, error)
	Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error)
}

// Query asks for a page of exchanges: newest first, also with Before; oldest first with ByID, those after After; by
// revision with ByChange, those changed after ChangedAfter, each once and in its latest revision.
type Query struct {
	// Filter may be nil: everything.
	Filter *filter.Filter
	Limit  int
	// Before is an id, 0: from the newest.
	Before int64

	ByID         bool
	After        int64
	ByChange     bool
	ChangedAfter int64

	// Total asks for the number of all that match.
	Total bool

	// Sort names a column to sort by instead, the largest first unless Ascending.
	Sort      string
	Ascending bool
}

// Summer adds exchanges up.
type Summer interface {
	Groups(ctx context.Context, f *filter.Filter, by capture.Grouping) (capture.Groups, error)
	// Timeline is from one time to another, of everything where both are zero, in at most so many buckets.
	Timeline(ctx context.Context, f *filter.Filter, from, to time.Time, buckets int) (capture.Timeline, error)
}

// Page is one page of summaries. Total counts what matches on all pages, if the query asked.
type Page struct {
	Exchanges []*capture.Exchange
	Total     int64
}

// Bodies opens kept bodies, as transferred.
type Bodies interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
}

// Keeper removes and annotates.
type Keeper interface {
	Delete(ctx context.Context, f *filter.Filter) (int64, error)
	Prune(ctx context.Context, p Prune) (Pruned, error)
	// Annotate sets what is not nil.
	Annotate(ctx context.Context, id int64, mark, comment *string) error
}

// Prune says what to remove: what matches Filter and is older than OlderThan; then the oldest, until the store is no
// larger than MaxSize. Zero values do not limit.
type Prune struct {
	Filter    *filter.Filter
	OlderThan time.Duration
	MaxSize   int64
}

// Pruned is what a prune removed, and the bytes given back to the disk.
type Pruned struct {
	Removed, Freed int64
}

// Importer records what comes from a file.
type Importer interface {
	capture.Recorder
	// Flush returns when everything begun so far is committed.
	Flush(ctx context.Context) error
}

// Feed publishes committed changes.
type Feed interface {
	// Changes begins after the given revision. What the store has forgotten the single changes of, it tells once, in its
	// latest revision. ErrReset means that it cannot: something was removed that it knows no more, or the revision is not
	// its own.
	Changes(after int64) (Subscription, error)
	// Seq is the latest committed revision.
	Seq() int64
	// ID names the store; revisions of another store mean nothing here.
	ID() string
}

// Subscription gives changes in the order of their revisions, in batches. Next fails with a *GapError when changes were
// left out, and goes on behind them; with ErrReset when it cannot tell what was, and does not go on.
type Subscription interface {
	Next(ctx context.Context) ([]capture.Change, error)
	Close()
}

// GapError says that changes after From up to To were left out.
type GapError struct{ From, To int64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("changes after %d up to %d were left out", e.From, e.To)
}

// Statistician knows how the store is.
type Statistician interface {
	Stats(ctx context.Context) (Stats, error)
}

// Stats is how the store is.
type Stats struct {
	// Exchanges counts what is kept, Open those of them that are under way.
	Exchanges, Open int64
	// QueueDepth counts what waits to be written.
	QueueDepth int64
	// DatabaseSize and BodiesSize are bytes on disk.
	DatabaseSize, BodiesSize int64
	// FullText says whether body text is indexed.
	FullText bool
	// Health is ok, degraded (some bodies are cut) or failing (nothing is recorded), Problem why, Hint what to do.
	Health, Problem, Hint string
	// Lost counts the exchanges that could not be recorded.
	Lost int64
}

// Sender sends requests through the very pipeline that live traffic takes.
type Sender interface {
	// Send begins to send and returns the id of the new exchange at once. It owns o.Body from then on. An error says in a
	// plain sentence why the request cannot be sent.
	Send(ctx context.Context, o Outgoing) (int64, error)
}

// Outgoing is a request to send.
type Outgoing struct {
	// ReplayOf is the exchange that is sent again; 0: the request was composed.
	ReplayOf    int64
	Method, URL string
	// Target is the request-target where it cannot be told from URL.
	Target string
	// ServerName is what the origin's TLS was asked for; "" for URL's host.
	ServerName string
	// HTTPVersion is what the request was first sent with; "" where it was composed.
	HTTPVersion string
	Header      capture.Header
	Trailer     capture.Header
	// Body may be nil: none. Size is its length.
	Body io.ReadCloser
	Size int64
	// Certificate is the client certificate to show: an id, "none", or "" for the one that is configured.
	Certificate string
	// Verify says whether the server is verified; nil: as configured.
	Verify *bool
	// Via is the way to take: direct, system, pac+URL, or proxies in order, commas between them; nil: as configured.
	Via []string
	// Conversation gives what the client of a WebSocket said, line by line until io.EOF; nil: nothing. Timed says that the
	// pauses are to be kept.
	Conversation func() (Line, error)
	Timed        bool
	// Edited says that the body is not the one that Header was written for, so that its length must be said anew.
	Edited bool
}

// Line is what the client of a recorded conversation said.
type Line struct {
	Kind string
	Data []byte
	// Pause is how long after the line before it came.
	Pause time.Duration
	// Heard is how many messages the origin had said by then.
	Heard int64
}

// Injector puts messages into open conversations.
type Injector interface {
	// Inject sends a message as soon as it can stand between what its side itself says. What no conversation can carry is
	// a *Refusal; any other error says in a plain sentence why it cannot be put into this one now.
	Inject(id int64, m Injection) error
}

// Injection is a message for an open WebSocket.
type Injection struct {
	// Direction is sent (to the origin) or received (by the client), Kind text, binary, ping or close.
	Direction, Kind string
	Data            []byte
	// Code is a close's code, 0 for none; Data is then its reason.
	Code int
}

// Recording is the switch that says whether live traffic is recorded.
type Recording interface {
	Recording() bool
	SetRecording(on bool) error
}

// Rules keeps the pipeline's rules, in order.
type Rules interface {
	Rules() []Rule
	// EditRules replaces the rules by what edit makes of them, unless edit fails; nobody else edits meanwhile.
	EditRules(edit func([]Rule) ([]Rule, error)) error
}

// Rule is one rule of the pipeline: what its filter matches is ignored (passed on, not recorded), blocked, or passed
// through without interception.
type Rule struct {
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
	Filter  string `json:"filter"`
	Action  string `json:"action"`
}

// Secrets keeps secrets that references vault:NAME resolve to.
type Secrets interface {
	List() []Secret
	// Set seals a secret, in the place of one with the same name. A name that cannot be is a *Refusal.
	Set(name string, value []byte) error
	// Remove forgets a secret. An unknown name is ErrNoItem.
	Remove(name string) error
}

// ErrReset says that a cursor is of another store, or too old.
var ErrReset = errors.New("the cursor is of another store, or too old")
