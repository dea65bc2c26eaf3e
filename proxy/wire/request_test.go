package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// requestCase is a request on the wire, what becomes of it, and what stays behind it.
type requestCase struct {
	name, raw string
	// status is what a refusal answers; 0: the request is accepted, and has that body, trailer and rest.
	status              int
	body, trailer, rest string
	kind                Kind
}

const (
	host   = "Host: a.test\r\n"
	get    = "GET / HTTP/1.1\r\n" + host
	post   = "POST / HTTP/1.1\r\n" + host
	chunks = post + "Transfer-Encoding: chunked\r\n\r\n"
	next   = "GET /next HTTP/1.1\r\n" + host + "\r\n"
)

// requestCases are the well-formed and the ill-formed: RFC 9112 and what has been published on request smuggling (CL.TE,
// TE.CL, TE.TE, CL.0, TE.0, chunk extensions and terminators).
var requestCases = []requestCase{
	// Accepted.
	{name: "plain", raw: get + "\r\n" + next, rest: next},
	{name: "no fields in 1.0", raw: "GET / HTTP/1.0\r\n\r\nx", rest: "x"},
	{name: "minor version 9", raw: "GET / HTTP/1.9\r\n" + host + "\r\n"},
	{name: "empty line before", raw: "\r\n" + get + "\r\n"},
	{name: "several empty lines before", raw: "\r\n\r\n\r\n" + get + "\r\n"},
	{name: "lower case method", raw: "get / HTTP/1.1\r\n" + host + "\r\n"},
	{name: "method of all token characters", raw: "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n" + host + "\r\n"},
	{name: "obs-text in target", raw: "GET /\xc3\xa9\xff HTTP/1.1\r\n" + host + "\r\n"},
	{name: "odd characters in target", raw: "GET /\"<>\\^`{|}#[]%zz HTTP/1.1\r\n" + host + "\r\n"},
	{name: "two slashes", raw: "GET //b.test/x HTTP/1.1\r\n" + host + "\r\n"},
	{name: "absolute form", raw: "GET http://a.test:8080/x?y HTTP/1.1\r\n" + host + "\r\n"},
	{name: "absolute form without path", raw: "GET http://a.test HTTP/1.1\r\n" + host + "\r\n"},
	{name: "absolute form with query alone", raw: "GET http://a.test?x=/y HTTP/1.1\r\n" + host + "\r\n"},
	{name: "absolute form with IPv6", raw: "GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
	{name: "absolute form with upper case scheme", raw: "GET HTTP://a.test/ HTTP/1.1\r\n" + host + "\r\n"},
	{name: "absolute form with userinfo", raw: "GET http://u:p%20@a.test/ HTTP/1.1\r\n" + host + "\r\n"},
	{name: "CONNECT", raw: "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n\x16\x03", rest: "\x16\x03"},
	{name: "CONNECT that says it has no body", raw: "CONNECT a.test:443 HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\nx", rest: "x"},
	{name: "CONNECT to IPv6", raw: "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"},
	{name: "OPTIONS *", raw: "OPTIONS * HTTP/1.1\r\n" + host + "\r\n"},
	{name: "Host with a port", raw: "GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n"},
	{name: "Host with an empty port", raw: "GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n"},
	{name: "empty Host", raw: "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
	{name: "Host with underscore and percent", raw: "GET / HTTP/1.1\r\nHost: a_b%2d.test\r\n\r\n"},
	{name: "IPv6 Host", raw: "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]:80\r\n\r\n"},
	{name: "value with tabs and obs-text", raw: get + "X:\t a\tb \xe9\xff \t\r\n\r\n"},
	{name: "value without space", raw: get + "X:y\r\n\r\n"},
	{name: "empty value", raw: get + "X:\r\nY: \r\n\r\n"},
	{name: "value with colons", raw: get + "X: a:b:c\r\n\r\n"},
	{name: "name of odd token characters", raw: get + "!#$%&'*+-.^_`|~: y\r\n\r\n"},
	{name: "underscore in name", raw: get + "Content_Length: 5\r\n\r\n"},
	{name: "Content-Length", raw: post + "Content-Length: 5\r\n\r\nhello" + next, kind: Length, body: "hello", rest: next},
	{name: "Content-Length 0", raw: post + "Content-Length: 0\r\n\r\n" + next, kind: Length, rest: next},
	{name: "Content-Length with leading zeros", raw: post + "Content-Length: 0005\r\n\r\nhello", kind: Length, body: "hello"},
	{name: "Content-Length in tabs", raw: post + "Content-Length:\t5\t\r\n\r\nhello", kind: Length, body: "hello"},
	{name: "Content-Length of GET", raw: get + "Content-Length: 5\r\n\r\nhello" + next, kind: Length, body: "hello", rest: next},
	{name: "Content-Length twice the same", raw: post + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello", kind: Length, body: "hello"},
	{name: "Content-Length as list of the same", raw: post + "Content-Length: 5, 5 ,5\r\n\r\nhello", kind: Length, body: "hello"},
	{name: "Content-Length in 1.0", raw: "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", kind: Length, body: "hello"},
	{name: "chunked", raw: chunks + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" + next, kind: Chunked, body: "hello world", rest: next},
	{name: "chunked without data", raw: chunks + "0\r\n\r\n" + next, kind: Chunked, rest: next},
	{name: "chunked GET", raw: get + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + next, kind: Chunked, body: "x", rest: next},
	{name: "chunked in capitals", raw: post + "TRANSFER-ENCODING: \t CHUNKED \r\n\r\n0\r\n\r\n", kind: Chunked},
	{name: "chunk size with leading zeros", raw: chunks + "0005\r\nhello\r\n0000\r\n\r\n", kind: Chunked, body: "hello"},
	{name: "chunk size in both cases", raw: chunks + "0a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n", kind: Chunked, body: "01234567890123456789"},
	{name: "chunk extension", raw: chunks + "5;a=b\r\nhello\r\n0;x\r\n\r\n", kind: Chunked, body: "hello"},
	{name: "chunk extension with spaces inside", raw: chunks + "5; a = b ;c\r\nhello\r\n0\r\n\r\n", kind: Chunked, body: "hello"},
	{name: "chunk extension in quotes", raw: chunks + "5;a=\"b;\\\"c\";d\r\nhello\r\n0\r\n\r\n", kind: Chunked, body: "hello"},
	{name: "chunk that looks like an end", raw: chunks + "5\r\n0\r\n\r\n\r\n0\r\n\r\n" + next, kind: Chunked, body: "0\r\n\r\n", rest: next},
	{name: "trailer", raw: chunks + "0\r\nX-Sum: 1\r\n\r\n" + next, kind: Chunked, trailer: "X-Sum: 1", rest: next},
	{name: "framing in the trailer is left out", raw: chunks + "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b.test\r\nX: y\r\n\r\n" + next,
		kind: Chunked, trailer: "X: y", rest: next},
	{name: "Expect", raw: post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", kind: Length, body: "x"},

	// The request line.
	{name: "HTTP/0.9", raw: "GET /\r\n\r\n", status: 400},
	{name: "no target", raw: "GET HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "empty target", raw: "GET  HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "two spaces behind method", raw: "GET  / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "two spaces before version", raw: "GET /  HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "tab behind method", raw: "GET\t/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "tab before version", raw: "GET /\tHTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "space behind version", raw: "GET / HTTP/1.1 \r\n" + host + "\r\n", status: 400},
	{name: "space before method", raw: " GET / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "space in target", raw: "GET /a b HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "second version in target", raw: "GET / HTTP/1.1 HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "NUL in target", raw: "GET /a\x00b HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CR in target", raw: "GET /a\rb HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "DEL in target", raw: "GET /a\x7fb HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "form feed in request line", raw: "GET /\x0cHTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "vertical tab in target", raw: "GET /\x0b HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "method with colon", raw: "GET: / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "method with parenthesis", raw: "G(T / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "method with NUL", raw: "GET\x00 / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "method with obs-text", raw: "G\xc9T / HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "relative path", raw: "GET index.html HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "query alone", raw: "GET ?x HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "* of GET", raw: "GET * HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "authority form of GET", raw: "GET a.test:80 HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with one slash", raw: "GET http:/a.test/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL without authority", raw: "GET http:///x HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with port alone", raw: "GET http://:80/x HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL without scheme", raw: "GET ://a.test/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with bad scheme", raw: "GET 1http://a.test/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with backslash in authority", raw: "GET http://a.test\\@b.test/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with two @", raw: "GET http://a@b@c.test/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with bad port", raw: "GET http://a.test:x/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with too large port", raw: "GET http://a.test:65536/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with two ports", raw: "GET http://a.test:80:81/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with open bracket", raw: "GET http://[::1/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with text behind bracket", raw: "GET http://[::1]x/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "URL with quoted host", raw: "GET http://\"a.test\"/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT without port", raw: "CONNECT a.test HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT with empty port", raw: "CONNECT a.test: HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT without host", raw: "CONNECT :443 HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT with URL", raw: "CONNECT http://a.test:443/ HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT with path", raw: "CONNECT /x HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT with userinfo", raw: "CONNECT u@a.test:443 HTTP/1.1\r\n" + host + "\r\n", status: 400},
	{name: "CONNECT with body", raw: "CONNECT a.test:443 HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", status: 400},
	{name: "CONNECT with chunks", raw: "CONNECT a.test:443 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "lower case version", raw: "GET / http/1.1\r\n" + host + "\r\n", status: 400},
	{name: "mixed case version", raw: "GET / Http/1.1\r\n" + host + "\r\n", status: 400},
	{name: "version without minor", raw: "GET / HTTP/1\r\n" + host + "\r\n", status: 400},
	{name: "version with two digits", raw: "GET / HTTP/1.10\r\n" + host + "\r\n", status: 400},
	{name: "version with leading zero", raw: "GET / HTTP/01.1\r\n" + host + "\r\n", status: 400},
	{name: "version with comma", raw: "GET / HTTP/1,1\r\n" + host + "\r\n", status: 400},
	{name: "version with sign", raw: "GET / HTTP/+1.1\r\n" + host + "\r\n", status: 400},
	{name: "version without name", raw: "GET / 1.1\r\n" + host + "\r\n", status: 400},
	{name: "other protocol", raw: "GET / ICAP/1.0\r\n" + host + "\r\n", status: 400},
	{name: "version 2.0", raw: "GET / HTTP/2.0\r\n" + host + "\r\n", status: 505},
	{name: "version 0.9", raw: "GET / HTTP/0.9\r\n" + host + "\r\n", status: 505},
	{name: "preface of HTTP/2", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
	{name: "TLS", raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", status: 400},
	{name: "SOCKS5", raw: "\x05\x01\x00", status: 400},
	{name: "LF before", raw: "\n" + get + "\r\n", status: 400},
	{name: "CR before", raw: "\r" + get + "\r\n", status: 400},
	{name: "byte order mark before", raw: "\xef\xbb\xbf" + get + "\r\n", status: 400},

	// Lines.
	{name: "bare LF behind request line", raw: "GET / HTTP/1.1\n" + host + "\r\n", status: 400},
	{name: "bare LF behind field", raw: get + "X: y\n\r\n", status: 400},
	{name: "bare LF as empty line", raw: get + "\n" + next, status: 400},
	{name: "bare LF throughout", raw: "GET / HTTP/1.1\nHost: a.test\n\n", status: 400},
	{name: "bare CR behind field", raw: get + "X: y\rZ: z\r\n\r\n", status: 400},
	{name: "CR CR LF", raw: get + "X: y\r\r\n\r\n", status: 400},
	{name: "CR CR LF as empty line", raw: get + "\r\r\n\r\n", status: 400},
	{name: "bare CR before hidden field", raw: get + "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", status: 400},
	{name: "obs-fold with space", raw: get + "X: a\r\n b\r\n\r\n", status: 400},
	{name: "obs-fold with tab", raw: get + "X: a\r\n\tb\r\n\r\n", status: 400},
	{name: "obs-fold of Transfer-Encoding", raw: post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "obs-fold that hides Content-Length", raw: post + "X: y\r\n Content-Length: 5\r\n\r\nhello", status: 400},
	{name: "line of white space", raw: get + " \r\n\r\n", status: 400},
	{name: "white space before first field", raw: "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", status: 400},
	{name: "tab before first field", raw: "GET / HTTP/1.1\r\n\tHost: a.test\r\n\r\n", status: 400},
	{name: "no colon", raw: get + "X\r\n\r\n", status: 400},
	{name: "no colon, with space", raw: get + "X y\r\n\r\n", status: 400},
	{name: "space before colon", raw: get + "X : y\r\n\r\n", status: 400},
	{name: "tab before colon", raw: get + "X\t: y\r\n\r\n", status: 400},
	{name: "space before colon of Content-Length", raw: post + "Content-Length : 5\r\n\r\nhello", status: 400},
	{name: "space before colon of Transfer-Encoding", raw: post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "space in name", raw: get + "X Y: z\r\n\r\n", status: 400},
	{name: "empty name", raw: get + ": y\r\n\r\n", status: 400},
	{name: "empty name, no value", raw: get + ":\r\n\r\n", status: 400},
	{name: "NUL in name", raw: get + "X\x00: y\r\n\r\n", status: 400},
	{name: "obs-text in name", raw: get + "X\xe9: y\r\n\r\n", status: 400},
	{name: "quotes around name", raw: get + "\"X\": y\r\n\r\n", status: 400},
	{name: "brackets in name", raw: get + "X[1]: y\r\n\r\n", status: 400},
	{name: "slash in name", raw: get + "X/Y: y\r\n\r\n", status: 400},
	{name: "control character before name", raw: post + "\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "NUL in value", raw: get + "X: a\x00b\r\n\r\n", status: 400},
	{name: "SOH in value", raw: get + "X: a\x01b\r\n\r\n", status: 400},
	{name: "vertical tab in value", raw: get + "X: a\x0bb\r\n\r\n", status: 400},
	{name: "form feed in value", raw: get + "X: a\x0cb\r\n\r\n", status: 400},
	{name: "escape in value", raw: get + "X: a\x1b[2Jb\r\n\r\n", status: 400},
	{name: "DEL in value", raw: get + "X: a\x7fb\r\n\r\n", status: 400},
	{name: "NUL at the end of value", raw: get + "X: a\x00\r\n\r\n", status: 400},
	{name: "request line again as field", raw: get + "GET / HTTP/1.1\r\n\r\n", status: 400},

	// Host.
	{name: "no Host", raw: "GET / HTTP/1.1\r\n\r\n", status: 400},
	{name: "no Host with absolute form", raw: "GET http://a.test/ HTTP/1.1\r\n\r\n", status: 400},
	{name: "two Hosts", raw: get + "Host: b.test\r\n\r\n", status: 400},
	{name: "two Hosts, the same", raw: get + host + "\r\n", status: 400},
	{name: "two Hosts in 1.0", raw: "GET / HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n", status: 400},
	{name: "Host with space", raw: "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", status: 400},
	{name: "Host as list", raw: "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", status: 400},
	{name: "Host with userinfo", raw: "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", status: 400},
	{name: "Host with path", raw: "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", status: 400},
	{name: "Host with query", raw: "GET / HTTP/1.1\r\nHost: a.test?x\r\n\r\n", status: 400},
	{name: "Host as URL", raw: "GET / HTTP/1.1\r\nHost: http://a.test\r\n\r\n", status: 400},
	{name: "Host with bad port", raw: "GET / HTTP/1.1\r\nHost: a.test:8x\r\n\r\n", status: 400},
	{name: "Host with sign before port", raw: "GET / HTTP/1.1\r\nHost: a.test:+80\r\n\r\n", status: 400},
	{name: "Host with bare IPv6", raw: "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", status: 400},
	{name: "Host with empty brackets", raw: "GET / HTTP/1.1\r\nHost: []\r\n\r\n", status: 400},
	{name: "Host with bad percent", raw: "GET / HTTP/1.1\r\nHost: a%zz.test\r\n\r\n", status: 400},
	{name: "Host with obs-text", raw: "GET / HTTP/1.1\r\nHost: b\xc3\xbccher.test\r\n\r\n", status: 400},
	{name: "Host with quotes", raw: "GET / HTTP/1.1\r\nHost: \"a.test\"\r\n\r\n", status: 400},
	{name: "Host with backslash", raw: "GET / HTTP/1.1\r\nHost: a.test\\b\r\n\r\n", status: 400},

	// Content-Length.
	{name: "Content-Length empty", raw: post + "Content-Length:\r\n\r\n", status: 400},
	{name: "Content-Length with plus", raw: post + "Content-Length: +5\r\n\r\nhello", status: 400},
	{name: "Content-Length with minus", raw: post + "Content-Length: -5\r\n\r\nhello", status: 400},
	{name: "Content-Length -0", raw: post + "Content-Length: -0\r\n\r\n", status: 400},
	{name: "Content-Length in hexadecimal", raw: post + "Content-Length: 0x5\r\n\r\nhello", status: 400},
	{name: "Content-Length with letters", raw: post + "Content-Length: 5b\r\n\r\nhello", status: 400},
	{name: "Content-Length with a fraction", raw: post + "Content-Length: 5.0\r\n\r\nhello", status: 400},
	{name: "Content-Length with exponent", raw: post + "Content-Length: 5e0\r\n\r\nhello", status: 400},
	{name: "Content-Length with underscore", raw: post + "Content-Length: 1_0\r\n\r\n0123456789", status: 400},
	{name: "Content-Length with space inside", raw: post + "Content-Length: 1 0\r\n\r\n0123456789", status: 400},
	{name: "Content-Length in quotes", raw: post + "Content-Length: \"5\"\r\n\r\nhello", status: 400},
	{name: "Content-Length with semicolon", raw: post + "Content-Length: 5;\r\n\r\nhello", status: 400},
	{name: "Content-Length with digits of another script", raw: post + "Content-Length: \xd9\xa5\r\n\r\nhello", status: 400},
	{name: "Content-Length over int64", raw: post + "Content-Length: 9223372036854775808\r\n\r\n", status: 400},
	{name: "Content-Length over uint64", raw: post + "Content-Length: 18446744073709551621\r\n\r\nhello", status: 400},
	{name: "Content-Length with NUL", raw: post + "Content-Length: 5\x00\r\n\r\nhello", status: 400},
	{name: "Content-Length with vertical tab", raw: post + "Content-Length:\x0b5\r\n\r\nhello", status: 400},
	{name: "Content-Length with no-break space", raw: post + "Content-Length:\xa05\r\n\r\nhello", status: 400},
	{name: "two Content-Lengths", raw: post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", status: 400},
	{name: "two Content-Lengths, one empty", raw: post + "Content-Length: 5\r\nContent-Length:\r\n\r\nhello", status: 400},
	{name: "two Content-Lengths of one number", raw: post + "Content-Length: 5\r\nContent-Length: 05\r\n\r\nhello", status: 400},
	{name: "list of Content-Lengths", raw: post + "Content-Length: 5, 6\r\n\r\nhello!", status: 400},
	{name: "list of Content-Lengths with an empty one", raw: post + "Content-Length: 5,\r\n\r\nhello", status: 400},
	{name: "Content-Length 0 and another", raw: post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + next, status: 400},

	// Transfer-Encoding.
	{name: "CL.TE", raw: post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", status: 400},
	{name: "TE.CL", raw: post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n", status: 400},
	{name: "CL.TE with length 0", raw: post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "Content-Length and identity", raw: post + "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello", status: 400},
	{name: "Transfer-Encoding in 1.0", raw: "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "identity", raw: post + "Transfer-Encoding: identity\r\n\r\n", status: 400},
	{name: "empty Transfer-Encoding", raw: post + "Transfer-Encoding:\r\n\r\n", status: 400},
	{name: "xchunked", raw: post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunkedx", raw: post + "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunke", raw: post + "Transfer-Encoding: chunke\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked twice", raw: post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked in two lines", raw: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked, then cow", raw: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n", status: 400},
	{name: "cow, then chunked", raw: post + "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked, identity", raw: post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", status: 400},
	{name: "identity, chunked", raw: post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked not last", raw: post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", status: 400},
	{name: "gzip alone", raw: post + "Transfer-Encoding: gzip\r\n\r\n", status: 400},
	{name: "gzip, chunked", raw: post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", status: 501},
	{name: "chunked with comma", raw: post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", status: 400},
	{name: "comma and chunked", raw: post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked with parameter", raw: post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked in quotes", raw: post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked with vertical tab", raw: post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked with form feed", raw: post + "Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked with NUL", raw: post + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked with no-break space", raw: post + "Transfer-Encoding:\xa0chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked in Turkish", raw: post + "Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n0\r\n\r\n", status: 400},
	{name: "long s in the name", raw: post + "Tran\xc5\xbffer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
}

func TestReadRequestHead(t *testing.T) {
	for _, c := range requestCases {
		t.Run(c.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(c.raw))
			h, err := ReadRequestHead(r, Limits{})
			if c.status != 0 {
				wantRefusal(t, c, h, err)
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			f, err := h.Framing()
			if err != nil || f.Kind != c.kind {
				t.Fatalf("framing %v, %v, want kind %d", f, err, c.kind)
			}
			wantExact(t, c.raw, h)
			b := NewBody(r, f, Limits{})
			body, err := io.ReadAll(b)
			if err != nil || string(body) != c.body || !b.Complete() {
				t.Fatalf("body %q, %v, complete %v, want %q", body, err, b.Complete(), c.body)
			}
			var trailer []string
			for _, f := range b.Trailer() {
				trailer = append(trailer, f.Line)
			}
			if got := strings.Join(trailer, "|"); got != c.trailer {
				t.Errorf("trailer %q, want %q", got, c.trailer)
			}
			if rest, _ := io.ReadAll(r); string(rest) != c.rest {
				t.Errorf("behind the body is %q, want %q", rest, c.rest)
			}
			wantSameAsNetHTTP(t, h, f, body)
		})
	}
	if len(requestCases) < 150 {
		t.Errorf("%d cases", len(requestCases))
	}
}

func wantRefusal(t *testing.T, c requestCase, h *RequestHead, err error) {
	t.Helper()
	var p *ParseError
	if !errors.As(err, &p) {
		t.Fatalf("not refused: %+v, %v", h, err)
	}
	if p.Status != c.status {
		t.Errorf("status %d (%v), want %d", p.Status, err, c.status)
	}
	if p.Reason == "" || p.Err != nil {
		t.Errorf("reason %q, cause %v", p.Reason, p.Err)
	}
	if raw := strings.TrimLeft(c.raw, "\r\n"); len(p.Head) == 0 || !strings.HasPrefix(raw, strings.TrimLeft(string(p.Head), "\r\n")) {
		t.Errorf("kept head %q, of %q", p.Head, c.raw)
	}
}

// wantExact holds the head to the bytes it was read from, and to what is written again from it.
func wantExact(t *testing.T, raw string, h *RequestHead) {
	t.Helper()
	raw = strings.TrimLeft(raw, "\r\n")
	if h.Size != len(h.Raw) || !strings.HasPrefix(raw, h.Raw) || !strings.HasSuffix(h.Raw, "\r\n\r\n") {
		t.Errorf("Raw %q, Size %d, of %q", h.Raw, h.Size, raw)
	}
	if got := writeRequest(t, h.Method, h.Target, h.Proto, h.Fields); got != h.Raw {
		t.Errorf("written again as %q, was %q", got, h.Raw)
	}
}

func writeRequest(t *testing.T, method, target, proto string, f Fields) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := WriteRequestHead(w, method, target, proto, f); err != nil {
		t.Fatalf("cannot write %q: %v", f, err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// wantSameAsNetHTTP sends the request on and lets net/http read it: it must see the same message, and nothing behind it.
func wantSameAsNetHTTP(t *testing.T, h *RequestHead, f Framing, body []byte) {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	fields := NormaliseRequest(h.Fields, f, h.Authority)
	if err := WriteRequestHead(w, h.Method, h.Target, h.Proto, fields); err != nil {
		t.Fatal(err)
	}
	bw := NewBodyWriter(w, f)
	if _, err := bw.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := bw.Close(nil); err != nil {
		t.Fatal(err)
	}
	sent := out.String()
	r := bufio.NewReader(&out)
	req, err := http.ReadRequest(r)
	if err != nil {
		// net/http refuses some targets that we pass to who asked for them, and methods; nothing else.
		if strings.Contains(err.Error(), "parse") || strings.Contains(err.Error(), "malformed Host") || strings.Contains(err.Error(), "invalid method") {
			return
		}
		t.Fatalf("net/http refuses %q: %v", sent, err)
	}
	got, err := io.ReadAll(req.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("net/http reads body %q, %v of %q, want %q", got, err, sent, body)
	}
	if rest, _ := io.ReadAll(r); len(rest) != 0 {
		t.Fatalf("net/http leaves %q of %q", rest, sent)
	}
}

func TestTargetParts(t *testing.T) {
	for _, c := range []struct {
		line                              string
		form                              Form
		scheme, userinfo, authority, path string
	}{
		{"GET /a?b#c HTTP/1.1", OriginForm, "", "", "", "/a?b#c"},
		{"GET //b.test/ HTTP/1.1", OriginForm, "", "", "", "//b.test/"},
		{"GET http://a.test:80/x?y HTTP/1.1", AbsoluteForm, "http", "", "a.test:80", "/x?y"},
		{"GET HTTP://A.test HTTP/1.1", AbsoluteForm, "HTTP", "", "A.test", "/"},
		{"GET http://a.test?x=http://b/ HTTP/1.1", AbsoluteForm, "http", "", "a.test", "/?x=http://b/"},
		{"GET http://a.test#@b.test/ HTTP/1.1", AbsoluteForm, "http", "", "a.test", "/#@b.test/"},
		{"GET http://u:p@[::1]:8/ HTTP/1.1", AbsoluteForm, "http", "u:p", "[::1]:8", "/"},
		{"OPTIONS http://a.test HTTP/1.1", AbsoluteForm, "http", "", "a.test", "*"},
		{"OPTIONS http://a.test/ HTTP/1.1", AbsoluteForm, "http", "", "a.test", "/"},
		{"OPTIONS * HTTP/1.1", AsteriskForm, "", "", "", "*"},
		{"CONNECT [::1]:443 HTTP/1.1", AuthorityForm, "", "", "[::1]:443", ""},
	} {
		h := new(RequestHead)
		if err := h.parseLine(c.line); err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if h.Form != c.form || h.Scheme != c.scheme || h.Userinfo != c.userinfo || h.Authority != c.authority || h.Path != c.path {
			t.Errorf("%s: got %+v", c.line, h)
		}
	}
}

func TestSplitAuthority(t *testing.T) {
	for in, want := range map[string][2]string{"a.test:80": {"a.test", "80"}, "a.test": {"a.test", ""}, "[::1]:8": {"::1", "8"}, "[::1]": {"::1", ""},
		"": {}, ":80": {"", "80"}, "[fe80::1%25lo]:1": {"fe80::1%25lo", "1"}, "1.2.3.4:": {"1.2.3.4", ""}} {
		host, port, ok := SplitAuthority(in)
		if !ok || host != want[0] || port != want[1] {
			t.Errorf("%q: %q, %q, %v", in, host, port, ok)
		}
	}
	for _, in := range []string{"a b", "a:x", "a:99999", "::1", "[1.2.3.4]", "[::1", "[::1]80", "[::g]", "a/b", "a@b", "a%2", "[::1%]x", "a:80:80"} {
		if host, port, ok := SplitAuthority(in); ok {
			t.Errorf("%q: %q, %q", in, host, port)
		}
	}
}

// What cannot become a request is refused without waiting for more.
func TestRequestIsRefusedEarly(t *testing.T) {
	for _, start := range []string{"GET /\r\n", "GET / HTTP/1.1\n", "\x16\x03\x01", "SSH-2.0-x\r\n", "GE\x00", "GET / HTTP/1.1\r\nX: y\n", "\n", "GET / HTTP/3.0\r\n", "{\"json\":"} {
		server, client := pipe(t)
		go io.WriteString(client, start)
		_, err := ReadRequestHead(bufio.NewReader(server), Limits{})
		var p *ParseError
		if !errors.As(err, &p) || p.Err != nil {
			t.Errorf("%q: %v", start, err)
		}
	}
}

func TestRequestThatEndsEarly(t *testing.T) {
	whole := "\r\n" + post + "Content-Length: 5\r\n\r\n"
	for i := range len(whole) {
		for name, r := range readers(whole[:i]) {
			h, err := ReadRequestHead(r, Limits{})
			var p *ParseError
			switch {
			case i == 0 || i == 2:
				if err != io.EOF {
					t.Errorf("%s, %q: %v, want io.EOF", name, whole[:i], err)
				}
			case !errors.As(err, &p) || !errors.Is(err, io.ErrUnexpectedEOF) || p.Status != 400:
				t.Errorf("%s, %q: %v", name, whole[:i], err)
			case h == nil && i > len("\r\nPOST / HTTP/1.1\r\n") || h != nil && h.Target != "/":
				t.Errorf("%s, %q: head %v", name, whole[:i], h)
			}
		}
	}
}

func TestRequestThatTakesTooLong(t *testing.T) {
	for start, status := range map[string]int{"": 0, "GET /": 408, get: 408} {
		server, client := pipe(t)
		if err := server.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		go io.WriteString(client, start)
		_, err := ReadRequestHead(bufio.NewReader(server), Limits{})
		var p *ParseError
		if errors.As(err, &p) != (status != 0) || p != nil && (p.Status != status || string(p.Head) != start) || err == nil {
			t.Errorf("%q: %v", start, err)
		}
	}
}

func TestRequestLimits(t *testing.T) {
	long := strings.Repeat("x", 300)
	l := Limits{Line: 200, Head: 700, Fields: 5}
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"long target", "GET /" + long + " HTTP/1.1\r\n" + host + "\r\n", 414},
		{"long method", long + " / HTTP/1.1\r\n" + host + "\r\n", 414},
		{"long line", get + "X: " + long + "\r\n\r\n", 431},
		{"long head", get + strings.Repeat("X: "+long[:180]+"\r\n", 4) + "\r\n", 431},
		{"many fields", get + strings.Repeat("X: y\r\n", 5) + "\r\n", 431},
		{"empty lines", strings.Repeat("\r\n", 100) + get + "\r\n", 400},
		{"at the line's limit", get + "X: " + long[:197] + "\r\n\r\n", 0},
		{"over the line's limit", get + "X: " + long[:198] + "\r\n\r\n", 431},
		{"at the fields' limit", get + strings.Repeat("X: y\r\n", 4) + "\r\n", 0},
	} {
		for name, r := range readers(c.raw) {
			_, err := ReadRequestHead(r, l)
			var p *ParseError
			if errors.As(err, &p) != (c.status != 0) || p != nil && p.Status != c.status {
				t.Errorf("%s, %s: %v, want %d", c.name, name, err, c.status)
			}
		}
	}
	// A line without end is not read without end.
	for _, start := range []string{"GET /", get + "X: "} {
		r := bufio.NewReader(io.MultiReader(strings.NewReader(start), endless('x')))
		if _, err := ReadRequestHead(r, Limits{}); !errors.As(err, new(*ParseError)) {
			t.Errorf("%q without end: %v", start, err)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	for raw, want := range map[string]bool{
		"HTTP/1.1\r\n":                                                      true,
		"HTTP/1.1\r\nConnection: close\r\n":                                 false,
		"HTTP/1.1\r\nConnection: keep-alive, Close\r\n":                     false,
		"HTTP/1.1\r\nConnection: x\r\nConnection: close\r\n":                false,
		"HTTP/1.1\r\nX: close\r\n":                                          true,
		"HTTP/1.1\r\nProxy-Connection: close\r\n":                           false,
		"HTTP/1.0\r\n":                                                      false,
		"HTTP/1.0\r\nConnection: Keep-Alive\r\n":                            true,
		"HTTP/1.0\r\nProxy-Connection: keep-alive\r\n":                      true,
		"HTTP/1.0\r\nConnection: close\r\nProxy-Connection: keep-alive\r\n": false,
	} {
		h, err := ReadRequestHead(bufio.NewReader(strings.NewReader("GET / "+raw+host+"\r\n")), Limits{})
		if err != nil || h.KeepAlive() != want {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}

func TestExpectsContinue(t *testing.T) {
	for raw, want := range map[string]bool{"HTTP/1.1\r\nExpect: 100-Continue\r\n": true, "HTTP/1.0\r\nExpect: 100-continue\r\n": false, "HTTP/1.1\r\n": false} {
		h, err := ReadRequestHead(bufio.NewReader(strings.NewReader("GET / "+raw+host+"\r\n")), Limits{})
		if err != nil || h.ExpectsContinue() != want {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}

// A long request line that comes in pieces is one all the same.
func TestLongRequestLine(t *testing.T) {
	raw := "GET /" + strings.Repeat("x", 200_000) + " HTTP/1.1\r\n" + host + "\r\n"
	for name, r := range readers(raw) {
		if h, err := ReadRequestHead(r, Limits{}); err != nil || h.Raw != raw {
			t.Errorf("%s: %v", name, err)
		}
	}
}
