package webui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxJSON bounds the body of a request that is read into memory, maxOutgoing that of one which carries a body to send.
const (
	maxJSON     = 1 << 20
	maxOutgoing = 64 << 20
	maxRest     = 16 << 20
	readTimeout = time.Minute
)

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, r *request, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", fmt.Sprint(len(b)+1))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// An error here means that the client has gone.
		_, _ = w.Write(append(b, '\n'))
	}
	return nil
}

// readJSON reads the request's body into v, strictly: an unknown field is a mistake somebody should hear of. An empty body
// is allowed where optional.
func readJSON(w http.ResponseWriter, r *request, limit int64, optional bool, v any) (err error) {
	body := http.MaxBytesReader(w, r.Body, limit)
	// Reading must not take for ever, and who sends too much should hear so rather than find the connection cut: so a
	// moderate rest is taken and forgotten.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	defer func() {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			_, _ = io.CopyN(io.Discard, r.Body, maxRest)
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}()
	if r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	if ct := r.Header.Get("Content-Type"); ct != "" || !optional {
		if t, _, err := mime.ParseMediaType(ct); err != nil || t != "application/json" {
			return problem{Status: http.StatusUnsupportedMediaType, Parameter: "Content-Type", Detail: "this operation takes application/json"}
		}
	} else if n, err := body.Read(make([]byte, 1)); n > 0 {
		return problem{Status: http.StatusUnsupportedMediaType, Parameter: "Content-Type", Detail: "this operation takes application/json"}
	} else if err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	switch err := d.Decode(v); {
	case err == io.EOF && optional:
		return nil
	case err != nil:
		return jsonMistake(err)
	}
	if _, err := d.Token(); err != io.EOF {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return bad("body", "the body holds more than one JSON value")
	}
	return nil
}

// jsonMistake says what in a body is wrong, and where.
func jsonMistake(err error) error {
	var p problem
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p), errors.As(err, &tooLarge):
		return err
	case errors.As(err, &syntax):
		return bad("body", fmt.Sprintf("byte %d: %s", syntax.Offset, syntax.Error()))
	case errors.As(err, &kind):
		field := kind.Field
		if field == "" {
			field = "body"
		}
		return bad(field, fmt.Sprintf("byte %d: %s cannot be %s", kind.Offset, field, article(kind.Value)))
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return bad("body", "the JSON ends too early")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return bad(strings.Trim(name, `"`), "unknown field "+name)
	}
	return bad("body", strings.TrimPrefix(err.Error(), "json: "))
}

func article(value string) string {
	if strings.ContainsAny(value[:min(1, len(value))], "aeiou") {
		return "an " + value
	}
	return "a " + value
}
