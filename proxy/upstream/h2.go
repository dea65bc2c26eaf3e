package upstream

import (
	"context"
	"time"
)

type room uint8

const (
	roomNone room = iota
	roomFree
	roomNever
)

type h2conn struct{}

func (cc *h2conn) closeIfIdle(now time.Time, d time.Duration) {}
func (cc *h2conn) shutdown()                                  {}
func (cc *h2conn) reserve() room                              { return roomNever }
func (cc *h2conn) reserveFirst()                              {}
func (cc *h2conn) roundTrip(ctx context.Context, call *Call, reused bool) (*Response, *Error) {
	return nil, nil
}
func (h *host) startH2(ctx context.Context, l *link, clear bool) (*h2conn, *Error) { return nil, nil }
