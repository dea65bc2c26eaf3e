package webui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/curl"
	"eaves/capture/har"
	"eaves/capture/jsonl"
	"eaves/capture/pcap"
	"eaves/capture/redact"
)

// exporter writes exchanges in one format.
type exporter interface {
	Write(ctx context.Context, x *capture.Exchange) error
	Close() error
}

// format is one way to write exchanges.
type format struct {
	name, extension, mediaType string
	open                       func(w io.Writer, s *Server) exporter
}

// formats are what exchanges can be exported as.
func formats() []format {
	return []format{
		{"har", "har", "application/json", func(w io.Writer, s *Server) exporter { return har.NewWriter(w, s.cfg.Store, s.cfg.Version) }},
		{"curl", "sh", "text/x-shellscript", func(w io.Writer, s *Server) exporter { return curl.NewWriter(w, s.cfg.Store) }},
		{"jsonl", "jsonl", "application/jsonl", func(w io.Writer, s *Server) exporter { return jsonl.NewWriter(w, s.cfg.Store) }},
		{"pcapng", "pcapng", "application/vnd.tcpdump.pcap", func(w io.Writer, s *Server) exporter { return pcap.NewWriter(w, s.cfg.Store) }},
	}
}

// exportPage is how many exchanges are looked up at a time.
const exportPage = 500

// export writes what matches, oldest first, as it reads it: nothing is gathered, however much there is.
func (s *Server) export(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	f, err := parseFilter(values.Get("filter"))
	if err != nil {
		return err
	}
	secrets, err := boolean(values, "secrets")
	if err != nil {
		return err
	}
	all := formats()
	n := slices.IndexFunc(all, func(f format) bool { return f.name == values.Get("format") })
	if n < 0 {
		var names []string
		for _, f := range all {
			names = append(names, f.name)
		}
		return bad("format", "format is one of "+strings.Join(names, ", "))
	}
	as := all[n]
	mask := func(x *capture.Exchange) *capture.Exchange { return x }
	if !secrets {
		mask = redact.New().Exchange
	}
	// The first page is read before the answer begins, so that what fails at once can still be said.
	q := Query{Filter: f, Limit: exportPage, ByID: true}
	page, err := s.cfg.Store.List(r.Context(), q)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Content-Type", as.mediaType)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="eaves-%s.%s"`, s.cfg.Now().UTC().Format("20060102-150405"), as.extension))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	out := as.open(buffered, s)
	for {
		for _, summary := range page.Exchanges {
			q.After = summary.ID
			x, err := s.cfg.Store.Get(r.Context(), summary.ID)
			if errors.Is(err, capture.ErrNotFound) {
				continue // removed meanwhile
			}
			if err == nil {
				err = out.Write(r.Context(), mask(x))
			}
			if err != nil && !errors.Is(err, capture.ErrNotFound) {
				return fmt.Errorf("exporting exchange %d: %w", summary.ID, err)
			}
		}
		if len(page.Exchanges) < exportPage {
			break
		}
		if page, err = s.cfg.Store.List(r.Context(), q); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// imported is how many exchanges came in.
type imported struct {
	Imported int64 `json:"imported"`
}

// importHAR records the exchanges of a HAR file. It reads as it records, so that a file may be of any size.
func (s *Server) importHAR(w http.ResponseWriter, r *request) error {
	if f := r.URL.Query().Get("format"); f != "" && f != "har" {
		return bad("format", "format is har")
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return problem{Status: http.StatusUnsupportedMediaType, Parameter: "Content-Type", Detail: "a HAR file comes as application/json"}
	}
	in := &patient{r: r.Body, control: http.NewResponseController(w)}
	n, err := har.Read(r.Context(), in, s.cfg.Store)
	_ = in.control.SetReadDeadline(time.Time{})
	if flushed := s.cfg.Store.Flush(r.Context()); flushed != nil {
		return flushed
	}
	if err != nil {
		if r.Context().Err() != nil {
			return err
		}
		detail := err.Error()
		if n > 0 {
			detail = fmt.Sprintf("%s (imported before that: %d)", detail, n)
		}
		return bad("body", detail)
	}
	return writeJSON(w, r, http.StatusOK, imported{Imported: n})
}

// patient reads a body of any length, as long as it goes on.
type patient struct {
	r       io.Reader
	control *http.ResponseController
	until   time.Time
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < readTimeout/2 {
		p.until = now.Add(readTimeout)
		_ = p.control.SetReadDeadline(p.until)
	}
	return p.r.Read(b)
}
