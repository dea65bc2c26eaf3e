package hop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/go-ntlmssp"
)

// ntlm is MS-NLMP: three messages on one connection, NTLMv2 alone. It goes by its own scheme name, or, raw, by Negotiate.
type ntlm struct {
	scheme string // NTLM or Negotiate
	user   string
	step   int
}

func (*ntlm) bound() bool { return true }

func (n *ntlm) answer(ctx context.Context, c *Challenge, a *Auth, _ request) (string, error) {
	n.step++
	switch n.step {
	case 1:
		// Domain and workstation would be this machine's, which are nobody's business.
		m, err := ntlmssp.NewNegotiateMessage("", "")
		if err != nil {
			return "", err
		}
		return n.scheme + " " + base64.StdEncoding.EncodeToString(m), nil
	case 2:
		if c == nil || c.Token == "" {
			if n.scheme == "Negotiate" {
				return "", errors.New("the proxy takes no NTLM within Negotiate")
			}
			return "", errRefused
		}
		challenge, err := base64.StdEncoding.DecodeString(c.Token)
		if err != nil {
			return "", errors.New("the proxy's NTLM challenge is not base64")
		}
		if len(challenge) < 12 || string(challenge[:8]) != "NTLMSSP\x00" {
			return "", errors.New("the proxy's NTLM challenge is not one")
		}
		password, err := a.password(ctx)
		if err != nil {
			return "", err
		}
		m, err := answerNTLM(challenge, n.user, password)
		if err != nil {
			return "", fmt.Errorf("the proxy's NTLM challenge cannot be answered: %w", err)
		}
		return n.scheme + " " + base64.StdEncoding.EncodeToString(m), nil
	}
	return "", errRefused
}

// answerNTLM makes the third message. What comes from the network must not take the program down.
func answerNTLM(challenge []byte, user, password string) (m []byte, err error) {
	defer func() {
		if recover() != nil {
			m, err = nil, errors.New("it is malformed")
		}
	}()
	m, err = ntlmssp.NewAuthenticateMessage(challenge, user, password, nil)
	if err != nil && password != "" && strings.Contains(err.Error(), password) {
		err = errors.New("it is malformed")
	}
	return m, err
}
