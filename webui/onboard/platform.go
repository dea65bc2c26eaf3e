package onboard

import (
	"slices"
	"strings"
)

// Platform is a kind of device that the page has steps for.
type Platform struct {
	ID, Title string
	// Visitor says that the visitor seems to be one.
	Visitor bool
}

// Platforms returns all platforms, those that a User-Agent names first. A browser with a trust store of its own
// (Firefox) comes before the system below it.
func Platforms(userAgent string) []Platform {
	visitor := visitors(userAgent)
	titles := map[string]string{
		"ios": "iPhone and iPad", "android": "Android", "windows": "Windows", "macos": "macOS", "linux": "Linux", "chromeos": "ChromeOS",
		"firefox": "Firefox",
	}
	var all []Platform
	for _, id := range visitor {
		all = append(all, Platform{id, titles[id], true})
	}
	for _, id := range []string{"ios", "android", "windows", "macos", "linux", "firefox", "chromeos"} {
		if !slices.Contains(visitor, id) {
			all = append(all, Platform{id, titles[id], false})
		}
	}
	return all
}

// visitors reads the few words of a User-Agent that tell systems apart. Order counts: Android says Linux too, and old
// Windows phones said Android. An iPad may call itself a Macintosh: the page's script, which can ask for touch points,
// puts that right.
func visitors(userAgent string) []string {
	var ids []string
	has := func(s string) bool { return strings.Contains(userAgent, s) }
	firefox := has("Firefox/") && !has("Seamonkey/")
	switch {
	case has("iPhone"), has("iPad"), has("iPod"):
		return []string{"ios"}
	case has("Android"):
		return []string{"android"} // whose steps speak of Firefox too
	case has("Windows"):
		ids = []string{"windows"}
	case has("CrOS"):
		ids = []string{"chromeos"}
	case has("Macintosh"), has("Mac OS X"):
		ids = []string{"macos"}
	case has("Linux"), has("X11"):
		ids = []string{"linux"}
	}
	if firefox {
		ids = append([]string{"firefox"}, ids...)
	}
	return ids
}
