package webui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"eaves/capture"
)

// overrides is what a request to send again changes, or what a composed one consists of.
type overrides struct {
	Method  *string       `json:"method"`
	URL     *string       `json:"url"`
	Headers *[]fieldInput `json:"headers"`
	// Body is text; BodyBase64 takes bytes that are not.
	Body       *string `json:"body"`
	BodyBase64 *[]byte `json:"bodyBase64"`
	// Certificate is the id of a client certificate, or none.
	Certificate *string `json:"certificate"`
	// Verify says whether the server is verified.
	Verify *bool `json:"verify"`
	// Via is the way to take: direct, system, pac+URL, or proxies with commas between them.
	Via *string `json:"via"`
	// Pauses says how the messages of a WebSocket follow one another: recorded, or none: as the origin answers.
	Pauses *string `json:"pauses"`
}

// noCertificate is what a request says that no client certificate is to be shown for.
const noCertificate = "none"

// apply changes o, and says what in the overrides cannot be sent.
func (v *overrides) apply(o *Outgoing) error {
	if v.Method != nil {
		if !token(*v.Method) {
			return bad("method", "a method is a token such as GET (RFC 9110, 9.1)")
		}
		if *v.Method == http.MethodConnect {
			return bad("method", "CONNECT makes a tunnel; there is nothing in it to send")
		}
		o.Method = *v.Method
	}
	if v.URL != nil {
		u, err := url.Parse(*v.URL)
		switch {
		case err != nil:
			return bad("url", "this is not a URL: "+strings.TrimPrefix(err.Error(), "parse "))
		case u.Scheme != "http" && u.Scheme != "https":
			return bad("url", "a URL to send to begins with http:// or https://")
		case u.Hostname() == "":
			return bad("url", "the URL names no host")
		}
		u.Fragment, u.RawFragment = "", ""
		if was, err := url.Parse(o.URL); err != nil || was.Host != u.Host || was.Scheme != u.Scheme {
			o.ServerName = "" // it was the other host's
		}
		o.URL, o.Target = u.String(), ""
	}
	if v.Headers != nil {
		h := header(*v.Headers)
		for _, f := range h {
			if !token(f.Name) {
				return bad("headers", fmt.Sprintf("%q cannot be a header's name (RFC 9110, 5.1)", f.Name))
			}
			if strings.ContainsAny(f.Value, "\r\n\x00") {
				return bad("headers", fmt.Sprintf("the value of %s holds a line break or NUL", f.Name))
			}
		}
		o.Header = h
	}
	if v.Certificate != nil {
		if n, err := strconv.ParseInt(*v.Certificate, 10, 64); (err != nil || n < 1) && *v.Certificate != noCertificate {
			return bad("certificate", "a certificate is the id of a client certificate, or none")
		}
		o.Certificate = *v.Certificate
	}
	o.Verify = v.Verify
	if v.Via != nil && strings.TrimSpace(*v.Via) != "" {
		o.Via = []string{*v.Via}
	}
	if v.Body != nil && v.BodyBase64 != nil {
		return bad("bodyBase64", "body and bodyBase64 exclude one another")
	}
	var body []byte
	switch {
	case v.Body != nil:
		body = []byte(*v.Body)
	case v.BodyBase64 != nil:
		body = *v.BodyBase64
	default:
		return nil
	}
	if o.Body != nil {
		o.Body.Close()
	}
	o.Body, o.Size, o.Edited = io.NopCloser(bytes.NewReader(body)), int64(len(body)), true
	// Trailers were those of the body that is no longer sent.
	o.Trailer = nil
	return nil
}

// token says whether s is a token of RFC 9110, 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// sent is the answer to what was begun to be sent.
type sent struct {
	ID int64 `json:"id"`
}

