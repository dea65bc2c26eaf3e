// What a body is, and how it can be looked at.

import { likelyGraphQL, tiles } from './detect.ts'
import { hasToken } from './jwt.ts'
import { jsonLines } from './lines.ts'
import { parameter } from './multipart.ts'

export type Look =
  | 'json' | 'graphql' | 'xml' | 'html' | 'preview' | 'formatted' | 'form' | 'parts' | 'image' | 'media' | 'font' | 'pdf'
  | 'messagepack' | 'protobuf' | 'grpc' | 'token' | 'text' | 'hex'

export const lookName: Record<Look, string> = {
  json: 'JSON', graphql: 'GraphQL', xml: 'XML', html: 'HTML', preview: 'Preview', formatted: 'Formatted', form: 'Form', parts: 'Parts', image: 'Image', media: 'Play', font: 'Font',
  pdf: 'PDF', messagepack: 'MessagePack', protobuf: 'Protobuf', grpc: 'gRPC', token: 'Token', text: 'Text', hex: 'Hex',
}

/** Types that an image element may show: none of them runs anything there. */
const images = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/bmp', 'image/svg+xml', 'image/x-icon', 'image/vnd.microsoft.icon'])

export interface Nature {
  /** The ways to look at it, the best one first. */
  looks: Look[]
  /** The image's media type, if it is one. */
  image: string
  charset: string
  /** The body reads as text. */
  text: boolean
}

export function essence(type: string): string {
  return type.split(';')[0]!.trim().toLowerCase()
}

/** nature judges by the media type first and by the first bytes where it says little. */
export function nature(type: string, head: Uint8Array): Nature {
  const kind = essence(type)
  const charset = parameter(type, 'charset').toLowerCase() || ownCharset(kind, head)
  const image = images.has(kind) ? kind : imageOf(head)
  const looks: Look[] = []
  const text = image === 'image/svg+xml' || (image === '' && !isPDF(head) && isText(head, charset, kind.startsWith('text/')))
  if (image && (image === 'image/svg+xml' || imageOf(head) === image || kind === image)) looks.push('image')
  if (text) {
    if (/[/+]json$|ndjson|json-seq/.test(kind) || kind === 'application/json') looks.push('json')
    else if (kind === 'text/html' || kind === 'application/xhtml+xml') looks.push('html', 'preview')
    else if (/[/+]xml$/.test(kind)) looks.push('xml')
    else if (kind === 'application/x-www-form-urlencoded') looks.push('form')
    const sniffed = sniff(head)
    if (sniffed && (kind === '' || kind === 'text/plain' || kind === 'application/octet-stream' || kind === 'application/x-www-form-urlencoded' || kind === 'text/javascript') && !looks.includes(sniffed)) {
      looks.unshift(sniffed, ...(sniffed === 'html' ? ['preview' as const] : []))
    }
    special(looks, kind, head)
  } else {
    bytes(looks, kind, head)
  }
  if (kind.startsWith('multipart/') && parameter(type, 'boundary')) looks.push('parts')
  for (const l of text ? (['text', 'hex'] as const) : (['hex', 'text'] as const)) if (!looks.includes(l)) looks.push(l)
  return { looks, image, charset, text }
}

const scripts = /^(text|application)\/(x-)?(javascript|ecmascript)$/

/** special adds ways to look at text that its type alone does not tell. */
function special(looks: Look[], kind: string, head: Uint8Array): void {
  const start = new TextDecoder().decode(head)
  if (kind === 'application/grpc-web-text' || kind === 'application/grpc-web-text+proto') looks.unshift('grpc')
  if (kind === 'application/graphql' || looks[0] === 'json' && likelyGraphQL(start)) looks.unshift('graphql')
  if ((scripts.test(kind) || kind === 'text/css') && !looks.includes('json')) {
    // What was made short for machines is laid out first, what people wrote is shown as they wrote it.
    if (start.split('\n').length * 160 < start.length) looks.unshift('formatted')
    else looks.push('text', 'formatted')
  }
  if (hasToken(start)) {
    if (kind === 'application/jwt' || /^\s*eyJ[\w-]*\.[\w.-]*\s*$/.test(start)) looks.unshift('token')
    else looks.push('token')
  }
}

