// Package client speaks the console's HTTP API for the commands: to the eaves that runs on the data directory, or,
// where none does, to the same handler served within this process. A command cannot tell which.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"

	"eaves/capture"
	"eaves/cmd/eaves/internal/failure"
)

// Client asks the API.
type Client struct {
	base  string
	token string
	live  bool
	http  *http.Client
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a client of the API at base, such as http://127.0.0.1:8485, that connects with dial. live says that a running
// eaves answers.
func New(base, token string, live bool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{
		base:  strings.TrimSuffix(base, "/"),
		token: token,
		live:  live,
		dial:  dial,
		// No proxy from the environment: that might well be eaves itself.
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConnsPerHost: 8}},
	}
}

// Live says whether a running eaves answers: one that may record more while the command looks.
func (c *Client) Live() bool { return c.live }

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problem is an answer that says what was wrong (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Hint is the next thing to do, where there is one.
	Hint string `json:"hint"`
	// Parameter is what in the request is wrong.
	Parameter string `json:"parameter"`
}

// Error is the problem's detail.
func (p *Problem) Error() string {
	switch {
	case p.Detail != "":
		return p.Detail
	case p.Title != "":
		return p.Title
	}
	return http.StatusText(p.Status)
}

// Request asks for path below the API's base and returns the answer, whose body the caller closes. An answer that is
// not a success becomes an error: *Problem, in a *failure.Error of status 2 where the asker was wrong.
func (c *Client) Request(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) (*http.Response, error) {
	u := c.base + "/api/v1" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, failure.New("asking the running eaves", err, "look whether it still runs")
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	p := &Problem{}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(b, p) != nil {
		p.Detail = strings.TrimSpace(string(b))
	}
	p.Status = resp.StatusCode
	return nil, p.failure()
}

// failure is the problem as a command's failure: of usage where the asker was wrong.
func (p *Problem) failure() error {
	fe := &failure.Error{Err: p, Hint: p.Hint}
	if p.Parameter == "filter" {
		fe.What = "filter"
		fe.Hint = "eaves list --help shows how filters are written"
	}
	if p.Status == http.StatusBadRequest {
		fe.Code = failure.Usage
	}
	return fe
}

// Do asks with a JSON body (nil for none) and reads a JSON answer into out (nil for none).
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	contentType := ""
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body, contentType = bytes.NewReader(b), "application/json"
	}
	resp, err := c.Request(ctx, method, path, query, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return ReadJSON(resp.Body, out)
}

// ReadJSON reads an answer into out.
func ReadJSON(r io.Reader, out any) error {
	if err := json.NewDecoder(r).Decode(out); err != nil {
		return failure.New("reading the answer of eaves", err, "")
	}
	return nil
}

// Page is one page of a list.
type Page struct {
	Exchanges []*capture.Exchange `json:"exchanges"`
	Total     int64               `json:"total"`
}

// pageSize is how many exchanges are asked for at once.
const pageSize = 500

// Exchange returns one exchange with everything that is known of it.
func (c *Client) Exchange(ctx context.Context, id int64) (*capture.Exchange, error) {
	x := &capture.Exchange{}
	err := c.Do(ctx, http.MethodGet, "/exchanges/"+strconv.FormatInt(id, 10), nil, nil, x)
	if p := (*Problem)(nil); errors.As(err, &p) && p.Status == http.StatusNotFound {
		return nil, failure.New(fmt.Sprintf("exchange %d", id), capture.ErrNotFound, "eaves list")
	}
	return x, err
}

