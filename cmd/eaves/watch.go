package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

// watcher waits for exchanges to end. It hears of them on the stream, so that waiting for a thousand costs no more
// requests than waiting for one.
type watcher struct {
	api    *client.Client
	stream *client.Stream

	mu      sync.Mutex
	waiting map[int64]chan struct{}
	early   map[int64]bool // ended before anybody waited
	err     error
	ended   chan struct{}
}

// watch begins to listen for replays.
func watch(ctx context.Context, api *client.Client) (*watcher, error) {
	s, err := api.Stream(ctx, "is:replay", -1)
	if err != nil {
		return nil, err
	}
	if _, err := s.Next(); err != nil { // from hello on nothing is missed
		s.Close()
		return nil, failure.New("following the running eaves", err, "")
	}
	w := &watcher{api: api, stream: s, waiting: map[int64]chan struct{}{}, early: map[int64]bool{}, ended: make(chan struct{})}
	go w.listen(ctx)
	return w, nil
}

func (w *watcher) close() {
	w.stream.Close()
	<-w.ended
}

func (w *watcher) listen(ctx context.Context) {
	defer close(w.ended)
	for {
		e, err := w.stream.Next()
		if err == nil {
			switch e.Type {
			case "exchange":
				w.saw(e.Exchange)
			case "gap":
				err = w.api.ChangedAfter(ctx, "is:replay", e.From, func(x *capture.Exchange) error {
					w.saw(x)
					return nil
				})
			case "reset":
				err = errors.New("its store was replaced")
			}
		}
		if err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
	}
}

// saw takes note of an exchange that has ended.
func (w *watcher) saw(x *capture.Exchange) {
	if x.State == capture.StateOpen {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.waiting[x.ID]; ok {
		delete(w.waiting, x.ID)
		close(c)
		return
	}
	w.early[x.ID] = true
}

// wait returns the exchange once it has ended.
func (w *watcher) wait(ctx context.Context, id int64) (*capture.Exchange, error) {
	w.mu.Lock()
	c := make(chan struct{})
	if w.early[id] {
		delete(w.early, id)
		close(c)
	} else {
		w.waiting[id] = c
	}
	w.mu.Unlock()
	select {
	case <-c:
		return w.api.Exchange(ctx, id)
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		return nil, failure.New("following the running eaves", w.err, "")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// maxBodyFile bounds what is read as a request's body.
const maxBodyFile = 1 << 30

func readFrom(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBodyFile+1))
	if err == nil && len(b) > maxBodyFile {
		err = errors.New("a body is at most 1 GiB")
	}
	return b, err
}
