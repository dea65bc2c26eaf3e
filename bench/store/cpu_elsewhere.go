//go:build !linux

package main

import "time"

// threadCPU is the time that the calling thread has computed; 0: not known.
func threadCPU() time.Duration { return 0 }
