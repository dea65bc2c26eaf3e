package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"time"
)

// probeTimeout bounds how long a failure waits for its explanation.
const probeTimeout = 2 * time.Second

// otherVersion finds out which version of TLS a server speaks that has refused those offered, "" where that cannot be
// told. It connects once more and leaves as soon as the server has chosen; nothing is sent over that connection.
func (c *Client) otherVersion(ctx context.Context, address string, h *hello) string {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	raw, err := c.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return ""
	}
	defer raw.Close()
	newest := uint16(tls.VersionTLS13)
	if h.newest() == newest { // it wants older ones
		newest = max(h.oldest()-1, tls.VersionTLS10)
	}
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	version := uint16(0)
	known := errors.New("the version is known")
	conn := tls.Client(raw, &tls.Config{
		ServerName: h.serverName, MinVersion: tls.VersionTLS10, MaxVersion: newest, CipherSuites: suites,
		InsecureSkipVerify: true, // nobody is trusted: the handshake is never finished
		VerifyConnection: func(cs tls.ConnectionState) error {
			version = cs.Version
			return known
		},
	})
	_ = conn.HandshakeContext(ctx)
	if version == 0 {
		return ""
	}
	return tls.VersionName(version)
}
