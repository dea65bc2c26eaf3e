package truststore

import "context"

// keychain is the store of macOS. A change of trust settings asks the user for a password or a finger in a window, so
// the commands are for the user to type.
type keychain struct{}

func (keychain) install(_ context.Context, m *machine) []Step {
	return []Step{{
		Store:   "system (macOS keychain)",
		Status:  Manual,
		Message: "trust settings are changed by their user; for one user, or (sudo) for all",
		Commands: []string{
			commandLine("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", m.Home+"/Library/Keychains/login.keychain-db", m.CertFile),
			commandLine("sudo", "security", "add-trusted-cert", "-d", "-r", "trustRoot", "-p", "ssl", "-k", "/Library/Keychains/System.keychain", m.CertFile),
		},
	}}
}

func (keychain) uninstall(_ context.Context, m *machine) []Step {
	return []Step{{
		Store:   "system (macOS keychain)",
		Status:  Manual,
		Message: "trust settings are changed by their user; for one user, or (sudo) for all",
		Commands: []string{
			commandLine("security", "delete-certificate", "-t", "-Z", m.sha1(), m.Home+"/Library/Keychains/login.keychain-db"),
			commandLine("sudo", "security", "delete-certificate", "-t", "-Z", m.sha1(), "/Library/Keychains/System.keychain"),
		},
	}}
}

// windowsRoot is the store of Windows. Adding a root for one user is confirmed in a window; for the machine it needs an
// elevated prompt.
type windowsRoot struct{}

func (windowsRoot) install(_ context.Context, m *machine) []Step {
	return []Step{{
		Store:   "system (Windows)",
		Status:  Manual,
		Message: "for one user; without -user, from an elevated prompt, for all",
		Commands: []string{
			`certutil.exe -user -addstore Root "` + m.CertFile + `"`,
		},
	}}
}

func (windowsRoot) uninstall(_ context.Context, m *machine) []Step {
	return []Step{{
		Store:   "system (Windows)",
		Status:  Manual,
		Message: "for one user; without -user, from an elevated prompt, for all",
		Commands: []string{
			"certutil.exe -user -delstore Root " + m.sha1(),
		},
	}}
}
