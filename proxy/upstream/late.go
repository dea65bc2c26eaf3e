package upstream

import (
	"context"
	"crypto/tls"
	"strings"
)

// Some servers ask for a client certificate only when they have seen the request, since they want one for some paths only:
// Apache by location, IIS. Up to TLS 1.2 that is a renegotiation. In TLS 1.3 it is post-handshake authentication (RFC 8446,
// 4.6.2), which crypto/tls does not have, so that such a server answers 403 without having asked. HTTP/2 allows neither
// (RFC 9113, 9.2.1; RFC 8740).

// again is what came of asking again over TLS 1.2, where that did not help.
type again uint8

const (
	againNot      again = iota
	againSilent         // the server did not ask there either
	againUnspoken       // it does not speak TLS 1.2
	againFailed         // it could not be reached
)

// pathsInVain is how many paths have to stay forbidden over TLS 1.2 too until no further one is tried.
const pathsInVain = 8

// mayAskLate says whether an answer looks as if the server would have asked for a client certificate over TLS 1.2.
func (h *host) mayAskLate(call *Call, s *secured, resp *Response) bool {
	if resp.Status != 403 || s == nil || s.base.Version != tls.VersionName(tls.VersionTLS13) || len(h.terms.identities) == 0 {
		return false
	}
	if asked, _ := s.auth.state(); asked || call.hasBody() || !call.idempotent() || h.terms.policy.Min > tls.VersionTLS12 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.late && len(h.inVain) < pathsInVain && !h.inVain[path(call)]
}

func path(call *Call) string {
	p, _, _ := strings.Cut(call.Target, "?")
	return p
}

// askLate sends a call again over TLS 1.2 and HTTP/1.1. Where the server then asks for a client certificate, what comes of
// that stands in the place of the first answer, and the host is spoken to in this way from now on. Otherwise both results
// are nil.
func (h *host) askLate(ctx context.Context, call *Call, first *secured) (*Response, *Error) {
	receipt := new(Receipt)
	l, e := h.client.connect(ctx, &h.key, &h.way, h.terms, h.terms.protocols("http/1.1"), tls.VersionTLS12, h.remembered(), receipt)
	if e != nil {
		why := againFailed
		if code, remote, ok := alertOf(e.Cause); ok && remote && code == alertProtocolVersion {
			why = againUnspoken
		}
		h.lateInVain(ctx, call, first, why)
		return nil, nil
	}
	second := *call
	second.Receipt = receipt
	hc := newH1(h, l)
	resp, e := hc.roundTrip(ctx, &second, false)
	if asked, _ := l.secured.auth.state(); !asked {
		if e == nil {
			resp.Body.Close()
		}
		h.lateInVain(ctx, call, first, againSilent)
		return nil, nil
	}
	h.asksLate()
	if e == nil {
		hc.answered(receipt, resp)
		second.Receipt = call.Receipt
		if n, ok := resp.Body.(*nginxAnswer); ok {
			n.receipt = call.Receipt
		}
	}
	facts := receipt.Snapshot()
	call.Receipt.update(func(f *Facts) { *f = facts })
	return resp, e
}

// lateInVain notes that a path is forbidden, whatever the version.
func (h *host) lateInVain(ctx context.Context, call *Call, first *secured, why again) {
	if ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	if h.inVain == nil {
		h.inVain = make(map[string]bool)
	}
	h.inVain[path(call)] = true
	h.mu.Unlock()
	told := first.triedLate(why)
	call.Receipt.update(func(f *Facts) { f.TLS = told })
}

// asksLate notes that the host asks for client certificates after the request. Connections that do not allow it are left.
func (h *host) asksLate() {
	h.mu.Lock()
	h.late, h.spoken = true, speaksH1
	idle, h2 := h.idle, h.h2
	h.idle, h.h2 = nil, nil
	h.mu.Unlock()
	for _, hc := range idle {
		hc.close()
	}
	for _, cc := range h2 {
		cc.shutdown()
	}
}

// newest is the highest version of TLS that is offered to the host, 0: no bound.
func (h *host) newest() uint16 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.late {
		return tls.VersionTLS12
	}
	return 0
}
