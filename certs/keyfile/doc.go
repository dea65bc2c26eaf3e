// Package keyfile reads certificates and private keys from the files that people have: PEM with certificate and key in
// one file or two, in any order, DER, PKCS#8, PKCS#1 and SEC1 keys, encrypted in the ways of OpenSSL, Java and older
// tools, PKCS#7 bundles, and PKCS#12 files (.pfx, .p12) of OpenSSL, Java, Windows, GnuTLS and NSS (Firefox).
//
// # Guarantees
//
// The leaf of a Pair is the certificate whose public key belongs to the private key, wherever it stands in the file.
// What follows it is the path to its issuer, in the order that TLS wants; self-signed roots are kept apart, since no
// server needs to be sent one.
//
// An error is an *Error: one sentence about what is wrong, what to do about it, and its Kind. A wrong passphrase is told
// from a damaged file and from a key of an unknown kind. No error holds a passphrase or any part of a key.
//
// The work that a file can ask for is bounded (size, nesting, rounds and memory of key derivation), so that a hostile one
// can neither hang nor exhaust the process.
package keyfile