/** bytes adds ways to look at what is no text. */
function bytes(looks: Look[], kind: string, b: Uint8Array): void {
  const at = (offset: number, text: string) => [...text].every((ch, i) => b[offset + i] === ch.charCodeAt(0))
  if (looks.length > 0) return
  if (isPDF(b)) looks.push('pdf')
  else if (at(0, 'wOFF') || at(0, 'wOF2') || at(0, 'OTTO') || at(0, '\0\x01\0\0') && kind !== 'application/grpc') looks.push('font')
  else if (/^(audio|video)\//.test(kind) || at(0, 'OggS') || at(0, 'ID3') || at(0, 'fLaC') || at(0, '\x1aE\xdf\xa3') || at(4, 'ftyp') || at(0, 'RIFF') && at(8, 'WAVE')) looks.push('media')
  else if (/msgpack$|messagepack$/.test(kind)) looks.push('messagepack')
  else if (/^application\/(grpc|connect\+)/.test(kind)) looks.push('grpc')
  else if (/[/+.-](protobuf|proto)$|x-protobuf|protobuffer/.test(kind)) looks.push('protobuf')
  else if (b.length > 1 && b.length < 8192 && (kind === '' || kind === 'application/octet-stream')) looks.push('hex', 'text', ...(tiles(b, 0, b.length) ? ['protobuf' as const] : []), ...(packed(b[0]!) ? ['messagepack' as const] : []))
}

/** A PDF begins with its name; much of the rest may be text. */
function isPDF(b: Uint8Array): boolean {
  return b[0] === 37 && b[1] === 80 && b[2] === 68 && b[3] === 70 && b[4] === 45
}

/** Whether a byte begins a map or an array of MessagePack. */
function packed(c: number): boolean {
  return c >= 0x80 && c < 0xa0 || c >= 0xdc && c < 0xe0
}

/** ownCharset is the character set that a body itself names: by a byte order mark, or as HTML and XML do. */
function ownCharset(kind: string, b: Uint8Array): string {
  if (b[0] === 0xff && b[1] === 0xfe) return 'utf-16le'
  if (b[0] === 0xfe && b[1] === 0xff) return 'utf-16be'
  if (!/html|xml/.test(kind)) return ''
  const start = new TextDecoder('latin1').decode(b.subarray(0, 1024))
  const m = /^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w-]{1,40})["']/.exec(start) ?? (/html/.test(kind) ? /<meta[^>]{0,200}?charset\s*=\s*["']?([\w-]{1,40})/i.exec(start) : null)
  return m ? m[1]!.toLowerCase() : ''
}

function sniff(head: Uint8Array): Look | undefined {
  let i = 0
  while (i < head.length && head[i]! <= 32) i++
  const c = head[i]
  if (c === 123 || c === 91) {
    // A brace can begin anything: only what goes on as JSON is taken for it.
    const lines = jsonLines(head.subarray(i, i + 4096))
    if (!lines.broken || lines.broken.at > 16 && lines.broken.at >= Math.min(head.length - i, 4096) - 64 || lines.count > 8) return 'json'
  }
  if (c === 60) {
    const start = new TextDecoder().decode(head.subarray(i, i + 100)).toLowerCase()
    if (start.startsWith('<!doctype html') || start.startsWith('<html')) return 'html'
    if (start.startsWith('<?xml')) return 'xml'
  }
  return undefined
}

/** isText says whether bytes read as text: declared as such or in UTF-8, with few characters that no text has. */
export function isText(head: Uint8Array, charset: string, declared = false): boolean {
  if (/^utf-?16/.test(charset)) return true
  let odd = 0
  const n = Math.min(head.length, 4096)
  for (let i = 0; i < n; i++) {
    const c = head[i]!
    if (c === 0) return false
    if (c < 9 || (c > 13 && c < 32 && c !== 27)) odd++
  }
  if (odd * 20 > n) return false
  if (declared || (charset && charset !== 'utf-8')) return true
  // A few broken bytes are a flaw of a text; many are no text.
  const decoded = new TextDecoder().decode(head.subarray(0, n))
  let broken = 0
  for (const ch of decoded) if (ch === '\ufffd') broken++
  return broken * 10 <= decoded.length
}

function imageOf(b: Uint8Array): string {
  const at = (offset: number, text: string) => [...text].every((ch, i) => b[offset + i] === ch.charCodeAt(0))
  if (at(0, '\x89PNG')) return 'image/png'
  if (at(0, '\xff\xd8\xff')) return 'image/jpeg'
  if (at(0, 'GIF8')) return 'image/gif'
  if (at(0, 'RIFF') && at(8, 'WEBP')) return 'image/webp'
  if (at(4, 'ftypavif')) return 'image/avif'
  return ''
}

/** toUTF8 makes bytes of another charset UTF-8, which is what the scanners read. An unknown charset is left alone. */
export function toUTF8(bytes: Uint8Array<ArrayBuffer>, charset: string): Uint8Array<ArrayBuffer> {
  if (charset === '' || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii') return bytes
  try {
    return new TextEncoder().encode(new TextDecoder(charset).decode(bytes))
  } catch {
    return bytes
  }
}

/** invalidAt is the offset of the first byte that is not UTF-8, -1 if all is. The last character may be cut. */
export function invalidAt(b: Uint8Array): number {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(b)
    return -1
  } catch {
    // Found below.
  }
  for (let i = 0; i < b.length;) {
    const c = b[i]!
    const n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0
    if (n === 0) return i
    for (let k = 1; k < n; k++) {
      if (i + k >= b.length) return -1
      const d = b[i + k]!
      const low = k > 1 ? 0x80 : c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80
      const high = k > 1 ? 0xbf : c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf
      if (d < low || d > high) return i
    }
    i += n
  }
  return -1
}
