package certs

import (
	"container/list"
	"context"
	"crypto/tls"
	"sync"
	"time"
)

// leafCache keeps the most recently used leaves, and makes each one once however many ask for it at the same time.
type leafCache struct {
	mu     sync.Mutex
	max    int
	order  *list.List // of *entry, most recently used first
	byName map[string]*list.Element
}

type entry struct {
	name string
	// done is closed when cert and err are there to be read.
	done chan struct{}
	cert *tls.Certificate
	err  error
	// made and renew bound the time in which the certificate is handed out.
	made, renew time.Time
}

func (l *leafCache) init(max int) {
	l.max, l.order, l.byName = max, list.New(), make(map[string]*list.Element)
}

// get returns the certificate of name, made by mint if there is none or it is due for renewal. A failure is not kept.
func (l *leafCache) get(ctx context.Context, name string, now func() time.Time, mint func() (*tls.Certificate, error)) (*tls.Certificate, error) {
	e, mine := l.entry(name, now())
	if mine {
		e.cert, e.err = mint()
		if e.err == nil {
			e.made, e.renew = period(e.cert, now())
		} else {
			l.remove(name, e)
		}
		close(e.done)
		return e.cert, e.err
	}
	select {
	case <-e.done:
		return e.cert, e.err
	default:
	}
	select {
	case <-e.done:
		return e.cert, e.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// entry returns the entry of name, and whether the caller has to fill it.
func (l *leafCache) entry(name string, now time.Time) (e *entry, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if el, ok := l.byName[name]; ok {
		e := el.Value.(*entry)
		if e.fresh(now) {
			l.order.MoveToFront(el)
			return e, false
		}
		l.order.Remove(el)
	}
	e = &entry{name: name, done: make(chan struct{})}
	l.byName[name] = l.order.PushFront(e)
	for l.order.Len() > l.max {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.byName, oldest.Value.(*entry).name)
	}
	return e, true
}

func (l *leafCache) remove(name string, e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if el, ok := l.byName[name]; ok && el.Value == e {
		l.order.Remove(el)
		delete(l.byName, name)
	}
}

// fresh says whether the entry is being made, or holds a certificate that can be handed out.
func (e *entry) fresh(now time.Time) bool {
	select {
	case <-e.done:
		// A clock that was set back beyond the certificate's beginning makes a new one necessary too.
		return e.err == nil && now.Before(e.renew) && !now.Before(e.made)
	default:
		return true
	}
}

// period returns when a certificate begins and when it is to be replaced: after five sixths of what is left of it, so
// that one which is cut short by its authority's end is not made anew for every connection.
func period(cert *tls.Certificate, now time.Time) (from, renew time.Time) {
	left := cert.Leaf.NotAfter.Sub(now)
	return cert.Leaf.NotBefore, now.Add(left / 6 * 5)
}
