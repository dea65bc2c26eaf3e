package route

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows/registry"
)

const internetSettings = `Software\Microsoft\Windows\CurrentVersion\Internet Settings`

// readSettings reads the user's proxy settings, or the machine's where a policy says that those hold for everybody.
func readSettings(context.Context) (*settings, error) {
	root := registry.Key(registry.CURRENT_USER)
	if k, err := registry.OpenKey(registry.LOCAL_MACHINE, `Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings`, registry.QUERY_VALUE); err == nil {
		if each, _, err := k.GetIntegerValue("ProxySettingsPerUser"); err == nil && each == 0 {
			root = registry.LOCAL_MACHINE
		}
		k.Close()
	}
	k, err := registry.OpenKey(root, internetSettings, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return parseRegistry(values{})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the proxy settings of Windows: %w", err)
	}
	defer k.Close()
	text := func(name string) string {
		s, _, err := k.GetStringValue(name)
		if err != nil {
			return "" // it is not set
		}
		return s
	}
	enable, _, err := k.GetIntegerValue("ProxyEnable")
	if err != nil {
		enable = 0
	}
	return parseRegistry(values{enable: enable != 0, server: text("ProxyServer"), override: text("ProxyOverride"), autoConfigURL: text("AutoConfigURL")})
}
