// An exchange's request as a curl command that a POSIX shell takes literally.

import type { Exchange, Field } from '../api/types.ts'

/** quote makes one shell word of text. Single quotes take everything but themselves; control characters need $'…'. */
export function quote(text: string): string {
  if (/^[A-Za-z0-9_\/:.,=@%+-]+$/.test(text)) return text
  if (!/[\u0000-\u001f\u007f]/.test(text.replace(/\n/g, ''))) return `'${text.replace(/'/g, `'\\''`)}'`
  let out = ''
  for (const c of text) {
    const code = c.codePointAt(0)!
    if (c === '\\' || c === "'") out += '\\' + c
    else if (c === '\n') out += '\\n'
    else if (c === '\r') out += '\\r'
    else if (c === '\t') out += '\\t'
    else if (code < 0x20 || code === 0x7f) out += '\\x' + code.toString(16).padStart(2, '0')
    else out += c
  }
  return `$'${out}'`
}

// curl writes these itself; a copy would make them wrong or double. An HTTP/2 request has pseudo-fields, too.
const own = new Set(['content-length', 'transfer-encoding', 'connection', 'proxy-connection', 'keep-alive', 'host'])

/** utf8 is body as text if it is valid UTF-8 without NUL, which no command line can carry. */
function utf8(body: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** The largest body that is put on the command line; Linux takes 128 KiB in one argument. */
export const longestInline = 96 << 10

/** curl writes the command. body is the request's body as transferred, undefined where it is not known. */
export function curl(x: Exchange, body: Uint8Array | undefined): string {
  const lines: string[] = []
  const headers = (x.request.headers ?? []).filter((f) => keep(f, x))
  let before = ''
  const args: string[] = []
  const hasBody = body !== undefined && body.length > 0
  if (x.request.httpVersion === 'HTTP/1.0') args.push('--http1.0')
  if (x.request.method === 'HEAD') args.push('--head')
  else if (x.request.method !== (hasBody ? 'POST' : 'GET')) args.push(`-X ${quote(x.request.method)}`)
  for (const f of headers) args.push(`-H ${quote(f.value === '' ? `${f.name};` : `${f.name}: ${f.value}`)}`)
  if (!headers.some((f) => f.name.toLowerCase() === 'user-agent')) args.push(`-H 'User-Agent:'`)
  if (!headers.some((f) => f.name.toLowerCase() === 'accept')) args.push(`-H 'Accept:'`)
  if (hasBody) {
    if (!headers.some((f) => f.name.toLowerCase() === 'content-type')) args.push(`-H 'Content-Type:'`)
    const text = body.length <= longestInline ? utf8(body) : undefined
    if (text !== undefined && !text.startsWith('@')) {
      args.push(`--data-binary ${quote(text)}`)
    } else if (body.length <= longestInline) {
      before = `echo ${base64(body)} | base64 -d | `
      args.push('--data-binary @-')
    } else {
      args.push(`--data-binary @request-${x.id}.body`)
    }
  }
  if (/[[\]{}]/.test(x.request.url)) args.push('--globoff')
  if (/\/\.\.?(\/|$|\?)/.test(x.request.url)) args.push('--path-as-is')
  lines.push(`${before}curl ${quote(x.request.url)}`, ...args)
  return lines.join(' \\\n  ')
}

function keep(f: Field, x: Exchange): boolean {
  const name = f.name.toLowerCase()
  if (name.startsWith(':')) return false
  if (name === 'host') return f.value !== hostOf(x.request.url)
  return !own.has(name)
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? ''
}

export function base64(bytes: Uint8Array): string {
  let s = ''
  for (let i = 0; i < bytes.length; i += 0x8000) s += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(s)
}

export function unbase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
}
