// What messages, replays and comparisons ask of the API.

import { body, json, list, search, send } from './client.ts'
import type { Message, Summary } from './types.ts'

export interface MessagePage {
  messages: Message[]
  /** The last message that was looked at: a search goes on behind it. */
  through: number
}

export interface MessageSearch {
  contains: string
  direction: '' | 'sent' | 'received'
}

/** findMessages reads messages behind one, those that match a search. It may stop before the end: through says where. */
export function findMessages(id: number, after: number, limit: number, s: MessageSearch, signal?: AbortSignal): Promise<MessagePage> {
  return json(`/exchanges/${id}/messages${search({ after, limit, contains: s.contains || undefined, direction: s.direction || undefined })}`, { signal: signal ?? null })
}

/** What is put into an open WebSocket. */
export interface Injection {
  direction: 'sent' | 'received'
  kind: 'text' | 'binary' | 'ping' | 'close'
  text?: string
  /** base64 */
  data?: string
  code?: number
}

export async function inject(id: number, m: Injection): Promise<void> {
  await send(`/exchanges/${id}/messages`, body('POST', m))
}

export interface Difference {
  part: string
  where: string
  a: string | null
  b: string | null
  incidental: boolean
  masked?: string[]
}

export interface Mask {
  name: string
  hides: string
}

export interface Comparison {
  a: number
  b: number
  same: boolean
  differences: Difference[]
  more: number
  masks: Mask[]
  notes: string[]
}

export function compare(a: number, b: number, mask: readonly string[], signal?: AbortSignal): Promise<Comparison> {
  return json(`/diff${search({ a, b, mask: mask.join(',') || undefined })}`, { signal: signal ?? null })
}

/** replaysOf lists the exchanges that repeat one, oldest first, as far as limit. */
export async function replaysOf(ids: readonly number[], limit: number, signal?: AbortSignal): Promise<Summary[]> {
  if (ids.length === 0) return []
  const filter = ids.length === 1 ? `replay.of:${ids[0]}` : `replay.of in (${ids.join(',')})`
  return (await list({ filter, limit, after: 0 }, signal)).exchanges
}
