package webui

import (
	_ "embed"
	"net/http"
	"strconv"
)

// openapiDocument describes the API (OpenAPI 3.1). Tests hold it against the operations and their answers.
//
//go:embed openapi.json
var openapiDocument []byte

func (s *Server) openapi(w http.ResponseWriter, r *request) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(openapiDocument)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(openapiDocument)
	}
	return nil
}
