// Package certs makes the certificates that clients of eaves see: one certificate authority for each data directory, and
// one short-lived leaf for each host name that is intercepted.
//
// # Guarantees
//
// The authority's key is made on first run from the system's random source, is written once with mode 0400, and never
// leaves the data directory: no export holds it. The two files are never half a pair: whatever moment a process dies
// at, and however many start at once, the next load finds a key and the certificate that belongs to it, or makes the
// missing certificate for the key that is there.
//
// The authority signs certificates of TLS servers and nothing else (no other authority, no code, no mail), so that a
// stolen key is worth as little as possible.
//
// Leaf never refuses a name: a client that names nonsense gets a certificate it can look at. Its cache is bounded, so
// memory stays flat however many names a client makes up.
//
// # Duties of the caller
//
// The data directory belongs to one process at a time (the caller holds its lock) while Rotate runs.
package certs
