// Messages of a conversation: what is in one, and what a form makes one of.

import type { Injection } from '../api/sending.ts'
import type { Message } from '../api/types.ts'
import { base64, unbase64 } from './curl.ts'
import { visible } from './visible.ts'

/** payload is a message's bytes. */
export function payload(m: Message): Uint8Array<ArrayBuffer> {
  if (m.text !== undefined) return new TextEncoder().encode(m.text)
  return (m.data ? unbase64(m.data) : new Uint8Array()) as Uint8Array<ArrayBuffer>
}

/** unread says that a message came without its payload, which is too long for the stream. */
export function unread(m: Message): boolean {
  return m.size > 0 && m.text === undefined && m.data === undefined
}

/** preview is a message in one line. */
export function preview(m: Message): string {
  if (m.text !== undefined) return visible(m.text.slice(0, 300))
  if (!m.data) return ''
  return hex(unbase64(m.data.slice(0, 64)))
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (c) => c.toString(16).padStart(2, '0')).join(' ')
}

/** unhex reads bytes written in hexadecimal, with or without spaces, 0x and colons; undefined: it is none. */
export function unhex(text: string): Uint8Array | undefined {
  const digits = text.replace(/0x|[\s:,]/gi, '')
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return undefined
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}

/** The fields of a server-sent event (HTML standard, 9.2.6), those that are repeated joined as a browser does it. */
export interface ServerEvent {
  event: string
  id: string | undefined
  retry: string | undefined
  data: string
  comments: string[]
}

export function serverEvent(text: string): ServerEvent {
  const out: ServerEvent = { event: 'message', id: undefined, retry: undefined, data: '', comments: [] }
  const data: string[] = []
  for (const line of text.split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (colon === 0) out.comments.push(value)
    else if (name === 'data') data.push(value)
    else if (name === 'event') out.event = value
    else if (name === 'id') out.id = value
    else if (name === 'retry') out.retry = value
  }
  out.data = data.join('\n')
  return out
}

/** What the form that sends a message holds. */
export interface Saying {
  direction: 'sent' | 'received'
  kind: Injection['kind']
  content: string
  /** How bytes are written. */
  as: 'hex' | 'base64'
  code: string
}

export const nothingSaid: Saying = { direction: 'sent', kind: 'text', content: '', as: 'hex', code: '1000' }

/** injection makes a message of the form, or says what is wrong with it. */
export function injection(s: Saying): Injection | string {
  const m: Injection = { direction: s.direction, kind: s.kind }
  switch (s.kind) {
    case 'binary': {
      const bytes = s.as === 'hex' ? unhex(s.content) : fromBase64(s.content)
      if (!bytes) return s.as === 'hex' ? 'These are no bytes in hexadecimal: pairs of 0–9 and a–f.' : 'This is no base64.'
      return { ...m, data: base64(bytes) }
    }
    case 'close': {
      if (s.code.trim() === '') return s.content === '' ? m : 'A reason needs a code, such as 1000.'
      if (!/^\d{4}$/.test(s.code.trim())) return 'A code has four digits, such as 1000.'
      return { ...m, code: Number(s.code), ...(s.content ? { text: s.content } : {}) }
    }
  }
  return { ...m, text: s.content }
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return unbase64(text.replace(/\s/g, '').replace(/-/g, '+').replace(/_/g, '/'))
  } catch {
    return undefined
  }
}

/** said fills the form with a message, to be said again. */
export function said(m: Message): Saying {
  const direction = m.direction === 'received' ? 'received' : 'sent'
  if (m.kind === 'close') {
    const at = /^(\d{4}) ?([\s\S]*)$/.exec(m.text ?? '')
    return { ...nothingSaid, direction, kind: 'close', code: at?.[1] ?? '', content: at?.[2] ?? '' }
  }
  if (m.kind === 'text' && m.text !== undefined) return { ...nothingSaid, direction, content: m.text }
  if (m.kind === 'ping' || m.kind === 'pong') return { ...nothingSaid, direction, kind: 'ping', content: m.text ?? '' }
  return { ...nothingSaid, direction, kind: 'binary', content: hex(payload(m)) }
}
