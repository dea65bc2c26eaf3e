package webui

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// status is how eaves is.
type status struct {
	Version string `json:"version"`
	// Proxy is the proxy's address, Console the console's URL, CA the path of the CA's certificate.
	Proxy   string `json:"proxy"`
	Console string `json:"console"`
	CA      string `json:"ca"`
	Data    string `json:"data"`
	// KeyLog is the file that TLS secrets of both sides are written to, "" for none.
	KeyLog    string `json:"keylog"`
	Recording bool   `json:"recording"`
	// Store is the store's UUID, Seq its latest revision.
	Store     string `json:"store"`
	Seq       int64  `json:"seq"`
	Exchanges int64  `json:"exchanges"`
	Open      int64  `json:"open"`
	Consoles  int    `json:"consoles"`
	// QueueDepth counts what waits to be written to disk.
	QueueDepth   int64 `json:"queueDepth"`
	DatabaseSize int64 `json:"databaseSize"`
	BodiesSize   int64 `json:"bodiesSize"`
	// FullText says whether body text is indexed; where it is not, a search scans.
	FullText bool `json:"fullText"`
	// Health is ok, degraded (some bodies are cut) or failing (nothing is recorded). Problem says why, Hint what to do, Lost
	// how many exchanges could not be recorded.
	Health  string `json:"health"`
	Problem string `json:"problem"`
	Hint    string `json:"hint"`
	Lost    int64  `json:"lost"`
}

func (s *Server) makeStatus(ctx context.Context) (status, error) {
	st, err := s.cfg.Store.Stats(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return status{}, err
		}
		// A store that cannot even count is the very thing that status is to tell.
		st.Health, st.Problem, st.Hint = "failing", err.Error(), "look at the data directory and its disk"
	}
	if st.Health == "" {
		st.Health = "ok"
	}
	a := s.cfg.About
	return status{
		Version: s.cfg.Version, Proxy: a.Proxy, Console: a.Console, CA: a.CA, Data: a.Data, KeyLog: a.KeyLog,
		Recording: s.isRecording(), Store: s.cfg.Store.ID(), Seq: s.cfg.Store.Seq(),
		Exchanges: st.Exchanges, Open: st.Open, Consoles: s.consolesOpen(),
		QueueDepth: st.QueueDepth, DatabaseSize: st.DatabaseSize, BodiesSize: st.BodiesSize, FullText: st.FullText,
		Health: st.Health, Problem: st.Problem, Hint: st.Hint, Lost: st.Lost,
	}, nil
}

// statusCache lets any number of consoles ask once a second at the price of one.
type statusCache struct {
	make func(context.Context) (status, error)
	now  func() time.Time

	mu   sync.Mutex
	last status
	at   time.Time
}

// get returns a status not older than age.
func (c *statusCache) get(ctx context.Context, age time.Duration) (status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && c.now().Sub(c.at) < age {
		return c.last, nil
	}
	st, err := c.make(ctx)
	if err != nil {
		return status{}, err
	}
	c.last, c.at = st, c.now()
	return st, nil
}

// forget makes the next status a fresh one.
func (c *statusCache) forget() {
	c.mu.Lock()
	c.at = time.Time{}
	c.mu.Unlock()
}

func (s *Server) getStatus(w http.ResponseWriter, r *request) error {
	st, err := s.status.get(r.Context(), 0)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, st)
}
