package upstream

import (
	"bytes"
	"io"

	"eaves/capture"
)

// What nginx says in the place of an alert: it takes any certificate, and none, in TLS, and refuses the request then.
const (
	nginxMissingTitle = "No required SSL certificate was sent"
	nginxRefusedTitle = "The SSL certificate error"
)

// answered notes in a call's receipt what its answer says about a client certificate. What only the body can say is noted
// when that is read.
func (l *link) answered(r *Receipt, resp *Response) {
	s := l.secured
	if s == nil {
		return
	}
	kind, status := answered, 0
	switch {
	case resp.Status == 407 || resp.Fields.Has("X-Squid-Error"):
		kind, status = inBetween, resp.Status
	case resp.Status == 401 || resp.Status == 403 || resp.Status == 413:
		status = resp.Status
	}
	told := s.became(kind, status)
	r.update(func(f *Facts) {
		if f.TLS = told; kind == inBetween {
			f.AnsweredBy = capture.AnsweredByProxy
		}
	})
	if asked, _ := s.auth.state(); asked && resp.Status == 400 {
		resp.Body = &nginxAnswer{ReadCloser: resp.Body, secured: s, receipt: r}
	}
}

// left notes in a call's receipt, and in its error, what a connection that ended without an answer says about a client
// certificate.
func (l *link) left(r *Receipt, e *Error) {
	s := l.secured
	if s == nil || e.Cause == nil || !hungUpOn(e.Cause) {
		return
	}
	s.mu.Lock()
	before := s.outcome.kind == answered
	s.mu.Unlock()
	if asked, _ := s.auth.state(); before || !asked {
		return
	}
	told := s.hungUp()
	r.update(func(f *Facts) { f.TLS = told })
	s.auth.suspect(e)
}

// nginxAnswer is the body of a 400 on a connection whose server had asked for a client certificate. It looks for nginx'
// words as they pass.
type nginxAnswer struct {
	io.ReadCloser
	secured *secured
	receipt *Receipt
	seen    []byte
	done    bool
}

// nginxHead is how far into a body nginx' title is looked for.
const nginxHead = 1 << 10

func (a *nginxAnswer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if n > 0 && !a.done {
		a.look(p[:n])
	}
	return n, err
}

// Buffered says how much can be read without waiting, at least.
func (a *nginxAnswer) Buffered() int {
	if b, ok := a.ReadCloser.(interface{ Buffered() int }); ok {
		return b.Buffered()
	}
	return 0
}

func (a *nginxAnswer) look(p []byte) {
	a.seen = append(a.seen, p[:min(len(p), nginxHead-len(a.seen))]...)
	kind := answered
	switch {
	case bytes.Contains(a.seen, []byte(nginxMissingTitle)):
		kind = nginxMissing
	case bytes.Contains(a.seen, []byte(nginxRefusedTitle)):
		kind = nginxRefused
	}
	if a.done = kind != answered || len(a.seen) == nginxHead; kind == answered {
		return
	}
	told := a.secured.became(kind, 0)
	a.receipt.update(func(f *Facts) { f.TLS = told })
}
