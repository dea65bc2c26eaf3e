package webui

// SavedFilter is a filter that somebody keeps under a name.
type SavedFilter struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Filter string `json:"filter"`
}

// SavedFilterInput is a saved filter as it comes in. What is nil stays as it is.
type SavedFilterInput struct {
	Name   *string `json:"name"`
	Filter *string `json:"filter"`
}

// filterResource are the saved filters as a list of the API.
func (s *Server) filterResource() resource[SavedFilter, SavedFilterInput] {
	return resource[SavedFilter, SavedFilterInput]{
		path: "/filters", name: "saved filter", limit: maxJSON, items: s.cfg.Filters,
		list: listedAs[SavedFilter]("filters"), id: func(f SavedFilter) int64 { return f.ID },
	}
}
