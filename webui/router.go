package webui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// base is where the API begins.
const base = "/api/v1"

// route is one operation of the API. A segment of its path in braces stands for one of the request's.
type route struct {
	method, path string
	// query names the parameters that the operation takes; any other is refused, because a filter that is misspelt must
	// not delete everything.
	query []string
	serve func(w http.ResponseWriter, r *request) error
}

// request is a request to the API with what its path held.
type request struct {
	*http.Request
	vars map[string]string
}

// id is the exchange that the path names.
func (r *request) id() (int64, error) {
	n, err := strconv.ParseInt(r.vars["id"], 10, 64)
	if err != nil || n < 1 {
		return 0, problem{Status: http.StatusNotFound, Detail: "an id is a whole number above 0"}
	}
	return n, nil
}

// api lists the operations.
func (s *Server) api() []route {
	page := []string{"filter", "limit", "before", "after", "changedAfter", "total", "sort", "ascending"}
	routes := []route{
		{"GET", "/exchanges", page, s.list},
		{"DELETE", "/exchanges", []string{"filter"}, s.remove},
		{"GET", "/exchanges/{id}", nil, s.get},
		{"PATCH", "/exchanges/{id}", nil, s.annotate},
		{"GET", "/exchanges/{id}/page", nil, s.pageLoad},
		{"GET", "/exchanges/{id}/{side}/body", []string{"decoded", "view"}, s.body},
		{"GET", "/exchanges/{id}/{side}/raw", nil, s.raw},
		{"GET", "/exchanges/{id}/messages", []string{"after", "limit", "contains", "direction"}, s.messages},
		{"POST", "/exchanges/{id}/messages", nil, s.inject},
		{"POST", "/exchanges/{id}/replay", nil, s.replay},
		{"POST", "/requests", nil, s.compose},
		{"GET", "/diff", []string{"a", "b", "mask"}, s.diff},
		{"POST", "/prune", nil, s.prune},
		{"GET", "/groups", []string{"by", "filter", "limit", "sort", "reverse"}, s.groups},
		{"GET", "/timeline", []string{"filter", "buckets", "from", "to"}, s.timeline},
		{"GET", "/export", []string{"format", "filter", "secrets"}, s.export},
		{"POST", "/import", []string{"format"}, s.importHAR},
		{"PUT", "/rules", nil, s.replaceRules},
		{"GET", "/explain", []string{"url", "certificate", "via", "bypass", "verify"}, s.explain},
		{"POST", "/doctor", nil, s.doctor},
		{"GET", "/certificates", nil, s.inventory},
		{"GET", "/onboarding", nil, s.onboarding},
		{"GET", "/filter", []string{"filter"}, s.readFilter},
		{"GET", "/filter/fields", nil, s.filterFields},
		{"GET", "/values", []string{"field", "contains", "filter", "limit"}, s.values},
		{"GET", "/recording", nil, s.getRecording},
		{"PUT", "/recording", nil, s.putRecording},
		{"GET", "/retention", nil, s.getRetention},
		{"PUT", "/retention", nil, s.putRetention},
		{"GET", "/status", nil, s.getStatus},
		{"GET", "/ca", nil, s.certificate},
		{"GET", "/stream", []string{"filter", "after", "store"}, s.stream},
		{"GET", "/openapi.json", nil, s.openapi},
	}
	routes = append(routes, s.ruleResource().routes()...)
	routes = append(routes, s.filterResource().routes()...)
	routes = append(routes, s.proxyRoutes()...)
	return append(routes, s.certificateRoutes()...)
}

// match says whether a path fits the route's, and what stood for the segments in braces.
func (t *route) match(segments []string) (map[string]string, bool) {
	pattern := strings.Split(t.path[1:], "/")
	if len(pattern) != len(segments) {
		return nil, false
	}
	var vars map[string]string
	for i, p := range pattern {
		switch {
		case strings.HasPrefix(p, "{"):
			if segments[i] == "" || p == "{side}" && segments[i] != "request" && segments[i] != "response" {
				return nil, false
			}
			if vars == nil {
				vars = make(map[string]string)
			}
			vars[p[1:len(p)-1]] = segments[i]
		case p != segments[i]:
			return nil, false
		}
	}
	return vars, true
}

// dispatch gives a request that the guard has let in to whom it is for.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, base+"/")
	if !ok {
		if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
			notFound(w, r)
			return
		}
		s.assets.serve(w, r)
		return
	}
	segments := strings.Split(path, "/")
	if escaped, ok := strings.CutPrefix(r.URL.EscapedPath(), base+"/"); ok {
		// A slash that was escaped is part of a name, as secrets have them.
		segments = strings.Split(escaped, "/")
		for i, s := range segments {
			if plain, err := url.PathUnescape(s); err == nil {
				segments[i] = plain
			}
		}
	}
	var allow []string
	for i := range s.routes {
		t := &s.routes[i]
		vars, ok := t.match(segments)
		if !ok {
			continue
		}
		if r.Method == t.method || r.Method == http.MethodHead && t.method == http.MethodGet {
			s.run(t, w, &request{Request: r, vars: vars})
			return
		}
		allow = append(allow, t.method)
		if t.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if allow == nil {
		notFound(w, r)
		return
	}
	slices.Sort(allow)
	notAllowed(w, r, strings.Join(allow, ", "))
}

// run answers with one operation.
func (s *Server) run(t *route, w http.ResponseWriter, r *request) {
	for name, values := range r.URL.Query() {
		if !slices.Contains(t.query, name) {
			bad(name, "this operation takes no such parameter").write(w, r.Request)
			return
		}
		if len(values) > 1 && name != "via" { // the proxies of a chain
			bad(name, "this parameter is given more than once").write(w, r.Request)
			return
		}
	}
	if err := t.serve(w, r); err != nil {
		if a, ok := w.(*answer); ok && a.begun {
			// The answer cannot be taken back; the client gets what there is of it, and must see that it is cut.
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		problemOf(err).write(w, r.Request)
	}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem{Status: http.StatusNotFound, Detail: "there is nothing at this path; " + base + "/openapi.json lists what there is"}.write(w, r)
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	problem{Status: http.StatusMethodNotAllowed, Detail: "this path takes " + allow, Allow: allow}.write(w, r)
}
