package failure

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
		code int
	}{
		{"nothing", nil, "", 0},
		{"plain", errors.New("boom"), "eaves: boom\n", 1},
		{"with a hint", New("listening on :1", errors.New("in use"), "eaves run --listen 127.0.0.1:0"),
			"eaves: listening on :1: in use\nhint: eaves run --listen 127.0.0.1:0\n", 1},
		{"wrapped", fmt.Errorf("running: %w", Wrong("x", errors.New("y"), "z")), "eaves: running: x: y\nhint: z\n", 2},
		{"several", Wrong("configuration", errors.Join(errors.New("a"), errors.New("b\nc")), ""),
			"eaves: configuration: a\neaves: configuration: b c\n", 2},
		{"a status says nothing", Status(1), "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			Print(&b, c.err)
			if b.String() != c.want {
				t.Errorf("got %q, want %q", b.String(), c.want)
			}
			if got := Code(c.err); got != c.code {
				t.Errorf("got status %d, want %d", got, c.code)
			}
		})
	}
}
