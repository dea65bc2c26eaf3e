package hop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// basic is RFC 7617.
type basic struct {
	user string
	done bool
}

func (*basic) bound() bool { return false }

func (b *basic) answer(ctx context.Context, _ *Challenge, a *Auth, _ request) (string, error) {
	if b.done {
		return "", errRefused
	}
	b.done = true
	if strings.ContainsRune(b.user, ':') {
		return "", errors.New("a user name for Basic cannot have a colon")
	}
	password, err := a.password(ctx)
	if err != nil {
		return "", err
	}
	return "Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%s", b.user, password)), nil
}
