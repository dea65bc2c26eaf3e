// Package h2 is the server side of HTTP/2 (RFC 9113) for a proxy.
//
// It gives a request's fields in the order and repetition of the wire and writes an answer's fields as they are given,
// adding none; it has no opinion on bodies. What breaks the protocol ends the stream or the connection with the error
// code that the RFC names, and a request that is malformed is reported before it is refused, so that it can be recorded.
//
// # Concurrency
//
// Each stream is served in a goroutine of its own. Reading and writing one stream may happen at the same time, each from
// one goroutine. What is held of bodies that nobody reads is bounded by the windows: 1 MiB a stream, 16 MiB a connection.
package h2
