package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"sync"

	"eaves/capture"
	"eaves/capture/content"
	"eaves/capture/filter"
)

// Text returns one side's decoded text, as body filters look at it: "" where the body is no text.
func (s *Store) Text(ctx context.Context, id int64, side capture.Side) (string, error) {
	x, err := s.Get(ctx, id)
	if err != nil {
		return "", err
	}
	body, err := s.Body(ctx, id, side)
	if err != nil {
		return "", err
	}
	defer body.Close()
	h := x.Request.Header
	if side == capture.SideResponse {
		h = nil
		if x.Response != nil {
			h = x.Response.Header
		}
	}
	// A body that cannot be decoded to its end is searched as far as it can.
	text, _, _ := content.Text(h, body, content.TextLimit)
	return text, nil
}

// functions are those that statements on a reader's connection may call.
func (s *Store) functions() map[string]any {
	fs := filter.Functions()
	maps.Copy(fs, map[string]any{
		"eaves_body_contains": func(headers, file, data any, needle string) (bool, error) {
			return strings.Contains(filter.Fold(s.bodyText(headers, file, data, content.TextLimit)), needle), nil
		},
		"eaves_body_matches": s.bodyMatcher(),
	})
	return fs
}

// bodyMatcher returns a function that matches a body's text with a regexp, which it compiles once.
func (s *Store) bodyMatcher() func(headers, file, data any, pattern string) (bool, error) {
	var mu sync.Mutex
	var last *regexp.Regexp
	return func(headers, file, data any, pattern string) (bool, error) {
		mu.Lock()
		re := last
		if re == nil || re.String() != pattern {
			var err error
			if re, err = regexp.Compile(pattern); err != nil {
				mu.Unlock()
				return false, err
			}
			last = re
		}
		mu.Unlock()
		text := s.bodyText(headers, file, data, content.TextLimit)
		return text != "" && re.MatchString(text), nil
	}
}

// bodyText is the text of a stored body, from the columns of its row, up to a limit.
func (s *Store) bodyText(headers, file, data any, limit int64) string {
	hash, raw := asBytes(file), asBytes(data)
	if len(raw) == 0 && len(hash) == 0 {
		return ""
	}
	var body io.Reader = bytes.NewReader(raw)
	if len(hash) > 0 {
		f, err := s.files.open(hash)
		if err != nil {
			return ""
		}
		defer f.Close()
		body = f
	}
	text, _, _ := content.Text(contentHeader(asBytes(headers)), body, limit)
	return text
}

// contentHeader reads the fields that say what a body is from a header's JSON.
func contentHeader(b []byte) capture.Header {
	var h capture.Header
	if len(b) > 0 {
		json.Unmarshal(b, &h)
	}
	return h
}

// bodySearch asks for bodies in SQL, of exchanges with ids from lo to hi.
type bodySearch struct {
	index  *textIndex // nil: look into all
	lo, hi int64
	// heads is a connection that the index of heads can be asked by; nil: look at all.
	heads *conn
	ctx   context.Context
}

// Contains asks the index first, then looks.
func (b bodySearch) Contains(side capture.Side, needle string) (string, []any) {
	needle = filter.Fold(needle)
	sql, args := b.look(side, "eaves_body_contains", needle)
	if b.index != nil {
		if may, mayArgs, ok := b.index.candidates(needle, b.lo, b.hi); ok {
			return "(" + may + " AND " + sql + ")", append(mayArgs, args...)
		}
	}
	return sql, args
}

// Matches looks.
func (b bodySearch) Matches(side capture.Side, pattern string) (string, []any) {
	return b.look(side, "eaves_body_matches", pattern)
}

func (b bodySearch) look(side capture.Side, function, operand string) (string, []any) {
	var sides []string
	var args []any
	for _, p := range []struct {
		side   capture.Side
		column string
	}{{capture.SideRequest, "req"}, {capture.SideResponse, "resp"}} {
		if side == "" || side == p.side {
			sides = append(sides, fmt.Sprintf("%s(b.%[2]s_headers, b.%[2]s_file, b.%[2]s_body, ?)", function, p.column))
			args = append(args, operand)
		}
	}
	return "EXISTS (SELECT 1 FROM details AS b WHERE b.id = x.id AND (" + strings.Join(sides, " OR ") + "))", args
}
