package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// programs are the names and places of browsers, the one without a vendor's additions first.
type programs struct {
	// names are looked up on the path.
	names []string
	// apps lie below /Applications or ~/Applications on macOS.
	apps []string
	// windows lie below the directories for programs.
	windows []string
}

func known(kind Kind) programs {
	switch kind {
	case Chromium:
		return programs{
			names: []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "brave-browser", "microsoft-edge"},
			apps: []string{"Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome",
				"Brave Browser.app/Contents/MacOS/Brave Browser", "Microsoft Edge.app/Contents/MacOS/Microsoft Edge"},
			windows: []string{`Chromium\Application\chrome.exe`, `Google\Chrome\Application\chrome.exe`,
				`BraveSoftware\Brave-Browser\Application\brave.exe`, `Microsoft\Edge\Application\msedge.exe`},
		}
	case Firefox:
		return programs{
			names: []string{"firefox", "firefox-esr", "librewolf"},
			apps: []string{"Firefox.app/Contents/MacOS/firefox", "Firefox Developer Edition.app/Contents/MacOS/firefox",
				"LibreWolf.app/Contents/MacOS/librewolf"},
			windows: []string{`Mozilla Firefox\firefox.exe`, `Firefox Developer Edition\firefox.exe`, `LibreWolf\librewolf.exe`},
		}
	}
	return programs{}
}

// places is where programs are looked for.
type places struct {
	goos     string
	getenv   func(string) string
	lookPath func(string) (string, error)
	exists   func(string) bool
}

func thisMachine() places {
	return places{runtime.GOOS, os.Getenv, exec.LookPath, func(path string) bool {
		st, err := os.Stat(path)
		return err == nil && !st.IsDir()
	}}
}

// candidates returns the paths at which a browser of a kind may lie.
func (p places) candidates(kind Kind) []string {
	var all []string
	k := known(kind)
	switch p.goos {
	case "darwin":
		for _, app := range k.apps {
			all = append(all, filepath.Join("/Applications", app))
			if home := p.getenv("HOME"); home != "" {
				all = append(all, filepath.Join(home, "Applications", app))
			}
		}
	case "windows":
		for _, program := range k.windows {
			for _, name := range []string{"ProgramFiles", "ProgramFiles(x86)", "LocalAppData"} {
				if dir := p.getenv(name); dir != "" {
					all = append(all, dir+`\`+program)
				}
			}
		}
	}
	return all
}

func (p places) find(kind Kind) (string, bool) {
	for _, path := range p.candidates(kind) {
		if p.exists(path) {
			return path, true
		}
	}
	for _, name := range known(kind).names {
		if path, err := p.lookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// find returns the program of the wanted kind, or of the first that is installed.
func find(want Kind) (Kind, string, error) { return thisMachine().choose(want) }

func (p places) choose(want Kind) (Kind, string, error) {
	kinds := Kinds()
	switch want {
	case Chromium, Firefox:
		kinds = []Kind{want}
	case "":
	default:
		return "", "", &Error{message: fmt.Sprintf("unknown browser %q", string(want)), hint: "chromium (also Chrome, Edge and Brave) or firefox"}
	}
	for _, kind := range kinds {
		if path, ok := p.find(kind); ok {
			return kind, path, nil
		}
	}
	name := "browser"
	if want != "" {
		name = string(want)
	}
	hint := "install Chromium, Chrome or Firefox"
	if p.goos == "linux" {
		hint += ", for instance: sudo apt install chromium"
	}
	return "", "", &Error{message: "no " + name + " found on this machine", hint: hint}
}
