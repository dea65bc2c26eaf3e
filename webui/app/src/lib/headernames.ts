// Names of request header fields, and values that some of them usually have, to complete what is typed.

export const requestHeaders: readonly string[] = [
  'Accept', 'Accept-Charset', 'Accept-Encoding', 'Accept-Language', 'Access-Control-Request-Headers', 'Access-Control-Request-Method', 'Authorization', 'Cache-Control', 'Connection',
  'Content-Disposition', 'Content-Encoding', 'Content-Language', 'Content-Length', 'Content-Type', 'Cookie', 'DNT', 'Date', 'Digest', 'Expect', 'Forwarded', 'From', 'Host', 'Idempotency-Key',
  'If-Match', 'If-Modified-Since', 'If-None-Match', 'If-Range', 'If-Unmodified-Since', 'Link', 'Max-Forwards', 'Origin', 'Pragma', 'Prefer', 'Priority', 'Proxy-Authorization', 'Range', 'Referer',
  'Sec-Fetch-Dest', 'Sec-Fetch-Mode', 'Sec-Fetch-Site', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Key', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Version', 'SOAPAction', 'TE', 'Trailer',
  'Transfer-Encoding', 'Upgrade', 'Upgrade-Insecure-Requests', 'User-Agent', 'Via', 'X-Api-Key', 'X-CSRF-Token', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-HTTP-Method-Override',
  'X-Request-ID', 'X-Requested-With', 'baggage', 'traceparent', 'tracestate',
]

const values: Record<string, readonly string[]> = {
  accept: ['*/*', 'application/json', 'application/xml', 'text/html', 'text/event-stream', 'application/grpc'],
  'accept-encoding': ['gzip, deflate, br, zstd', 'gzip', 'identity'],
  'accept-language': ['en', 'en-GB, en;q=0.8', '*'],
  authorization: ['Bearer ', 'Basic '],
  'cache-control': ['no-cache', 'no-store', 'max-age=0', 'only-if-cached'],
  connection: ['keep-alive', 'close', 'Upgrade'],
  'content-type': ['application/json', 'application/x-www-form-urlencoded', 'application/xml', 'text/plain; charset=utf-8', 'multipart/form-data', 'application/octet-stream', 'application/problem+json',
    'application/merge-patch+json', 'application/json-patch+json', 'application/graphql', 'application/grpc', 'application/x-protobuf', 'text/xml; charset=utf-8'],
  expect: ['100-continue'],
  prefer: ['return=minimal', 'return=representation', 'respond-async'],
  te: ['trailers'],
  upgrade: ['websocket', 'h2c'],
  'x-requested-with': ['XMLHttpRequest'],
}

/** usualValues are those that a field often has. */
export function usualValues(name: string): readonly string[] {
  return values[name.trim().toLowerCase()] ?? []
}