// Body returns one side's body, decoded or as transferred. The caller closes it.
func (c *Client) Body(ctx context.Context, id int64, side capture.Side, decoded bool) (io.ReadCloser, error) {
	query := url.Values{}
	if decoded {
		query.Set("decoded", "true")
	}
	resp, err := c.Request(ctx, http.MethodGet, fmt.Sprintf("/exchanges/%d/%s/body", id, side), query, "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Messages returns the first messages of an exchange.
func (c *Client) Messages(ctx context.Context, id int64, limit int) ([]capture.Message, error) {
	var page struct {
		Messages []capture.Message `json:"messages"`
	}
	err := c.Do(ctx, http.MethodGet, fmt.Sprintf("/exchanges/%d/messages", id), url.Values{"limit": {strconv.Itoa(limit)}}, nil, &page)
	return page.Messages, err
}

// Newest returns up to limit summaries that match, oldest first (limit 0: all).
func (c *Client) Newest(ctx context.Context, filter string, limit int) ([]*capture.Exchange, error) {
	var all []*capture.Exchange
	before := int64(0)
	for limit == 0 || len(all) < limit {
		n := pageSize
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		query := url.Values{"limit": {strconv.Itoa(n)}}
		if filter != "" {
			query.Set("filter", filter)
		}
		if before > 0 {
			query.Set("before", strconv.FormatInt(before, 10))
		}
		var p Page
		if err := c.Do(ctx, http.MethodGet, "/exchanges", query, nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Exchanges...)
		if len(p.Exchanges) < n {
			break
		}
		before = p.Exchanges[len(p.Exchanges)-1].ID
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all, nil
}

// Each calls fn with each matching summary, oldest first, without holding them all.
func (c *Client) Each(ctx context.Context, filter string, fn func(*capture.Exchange) error) error {
	after := int64(0)
	for {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "after": {strconv.FormatInt(after, 10)}}
		if filter != "" {
			query.Set("filter", filter)
		}
		var p Page
		if err := c.Do(ctx, http.MethodGet, "/exchanges", query, nil, &p); err != nil {
			return err
		}
		for _, x := range p.Exchanges {
			if err := fn(x); err != nil {
				return err
			}
			after = x.ID
		}
		if len(p.Exchanges) < pageSize {
			return nil
		}
	}
}

// ChangedAfter calls fn with each matching summary that changed after the given seq, in its latest revision.
func (c *Client) ChangedAfter(ctx context.Context, filter string, seq int64, fn func(*capture.Exchange) error) error {
	for {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "changedAfter": {strconv.FormatInt(seq, 10)}}
		if filter != "" {
			query.Set("filter", filter)
		}
		var p Page
		if err := c.Do(ctx, http.MethodGet, "/exchanges", query, nil, &p); err != nil {
			return err
		}
		for _, x := range p.Exchanges {
			if err := fn(x); err != nil {
				return err
			}
			seq = max(seq, x.Seq)
		}
		if len(p.Exchanges) < pageSize {
			return nil
		}
	}
}

// Event is one message of the stream.
type Event struct {
	Type     string            `json:"type"`
	Seq      int64             `json:"seq"`
	Exchange *capture.Exchange `json:"exchange"`
	IDs      []int64           `json:"ids"`
	From     int64             `json:"from"`
	To       int64             `json:"to"`
}

// Stream is a subscription to what is committed.
type Stream struct{ conn *websocket.Conn }

// Stream subscribes to the changes that match, after the given seq (-1: from now on). It ends with ctx.
func (c *Client) Stream(ctx context.Context, filter string, after int64) (*Stream, error) {
	query := url.Values{}
	if filter != "" {
		query.Set("filter", filter)
	}
	if after >= 0 {
		query.Set("after", strconv.FormatInt(after, 10))
	}
	d := websocket.Dialer{NetDialContext: c.dial}
	u := "ws" + strings.TrimPrefix(c.base, "http") + "/api/v1/stream?" + query.Encode()
	conn, resp, err := d.DialContext(ctx, u, http.Header{"Authorization": {"Bearer " + c.token}})
	if err != nil {
		if resp != nil {
			p := &Problem{Status: resp.StatusCode}
			if b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); json.Unmarshal(b, p) == nil {
				return nil, p.failure()
			}
		}
		return nil, failure.New("following the running eaves", err, "")
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return &Stream{conn}, nil
}

// Next waits for the next event; those of a type it does not know come too.
func (s *Stream) Next() (Event, error) {
	var e Event
	_, b, err := s.conn.ReadMessage()
	if err != nil {
		return e, err
	}
	// What is not an exchange's change may use these names otherwise: only the type is certain.
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return e, err
	}
	switch head.Type {
	case "hello", "exchange", "removed", "gap", "reset":
		err = json.Unmarshal(b, &e)
	default:
		e.Type = head.Type
	}
	return e, err
}

// Close ends the subscription.
func (s *Stream) Close() error { return s.conn.Close() }
