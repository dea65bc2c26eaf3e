// Package upstream is the way to the origin: it resolves, dials, ends TLS, pools connections and carries one request
// and its answer, and says of each step what happened.
//
// # Guarantees
//
// What a Call holds is what goes out: field lines in their order and case (HTTP/2: lower-case names, in order), the
// request-target byte for byte, the body as it comes, flushed whenever nothing more is at hand. Nothing is added but
// what the caller asked for and the hop needs (Content-Length or Transfer-Encoding as framed, Connection and Upgrade).
//
// An answer is handed on as it arrives, also while the request's body is still being sent. A body that was cut never
// ends in io.EOF.
//
// A call is sent once. Only when a pooled connection turns out to be dead before any byte of an answer, nothing of the
// body was sent and the method is idempotent (or nothing was written at all) does it go out again, on a fresh connection
// (RFC 9112, 9.3.1 and RFC 9110, 9.2.2).
//
// Every failure is an *Error: which stage, what happened in plain words with the host and address it happened to, and
// what to do next.
//
// A client certificate goes out only over TLS, only when the server asks for it, to the server it is configured for, and
// behind the verification of that server's own certificate where that is on. What is configured is always sent: whether it
// will do is for the server to say, and the receipt says what the server may dislike and what it made of it.
//
// Certificates are verified here and not by crypto/tls, so that a host whose verification is off still has a receipt
// that says what would have failed. Sessions are resumed within one pool key only: whatever decides who we are and
// whom we trust is part of that key, and a session never crosses it.
//
// A route that leads through parent proxies leads nowhere else: where the first cannot be reached, only the alternatives
// that the route itself names are tried. What a proxy wants to know it is told here, its 407 is answered here, and none of
// it reaches an origin, a receipt or an error. Connections that were made with other credentials, or on another route, are
// not used; those in use when a route changes go on. A receipt names each proxy, what it answered, and whether the answer
// is the origin's or a proxy's, as far as that can be told.
//
// # What callers must do
//
// Read Response.Body to its end or close it. Call.Body may be read until Call.Sent is closed, also after Do has
// returned: an answer may come before the request has been sent. What then stops the sending is the end of the context,
// or of the connection; closing an answer's body that was read to its end does not.
package upstream
