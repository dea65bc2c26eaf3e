package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eaves/capture/store"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/settings"
	"eaves/webui"
)

// The keys of the configuration that say how much is kept.
const (
	keepKey    = "keep"
	maxSizeKey = "retention.maxSize"
	maxAgeKey  = "retention.maxAge"
)

// limit is one limit of the retention: what the configuration says, and where that leaves it open, the settings.
func limit(cfg *config.Config, key string, configured int64, kept *int64) webui.Limit {
	from := cfg.From(key)
	l := webui.Limit{Value: configured, Source: string(from), Locked: from != config.FromDefault}
	if !l.Locked && kept != nil {
		l.Value, l.Source = *kept, "settings"
	}
	return l
}

// retentionOf is the retention that holds with the settings.
func retentionOf(cfg *config.Config, s settings.Settings) webui.Retention {
	return webui.Retention{
		Keep:    limit(cfg, keepKey, cfg.Keep, s.Retention.Keep),
		MaxSize: limit(cfg, maxSizeKey, cfg.MaxSize, s.Retention.MaxSize),
		MaxAge:  limit(cfg, maxAgeKey, cfg.MaxAge.Milliseconds(), s.Retention.MaxAge),
	}
}

// forStore is a retention in the store's words.
func forStore(r webui.Retention) store.Retention {
	size := r.MaxSize.Value
	if size == 0 {
		size = -1 // the store's word for no limit
	}
	return store.Retention{Keep: r.Keep.Value, MaxSize: size, MaxAge: time.Duration(r.MaxAge.Value) * time.Millisecond}
}

// retentionKeeper is the retention as the console knows it.
type retentionKeeper struct {
	c   *core
	cfg *config.Config
}

func (k retentionKeeper) Retention() webui.Retention { return retentionOf(k.cfg, k.c.settings.Get()) }

// Stored says what there is to be kept.
func (k retentionKeeper) Stored(ctx context.Context) (webui.Stored, error) {
	st, err := k.c.store.Stats(ctx)
	if err != nil {
		return webui.Stored{}, err
	}
	out := webui.Stored{Exchanges: st.Exchanges, Database: st.DatabaseBytes, Bodies: st.BodyBytes, Used: st.DatabaseBytes - st.FreeBytes + st.BodyBytes}
	page, err := k.c.store.List(ctx, store.Query{ByID: true, Limit: 1})
	if err == nil && len(page.Exchanges) > 0 {
		out.Oldest = &page.Exchanges[0].Started
	}
	return out, err
}

// SetRetention changes what the configuration does not say.
func (k retentionKeeper) SetRetention(in webui.RetentionInput) error {
	now := k.Retention()
	for _, f := range []struct {
		name, key string
		in        *int64
		now       webui.Limit
	}{{"keep", keepKey, in.Keep, now.Keep}, {"maxSize", maxSizeKey, in.MaxSize, now.MaxSize}, {"maxAge", maxAgeKey, in.MaxAge, now.MaxAge}} {
		if f.in == nil || !f.now.Locked || *f.in == f.now.Value {
			continue
		}
		what := map[config.From]string{config.FromFlag: "a flag of eaves run", config.FromEnvironment: "a variable of the environment", config.FromFile: k.cfg.File}[config.From(f.now.Source)]
		return &webui.Refusal{Conflict: true, Parameter: f.name, Detail: fmt.Sprintf("%s says %s", what, f.key), Hint: "take it out there and start eaves again"}
	}
	err := k.c.settings.SetRetention(func(r settings.Retention) (settings.Retention, error) {
		set := func(to **int64, in *int64, l webui.Limit) {
			if in != nil && !l.Locked {
				*to = in
			}
		}
		set(&r.Keep, in.Keep, now.Keep)
		set(&r.MaxSize, in.MaxSize, now.MaxSize)
		set(&r.MaxAge, in.MaxAge, now.MaxAge)
		return r, nil
	})
	if errors.Is(err, settings.ErrInvalid) {
		return &webui.Refusal{Detail: err.Error()}
	}
	return err
}
