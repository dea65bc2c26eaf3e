//go:build !unix

package store

import "time"

// processCPU is how long the process has computed; 0 where that is not known.
func processCPU() time.Duration { return 0 }
