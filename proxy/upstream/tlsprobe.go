package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"
)

// probeTimeout bounds how long a failure waits for its explanation.
const probeTimeout = 2 * time.Second

// lookCloser finds out what a server would have taken that refused versions or cipher suites, and adds it to the error of
// the handshake h. Where the server may mean a client certificate there is nothing to find out.
func (c *Client) lookCloser(ctx context.Context, address string, h *hello, e *Error) {
	code, remote, ok := alertOf(e.Cause)
	if !ok || !remote {
		return
	}
	where := h.terms.server.rule()
	switch code {
	case alertProtocolVersion:
		newest := uint16(tls.VersionTLS13)
		if h.newest() == newest { // it wants older ones
			newest = max(h.oldest()-1, tls.VersionTLS10)
		}
		version, _ := c.probe(ctx, address, h, tls.VersionTLS10, newest)
		switch {
		case version == 0:
		case version < h.oldest():
			e.Message += fmt.Sprintf(": it speaks %s at best", tls.VersionName(version))
			e.hint("to speak that with it: eaves tls set %s --min %s", where, number(version))
			if version < tls.VersionTLS12 {
				e.Hint += "; the server had better learn TLS 1.2 or later"
			}
		default:
			e.Message += fmt.Sprintf(": it speaks %s", tls.VersionName(version))
			e.hint("to speak that with it: eaves tls set %s --max %s", where, number(version))
		}
	case alertHandshakeFailure, alertInsufficientSecurity:
		if asked, _ := h.auth.state(); asked {
			return
		}
		if version, suite := c.probe(ctx, address, h, h.oldest(), h.newest()); version != 0 {
			e.Message += fmt.Sprintf(": it would take %s, which is not offered", tls.CipherSuiteName(suite))
			e.hint("to offer it: eaves tls set %s --ciphers %s", where, tls.CipherSuiteName(suite))
			if slices.ContainsFunc(tls.InsecureCipherSuites(), func(s *tls.CipherSuite) bool { return s.ID == suite }) {
				e.Hint += "; the server had better learn ECDHE with AES-GCM or ChaCha20"
			}
			return
		}
		e.Message += ": it may want cipher suites (DHE, CCM, Camellia, ARIA) or a key exchange group (such as X448 or ffdhe2048) that eaves does not have"
	}
}

// number is a TLS version as commands name it.
func number(version uint16) string {
	return map[uint16]string{tls.VersionTLS10: "1.0", tls.VersionTLS11: "1.1", tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}[version]
}

// probe offers a server all that there is from oldest to newest and returns what it takes, 0 where it takes nothing. It
// connects once more and leaves as soon as the server has chosen; nothing is sent over that connection.
func (c *Client) probe(ctx context.Context, address string, h *hello, oldest, newest uint16) (version, suite uint16) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	raw, err := c.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return 0, 0
	}
	defer raw.Close()
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	known := errors.New("it has chosen")
	conn := tls.Client(raw, &tls.Config{
		ServerName: h.serverName, MinVersion: oldest, MaxVersion: newest, CipherSuites: suites, NextProtos: h.protos,
		InsecureSkipVerify: true, // nobody is trusted: the handshake is never finished
		VerifyConnection: func(cs tls.ConnectionState) error {
			version, suite = cs.Version, cs.CipherSuite
			return known
		},
	})
	_ = conn.HandshakeContext(ctx)
	return version, suite
}
