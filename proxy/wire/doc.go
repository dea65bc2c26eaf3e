// Package wire is HTTP/1 on the wire (RFC 9112) for a proxy: it reads heads as lines, frames bodies, and writes both
// back.
//
// # Guarantees
//
// Exact: what is read is kept as it was: order, case, repetition and spacing of the fields, reason phrase, bytes that
// are not ASCII. [Field.Line] and the head's Raw are the bytes of the wire, and what is written again from them is the
// same bytes. Nothing is added.
//
// Strict: a request that two readers could understand differently is refused with a [ParseError] (RFC 9112, section
// 11.2): a proxy that passes such a request on takes part in smuggling. Of a response what is broken but clear is
// mended, and said in [ResponseHead.Notes]; what is not clear is an error.
//
// Never too far: reading a head takes no byte behind it from the reader, and reading a body none behind the body.
//
// Never too late: a read returns what has come, it does not wait to fill the buffer.
//
// Bounded: [Limits] bound heads, trailers and chunk lines; bodies are never held.
//
// # Sending on
//
// What was read and merged with what hooks changed ([Merge]) is not yet fit for the next hop: fields of this hop are in
// it, and fields about the framing that hooks may have made false. [NormaliseRequest] and [NormaliseResponse] make it
// so. The writers check once more that no field can break out of its line.
package wire
