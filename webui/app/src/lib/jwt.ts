// JSON Web Tokens (RFC 7519) read for people. Nothing is verified: whoever looks at a token has no key.

import { exact } from './exact.ts'
import { duration, moment, size } from './format.ts'

export interface Claim {
  name: string
  /** The value as JSON writes it, text without quotes. */
  value: string
  /** A time in words. */
  words?: string
}

export interface Token {
  text: string
  header: Claim[]
  claims: Claim[]
  /** What kind of token it is, and what cannot be read of it. */
  note: string
  /** Whether it is out of date, or not valid yet, now. */
  state: 'valid' | 'expired' | 'early' | 'unknown'
}

// Both begin with an object in base64url; an encrypted one has five parts (RFC 7516).
const pattern = /\beyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*){1,3}/g

/** Where tokens are looked for, and how many are read. */
const searched = 256 << 10
const most = 20
/** A longer token is not taken apart. */
const longest = 64 << 10

/** tokens finds JSON Web Tokens in text, each once. */
export function tokens(text: string, now = Date.now()): Token[] {
  const found = new Set<string>()
  for (const m of text.slice(0, searched).matchAll(pattern)) {
    if (readable(m[0])) found.add(m[0])
    if (found.size >= most) break
  }
  return [...found].map((t) => token(t, now))
}

/** hasToken says whether text has one. */
export function hasToken(text: string): boolean {
  for (const m of text.slice(0, 8192).matchAll(pattern)) if (readable(m[0])) return true
  return false
}

/** A token's header names an algorithm (RFC 7515, 4.1.1). */
function readable(t: string): boolean {
  const h = object(t.slice(0, t.indexOf('.')))
  return h !== undefined && 'alg' in h
}

export function token(text: string, now: number): Token {
  const pieces = text.split('.')
  const header = claims(object(pieces[0]!) ?? {}, now)
  if (pieces.length >= 5) return { text, header, claims: [], note: 'This token is encrypted (JWE): only its header can be read.', state: 'unknown' }
  if (text.length > longest) return { text, header, claims: [], note: `This token is ${size(text.length)} long and is not taken apart.`, state: 'unknown' }
  const body = object(pieces[1]!)
  const note = pieces[2] ? 'The signature is not checked: that takes the issuer’s key.' : 'This token has no signature: anybody can write one like it.'
  if (!body) return { text, header, claims: [], note: `Its claims are no JSON object. ${note}`, state: 'unknown' }
  const after = seconds(body['exp'])
  const before = seconds(body['nbf'])
  const state = after !== undefined && after * 1000 <= now ? 'expired' : before !== undefined && before * 1000 > now ? 'early' : after !== undefined ? 'valid' : 'unknown'
  return { text, header, claims: claims(body, now), note, state }
}

const times = new Set(['exp', 'nbf', 'iat', 'auth_time', 'updated_at'])

function claims(o: Record<string, unknown>, now: number): Claim[] {
  return Object.entries(o).slice(0, 500).map(([name, v]) => {
    const value = typeof v === 'string' ? v : JSON.stringify(v)
    const at = times.has(name) ? seconds(v) : undefined
    return at === undefined ? { name, value } : { name, value, words: `${moment(new Date(at * 1000).toISOString()).slice(0, 19)}, ${away(at * 1000 - now)}` }
  })
}

function seconds(v: unknown): number | undefined {
  return typeof v === 'number' && v > 0 && v < 8.64e12 ? v : undefined
}

function away(ms: number): string {
  const days = Math.abs(ms) / 86_400_000
  const words = days >= 2 ? `${Math.round(days)} days` : duration(Math.round(Math.abs(ms) / 1000) * 1000)
  return ms < 0 ? `${words} ago` : `in ${words}`
}

function object(part: string): Record<string, unknown> | undefined {
  if (part.length > longest) return undefined
  try {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
    const v = exact(new TextDecoder().decode(bytes))
    return typeof v === 'object' && v !== null && !Array.isArray(v) ? v as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