func (s *Server) replay(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	var v overrides
	if err := readJSON(w, r, maxOutgoing, true, &v); err != nil {
		return err
	}
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	edited := v.Body != nil || v.BodyBase64 != nil
	if why := unsendable(x, edited); why != "" {
		return problem{Status: http.StatusConflict, Detail: why}
	}
	o := Outgoing{ReplayOf: id, Method: x.Request.Method, URL: x.Request.URL, Target: x.Request.Target, HTTPVersion: x.Request.HTTPVersion,
		Header: x.Request.Header, Trailer: x.Request.Trailer}
	if o.Timed, err = pauses(v.Pauses); err != nil {
		return err
	}
	if x.Kind == capture.KindWebSocket {
		o.Conversation = s.conversation(r.Context(), x)
	}
	if x.TLS != nil {
		o.ServerName = x.TLS.ServerName
	}
	if !edited {
		body, err := s.cfg.Store.Body(r.Context(), id, capture.SideRequest)
		if err != nil {
			return err
		}
		kept := body.Size()
		if n, err := strconv.ParseInt(x.Request.Header.Get("Content-Length"), 10, 64); err == nil && n > kept {
			body.Close()
			return problem{Status: http.StatusConflict, Detail: fmt.Sprintf("only %d of the %d bytes of this request's body were recorded; give a body to send instead", kept, n)}
		}
		o.Body, o.Size = body, kept
	}
	if err := v.apply(&o); err != nil {
		if o.Body != nil {
			o.Body.Close()
		}
		return err
	}
	return s.send(w, r, o)
}

// unsendable says why an exchange cannot be sent again, or "".
func unsendable(x *capture.Exchange, edited bool) string {
	switch {
	case x.Kind == capture.KindTunnel:
		return "this was a tunnel whose bytes were not decoded: there is no request to send again"
	case x.Request.Method == "" || x.Request.URL == "":
		return "no request was read in this exchange: there is nothing to send again"
	case x.Request.Truncated && !edited:
		return "only a part of this request's body was kept; give a body to send instead"
	case x.State == capture.StateOpen && x.Response == nil && !edited && x.Request.BodySize != 0:
		return "this request is still being sent; wait until it has ended, or give a body to send instead"
	}
	return ""
}

func (s *Server) compose(w http.ResponseWriter, r *request) error {
	var v overrides
	if err := readJSON(w, r, maxOutgoing, false, &v); err != nil {
		return err
	}
	if v.URL == nil {
		return bad("url", "a request to send needs a url")
	}
	o := Outgoing{Method: http.MethodGet, Edited: true}
	if err := v.apply(&o); err != nil {
		return err
	}
	return s.send(w, r, o)
}

// send hands a request over and answers with the id of its exchange.
func (s *Server) send(w http.ResponseWriter, r *request, o Outgoing) error {
	if s.cfg.Sender == nil {
		if o.Body != nil {
			o.Body.Close()
		}
		return problem{Status: http.StatusServiceUnavailable, Detail: "this eaves only reads; requests are sent by a running one (eaves run)"}
	}
	id, err := s.cfg.Sender.Send(r.Context(), o)
	if err != nil {
		if refusal := (*Refusal)(nil); errors.Is(err, capture.ErrNotFound) || errors.As(err, &refusal) {
			return err
		}
		return problem{Status: http.StatusConflict, Detail: err.Error()}
	}
	w.Header().Set("Location", fmt.Sprintf("%s/exchanges/%d", base, id))
	return writeJSON(w, r, http.StatusAccepted, sent{ID: id})
}

// fieldInput is a header field as it comes in: a value that is not UTF-8 comes as raw.
type fieldInput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Raw   []byte `json:"raw"`
}

func header(in []fieldInput) capture.Header {
	h := make(capture.Header, 0, len(in))
	for _, f := range in {
		value := f.Value
		if len(f.Raw) > 0 {
			value = string(f.Raw)
		}
		h = append(h, capture.Field{Name: f.Name, Value: value})
	}
	return h
}
