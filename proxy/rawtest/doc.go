// Package rawtest tests the proxy byte by byte: a client and an origin that write and read raw bytes stand around a
// running proxy, and cases in testdata/rawcases say what each sends and what each must have received. It holds tests
// alone.
//
// # Cases
//
// A file holds cases; a line that starts with # is a comment. A case starts with
//
//	== name [@plain,tunnel,tls,socks]
//
// and runs in the named modes, else in all: a request to the proxy with an absolute URL, one in a tunnel, one in TLS in a
// tunnel, one in a tunnel that SOCKS5 has made. Its steps are taken one after the other, so that a step that expects something before the next one sends proves
// that it did not have to wait for it:
//
//	C> line    the client sends; CRLF is added, but not to a line that ends in \
//	C< line    the client must receive exactly this next
//	O> line    the origin sends
//	O< line    the origin must receive exactly this next (on the connection it has, else on one that comes)
//	C status N        the client must receive a whole answer with that status, whatever its fields and body
//	C head N          the same, as an answer to HEAD
//	C chunked TEXT    the client must receive a chunked body, in whatever chunks, with TEXT as data, and its end
//	O chunked TEXT    so must the origin
//	C close, C half, C reset, and O …    end the connection, its sending side, or break it
//	O drop            ends TCP without a goodbye of TLS
//	C eof, O eof      must see the connection end without a byte more
//	C cut             must see the connection end, at once or after bytes of a body that has no end
//	C broken          must see the connection broken: reset, or without a goodbye of TLS
//	O accept          must get a further connection
//	O none            must have got no byte on any other connection
//	X state [stage]   what the exchange must be recorded as
//
// Lines of one kind that follow each other are one piece. \r \n \t \\ and \xHH are bytes, {N*TEXT} is TEXT repeated.
// $URL is what stands before a path in the request line ("" in a tunnel), $HOST is the origin's host and port.
package rawtest
