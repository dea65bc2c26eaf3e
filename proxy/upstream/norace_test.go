//go:build !race

package upstream

// raceEnabled says that tests run much slower.
const raceEnabled = false
