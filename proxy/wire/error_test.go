package wire

import (
	"errors"
	"io"
	"testing"
)

func TestParseErrorSaysWhy(t *testing.T) {
	for _, c := range []struct {
		err  ParseError
		want string
	}{
		{ParseError{Reason: "it is wrong"}, "it is wrong"},
		{ParseError{Reason: "it is cut", Err: io.ErrUnexpectedEOF}, "it is cut: unexpected EOF"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if c.err.Err != nil && !errors.Is(&c.err, c.err.Err) {
			t.Error("the cause is lost")
		}
	}
}
