package webui

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"eaves/capture"
)

// Diagnostician says what would be done for a URL, and what really happens on the way there.
type Diagnostician interface {
	// Explain connects to nobody. A *Refusal is the asker's.
	Explain(ctx context.Context, q Question) (*capture.Explanation, error)
	// Examine connects, and tells each stage when it has been passed. A *Refusal is the asker's, and comes before any stage.
	Examine(ctx context.Context, q Question, emit func(capture.DoctorStage)) error
}

// Question is what is to be explained or examined. Certificate, Via and Verify are as for a replay: what this one question
// does otherwise than the configuration says.
type Question struct {
	URL         string `json:"url"`
	Certificate string `json:"certificate"`
	Via         way    `json:"via"`
	// Bypass is a list of hosts that Via is not for.
	Bypass string `json:"bypass"`
	Verify *bool  `json:"verify"`
	// User and what follows are what the proxies of Via whose URL names no user may be shown, as a route has them. Secret is
	// the password itself: it is used for this question only, and kept nowhere.
	User        string   `json:"user"`
	Password    string   `json:"password"`
	Secret      string   `json:"secret"`
	Schemes     []string `json:"schemes"`
	Keytab      string   `json:"keytab"`
	CCache      string   `json:"ccache"`
	Krb5Conf    string   `json:"krb5Conf"`
	ServiceName string   `json:"serviceName"`
}

// authenticates says that the question has something to show to proxies.
func (q *Question) authenticates() bool {
	return q.User+q.Password+q.Secret+q.Keytab+q.CCache+q.Krb5Conf+q.ServiceName != "" || len(q.Schemes) > 0
}

// way is a route in words: in JSON a list, or a text with commas between.
type way []string

func (v *way) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		if *v = nil; text != "" {
			*v = way{text}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(v))
}

var errNoDiagnosis = problem{Status: http.StatusServiceUnavailable, Detail: "this eaves only reads: it has no way to an origin"}

// diagnostician is who can be asked about the question, if it can be asked.
func (s *Server) diagnostician(q Question) (Diagnostician, error) {
	switch {
	case s.cfg.Diagnostician == nil:
		return nil, errNoDiagnosis
	case q.URL == "":
		return nil, bad("url", "which URL? Give one such as https://example.com/")
	case len(q.URL) > maxFilter:
		return nil, bad("url", "the URL is too long")
	case len(q.Via) == 0 && q.authenticates():
		return nil, bad("via", "credentials are for the proxies of a way: which? Give via as well")
	case q.Password != "" && q.Secret != "":
		return nil, bad("secret", "secret and password exclude one another: one is the password, the other refers to it")
	}
	return s.cfg.Diagnostician, nil
}

func (s *Server) explain(w http.ResponseWriter, r *request) error {
	values := r.URL.Query()
	q := Question{URL: values.Get("url"), Certificate: values.Get("certificate"), Bypass: values.Get("bypass")}
	for _, via := range values["via"] {
		if via != "" {
			q.Via = append(q.Via, via)
		}
	}
	if values.Has("verify") {
		verify, err := boolean(values, "verify")
		if err != nil {
			return err
		}
		q.Verify = &verify
	}
	d, err := s.diagnostician(q)
	if err != nil {
		return err
	}
	x, err := d.Explain(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, x)
}

func (s *Server) doctor(w http.ResponseWriter, r *request) error {
	var q Question
	if err := readJSON(w, r, maxJSON, false, &q); err != nil {
		return err
	}
	return s.examine(w, r, q)
}

// testRoute examines a route before it is kept.
func (s *Server) testRoute(w http.ResponseWriter, r *request) error {
	var q Question
	if err := readJSON(w, r, maxJSON, false, &q); err != nil {
		return err
	}
	if len(q.Via) == 0 {
		return bad("via", "which route? Give direct, system, pac+URL, or proxy URLs in order")
	}
	return s.examine(w, r, q)
}

// examine answers with a line of JSON for each stage, as it is passed.
func (s *Server) examine(w http.ResponseWriter, r *request, q Question) error {
	d, err := s.diagnostician(q)
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	var begin sync.Once
	head := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
	}
	// Who has gone does not read on; the examination ends with the request's context.
	lines := json.NewEncoder(w)
	err = d.Examine(r.Context(), q, func(stage capture.DoctorStage) {
		begin.Do(head)
		_ = lines.Encode(stage)
		_ = control.Flush()
	})
	if err != nil {
		return err
	}
	begin.Do(head)
	return nil
}
