package webui

import (
	"context"
	"testing"
	"time"
)

// fakeRetention keeps a limit for bodies; the one for the store is a flag's.
type fakeRetention struct{ keep, age int64 }

func (f *fakeRetention) Retention() Retention {
	return Retention{Keep: Limit{f.keep, "settings", false}, MaxSize: Limit{20 << 30, "flag", true}, MaxAge: Limit{f.age, "default", false}}
}

func (f *fakeRetention) SetRetention(in RetentionInput) error {
	if in.MaxSize != nil {
		return &Refusal{Conflict: true, Parameter: "maxSize", Detail: "a flag says it"}
	}
	if in.Keep != nil {
		f.keep = *in.Keep
	}
	if in.MaxAge != nil {
		f.age = *in.MaxAge
	}
	return nil
}

func (*fakeRetention) Stored(context.Context) (Stored, error) {
	oldest := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.FixedZone("", 3600))
	return Stored{Exchanges: 7, Database: 4096, Bodies: 10, Used: 2058, Oldest: &oldest}, nil
}

func TestRetentionIsToldAndChanged(t *testing.T) {
	l := newLab(t)
	var got struct {
		Retention
		Stored struct {
			Exchanges int64  `json:"exchanges"`
			Oldest    string `json:"oldest"`
		} `json:"stored"`
	}
	l.ask("PUT", base+"/retention", `{"keep":5}`).json(t, 200, &got)
	if got.Keep.Value != 5 || got.MaxSize != (Limit{20 << 30, "flag", true}) || got.Stored.Exchanges != 7 || got.Stored.Oldest != "2026-01-02T02:04:05.678Z" {
		t.Errorf("got %+v", got)
	}
	if p := l.ask("PUT", base+"/retention", `{"maxSize":0}`).problem(t, 409); p.Parameter != "maxSize" {
		t.Errorf("got %+v", p)
	}
}
