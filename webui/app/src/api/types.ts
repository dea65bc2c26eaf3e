// The vocabulary of the console's API, as package capture writes it.

export type Kind = 'http' | 'websocket' | 'tunnel'
export type State = 'open' | 'done' | 'failed'
export type Side = 'request' | 'response'

/** One header field as it stood on the wire; raw (base64) is there when the value is not UTF-8. */
export interface Field {
  name: string
  value: string
  raw?: string
}

export interface Timings {
  blocked: number
  dns: number
  connect: number
  ssl: number
  send: number
  wait: number
  receive: number
}

export interface Failure {
  stage: 'client' | 'route' | 'dns' | 'connect' | 'proxy' | 'tls' | 'http' | 'timeout' | string
  message: string
  hint?: string
}

export interface RequestHead {
  method: string
  url: string
  target?: string
  httpVersion: string
  headers?: Field[]
  trailers?: Field[]
  headersSize: number
  bodySize: number
  truncated?: boolean
}

export interface ResponseHead {
  status: number
  statusText: string
  httpVersion: string
  headers?: Field[]
  informational?: { status: number; statusText?: string; headers: Field[] | null }[]
  trailers?: Field[]
  content: { size: number; mimeType: string }
  headersSize: number
  bodySize: number
  truncated: boolean
}

export interface Certificate {
  subject: string
  issuer: string
  serial: string
  notBefore: string
  notAfter: string
  dnsNames: string[] | null
  sha256: string
}

export interface ClientCertificate {
  requested: boolean
  acceptableCAs: string[] | null
  rule?: string
  sent?: Certificate
  signatureSchemes?: string[] | null
  verdict: 'accepted' | 'rejected' | 'not-requested' | 'no-rule' | 'unknown' | string
  alert?: string
  explanation?: string
  /** What else there is to say: a misfit that did no harm, a file that could not be read anew. */
  note?: string
}

export interface TLSReceipt {
  version: string
  cipherSuite: string
  alpn: string
  serverName: string
  resumed: boolean
  verified: boolean
  verifyError: string
  peerCertificates: Certificate[] | null
  clientCertificate?: ClientCertificate
  /** The host pattern of the TLS policy that held. */
  policy?: string
  /** What decided about verification. */
  trust?: string
}

export interface Hop {
  kind: string
  address: string
  dns: number
  connect: number
  /** What the hop answered to CONNECT. */
  status?: number
  statusText?: string
  authentication?: string
  tls?: TLSReceipt
  /** How long the hop took in all. */
  time?: number
  responseHeaders?: Field[] | null
  reused?: boolean
  error?: string
}

export interface Route {
  source: 'custom' | 'system' | 'pac' | 'rule' | 'direct' | string
  reason?: string
  hops: Hop[] | null
}

/** What a list shows: an exchange without headers, receipts and content. */
export interface Summary {
  id: number
  seq: number
  kind: Kind
  state: State
  startedDateTime: string
  time: number
  source: 'proxy' | 'replay' | 'compose' | 'import' | string
  client: { address?: string; httpVersion?: string; run?: string }
  request: RequestHead
  response?: ResponseHead
  timings: Timings
  serverIPAddress?: string
  connection?: string
  reused: boolean
  answeredBy?: 'origin' | 'proxy' | 'eaves' | string
  error?: Failure
  replayOf?: number
  /** What became of a client certificate, where the origin asked for one. */
  certificate?: 'sent' | 'accepted' | 'rejected' | 'asked' | string
  /** Addresses of the proxies on the way. */
  proxies?: string[]
  messages: number
  mark: string
  comment: string
}

export interface Exchange extends Summary {
  client: Summary['client'] & { request?: RequestHead; response?: ResponseHead }
  route?: Route
  tls?: TLSReceipt
  clientTLS?: { version: string; cipherSuite: string; alpn: string; serverName: string }
}

export interface Message {
  n: number
  direction: 'sent' | 'received' | string
  kind: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'event' | 'grpc' | string
  time: string
  size: number
  truncated?: boolean
  /** eaves put it in: neither client nor origin said it. */
  injected?: boolean
  text?: string
  data?: string
}

export interface Rule {
  id: number
  enabled: boolean
  filter: string
  action: 'ignore' | 'block' | 'passthrough' | string
}

/** What a request is made of when it is sent again or composed. What is left out stays as it was. */
export interface Overrides {
  method?: string
  url?: string
  headers?: { name: string; value: string }[]
  body?: string
  /** The body as base64, where it is not text. */
  bodyBase64?: string
  /** The id of a client certificate, or "none"; left out, the rules decide. */
  certificate?: string
  /** "direct", "system", "pac+URL", or URLs of proxies in order, separated by commas; left out, the rules decide. */
  via?: string
  /** Whether the origin's certificate must be good; left out, the TLS policies decide. */
  verify?: boolean
  /** How the messages of a replayed WebSocket follow one another; left out, as the origin answers. */
  pauses?: 'none' | 'recorded'
}

export interface Page {
  exchanges: Summary[]
  total?: number
  /** The page's revision: a stream opened after it tells everything that the page does not. */
  seq: number
}
