package route

import (
	"context"
	"fmt"
	"os/exec"
)

// readSettings asks scutil, which needs no cgo. It lists what holds for the network service in use.
func readSettings(ctx context.Context) (*settings, error) {
	out, err := exec.CommandContext(ctx, "/usr/sbin/scutil", "--proxy").Output()
	if err != nil {
		return nil, fmt.Errorf("reading the proxy settings of macOS with scutil --proxy: %w", err)
	}
	return parseScutil(string(out))
}
